"""Cyclic and composed schedules, and the one that follows a metric, against literal rates."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import optim
from tensorgrad.optim import lr_scheduler as schedules


def made(kind=optim.SGD, **options):
    return kind([tg.zeros(1, requires_grad=True)], lr=0.5, **options)


def halves(optimizer):
    return schedules.ExponentialLR(optimizer, 0.5)


SCHEDULES = {
    "polynomial": (
        lambda o: schedules.PolynomialLR(o, 4, 2.0),
        [0.5, 0.28125, 0.125, 0.03125, 0.0, 0.0],
    ),
    "warm restarts": (
        lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 2, 0.1),
        [0.5, 0.3, 0.5, 0.4414213562, 0.3, 0.1585786438, 0.5, 0.4847759065],
    ),
    "triangular": (
        lambda o: schedules.CyclicLR(o, 0.1, 0.9, 2, 1, cycle_momentum=False),
        [0.1, 0.5, 0.9, 0.1, 0.5, 0.9, 0.1],
    ),
    "triangular2": (
        lambda o: schedules.CyclicLR(o, 0.1, 0.9, 2, mode="triangular2"),
        [0.1, 0.5, 0.9, 0.5, 0.1, 0.3, 0.5, 0.3],
    ),
    "exp_range": (
        lambda o: schedules.CyclicLR(o, 0.1, 0.9, 1, 3, mode="exp_range", gamma=0.5),
        [0.1, 0.5, 0.2333333333, 0.1333333333, 0.1, 0.125],
    ),
    "scale_fn": (
        lambda o: schedules.CyclicLR(o, 0.0, 1.0, 2, scale_fn=lambda e: 1 / (1 + e), scale_mode="iterations"),
        [0.0, 0.25, 1 / 3, 0.125, 0.0],
    ),
    "one cycle": (
        lambda o: schedules.OneCycleLR(o, 1.0, total_steps=8, pct_start=0.25),
        [0.04, 1.0, 0.9330129698, 0.750001, 0.500002, 0.250003, 0.06699103016, 4e-06],
    ),
    "three phases": (
        lambda o: schedules.OneCycleLR(
            o, 1.0, epochs=4, steps_per_epoch=2, pct_start=0.375, three_phase=True, anneal_strategy="linear"
        ),
        [0.04, 0.52, 1.0, 0.52, 0.04, 0.026668, 0.013336, 4e-06],
    ),
    "sequential": (
        lambda o: schedules.SequentialLR(
            o, [schedules.LinearLR(o, 0.5, 1.0, 2), halves(o), schedules.MultiplicativeLR(o, lambda e: 0.1)], [2, 4]
        ),
        [0.25, 0.375, 0.5, 0.25, 0.025, 0.0025],
    ),
    "chained": (
        lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o, 0.25, 2), halves(o)]),
        [0.125, 0.0625, 0.125, 0.0625],
    ),
    "nested": (
        lambda o: schedules.SequentialLR(
            o, [halves(o), schedules.ChainedScheduler([schedules.ConstantLR(o, 0.5, 2), halves(o)])], [2]
        ),
        [0.5, 0.25, 0.25, 0.125, 0.125],
    ),
}  # fmt: skip
every_schedule = pytest.mark.parametrize(("make", "rates"), SCHEDULES.values(), ids=SCHEDULES)


@every_schedule
def test_rates(make, rates):
    optimizer = made(momentum=0.9)
    schedule = make(optimizer)
    for epoch, rate in enumerate(rates):
        if epoch:
            optimizer.step()
            schedule.step()
        np.testing.assert_allclose(optimizer.param_groups[0]["lr"], rate, rtol=1e-8, atol=1e-12)
        assert schedule.get_last_lr() == [optimizer.param_groups[0]["lr"]]


@every_schedule
def test_goes_on_from_its_state(make, rates):
    optimizer, other = made(momentum=0.9), made(momentum=0.9)
    schedule = make(optimizer)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    resumed = make(other)
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    for rate in rates[3:]:
        other.step()
        resumed.step()
        np.testing.assert_allclose(resumed.get_last_lr(), [rate], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "momenta"),
    [
        (lambda o: schedules.CyclicLR(o, 0.1, 0.9, 2, mode="triangular2"), [0.9, 0.85, 0.8, 0.85, 0.9, 0.875]),
        (
            lambda o: schedules.OneCycleLR(o, 1.0, total_steps=8, pct_start=0.25),
            [0.95, 0.85, 0.8566987298, 0.875, 0.9, 0.925, 0.9433012702, 0.95],
        ),
    ],
    ids=["cyclic", "one cycle"],
)
def test_the_momentum_goes_the_other_way(make, momenta):
    first, second = made(momentum=0.5), made(optim.Adam)
    pair = make(first), make(second)
    for momentum in momenta:
        np.testing.assert_allclose(first.param_groups[0]["momentum"], momentum, rtol=1e-8)
        np.testing.assert_allclose(second.param_groups[0]["betas"], (momentum, 0.999), rtol=1e-8)
        for optimizer, schedule in zip((first, second), pair, strict=True):
            optimizer.step()
            schedule.step()


def test_warm_restarts_to_an_epoch():
    optimizer = made()
    schedule = schedules.CosineAnnealingWarmRestarts(optimizer, 2, 2, 0.1)
    optimizer.step()
    for epoch, rate in ((0.5, 0.4414213562), (4, 0.3), (7.0, 0.4847759065), (2, 0.5), (None, 0.4414213562)):
        schedule.step(epoch)
        np.testing.assert_allclose(schedule.get_last_lr(), [rate], rtol=1e-8)
    with pytest.raises(ValueError, match="epoch must not be negative"):
        schedule.step(-1)


def test_a_cycle_ends():
    optimizer = made()
    schedule = schedules.OneCycleLR(optimizer, 1.0, total_steps=3, cycle_momentum=False)
    for _ in range(3):
        optimizer.step()
        schedule.step()
    with pytest.raises(ValueError, match="step 4 is beyond the 3 steps"):
        schedule.step()


@pytest.mark.parametrize(
    ("options", "metrics", "rates"),
    [
        ({"factor": 0.5, "patience": 1}, [3, 2, 2, 2, 2, 2], [0.5, 0.5, 0.5, 0.25, 0.25, 0.125]),
        ({"factor": 0.5, "patience": 0, "cooldown": 2}, [1, 1, 1, 1, 1], [0.5, 0.25, 0.25, 0.25, 0.125]),
        ({"mode": "max", "factor": 0.5, "patience": 0}, [1, 2, 2, 3], [0.5, 0.5, 0.25, 0.25]),
        ({"factor": 0.1, "patience": 0, "min_lr": 0.2}, [1, 1, 1], [0.5, 0.2, 0.2]),
        ({"factor": 0.5, "patience": 0, "eps": 0.3}, [1, 1], [0.5, 0.5]),
        ({"factor": 0.5, "patience": 0, "threshold": 0.5}, [4, 2.5, 1.9], [0.5, 0.25, 0.25]),
        ({"factor": 0.5, "patience": 0, "threshold": 1, "threshold_mode": "abs"}, [4, 3.5, 2.5], [0.5, 0.25, 0.25]),
        ({"factor": 0.5, "patience": 0}, [4, float("nan"), 3], [0.5, 0.25, 0.25]),
    ],
)
def test_plateau(options, metrics, rates):
    optimizer = made()
    schedule = schedules.ReduceLROnPlateau(optimizer, **options)
    for metric, rate in zip(metrics, rates, strict=True):
        schedule.step(tg.tensor(float(metric)))
        np.testing.assert_allclose(schedule.get_last_lr(), [rate])
        resumed = schedules.ReduceLROnPlateau(optimizer)
        resumed.load_state_dict(schedule.state_dict())
        schedule = resumed


def test_plateau_with_a_group_more():
    optimizer = made()
    one, each = (schedules.ReduceLROnPlateau(optimizer, patience=0, min_lr=m) for m in (0.0, [0.0]))
    optimizer.add_param_group({"params": [tg.zeros(1, requires_grad=True)]})
    for schedule in (one, each):
        schedule.step(1.0)
    one.step(1.0)
    np.testing.assert_allclose(one.get_last_lr(), [0.05, 0.05])
    with pytest.raises(RuntimeError, match="there are 2 groups now"):
        each.step(1.0)


def test_errors():
    o, nan = made(), float("nan")
    plateau = schedules.ReduceLROnPlateau(o)
    for call, text in (
        (lambda: schedules.PolynomialLR(o, 0), "total_iters must be at least 1"),
        (lambda: schedules.CosineAnnealingWarmRestarts(o, 0), "T_0 must be an int of at least 1"),
        (lambda: schedules.CosineAnnealingWarmRestarts(o, 1, 0), "T_mult must be an int of at least 1"),
        (lambda: schedules.CyclicLR(o, 0.1, 1.0, mode="up"), "mode must be"),
        (lambda: schedules.CyclicLR(o, 0.1, 1.0, 0), "must be positive"),
        (lambda: schedules.CyclicLR(o, [0.1, 0.2], 1.0), "base_lr has 2 values, the optimizer 1 groups"),
        (lambda: schedules.CyclicLR(made(optim.Adagrad), 0.1, 1.0), "Adagrad has no momentum"),
        (lambda: schedules.OneCycleLR(o, 1.0), "give either total_steps"),
        (lambda: schedules.OneCycleLR(o, 1.0, 0), "total_steps must be a positive int"),
        (lambda: schedules.OneCycleLR(o, 1.0, 9, pct_start=nan), "pct_start must be a float from 0 to 1"),
        (lambda: schedules.OneCycleLR(o, 1.0, 9, anneal_strategy="step"), "anneal_strategy must be"),
        (lambda: schedules.SequentialLR(o, [], []), "got no schedulers"),
        (lambda: schedules.SequentialLR(o, [halves(o)], [1]), "need 0 milestones, got 1"),
        (lambda: schedules.SequentialLR(o, [plateau], []), "ReduceLROnPlateau, whose step"),
        (lambda: schedules.ChainedScheduler([halves(o), halves(made())]), "is of another optimizer"),
        (lambda: schedules.ReduceLROnPlateau(o, factor=1.0), "factor must be"),
        (lambda: schedules.ReduceLROnPlateau(o, factor=nan), "factor must be"),
        (lambda: schedules.ReduceLROnPlateau(o, "low"), "mode must be 'min' or 'max'"),
        (lambda: schedules.ReduceLROnPlateau(o, threshold_mode="low"), "threshold_mode must be"),
        (lambda: schedules.ReduceLROnPlateau(o, min_lr=[0.1, 0.2]), "min_lr has 2 values"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
    with pytest.raises(TypeError, match="expected an Optimizer, got int"):
        schedules.CyclicLR(3, 0.1, 1.0)
