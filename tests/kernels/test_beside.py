"""Work beside the caller's own: every piece is done once, errors come out, and nobody has to help."""

from __future__ import annotations

import multiprocessing
import os
import threading
from typing import Any

import pytest
from tensorgrad.kernels.cpu.beside import Beside


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_all_pieces_are_done_by_the_end(helpers: int) -> None:
    done: list[int] = []
    with Beside(helpers) as beside:
        for i in range(50):
            beside.put(done.append, i)
    assert sorted(done) == list(range(50))
    if not helpers:
        assert done == list(range(50))


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_a_piece_is_done_once_it_has_been_waited_for(helpers: int) -> None:
    squares: dict[int, int] = {}
    with Beside(helpers) as beside:
        pieces = [beside.put(lambda i: squares.update({i: i * i}), i) for i in range(20)]
        for i, piece in enumerate(pieces):
            beside.wait(piece)
            assert squares[i] == i * i


def test_a_caller_does_what_nobody_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorgrad.kernels.cpu.beside.ask_for_help", lambda *_: None)
    threads: list[threading.Thread] = []
    with Beside(1) as beside:
        first, second, _ = (beside.put(lambda: threads.append(threading.current_thread())) for _ in range(3))
        assert not first.done
        beside.wait(second)
        assert first.done
        assert second.done
        assert len(threads) == 2
    assert threads == [threading.current_thread()] * 3


def test_another_thread_helps() -> None:
    begun = threading.Event()
    with Beside(1) as beside:
        beside.put(begun.set)
        assert begun.wait(30)


def failing() -> None:
    raise ArithmeticError("a piece")


@pytest.mark.parametrize("helpers", [0, 2])
def test_errors_come_out_at_the_end(helpers: int) -> None:
    done: list[int] = []

    def work() -> None:
        with Beside(helpers) as beside:
            beside.put(failing)
            beside.put(done.append, 1)

    with pytest.raises(ArithmeticError, match="a piece"):
        work()
    assert done == [1]


@pytest.mark.parametrize("helpers", [0, 2])
def test_errors_come_out_where_a_piece_is_waited_for(helpers: int) -> None:
    with Beside(helpers) as beside:
        piece = beside.put(failing)
        with pytest.raises(ArithmeticError, match="a piece"):
            beside.wait(piece)


def test_after_an_error_of_the_caller_nothing_more_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorgrad.kernels.cpu.beside.ask_for_help", lambda *_: None)
    done: list[int] = []

    def work() -> None:
        with Beside(1) as beside:
            beside.put(done.append, 1)
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert not done


def test_after_an_error_of_the_caller_what_has_begun_ends() -> None:
    begun, goes_on, done = threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        goes_on.wait(30)
        done.append(1)

    def work() -> None:
        with Beside(1) as beside:
            beside.put(slow)
            begun.wait(30)
            threading.Timer(0.05, goes_on.set).start()
            raise KeyError

    with pytest.raises(KeyError):
        work()
    assert done == [1]


def test_who_helps_goes_on_where_an_interrupt_kept_the_block_from_its_end() -> None:
    beside = Beside(1)
    beside.__enter__()
    done = threading.Event()
    beside.put(done.set)
    assert done.wait(30)
    counts = beside._offer.counts
    del beside
    assert counts.get(timeout=30) == 1


def test_an_interrupt_of_a_piece_comes_out_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tensorgrad.kernels.cpu.beside.ask_for_help", lambda *_: None)
    done: list[int] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    def work() -> None:
        with Beside(1) as beside:
            beside.put(interrupted)
            beside.put(done.append, 1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [1]


def _in_child(results: Any) -> None:
    found: list[int] = []
    with Beside(1) as beside:
        for i in range(5):
            beside.put(found.append, i)
    results.put(sorted(found))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking a process that has threads
def test_in_a_forked_child() -> None:
    with Beside(1) as beside:
        beside.put(int)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_in_child, args=(results,))
    child.start()
    assert results.get(timeout=30) == list(range(5))
    child.join()
