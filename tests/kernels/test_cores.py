"""Threads that leave one another's core."""

from __future__ import annotations

import os
import threading

import pytest
from tensorgrad.kernels.cpu import blocked, cores

movable = pytest.mark.skipif(
    cores.current_core() < 0 or len(os.sched_getaffinity(0)) < 2, reason="threads cannot be moved here"
)


def in_thread(task):
    """What ``task`` returns in a thread of its own, whose cores nobody else cares about."""
    found = []
    thread = threading.Thread(target=lambda: found.append(task()))
    thread.start()
    thread.join()
    return found[0]


@movable
def test_leaving_a_core():
    def task():
        allowed, core = os.sched_getaffinity(0), cores.current_core()
        cores.leave(core)
        return cores.current_core() != core, os.sched_getaffinity(0) == allowed

    moved, as_before = in_thread(task)
    assert moved
    assert as_before


@movable
def test_an_only_core_is_not_left():
    def task():
        only = {cores.current_core()}
        os.sched_setaffinity(0, only)
        cores.leave(*only)
        return {cores.current_core()} == only == os.sched_getaffinity(0)

    assert in_thread(task)


@pytest.mark.parametrize(("core", "wanted"), [(5, [5]), (-1, [])])
def test_helpers_leave_the_core_of_who_asks(monkeypatch, core, wanted):
    left = []
    monkeypatch.setattr(blocked, "current_core", lambda: core)
    monkeypatch.setattr(blocked, "leave", left.append)
    both = threading.Barrier(2)  # neither range ends before another thread has begun the other
    blocked.share_out(lambda low, high, step: both.wait(10), [(0, 1), (1, 2)], 2)
    assert left == wanted
