"""A character LSTM."""

from __future__ import annotations

from typing import Any

from .text import VOCABULARY, characters
from .workload import Network

__all__ = ["NETWORKS"]

_WIDTH = 128
_LENGTH = 64


def _lstm(framework: Any) -> Any:
    nn = framework.nn

    class CharacterLSTM(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, _WIDTH)
            self.lstm = nn.LSTM(_WIDTH, _WIDTH, batch_first=True)
            self.head = nn.Linear(_WIDTH, VOCABULARY)

        def forward(self, tokens: Any) -> Any:
            states, _ = self.lstm(self.embedding(tokens))
            return self.head(states)

    return CharacterLSTM()


def _adam(framework: Any, parameters: Any) -> Any:
    return framework.optim.Adam(parameters, lr=1e-3)


NETWORKS = {
    "lstm": Network(f"character LSTM {_WIDTH}, sequence {_LENGTH}", "Adam", _lstm, _adam, characters(_LENGTH), 32),
}
