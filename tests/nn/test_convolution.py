"""Convolution, pooling and padding layers against values of PyTorch 2.13 (computed in float64)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F

X = (np.arange(80.0).reshape(2, 2, 4, 5) * 7 % 11) / 4 - 1
W = (np.arange(24.0).reshape(4, 1, 2, 3) * 5 % 7) / 2 - 1


def placed(values, device):
    return tg.tensor(np.asarray(values), device=device)


def test_values(device):
    x, w = placed(X, device), placed(W, device)
    for found, wanted in (
        (
            F.conv2d(x, w, padding="same", groups=2).sum(axis=(0, 1)),
            [5.25, 12.25, 8.5, -0.75, 3.75, 3.25, 7.25, 2.125, 3.875, 7.125, -0.125, 3.625, 12.25, 8.5, -0.5, -0.5,
             6.875, 7.5, -2.875, -0.125],
        ),
        (
            F.conv_transpose2d(x[:, :, :2, :2], w.reshape(2, 2, 2, 3), stride=2, padding=1, output_padding=1).sum(
                axis=(0, 1)
            ),
            [-0.125, -1.625, 2.5, 0.0, 1.625, -3.5, 0.0, 2.5, 3.375, 0.5, 0.5, 3.0],
        ),
        (
            F.adaptive_avg_pool2d(x[0], (3, 2)),
            [0.08333333, 0.375, 0.125, 0.41666667, 0.16666667, 0.45833333, 0.25, 0.08333333, 0.29166667, 0.125,
             0.33333333, 0.16666667],
        ),
        (
            F.adaptive_max_pool2d(x[0], (3, 2)),
            [1.25, 1.5, 1.25, 1.5, 1.25, 1.5, 1.5, 1.25, 1.5, 1.25, 1.5, 1.25],
        ),
        (
            F.lp_pool2d(x[0].abs(), 3.0, 2),
            [1.51829449, 1.56433119, 1.07721735, 1.3400271, 1.65096362, 1.51829449, 1.68832835, 1.07721735],
        ),
        (
            F.pad(x[0, 0, :2], (2, 1), mode="reflect"),
            [-0.25, 0.75, -1.0, 0.75, -0.25, 1.5, 0.5, 1.5, 0.25, 1.25, -0.5, 1.25, 0.25, -0.75, 1.0, -0.75],
        ),
        (
            F.pad(x[:1, :1, :2, :3], (1, 2, 1, 0), mode="circular"),
            [0.25, -0.5, 1.25, 0.25, -0.5, 1.25, -0.25, -1.0, 0.75, -0.25, -1.0, 0.75, 0.25, -0.5, 1.25, 0.25, -0.5,
             1.25],
        ),
        (
            F.pad(x[0, :1, :2], (-1, 2), mode="replicate"),
            [0.75, -0.25, 1.5, 0.5, 0.5, 0.5, 1.25, 0.25, -0.75, 1.0, 1.0, 1.0],
        ),
    ):  # fmt: skip
        np.testing.assert_allclose(found.flatten().tolist(), wanted, atol=1e-8)


class TestConvolution:
    def test_initial_distribution(self, device):
        for layer, fan_in in ((nn.Conv2d(64, 100, 3, device=device), 576), (nn.ConvTranspose1d(20, 60, 5), 300)):
            for values in (np.array(layer.weight.tolist()), np.array(layer.bias.tolist())):
                assert abs(values).max() <= 1 / math.sqrt(fan_in)
                np.testing.assert_allclose(values.std(), 1 / math.sqrt(3 * fan_in), rtol=0.2)

    def test_shapes_of_parameters(self):
        assert nn.Conv2d(4, 6, (3, 2), groups=2).weight.shape == (6, 2, 3, 2)
        assert nn.ConvTranspose3d(4, 6, 2, groups=2).weight.shape == (4, 3, 2, 2, 2)
        assert list(nn.Conv1d(1, 2, 3).state_dict()) == ["weight", "bias"]
        assert list(nn.Conv1d(1, 2, 3, bias=False).state_dict()) == ["weight"]

    def test_repr(self):
        assert repr(nn.Conv2d(4, 6, 3, 2, 1, 2, 2, False, "reflect")) == (
            "Conv2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2), groups=2, bias=False, "
            "padding_mode=reflect)"
        )
        assert repr(nn.ConvTranspose1d(4, 6, 3, 2, output_padding=1)) == (
            "ConvTranspose1d(4, 6, kernel_size=(3,), stride=(2,), output_padding=(1,))"
        )

    @pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
    def test_padding_modes_pad_first(self, mode, device):
        layer = nn.Conv2d(2, 3, 3, padding=(1, 2), padding_mode=mode, device=device, dtype=tg.float64)
        x = placed(X, device)
        wanted = F.conv2d(F.pad(x, (2, 2, 1, 1), mode=mode), layer.weight, layer.bias)
        assert layer(x).tolist() == wanted.tolist()

    def test_padding_by_name(self, device):
        x = placed(X, device).astype(tg.float32)
        for kernel, dilation in ((3, 1), (2, 1), (2, 3), (4, 1)):
            assert nn.Conv2d(2, 3, kernel, padding="same", dilation=dilation, device=device)(x).shape == (2, 3, 4, 5)
        assert nn.Conv2d(2, 3, 3, padding="valid", device=device)(x).shape == (2, 3, 2, 3)

    def test_without_a_batch(self, device):
        layer = nn.Conv1d(2, 3, 2, device=device, dtype=tg.float64)
        x = placed(X[:, :, 0], device)
        np.testing.assert_allclose(layer(x[0]).tolist(), layer(x)[0].tolist())

    def test_output_size(self):
        layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
        x = tg.ones(1, 2, 4, 4)
        assert layer(x).shape == (1, 3, 7, 7)
        assert layer(x, output_size=(8, 7)).shape == (1, 3, 8, 7)
        assert layer(x, output_size=(1, 3, 8, 8)).shape == (1, 3, 8, 8)
        with pytest.raises(ValueError, match=r"output_size must be between \(7, 7\) and \(8, 8\), got \(9, 8\)"):
            layer(x, output_size=(9, 8))

    def test_errors(self):
        x = tg.ones(1, 2, 5, 5)
        for call, message in (
            (lambda: nn.Conv2d(3, 4, 3)(x), "needs an input of 3 channels"),
            (lambda: nn.Conv2d(2, 4, 7)(x), "does not fit into an input of size"),
            (lambda: nn.Conv2d(2, 4, 3)(tg.ones(5, 5)), "expected an input with 4 axes, or 3 without a batch"),
            (lambda: nn.Conv2d(3, 4, 3, groups=2), "in_channels must be divisible by groups"),
            (lambda: nn.Conv2d(2, 4, 3, padding_mode="mirror"), "padding_mode must be one of"),
            (lambda: nn.Conv2d(2, 4, 3, 2, "same"), 'padding="same" needs stride 1'),
            (lambda: nn.ConvTranspose2d(2, 4, 3, 2, output_padding=2)(x), "output_padding must be smaller"),
            (lambda: F.conv2d(x, tg.ones(4, 2, 3, 3), tg.ones(3)), r"need a bias of shape \(4,\)"),
            (lambda: F.conv2d(x, tg.ones(4, 2, 3, 3), stride=0), "stride must be an int or 2 ints of at least 1"),
            (lambda: F.conv2d(x, tg.ones(4, 2, 3, 3), padding=(1, 1, 1)), "padding must be an int or 2 ints"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
        with pytest.raises(TypeError, match="one floating-point dtype"):
            F.conv2d(x, tg.ones(4, 2, 3, 3, dtype=tg.float64))

    def test_trains(self, device):
        tg.random.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 2))
        model.to(device)
        x, y = placed(X, device).astype(tg.float32), placed([0, 1], device)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(20):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        assert loss.item() < 0.05


class TestPooling:
    def test_not_a_number_as_in_pytorch(self, device):
        x = np.zeros((1, 1, 1, 6))
        x[..., 1:3] = np.nan
        x[..., 4:] = -np.inf
        y, indices = F.max_pool2d(placed(x, device), (1, 3), 1, return_indices=True)
        np.testing.assert_array_equal(y.tolist(), [[[[np.nan, np.nan, np.nan, 0.0]]]])
        assert indices.tolist() == [[[[2, 2, 2, 3]]]]
        y, indices = F.max_pool2d(placed(x[..., 4:], device), (1, 2), return_indices=True)
        assert (y.item(), indices.item()) == (-np.inf, 0)

    def test_ties_go_to_the_first(self, device):
        x = placed(np.ones((1, 1, 4)), device)
        x.requires_grad = True
        F.max_pool1d(x, 2).sum().backward()
        assert x.grad.tolist() == [[[1.0, 0.0, 1.0, 0.0]]]

    def test_unpooling_puts_back(self, device):
        x = placed(X, device)
        pooled, indices = nn.MaxPool2d(2, return_indices=True)(x)
        y = nn.MaxUnpool2d(2)(pooled, indices, output_size=x.shape)
        assert y.shape == x.shape
        np.testing.assert_allclose(y.sum().item(), pooled.sum().item())
        again, _ = nn.MaxPool2d(2, return_indices=True)(y - 9.0 * (y == 0).astype(tg.float64))
        np.testing.assert_array_equal(again.tolist(), pooled.tolist())
        with pytest.raises(ValueError, match="output_size must be within stride"):
            nn.MaxUnpool2d(2)(pooled, indices, output_size=(9, 9))

    def test_adaptive_indices(self, device):
        x = placed(X, device)
        y, indices = nn.AdaptiveMaxPool2d((3, 2), return_indices=True)(x)
        flat = X.reshape(2, 2, -1)
        wanted = np.take_along_axis(flat, np.array(indices.tolist()).reshape(2, 2, -1), -1)
        np.testing.assert_array_equal(np.array(y.tolist()).reshape(2, 2, -1), wanted)
        assert nn.AdaptiveAvgPool2d((None, 1))(x).shape == (2, 2, 4, 1)
        np.testing.assert_allclose(nn.AdaptiveAvgPool2d(1)(x).flatten().tolist(), X.mean((2, 3)).ravel(), atol=1e-12)

    def test_adaptive_to_nothing(self, device):
        x = placed(X, device).requires_grad_()
        assert nn.AdaptiveAvgPool2d((0, 7))(x).shape == (2, 2, 0, 7)
        y, indices = nn.AdaptiveMaxPool2d((3, 0), return_indices=True)(x)
        assert (y.shape, indices.shape, indices.dtype) == ((2, 2, 3, 0), (2, 2, 3, 0), tg.int64)
        y.sum().backward()
        assert not x.grad.any().item()
        with pytest.raises(ValueError, match="adaptive_avg_pool2d: output_size must be at least 0"):
            nn.AdaptiveAvgPool2d(-1)(x)

    def test_repr(self):
        assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"
        assert repr(nn.MaxUnpool1d(2)) == "MaxUnpool1d(kernel_size=(2,), stride=(2,), padding=(0,))"
        assert repr(nn.AvgPool1d(2)) == "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"
        assert repr(nn.AvgPool3d(2, 1)) == "AvgPool3d(kernel_size=2, stride=1, padding=0)"
        assert repr(nn.LPPool2d(2, 3)) == "LPPool2d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)"
        assert repr(nn.AdaptiveAvgPool2d((1, None))) == "AdaptiveAvgPool2d(output_size=(1, None))"

    def test_errors(self):
        x = tg.ones(1, 1, 4, 4)
        for call, message in (
            (lambda: F.max_pool2d(x, 2, padding=2), "padding must be at most half of kernel_size"),
            (lambda: F.avg_pool2d(x, 5), "does not fit into an input of size"),
            (lambda: F.avg_pool2d(x, 2, divisor_override=0), "divisor_override must not be 0"),
            (lambda: F.max_pool2d(tg.ones(4), 2), "expected an input with 4 axes"),
            (lambda: F.adaptive_avg_pool2d(x, (1, 2, 3)), "output_size must be an int or 2 ints"),
            (lambda: F.max_unpool2d(x, tg.ones(1, 1, 2, 2, dtype=tg.int64), 2), "do not fit the input"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
        with pytest.raises(TypeError, match="floating-point"):
            F.max_pool2d(tg.ones(1, 1, 4, 4, dtype=tg.int64), 2)


class TestPadding:
    @pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
    def test_as_in_numpy(self, mode, device):
        x = placed(X, device)
        numpy_mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
        wanted = np.pad(X, [(0, 0), (0, 0), (3, 1), (2, 0)], numpy_mode)
        np.testing.assert_array_equal(F.pad(x, (2, 0, 3, 1), mode).tolist(), wanted)

    def test_constant(self, device):
        x = placed(X, device)
        np.testing.assert_array_equal(
            F.pad(x, (1, 2, -1, 0, 0, 1), value=7.0).tolist(),
            np.pad(X[:, :, 1:], [(0, 0), (0, 1), (0, 0), (1, 2)], constant_values=7.0),
        )
        assert nn.ConstantPad2d((0, 1, 2, 0), 3.5)(x).shape == (2, 2, 6, 6)
        assert repr(nn.ConstantPad1d(2, 3.5)) == "ConstantPad1d(padding=(2, 2), value=3.5)"
        assert repr(nn.ZeroPad2d(1)) == "ZeroPad2d((1, 1, 1, 1))"

    @pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
    def test_gradient_counts_copies(self, mode, device):
        x = placed(X, device)
        x.requires_grad = True
        F.pad(x, (2, 1, 1, 2), mode).sum().backward()
        numpy_mode = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
        order = np.pad(np.arange(20).reshape(4, 5), [(1, 2), (2, 1)], numpy_mode, **(
            {"constant_values": 20} if mode == "constant" else {}
        ))  # fmt: skip
        copies = np.bincount(order.ravel(), minlength=20)[:20].reshape(4, 5)
        np.testing.assert_array_equal(x.grad.tolist(), np.broadcast_to(copies, X.shape))

    def test_errors(self):
        x = tg.ones(1, 1, 3)
        for call, message in (
            (lambda: F.pad(x, (1,)), r"expected \(left, right\)"),
            (lambda: F.pad(x, (3, 0), "reflect"), r"too much for mode 'reflect': axis 2 has 3 elements"),
            (lambda: F.pad(x, (4, 0), "circular"), "too much for mode 'circular'"),
            (lambda: F.pad(x, (-1, 3), "circular"), "too much for mode 'circular': axis 2 has 2 elements"),
            (lambda: F.pad(x, (-2, -2)), "takes more than the 3 elements"),
            (lambda: F.pad(x, (1, 1), "mirror"), "mode must be"),
            (lambda: F.pad(x, (1, 1), "reflect", 2.0), "takes no value"),
            (lambda: F.pad(x, (1, 1, 1, 1, 1, 1), "reflect"), "1 to 3 pairs"),
            (lambda: nn.ReflectionPad2d((1, 2)), "padding must be an int or 4 ints"),
        ):
            with pytest.raises(ValueError, match=message):
                call()


def test_columns(device):
    x = placed(X, device)
    columns = nn.Unfold((2, 3), padding=1)(x)
    w = placed(W.reshape(2, 2, 2, 3), device)
    product = w.reshape(2, -1) @ columns
    np.testing.assert_allclose(product.tolist(), F.conv2d(x, w, padding=1).reshape(2, 2, -1).tolist(), atol=1e-12)
    counts = nn.Fold((4, 5), (2, 3), padding=1)(nn.Unfold((2, 3), padding=1)(tg.ones(1, 1, 4, 5, device=device)))
    assert (counts.min().item(), counts.max().item()) == (4.0, 6.0)  # fewer at the left and right
    with pytest.raises(ValueError, match="does not fit"):
        F.fold(tg.ones(1, 6, 5), (4, 5), (2, 3))
    with pytest.raises(ValueError, match="does not fit"):
        F.unfold(x, 7)


@pytest.mark.parametrize("transposed", [False, True])
def test_complex_numbers(transposed, device):
    """Against the sum of real convolutions of the parts of NumPy's own complex products."""
    random = np.random.default_rng(0)
    x, w = (random.standard_normal(s) + 1j * random.standard_normal(s) for s in ((2, 3, 7), (3, 3, 3)))
    b = random.standard_normal(3) + 1j * random.standard_normal(3)
    if transposed:
        found = F.conv_transpose1d(*(tg.tensor(a, device=device) for a in (x, w, b)))
        expected = sum(np.pad(np.einsum("nct,co->not", x, w[:, :, k]), ((0, 0), (0, 0), (k, 2 - k))) for k in range(3))
    else:
        found = F.conv1d(*(tg.tensor(a, device=device) for a in (x, w, b)), padding=1)
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
        expected = sum(np.einsum("nct,oc->not", padded[:, :, k : k + 7], w[:, :, k]) for k in range(3))
    np.testing.assert_allclose(found.cpu().numpy(), expected + b[:, None], rtol=1e-12)


def test_pooling_nothing_with_indices(device):
    x = tg.zeros(0, 4, 7, device=device)
    for y, indices in (tg.nn.functional.max_pool1d(x, 2, return_indices=True), tg.nn.AdaptiveMaxPool1d(2, True)(x)):
        assert y.shape == indices.shape == (0, 4, y.shape[2])
