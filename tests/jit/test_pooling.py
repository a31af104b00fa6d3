"""Max pooling before relu: the same values and gradients, and only where nobody else has seen the rectified map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import kernels as K
from tensorgrad.jit.passes import Chain
from tensorgrad.jit.program import Launch
from tensorgrad.nn import functional as F

from .compare import assert_same

HOW = [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}, {"kernel_size": 2, "ceil_mode": True}]


def maps(seed: int, spoiled: bool = False) -> tg.Tensor:
    x = np.random.default_rng(seed).standard_normal((2, 3, 9, 9)).astype(np.float32)
    x[0, 0] = -np.abs(x[0, 0])  # windows without a positive element
    x[1, 1, ::2] = np.round(x[1, 1, ::2])  # and with several maxima
    if spoiled:
        x[0, 1, 3, 3], x[1, 0, 4] = np.nan, np.inf
    return tg.tensor(x, device="cpu")


def shapes_of_relu(captured: Any) -> list[tuple[int, ...]]:
    """What relu and its backward pass run on."""
    steps = [launch for s in captured._last.replay.steps for launch in (s.launches if isinstance(s, Chain) else [s])]
    kernels = (K.relu, K.relu_backward)
    return [s.outs[0].shape[2:] for s in steps if isinstance(s, Launch) and s.kernel in kernels]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("spoiled", [False, True])
def test_the_same_values_and_gradients(how: dict[str, Any], spoiled: bool) -> None:
    def training(x: Any) -> Any:
        x = x.detach().requires_grad_()
        y = F.max_pool2d(F.relu(x * 1.5), **how)
        return y, tg.autograd.grad((y * y).sum(), [x])[0]

    def inference(x: Any) -> Any:
        with tg.no_grad():
            return (F.max_pool2d(F.relu(x * 1.5), **how),)

    for function, launches in ((training, 2), (inference, 1)):
        captured = tg.jit(function)
        for seed in range(3):
            x = maps(seed, spoiled)
            for found, wanted in zip(captured(x), function(x), strict=True):
                assert_same(found.detach().numpy(), wanted.detach().numpy())
        assert len(shapes_of_relu(captured)) == launches
        assert (9, 9) not in shapes_of_relu(captured)


def returned(x: Any) -> Any:
    y = F.relu(x * 2)
    return F.max_pool2d(y, 2), y


def used_again(x: Any) -> Any:
    y = F.relu(x * 2)
    return F.max_pool2d(y, 2).sum() + y.sum()


def places(x: Any) -> Any:
    return F.max_pool2d(F.relu(x * 2), 2, return_indices=True)


def changed_in_place(x: Any) -> Any:
    y = F.relu(x)
    y += 1
    return F.max_pool2d(y, 2)


def changed_before(x: Any) -> Any:
    z = x * 2
    y = F.relu(z)
    z -= 5
    return F.max_pool2d(y, 2), z


def smooth(x: Any) -> Any:
    """The gradient's gradient needs the rectified map once more."""
    x = x.detach().requires_grad_()
    y = F.max_pool2d(F.relu(x) ** 2, 2).sum()
    slope = tg.autograd.grad(y, [x], create_graph=True)[0]
    return tg.autograd.grad((slope * slope).sum(), [x])[0]


@pytest.mark.parametrize("function", [returned, used_again, places, changed_in_place, changed_before, smooth])
def test_what_others_see_stays(function: Any) -> None:
    captured = tg.jit(function)
    for seed in range(3):
        x = maps(seed)
        found, wanted = captured(x), function(x)
        pairs = zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]
        for a, b in pairs:
            assert_same(a.detach().numpy(), b.detach().numpy())
    assert (9, 9) in shapes_of_relu(captured)
