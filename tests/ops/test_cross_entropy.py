"""Cross-entropy: all options against the definition, sample by sample."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import to_numpy
from tensorgrad.ops.loss import cross_entropy
from tensorgrad.testing import gradcheck, gradgradcheck

from .samples import place, values
from .samples.loss import cross_entropy as reference

WEIGHT = np.array([0.5, 1.0, 2.0, 0.25])
SHAPES = {
    "vector": (4,),
    "rows": (5, 4),
    "sequence": (2, 4, 3),
    "pixels": (2, 4, 2, 3),
    "one row": (1, 4),
    "no rows": (0, 4),
    "no pixels": (2, 4, 0),
}


def targets(shape: tuple[int, ...]) -> np.ndarray:
    """Class indices that cover every class, and 1, which the tests ignore, more than once."""
    lead = () if len(shape) == 1 else (shape[0], *shape[2:])
    return (np.arange(math.prod(lead)) * 7 + 1).reshape(lead) % 4


def probabilities(shape: tuple[int, ...]) -> np.ndarray:
    axis = 0 if len(shape) == 1 else 1
    p = np.exp(values(*shape, seed=5))
    return p / p.sum(axis, keepdims=True)


OPTIONS = list(itertools.product(["mean", "sum", "none"], [None, WEIGHT], [-100, 1], [0.0, 0.3, 1.0]))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_class_indices(shape, device):
    z, y = values(*shape, low=-4, high=4), targets(shape)
    for reduction, weight, ignore, smoothing in OPTIONS:
        x = place(z, device, grad=True)
        w = None if weight is None else place(weight, device)
        found = cross_entropy(x, tg.tensor(y, device=device), w, ignore, reduction, smoothing)
        wanted = reference(z, y, weight, ignore, reduction, smoothing)
        assert found.shape == wanted.shape
        options = f"{reduction}, weight {weight}, ignore {ignore}, smoothing {smoothing}"
        np.testing.assert_allclose(to_numpy(found._data), wanted, rtol=1e-11, atol=1e-12, err_msg=options)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_class_probabilities(shape, device):
    z, p = values(*shape, low=-4, high=4), probabilities(shape)
    for reduction, weight, _, smoothing in OPTIONS:
        w = None if weight is None else place(weight, device)
        found = cross_entropy(place(z, device), place(p, device), w, reduction=reduction, label_smoothing=smoothing)
        wanted = reference(z, p, weight, reduction=reduction, label_smoothing=smoothing)
        assert found.shape == wanted.shape
        if not (shape[0] and math.prod(shape)) and reduction == "mean":
            continue  # the mean of nothing: below
        np.testing.assert_allclose(
            to_numpy(found._data), wanted, rtol=1e-11, atol=1e-12, err_msg=str((reduction, weight, smoothing))
        )


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 4, 2)], ids=str)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_of_class_indices(shape, weight, smoothing, reduction, device):
    y = tg.tensor(targets(shape), device=device)
    w = None if weight is None else place(weight, device)

    def loss(z):
        return cross_entropy(z, y, w, 2, reduction, smoothing)

    z = place(values(*shape), device, grad=True)
    gradcheck(loss, z, atol=1e-7, rtol=1e-6)
    gradgradcheck(loss, z, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 4, 2)], ids=str)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradients_of_class_probabilities(shape, weight, smoothing, reduction, device):
    w = None if weight is None else place(weight, device)

    def loss(z, p):
        return cross_entropy(z, p, w, reduction=reduction, label_smoothing=smoothing)

    both = [place(values(*shape), device, grad=True), place(probabilities(shape), device, grad=True)]
    gradcheck(loss, both, atol=1e-7, rtol=1e-6)
    gradgradcheck(loss, both, atol=1e-6, rtol=1e-5)


def test_gradient_is_softmax_minus_target(device):
    z = place(values(3, 4), device, grad=True)
    cross_entropy(z, tg.tensor([0, 3, 1], device=device)).backward()
    e = np.exp(values(3, 4))
    wanted = (e / e.sum(1, keepdims=True) - np.eye(4)[[0, 3, 1]]) / 3
    np.testing.assert_allclose(to_numpy(z.grad._data), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-5), ("float16", 5e-3), ("bfloat16", 4e-2)])
def test_dtypes(dtype, limit, device):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    y = targets((64, 4))
    for target in (tg.tensor(y, device=device), place(probabilities((64, 4)), device, dtype)):
        z = place(values(64, 4, low=-8, high=8), device, dtype, grad=True)
        exact = place(to_numpy(z._data).astype(np.float64), device, grad=True)
        wide = target if target.dtype.kind == "i" else target.astype(tg.float64)
        losses = cross_entropy(z, target), cross_entropy(exact, wide)
        assert losses[0].dtype == z.dtype
        np.testing.assert_allclose(losses[0].item(), losses[1].item(), rtol=limit)
        for loss in losses:
            loss.backward()
        assert z.grad.dtype == z.dtype
        np.testing.assert_allclose(
            to_numpy(z.grad._data).astype(float), to_numpy(exact.grad._data), rtol=limit, atol=limit / 64
        )


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_dtypes_of_indices(dtype, device):
    z, y = values(5, 4), targets((5, 4))
    found = cross_entropy(place(z, device), tg.tensor(y, dtype, device))
    np.testing.assert_allclose(found.item(), reference(z, y), rtol=1e-12)


def test_large_logits_stay_finite(device):
    z = tg.tensor([[1000.0, -1000.0], [-1e30, 1e30]], device=device, requires_grad=True)
    loss = cross_entropy(z, tg.tensor([0, 1], device=device))
    assert loss.item() == 0
    loss.backward()
    assert z.grad.tolist() == [[0, 0], [0, 0]]
    assert cross_entropy(z, tg.tensor([1, 1], device=device), reduction="none").tolist() == [2000, 0]


def test_masked_classes(device):
    """A class with a logit of minus infinity has probability 0 and harms nobody else."""
    z = tg.tensor([[0.0, -math.inf, 0.0]], device=device, requires_grad=True)
    loss = cross_entropy(z, tg.tensor([0], device=device))
    np.testing.assert_allclose(loss.item(), math.log(2), rtol=1e-6)
    loss.backward()
    np.testing.assert_allclose(to_numpy(z.grad._data), [[-0.5, 0, 0.5]], atol=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_all_ignored(smoothing, weight, device):
    z = place(values(3, 4), device, grad=True)
    y = tg.tensor([7, 7, 7], device=device)
    w = None if weight is None else place(weight, device)
    assert math.isnan(cross_entropy(z, y, w, 7, label_smoothing=smoothing).item())
    assert cross_entropy(z, y, w, 7, "sum", smoothing).item() == 0
    assert cross_entropy(z, y, w, 7, "none", smoothing).tolist() == [0, 0, 0]
    cross_entropy(z, y, w, 7, "sum", smoothing).backward()
    assert z.grad.tolist() == [[0] * 4] * 3


def test_zero_batch(device):
    z = place(np.zeros((0, 4)), device, grad=True)
    y = tg.tensor(np.zeros(0, int), device=device)
    assert math.isnan(cross_entropy(z, y).item())
    assert cross_entropy(z, y, reduction="sum").item() == 0
    assert cross_entropy(z, y, reduction="none").shape == (0,)
    cross_entropy(z, y, reduction="sum").backward()
    assert z.grad.shape == (0, 4)


def test_ignored_samples_get_no_gradient(device):
    z = place(values(3, 4), device, grad=True)
    cross_entropy(z, tg.tensor([0, -100, 2], device=device)).backward()
    gradient = to_numpy(z.grad._data)
    assert (gradient[1] == 0).all()
    assert (gradient[0] != 0).all()


@pytest.mark.parametrize("wrong", [4, -1, 100, -5])
def test_index_out_of_range(wrong, device):
    z = tg.ones(3, 4, device=device)
    with pytest.raises(IndexError, match=rf"(?s)(?=.*{wrong})(?=.*4)"):
        cross_entropy(z, tg.tensor([0, wrong, 1], device=device)).item()


def test_ignore_index_may_be_a_class_or_not(device):
    z, y = values(4, 4), np.array([0, 1, 2, 3])
    for ignore in (0, 3, -1, 255):
        found = cross_entropy(place(z, device), tg.tensor(y, device=device), ignore_index=ignore)
        np.testing.assert_allclose(found.item(), reference(z, y, ignore_index=ignore), rtol=1e-12)


def test_many_classes_and_rows(device):
    """Sizes that fill blocks and leave remainders."""
    for rows, classes in ((3, 1000), (777, 5), (1, 1), (33, 257)):
        z, y = values(rows, classes), np.arange(rows) * 31 % classes
        x = place(z, device, grad=True)
        loss = cross_entropy(x, tg.tensor(y, device=device))
        np.testing.assert_allclose(loss.item(), reference(z, y), rtol=1e-11)
        loss.backward()
        e = np.exp(z - z.max(1, keepdims=True))
        wanted = (e / e.sum(1, keepdims=True) - np.eye(classes)[y]) / rows
        np.testing.assert_allclose(to_numpy(x.grad._data), wanted, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: cross_entropy(tg.ones(2, 3), tg.tensor([0])),
            ValueError,
            r"logits of shape \(2, 3\) need class indices of shape \(2,\), got \(1,\)",
        ),
        (
            lambda: cross_entropy(tg.ones(2, 3), tg.ones(2, 4)),
            ValueError,
            r"class probabilities of shape \(2, 3\), got \(2, 4\)",
        ),
        (
            lambda: cross_entropy(tg.ones(2, 3), tg.tensor([0, 1]), tg.ones(2)),
            ValueError,
            r"weights of shape \(3,\) and dtype float32",
        ),
        (
            lambda: cross_entropy(tg.ones(2, 3), tg.tensor([0, 1]), tg.ones(3, dtype=tg.float64)),
            ValueError,
            "dtype float32, got .*float64",
        ),
        (lambda: cross_entropy(tg.ones(2, 3), tg.tensor([0, 1]), reduction="avg"), ValueError, "'avg'"),
        (
            lambda: cross_entropy(tg.ones(2, 3), tg.tensor([0, 1]), label_smoothing=1.5),
            ValueError,
            "between 0 and 1, got 1.5",
        ),
        (lambda: cross_entropy(tg.tensor([[1, 2]]), tg.tensor([0])), TypeError, "logits must be floating, got int64"),
        (lambda: cross_entropy(tg.ones(()), tg.tensor(0)), ValueError, "class axis"),
        (lambda: cross_entropy(tg.ones(2, 3), tg.ones(2, 3).astype(tg.bool)), TypeError, "got bool"),
    ],
    ids=range(9),
)
def test_messages(call, error, match):
    with pytest.raises(error, match=match):
        call()
