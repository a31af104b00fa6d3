"""Normalisation layers against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(1.0, 2.0, shape).astype(np.float32)


def standard(x: np.ndarray, axis: tuple[int, ...], eps: float = 1e-5) -> np.ndarray:
    x = x.astype(np.float64)
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


def close(found: tg.Tensor, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found.detach().cpu().numpy(), wanted, rtol=1e-4, atol=1e-4)


BATCH = [(nn.BatchNorm1d, (6, 3)), (nn.BatchNorm1d, (6, 3, 4)), (nn.BatchNorm2d, (4, 3, 2, 5)),
         (nn.BatchNorm3d, (4, 3, 2, 2, 3))]  # fmt: skip


@pytest.mark.parametrize(("kind", "shape"), BATCH)
def test_batch_norm_while_training_and_after(kind, shape, device):
    layer = kind(3, device=device)
    mean, var = np.zeros(3), np.ones(3)
    axis = (0, *range(2, len(shape)))
    for seed in range(3):
        x = values(*shape, seed=seed)
        close(layer(tg.tensor(x, device=device)), standard(x, axis))
        mean += 0.1 * (x.mean(axis) - mean)
        var += 0.1 * (x.var(axis, ddof=1) - var)
    close(layer.running_mean, mean)
    close(layer.running_var, var)
    assert layer.num_batches_tracked.item() == 3
    layer.eval()
    column = (-1, *(1,) * (len(shape) - 2))
    close(
        layer(tg.tensor(x, device=device)),
        (x - mean.reshape(column)) / np.sqrt(var.reshape(column) + 1e-5),
    )
    assert layer.num_batches_tracked.item() == 3


@pytest.mark.parametrize("given", [(), ("weight",), ("bias",), ("weight", "bias")])
@pytest.mark.parametrize("shape", [(2, 3), (5, 3, 40), (0, 3, 2), (40, 3, 4, 50, 7)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_batch_norm_by_given_statistics_is_one_kernel_without_gradients(dtype, shape, given, device):
    x, mean, var = (tg.tensor(values(*s).astype(dtype), device=device) for s in (shape, shape[1:2], shape[1:2]))
    var = var * var
    rest = {name: tg.tensor(values(3, seed=i).astype(dtype), device=device) for i, name in enumerate(given)}
    wanted = F.batch_norm(x.detach().requires_grad_(), mean, var, **rest)
    found = F.batch_norm(x, mean, var, **rest)
    assert found.dtype == wanted.dtype == x.dtype
    limit = 3e-2 if dtype == "float16" else 1e-5
    np.testing.assert_allclose(found.cpu().numpy(), wanted.detach().cpu().numpy(), rtol=limit, atol=limit)
    column = (-1, *(1,) * (len(shape) - 2))
    exact = [p.cpu().numpy().astype(np.float64).reshape(column) for p in (mean, var)]
    y = (x.cpu().numpy() - exact[0]) / np.sqrt(exact[1] + 1e-5)
    for name, p in rest.items():
        y = y * p.cpu().numpy().reshape(column) if name == "weight" else y + p.cpu().numpy().reshape(column)
    np.testing.assert_allclose(found.cpu().numpy(), y, rtol=limit, atol=3 * limit)


@pytest.mark.parametrize("offset", [0, 3, 1000])
@pytest.mark.parametrize("block", [1 << 15, 8])
def test_layer_norm_of_rows_far_from_zero(offset, block, monkeypatch):
    """Values and gradients in float32, in one block of rows and in many, against their formulas in float64."""
    from tensorgrad.kernels.cpu import norm

    monkeypatch.setattr(norm, "BLOCK", block)
    x, g = values(50, 24) + offset, values(50, 24, seed=1)
    w, b = values(24), values(24, seed=1)
    x[7] = offset + 1  # a row without deviations
    t = [tg.tensor(a, requires_grad=True) for a in (x, w, b)]
    y = F.layer_norm(t[0], 24, *t[1:], eps=1e-2)
    dx, dw, db = tg.autograd.grad(y, t, tg.tensor(g))
    normal = standard(x, (1,), 1e-2)
    slope = g.astype(np.float64) * w
    rstd = 1 / np.sqrt(x.astype(np.float64).var(1, keepdims=True) + 1e-2)
    centered = slope - slope.mean(1, keepdims=True) - normal * (slope * normal).mean(1, keepdims=True)
    for found, wanted in ((y, normal * w + b), (dx, rstd * centered), (dw, (g * normal).sum(0)), (db, g.sum(0))):
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(found.detach().numpy() / scale, wanted / scale, rtol=0, atol=1e-5 + 1e-7 * offset)


def test_cumulative_average(device):
    layer = nn.BatchNorm1d(2, momentum=None, device=device)
    batches = [values(5, 2, seed=i) for i in range(4)]
    for x in batches:
        layer(tg.tensor(x, device=device))
    close(layer.running_mean, np.mean([x.mean(0) for x in batches], 0))
    close(layer.running_var, np.mean([x.var(0, ddof=1) for x in batches], 0))


def test_without_running_statistics_the_batch_counts_also_after_eval():
    layer = nn.BatchNorm1d(3, track_running_stats=False, affine=False).eval()
    x = values(6, 3)
    close(layer(tg.tensor(x)), standard(x, (0,)))
    assert not layer.state_dict()


def test_state_dict_keys():
    assert list(nn.BatchNorm2d(3).state_dict()) == [
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked",
    ]  # fmt: skip
    assert list(nn.BatchNorm2d(3, bias=False, track_running_stats=False).state_dict()) == ["weight"]
    assert not nn.InstanceNorm1d(3).state_dict()
    assert list(nn.LayerNorm(3, bias=False).state_dict()) == ["weight"]
    assert list(nn.RMSNorm(3).state_dict()) == ["weight"]
    assert list(nn.GroupNorm(1, 3).state_dict()) == ["weight", "bias"]


def test_reset():
    layer = nn.BatchNorm1d(3)
    layer(tg.tensor(values(6, 3)))
    nn.init.zeros_(layer.weight)
    layer.reset_parameters()
    assert layer.running_mean.tolist() == [0, 0, 0]
    assert layer.running_var.tolist() == [1, 1, 1]
    assert layer.num_batches_tracked.item() == 0
    assert layer.weight.tolist() == [1, 1, 1]


def test_layers_over_axes_and_groups(device):
    x = values(4, 6, 5)
    t = tg.tensor(x, device=device)
    close(nn.LayerNorm((6, 5), device=device)(t), standard(x, (1, 2)))
    rms = x / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True))
    close(nn.RMSNorm(5, device=device)(t), rms)
    close(nn.GroupNorm(3, 6, device=device)(t), standard(x.reshape(4, 3, 10), (2,)).reshape(x.shape))
    close(nn.InstanceNorm1d(6)(t), standard(x, (2,)))
    close(nn.InstanceNorm1d(6)(t[0]), standard(x, (2,))[0])


def test_instance_norm_with_running_statistics():
    layer = nn.InstanceNorm2d(3, track_running_stats=True, momentum=0.5)
    x = values(4, 3, 2, 5)
    layer(tg.tensor(x))
    mean, var = 0.5 * x.mean((0, 2, 3)), 0.5 + 0.5 * x.var((2, 3), ddof=1).mean(0)
    close(layer.running_mean, mean)
    close(layer.running_var, var)
    layer.eval()
    column = (-1, 1, 1)
    close(layer(tg.tensor(x)), (x - mean.reshape(column)) / np.sqrt(var.reshape(column) + 1e-5))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size):
    x = values(2, 6, 3)
    wanted = np.empty_like(x)
    for c in range(6):
        window = x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        wanted[:, c] = x[:, c] / (2.0 + 0.5 * (window**2).sum(1) / size) ** 0.7
    close(nn.LocalResponseNorm(size, alpha=0.5, beta=0.7, k=2.0)(tg.tensor(x)), wanted)


def test_errors():
    x = tg.ones(2, 4)
    with pytest.raises(ValueError, match="expected 4D input"):
        nn.BatchNorm2d(4)(x)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm1d(4)(tg.ones(1, 4))
    with pytest.raises(ValueError, match="divisible"):
        nn.GroupNorm(3, 4)
    with pytest.raises(ValueError, match="normalized_shape"):
        F.layer_norm(x, (3,))
    with pytest.raises(ValueError, match="weight must have shape"):
        F.layer_norm(x, (4,), tg.ones(3))
    with pytest.raises(ValueError, match="running_mean"):
        F.batch_norm(x, None, None)
    with pytest.raises(ValueError, match="position"):
        F.instance_norm(tg.ones(2, 3, 1))
    with pytest.raises(ValueError, match="groups"):
        F.group_norm(x, 3)
    with pytest.raises(ValueError, match="3 axes"):
        F.local_response_norm(x, 2)
    with pytest.raises(TypeError, match="floating"):
        F.layer_norm(tg.arange(4), 4)


def test_half_types_keep_float32_statistics(device):
    x = values(64, 8).astype(np.float16)
    layer = nn.LayerNorm(8, dtype="float16", device=device)
    y = layer(tg.tensor(x, device=device))
    assert y.dtype == tg.float16
    np.testing.assert_allclose(y.detach().cpu().numpy(), standard(x, (1,)), rtol=2e-3, atol=2e-3)


def test_instance_norm_of_another_number_of_channels():
    # (C, L): a single sample with one channel
    layer = nn.InstanceNorm1d(3, track_running_stats=True)
    with pytest.raises(ValueError, match=r"running_mean must have shape \(1,\)"):
        layer(tg.ones(1, 3))
    assert layer.running_mean.tolist() == [0.0] * 3
