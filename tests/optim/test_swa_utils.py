"""Averages of weights, the batch norms of an average, and the schedule that goes with it."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, optim
from tensorgrad.optim import swa_utils


def model_with(value, device):
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)).to(device)
    for p in model.parameters():
        p.data = tg.full(p.shape, value, device=device)
    model[1].running_mean.data = tg.full((1,), 10 * value, device=device)
    model[1].num_batches_tracked.data = tg.tensor(int(value), device=device)
    return model


def weighted(values, decay):
    average = values[0]
    for value in values[1:]:
        average = decay * average + (1 - decay) * value
    return average


VALUES = [1.0, 2.0, 6.0, 7.0]
FUNCTIONS = {
    "default": ({}, np.mean(VALUES)),
    "swa": ({"avg_fn": swa_utils.get_swa_avg_fn()}, np.mean(VALUES)),
    "multi swa": ({"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()}, np.mean(VALUES)),
    "ema": ({"avg_fn": swa_utils.get_ema_avg_fn(0.5)}, weighted(VALUES, 0.5)),
    "multi ema": ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.5)}, weighted(VALUES, 0.5)),
    "own": ({"avg_fn": lambda average, value, n: value * n}, VALUES[-1] * 3),
}


@pytest.mark.parametrize(("options", "expected"), FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("use_buffers", [False, True])
def test_averages(options, expected, use_buffers, device):
    averaged = swa_utils.AveragedModel(model_with(0.0, device), use_buffers=use_buffers, **options)
    for value in VALUES:
        averaged.update_parameters(model_with(value, device))
    assert averaged.n_averaged.item() == len(VALUES)
    for p in averaged.parameters():
        np.testing.assert_allclose(p.tolist(), np.full(p.shape, expected), rtol=1e-6)
        assert p.requires_grad
    norm = averaged.module[1]
    assert norm.running_mean.item() == pytest.approx(10 * (expected if use_buffers else VALUES[-1]))
    assert norm.num_batches_tracked.dtype == tg.int64
    if not use_buffers:
        assert norm.num_batches_tracked.item() == 7


def test_the_model_is_copied_and_called():
    model = model_with(1.0, "cpu").eval()
    averaged = swa_utils.AveragedModel(model)
    x = tg.randn(3, 2)
    assert averaged(x).tolist() == model(x).tolist()
    model[0].weight.data = tg.zeros(1, 2)
    assert averaged.module[0].weight.tolist() == [[1.0, 1.0]]
    assert [name for name in averaged.state_dict() if "." not in name] == ["n_averaged"]
    assert "module.0.weight" in averaged.state_dict()


def test_on_another_device(device):
    averaged = swa_utils.AveragedModel(model_with(1.0, "cpu"), device=device)
    for value in (1.0, 2.0):
        averaged.update_parameters(model_with(value, "cpu"))
    assert averaged.module[0].weight.device.type == device
    np.testing.assert_allclose(averaged.module[0].weight.tolist(), [[1.5, 1.5]])


def test_continues_from_its_state():
    first, second = (swa_utils.AveragedModel(model_with(0.0, "cpu")) for _ in range(2))
    first.update_parameters(model_with(1.0, "cpu"))
    second.load_state_dict(first.state_dict())
    for averaged in (first, second):
        averaged.update_parameters(model_with(4.0, "cpu"))
    assert first.module[0].bias.item() == second.module[0].bias.item() == 2.5


def test_within_a_replayed_step():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data = tg.ones(1, 1)
    averaged, optimizer = swa_utils.AveragedModel(model), optim.SGD(model.parameters(), lr=0.5)

    @tg.jit
    def step(x):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
        averaged.update_parameters(model)

    for _ in range(3):
        step(tg.ones(1, 1))
    assert averaged.n_averaged.item() == 3
    assert averaged.module.weight.item() == pytest.approx(np.mean([0.5, 0.0, -0.5]))


@pytest.mark.parametrize("pairs", [False, True])
def test_update_bn(pairs, device):
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, momentum=0.2)).to(device)
    model.eval()
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((5, 2)).astype("float32") for _ in range(3)]
    tensors = [tg.tensor(b) for b in batches]
    swa_utils.update_bn([(x, None) for x in tensors] if pairs else tensors, model, device=device)
    weight, bias = (np.array(p.tolist()) for p in model[0].parameters())
    outputs = [b @ weight.T + bias for b in batches]
    norm = model[1]
    np.testing.assert_allclose(norm.running_mean.tolist(), np.mean([y.mean(0) for y in outputs], 0), rtol=1e-4)
    np.testing.assert_allclose(norm.running_var.tolist(), np.mean([y.var(0, ddof=1) for y in outputs], 0), rtol=1e-4)
    assert (norm.momentum, model.training, norm.training) == (0.2, False, False)


def test_update_bn_without_batch_norms():
    swa_utils.update_bn(iter(()), nn.Linear(1, 1))


class TestSWALR:
    @pytest.mark.parametrize(
        ("options", "rates"),
        [
            ({"anneal_epochs": 4, "anneal_strategy": "linear"}, [1.0, 0.8, 0.6, 0.4, 0.2, 0.2]),
            ({"anneal_epochs": 2}, [1.0, 0.6, 0.2, 0.2]),
            ({"anneal_epochs": 0}, [0.2, 0.2, 0.2]),
        ],
    )
    def test_rates(self, options, rates):
        optimizer = optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
        schedule = swa_utils.SWALR(optimizer, 0.2, **options)
        for epoch, rate in enumerate(rates):
            if epoch:
                optimizer.step()
                schedule.step()
            assert schedule.get_last_lr() == pytest.approx([rate])
            saved = schedule.state_dict()
            schedule = swa_utils.SWALR(optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0), 0.2)
            schedule.optimizer = optimizer
            schedule.load_state_dict(saved)

    def test_after_another_schedule(self):
        groups = [{"params": [tg.zeros(1, requires_grad=True)], "lr": lr} for lr in (1.0, 3.0)]
        optimizer = optim.SGD(groups)
        before = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        schedule = swa_utils.SWALR(optimizer, [0.0, 0.5], anneal_epochs=2, anneal_strategy="linear")
        for scheduler in (before, schedule, schedule, schedule):
            optimizer.step()
            scheduler.step()
        assert schedule.get_last_lr() == pytest.approx([0.0, 0.5])


def test_errors():
    optimizer = optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    average = swa_utils.get_ema_avg_fn()
    for call, text in (
        (lambda: swa_utils.get_ema_avg_fn(1.5), "decay must be from 0 to 1, got 1.5"),
        (lambda: swa_utils.get_ema_multi_avg_fn(-0.1), "decay must be from 0 to 1"),
        (lambda: swa_utils.AveragedModel(nn.Identity(), None, average, average), "only one of avg_fn"),
        (lambda: swa_utils.SWALR(optimizer, [0.1, 0.2]), "swa_lr has 2 values"),
        (lambda: swa_utils.SWALR(optimizer, 0.1, anneal_strategy="up"), "anneal_strategy must be"),
        (lambda: swa_utils.SWALR(optimizer, 0.1, -1), "anneal_epochs must be an int of at least 0"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
