"""`vmap` against loops, alone and with the other transformations."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from tensorgrad.kernels import registry
from tensorgrad.kernels.batched.array import LEVELS

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

    found = vmap(f, in_dims=({"x": 0, "w": None}, None), out_dims={"sum": 1, "pair": 0})({"x": x, "w": w}, 2.0, shift=w)
    close(found["sum"], (a + 2 * b).T)
    close(found["pair"][0], a - b)
    close(found["pair"][1], a.sum(1))


@pytest.mark.parametrize(
    "ask",
    [lambda x: x.item(), lambda x: 1 if x > 0 else 2, lambda x: x.tolist(), lambda x: x[x > 0], lambda x: float(x)],
)
def test_values_of_samples_have_no_one_value(ask, device):
    def curious(x):
        return x * ask(x)

    with pytest.raises(RuntimeError, match="vmap: curious asks for the value of a tensor of shape"):
        vmap(curious)(sample(3, device=device))


def test_writing_in_place(device):
    x, w = sample(4, 3, device=device).requires_grad_(), sample(3, device=device, seed=1)

    def own(x):
        y = tg.zeros_like(x)
        y[1] = x[0] * 2
        y += x
        return y

    vmap(own)(x).sum().backward()
    close(x.grad, np.tile([3.0, 1, 1], (4, 1)))
    detached = x.detach()
    wanted = detached.cpu().numpy() * 2

    def doubled(x):
        x *= 2
        return x.sum()

    close(vmap(doubled)(detached), wanted.sum(1))
    close(detached, wanted)

    def shared(x):
        w[0] = x[0]
        return w.sum()

    with pytest.raises(RuntimeError, match=r"shared writes values that differ .* 4 samples share, of shape \(3,\)"):
        vmap(shared)(x.detach())


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
    close(vmap(lambda x, v: func.vjp(tg.exp, x)[1](v)[0])(x, v), np.exp(a) * b)
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


@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks(size, device):
    x, w = sample(3, 5, device=device), sample(3, device=device, seed=1)
    f = lambda x, w: (x * w, x.sum())  # noqa: E731
    for y, z in zip(vmap(f, (1, None), (1, 0), chunk_size=size)(x, w), vmap(f, (1, None), (1, 0))(x, w), strict=True):
        close(y, z.cpu().numpy())
    close(func.jacrev(tg.sin, chunk_size=size)(w), np.diag(np.cos(w.cpu().numpy())))
    noise = vmap(lambda x: x + tg.rand(2, device=device), randomness="same", chunk_size=size)(
        tg.zeros(5, 2, device=device)
    )
    assert len(np.unique(noise.cpu().numpy(), axis=0)) == 1


def test_shared_tensors_get_the_sum_of_all_samples(device):
    x, w = sample(5, 3, device=device), sample(3, device=device, seed=1).requires_grad_()
    vmap(lambda x: tg.tanh(x * w).sum())(x).sum().backward()
    a = np.tanh(x.cpu().numpy() * w.detach().cpu().numpy())
    close(w.grad, ((1 - a**2) * x.cpu().numpy()).sum(0))
    assert tg.testing.gradgradcheck(lambda w: vmap(lambda x: tg.tanh(x * w).sum())(x), w)


def test_gradients_of_one_graph_for_many_cotangents(device):
    x = sample(3, device=device).requires_grad_()
    y = tg.sin(x) * x.sum()
    rows = tg.eye(3, dtype=tg.float64, device=device)
    found = vmap(lambda g: tg.autograd.grad(y, x, g, retain_graph=True)[0])(rows)
    close(found, func.jacrev(lambda x: tg.sin(x) * x.sum())(x.detach()).cpu().numpy())


def test_dropout_of_samples(device):
    x = tg.ones(6, 40, device=device, requires_grad=True)
    y = vmap(lambda x: nn.functional.dropout(x, 0.5), randomness="different")(x)
    assert len(np.unique(y.detach().cpu().numpy(), axis=0)) > 1
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), y.detach().cpu().numpy())
    y = vmap(lambda x: nn.functional.dropout(x, 0.5), randomness="same")(x)
    assert len(np.unique(y.detach().cpu().numpy(), axis=0)) == 1


def test_rows_of_a_captured_function(device):
    x = sample(3, device=device)
    f = lambda x: tg.softmax(x) * x.sum()  # noqa: E731
    step = tg.jit(f)
    for _ in range(3):
        close(func.jacrev(step)(x), func.jacrev(f)(x).cpu().numpy())


def test_attention_drops_weights_of_each_sample(device):
    x = tg.stack([sample(2, 5, 8, device=device)] * 3)
    attend = lambda q: nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=0.5)  # noqa: E731
    different = vmap(attend, randomness="different")(x).cpu().numpy()
    assert not np.array_equal(different[0], different[1])
    same = vmap(attend, randomness="same")(x).cpu().numpy()
    assert np.array_equal(same[0], same[1])
    with pytest.raises(RuntimeError, match="randomness='different'"):
        vmap(attend)(x)


def test_cross_products_along_the_first_axis(device):
    x, y = sample(3, 3, 3, device=device), sample(3, 3, 3, device=device, seed=1)
    found = vmap(lambda x, y: tg.linalg.cross(x, y, axis=0))(x, y)
    close(found, np.cross(x.cpu().numpy(), y.cpu().numpy(), axis=1))


def test_jit_inside(device):
    x = sample(4, 3, device=device)
    step = tg.jit(lambda x: tg.softmax(x) * 2)
    for _ in range(3):
        close(vmap(step)(x), 2 * tg.softmax(x, axis=1).cpu().numpy())


def test_nothing_is_left_behind(device):
    gc.collect()
    before = len(LEVELS)
    vmap(tg.exp)(sample(3, device=device))
    assert len(LEVELS) == before
    if not before:
        assert not registry._hooks


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
        (lambda x: vmap(tg.add, in_dims=(0,))(x, x), "in_dims has 1 entries, add was called with 2 arguments"),
        (lambda x: vmap(tg.add)(x, x[:2]), r"numbers of samples differ: argument 0 of shape \(3, 4\) has 3"),
        (lambda x: vmap(tg.exp, in_dims=2)(x), r"axis 2 of argument 0 of exp, a tensor of shape \(3, 4\)"),
        (lambda x: vmap(tg.exp, in_dims=None)(x), "maps over no tensor"),
        (lambda x: vmap(tg.exp, out_dims=3)(x), r"samples at axis 3, but exp returned shape \(4,\)"),
        (lambda x: vmap(tg.exp, out_dims=(0, 0))(x), "out_dims"),
        (lambda x: vmap(tg.exp, out_dims=None)(x), "out_dims is None"),
        (lambda x: vmap(lambda x: 3)(x), "must return tensors, got int"),
        (lambda x: vmap(tg.add)(x, 2.0), "holds a float"),
        (lambda x: vmap(tg.exp)(), "without positional arguments"),
        (lambda x: vmap(tg.exp, randomness="other")(x), "randomness must be"),
        (lambda x: vmap(tg.exp, chunk_size=0)(x), "chunk_size must be None or at least 1"),
    ],
)
def test_errors(call, match):
    with pytest.raises(ValueError, match=match):
        call(tg.ones(3, 4))


def test_a_graph_that_is_left_of_it_does_not_keep_others_from_being_captured():
    x = tg.ones(3, 4).requires_grad_()
    kept = []
    vmap(lambda x: kept.append(tg.exp(x)) or tg.exp(x))(x)
    captured = tg.jit(lambda x: tg.tanh(x) * 2)
    for _ in range(2):
        np.testing.assert_allclose(captured(tg.ones(4)).numpy(), 2 * np.tanh(np.ones(4)), rtol=1e-6)
    assert "launch" in str(captured.explain())
    assert kept
