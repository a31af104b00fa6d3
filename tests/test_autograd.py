"""The engine: order, accumulation, what it keeps and frees, hooks, in-place writes, threads."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import kernels as K
from tensorgrad.backend import to_numpy
from tensorgrad.testing import gradcheck, gradgradcheck


def leaf(data, device="cpu", dtype=tg.float64):
    return tg.tensor(data, dtype=dtype, device=device, requires_grad=True)


def shares(first, second):
    """Whether two tensors have memory in common."""
    if isinstance(first._data, np.ndarray):
        return np.shares_memory(first._data, second._data)
    return first._data.data.ptr == second._data.data.ptr


class TestOrder:
    def test_scalar_chain(self, device):
        x = leaf(0.5, device)
        tg.exp(tg.sin(x * 3)).backward()
        np.testing.assert_allclose(x.grad.item(), 3 * np.cos(1.5) * np.exp(np.sin(1.5)))

    @pytest.mark.parametrize("length", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
    def test_long_chain(self, length):
        x = leaf(1.0)
        y = x
        for _ in range(length):
            y = y + 1.0
        y.backward()
        assert x.grad.item() == 1
        del y  # nor does freeing the graph recurse
        gc.collect()

    def test_freeing_a_long_chain_does_not_recurse(self):
        x = leaf(1.0)
        y = x
        for _ in range(100_000):
            y = y * 1.0
        del y
        gc.collect()

    def test_diamond(self, device):
        x = leaf([2.0, 3.0], device)
        a = x * x
        (a * x + a).sum().backward()
        assert x.grad.tolist() == [3 * 4 + 2 * 2, 3 * 9 + 2 * 3]

    def test_many_diamonds_take_linear_time(self):
        x = leaf(1.0)
        y = x
        for _ in range(200):
            y = y + y * 0.0  # 2**200 paths
        y.backward()
        assert x.grad.item() == 1

    def test_consumer_before_its_operand_is_complete(self):
        x = leaf(3.0)
        early = x * 2
        late = tg.exp(early * 0) * early
        (late + early * x).backward()
        assert x.grad.item() == 2 + 2 * 2 * 3

    def test_one_operand_twice(self):
        x = leaf(3.0)
        (x * x).backward()
        assert x.grad.item() == 6

    def test_no_gradient_where_none_is_wanted(self):
        x, y = leaf(3.0), tg.tensor(2.0, dtype=tg.float64)
        (x * y).backward()
        assert x.grad.item() == 2
        assert y.grad is None

    def test_several_roots(self):
        x = leaf(3.0)
        tg.autograd.backward([x * 2, x * x], [tg.tensor(10.0, tg.float64), None])
        assert x.grad.item() == 20 + 6

    def test_the_same_root_twice(self):
        x = leaf(3.0)
        y = x * 2
        tg.autograd.backward([y, y])
        assert x.grad.item() == 4

    def test_root_that_is_part_of_another(self):
        x = leaf(3.0)
        y = x * 2
        tg.autograd.backward([y * y, y])
        assert x.grad.item() == 2 * 6 * 2 + 2

    def test_leaf_as_root(self):
        x = leaf(3.0)
        x.backward()
        assert x.grad.item() == 1


class TestAccumulation:
    def test_adds_up(self, device):
        x = leaf([1.0, 2.0], device)
        for _ in range(3):
            (x * 2).sum().backward()
        assert x.grad.tolist() == [6, 6]

    def test_in_place_into_the_same_tensor(self):
        x = leaf([1.0, 2.0])
        (x * 2).sum().backward()
        grad, memory = x.grad, x.grad.numpy()
        (x * 2).sum().backward()
        assert x.grad is grad
        assert np.shares_memory(x.grad.numpy(), memory)

    def test_none_starts_again(self):
        x = leaf([1.0, 2.0])
        (x * 2).sum().backward()
        x.grad = None
        (x * 5).sum().backward()
        assert x.grad.tolist() == [5, 5]

    def test_assigned_gradient_is_added_to(self):
        x = leaf([1.0, 2.0])
        x.grad = tg.tensor([10.0, 20.0], tg.float64)
        (x * 2).sum().backward()
        assert x.grad.tolist() == [12, 22]

    @pytest.mark.parametrize(
        "function",
        [
            lambda x, y: x + y,
            lambda x, y: (x + y) + (x - y),
            lambda x, y: x.reshape(2, 1).reshape(2) + y,
            lambda x, y: tg.broadcast_to(x, (2,)) + y.clone(),
            lambda x, y: x[::-1] + tg.flip(y),
            lambda x, y: tg.concat([x, y])[:2] + tg.stack([x, y])[1],
            lambda x, y: tg.concat([x, y]).reshape(2, 2).sum(0) + x,
        ],
        ids=range(7),
    )
    def test_gradients_are_memory_of_their_own(self, device, function):
        x, y = leaf([1.0, 2.0], device), leaf([3.0, 4.0], device)
        z = function(x, y)
        g = tg.tensor([1.0, 1.0], tg.float64, device)
        z.backward(g)
        for one, other in [(x.grad, y.grad), (x.grad, g), (y.grad, g), (x.grad, x), (y.grad, y), (x.grad, z)]:
            assert not shares(one, other)
        before = y.grad.tolist()
        x.grad += 100
        assert y.grad.tolist() == before
        assert g.tolist() == [1, 1]

    def test_grad_of_another_backward_is_not_written(self):
        x, y = leaf(1.0), leaf(1.0)
        z = x + y
        tg.autograd.backward(z, retain_graph=True)
        first = x.grad.detach().clone()
        y.grad += 5
        tg.autograd.backward(z)
        assert x.grad.item() == first.item() + 1
        assert y.grad.item() == 7

    def test_inputs_limits_who_gets_a_gradient(self):
        x, y = leaf(2.0), leaf(3.0)
        tg.autograd.backward(x * y, inputs=[x])
        assert x.grad.item() == 3
        assert y.grad is None

    def test_inputs_may_be_results(self):
        x = leaf(2.0)
        y = x * 3
        tg.autograd.backward(y * y, inputs=[y])
        assert y.grad.item() == 12
        assert x.grad is None

    def test_inputs_gradients_are_memory_of_their_own(self):
        x, y = leaf([2.0]), leaf([3.0])
        g = tg.ones(1, dtype=tg.float64)
        tg.autograd.backward(x + y, g, inputs=[x, y])
        assert not shares(x.grad, y.grad)
        assert not shares(x.grad, g)

    def test_broadcast_axes_are_summed(self, device):
        x, y = leaf(np.ones((3, 1)), device), leaf(np.ones(4), device)
        (x * y).backward(tg.tensor(np.arange(12.0).reshape(3, 4), device=device))
        assert x.grad.tolist() == [[6], [22], [38]]
        assert y.grad.tolist() == [12, 15, 18, 21]

    def test_gradient_takes_its_leafs_dtype(self, device):
        x, y = leaf([1.0, 2.0], device, tg.float32), leaf([1.0, 2.0], device)
        (x * y).sum().backward()
        assert x.grad.dtype == tg.float32
        assert y.grad.dtype == tg.float64


class TestGraphLifetime:
    def test_backward_twice_names_the_op_and_the_option(self):
        x = leaf(2.0)
        y = tg.exp(x)
        y.backward()
        with pytest.raises(RuntimeError, match=r"exp saved was freed.*retain_graph=True"):
            y.backward()

    def test_retain_graph(self):
        x = leaf(2.0)
        y = x * x
        y.backward(retain_graph=True)
        y.backward()
        assert x.grad.item() == 8

    def test_grad_twice(self):
        x = leaf(2.0)
        y = x * x
        tg.autograd.grad(y, x)
        with pytest.raises(RuntimeError, match="freed"):
            tg.autograd.grad(y, x)

    def test_create_graph_retains(self):
        x = leaf(2.0)
        y = x * x
        y.backward(create_graph=True)
        y.backward()
        assert x.grad.item() == 8

    def test_saved_values_are_freed_by_backward(self):
        x = leaf(np.ones(3))
        y = tg.exp(x)
        z = y.sum()
        saved = weakref.ref(y._data)
        z.backward()
        del y
        gc.collect()
        assert saved() is None
        assert z.item() == pytest.approx(3 * np.e)

    def test_saved_tensors_are_freed_on_the_way(self):
        """When the last rule runs, what the first ones read is gone."""
        x = leaf(np.ones(3))
        a = x * 2
        b = a * a
        alive = []
        a.register_hook(lambda g: alive.append(node().saved))
        node = weakref.ref(b._node)
        keep = b._node
        b.sum().backward()
        assert alive == [None]
        assert keep.saved is None

    def test_dropping_the_result_frees_the_graph_without_the_collector(self):
        gc.collect()
        gc.disable()
        try:
            x = leaf(np.ones(3))
            y = tg.exp(x)
            node, memory = weakref.ref(y._node), weakref.ref(y._data)
            z = (y * y).sum()
            del y
            assert node() is not None
            del z
            assert node() is None
            assert memory() is None
        finally:
            gc.enable()

    def test_backward_leaves_no_cycle(self):
        gc.collect()
        gc.disable()
        try:
            x = leaf(np.ones(3))
            y = tg.exp(x)
            y.sum().backward()
            memory = weakref.ref(y._data)
            del y
            assert memory() is None
        finally:
            gc.enable()

    def test_a_leaf_is_not_kept_alive_by_its_node(self):
        x = leaf(np.ones(3))
        y = x + 1  # saves nothing
        memory = weakref.ref(x._data)
        del x
        assert memory() is None
        y.sum().backward()

    @pytest.mark.parametrize(
        ("function", "saved"),
        [
            (lambda x, y: x + y, ((), ())),
            (lambda x, y: x - y, ((), ())),
            (lambda x, y: x * y, (("y",), ("x",))),
            (lambda x, y: tg.exp(x), (("out",),)),
            (lambda x, y: tg.tanh(x), (("out",),)),
            (lambda x, y: tg.sqrt(x), (("out",),)),
            (lambda x, y: tg.relu(x), (("out",),)),
            (lambda x, y: tg.log(x), (("x",),)),
            (lambda x, y: tg.sin(x), (("x",),)),
            (lambda x, y: tg.softmax(x), (("out",),)),
            (lambda x, y: x.clone(), ((),)),
            (lambda x, y: tg.sum(x), ((),)),
            (lambda x, y: tg.mean(x), ((),)),
            (lambda x, y: tg.reshape(x, (3, 1)), ((),)),
            (lambda x, y: x @ y, None),
        ],
    )
    def test_ops_save_what_their_rules_need_and_nothing_else(self, function, saved):
        x, y = leaf([1.0, 2.0, 3.0]), leaf([1.0, 2.0, 3.0])
        out = function(x, y)
        if saved is None:
            return
        names = {id(x._data): "x", id(y._data): "y", id(out._data): "out"}

        def name(value):
            array = value._data if isinstance(value, tg.Tensor) else value
            return names.get(id(array), "?") if isinstance(array, np.ndarray) else None

        found = tuple(tuple(n for n in map(name, values) if n is not None) for values in out._node.saved)
        assert found == saved

    def test_only_what_the_wanted_gradients_need_is_saved(self):
        x, y = leaf(np.ones(3)), tg.ones(3, dtype=tg.float64)
        product = x * y
        memory = weakref.ref(x._data)
        del x
        assert memory() is None  # only y's gradient would need x
        product.sum().backward()


class TestGrad:
    def test_returns_and_touches_nothing(self, device):
        x, y = leaf(2.0, device), leaf(3.0, device)
        dx, dy = tg.autograd.grad(x * x * y, [x, y])
        assert (dx.item(), dy.item()) == (12, 4)
        assert x.grad is None
        assert y.grad is None

    def test_of_a_result(self):
        x = leaf(2.0)
        y = x * 3
        z = y * y
        dy, dx = tg.autograd.grad(z, [y, x])
        assert (dy.item(), dx.item()) == (12, 36)

    def test_of_the_output_itself(self):
        x = leaf(2.0)
        y = x * 3
        (dy,) = tg.autograd.grad(y, y)
        assert dy.item() == 1

    def test_the_same_input_twice(self):
        x = leaf(2.0)
        first, second = tg.autograd.grad(x * 3, [x, x])
        assert first.item() == second.item() == 3

    def test_unused(self):
        x, y = leaf(2.0), leaf(np.ones((2, 3)))
        with pytest.raises(RuntimeError, match=r"input 1 \(shape \(2, 3\)\).*allow_unused=True"):
            tg.autograd.grad(x * x, [x, y])
        dx, dy = tg.autograd.grad(x * x, [x, y], allow_unused=True)
        assert dx.item() == 4
        assert dy is None

    def test_grad_outputs(self):
        x = leaf([1.0, 2.0])
        y, z = x * 2, x.sum()
        (dx,) = tg.autograd.grad([y, z], x, [tg.tensor([1.0, 10.0], tg.float64), None])
        assert dx.tolist() == [3, 21]

    def test_does_not_walk_what_is_not_needed(self):
        x, y = leaf(2.0), leaf(3.0)
        expensive = tg.exp(y)
        launched = []

        def hook(kernel, args, params, run):
            launched.append(kernel.name)
            return run()

        out = x * expensive
        K.add_hook(hook)
        try:
            tg.autograd.grad(out, x)
        finally:
            K.remove_hook(hook)
        assert launched.count("multiply") == 1

    def test_second_order(self, device):
        x = leaf([0.5, 1.5], device)
        (first,) = tg.autograd.grad(tg.sin(x).sum(), x, create_graph=True)
        assert first.requires_grad
        (second,) = tg.autograd.grad(first.sum(), x, create_graph=True)
        (third,) = tg.autograd.grad(second.sum(), x)
        np.testing.assert_allclose(to_numpy(second._data), -np.sin([0.5, 1.5]))
        np.testing.assert_allclose(to_numpy(third._data), -np.cos([0.5, 1.5]))
        assert not third.requires_grad

    def test_gradient_penalty(self):
        x, w = leaf([0.5, -1.0]), leaf([2.0, 3.0])
        (g,) = tg.autograd.grad(tg.tanh((x * w).sum()), x, create_graph=True)
        (g * g).sum().backward()
        gradgradcheck(lambda x, w: tg.tanh((x * w).sum()), [x, w])
        s = np.tanh(-2.0)
        # |g|^2 = (1 - s^2)^2 |w|^2, with s = tanh(x.w)
        slope = (1 - s**2) ** 2
        wanted = 2 * slope * w.detach().numpy() + 2 * (1 - s**2) * -2 * s * (1 - s**2) * 13 * x.detach().numpy()
        np.testing.assert_allclose(w.grad.numpy(), wanted)

    def test_backward_create_graph(self):
        x = leaf(2.0)
        (x**3).backward(create_graph=True)
        assert x.grad.requires_grad
        (second,) = tg.autograd.grad(x.grad, x)
        assert second.item() == 12

    def test_derivative_of_the_result_through_what_it_saved(self):
        """The result that a rule saved takes part in the graph, not just its value."""
        x = leaf(0.7)
        gradgradcheck(lambda x: tg.exp(tg.tanh(x)), x)

    def test_number_of_grad_outputs(self):
        x = leaf([1.0])
        with pytest.raises(ValueError, match="2 outputs need as many gradients, got 1"):
            tg.autograd.grad([x * 2, x], x, [tg.ones(1, dtype=tg.float64)])


class TestErrors:
    def test_not_a_scalar(self):
        with pytest.raises(RuntimeError, match=r"shape \(2, 3\).*sum"):
            (leaf(np.ones((2, 3))) * 2).backward()

    def test_requires_no_gradient(self):
        with pytest.raises(RuntimeError, match=r"shape \(2,\), dtype float32.*does not require a gradient.*no_grad"):
            tg.ones(2).backward()

    def test_gradient_of_the_wrong_shape(self):
        with pytest.raises(ValueError, match=r"gradient has shape \(2,\), the tensor has shape \(3,\)"):
            (leaf(np.ones(3)) * 2).backward(tg.ones(2, dtype=tg.float64))

    def test_gradient_of_the_wrong_dtype(self):
        with pytest.raises(TypeError, match="gradient has dtype float32, the tensor has dtype float64"):
            (leaf(np.ones(3)) * 2).backward(tg.ones(3))

    def test_gradient_that_is_no_tensor(self):
        with pytest.raises(TypeError, match="must be a Tensor, got ndarray"):
            (leaf(np.ones(3)) * 2).backward(np.ones(3))

    def test_input_without_gradient(self):
        x = leaf(2.0)
        with pytest.raises(RuntimeError, match="input 1 does not require a gradient"):
            tg.autograd.grad(x * 2, [x, tg.ones(())])

    def test_integers_have_no_gradient(self):
        with pytest.raises(TypeError, match=r"floating.*int64"):
            tg.tensor([1, 2], requires_grad=True)

    def test_requires_grad_of_a_result_cannot_be_cleared(self):
        y = leaf(2.0) * 2
        with pytest.raises(RuntimeError, match=r"made by multiply; use \.detach\(\)"):
            y.requires_grad = False


class TestHooks:
    def test_order_and_replacement(self):
        x = leaf(2.0)
        seen = []
        x.register_hook(lambda g: seen.append(("first", g.item())) or g * 10)
        x.register_hook(lambda g: seen.append(("second", g.item())))
        (x * 3).backward()
        assert seen == [("first", 3), ("second", 30)]
        assert x.grad.item() == 30

    def test_sees_the_complete_gradient_once(self):
        x = leaf(2.0)
        y = x * 3
        seen = []
        y.register_hook(lambda g: seen.append(g.item()))
        (y * y + y).backward()
        assert seen == [13]

    def test_replacement_flows_on(self):
        x = leaf(2.0)
        y = x * 3
        y.register_hook(lambda g: g * 0)
        (y + x).backward()
        assert x.grad.item() == 1

    def test_removal(self):
        x = leaf(2.0)
        seen = []
        remove = x.register_hook(lambda g: seen.append(1))
        x.register_hook(lambda g: seen.append(2))
        remove()
        (x * 3).backward()
        assert seen == [2]
        remove()  # once more does no harm

    def test_removing_all(self):
        x = leaf(2.0)
        remove = x.register_hook(lambda g: g * 100)
        remove()
        (x * 3).backward()
        assert x.grad.item() == 3

    def test_what_a_hook_keeps_is_not_overwritten(self):
        x = leaf([1.0, 2.0])
        y = x * 1
        kept = []
        y.register_hook(kept.append)
        (y + y + x).sum().backward()
        (x * 5).sum().backward()
        assert kept[0].tolist() == [2, 2]
        assert x.grad.tolist() == [8, 8]
        assert not shares(kept[0], x.grad)

    def test_hook_on_a_leaf_may_keep_the_gradient(self):
        x = leaf([1.0, 2.0])
        kept = []
        x.register_hook(kept.append)
        (x * 3).sum().backward()
        (x * 5).sum().backward()
        assert kept[0].tolist() == [3, 3]

    def test_with_create_graph_the_gradient_is_recorded(self):
        x = leaf(2.0)
        recorded = []
        x.register_hook(lambda g: recorded.append(g.requires_grad))
        (x**3).backward(create_graph=True)
        (x**3).backward()
        assert recorded == [True, False]

    def test_runs_in_grad(self):
        x = leaf(2.0)
        y = x * 3
        y.register_hook(lambda g: g * 10)
        (dx,) = tg.autograd.grad(y * 1, x)
        assert dx.item() == 30

    def test_wrong_shape(self):
        x = leaf([2.0, 3.0])
        x.register_hook(lambda g: tg.ones(3))
        with pytest.raises(ValueError, match=r"hook: expected a gradient of shape \(2,\)"):
            (x * 3).sum().backward()

    def test_error_in_a_hook_leaves_the_engine_usable(self):
        x = leaf(2.0)
        remove = x.register_hook(lambda g: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            (x * 3).backward()
        remove()
        assert tg.is_grad_enabled()
        y = x * 3
        assert y.requires_grad
        y.backward()
        assert x.grad.item() == 3

    def test_needs_a_gradient(self):
        with pytest.raises(RuntimeError, match="does not require a gradient"):
            tg.ones(1).register_hook(print)

    def test_retain_grad(self):
        x = leaf(2.0)
        y = x * 3
        y.retain_grad()
        (y * y).backward(retain_graph=False)
        assert y.grad.item() == 12
        x.retain_grad()
        assert x.grad.item() == 36

    def test_retain_grad_does_not_keep_its_tensor_alive(self):
        x = leaf(2.0)
        y = x * 3
        y.retain_grad()
        gone = weakref.ref(y)
        z = y + 1
        del y
        assert gone() is None
        z.backward()
        assert x.grad.item() == 3


class TestGradMode:
    def test_no_grad(self):
        x = leaf(2.0)
        with tg.no_grad():
            assert not tg.is_grad_enabled()
            assert not (x * 2).requires_grad
            with tg.enable_grad():
                assert (x * 2).requires_grad
            assert not (x * 2).requires_grad
        assert (x * 2).requires_grad

    def test_decorators(self):
        x = leaf(2.0)

        @tg.no_grad()
        def plain():
            """Its docstring."""
            return x * 2

        @tg.enable_grad()
        def recorded():
            return x * 2

        assert not plain().requires_grad
        assert plain.__doc__ == "Its docstring."
        with tg.no_grad():
            assert recorded().requires_grad
        assert plain.__name__ == "plain"

    def test_set_grad_enabled(self):
        x = leaf(2.0)
        for mode in (False, True):
            with tg.set_grad_enabled(mode):
                assert (x * 2).requires_grad is mode

    def test_restored_after_an_error(self):
        with pytest.raises(ZeroDivisionError), tg.no_grad():
            1 / 0  # noqa: B018
        assert tg.is_grad_enabled()

    def test_recursion_through_a_decorated_function(self):
        @tg.no_grad()
        def down(n):
            assert not tg.is_grad_enabled()
            return down(n - 1) if n else 0

        down(3)
        assert tg.is_grad_enabled()

    def test_leaves_made_under_no_grad(self):
        with tg.no_grad():
            x = tg.ones(2, requires_grad=True)
        assert x.requires_grad
        (x * 2).sum().backward()
        assert x.grad.tolist() == [2, 2]

    def test_is_per_thread(self):
        inside = []
        with tg.no_grad():
            thread = threading.Thread(target=lambda: inside.append(tg.is_grad_enabled()))
            thread.start()
            thread.join()
        assert inside == [True]

    def test_first_order_gradients_are_not_recorded(self):
        x = leaf(2.0)
        (x**3).backward()
        assert not x.grad.requires_grad


class TestThreads:
    def test_backwards_at_once(self):
        def work(seed):
            random = np.random.default_rng(seed)
            w, x = leaf(random.normal(size=(20, 20))), random.normal(size=(5, 20))
            y = tg.tensor(x)
            for _ in range(30):
                y = tg.tanh(y @ w)
            y.sum().backward()
            return w.grad.numpy()

        with ThreadPoolExecutor(4) as pool:
            parallel = list(pool.map(work, range(16)))
        for seed, found in enumerate(parallel):
            np.testing.assert_array_equal(found, work(seed))

    def test_graph_made_in_one_thread_walked_in_another(self):
        x = leaf(2.0)
        y = tg.exp(x) * x
        with ThreadPoolExecutor(1) as pool:
            pool.submit(y.backward).result()
        np.testing.assert_allclose(x.grad.item(), 3 * np.exp(2))

    def test_recording_while_another_thread_goes_back(self):
        """The engine's own mode stays in its thread."""
        x = leaf(np.ones(10))
        stop, wrong = threading.Event(), []

        def record():
            while not stop.is_set():
                y = tg.sin(x) * 2
                if not isinstance(y, tg.Tensor) or not y.requires_grad:
                    wrong.append(y)

        thread = threading.Thread(target=record)
        thread.start()
        for _ in range(200):
            z = leaf(np.ones(10))
            (tg.sin(z) * 2).sum().backward()
        stop.set()
        thread.join()
        assert not wrong


class TestInPlace:
    def test_recorded(self, device):
        x, y = leaf([1.0, 2.0], device), leaf([3.0, 4.0], device)
        z = x * 2
        z += y
        z *= 3
        z.sum().backward()
        assert z.tolist() == [15, 24]
        assert x.grad.tolist() == [6, 6]
        assert y.grad.tolist() == [3, 3]

    @pytest.mark.parametrize("op", ["__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"])
    def test_equals_out_of_place(self, op):
        def function(x, y):
            z = x * 1.5
            z = getattr(z, op)(y)
            return z * x

        gradcheck(function, [leaf([1.1, 2.0]), leaf([0.5, 2.5])])

    def test_identity_is_kept(self):
        x = tg.ones(2)
        same = x
        x += 1
        assert same is x
        assert same.tolist() == [2, 2]

    def test_memory_is_kept_without_recording(self):
        x = tg.ones(2)
        memory = x.numpy()
        x += 1
        x[0] = 5
        assert memory.tolist() == [5, 2]

    def test_overwritten_operand(self):
        x = leaf([1.0, 2.0])
        factor = tg.tensor([3.0, 4.0], tg.float64)
        y = x * factor
        factor += 1
        with pytest.raises(RuntimeError, match=r"multiply needs an operand \(shape \(2,\)\).*overwritten.*clone"):
            y.sum().backward()

    def test_overwritten_operand_that_no_rule_needs(self):
        x = leaf([1.0, 2.0])
        other = tg.tensor([3.0, 4.0], tg.float64)
        y = x + other
        other += 1
        y.sum().backward()
        assert x.grad.tolist() == [1, 1]

    def test_overwritten_result(self):
        x = leaf([1.0, 2.0])
        y = tg.exp(x)
        with tg.no_grad():
            y += 1
        with pytest.raises(RuntimeError, match=r"exp needs its result.*overwritten"):
            y.sum().backward()

    def test_overwritten_result_that_no_rule_needs(self):
        x = leaf([1.0, 2.0])
        y = tg.sin(x)
        with tg.no_grad():
            y += 1
        y.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), np.cos([1, 2]))

    @pytest.mark.parametrize("through", ["detach", "slice", "reshape", "data"])
    def test_overwritten_through_shared_memory(self, through):
        x = leaf([1.0, 2.0])
        factor = tg.tensor([3.0, 4.0], tg.float64)
        y = x * factor
        if through == "detach":
            other = factor.detach()
            other += 1
        elif through == "data":
            factor.data += 1
        elif through == "slice":
            other = factor[:1]
            other += 1
        else:
            other = factor.reshape(2, 1)
            other[0] = 5
        with pytest.raises(RuntimeError, match="overwritten"):
            y.sum().backward()

    def test_overwritten_operand_under_create_graph(self):
        x = leaf([1.0, 2.0])
        factor = tg.tensor([3.0, 4.0], tg.float64)
        y = x * factor
        factor += 1
        with pytest.raises(RuntimeError, match="overwritten"):
            y.sum().backward(create_graph=True)

    def test_recorded_write_after_the_value_was_saved(self):
        """The old value stays valid where nobody else shares the memory, or else the backward says so."""
        x = leaf([1.0, 2.0])
        y = x * 2
        z = y * y
        y += 1
        try:
            (z.sum() + y.sum()).backward()
        except RuntimeError as error:
            assert "overwritten" in str(error)  # noqa: PT017
        else:
            assert x.grad.tolist() == [8 + 2, 16 + 2]

    def test_write_before_use_is_no_error(self):
        x = leaf([1.0, 2.0])
        factor = tg.tensor([3.0, 4.0], tg.float64)
        factor += 1
        (x * factor).sum().backward()
        assert x.grad.tolist() == [4, 5]

    def test_leaf(self):
        x = leaf([1.0, 2.0])
        with pytest.raises(RuntimeError, match=r"iadd: a leaf.*no_grad"):
            x += 1
        with pytest.raises(RuntimeError, match=r"setitem: a leaf.*no_grad"):
            x[0] = 1
        with tg.no_grad():
            x += 1
        assert x.tolist() == [2, 3]
        assert x.requires_grad

    @pytest.mark.parametrize(
        "view", [lambda x: x[:1], lambda x: x.reshape(2), lambda x: x.T], ids=["slice", "reshape", "T"]
    )
    def test_view_of_a_leaf(self, view):
        y = view(leaf([[1.0], [2.0]]))
        with pytest.raises(RuntimeError, match=r"iadd: a leaf.*view"):
            y += 1

    def test_write_to_a_view_reaches_its_base(self):
        def function(x, v):
            y = x * 2
            part = y[1:]
            part *= v
            return y * x, part * 3

        def reference(x, v):
            part = x[1:] * 2 * v
            return tg.concat([x[:1] * 2, part]) * x, part * 3

        self._same_gradients(function, reference)

    def test_write_to_a_base_reaches_its_view(self):
        def function(x, v):
            y = x * 2
            part = y[1:]
            y *= v.sum()
            return (part * x[1:],)

        def reference(x, v):
            return ((x * 2 * v.sum())[1:] * x[1:],)

        self._same_gradients(function, reference)

    def test_setitem_on_a_view_of_a_view(self):
        def function(x, v):
            y = x * 2
            part = y.reshape(3, 1)[1:].reshape(2)
            part[0] = v[1] * v[0]
            return (y * x,)

        def reference(x, v):
            y = x * 2
            return (tg.stack([y[0], v[1] * v[0], y[2]]) * x,)

        self._same_gradients(function, reference)

    @staticmethod
    def _same_gradients(function, reference):
        inputs = [np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.5])]
        results = []
        for f in (function, reference):
            x, v = map(leaf, inputs)
            outputs = f(x, v)
            sum(y.sum() for y in outputs).backward()
            results.append([*(y.detach().numpy() for y in outputs), x.grad.numpy(), v.grad.numpy()])
        for found, wanted in zip(*results, strict=True):
            np.testing.assert_allclose(found, wanted)

    def test_setitem(self, device):
        def function(x, v):
            y = x * 2
            y[1:, 0] = v
            y[0] = 3.0
            return y * x

        gradcheck(function, [leaf(np.arange(6.0).reshape(3, 2), device), leaf([0.5, 1.5], device)])

    def test_setitem_into_a_tensor_without_gradient(self):
        y = tg.zeros(3, dtype=tg.float64)
        v = leaf([1.0, 2.0])
        y[1:] = v * 3
        (y * y).sum().backward()
        assert v.grad.tolist() == [2 * 9 * 1, 2 * 9 * 2]

    def test_shape_must_stay(self):
        x = tg.ones(2)
        with pytest.raises(ValueError, match=r"iadd|add.*\(2,\).*\(3, 2\)|broadcast"):
            x += tg.ones(3, 2)
        y = leaf([1.0, 2.0]) * 1
        with pytest.raises(ValueError, match=r"iadd: the result has shape \(3, 2\).*\(2,\)"):
            y += tg.ones(3, 2, dtype=tg.float64)

    def test_dtype_must_fit(self):
        x = tg.tensor([1, 2])
        with pytest.raises(TypeError, match=r"iadd: the result is float32.*int64"):
            x += 0.5
        with pytest.raises(TypeError, match=r"itruediv.*int64"):
            x /= 2
        with pytest.raises(TypeError, match=r"setitem: a float32 value.*int64.*astype"):
            x[0] = 0.5

    def test_version_counts_writes(self):
        x = tg.ones(3)
        assert x._version == 0
        x += 1
        x[0] = 2
        assert x._version == 2
        assert x.detach()._version == 2

    def test_detach_shares_memory(self):
        x = leaf([1.0, 2.0])
        y = x.detach()
        assert not y.requires_grad
        assert shares(x, y)
        y[0] = 5
        assert x.tolist() == [5, 2]
        assert x._version == y._version == 1

    def test_data(self):
        x = leaf([1.0, 2.0])
        x.data = tg.tensor([3.0, 4.0], tg.float64)
        assert x.tolist() == [3, 4]
        assert x.requires_grad
        assert x.is_leaf
        (x * x).sum().backward()
        assert x.grad.tolist() == [6, 8]
        x.data -= 0.5 * x.grad
        assert x.tolist() == [0, 0]

    def test_data_replaced_after_it_was_saved(self):
        x = leaf([1.0, 2.0])
        y = x * x
        x.data = tg.tensor([30.0, 40.0], tg.float64)
        with pytest.raises(RuntimeError, match="overwritten"):
            y.sum().backward()

    def test_sgd_by_hand(self):
        x = leaf([1.0, 2.0])
        for _ in range(3):
            (x * x).sum().backward()
            with tg.no_grad():
                x -= 0.25 * x.grad
            x.grad = None
        assert x.tolist() == [0.125, 0.25]


class TestSeveralOutputs:
    def test_custom_function(self, device):
        class Both(tg.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * 2, x * x

            @staticmethod
            def backward(ctx, first, second):
                (x,) = ctx.saved_tensors
                return first * 2 + second * 2 * x

        x = leaf([1.0, 2.0], device)
        a, b = Both.apply(x)
        b.sum().backward(retain_graph=True)
        assert x.grad.tolist() == [2, 4]
        x.grad = None
        (a * b).sum().backward()
        assert x.grad.tolist() == [6, 24]
        gradcheck(lambda x: Both.apply(x), leaf([0.5, 1.5], device))


class TestGradcheck:
    def test_finds_a_wrong_gradient(self):
        class Wrong(tg.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 2

            @staticmethod
            def backward(ctx, g):
                return g * 2.001

        x = leaf([[1.0, 2.0]])
        assert gradcheck(lambda x: Wrong.apply(x), x)  # within the default tolerances
        with pytest.raises(AssertionError, match=r"output 0 at \(0, 0\) with respect to input 0 at \(0, 0\) is 2\.001"):
            gradcheck(lambda x: Wrong.apply(x), x, rtol=1e-5)
        assert not gradcheck(lambda x: Wrong.apply(x), x, rtol=1e-5, raise_exception=False)

    def test_finds_a_missing_gradient(self):
        with pytest.raises(AssertionError, match="depends on input 0 but does not require a gradient"):
            gradcheck(lambda x: x.detach() * 2, leaf([1.0]))

    def test_second_order_finds_a_detached_gradient(self):
        class Once(tg.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, g):
                return g * ctx.saved_tensors[0].detach() * 2

        x = leaf([1.0, 2.0])
        assert gradcheck(lambda x: Once.apply(x), x)
        assert not gradgradcheck(lambda x: Once.apply(x), x, raise_exception=False)

    def test_needs_float64(self):
        with pytest.raises(ValueError, match="input 0 is float32"):
            gradcheck(tg.exp, tg.ones(2, requires_grad=True))
        with pytest.raises(ValueError, match="none of the 1 inputs"):
            gradcheck(tg.exp, tg.ones(2))
