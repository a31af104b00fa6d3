"""How schedules read and write the options of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .optimizer import Group, Optimizer

__all__ = ["one_for_each", "rate_number", "set_momentum", "set_rate", "uses_betas"]


def rate_number(group: Group) -> float:
    """The group's rate as a number."""
    lr = group["lr"]
    return float(lr.item()) if isinstance(lr, Tensor) else lr


def set_rate(group: Group, lr: float) -> None:
    """Set the group's rate; one that is a tensor stays that tensor."""
    if isinstance(group["lr"], Tensor):
        K.fill(group["lr"]._data, lr)
        group["lr"]._written()
    else:
        group["lr"] = lr


def set_momentum(group: Group, momentum: float, use_beta1: bool) -> None:
    """Set the group's momentum, or the first of its ``betas``."""
    if use_beta1:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum


def uses_betas(schedule: Any, optimizer: Optimizer) -> bool:
    """Whether the momentum of an optimizer is the first of its ``betas``; ValueError if it has none."""
    if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
        name = type(schedule).__name__
        raise ValueError(f"{name}: {type(optimizer).__name__} has no momentum; use cycle_momentum=False")
    return "betas" in optimizer.defaults


def one_for_each(schedule: Any, optimizer: Optimizer, name: str, value: float | Sequence[float]) -> list[float]:
    """A value for each group of an optimizer, from one for all or a sequence."""
    kind = type(schedule).__name__
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{kind}: expected an Optimizer, got {type(optimizer).__name__}")
    groups = len(optimizer.param_groups)
    values = [float(v) for v in value] if isinstance(value, Sequence) else [float(value)] * groups
    if len(values) != groups:
        raise ValueError(f"{kind}: {name} has {len(values)} values, the optimizer {groups} groups")
    return values
