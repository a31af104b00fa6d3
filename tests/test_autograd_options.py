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


def test_strict_and_strategies(device):
    x, v = put(V, device, grad=False), put(V + 3, device, grad=False)
    functional = autograd.functional
    close(functional.jacobian(tg.sin, x, vectorize=True, strategy="forward-mode"), np.diag(np.cos(V)))
    close(functional.hessian(lambda x: (x**3).sum(), x, outer_jacobian_strategy="forward-mode"), np.diag(6 * V))
    assert isinstance(functional.vjp(lambda x: (x**2).sum(), (x,))[1], tuple)

    def half(x, v):
        return (x**2).sum(), (x * v).sum()

    close(functional.jacobian(half, (x, v))[0][1], 0 * V)
    functional.vjp(half, (x, v), (x.sum(), v.sum()), strict=True)  # of one result is enough
    for check, message in (
        (lambda: functional.jacobian(half, (x, v), strict=True), "jacobian: strict, and result 0 .* input 1"),
        (lambda: functional.jvp(lambda x, v: x, (x, v), (v, v), strict=True), "jvp: strict, and result 0 .* input 1"),
        (lambda: functional.hessian(lambda x: x.sum(), x, strict=True), "gradient 0 of the function .* input 0"),
        (lambda: functional.vhp(lambda x: x.sum(), x, v, strict=True), "vhp: strict, and gradient 0"),
        (lambda: functional.jacobian(tg.sin, x, strict=True, vectorize=True), "cannot both be True"),
    ):
        with pytest.raises(RuntimeError, match=message):
            check()
    with pytest.raises(ValueError, match="strategy must be"):
        functional.jacobian(tg.sin, x, strategy="both")


class SineTimes(Function):
    """``sin(x) * k * y`` and ``x + y``, whose backward would be wrong: forward mode must not come by there."""

    @staticmethod
    def forward(x, k, y):
        return tg.sin(x) * y * k, x + y

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, ctx.k, y = inputs
        ctx.save_for_backward(output[0])
        ctx.save_for_forward(x, y)

    @staticmethod
    def backward(ctx, g, h):
        return g + 100, None, h + 100

    @staticmethod
    def jvp(ctx, t, none, u):
        assert none is None
        x, y = ctx.saved_tensors
        return (t * tg.cos(x) * y + u * tg.sin(x)) * ctx.k, t + u


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_a_jvp_of_ones_own(device, dtype):
    def plain(x, k, y):
        return tg.sin(x) * y * k, x + y

    x, y, t, u = (
        tg.tensor(V * s + d, dtype, device) * (1 if dtype == "float64" else 1 + 0.3j * s)
        for s, d in ((1, 0), (2, 1), (-1, 0.5), (0.5, 3))
    )

    def composed(f):
        return lambda x, y: f(x * y, 2, y)[0] * f(x, 3, y)[1]

    def same(transform, *args):
        found, wanted = transform(composed(SineTimes.apply)), transform(composed(plain))
        tg.testing.assert_close(found(*args), wanted(*args), rtol=1e-12, atol=1e-12)

    same(lambda f: lambda x, y: tg.func.jvp(f, (x, y), (t, u)), x, y)
    same(lambda f: tg.func.jacfwd(f, (0, 1)), x, y)
    same(lambda f: tg.func.jacfwd(tg.func.jacfwd(f)), x, y)  # of the derivative that jvp computes
    same(lambda f: lambda x: tg.func.jvp(lambda x: tg.autograd.checkpoint(f, x, y), (x,), (t,)), x)
    same(lambda f: lambda x, y: tg.func.linearize(f, x, y)[1](t, u), x, y)
    rows = tg.stack([x, y])
    same(lambda f: tg.func.vmap(lambda x: tg.func.jvp(f, (x, y), (t, u))), rows)


def test_a_jvp_without_backward_and_with_tangents_of_none(device):
    seen = []

    class Twice(Function):
        @staticmethod
        def forward(ctx, x, y, materialize):
            ctx.set_materialize_grads(materialize)
            ctx.save_for_backward(x)
            positive = x > 0
            ctx.mark_non_differentiable(positive)
            return 2 * x, positive, y * 1

        @staticmethod
        def jvp(ctx, t, u, _):
            seen.append((t, u))
            assert ctx.saved_tensors[0].shape == (3,)
            return 2 * t, None, u

    x, y = put(V, device, grad=False), put(V, device, grad=False)
    tangent = tg.func.jvp(lambda x: Twice.apply(x, y, True)[0], (x,), (x,))[1]
    close(tangent, 2 * V)
    close(seen[-1][1], 0 * V)
    tangents = tg.func.jvp(lambda x: Twice.apply(x, y, False)[::2], (x,), (x,))[1]
    close(tangents[1], 0 * V)
    assert seen[-1][1] is None
    with pytest.raises(TypeError, match="must define backward"):
        Twice.apply(x.requires_grad_(), y, True)[0].sum().backward()


def test_errors_of_a_jvp(device):
    x = put(V, device, grad=False)

    class Wrong(Function):
        answer = None

        @staticmethod
        def forward(ctx, x):
            return x * 1, x * 2

        @staticmethod
        def jvp(ctx, t):
            return Wrong.answer

    for answer, message in (
        (x, "expected 2 tangents, one per result, got 1"),
        ((x, x[:1]), r"tangent 1 must be a Tensor of shape \(3,\) and dtype float64, got shape \(1,\)"),
        ((x, 1.0), "tangent 1 must be a Tensor"),
    ):
        Wrong.answer = answer
        with pytest.raises(RuntimeError, match=f"Wrong.jvp: {message}"):
            tg.func.jvp(Wrong.apply, (x,), (x,))


def test_hooks_of_several_gradients(device):
    x, y = put(V, device), put(V + 1, device)
    product, unused = x * y, x + y
    calls = []
    handle = graph.register_multi_grad_hook((x, y, product, unused), calls.append)
    with graph.register_multi_grad_hook((product, x, x.detach()), calls.append, mode="any"):
        product.sum().backward(retain_graph=True)
    assert len(calls) == 2
    close(calls[0], np.ones(3))
    assert [g is None for g in calls[1]] == [False, False, False, True]
    close(calls[1][1], V)
    autograd.grad(product.sum(), x, retain_graph=True)
    assert [g is None for g in calls[2]] == [False, True, False, True]
    handle.remove()
    product.sum().backward()
    assert len(calls) == 3
    with pytest.raises(ValueError, match="mode"):
        graph.register_multi_grad_hook((x,), print, mode="some")


def test_edges(device):
    x = put(V, device)
    y = x * 2
    z = (y * y).sum()
    edge = graph.get_gradient_edge(y)
    (g,) = autograd.grad(z, edge, retain_graph=True)
    close(g, 4 * V)
    (h,) = autograd.grad(edge, graph.get_gradient_edge(x), g)
    close(h, 8 * V)
    values, _ = tg.topk(x * 1, 2)
    assert graph.get_gradient_edge(values).output_nr == 0
    with pytest.raises(RuntimeError, match="edge of shape"):
        autograd.grad(edge, x)
    with pytest.raises(RuntimeError, match="does not require"):
        graph.get_gradient_edge(x.detach())


def test_a_version_counted_up(device):
    x = put(V, device)
    y = tg.exp(x)
    graph.increment_version(y)
    with pytest.raises(RuntimeError, match="overwritten"):
        y.sum().backward()


def test_anomaly_mode_on_and_off(device):
    class Failing(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            raise KeyError("mine")

    x = put(V, device)
    with autograd.detect_anomaly(check_nan=False):
        y = Failing.apply(x).sum()
        with pytest.raises(KeyError, match="mine") as caught:
            y.backward()
        assert "Failing, which was called at" in caught.value.__notes__[0]
        assert "test_autograd_options.py" in caught.value.__notes__[0]
        assert tg.isnan(autograd.grad((tg.sqrt(x * 0) * 0).sum(), x)[0]).all()
    mode = autograd.set_detect_anomaly(True)
    try:
        with pytest.raises(RuntimeError, match="sqrt gave NaN"):
            (tg.sqrt(x * 0) * 0).sum().backward()
    finally:
        mode.__exit__()
    assert tg.isnan(autograd.grad((tg.sqrt(x * 0) * 0).sum(), x)[0]).all()


class Mixed(Function):
    """Results of which one alone has a gradient; gradients in another shape and dtype than the arguments."""

    seen: list = []  # noqa: RUF012

    @staticmethod
    def forward(ctx, x, b, i, materialize):
        ctx.set_materialize_grads(materialize)
        return x + b, x * 3, i + 1, 7, None

    @staticmethod
    def backward(ctx, g, h, *others):
        Mixed.seen = [h, *others]
        g = g if h is None else g + 3 * h
        return g.astype("float32"), g, None, None


def test_results_without_gradients_and_gradients_that_must_fit(device):
    x, b, i = put(V, device), put(V[:1], device), tg.tensor([1, 2], device=device)
    for materialize in (True, False):
        y, _, j, seven, none = Mixed.apply(x, b, i, materialize)
        assert (seven, none, j.tolist(), j.requires_grad) == (7, None, [2, 3], False)
        gx, gb = autograd.grad(y.sum(), (x, b))
        assert gx.dtype == tg.float64
        close(gx, np.ones(3))
        close(gb, [3.0])
        assert (Mixed.seen[0] is None) is not materialize
        assert Mixed.seen[1:] == [None, None, None]


def test_a_result_that_is_a_part_of_an_argument(device):
    class First(Function):
        @staticmethod
        def forward(ctx, x, whole):
            return x if whole else x[:2]

        @staticmethod
        def backward(ctx, g):
            raise AssertionError

    for whole in (True, False):
        x = put(V, device)
        y = First.apply(x * 1, whole)
        with pytest.raises(RuntimeError, match=r"a result of a custom .* cannot be overwritten"):
            y *= 2
        with pytest.raises(RuntimeError, match="cannot be overwritten"):
            First.apply(x, whole)[0] = 1
        z = x * 1
        y = First.apply(z, whole)
        z *= 2  # seen in y, whose gradient nobody knows now
        with pytest.raises(RuntimeError, match="was then overwritten in place"):
            y.sum().backward()


def test_retained_gradients_come_last_and_go_along(device):
    x = put(V, device)
    for shared in (False, True):
        y = x * 1
        part = y[:1] if shared else None
        y.retain_grad()
        y.retain_grad()
        y.register_hook(lambda g: g * 5)
        (y * 2).sum().backward()
        close(y.grad, np.full(3, 10.0))
        y = x * 1
        part = y[:1] if shared else None
        y.retain_grad()
        y *= 3
        (y * 2).sum().backward()
        close(y.grad, np.full(3, 2.0))
        assert part is None or part.shape == (1,)


def test_one_of_two_registrations_is_removed(device):
    x, calls = put(V, device), []
    hook = calls.append
    first = x.register_hook(hook)
    x.register_hook(hook)
    first.remove()
    first.remove()
    (x * 2).sum().backward()
    assert len(calls) == 1
