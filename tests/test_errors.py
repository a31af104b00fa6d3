"""Errors name the function that the user called and what it was given, wherever inside they are raised."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.errors import axis_index, called, integer, integers
from tensorgrad.nn import functional as F

ones = tg.ones

CASES: dict[str, tuple[type[Exception], str, Callable[[], Any]]] = {
    "an axis that is no integer": (
        TypeError,
        r"^sum: axis must be an integer, got 'x' \(str\)",
        lambda: tg.sum(ones(3), axis="x"),
    ),
    "an axis that is a float": (
        TypeError,
        r"^swapaxes: axis must be an integer, got 0\.5",
        lambda: tg.swapaxes(ones(3, 3), 0.5, 1),
    ),
    "no axis where one is needed": (
        ValueError,
        r"^cumsum: axis must be one integer",
        lambda: tg.cumsum(ones(3), axis=()),
    ),
    "two axes where one is needed": (
        ValueError,
        r"^take: axis must be one integer",
        lambda: tg.take(ones(3, 3), tg.tensor([0]), axis=(0, 1)),
    ),
    "a size that is no integer": (
        TypeError,
        r"^reshape: shape must be an integer or a sequence",
        lambda: ones(4).reshape("ab"),
    ),
    "a shape of floats": (TypeError, r"^zeros: shape must be an integer or a sequence", lambda: tg.zeros((1.5, 2))),
    "a shape that no memory holds": (ValueError, r"^zeros: cannot make shape", lambda: tg.zeros(10**9, 10**9, 10**9)),
    "an operand of no kind": (TypeError, r"^add: cannot make a tensor of dict", lambda: tg.add({}, 1)),
    "an operand in place": (TypeError, r"^add_: cannot make a tensor of object", lambda: ones(3).add_(object())),
    "an operator's operand in place": (TypeError, r"^atan2_: operands must be", lambda: ones(3).atan2_(None)),
    "sequences of unequal lengths": (ValueError, r"^exp: the nested sequences", lambda: tg.exp([[1], [2, 3]])),
    "a dtype of no tensor": (TypeError, r"^astype: .*is not a dtype", lambda: tg.astype(ones(3), "nonsense")),
    "an array's dtype": (TypeError, r"^exp: tensors cannot have dtype <U1", lambda: tg.exp(np.array("a"))),
    "a device of no machine": (ValueError, r"^zeros: unknown device 'gpu'", lambda: tg.zeros(3, device="gpu")),
    "a list where a tensor belongs": (
        TypeError,
        r"^zeros_like: expected a Tensor, got \[1\]",
        lambda: tg.zeros_like([1]),
    ),
    "a generator that is none": (TypeError, r"^randn: generator must be a Generator", lambda: tg.randn(3, generator=5)),
    "a number of points": (TypeError, r"^fft: n must be an integer, got 2\.5", lambda: tg.fft.fft(ones(3), n=2.5)),
    "a norm of no kind": (ValueError, r"^fft: norm must be", lambda: tg.fft.fft(ones(3), norm=["ortho"])),
    "steps that never end": (ValueError, r"^arange: .* must be finite", lambda: tg.arange(float("nan"))),
    "a sequence in the place of a layer's input": (
        TypeError,
        r"^conv2d: weight must be a Tensor, got \[1\] \(list\)",
        lambda: F.conv2d(ones(1, 1, 3, 3), [1]),
    ),
    "no input": (TypeError, r"^mse_loss: input must be a Tensor, got None", lambda: F.mse_loss(None, ones(2))),
    "an option of no kind": (
        TypeError,
        r"^dropout: p must be a number, got 'x' \(str\)",
        lambda: F.dropout(ones(3), "x"),
    ),
    "a layer's size": (
        TypeError,
        r"^Linear: in_features must be an integer, got 'a' \(str\)",
        lambda: tg.nn.Linear("a", 2),  # type: ignore[arg-type]
    ),
    "a layer's size below 0": (
        ValueError,
        r"^Embedding: sizes must not be negative.*called with num_embeddings: -1, embedding_dim: 3",
        lambda: tg.nn.Embedding(-1, 3),
    ),
    "a layer within a layer": (
        TypeError,
        r"^TransformerEncoderLayer: d_model must be an integer, got 1\.5",
        lambda: tg.nn.TransformerEncoderLayer(1.5, 1),  # type: ignore[arg-type]
    ),
    "an inherited constructor's option": (
        TypeError,
        r"^Dropout2d: p must be a number, got None",
        lambda: tg.nn.Dropout2d(None),  # type: ignore[arg-type]
    ),
    "a layer's device": (ValueError, r"^GRU: unknown device 'gpu'", lambda: tg.nn.GRU(1, 2, device="gpu")),
    "an optimizer's parameters": (TypeError, r"^SGD: .*called with params: 3, lr: 0\.1", lambda: tg.optim.SGD(3, 0.1)),
    "a schedule's optimizer": (
        TypeError,
        r"^OneCycleLR: .*called with optimizer: 'a'",
        lambda: tg.optim.lr_scheduler.OneCycleLR("a", 0.1, 5),  # type: ignore[arg-type]
    ),
    "datasets": (TypeError, r"^ConcatDataset: .*called with datasets: None", lambda: tg.data.ConcatDataset(None)),
    "a loader's option": (
        TypeError,
        r"^DataLoader: timeout must be a number, got 'a'",
        lambda: tg.data.DataLoader([1, 2], timeout="a"),  # type: ignore[arg-type]
    ),
    "a missing argument": (TypeError, r"mse_loss.*target", lambda: F.mse_loss(ones(2))),
    "sizes of pooling": (
        TypeError,
        r"^adaptive_avg_pool2d: output_size must be an integer",
        lambda: F.adaptive_avg_pool2d(ones(1, 1, 4, 4), 1.5),
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_the_function_is_named(what: str) -> None:
    kind, message, call = CASES[what]
    with pytest.raises(kind, match=message):
        call()


def test_errors_of_a_users_own_function_pass() -> None:
    class MineError(ValueError):
        pass

    def distance(x: Any, y: Any) -> Any:
        raise MineError("mine")

    x = ones(2, 3)
    with pytest.raises(MineError, match=r"^mine$"):
        F.triplet_margin_with_distance_loss(x, x, x, distance_function=distance)


def test_functions_keep_their_names_and_are_pickled() -> None:
    for name in F.__all__:
        function = getattr(F, name)
        if not name.startswith("_"):
            assert pickle.loads(pickle.dumps(function)) is function
    assert F.conv2d.__name__ == "conv2d"
    assert "Convolution" in (F.conv2d.__doc__ or "") or F.conv2d.__doc__


def test_integers() -> None:
    assert integer(np.int64(3), "n") == 3
    assert integers(tg.tensor(2), "n") == (2,)
    assert integers([1, np.int32(2)], "n") == (1, 2)
    assert axis_index("f", -1, 3) == 2
    with pytest.raises(IndexError, match=r"^f: axis 3 is out of range for 3 axes"):
        axis_index("f", 3, 3)
    with pytest.raises(TypeError, match=r"^g: n must be an integer, got float32 of shape"):
        integer(ones(2), "n", "g")
    assert called("nobody") == "nobody"


def test_bool_tensors_take_zero_and_one() -> None:
    x = ones(3, dtype=tg.bool)
    x[0] = 0
    assert x.tolist() == [False, True, True]
    assert x.zero_().tolist() == [False] * 3
    x[1:] = 1
    assert x.tolist() == [False, True, True]
    with pytest.raises(TypeError, match="cannot be written into a bool tensor"):
        x[0] = 2


def test_constructors_of_users_are_their_own() -> None:
    class Mine(tg.nn.Linear):
        def __init__(self, size: Any) -> None:
            super().__init__(size, 2)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        Mine(2)
    with pytest.raises(TypeError, match=r"^Mine: in_features must be an integer, got 'a'"):
        Mine("a")


def test_functions_loaded_late_are_pickled() -> None:
    for function in (tg.round, tg.kthvalue, tg.linalg.norm, tg.special.logit, tg.random.normal, tg.nn.init.normal_):
        assert pickle.loads(pickle.dumps(function)) is function


X = tg.arange(8.0).reshape(2, 2, 2)
INTEGERS: dict[str, Callable[[Any], Any]] = {
    "arange": tg.arange,
    "flip": lambda n: tg.flip(X, n),
    "moveaxis": lambda n: tg.moveaxis(X, n, 0),
    "split": lambda n: tg.split(X, n, axis=0)[0],
    "histogram": lambda n: tg.histogram(X, n)[0],
    "histogram2d": lambda n: tg.histogram2d(X[0, 0], X[0, 0], n)[0],
    "tensordot": lambda n: tg.tensordot(X, X, (n, n)),
    "tensordot of a number of axes": lambda n: tg.tensordot(X, X, n),
    "partition": lambda n: tg.partition(X.ravel(), n),
    "norm": lambda n: tg.linalg.norm(X, axis=n),
    "sliding_window_view": lambda n: tg.sliding_window_view(X, n, axis=n),
    "frobenius_norm": lambda n: tg.frobenius_norm(X, n),
    "unwrap": lambda n: tg.unwrap(tg.arange(5), period=n),
    "fftshift": lambda n: tg.fft.fftshift(X, axes=n),
    "LayerNorm": lambda n: tg.nn.LayerNorm(n)(X).detach(),
    "LSTM": lambda n: tg.nn.LSTM(n, n)(X)[0].shape,
    "Sequential": lambda n: len(tg.nn.Sequential(tg.nn.ReLU()) * n),
    "Unflatten": lambda n: tg.nn.Unflatten(n, (n, 1))(X),
    "Embedding": lambda n: tg.nn.Embedding(n, 3, padding_idx=-1).weight.shape,
    "max_pool2d": lambda n: F.max_pool2d(X, n, n),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_of_numpy_and_tensors_are_integers(name: str) -> None:
    wanted = INTEGERS[name](2)
    for n in (np.int64(2), np.uint8(2), np.array(2), tg.tensor(2)):
        found = INTEGERS[name](n)
        assert getattr(found, "dtype", None) == getattr(wanted, "dtype", None)
        assert np.array_equal(np.asarray(found), np.asarray(wanted))


def test_rates_of_numpy() -> None:
    assert tg.optim.SGD([ones(1).requires_grad_()], lr=np.float32(0.5)).param_groups[0]["lr"] == 0.5


def test_calls_of_layers_name_them() -> None:
    for layer in (tg.nn.BatchNorm1d(3), tg.nn.Flatten(), tg.nn.TransformerEncoderLayer(4, 2)):
        name = type(layer).__name__
        with pytest.raises(TypeError, match=rf"^{name}: (input|src) must be a Tensor, got 'x' \(str\)"):
            layer("x")

    class Mine(tg.nn.Module):
        def forward(self, x: Any) -> Any:
            return x.nonsense

    with pytest.raises(AttributeError, match=r"^'str' object has no attribute 'nonsense'$"):
        Mine()("x")


def test_lists_become_tensors() -> None:
    assert tg.clone([1.0, 2.0]).tolist() == [1.0, 2.0]
    assert tg.positive([1.0, 2.0]).tolist() == [1.0, 2.0]
    with pytest.raises(TypeError, match=r"^clone: tensors cannot have dtype"):
        tg.clone("x")


def test_formats_are_for_one_number() -> None:
    assert f"{tg.tensor([2.5]):.2f}" == "2.50"
    assert f"{ones(2)}" == str(ones(2))
    with pytest.raises(TypeError, match=r"^format '\.2f' is for one number, not for a tensor of shape \(2,\)"):
        _ = f"{ones(2):.2f}"
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(ones(2))
