"""In-place writes through views: random programs against finite differences."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tensorgrad as tg

SHAPES = ((3, 4), (4,), (1, 4))
VIEWS = (
    lambda x: x[0],
    lambda x: x[::2],
    lambda x: x[::-1],
    lambda x: x[..., 1:],
    lambda x: x[None],
    lambda x: x.mT if x.ndim == 2 else x,
    lambda x: x.reshape(-1),
    lambda x: tg.squeeze(x[None], 0),
    copy.copy,
)
FUNCTIONS = (lambda x: tg.exp(x * 0.1), tg.sin, lambda x: x.clone(), lambda x: x * x)
STEPS = (
    "view",
    "view",
    "function",
    "iadd",
    "isub",
    "imul",
    "itruediv",
    "ipow",
    "self",
    "set",
    "number",
    "mask",
    "swap",
)


def broadcasts(x, y, shape):
    try:
        return np.broadcast_shapes(x, y) == shape
    except ValueError:
        return False


def run(steps, values, device):
    """The loss of a program of views and in-place writes, and its leaves."""
    leaves = [tg.tensor(v, device=device, requires_grad=True) for v in values]
    found = [x * 1.0 for x in leaves] + [tg.tensor(np.full(s, 0.8), device=device) for s in SHAPES]
    for step, first, second, number in steps:
        x, y = found[first % len(found)], found[second % len(found)]
        fits = broadcasts(x.shape, y.shape, x.shape)
        if step == "view" and x.ndim and x.shape[0]:
            found.append(VIEWS[number % len(VIEWS)](x))
        elif step == "function":
            found.append(FUNCTIONS[number % len(FUNCTIONS)](x))
        elif step in ("iadd", "isub", "imul", "itruediv") and fits:
            getattr(x, f"__{step}__")(y * 0.7 + 0.5 if number % 2 else y)
        elif step == "ipow":
            x **= 2
        elif step == "self":
            x *= x
        elif step == "mask":
            x[x.detach() > 0.9] = 0.9
        elif step == "number" and x.ndim and x.shape[0]:
            x[0] = 0.7
        elif step == "set" and x.ndim and x.shape[0] and broadcasts(x.shape[1:], y.shape, x.shape[1:]):
            x[number % x.shape[0]] = y
        elif step == "swap" and x.ndim and x.shape[0] > 1:
            x[[0, x.shape[0] - 1]] = x[[x.shape[0] - 1, 0]] * 0.7
    weights = np.random.default_rng(0)
    return sum((x * tg.tensor(weights.uniform(0.5, 1.5, x.shape), device=device)).sum() for x in found), leaves


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(STEPS), *[st.integers(0, 40)] * 3), min_size=2, max_size=12))
def test_random_programs(device, steps):
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.6, 0.85, shape) for shape in SHAPES]
    loss, leaves = run(steps, values, device)
    if not 1e-3 < abs(loss.item()) < 1e4:
        return
    try:
        loss.backward()
    except RuntimeError as error:  # a value that a gradient needs is gone
        if "in the forward" in str(error):
            return
        raise
    for i, leaf in enumerate(leaves):
        direction = rng.standard_normal(SHAPES[i])
        ends = []
        for h in (1e-6, -1e-6):
            moved = [v + h * direction if j == i else v for j, v in enumerate(values)]
            ends.append(run(steps, moved, device)[0].item())
        wanted = (ends[0] - ends[1]) / 2e-6
        given_ = float((leaf.grad.cpu().numpy() * direction).sum())
        assert given_ == pytest.approx(wanted, rel=1e-4, abs=1e-4 * max(1.0, abs(loss.item())))


@pytest.mark.parametrize(
    ("name", "slope"), [("iadd", 2.0), ("isub", 0.0), ("imul", 6.0), ("itruediv", 0.0), ("ipow", 27 * (1 + np.log(3)))]
)
@pytest.mark.parametrize("shared", [False, True])
def test_with_itself(device, name, slope, shared):
    x = tg.tensor([3.0], tg.float64, device=device, requires_grad=True)
    y = x * 1
    part = y[:] if shared else None
    getattr(y, f"__{name}__")(y)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.cpu().numpy(), [slope], atol=1e-12)
    assert part is None or part.tolist() == y.tolist()
