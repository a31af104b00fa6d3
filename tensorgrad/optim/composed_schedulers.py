"""A polynomial schedule, and schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from .lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    StepLR,
)
from .optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .schedule_values import set_rate

__all__ = ["ChainedScheduler", "PolynomialLR", "SequentialLR"]


class PolynomialLR(LRScheduler):
    """The initial rate times ``(1 - epoch / total_iters)**power``, then 0.

    Parameters
    ----------
    optimizer : Optimizer
    total_iters : int
        The epoch at which the rate is 0.
    power : float
    last_epoch : int

    Examples
    --------
    >>> import tensorgrad as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2.0)
    >>> optimizer.step()
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5625]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        if total_iters < 1:
            raise ValueError(f"PolynomialLR: total_iters must be at least 1, got {total_iters}")
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for `last_epoch`."""
        epoch, total = self.last_epoch, self.total_iters
        if epoch == 0 or self._step_count == 1 or epoch > total:
            return self._rates()
        factor = ((1.0 - epoch / total) / (1.0 - (epoch - 1) / total)) ** self.power
        return [lr * factor for lr in self._rates()]


class _Composed(LRScheduler):
    """What schedules made of schedules share: which they may be, and their state."""

    def __init__(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        if not schedulers:
            raise ValueError(f"{name}: got no schedulers")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{name}: scheduler {i} must be an LRScheduler, got {type(scheduler).__name__}")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{name}: scheduler {i} is a ReduceLROnPlateau, whose step() needs a metric")
            optimizer = optimizer or scheduler.optimizer
            if scheduler.optimizer is not optimizer:
                raise ValueError(f"{name}: scheduler {i} ({type(scheduler).__name__}) is of another optimizer")
        assert optimizer is not None
        self.optimizer = optimizer
        self._schedulers = schedulers

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of the schedules, their own states."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave. The optimizer's own state has its rates."""
        states = state_dict["_schedulers"]
        if len(states) != len(self._schedulers):
            raise ValueError(
                f"{type(self).__name__}: the loaded state has {len(states)} schedulers, "
                f"this one has {len(self._schedulers)}"
            )
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_Composed):
    """One schedule after the other: at ``milestones[i]``, ``schedulers[i + 1]`` begins, with its epoch 0.

    A schedule with a closed form begins at the initial rate, another (such as `MultiplicativeLR`) at the current one.

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
    milestones : list of int
        Epochs in ascending order, one less than schedulers.
    last_epoch : int

    Raises
    ------
    ValueError
        If the numbers do not fit, a schedule is of another optimizer, or one is a `ReduceLROnPlateau`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> warmup = tg.optim.lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=2)
    >>> decay = tg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = tg.optim.lr_scheduler.SequentialLR(optimizer, [warmup, decay], milestones=[2])
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.25, 0.25, 1.0, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} milestones, "
                f"got {len(milestones)}"
            )
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        first = schedulers[bisect_right(milestones, 0)]
        _begin(first)
        self._last_lr = first.get_last_lr()

    def step(self) -> None:
        """Go on by one epoch. Call it after the optimizer's own `step`."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            _begin_anew(scheduler)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_Composed):
    """Several schedules at once: each steps in turn, from the rate that the one before has left.

    Parameters
    ----------
    schedulers : sequence of LRScheduler
    optimizer : Optimizer, optional
        That of the schedules.

    Raises
    ------
    ValueError
        If there are no schedules, they are of different optimizers, or one is a `ReduceLROnPlateau`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> halving = tg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> warmup = tg.optim.lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=2)
    >>> scheduler = tg.optim.lr_scheduler.ChainedScheduler([halving, warmup])
    >>> rates = []
    >>> for _ in range(3):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.25, 0.125, 0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        super().__init__(optimizer, schedulers)
        self._last_lr = self._rates()

    def step(self) -> None:
        """Go on by one epoch. Call it after the optimizer's own `step`."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()


_CLOSED_FORM = (StepLR, MultiStepLR, ConstantLR, LinearLR, ExponentialLR, CosineAnnealingLR, PolynomialLR)


def _begin(scheduler: LRScheduler, epoch: int | None = None) -> None:
    """Let a schedule step from the current rate to its first epoch once more, or to ``epoch``."""
    if isinstance(scheduler, _Composed):
        scheduler.last_epoch = 0
        inner = scheduler._schedulers if isinstance(scheduler, ChainedScheduler) else scheduler._schedulers[:1]
        for s in inner:
            _begin(s, epoch)
        scheduler._last_lr = inner[-1].get_last_lr()
        return
    scheduler.last_epoch = scheduler.last_epoch - 1 if epoch is None else epoch - 1
    scheduler._step_count = 0
    scheduler.step()


def _begin_anew(scheduler: LRScheduler) -> None:
    """Let a schedule begin at its epoch 0, after another one, from the rate that its kind begins at."""
    first = scheduler
    while isinstance(first, _Composed):
        first = first._schedulers[0]
    rates = first._rates()
    if isinstance(first, MultiplicativeLR):
        rates = [lr * f(0) for lr, f in zip(rates, first.lr_lambdas, strict=True)]
    elif isinstance(first, _CLOSED_FORM):
        rates = first.base_lrs
    for group, lr in zip(first.optimizer.param_groups, rates, strict=True):
        set_rate(group, lr)
    _begin(scheduler, 0)
