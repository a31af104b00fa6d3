"""Learning rate schedules that go up and down again: cycles, one cycle, and warm restarts."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

from .lr_scheduler import LRScheduler
from .optimizer import Optimizer
from .schedule_values import one_for_each, set_momentum, set_rate, uses_betas

__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""Half a cosine wave from the initial rate to ``eta_min``, again and again.

    In the epoch :math:`t` of a wave of :math:`T` epochs the rate is
    ``eta_min + (initial - eta_min) * (1 + cos(pi * t / T)) / 2``.

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        How many epochs the first wave takes.
    T_mult : int
        How many times as long as the one before the next wave is.
    eta_min : float
    last_epoch : int

    Raises
    ------
    ValueError
        If ``T_0`` or ``T_mult`` is not an int of at least 1.

    Notes
    -----
    Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2016.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(round(scheduler.get_last_lr()[0], 6))
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [1.0, 0.5, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"CosineAnnealingWarmRestarts: {name} must be an int of at least 1, got {value}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for `last_epoch`."""
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go on by one epoch, or to ``epoch``, which may be a fraction."""
        if epoch is None and self.last_epoch >= 0:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
            super().step()
            return
        epoch = 0 if epoch is None else epoch
        if not epoch >= 0:
            raise ValueError(f"CosineAnnealingWarmRestarts: epoch must not be negative, got {epoch}")
        self.T_i, self.T_cur = self.T_0, epoch
        if epoch >= self.T_0 and self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            while self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        self.last_epoch = math.floor(epoch) - 1
        super().step()


class CyclicLR(LRScheduler):
    r"""From ``base_lr`` up to ``max_lr`` and down again, evenly, in every cycle.

    In cycle c (from 1) and a share x of the way up, the rate is ``base_lr + (max_lr - base_lr) * x * scale``, and the
    momentum ``max_momentum - (max_momentum - base_momentum) * x * scale``.

    Parameters
    ----------
    optimizer : Optimizer
    base_lr, max_lr : float or list of float
        The least and the largest rate, for all groups or one for each.
    step_size_up, step_size_down : int
        How many epochs the way up and the way down take; the same unless given.
    mode : {"triangular", "triangular2", "exp_range"}
        The scale: 1, ``1 / 2**(c - 1)``, or ``gamma**epoch``.
    gamma : float
    scale_fn : callable, optional
        In place of ``mode``: gives the scale from the cycle, or from the epoch if ``scale_mode`` is ``"iterations"``.
    scale_mode : {"cycle", "iterations"}
    cycle_momentum : bool
        Whether the momentum, or the first of ``betas``, goes the other way.
    base_momentum, max_momentum : float or list of float
    last_epoch : int

    Raises
    ------
    ValueError
        If the mode is unknown, a list has not one value for each group, or the optimizer has no momentum to cycle.

    Notes
    -----
    Smith, Cyclical Learning Rates for Training Neural Networks, 2015.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.lr_scheduler.CyclicLR(optimizer, 0.0, 1.0, step_size_up=2, cycle_momentum=False)
    >>> rates = []
    >>> for _ in range(5):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got {mode!r}")
        down = step_size_up if step_size_down is None else step_size_down
        if not (step_size_up > 0 and down > 0):
            raise ValueError(f"CyclicLR: steps up and down must be positive, got {step_size_up} and {down}")
        base_lrs = one_for_each(self, optimizer, "base_lr", base_lr)
        self.max_lrs = one_for_each(self, optimizer, "max_lr", max_lr)
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = uses_betas(self, optimizer)
            self.base_momentums = one_for_each(self, optimizer, "base_momentum", base_momentum)
            self.max_momentums = one_for_each(self, optimizer, "max_momentum", max_momentum)
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                set_rate(group, base_lrs[i])
                if cycle_momentum:
                    set_momentum(group, self.max_momentums[i], self.use_beta1)
                    group["max_momentum"] = self.max_momentums[i]
                    group["base_momentum"] = self.base_momentums[i]
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The scale of a cycle or an epoch, by ``scale_mode``."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 0.5 ** (x - 1) if self.mode == "triangular2" else float(self.gamma**x)

    def get_lr(self) -> list[float]:
        """The rates for `last_epoch`; sets the momenta as well."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        share = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        share *= self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.base_momentums, self.max_momentums, strict=True)
            for group, (low, high) in zip(self.optimizer.param_groups, bounds, strict=True):
                set_momentum(group, high - (high - low) * share, self.use_beta1)
        return [low + (high - low) * share for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and a ``scale_fn`` that was given."""
        return {key: value for key, value in super().state_dict().items() if key != "_scale_fn_custom"}


class OneCycleLR(LRScheduler):
    r"""One cycle: from ``max_lr / div_factor`` up to ``max_lr``, then down to far below where it began.

    The way up takes ``pct_start`` of the epochs. With ``three_phase`` the way down to the initial rate takes as many,
    and the rest goes from there to ``max_lr / div_factor / final_div_factor``; otherwise the way down is one. A share p
    of a way from a to b is at ``b + (a - b) * (1 + cos(pi * p)) / 2``, or at ``a + (b - a) * p`` if linear.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float or list of float
        The largest rate, for all groups or one for each.
    total_steps : int, optional
        Epochs of the cycle; ``epochs * steps_per_epoch`` unless given.
    epochs, steps_per_epoch : int, optional
    pct_start : float
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Whether the momentum, or the first of ``betas``, goes the other way.
    base_momentum, max_momentum : float or list of float
    div_factor, final_div_factor : float
    three_phase : bool
    last_epoch : int

    Raises
    ------
    ValueError
        If an option is out of its range, neither ``total_steps`` nor both of ``epochs`` and ``steps_per_epoch`` are
        given, or the optimizer has no momentum to cycle; from `step`, if it is called more than ``total_steps`` times.

    Notes
    -----
    Smith and Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates, 2017.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = tg.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=10)
    >>> [round(rate, 6) for rate in scheduler.get_last_lr()], optimizer.param_groups[0]["momentum"]
    ([0.04], 0.95)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give either total_steps, or both epochs and steps_per_epoch")
            sizes = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
        else:
            sizes = {"total_steps": total_steps}
        for name, value in sizes.items():
            if not isinstance(value, int) or value <= 0:
                raise ValueError(f"OneCycleLR: {name} must be a positive int, got {value}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be a float from 0 to 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        self.total_steps = math.prod(sizes.values())
        last, rise = self.total_steps - 1, pct_start * self.total_steps - 1
        up = (rise, "initial_lr", "max_lr", "max_momentum", "base_momentum")
        if three_phase:
            end = 2 * pct_start * self.total_steps - 2
            down = (end, "max_lr", "initial_lr", "base_momentum", "max_momentum")
            self._phases = [up, down, (last, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
        else:
            self._phases = [up, (last, "max_lr", "min_lr", "base_momentum", "max_momentum")]
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1 = uses_betas(self, optimizer)
            low = one_for_each(self, optimizer, "base_momentum", base_momentum)
            high = one_for_each(self, optimizer, "max_momentum", max_momentum)
        rates = one_for_each(self, optimizer, "max_lr", max_lr)
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                group["initial_lr"] = rates[i] / div_factor
                group["max_lr"] = rates[i]
                group["min_lr"] = rates[i] / div_factor / final_div_factor
                if cycle_momentum:
                    set_momentum(group, high[i], self.use_beta1)
                    group["max_momentum"], group["base_momentum"] = high[i], low[i]
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for `last_epoch`; sets the momenta as well."""
        epoch = self.last_epoch
        if epoch > self.total_steps:
            raise ValueError(f"OneCycleLR: step {epoch} is beyond the {self.total_steps} steps of the cycle")
        start, phase = 0.0, 0
        while epoch > self._phases[phase][0] and phase < len(self._phases) - 1:
            start, phase = self._phases[phase][0], phase + 1
        end, rate_from, rate_to, momentum_from, momentum_to = self._phases[phase]
        share = (epoch - start) / (end - start)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[rate_from], group[rate_to], share))
            if self.cycle_momentum:
                set_momentum(group, self._between(group[momentum_from], group[momentum_to], share), self.use_beta1)
        return rates

    def _between(self, a: float, b: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return a + (b - a) * share
        return b + (a - b) * (1 + math.cos(math.pi * share)) / 2
