"""Derivatives of functions, against formulas and finite differences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import func

from .ops.samples import values

A = values(3, 3, seed=1)
B = values(3, seed=2)


def put(array, device, grad=False):
    return tg.tensor(np.asarray(array, np.float64), device=device, requires_grad=grad)


def close(found, wanted):
    tg.testing.assert_close(found.cpu(), np.asarray(wanted, np.float64), rtol=1e-10, atol=1e-10)


def curved(x):
    """A function from 3 to 2 numbers."""
    return tg.stack([(x**2).sum() * x[0], tg.sin(x[1]) * x[2]])


def curved_jacobian(x):
    first = 2 * x * x[0]
    first[0] += (x**2).sum()
    return np.stack([first, [0, np.cos(x[1]) * x[2], np.sin(x[1])]])


def test_grad(device):
    x = put(B, device)
    g = func.grad(lambda x: (x**3).sum())(x)
    close(g, 3 * B**2)
    assert not g.requires_grad
    assert g.device == x.device


def test_grad_leaves_its_arguments_alone(device):
    x, w = put(B, device, grad=True), put(A, device)
    node = x._node
    func.grad(lambda x, w: (w @ x).sum(), argnums=(0, 1))(x, w)
    assert x.grad is None
    assert w.grad is None
    assert x._node is node
    assert not w.requires_grad
    np.testing.assert_array_equal(x.detach().cpu().numpy(), B)


def test_writing_into_an_argument_does_not_reach_the_caller(device):
    def doubling(x):
        x *= 2
        return (x**2).sum()

    x = put(B, device, grad=True)
    close(func.grad(doubling)(x), 8 * B)
    np.testing.assert_array_equal(x.detach().cpu().numpy(), B)
    with pytest.raises(RuntimeError):
        func.grad(doubling)(x.detach())


def test_argnums(device):
    x, y = put(B, device), put(B + 1, device)

    def f(x, y, scale=1.0):
        return (x * x * y).sum() * scale

    close(func.grad(f, 1)(x, y), B**2)
    close(func.grad(f, -1)(x, y, scale=2.0), 2 * B**2)
    second, first = func.grad(f, (1, 0))(x, y)
    close(second, B**2)
    close(first, 2 * B * (B + 1))
    (alone,) = func.grad(f, (0,))(x, y)
    close(alone, 2 * B * (B + 1))


def test_one_tensor_as_two_arguments(device):
    x = put(B, device)
    close(func.grad(lambda x, y: (x**2 * y).sum())(x, x), 2 * B**2)


def test_nested(device):
    f = lambda x: x**4  # noqa: E731
    for order, factor in enumerate((4, 12, 24, 24, 0)):
        f = func.grad(f)
        close(f(put(1.5, device)), factor * 1.5 ** max(3 - order, 0))


def test_nested_do_not_confuse_their_variables(device):
    one, two = put(1.0, device), put(2.0, device)
    close(func.grad(lambda x: x * func.grad(lambda y: x + y)(one))(two), 1)
    close(func.grad(lambda x: x * func.grad(lambda y: x * y)(one))(two), 4)


def test_nested_by_different_arguments(device):
    x, w = put(B, device), put(A, device)
    by_w = func.grad(lambda x, w: ((w @ x) ** 2).sum(), 1)  # 2 (w @ x) x^T
    g = func.grad(lambda x: (by_w(x, w) * w).sum())(x)
    close(g, 4 * A.T @ A @ B)
    assert not g.requires_grad
    back = func.vjp(lambda x: x**2, x)[1]
    g = func.grad(lambda c: (back(c)[0] ** 2).sum())(w[0])
    close(g, 8 * B**2 * A[0])
    assert not g.requires_grad


def test_results_are_differentiable_by_what_requires_gradients(device):
    x, w = put(B, device, grad=True), put(A, device, grad=True)
    g = func.grad(lambda x: (w @ x**2).sum())(x)  # 2 x * column sums of w
    assert g.requires_grad
    g.sum().backward()
    close(x.grad, 2 * A.sum(0))
    close(w.grad, np.broadcast_to(2 * B, (3, 3)))
    value, g = func.value_and_grad(lambda x: (w @ x**2).sum())(x.detach())
    assert value.requires_grad
    assert g.requires_grad
    with tg.no_grad():
        g = func.grad(lambda x: (w @ x**2).sum())(x)
    close(g, 2 * B * A.sum(0))
    assert not g.requires_grad


def test_gradients_of_gradients_by_differences(device):
    inputs = [put(B, device, grad=True), put(A, device, grad=True)]
    f = lambda x, w: tg.tanh(w @ x).sum()  # noqa: E731
    tg.testing.gradcheck(lambda *a: func.grad(f, (0, 1))(*a), inputs)
    tg.testing.gradcheck(lambda *a: func.hvp(f, a, a), inputs)
    tg.testing.gradcheck(lambda *a: func.jvp(lambda x, w: w @ x**2, a, a), inputs)
    tg.testing.gradcheck(lambda x: (func.jacrev(curved)(x), func.jacfwd(curved)(x)), inputs[:1])
    tg.testing.gradgradcheck(lambda x, w: func.vjp(lambda x: w @ x**3, x)[1](x), inputs)


class Pair(NamedTuple):
    first: tg.Tensor
    second: tg.Tensor


def test_structures(device):
    x, y = put(B, device), put(2.0, device)
    g = func.grad(lambda p: (p["a"][0] * p["b"].first).sum() * p["b"].second)({"a": [x], "b": Pair(x, y)})
    assert isinstance(g["b"], Pair)
    close(g["a"][0], 2 * B)
    close(g["b"].first, 2 * B)
    close(g["b"].second, (B**2).sum())


def test_no_dependence_gives_zeros(device):
    x, y = put(B, device), put(2.0, device)
    close(func.grad(lambda x, y: y * 2)(x, y), np.zeros(3))
    close(func.grad(lambda x: put(1.0, device))(x), np.zeros(3))
    output, back = func.vjp(lambda x: y * 1, x)
    close(back(output)[0], np.zeros(3))
    close(func.jvp(lambda x: y * 1, (x,), (x,))[1], 0)
    for jacobian in (func.jacrev, func.jacfwd):
        close(jacobian(lambda x: put(B[:2], device))(x), np.zeros((2, 3)))
    close(func.hessian(lambda x: (2 * x).sum())(x), np.zeros((3, 3)))
    close(func.hvp(lambda x: (2 * x).sum(), (x,), (x,))[0], np.zeros(3))


def test_value_and_grad_and_aux(device):
    f = lambda x: ((x**2).sum(), {"twice": 2 * x, "name": "x"})  # noqa: E731
    x = put(B, device)
    (value, aux), g = func.value_and_grad(f, has_aux=True)(x)
    close(value, (B**2).sum())
    close(g, 2 * B)
    close(aux["twice"], 2 * B)
    assert aux["name"] == "x"
    assert not value.requires_grad
    assert not aux["twice"].requires_grad
    g, aux = func.grad(f, has_aux=True)(x)
    close(g, 2 * B)
    _, back, aux = func.vjp(f, x, has_aux=True)
    close(back(put(3.0, device))[0], 6 * B)
    close(aux["twice"], 2 * B)


def test_vjp(device):
    x, w = put(B, device), put(A, device)
    y, back = func.vjp(lambda x, w: {"y": w @ x, "s": x.sum()}, x, w)
    close(y["y"], A @ B)
    for _ in range(2):
        by_x, by_w = back({"s": put(2.0, device), "y": put(B + 1, device)})
        close(by_x, A.T @ (B + 1) + 2)
        close(by_w, np.outer(B + 1, B))
    assert not y["y"].requires_grad


def test_jvp(device):
    x, v = put(B, device), put(B[::-1].copy(), device)
    y, t = func.jvp(curved, (x,), (v,))
    close(y, curved(x).cpu().numpy())
    close(t, curved_jacobian(B) @ B[::-1])
    assert not y.requires_grad
    assert not t.requires_grad
    (y, same), (t, u) = func.jvp(lambda x, w: (w @ x, x), (x, put(A, device)), (v, put(A.T, device)))
    close(t, A @ B[::-1] + A.T @ B)
    close(u, B[::-1])
    close(same, B)


def test_jacobians(device):
    x = put(B, device)
    for jacobian in (func.jacrev, func.jacfwd, func.jacobian):
        j = jacobian(curved)(x)
        close(j, curved_jacobian(B))
        assert not j.requires_grad
    w = put(A, device)
    for jacobian in (func.jacrev, func.jacfwd):
        by_w = jacobian(lambda x, w: w @ x, 1)(x, w)
        close(by_w, np.einsum("ik,j->ikj", np.eye(3), B))
        first, last = jacobian(lambda x, w: (w @ x, x.sum()), (0, 1))(x, w)
        close(first[0], A)
        close(first[1], np.einsum("ik,j->ikj", np.eye(3), B))
        close(last[0], np.ones(3))
        close(last[1], np.zeros((3, 3)))
        assert jacobian(lambda x: x[:0] * 2)(x).shape == (0, 3)
        assert jacobian(lambda x: x * 2)(x[:0]).shape == (0, 0)


def test_hessian_and_hvp(device):
    x, w = put(B, device), put(A, device)
    f = lambda x, w: tg.exp(x @ w @ x / 10)  # noqa: E731
    both = A + A.T
    value = np.exp(B @ A @ B / 10)
    wanted = value * (both / 10 + np.outer(both @ B, both @ B) / 100)
    close(func.hessian(f)(x, w), wanted)
    close(func.jacfwd(func.grad(f))(x, w), wanted)
    (product,) = func.hvp(lambda x: f(x, w), (x,), (put([1, 2, 3], device),))
    close(product, wanted @ [1, 2, 3])
    blocks = func.hessian(f, (0, 1))(x, w)
    pushed = func.hvp(f, (x, w), (x, w))
    for row, found in zip(blocks, pushed, strict=True):
        total = sum((b * v).sum(axis=tuple(range(-v.ndim, 0))) for b, v in zip(row, (x, w), strict=True))
        close(found, total.cpu().numpy())


def test_descent_with_functions(device):
    x = put(values(20, 3), device)
    y = x @ put(B, device)
    step = func.grad(lambda w: ((x @ w - y) ** 2).mean())
    w = put(np.zeros(3), device)
    for _ in range(200):
        w = w - 0.2 * step(w)
    tg.testing.assert_close(w.cpu(), B, rtol=1e-6, atol=1e-6)


def test_errors(device):
    x = put(B, device)
    integers = tg.tensor([1, 2], device=device)
    with pytest.raises(ValueError, match=r"grad: .*without axes, got shape \(3,\)"):
        func.grad(lambda x: x * 2)(x)
    with pytest.raises(ValueError, match=r"hvp: .*without axes"):
        func.hvp(lambda x: x * 2, (x,), (x,))
    with pytest.raises(TypeError, match="must return a tensor, got tuple; pass has_aux"):
        func.grad(lambda x: (x.sum(), x))(x)
    with pytest.raises(TypeError, match="must return a tensor, got float"):
        func.value_and_grad(lambda x: 1.0)(x)
    with pytest.raises(TypeError, match="has_aux the function must return a pair"):
        func.grad(lambda x: x.sum(), has_aux=True)(x)
    with pytest.raises(TypeError, match="argument 0 has dtype int64"):
        func.grad(lambda x: x.sum())(integers)
    with pytest.raises(TypeError, match="argument 1 must be made of tensors, got float"):
        func.grad(lambda x, y: x.sum(), (0, 1))(x, 2.0)
    with pytest.raises(IndexError, match="argnums 1 is out of range for 1"):
        func.grad(lambda x: x.sum(), 1)(x)
    with pytest.raises(TypeError, match="jvp: the primals must be a tuple"):
        func.jvp(lambda x: x, x, x)
    with pytest.raises(TypeError, match="jvp: a tangent has the structure"):
        func.jvp(lambda x: x, (x,), (x, x))
    with pytest.raises(ValueError, match=r"jvp: tangent 0 has shape \(2,\)"):
        func.jvp(lambda x: x, (x,), (x[:2],))
    with pytest.raises(ValueError, match=r"vjp: cotangent 0 has shape \(3,\)"):
        func.vjp(lambda x: x.sum(), x)[1](x)
    with pytest.raises(TypeError, match="jacrev: the function must return tensors, got float"):
        func.jacrev(lambda x: 1.0)(x)


def test_linearize(device):
    x, k = put(B, device), put(B + 1, device)
    calls = []

    def f(a, b):
        calls.append(1)
        return {"s": tg.sin(a * b["k"]), "constant": k * 2}

    y, jvp_fn = func.linearize(f, x, {"k": k})
    close(y["s"], np.sin(B * (B + 1)))
    for t, u in ((put(B**2, device), k), (x, x)):
        moved = jvp_fn(t, {"k": u})
        close(moved["s"], np.cos(B * (B + 1)) * (t.cpu().numpy() * (B + 1) + B * u.cpu().numpy()))
        close(moved["constant"], 0 * B)
    assert len(calls) == 1
    eye = tg.eye(3, dtype="float64", device=device)
    close(func.vmap(lambda t: jvp_fn(t, {"k": 0 * k})["s"])(eye), np.diag(np.cos(B * (B + 1)) * (B + 1)))
    with pytest.raises(TypeError, match="linearize: a tangent has the structure"):
        jvp_fn(x, x)
    z = put(B, device, grad=True)
    (func.linearize(lambda x: x**3, z)[1](x) ** 1).sum().backward()
    close(z.grad, 6 * B * B)


def test_grad_and_value_and_aux_of_jvp(device):
    x = put(B, device)
    g, (value, aux) = func.grad_and_value(lambda x: ((x**2).sum(), x + 1), has_aux=True)(x)
    close(g, 2 * B)
    close(value, (B**2).sum())
    close(aux, B + 1)
    _, t, aux = func.jvp(lambda x: (x**2, x + 1), (x,), (x,), has_aux=True)
    close(t, 2 * B**2)
    close(aux, B + 1)


def test_strict_jvp(device):
    x, w = put(B, device), put(B, device, grad=True)
    func.jvp(lambda x: (x * w, x.sum()), (x,), (x,), strict=True)
    for f in (lambda x: (x, w * 2), lambda x: (x, x.detach())):
        close(func.jvp(f, (x,), (x,))[1][1].detach(), 0 * B)
        with pytest.raises(RuntimeError, match="jvp: strict, and output 1 does not depend"):
            func.jvp(f, (x,), (x,), strict=True)


def test_ensembles_of_modules(device):
    models = [tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.BatchNorm1d(4)).to(device).to(tg.float64) for _ in range(3)]
    for model in models:
        assert func.replace_all_batch_norm_modules_(model) is model
    x = put(A, device)
    params, buffers = func.stack_module_state(models)
    assert all(p.is_leaf and p.requires_grad for p in params.values())

    def call(params, buffers, x):
        return func.functional_call(models[0], (params, buffers), x)

    close(func.vmap(call, in_dims=(0, 0, None))(params, buffers, x), tg.stack([m(x) for m in models]).detach().cpu())
    with pytest.raises(RuntimeError, match="one class and mode"):
        func.stack_module_state([models[0], models[1].eval()])
    with pytest.raises(RuntimeError, match="weight' differ"):
        func.stack_module_state([tg.nn.Sequential(tg.nn.Linear(3, n)) for n in (2, 4)])
    with pytest.raises(RuntimeError, match="there is no module"):
        func.stack_module_state([])
    with pytest.raises(ValueError, match="several mappings"):
        func.functional_call(models[0], (params, params), x)
