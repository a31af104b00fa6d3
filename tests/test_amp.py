"""Automatic mixed precision: which ops run in which dtype, and the scaling of gradients."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn

pytest.importorskip("ml_dtypes")

HALVES = ["float16", "bfloat16"]


def on(device):
    return tg.amp.autocast(device, dtype="bfloat16")


@pytest.mark.parametrize("half", HALVES)
class TestDtypes:
    def test_products_run_in_the_half_type(self, device, half):
        a, b = tg.ones(2, 3, device=device), tg.ones(3, 4, device=device)
        with tg.amp.autocast(device, dtype=half):
            assert str((a @ b).dtype) == half
            assert str(nn.functional.linear(a, tg.ones(4, 3, device=device)).dtype) == half

    def test_delicate_functions_run_in_float32(self, device, half):
        x = tg.ones(2, 3, device=device, dtype=half)
        with tg.amp.autocast(device, dtype=half):
            for y in (tg.exp(x), tg.log(x), x**3, tg.softmax(x), tg.log_softmax(x), x.sum(), tg.prod(x)):
                assert y.dtype == tg.float32
            loss = nn.functional.cross_entropy(x, tg.tensor([0, 2], device=device))
            assert loss.dtype == tg.float32
        assert str(tg.exp(x).dtype) == half

    def test_other_functions_keep_or_promote(self, device, half):
        x = tg.ones(2, 3, device=device, dtype=half)
        with tg.amp.autocast(device, dtype=half):
            assert str((x * x).dtype) == half
            assert (x + tg.ones(3, device=device)).dtype == tg.float32

    def test_float64_and_integers_stay(self, device, half):
        with tg.amp.autocast(device, dtype=half):
            a = tg.ones(2, 2, device=device, dtype="float64")
            assert (a @ a).dtype == tg.float64
            n = tg.ones(2, 2, device=device, dtype="int64")
            assert (n @ n).dtype == tg.int64


class TestRegion:
    def test_gradients_arrive_in_the_parameters_dtype(self, device):
        tg.manual_seed(0)
        model = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 4)).to(device)
        x, y = tg.randn(5, 8, device=device), tg.tensor([0, 1, 2, 3, 0], device=device)
        nn.functional.cross_entropy(model(x), y).backward()
        exact = [p.grad.cpu().numpy() for p in model.parameters()]
        model.zero_grad()
        with on(device):
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        for p, g in zip(model.parameters(), exact, strict=True):
            assert p.grad.dtype == tg.float32
            np.testing.assert_allclose(p.grad.cpu().numpy(), g, atol=0.02)
            assert (p.grad.cpu().numpy() != g).any()  # it did run in bfloat16

    def test_a_weight_is_cast_once(self, device):
        w = tg.ones(3, 3, device=device, requires_grad=True)
        x = tg.ones(2, 3, device=device)
        casts = []

        def hook(kernel, args, params, run):
            if kernel.name == "cast" and args[0] is w._data:
                casts.append(kernel)
            return run()

        tg.kernels.add_hook(hook)
        try:
            with on(device):
                (x @ w, x @ w)
            assert len(casts) == 1
            with tg.amp.autocast(device, dtype="bfloat16", cache_enabled=False):
                (x @ w, x @ w)
            assert len(casts) == 3
        finally:
            tg.kernels.remove_hook(hook)

    def test_an_updated_weight_is_cast_again(self, device):
        w = tg.ones(2, 2, device=device, requires_grad=True)
        x = tg.ones(1, 2, device=device)
        with on(device):
            before = (x @ w).tolist()
            with tg.no_grad():
                w *= 2
            assert (x @ w).tolist() == [[2 * v for v in before[0]]]

    def test_nested_regions_and_disabled_ones(self, device):
        a = tg.ones(2, 2, device=device)
        with on(device):
            with tg.amp.autocast(device, enabled=False):
                assert (a @ a).dtype == tg.float32
            with tg.amp.autocast(device, dtype="float16"):
                assert (a @ a).dtype == tg.float16
            assert str((a @ a).dtype) == "bfloat16"
        assert (a @ a).dtype == tg.float32

    def test_as_a_decorator(self, device):
        @on(device)
        def product(a):
            return a @ a

        assert str(product(tg.ones(2, 2, device=device)).dtype) == "bfloat16"

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"device_type": "tpu"}, "device_type must be 'cpu' or 'cuda', got 'tpu'"),
            ({"device_type": "cpu", "dtype": "float32"}, "must be float16 or bfloat16, got float32"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            tg.amp.autocast(**options)


class TestGradScaler:
    def parts(self, device, value=1.0):
        w = tg.full((2,), value, device=device, requires_grad=True)
        return w, tg.optim.SGD([w], lr=0.5)

    def test_a_step_is_that_of_the_unscaled_loss(self, device):
        w, optimizer = self.parts(device)
        scaler = tg.amp.GradScaler(device, init_scale=1024.0)
        scaler.scale((w * w).sum()).backward()
        assert w.grad.tolist() == [2048.0, 2048.0]
        scaler.step(optimizer)
        assert w.tolist() == [0.0, 0.0]

    def test_overflow_skips_the_step_and_backs_off(self, device):
        w, optimizer = self.parts(device)
        scaler = tg.amp.GradScaler(device, init_scale=8.0)
        scaler.scale((w * float("inf")).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert w.tolist() == [1.0, 1.0]
        assert scaler.get_scale() == 4.0

    def test_growth_after_the_interval(self, device):
        w, optimizer = self.parts(device)
        scaler = tg.amp.GradScaler(device, init_scale=2.0, growth_interval=2)
        scales = []
        for _ in range(4):
            optimizer.zero_grad()
            scaler.scale(w.sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
        assert scales == [2.0, 4.0, 4.0, 8.0]

    def test_unscale_for_clipping(self, device):
        w, optimizer = self.parts(device)
        scaler = tg.amp.GradScaler(device, init_scale=16.0)
        scaler.scale((w * 3).sum()).backward()
        scaler.unscale_(optimizer)
        assert w.grad.tolist() == [3.0, 3.0]
        with pytest.raises(RuntimeError, match="already unscaled"):
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        assert w.tolist() == [-0.5, -0.5]
        with pytest.raises(RuntimeError, match="already called"):
            scaler.step(optimizer)

    def test_state_round_trip(self, device):
        scaler = tg.amp.GradScaler(device, init_scale=2.0, growth_interval=7)
        other = tg.amp.GradScaler(device)
        other.load_state_dict(scaler.state_dict())
        assert other.state_dict() == scaler.state_dict()
        with pytest.raises(RuntimeError, match="empty"):
            other.load_state_dict({})

    def test_disabled_passes_everything_through(self, device):
        w, optimizer = self.parts(device)
        scaler = tg.amp.GradScaler(device, enabled=False)
        loss = w.sum()
        assert scaler.scale(loss) is loss
        loss.backward()
        scaler.step(optimizer)
        scaler.update()
        assert w.tolist() == [0.5, 0.5]
        assert scaler.state_dict() == {}

    def test_float16_gradients_are_refused(self, device):
        w = tg.ones(2, device=device, dtype="float16", requires_grad=True)
        scaler = tg.amp.GradScaler(device)
        scaler.scale(w.sum()).backward()
        with pytest.raises(ValueError, match="keep parameters in float32"):
            scaler.step(tg.optim.SGD([w], lr=0.1))

    def test_update_without_a_step(self, device):
        with pytest.raises(RuntimeError, match="no gradients were unscaled"):
            tg.amp.GradScaler(device).update()


def _chains():
    nn = tg.nn
    picture, row = (5, 2, 6, 6), (5, 4)
    return {
        "batch norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1)), picture),
        "batch norm of rows": (lambda: nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)), row),
        "group norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Conv2d(4, 3, 2)), picture),
        "instance norm": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4, affine=True)), picture),
        "layer norm": (lambda: nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 3)), row),
        "rms norm": (lambda: nn.Sequential(nn.Linear(4, 6), nn.RMSNorm(6), nn.Linear(6, 3)), row),
    }  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", _chains())
def test_norms_between_products(name, half, training, device):
    """Products give half-precision inputs to norms, whose parameters are in float32; inputs may be halves as well."""
    make, shape = _chains()[name]
    x = tg.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32), device=device)

    def run(dtype, given):
        tg.manual_seed(0)
        model = make().to(device).train(training)
        with tg.amp.autocast(device, dtype=dtype or "float16", enabled=dtype is not None):
            y = model(given)
        (y.astype(tg.float32) ** 3).mean().backward()
        state = [b.cpu().numpy() for b in model.buffers()]
        return y, [p.grad.cpu().numpy() for p in model.parameters()], state

    exact, gradients, buffers = run(None, x)
    limit = 0.02 if half == "float16" else 0.1
    for given in (x, x.astype(half)):
        y, found, state = run(half, given)
        assert y.dtype == (tg.float32 if name == "instance norm" else tg.dtypes.dtype_of(half))
        for a, b in zip(
            [exact.detach().cpu().numpy(), *gradients],
            [y.detach().cpu().astype("float32").numpy(), *found],
            strict=True,
        ):
            np.testing.assert_allclose(b, a, atol=limit * max(np.abs(a).max(), 0.3))
        for a, b in zip(buffers, state, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(b, a, rtol=limit, atol=limit)


def test_half_inputs_of_norms_with_float32_parameters(device):
    """As in PyTorch, also outside of autocast: computed in float32, given in the input's dtype."""
    x = tg.randn(4, 6, 5, device=device)
    for layer in (tg.nn.BatchNorm1d(6), tg.nn.GroupNorm(2, 6), tg.nn.LayerNorm(5), tg.nn.RMSNorm(5)):
        layer.to(device)
        y = layer(x.astype(tg.float16))
        assert y.dtype == tg.float16
        np.testing.assert_allclose(
            y.detach().cpu().numpy().astype(np.float32), layer(x).detach().cpu().numpy(), atol=5e-3
        )
