"""NumPy's BLAS on one thread, where a kernel has threads of its own.

A kernel that does more than multiply matrices gains most when each of its threads takes all steps of its share,
products included: products that BLAS splits up leave the steps between them to one thread. But OpenBLAS starts threads
of its own from each of ours. That of NumPy's wheels can be told not to; it is told so for the time of a kernel only.

Its threads, once used, go on looking for work for some hundredths of a second, on the cores that ours need: two of ours
then gain nothing. So from the first kernel that needs this on, all products are split here.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["controlled", "one_thread", "set_threads", "without_threads"]

_PREFIXES, _SUFFIXES = ("scipy_", ""), ("64_", "")  # how builds of OpenBLAS decorate its names


@functools.cache
def _controls() -> tuple[Any, Any] | None:
    """The functions that read and set the number of threads, found through the module that is linked with them."""
    try:
        library = ctypes.PyDLL(importlib.import_module("numpy._core._multiarray_umath").__file__)
    except (ImportError, OSError):
        return None
    for prefix in _PREFIXES:
        for suffix in _SUFFIXES:
            try:
                get, set_ = (
                    getattr(library, f"{prefix}openblas_{verb}_num_threads{suffix}") for verb in ("get", "set")
                )
                return get, set_
            except AttributeError:
                continue
    return None


def controlled() -> bool:
    """Whether `one_thread` has an effect: with another BLAS, kernels leave threads to it."""
    return _controls() is not None


def set_threads(n: int) -> None:
    """Let BLAS use at most ``n`` threads where it is not asked to use one."""
    controls = _controls()
    if controls is None:
        return
    with one_thread._lock:
        if one_thread._inside:
            one_thread._before = n
        else:
            controls[1](n)


class one_thread(AbstractContextManager[None]):  # noqa: N801 - a context manager, named as a phrase
    """Have BLAS multiply in the calling threads for the time of a block; blocks may overlap in several threads.

    Parameters
    ----------
    for_good : bool
        Whether products are from now on split over our threads.
    """

    used = False
    _lock = threading.RLock()  # a block that was interrupted may be left while another begins
    _inside = 0
    _before = 1

    def __init__(self, for_good: bool = True) -> None:
        self._for_good = for_good
        self._entered = False

    def __enter__(self) -> None:
        controls = _controls()
        if controls is None:
            return
        with one_thread._lock:
            first = not one_thread._inside
            before = controls[0]() if first else one_thread._before
            # Nothing is called between these lines, so that an interrupt finds all of them done or none.
            one_thread._before = before
            one_thread.used = one_thread.used or self._for_good
            one_thread._inside += 1
            self._entered = True
            if first:
                controls[1](1)

    def __exit__(self, *_: object) -> None:
        controls = _controls()
        if controls is None:
            return
        with one_thread._lock:
            if self._entered:
                one_thread._inside -= 1
                self._entered = False
                if not one_thread._inside:
                    controls[1](one_thread._before)

    def __del__(self) -> None:
        if self._entered:  # an interrupt came where the block was about to end
            self.__exit__()


# In a forked child nobody is inside any more, whatever the parent's other threads were doing.
def _forget() -> None:
    controls = _controls() if one_thread._inside else None
    one_thread._lock, one_thread._inside = threading.RLock(), 0
    if controls is not None:
        controls[1](one_thread._before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


_AS_IT_IS = nullcontext()


def without_threads() -> AbstractContextManager[None]:
    """`one_thread` once it has been used, and nothing before."""
    return one_thread() if one_thread.used else _AS_IT_IS
