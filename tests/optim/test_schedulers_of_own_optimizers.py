"""Schedules of optimizers that users write."""

from __future__ import annotations

import warnings
from typing import Any

import tensorgrad as tg


class SignDescent(tg.optim.Optimizer):
    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @tg.no_grad()
    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * tg.sign(p.grad))


def test_a_step_of_ones_own_counts() -> None:
    w = tg.nn.Parameter(tg.ones(2))
    optimizer = SignDescent([w])
    schedule = tg.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            optimizer.zero_grad()
            w.sum().backward()
            optimizer.step()
            schedule.step()
    assert tg.allclose(w, tg.full(2, 0.85))
    assert optimizer.param_groups[0]["lr"] == 0.025
