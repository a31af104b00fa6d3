"""Resampling against weights written out by hand, and reading between pixels against plain loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, testing
from tensorgrad.nn import functional as F


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(list(shape)).normal(size=shape)


# ----------------------------------------------------------------------------------------------------------- resampling
def keys(x: float, a: float) -> float:
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def lanczos(x: float) -> float:
    return float(np.sinc(x) * np.sinc(x / 3)) if abs(x) < 3 else 0.0


FILTERS = {
    "linear": (lambda x: max(1 - abs(x), 0), 1),
    "cubic": (lambda x: keys(x, -0.5), 2),
    "lanczos": (lanczos, 3),
}


def weights(n: int, m: int, step: float, mode: str, align: bool, antialias: bool) -> np.ndarray:
    """Row j: the share of each of n pixels in output pixel j, written down pixel by pixel."""
    made = np.zeros((m, n))
    for j in range(m):
        if antialias:
            kernel, reach = FILTERS[mode]
            wide, center = max(step, 1), step * (j + 0.5)
            for i in range(max(int(center - reach * wide + 0.5), 0), min(int(center + reach * wide + 0.5), n)):
                made[j, i] = kernel((i - center + 0.5) / wide)
            made[j] /= made[j].sum()
        elif mode == "nearest":
            made[j, min(int(j * step), n - 1)] = 1
        elif mode == "nearest-exact":
            made[j, min(int((j + 0.5) * step), n - 1)] = 1
        else:
            place = step * j if align else step * (j + 0.5) - 0.5
            place = max(place, 0) if mode == "linear" else place
            for i in range(math.floor(place) - 1, math.floor(place) + 3):
                share = max(1 - abs(place - i), 0) if mode == "linear" else keys(place - i, -0.75)
                made[j, min(max(i, 0), n - 1)] += share
    return made


# mode, what it is along one axis, number of axes, antialias, align_corners
CASES = [
    *((mode, mode, axes, False, None) for mode in ("nearest", "nearest-exact") for axes in (1, 2, 3)),
    *(
        (mode, "linear", axes, False, align)
        for axes, mode in enumerate(("linear", "bilinear", "trilinear"), 1)
        for align in (None, True)
    ),
    *(("bicubic", "cubic", 2, antialias, align) for antialias in (False, True) for align in (None, True)),
    *(("bilinear", "linear", 2, True, align) for align in (None, True)),
    ("lanczos", "lanczos", 2, True, None),
]


@pytest.mark.parametrize(("name", "mode", "axes", "antialias", "align"), CASES)
def test_interpolate(name, mode, axes, antialias, align, device):
    size, wanted = (5, 4, 3)[:axes], (3, 7, 6)[:axes]
    x = image(2, 3, *size)
    expected = x
    for axis, (n, m) in enumerate(zip(size, wanted, strict=True), 2):
        step = (n - 1) / (m - 1) if align else n / m
        expected = np.moveaxis(
            np.moveaxis(expected, axis, -1) @ weights(n, m, step, mode, bool(align), antialias).T, -1, axis
        )
    x = tg.tensor(x, device=device, requires_grad=True)

    def resampled(x):
        return F.interpolate(x, wanted, mode=name, align_corners=align, antialias=antialias)

    np.testing.assert_allclose(resampled(x).detach().cpu().numpy(), expected, atol=1e-12)
    if axes == 2:
        assert testing.gradcheck(resampled, x)


def test_scale_factor(device):
    x = tg.tensor([[[0.0, 1.0, 2.0, 3.0]]], device=device)
    # 6 pixels: 4 * 1.7 rounded down. Their distance is 1 / 1.7, or 4 / 6 where it is found anew.
    given = F.interpolate(x, scale_factor=1.7, mode="linear").cpu().numpy()[0, 0]
    np.testing.assert_allclose(given, weights(4, 6, 1 / 1.7, "linear", False, False) @ np.arange(4), rtol=1e-6)
    anew = F.interpolate(x, scale_factor=1.7, mode="linear", recompute_scale_factor=True).cpu().numpy()[0, 0]
    np.testing.assert_allclose(anew, weights(4, 6, 4 / 6, "linear", False, False) @ np.arange(4), rtol=1e-6)
    assert F.interpolate(x, scale_factor=2).tolist() == [[[0, 0, 1, 1, 2, 2, 3, 3]]]
    assert F.interpolate(x, scale_factor=0.5).tolist() == [[[0, 2]]]
    assert F.interpolate(x, scale_factor=0.5, mode="area").tolist() == [[[0.5, 2.5]]]


def test_layers(device):
    x = tg.tensor(image(1, 2, 3, 4), device=device)
    for layer, expected in (
        (nn.Upsample(scale_factor=2), F.interpolate(x, scale_factor=2)),
        (nn.Upsample((5, 5), mode="bicubic", align_corners=True), F.interpolate(x, (5, 5), None, "bicubic", True)),
        (nn.UpsamplingNearest2d(scale_factor=3), F.upsample_nearest(x, scale_factor=3)),
        (nn.UpsamplingBilinear2d(7), F.upsample_bilinear(x, 7)),
        (nn.UpsamplingBilinear2d(7), F.upsample(x, 7, None, "bilinear", True)),
    ):
        np.testing.assert_array_equal(layer(x).cpu().numpy(), expected.cpu().numpy())
    assert nn.UpsamplingBilinear2d(7)(x)[..., 0, 0].tolist() == x[..., 0, 0].tolist()  # corners are aligned


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "one of size and scale_factor"),
        ({"size": 2, "scale_factor": 2}, "one of size and scale_factor"),
        ({"size": (2, 2)}, "size"),
        ({"size": 0}, "size"),
        ({"scale_factor": (2, 2)}, "scale_factor"),
        ({"scale_factor": 0.1}, "leaves nothing"),
        ({"size": 2, "mode": "bilinear"}, "does not fit"),
        ({"size": 2, "mode": "other"}, "mode"),
        ({"size": 2, "align_corners": False}, "align_corners"),
        ({"size": 2, "mode": "linear", "antialias": True}, "antialias"),
        ({"size": 2, "mode": "linear", "recompute_scale_factor": True}, "recompute_scale_factor"),
    ],
)
def test_what_interpolate_refuses(options, match):
    with pytest.raises(ValueError, match=match):
        F.interpolate(tg.ones(1, 2, 4), **options)


# ----------------------------------------------------------------------------------------------- reading between pixels
def outside(x: float, size: int, padding: str, align: bool) -> float:
    if padding == "border":
        return min(max(x, 0), size - 1)
    if padding == "reflection":
        low, high = (0, size - 1) if align else (-0.5, size - 0.5)
        while high > low and not low <= x <= high:
            x = 2 * low - x if x < low else 2 * high - x
        return min(max(x, 0), size - 1) if high > low else 0
    return x


def read(channel: np.ndarray, at: np.ndarray, mode: str, padding: str, align: bool) -> float:
    """The value of one channel at (x, y, ...) from -1 to 1."""
    taps = []
    for x, n in zip(at[::-1], channel.shape, strict=True):
        place = (x + 1) / 2 * (n - 1) if align else ((x + 1) * n - 1) / 2
        if mode != "bicubic":
            place = outside(place, n, padding, align)
        start = math.floor(place)
        if mode == "nearest":
            taps.append([(round(place), 1.0)])
        elif mode == "bilinear":
            taps.append([(start, 1 - (place - start)), (start + 1, place - start)])
        else:
            taps.append([(outside(i, n, padding, align), keys(place - i, -0.75)) for i in range(start - 1, start + 3)])
    total = 0.0
    for combination in itertools.product(*taps):
        index = tuple(int(i) for i, _ in combination)
        if all(0 <= i < n for i, n in zip(index, channel.shape, strict=True)):
            total += channel[index] * math.prod(share for _, share in combination)
    return total


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(
    ("mode", "axes"), [("bilinear", 2), ("nearest", 2), ("bicubic", 2), ("bilinear", 3), ("nearest", 3)]
)
def test_grid_sample(mode, axes, padding, align, device):
    x = image(2, 2, *(3, 4, 2)[:axes])
    grid = np.random.default_rng(1).uniform(-1.9, 1.9, (2, *(2, 1, 3)[:axes], axes))
    expected = np.array(
        [[[read(c, at, mode, padding, align) for at in grid[n].reshape(-1, axes)] for c in x[n]] for n in range(2)]
    ).reshape(2, 2, *grid.shape[1:-1])
    x, grid = (tg.tensor(a, device=device, requires_grad=True) for a in (x, grid))

    def sampled(x, grid):
        return F.grid_sample(x, grid, mode, padding, align)

    np.testing.assert_allclose(sampled(x, grid).detach().cpu().numpy(), expected, atol=1e-12)
    if mode == "nearest":
        assert testing.gradcheck(lambda x: sampled(x, grid.detach()), x)
    else:
        assert testing.gradcheck(sampled, (x, grid))


def test_grid_sample_twice(device):
    x, grid = image(1, 1, 3, 3), np.random.default_rng(1).uniform(-1.4, 1.4, (1, 1, 3, 2))
    x, grid = (tg.tensor(a, device=device, requires_grad=True) for a in (x, grid))
    assert testing.gradgradcheck(lambda x, grid: F.grid_sample(x, grid, "bicubic", "border"), (x, grid))


def test_border_has_no_gradient(device):
    grid = tg.tensor([[[[-3.0, 0.0], [0.25, 3.0]]]], device=device, requires_grad=True)
    F.grid_sample(
        tg.tensor(image(1, 1, 4, 4).astype(np.float32), device=device), grid, padding_mode="border"
    ).sum().backward()
    assert [[bool(g) for g in at] for at in grid.grad[0, 0].tolist()] == [[False, True], [True, False]]


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 1, 1, 2), (2, 1, 2, 3, 4)])
def test_affine_grid(size, align, device):
    axes = len(size) - 2
    theta = image(2, axes, axes + 1)
    grid = F.affine_grid(tg.tensor(theta, device=device), size, align).cpu().numpy()
    assert grid.shape == (2, *size[2:], axes)
    for index in np.ndindex(*size[2:]):
        along = [
            0 if n == 1 else -1 + 2 * i / (n - 1) if align else -1 + (2 * i + 1) / n
            for i, n in zip(index, size[2:], strict=True)
        ]
        for n in range(2):
            np.testing.assert_allclose(grid[(n, *index)], theta[n] @ [*along[::-1], 1], atol=1e-12)


def test_the_identity_reads_the_image(device):
    x = tg.tensor(image(2, 3, 4, 5), device=device)
    theta = tg.tensor(np.tile(np.eye(2, 3), (2, 1, 1)), device=device)
    for align in (False, True):
        y = F.grid_sample(x, F.affine_grid(theta, x.shape, align), align_corners=align)
        np.testing.assert_allclose(y.cpu().numpy(), x.cpu().numpy(), atol=1e-12)


def test_what_sampling_refuses():
    x, grid = tg.ones(1, 1, 2, 2), tg.zeros(1, 2, 2, 2)
    for options, match in (({"mode": "linear"}, "mode"), ({"padding_mode": "wrap"}, "padding_mode")):
        with pytest.raises(ValueError, match=match):
            F.grid_sample(x, grid, **options)
    with pytest.raises(ValueError, match="expected an input"):
        F.grid_sample(x, tg.zeros(1, 2, 2, 3))
    with pytest.raises(ValueError, match="bicubic"):
        F.grid_sample(tg.ones(1, 1, 2, 2, 2), tg.zeros(1, 1, 1, 1, 3), "bicubic")
    with pytest.raises(TypeError, match="dtype"):
        F.grid_sample(x, grid.astype(tg.float64))
    with pytest.raises(ValueError, match="affine_grid"):
        F.affine_grid(tg.zeros(1, 2, 3), (1, 1, 2, 2, 2))


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize(("batch", "channels", "height"), [(0, 2, 3), (2, 0, 3), (2, 2, 0)])
def test_sampling_nothing(mode, batch, channels, height, device):
    x = tg.ones(batch, channels, 3, 4, device=device, requires_grad=True)
    theta = tg.ones(batch, 2, 3, device=device)
    grid = tg.zeros(batch, height, 5, 2, device=device, requires_grad=True)
    y = F.grid_sample(x, grid, mode)
    assert y.shape == (batch, channels, height, 5)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert mode == "nearest" or grid.grad.shape == grid.shape
    assert F.affine_grid(theta, (batch, 1, 2, 5)).shape == (batch, 2, 5, 2)


def test_scale_factors_are_shown_as_floats():
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2.0, mode='nearest')"
    assert repr(nn.UpsamplingBilinear2d(scale_factor=(2, 3))).startswith("UpsamplingBilinear2d(scale_factor=(2.0, 3.0)")
