"""Methods that end in an underscore: each against the method without it, on the tape and off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.ops.overwriting import OVERWRITING

_RNG = np.random.default_rng(0)
_X = _RNG.uniform(0.2, 0.8, (3, 3))
_Y = _RNG.uniform(0.3, 0.9, (3, 3))
_WHOLE = _RNG.integers(1, 9, (3, 3))
_BINARY = set(
    """add arctan2 atan2 clamp_max clamp_min copysign div divide eq float_power floor_divide fmod ge greater
    greater_equal gt heaviside hypot igamma igammac ldexp le less less_equal logical_and logical_or logical_xor lt mul
    multiply ne nextafter not_equal pow remainder sub subtract true_divide xlogy""".split()  # noqa: SIM905
)
_WHOLE_BINARY = {"bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "gcd", "lcm"}
_AT = np.array([2, 0])
_PLACES = np.array([[0, 1, 2], [2, 2, 1]])
_MASK = np.array([[True, False, True], [False, True, False], [False, False, True]])
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "addbmm": (_RNG.normal(size=(2, 3, 4)), _RNG.normal(size=(2, 4, 3))),
    "baddbmm": (_RNG.normal(size=(3, 3, 4)), _RNG.normal(size=(3, 4, 3))),
    "addcdiv": (_Y, _X), "addcmul": (_Y, _X),
    "addmm": (_Y, _X), "addmv": (_Y, _X[0]), "addr": (_X[0], _Y[0]),
    "clamp": (0.3, 0.6), "clip": (0.3, 0.6), "cumprod": (0,), "cumsum": (1,), "lerp": (_Y, 0.25),
    "index_add": (0, _AT, _Y[:2]), "index_copy": (0, _AT, _Y[:2]), "index_fill": (1, _AT, 5.0),
    "index_put": ((_AT,), _Y[:2]), "index_reduce": (0, _AT, _Y[:2], "prod"),
    "masked_fill": (_MASK, 2.0), "masked_scatter": (_MASK, _Y), "mvlgamma": (1,), "polygamma": (1,),
    "put": (_AT, _Y[0, :2]), "renorm": (2.0, 0, 0.5), "scatter": (0, _PLACES, _Y[:2]),
    "scatter_add": (0, _PLACES, _Y[:2]), "scatter_reduce": (0, _PLACES, _Y[:2], "amax"),
}  # fmt: skip
_OF_WHOLE = {"bitwise_not", *_WHOLE_BINARY}
_ABOVE_ONE = {"acosh", "arccosh"}


def sample(name: str, device: str) -> tuple[tg.Tensor, list[Any]]:
    """A tensor and arguments for a method."""
    x = _WHOLE if name in _OF_WHOLE else np.stack([_X] * 3) if name == "baddbmm" else _X
    x = x[0] if name == "addmv" else x + 1 if name in _ABOVE_ONE else x
    args = (_WHOLE.T if name in _WHOLE_BINARY else _Y,) if name in _BINARY | _WHOLE_BINARY else ARGUMENTS.get(name, ())

    def made(v: Any) -> Any:
        if isinstance(v, tuple):
            return tuple(made(w) for w in v)
        return tg.tensor(v, device=device) if isinstance(v, np.ndarray) else v

    return tg.tensor(x, device=device), [made(v) for v in args]


@pytest.mark.parametrize("name", OVERWRITING)
def test_is_the_method_written_into_the_tensor(device, name):
    x, args = sample(name, device)
    wanted = getattr(x, name)(*args)
    view = x[1:]
    assert getattr(x, f"{name}_")(*args) is x
    np.testing.assert_array_equal(x.cpu().numpy(), wanted.astype(x.dtype).cpu().numpy(), strict=True)
    np.testing.assert_array_equal(view.cpu().numpy(), x[1:].cpu().numpy())


@pytest.mark.parametrize("name", sorted(set(OVERWRITING) - _OF_WHOLE - {"igamma", "igammac"}))
def test_has_the_gradient_of_the_method(device, name):
    x, args = sample(name, device)
    x.requires_grad = True
    args = [v.requires_grad_() if isinstance(v, tg.Tensor) and v.dtype == tg.float64 else v for v in args]
    leaves = [x, *(v for v in args if isinstance(v, tg.Tensor) and v.requires_grad)]

    def gradients(change: Any) -> list[np.ndarray]:
        y = change(x * 1)
        weight = tg.linspace(0.5, 1.5, y.size, dtype=tg.float64, device=device).reshape(y.shape)
        found = tg.autograd.grad((y * weight).sum() + (x * 0).sum(), leaves, allow_unused=True)
        return [np.zeros(v.shape) if g is None else g.cpu().numpy() for v, g in zip(leaves, found, strict=True)]

    wanted = gradients(lambda y: getattr(y, name)(*args).astype(tg.float64))
    for found in (
        gradients(lambda y: getattr(y, f"{name}_")(*args)),
        gradients(lambda y: [y, y[...], getattr(y, f"{name}_")(*args)][1]),  # a view sees it too
    ):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    with pytest.raises(RuntimeError, match=rf"{name}_: a leaf|{name}.*: a leaf"):
        getattr(x, f"{name}_")(*args)


def test_the_result_must_fit_the_dtype(device):
    whole = tg.tensor([4, 9], device=device)
    for call in (whole.sqrt_, lambda: whole.add_(0.5), lambda: whole.bool().add_(1), lambda: whole.float().mul_(1j)):
        with pytest.raises(TypeError, match="cannot be written into a"):
            call()
    assert whole.tolist() == [4, 9]
    assert whole.int().add_(whole).dtype == tg.int32
    assert whole.float().gt_(5).tolist() == [0.0, 1.0]
    assert whole.gt_(5).tolist() == [0, 1]
    assert tg.zeros(2, dtype=tg.complex64, device=device).add_(2.0).tolist() == [2, 2]


def test_the_result_must_fit_the_shape(device):
    x = tg.ones(3, device=device)
    with pytest.raises(ValueError, match=r"mul_: .*\(2, 3\).* \(3,\)"):
        x.mul_(tg.ones(2, 3, device=device))
    with pytest.raises(ValueError, match=r"hypot_: .*\(2, 3\).* \(3,\)"):
        x.hypot_(tg.ones(2, 3, device=device))


SHAPES = {
    "squeeze_": (0,), "unsqueeze_": (1,), "swapaxes_": (1, 2), "swapdims_": (-1, 0), "transpose_": (0, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_change_in_place(device, name):
    x = tg.tensor(np.arange(6.0).reshape(1, 2, 3), device=device)
    part = x[0, 1]
    wanted = getattr(x, name[:-1])(*SHAPES[name])
    assert getattr(x, name)(*SHAPES[name]) is x
    np.testing.assert_array_equal(x.cpu().numpy(), wanted.cpu().numpy(), strict=True)
    x.mul_(2)
    assert part.tolist() == [6, 8, 10]
    part.zero_()
    assert x.sum().item() == 6
    assert tg.ones(2, 3, device=device).t_().shape == (3, 2)


def test_writes_find_their_way_through_changed_shapes(device):
    def loss(a: tg.Tensor, in_place: bool) -> tg.Tensor:
        b = a * 2
        row = b[0]
        if in_place:
            b.t_().unsqueeze_(0)
        else:
            b, whole = b.t()[None], b
            row = whole[0]
        row.mul_(10)
        column = b[0, 1:]
        column.add_(a[:, 0])
        b.squeeze_(0) if in_place else None
        return (b * b).sum() + (row**3).sum()

    a = tg.tensor(_X[:2], device=device, requires_grad=True)
    x = a[:, :2].detach().requires_grad_()
    (wanted,) = tg.autograd.grad(loss(x, False), [x])
    (found,) = tg.autograd.grad(loss(x, True), [x])
    np.testing.assert_allclose(found.cpu().numpy(), wanted.cpu().numpy(), rtol=1e-12)
    h = 1e-6
    moved = [loss((x + s * h).detach(), True).item() for s in (1, -1)]
    assert found.sum().item() == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=1e-6)


def test_a_leaf_changes_its_shape_off_the_tape_only(device):
    x = tg.ones(2, 3, device=device, requires_grad=True)
    with pytest.raises(RuntimeError, match="t_: a leaf"):
        x.t_()
    with tg.no_grad():
        x.t_()
    (x * 2).sum().backward()
    assert x.is_leaf
    assert x.grad.shape == (3, 2)


def test_what_was_saved_before_a_change_of_shape_is_not_read(device):
    x = tg.ones(2, 3, device=device, requires_grad=True)
    y = x * 2
    z = y * y
    y.t_()
    with pytest.raises(RuntimeError, match="in place"):
        z.sum().backward()
