"""Characters to predict: a text in which each character is followed by one of a few others."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

__all__ = ["VOCABULARY", "characters"]

VOCABULARY = 65
_LENGTH = 100_000
_FOLLOWERS = 4


@cache
def _text() -> Any:
    rng = np.random.default_rng(1)
    followers = rng.integers(0, VOCABULARY, (VOCABULARY, _FOLLOWERS))
    text = np.zeros(_LENGTH, np.int64)
    for i, choice in enumerate(rng.integers(0, _FOLLOWERS, _LENGTH - 1)):
        text[i + 1] = followers[text[i], choice]
    return text


def characters(length: int) -> Callable[[np.random.Generator, int], tuple[Any, Any]]:
    """Batches of so many characters in a row, and of those that come next."""

    def batch(rng: np.random.Generator, size: int) -> tuple[Any, Any]:
        text = _text()
        places = rng.integers(0, _LENGTH - length, (size, 1)) + np.arange(length)
        return text[places], text[places + 1]

    return batch
