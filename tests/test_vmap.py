"""`vmap` against loops, alone and with the other transformations."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import func, nn
from tensorgrad.func import vmap


def sample(*shape: int, device: str = "cpu", seed: int = 0) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape), device=device)


def close(found: tg.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found.detach().cpu().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("in_dim", [0, 1, -1])
@pytest.mark.parametrize("out_dim", [0, 1, -1])
def test_axes(in_dim, out_dim, device):
    x = sample(3, 4, 5, device=device)
    a = np.moveaxis(x.cpu().numpy(), in_dim, 0)
    close(vmap(lambda x: x.sum(axis=0), in_dim, out_dim)(x), np.moveaxis(a.sum(1), 0, out_dim))


def test_structures(device):
    x, w = sample(4, 3, device=device), sample(3, device=device, seed=1)
    a, b = x.cpu().numpy(), w.cpu().numpy()

    def f(tree, scale, *, shift):
        return {"sum": tree["x"] + tree["w"] * scale, "pair": (tree["x"] - shift, tree["x"].sum())}

    found = vmap(f, in_dims=({"x": 0, "w": None}, None), out_dims={"sum": 1, "pair": 0})({"x": x, "w": w}, 2.0, shift=x)
    close(found["sum"], (a + 2 * b).T)
    close(found["pair"][0], np.zeros_like(a))
    close(found["pair"][1], a.sum(1))


def test_control_flow_may_depend_on_values():
    close(vmap(lambda x: x if x.item() > 0 else -2 * x)(tg.tensor([1.0, -3.0])), np.array([1.0, 6.0]))


def test_nested(device):
    x, y = sample(3, device=device), sample(4, device=device, seed=1)
    outer = vmap(vmap(tg.multiply, in_dims=(None, 0)), in_dims=(0, None))
    close(outer(x, y), np.outer(x.cpu().numpy(), y.cpu().numpy()))


def test_gradients_per_sample(device):
    x, w = sample(5, 3, device=device), sample(3, device=device, seed=1)
    a, b = x.cpu().numpy(), w.cpu().numpy()
    found = vmap(func.grad(lambda w, x: tg.sin((w * x).sum())), in_dims=(None, 0))(w, x)
    close(found, np.cos(a @ b)[:, None] * a)


def test_gradient_through(device):
    x = sample(5, 3, device=device).requires_grad_()
    vmap(lambda x: (x**3).sum())(x).sum().backward()
    close(x.grad, 3 * x.detach().cpu().numpy() ** 2)
    testing_input = sample(2, 3, device=device).requires_grad_()
    assert tg.testing.gradcheck(vmap(lambda x: tg.exp(x) * x.sum()), testing_input)
    assert tg.testing.gradgradcheck(vmap(lambda x: tg.exp(x) * x.sum()), testing_input)


@pytest.mark.parametrize("transform", [func.jacrev, func.jacfwd, func.hessian])
def test_with_jacobians(transform, device):
    x = sample(4, 3, device=device)
    a = x.cpu().numpy()
    f = (lambda x: (x**3).sum()) if transform is func.hessian else (lambda x: x**2)
    expected = [np.diag(6 * row if transform is func.hessian else 2 * row) for row in a]
    close(vmap(transform(f))(x), np.stack(expected))


def test_with_products(device):
    x, v = sample(4, 3, device=device), sample(4, 3, device=device, seed=1)
    a, b = x.cpu().numpy(), v.cpu().numpy()
    close(vmap(lambda x, v: func.jvp(tg.exp, (x,), (v,))[1])(x, v), np.exp(a) * b)
    close(vmap(lambda x, v: func.vjp(tg.exp, x)[1](v))(x, v), np.exp(a) * b)
    close(vmap(lambda x, v: func.hvp(lambda x: (x**3).sum(), (x,), (v,))[0])(x, v), 6 * a * b)


def test_of_a_model(device):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)).to(device, tg.float64)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    x, y = sample(6, 3, device=device), tg.tensor([0, 1, 1, 0, 1, 0], device=device)

    def loss(parameters, x, y):
        scores = nn.utils.stateless.functional_call(model, parameters, (x[None],))
        return nn.functional.cross_entropy(scores, y[None])

    found = vmap(func.grad(loss), in_dims=(None, 0, 0))(parameters, x, y)
    for i in range(6):
        model.zero_grad()
        nn.functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        for name, p in model.named_parameters():
            close(found[name][i], p.grad.cpu().numpy())


def test_jit_around_it(device):
    x = sample(4, 3, device=device)
    step = tg.jit(vmap(lambda x: tg.softmax(x) * 2))
    for _ in range(2):
        close(step(x), 2 * tg.softmax(x, axis=1).cpu().numpy())


def test_randomness(device):
    x = tg.zeros(8, 50, device=device)
    noisy = lambda x: x + tg.rand(50, device=device)  # noqa: E731
    with pytest.raises(RuntimeError, match="randomness='different'"):
        vmap(noisy)(x)
    different, same = vmap(noisy, randomness="different")(x), vmap(noisy, randomness="same")(x)
    assert len(np.unique(different.cpu().numpy(), axis=0)) == 8
    assert len(np.unique(same.cpu().numpy(), axis=0)) == 1


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda x: vmap(tg.add, in_dims=(0,))(x, x), "in_dims has 1 entries for 2 arguments"),
        (lambda x: vmap(tg.add)(x, x[:2]), r"differ in their number of samples: shapes \[\(3, 4\), \(2, 4\)\]"),
        (lambda x: vmap(tg.exp, in_dims=2)(x), r"in_dims 2 is not an axis of a tensor of shape \(3, 4\)"),
        (lambda x: vmap(tg.exp, in_dims=None)(x), "in_dims are all None"),
        (lambda x: vmap(tg.exp, out_dims=3)(x), r"out_dims 3 is not an axis of results of shape \(4,\)"),
        (lambda x: vmap(tg.exp, out_dims=(0, 0))(x), "out_dims"),
        (lambda x: vmap(tg.exp)(x[:0]), r"there are no samples, shape \(0, 4\)"),
        (lambda x: vmap(lambda x: 3)(x), "must return tensors, got int"),
        (lambda x: vmap(tg.add)(x, 2.0), "got float; give None"),
        (lambda x: vmap(tg.exp, randomness="other")(x), "randomness must be"),
        (lambda x: vmap(tg.exp, chunk_size=0)(x), "chunk_size must be at least 1"),
        (lambda x: vmap(lambda x: x[x > 0])(tg.tensor([[1.0, 1.0], [1.0, -1.0]])), "differ in shape"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call(tg.ones(3, 4))
