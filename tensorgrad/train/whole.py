"""What a training run leaves whole however it ends: the modes of the modules, and every step of the optimizer."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["SteadyStep", "modes_kept"]


@contextmanager
def modes_kept(model: Any) -> Iterator[None]:
    """Put every module back into its mode at the end of the block."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class SteadyStep:
    """Keeps Ctrl-C from dividing a step of the optimizer.

    The outer block replaces Python's handler of SIGINT, if that is the one in charge, for its duration. In an inner
    block, which is the step, the interrupt waits for the end of the step; a second one does not.

    Examples
    --------
    >>> with SteadyStep() as steady:
    ...     with steady:
    ...         pass  # a step
    """

    def __init__(self) -> None:
        self._depth = 0
        self._pending = False
        self._replaced = False

    def __enter__(self) -> SteadyStep:
        if not self._depth and threading.current_thread() is threading.main_thread():
            self._replaced = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if self._replaced:
                signal.signal(signal.SIGINT, self._interrupt)
        self._depth += 1
        return self

    def _interrupt(self, *_: object) -> None:
        if self._depth < 2 or self._pending:
            raise KeyboardInterrupt
        self._pending = True

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth and self._replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._pending:
            self._pending = False
            raise KeyboardInterrupt
