"""L-BFGS and its line search, on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import tensorgrad as tg
from tensorgrad import optim
from tensorgrad.optim.line_search import Point, strong_wolfe

MATRIX = np.array([[3.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 5.0]])
OFFSET = np.array([1.0, -2.0, 0.5])
SOLUTION = np.linalg.solve(MATRIX, OFFSET)


def quadratic(device="cpu", **options):
    """Two parameters, their optimizer, and the closure of ``x.A.x / 2 - b.x``."""
    a = tg.zeros(2, dtype="float64", device=device, requires_grad=True)
    b = tg.zeros(1, 1, dtype="float64", device=device, requires_grad=True)
    A, offset = (tg.tensor(x, device=device) for x in (MATRIX, OFFSET))
    optimizer = optim.LBFGS([a, b], **options)

    def closure():
        optimizer.zero_grad()
        x = tg.concat([a, b.reshape(1)])
        loss = (x @ A @ x) / 2 - offset @ x
        loss.backward()
        return loss

    return a, b, optimizer, closure


@pytest.mark.parametrize("line_search_fn", [None, "strong_wolfe"])
def test_finds_the_minimum(line_search_fn, device):
    a, b, optimizer, closure = quadratic(device, line_search_fn=line_search_fn)
    first = optimizer.step(closure)
    assert first.item() == 0.0  # the loss before
    np.testing.assert_allclose([*a.tolist(), b.item()], SOLUTION, rtol=1e-5)
    assert optimizer.step(closure).item() == pytest.approx(-OFFSET @ SOLUTION / 2)


def test_finds_the_minimum_of_scipy():
    w = tg.tensor([-1.2, 1.0, -0.5, 0.8], dtype="float64", requires_grad=True)
    optimizer = optim.LBFGS([w], history_size=5, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2).sum()
        loss.backward()
        return loss

    for _ in range(8):
        optimizer.step(closure)
    other = scipy.optimize.minimize(scipy.optimize.rosen, [-1.2, 1.0, -0.5, 0.8], method="L-BFGS-B", tol=1e-12)
    np.testing.assert_allclose(w.tolist(), other.x, rtol=1e-4)
    assert closure().item() <= other.fun + 1e-9


def test_the_first_steps_by_hand():
    """The first along the gradient, not longer than 1 in sum; the second by the secant of the first."""
    a, b, optimizer, closure = quadratic(lr=0.5, max_iter=2, max_eval=9)
    optimizer.step(closure)
    g0 = -OFFSET
    t = 0.5 * min(1.0, 1.0 / np.abs(g0).sum())
    s = -t * g0
    g1 = MATRIX @ s - OFFSET
    y = g1 - g0
    # two-loop recursion with one pair
    alpha = s @ -g1 / (y @ s)
    r = (-g1 - alpha * y) * (s @ y / (y @ y))
    r += s * (alpha - y @ r / (y @ s))
    np.testing.assert_allclose([*a.tolist(), b.item()], s + 0.5 * r, rtol=1e-12)
    state = optimizer.state[a]
    assert (state["n_iter"], state["func_evals"], state["t"]) == (2, 2, 0.5)
    np.testing.assert_allclose(state["d"].tolist(), r, rtol=1e-12)
    np.testing.assert_allclose(state["ro"], [1 / (y @ s)], rtol=1e-12)
    assert b not in optimizer.state


@pytest.mark.parametrize(
    ("options", "evaluations", "iterations"),
    [
        ({"max_iter": 3}, 3, 2),
        ({"max_iter": 3, "max_eval": 9}, 3, 3),
        ({"tolerance_grad": 10.0}, 1, 0),
        ({"tolerance_change": 1.0}, 2, 1),
    ],
)
def test_when_it_stops(options, evaluations, iterations):
    a, _, optimizer, closure = quadratic(**options)
    optimizer.step(closure)
    assert optimizer.state[a]["func_evals"] == evaluations
    assert optimizer.state[a]["n_iter"] == iterations


def test_keeps_the_last_steps():
    a, _, optimizer, closure = quadratic(lr=0.1, max_iter=4, history_size=2)
    optimizer.step(closure)
    state = optimizer.state[a]
    assert [len(state[key]) for key in ("old_dirs", "old_stps", "ro")] == [2, 2, 2]
    assert {v.shape for v in state["old_dirs"]} == {(3,)}


@pytest.mark.parametrize("line_search_fn", [None, "strong_wolfe"])
def test_goes_on_from_its_state(line_search_fn, device):
    runs = []
    for resume in (False, True):
        a, b, optimizer, closure = quadratic(device, lr=0.3, max_iter=2, line_search_fn=line_search_fn)
        optimizer.step(closure)
        if resume:
            values = (a.detach().clone(), b.detach().clone())
            saved = optimizer.state_dict()
            a, b, optimizer, closure = quadratic(device, line_search_fn=line_search_fn)
            a.data, b.data = values
            optimizer.load_state_dict(saved)
        optimizer.step(closure)
        runs.append((a.tolist(), b.tolist()))
    assert runs[0] == runs[1]


def test_state_of_pytorch_is_taken():
    """It has numbers in tensors, and a list of as many places as the history for the recursion."""
    a, _, optimizer, closure = quadratic(max_iter=3)
    optimizer.step(closure)
    saved = optimizer.state_dict()
    saved["state"][0]["ro"] = [np.asarray(r) for r in saved["state"][0]["ro"]]
    saved["state"][0]["H_diag"] = np.asarray(saved["state"][0]["H_diag"])
    saved["state"][0]["al"] = [np.asarray(1.0), None, None]
    b, _, other, closure = quadratic(max_iter=3)
    b.data = a.detach().clone()
    other.load_state_dict(saved)
    assert other.state[b]["ro"] == optimizer.state[a]["ro"]
    other.step(closure)
    assert other.state[b]["n_iter"] == 4


def test_a_parameter_without_a_gradient_stays():
    a, idle = tg.zeros(1, requires_grad=True), tg.ones(2, requires_grad=True)
    optimizer = optim.LBFGS([a, idle, tg.zeros(0, requires_grad=True)])

    def closure():
        optimizer.zero_grad()
        loss = ((a - 3) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert idle.tolist() == [1.0, 1.0]
    assert a.item() == pytest.approx(3.0)


def test_replayed_by_jit():
    a, _, optimizer, closure = quadratic(lr=0.2, max_iter=1)
    b, _, other, other_closure = quadratic(lr=0.2, max_iter=1)

    @tg.jit
    def step():
        other.step(lambda: other_closure().item())  # a tensor is not allowed to leave: the replay would not see it

    for _ in range(3):
        optimizer.step(closure)
        step()
    assert a.tolist() == b.tolist() != [0.0, 0.0]


def test_line_search():
    """A step that is far too short is made longer, one that is far too long shorter."""

    def evaluate(at):
        return Point(at, (at - 2.0) ** 4 - at, tg.zeros(1), 4 * (at - 2.0) ** 3 - 1)

    start = evaluate(0.0)
    for step in (1e-3, 100.0):
        end, used = strong_wolfe(evaluate, start, step, 1.0, 1e-9, 25)
        assert end.loss <= start.loss + 1e-4 * end.at * start.slope
        assert abs(end.slope) <= 0.9 * abs(start.slope)
        assert 1 < used < 25
    end, used = strong_wolfe(evaluate, start, 100.0, 1.0, 1e-9, 0)
    assert (end, used) == (start, 1)
    _, used = strong_wolfe(lambda at: Point(at, float("nan"), tg.zeros(1), float("nan")), start, 1.0, 1.0, 1e-9, 5)
    assert used == 6


def test_errors(device):
    p, q = tg.ones(2, device=device, requires_grad=True), tg.ones(1, dtype="float64", requires_grad=True)
    for call, text in (
        (lambda: optim.LBFGS([p], lr=-1.0), "LBFGS: lr must be"),
        (lambda: optim.LBFGS([p], max_iter=0), "max_iter must be an int of at least 1, got 0"),
        (lambda: optim.LBFGS([p], line_search_fn="wolfe"), "line_search_fn must be 'strong_wolfe' or None"),
        (lambda: optim.LBFGS([p, q]), "must have one dtype and device"),
        (lambda: optim.LBFGS([{"params": [p]}, {"params": [q]}]), "must be in one group"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError, match="needs a closure"):
        optim.LBFGS([p]).step()
    a, _, optimizer, closure = quadratic()
    optimizer.step(closure)
    with pytest.raises(ValueError, match=r"the loaded old_dirs has shape \(3,\), the parameters have 2 elements"):
        optim.LBFGS([a, tg.ones(0, requires_grad=True, dtype="float64")]).load_state_dict(optimizer.state_dict())
    a.grad = tg.ones(2)
    with pytest.raises(ValueError, match="parameter 0 has shape"):
        optimizer.step(lambda: tg.ones(()))
