"""Work that other threads do beside a kernel's own: a recurrence is one small step after another, products are not.

The caller hands in pieces as soon as they can be done, and goes on. Threads take them in that order; a caller that
needs a piece which nobody has begun does it itself, as it does with all that are left in the end. So results do not
depend on who comes when, nor on whether anybody comes, provided that pieces write to places of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import Any

from .blas_threads import one_thread
from .blocked import ask_for_help

__all__ = ["Beside", "Piece"]


class Piece:
    """A call that is made once, and can be waited for."""

    __slots__ = ("_arguments", "_running", "_task", "error")

    def __init__(self, task: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._task, self._arguments = task, arguments
        self._running = threading.Lock()
        self._running.acquire()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._task(*self._arguments)
        except BaseException as error:
            self.error = error
        finally:  # or an interrupt in between would have others wait for ever
            self._running.release()

    def wait(self) -> None:
        """Return once the call has returned."""
        with self._running:
            pass

    @property
    def done(self) -> bool:
        return not self._running.locked()


class _Offer:
    """Pieces that are to be done, as other threads see them."""

    __slots__ = ("counts", "pieces")

    def __init__(self) -> None:
        self.counts: SimpleQueue[int] = SimpleQueue()  # where threads report that they have left, as after a walk
        self.pieces: SimpleQueue[Piece | None] = SimpleQueue()

    def take_part(self) -> int:
        """What a thread does that was asked for help: pieces, until there will be no more."""
        count = 0
        while (piece := self.pieces.get()) is not None:
            piece.run()
            count += 1
        return count


class Beside(AbstractContextManager["Beside"]):
    """Pieces of work that are done by the end of a block, by other threads as far as they come to it.

    An error of a piece is raised where it is waited for, or at the end. While others help, BLAS multiplies in our
    threads only: its own, once used, would take their time for a while.

    Parameters
    ----------
    helpers : int
        How many other threads take part; without any, the caller does each piece as it is handed in.
    """

    def __init__(self, helpers: int) -> None:
        self._offer = _Offer()
        self._pieces: list[Piece] = []
        self._waiting = 0  # threads that have yet to be told that there is no more
        self._helpers = helpers
        self.helped = helpers > 0
        self._alone = one_thread()

    def __enter__(self) -> Beside:
        if self.helped:
            self._alone.__enter__()
            self._waiting = self._helpers
            ask_for_help(self._offer, self._helpers)
        return self

    def put(self, task: Callable[..., Any], *arguments: Any) -> Piece:
        """Have ``task(*arguments)`` done at some time before the end; it may run beside all others."""
        piece = Piece(task, arguments)
        self._pieces.append(piece)
        if self.helped:
            self._offer.pieces.put(piece)
        else:
            piece.run()
        return piece

    def wait(self, piece: Piece) -> None:
        """Go on once a piece is done; whatever comes before it and has not been begun is done here."""
        while not piece.done:
            try:
                first = self._offer.pieces.get_nowait()
            except Empty:
                piece.wait()
                break
            assert first is not None  # which comes in the end only
            first.run()
        self._pieces.remove(piece)
        if piece.error is not None:
            raise piece.error

    def __exit__(self, kind: Any, *others: object) -> None:
        try:
            self._finish(kind is None)
        finally:
            self._dismiss()
            if self.helped:
                self._alone.__exit__()
        errors = [piece.error for piece in self._pieces if piece.error is not None]
        if errors and kind is None:
            raise errors[0]

    def _finish(self, all_of_them: bool) -> None:
        """Do what nobody has begun, or forget it, and wait for the others."""
        while True:
            try:
                piece = self._offer.pieces.get_nowait()
            except Empty:
                break
            assert piece is not None
            if all_of_them:
                piece.run()
            else:
                self._pieces.remove(piece)
        for piece in self._pieces:
            piece.wait()

    def _dismiss(self) -> None:
        while self._waiting:
            self._waiting -= 1
            self._offer.pieces.put(None)

    def __del__(self) -> None:
        self._dismiss()  # an interrupt may have come where the block was about to end
