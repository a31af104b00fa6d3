"""What cannot be captured raises, names the line, and leaves nothing behind."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import registry

import tensorgrad as tg
from tensorgrad import capture, nn
from tensorgrad.tensor import Tensor

from .compare import assert_same

HERE = __file__


def _line_of(function: Any, marker: str = "# here") -> int:
    """The number of the line of a function that ends with a comment."""
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if line.rstrip().endswith(marker))


def item(x: Any) -> Any:
    return x * x.sum().item()  # here


def branch(x: Any) -> Any:
    y = x * 2
    if y.sum() > 0:  # here
        return y
    return x


def loop(x: Any) -> Any:
    total = x.sum()
    while total < 10:  # here
        total = total + 1
    return total


def mask(x: Any) -> Any:
    return x[x > 0].sum()  # here


def mask_given_as_tuple(x: Any) -> Any:
    return x[0, x[0] > 0]  # here


def written_mask(x: Any) -> Any:
    y = x.clone()
    y[x > 0] = 0  # here
    return y


def to_numpy(x: Any) -> Any:
    return tg.tensor((x + 1).numpy() * 2)  # here


def to_list(x: Any) -> Any:
    return x * (x + 1).tolist()[0][0]  # here


def printed(x: Any) -> Any:
    print(x + 1)  # here
    return x


def as_float(x: Any) -> Any:
    return x * float(x.sum())  # here


def as_int(x: Any) -> Any:
    return tg.zeros(int(x.sum()))  # here


def as_index(x: Any) -> Any:
    return [1, 2, 3][x.sum().astype(tg.int64)]  # here


def formatted(x: Any) -> Any:
    text = f"{x.sum():.2f}"  # here
    return x, text


def nonzero(x: Any) -> Any:
    return x.nonzero()  # here


def as_array(x: Any) -> Any:
    return tg.tensor(np.asarray(x + 1))  # here


def contains(x: Any) -> Any:
    return x if 1.0 in x else x + 1  # here


def finite_norm(x: Any) -> Any:
    w = tg.ones(3, device=x.device, requires_grad=True)
    (w * x.sum()).sum().backward()
    nn.utils.clip_grad_norm_([w], 1.0, error_if_nonfinite=True)  # here
    return w.grad


def other_data(x: Any) -> Any:
    PARAMETER.data = x  # here
    return PARAMETER * 2


PARAMETER = tg.zeros(2, 3)

READS = [
    item, branch, loop, mask, mask_given_as_tuple, to_numpy, to_list, printed, as_float, as_int, as_index, formatted,
    as_array, contains, finite_norm, other_data,
]  # fmt: skip


def nothing_is_left() -> None:
    assert registry._hooks == ()
    assert capture._recorder is None
    assert not nn.Module._hooked
    assert Tensor._data is not property
    assert not isinstance(Tensor.__dict__["_data"], property)
    assert not isinstance(Tensor.__dict__["grad"], property)


@pytest.mark.parametrize("function", READS, ids=lambda f: f.__name__)
def test_a_value_is_read(function, monkeypatch):
    x = tg.tensor([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    monkeypatch.setitem(globals(), "PARAMETER", tg.zeros(2, 3))
    captured = tg.jit(function)
    where = f"{HERE}:{_line_of(function)} in {function.__name__}"
    for _ in range(2):  # it is not that the first call alone raises
        with pytest.raises(capture.CaptureError, match=re.escape(where)):
            captured(x)
        nothing_is_left()


def test_a_mask_that_is_written_to(device):
    """The shape of ``y[mask] = number`` does not depend on the data."""
    captured = tg.jit(written_mask)
    for seed in range(3):
        x = tg.tensor(np.random.default_rng(seed).standard_normal((3, 4)), device=device)
        assert_same(captured(x).cpu().numpy(), written_mask(x).cpu().numpy())


def test_shapes_and_dtypes_can_be_read(device):
    def function(x: Any) -> Any:
        if x.shape[0] > 2 and x.dtype == tg.float32 and x.ndim == 2 and len(x) and str(x.device) and x.requires_grad:
            return x.reshape(-1)[: x.size // 2] * x.shape[1]
        return x

    captured = tg.jit(function)
    for n in (1, 2, 3, 4):
        x = tg.arange(n * 4, dtype=tg.float32, device=device).reshape(n, 4).requires_grad_()
        for _ in range(2):
            assert_same(captured(x).detach().cpu().numpy(), function(x).detach().cpu().numpy())


def test_an_exception_of_the_function_itself(device):
    """It comes through, nothing is left behind, and the next call can do better."""
    broken = [True]

    @tg.jit
    def function(x: Any) -> Any:
        y = x * 2
        if broken[0]:
            raise KeyError("of the user")
        return y

    x = tg.ones(3, device=device)
    with pytest.raises(KeyError, match="of the user"):
        function(x)
    nothing_is_left()
    broken[0] = False
    for _ in range(2):
        assert function(x).tolist() == [2, 2, 2]
    nothing_is_left()


def test_a_wrong_shape_is_reported_as_in_eager(device):
    with pytest.raises(ValueError, match=r"matmul.*\(2, 3\).*\(2, 3\)"):
        tg.jit(lambda x: x @ x)(tg.ones(2, 3, device=device))
    nothing_is_left()


def test_nothing_is_left_after_a_replay():
    captured = tg.jit(lambda x: x + 1)
    for _ in range(3):
        captured(tg.ones(2))
        nothing_is_left()


def test_a_tensor_that_is_kept_in_an_attribute():
    """A replay could not bring it up to date."""

    class Counter(nn.Module):
        def forward(self, x: Any) -> Any:
            self.last = x * 2  # here
            return self.last + 1

    model = Counter()
    captured = tg.jit(model)
    for i in range(3):  # the first calls may be setting something up
        assert captured(tg.full((2,), float(i))).tolist() == [2 * i + 1] * 2
    where = f"{HERE}:{_line_of(Counter.forward)}"
    with pytest.raises(capture.CaptureError, match=rf"keeps a tensor, made at {re.escape(where)}"):
        captured(tg.ones(2))
    nothing_is_left()


def test_a_tensor_that_is_kept_in_a_list():
    kept: list[Any] = []

    @tg.jit
    def function(x: Any) -> Any:
        kept.append(x * 2)
        return x + 1

    for _ in range(3):
        function(tg.ones(2))
    with pytest.raises(capture.CaptureError, match="keeps a tensor"):
        function(tg.ones(2))
    assert all(x.tolist() == [2, 2] for x in kept)


def test_what_is_made_at_the_first_call_only(device):
    """A function may set itself up: the calls that do so are not the ones that are replayed."""
    made: dict[str, Any] = {}

    @tg.jit
    def function(x: Any) -> Any:
        if "table" not in made:
            made["table"] = tg.arange(3, dtype=tg.float32, device=device) * 2
        return x + made["table"]

    for i in range(4):
        assert function(tg.full((3,), float(i), device=device)).tolist() == [i, i + 2, i + 4]


def test_an_unhashable_argument():
    with pytest.raises(TypeError, match="hashable"):
        tg.jit(lambda x, options: x)(tg.ones(2), {1, 2})
    nothing_is_left()


def test_a_gradient_with_a_graph_is_not_stored(device):
    w = tg.ones(2, device=device, requires_grad=True)

    def function() -> Any:
        (w**3).sum().backward(create_graph=True)

    with pytest.raises(capture.CaptureError, match="create_graph"):
        tg.jit(function)()
    nothing_is_left()
    w.grad = None


def test_an_optimizer_step_with_a_closure_that_makes_tensors(device):
    w = tg.ones(2, device=device, requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=0.1)

    def function(x: Any) -> Any:
        def closure() -> Any:
            optimizer.zero_grad()
            loss = (w * x).sum()
            loss.backward()
            return loss

        return optimizer.step(closure)

    with pytest.raises(capture.CaptureError, match=re.escape(HERE)):
        tg.jit(function)(tg.ones(2, device=device))
    nothing_is_left()
