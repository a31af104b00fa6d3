"""Learning rate schedules against their closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import optim
from tensorgrad.optim import lr_scheduler

# class, arguments, rate of epoch e as a multiple of the initial rate
SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}, lambda e: 0.5 ** (e // 3)),
    ("MultiStepLR", {"milestones": [2, 5, 5], "gamma": 0.5}, lambda e: 0.5 ** ((e >= 2) + 2 * (e >= 5))),
    ("ExponentialLR", {"gamma": 0.9}, lambda e: 0.9**e),
    ("ConstantLR", {"factor": 0.25, "total_iters": 4}, lambda e: 0.25 if e < 4 else 1.0),
    ("LinearLR", {"start_factor": 0.5, "end_factor": 0.8, "total_iters": 6}, lambda e: 0.5 + 0.3 * min(e, 6) / 6),
    ("CosineAnnealingLR", {"T_max": 8}, lambda e: (1 + math.cos(math.pi * e / 8)) / 2),
    ("LambdaLR", {"lr_lambda": lambda e: 1 / (1 + e)}, lambda e: 1 / (1 + e)),
    ("MultiplicativeLR", {"lr_lambda": lambda e: 0.95}, lambda e: 0.95**e),
]
every_schedule = pytest.mark.parametrize(("name", "options", "factor"), SCHEDULES, ids=[s[0] for s in SCHEDULES])


def made(lr=0.5):
    groups = [{"params": [tg.zeros(1, requires_grad=True)], "lr": rate} for rate in (lr, 0.1)]
    return optim.SGD(groups, lr=0.5)


@every_schedule
def test_closed_form(name, options, factor):
    optimizer = made()
    schedule = getattr(lr_scheduler, name)(optimizer, **options)
    for epoch in range(30):
        rates = [g["lr"] for g in optimizer.param_groups]
        np.testing.assert_allclose(rates, [0.5 * factor(epoch), 0.1 * factor(epoch)], rtol=1e-9, atol=1e-15)
        assert schedule.get_last_lr() == rates
        assert schedule.last_epoch == epoch
        optimizer.step()
        schedule.step()


@every_schedule
def test_goes_on_from_its_state(name, options, factor):
    optimizer, other = made(), made()
    schedule = getattr(lr_scheduler, name)(optimizer, **options)
    for _ in range(4):
        optimizer.step()
        schedule.step()
    resumed = getattr(lr_scheduler, name)(other, **options)
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for o, s in ((optimizer, schedule), (other, resumed)):
        o.step()
        s.step()
    assert resumed.get_last_lr() == schedule.get_last_lr()
    assert not {"optimizer", "lr_lambdas"} & set(schedule.state_dict())


def test_a_floor_for_the_cosine():
    optimizer = made()
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, 5, eta_min=0.1)
    for _ in range(5):
        optimizer.step()
        schedule.step()
    np.testing.assert_allclose(schedule.get_last_lr(), [0.1, 0.1])


def test_one_function_per_group():
    schedule = lr_scheduler.LambdaLR(made(), [lambda e: 2.0, lambda e: 3.0])
    np.testing.assert_allclose(schedule.get_last_lr(), [1.0, 0.3])
    with pytest.raises(ValueError, match="2 groups need as many functions, got 1"):
        lr_scheduler.LambdaLR(made(), [lambda e: 2.0])


def test_schedules_combine():
    optimizer = made()
    first, second = lr_scheduler.ExponentialLR(optimizer, 0.5), lr_scheduler.StepLR(optimizer, 2, 0.1)
    for _ in range(2):
        optimizer.step()
        first.step()
        second.step()
    np.testing.assert_allclose(second.get_last_lr(), [0.0125, 0.0025])


def test_a_rate_in_a_tensor_is_filled(device):
    rate = tg.tensor(0.5, device=device)
    optimizer = optim.SGD([tg.zeros(1, device=device, requires_grad=True)], lr=rate)
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25


def test_going_on_at_an_epoch():
    optimizer = made()
    with pytest.raises(KeyError, match="group 0 needs 'initial_lr'"):
        lr_scheduler.StepLR(optimizer, 2, last_epoch=3)
    for group in optimizer.param_groups:
        group["initial_lr"] = 1.0
    schedule = lr_scheduler.LambdaLR(optimizer, lambda e: e / 10, last_epoch=3)
    assert schedule.get_last_lr() == [0.4, 0.4]


def test_the_order_of_steps():
    schedule = lr_scheduler.StepLR(made(), 2)
    with pytest.warns(UserWarning, match="called before the optimizer's"):
        schedule.step()


def test_errors():
    for call, error, text in (
        (lambda: lr_scheduler.StepLR(3, 2), TypeError, "StepLR: expected an Optimizer, got int"),
        (lambda: lr_scheduler.StepLR(made(), 0), ValueError, "step_size must be at least 1"),
        (lambda: lr_scheduler.ConstantLR(made(), 2.0), ValueError, "factor must be between 0 and 1"),
        (lambda: lr_scheduler.LinearLR(made(), 0.0), ValueError, "start_factor must be greater than 0"),
        (lambda: lr_scheduler.LinearLR(made(), 0.5, 2.0), ValueError, "end_factor must be between 0 and 1"),
        (lambda: lr_scheduler.LRScheduler(made()), NotImplementedError, "LRScheduler does not define"),
    ):
        with pytest.raises(error, match=text):
            call()
