"""What `tg.autograd` offers beside gradients: saved-tensor hooks, grad modes, custom functions' options."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import autograd
from tensorgrad.autograd import Function, graph
from tensorgrad.function import once_differentiable

V = np.array([0.5, -1.0, 2.0])


def put(array, device, grad=True):
    return tg.tensor(np.asarray(array, np.float64), device=device, requires_grad=grad)


def close(found, wanted):
    np.testing.assert_allclose(found.detach().cpu().numpy(), wanted, rtol=1e-12, atol=1e-12)


def test_saved_tensors_hooks(device):
    x, w = put(V, device), put(V + 1, device)
    seen = []

    def pack(t):
        seen.append(t.shape)
        return t.cpu().numpy() * 1

    with graph.saved_tensors_hooks(pack, lambda a: tg.tensor(a, device=device)):
        y = (tg.exp(x) * w).sum()
    assert seen.count((3,)) == 3  # the result of exp and both factors
    g, h = autograd.grad(y, (x, w), create_graph=True)
    close(g, np.exp(V) * (V + 1))
    close(h, np.exp(V))
    close(autograd.grad(g.sum(), x)[0], np.exp(V) * (V + 1))


def test_saved_tensors_hooks_of_a_function_and_their_errors(device):
    x = put(V, device)

    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    with graph.saved_tensors_hooks(lambda t: t * 10, lambda t: t / 10):
        y = Square.apply(x).sum()
    y.backward()
    close(x.grad, 2 * V)
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t[:1]):
        y = tg.exp(x).sum()
    with pytest.raises(ValueError, match=r"unpack_hook returned shape \(1,\)"):
        y.backward()
    with (
        graph.disable_saved_tensors_hooks("not here"),
        pytest.raises(RuntimeError, match="not here"),
        graph.saved_tensors_hooks(id, id),
    ):
        pass


def test_save_on_cpu(device):
    x = put(V, device)
    with graph.save_on_cpu():
        y = tg.exp(x).sum()
    y.backward()
    close(x.grad, np.exp(V))
    assert x.grad.device == x.device


def test_grad_of_many_cotangents(device):
    x = put(V, device)
    y = x**2
    rows = tg.tensor(np.eye(3), device=device)
    (g,) = autograd.grad(y, x, rows, is_grads_batched=True)
    close(g, np.diag(2 * V))
    with pytest.raises(RuntimeError, match="freed"):
        autograd.grad(y, x, rows[0])


def test_materialized_gradients(device):
    x, w = put(V, device), put(V, device)
    g, h = autograd.grad((x * 2).sum(), (x, w), materialize_grads=True)
    close(g, np.full(3, 2.0))
    close(h, np.zeros(3))


def test_hooks_after_accumulation(device):
    x = put(V, device)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.cpu().numpy().copy()))
    (x * 2).sum().backward()
    (x * 3).sum().backward()
    handle.remove()
    x.sum().backward()
    np.testing.assert_array_equal(seen, [np.full(3, 2.0), np.full(3, 5.0)])
    with pytest.raises(RuntimeError, match="made by multiply"):
        (x * 2).register_post_accumulate_grad_hook(print)
    handle = x.register_hook(lambda g: g * 10)
    x.grad = None
    x.sum().backward()
    handle.remove()
    close(x.grad, np.full(3, 10.0))


def test_modes():
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    with tg.set_grad_enabled(False):
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()

    @tg.set_grad_enabled(False)
    def off():
        return tg.is_grad_enabled()

    assert tg.is_grad_enabled()
    assert not off()
    with tg.inference_mode():
        assert not tg.is_grad_enabled()
        with tg.inference_mode(False):
            assert tg.is_grad_enabled()
    assert tg.inference_mode()(tg.is_grad_enabled)() is False


class Cube(Function):
    @staticmethod
    def forward(x):
        return x * x * x, x > 0

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, g, _):
        return 3 * g * ctx.saved_tensors[0] ** 2


def test_setup_context(device):
    x = put(V, device)
    y, positive = Cube.apply(x)
    assert not positive.requires_grad
    (g,) = autograd.grad(y.sum(), x, create_graph=True)
    close(g, 3 * V**2)
    close(autograd.grad(g.sum(), x)[0], 6 * V)
    close(tg.func.vmap(tg.func.grad(lambda x: Cube.apply(x)[0]))(x.detach()), 3 * V**2)


def test_a_rule_for_vmap(device):
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

        @staticmethod
        def vmap(info, in_dims, x):
            assert (info.batch_size, info.randomness, in_dims) == (3, "error", (0,))
            return Double.apply(x) + 0, 0

    x = put(V, device)
    y = tg.func.vmap(Double.apply)(x)
    close(y, 2 * V)
    close(autograd.grad(y.sum(), x)[0], np.full(3, 2.0))


def test_dirty(device):
    class Scale(Function):
        @staticmethod
        def forward(ctx, x):
            x *= 2
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, g):
            return 2 * g

    x = put(V, device)
    y = x * 1
    z = Scale.apply(y)
    assert z is y
    z.sum().backward()
    close(x.grad, np.full(3, 2.0))
    with pytest.raises(RuntimeError, match="leaf"):
        Scale.apply(x)


def test_once_differentiable(device):
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = put(V, device)
    (g,) = autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    close(g, 2 * V)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        autograd.grad(g.sum(), x)


def test_functional(device):
    x, v = put(V, device, grad=False), put(V + 3, device, grad=False)
    f = lambda x: (x**3).sum()  # noqa: E731
    functional = autograd.functional
    close(functional.jacobian(tg.sin, x), np.diag(np.cos(V)))
    close(functional.jacobian(lambda x, v: x * v, (x, v))[1], np.diag(V))
    close(functional.hessian(f, x), np.diag(6 * V))
    for product in (functional.hvp, functional.vhp):
        value, found = product(f, x, v)
        close(value, (V**3).sum())
        close(found, 6 * V * (V + 3))
    close(functional.vjp(f, x)[1], 3 * V**2)
    close(functional.jvp(tg.sin, x, v)[1], np.cos(V) * (V + 3))
    assert not functional.vjp(f, x.requires_grad_())[1].requires_grad
    assert functional.vjp(f, x, create_graph=True)[1].requires_grad
    with pytest.raises(RuntimeError, match="v can be left out"):
        functional.jvp(tg.sin, x)
