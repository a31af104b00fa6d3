"""The mode of ``pytest --jit`` finds what differs, and leaves no trace where nothing does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.jit.cpu import Replay

from . import mode


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.Module, "__call__", mode._checked)
    monkeypatch.setattr(mode, "compared", {})


@pytest.mark.usefixtures("checked")
class TestMode:
    def test_every_call_is_compared(self):
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        for i in range(3):
            model(tg.ones(5, 3) * i)
        nn.Tanh()(tg.ones(2))
        assert mode.compared == {"Sequential": 3, "Tanh": 1}

    def test_everything_is_as_after_one_call(self):
        def run() -> list[Any]:
            tg.manual_seed(0)
            model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
            y = model(tg.ones(5, 3))
            y.sum().backward()
            return [y, tg.rand(1), *model.state_dict().values(), *(p.grad for p in model.parameters())]

        found = run()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nn.Module, "__call__", mode._plain)
            expected = run()
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())

    def test_a_wrong_replay_is_found(self, monkeypatch):
        compile_ = Replay._compile

        def wrong(self: Replay) -> Any:
            run = compile_(self)
            return lambda *args: tuple(array + 1 for array in run(*args))

        monkeypatch.setattr(Replay, "_compile", wrong)
        with tg.no_grad(), pytest.raises(AssertionError, match="Tanh"):
            nn.Tanh()(tg.ones(2))

    def test_modules_of_tests_are_left_alone(self):
        class Counted(nn.Module):
            calls = 0

            def forward(self, x: Any) -> Any:
                Counted.calls += 1
                return x

        Counted()(tg.ones(2))
        assert Counted.calls == 1
        assert mode.compared == {}
