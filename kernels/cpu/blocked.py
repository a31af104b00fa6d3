"""Blocks and threads: how the CPU kernels walk through arrays that are larger than the cache.

A NumPy ufunc streams its operands through memory, so a formula of twenty ufuncs reads a large array twenty times. Here
the whole formula (a `Body`) runs on one block after another, with scratch buffers that stay in cache. Walks that are
long enough are also split over threads; NumPy releases the interpreter lock inside a ufunc.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import pages
from .blas_threads import one_thread
from .cores import current_core, leave

__all__ = [
    "BLOCK",
    "Body",
    "ask_for_help",
    "bodies",
    "compute_type",
    "elementwise",
    "get_num_threads",
    "is_half",
    "overlaps",
    "pays",
    "scratch",
    "set_num_threads",
    "share_out",
    "walk",
    "with_head_start",
]

Array = np.ndarray[Any, np.dtype[Any]]

BLOCK = 1 << 15
"""Elements of a block: 128 KiB of float32, so that four buffers fit in a 512 KiB second-level cache."""

_THREAD_BLOCK = 1 << 17  # threads hand the interpreter lock over at every ufunc: longer ufuncs, fewer handovers
_THREAD_WORK = 1 << 21  # elements times ufuncs below which waking a thread costs more than it saves
_HEAD_START = 1 << 17  # elements times ufuncs that the caller gets done until a thread that was asked has woken up


class Body(NamedTuple):
    """An elementwise formula as a sequence of ufuncs.

    Attributes
    ----------
    function : callable
        ``function(*inputs, out, *scratch)``. It writes ``out`` with its last ufunc only, or after its last read of the
        inputs, because ``out`` may be one of them; the first scratch buffer may be ``out``.
    scratch : int
        How many scratch buffers it takes.
    work : int
        Roughly how many simple ufuncs it is worth (``exp`` counts five); decides when threads pay.
    """

    function: Callable[..., None]
    scratch: int
    work: int


def bodies(function: Callable[..., None], scratch: int, work: int, dtypes: str = "fd") -> dict[str, Body]:
    """One body for float32 and float64 alike, or other dtypes, keyed by their characters as `elementwise` wants it."""
    return dict.fromkeys(dtypes, Body(function, scratch, work))


# -------------------------------------------------------------------------------------------------------------- threads
def _usable_cores() -> int:
    limit = os.environ.get("TENSORGRAD_NUM_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    if limit.isdigit() and int(limit) > 0:
        return int(limit)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_num_threads = _usable_cores()
_workers = 0  # threads that have been started; they stay, waiting for walks to take part in
_waiting: SimpleQueue[tuple[Shared, int]] = SimpleQueue()  # with the core of the thread that asks
_lock = threading.Lock()
_local = threading.local()


def get_num_threads() -> int:
    """Number of threads that one kernel may use on the CPU."""
    return _num_threads


def set_num_threads(n: int) -> None:
    """Let one kernel use at most ``n`` threads on the CPU.

    The number is at first ``TENSORGRAD_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the number of usable cores. The
    matrix products of NumPy's BLAS have their own threads and their own limits.

    Raises
    ------
    ValueError
        If ``n`` is less than 1.
    """
    global _num_threads
    if n < 1:
        raise ValueError(f"set_num_threads: n must be at least 1, got {n}")
    _num_threads = int(n)


Task = Callable[[int, int, int], None]


class Shared(Protocol):
    """Work that threads take part in: each says at the end how much it has done."""

    counts: SimpleQueue[int]

    def take_part(self) -> int: ...


class _Walk:
    """Ranges that several threads take one after another: a thread that comes late takes fewer, and delays nobody."""

    __slots__ = ("counts", "errors", "ranges", "step", "task")

    def __init__(self, task: Task, ranges: list[tuple[int, int]], step: int) -> None:
        self.task = task
        self.ranges = ranges
        self.step = step
        self.counts: SimpleQueue[int] = SimpleQueue()
        self.errors: list[BaseException] = []

    def take_part(self) -> int:
        """Run ranges until none is left; returns how many."""
        count = 0
        while True:
            try:
                low, high = self.ranges.pop()
            except IndexError:
                return count
            self.run(low, high)
            count += 1

    def run(self, low: int, high: int) -> None:
        """Run one range; an error is raised in the caller, once no thread writes into its buffers any more."""
        try:
            self.task(low, high, self.step)
        except BaseException as error:
            self.errors.append(error)


def _work_for_others() -> None:
    """What a worker thread does all its life."""
    _local.worker = True
    np.seterr(all="ignore")  # the error state is per thread; kernels run with warnings off
    while True:
        walk, core = _waiting.get()
        if core >= 0 and current_core() == core:
            leave(core)
        walk.counts.put(walk.take_part())
        del walk  # and the arrays with it


def ask_for_help(walk: Shared, threads: int) -> None:
    """Let ``threads`` workers take part in a walk, or other work."""
    global _workers
    if _workers < threads:
        with _lock:
            one_thread.used = True  # those of BLAS, where products are large, would take turns with ours on the cores
            while _workers < threads:
                threading.Thread(target=_work_for_others, name=f"tensorgrad-{_workers}", daemon=True).start()
                _workers += 1
    core = current_core()
    for _ in range(threads):
        _waiting.put((walk, core))


def _forget_workers() -> None:
    """In a forked child the threads do not exist; new ones are started when needed."""
    global _workers, _waiting, _lock
    _workers, _waiting, _lock = 0, SimpleQueue(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)


def pays(total: int, work: int) -> bool:
    """Whether ``work`` ufuncs on ``total`` elements are worth several threads, and there are several to be had."""
    return total * work >= _THREAD_WORK and _num_threads > 1 and not getattr(_local, "worker", False)


def walk(task: Task, n: int, width: int, work: int, ranges: int = 1, arrays: int = 4) -> None:
    """Call ``task(low, high, step)`` on ranges that cover ``range(n)``, over several threads if it is worth it.

    How ``range(n)`` is cut depends on the number of threads, not on their pace.

    Parameters
    ----------
    task : callable
        Goes through its range in steps of ``step`` rows, which is about one block of elements and one row at least.
        Must be free to run on several ranges at once.
    n, width : int
        Number of rows and elements per row.
    work : int
        Simple ufuncs per element, as in `Body`.
    ranges : int
        Ranges per thread: more than one evens out threads that start late, and costs as many calls of ``task``.
    arrays : int
        How many arrays a step works in, scratch included: of few, larger blocks fit in the cache.
    """
    total = n * width
    if total > BLOCK:
        pages.keep()
    threads = min(_num_threads, 2 * total // _THREAD_BLOCK, n) if pays(total, work) else 1
    if threads <= 1:
        if n:
            task(0, n, max(BLOCK // max(width, 1), 1))
        return
    block = _THREAD_BLOCK if arrays > 3 else 2 * _THREAD_BLOCK
    step = max(block // width, 1)
    if ranges > 1:
        share = -(-n // (threads * ranges))
        share = -(-share // step) * step
        share_out(task, [(low, min(low + share, n)) for low in range(0, n, share)], threads, step)
    else:
        cuts = with_head_start(n, threads, _HEAD_START // (width * work))
        longest = cuts[0][1]
        step = -(-longest // max(round(longest / step), 1))  # no small rest, which would take as many calls as a block
        share_out(task, cuts, threads, step)


def with_head_start(n: int, threads: int, lead: int, grain: int = 1) -> list[tuple[int, int]]:
    """``range(n)`` cut for `share_out`, the first part longer by ``lead`` if that is not too much of the whole.

    The caller begins with the first at once, and the others some time later. A first cut that is larger by as much as
    can be done meanwhile lets all finish together, so that the caller does not fall asleep waiting. It is made a
    multiple of ``grain``.
    """
    lead = min(lead, n // (4 * threads))
    share = -(-(n - lead) // threads)
    first = -(-(share + lead) // grain) * grain
    return [(0, first), *((low, min(low + share, n)) for low in range(first, n, share))]


def share_out(task: Task, cuts: list[tuple[int, int]], threads: int, step: int = 1) -> None:
    """Call ``task(low, high, step)`` for each of ``cuts``, over several threads; the caller begins with the first."""
    count = len(cuts)
    shared = _Walk(task, cuts[:0:-1], step)  # they are taken from the end
    ask_for_help(shared, min(threads, count) - 1)
    shared.run(*cuts[0])
    done = 1 + shared.take_part()
    while done < count:
        done += shared.counts.get()
    if shared.errors:
        raise shared.errors[0]


def scratch(count: int, size: int, dtype: Any) -> list[Array]:
    """``count`` uninitialised 1-D buffers of this thread; they are valid until its next call."""
    buffers: dict[str, Array] | None = getattr(_local, "buffers", None)
    if buffers is None:
        buffers = _local.buffers = {}
    char = np.dtype(dtype).char
    held = buffers.get(char)
    if held is None or held.shape[0] < count or held.shape[1] < size:
        held = pages.empty((count if held is None else max(count, held.shape[0]), -(-size // 64) * 64), char)
        if size <= 2 * _THREAD_BLOCK:
            buffers[char] = held
    return [held[k, :size] for k in range(count)]


# ---------------------------------------------------------------------------------------------------------- elementwise
def is_half(dtype: np.dtype[Any]) -> bool:
    """Whether the dtype is float16 or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind not in "iu"


def compute_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compute in: float32 for the half types, else the dtype itself."""
    if dtype.char in "fd":
        return dtype
    if dtype.char == "e" or dtype.name == "bfloat16":
        return np.dtype(np.float32)
    raise TypeError(f"expected a floating-point array, got dtype {dtype}")


def elementwise(
    formulas: Mapping[str, Body], out: Array | None, *inputs: Array, compute: np.dtype[Any] | None = None
) -> Array:
    """Run a formula over its broadcast inputs.

    Parameters
    ----------
    formulas : mapping
        The `Body` for float32 (``"f"``), float64 (``"d"``) and, where it has one, complex dtypes (``"F"``, ``"D"``).
    out : array or None
        Where to put the result; may be one of the inputs.
    inputs : arrays
        All of one dtype, which is also the result's.
    compute : dtype, optional
        The dtype to compute in, if not `compute_type`'s.
    """
    x = inputs[-1]
    if x.size <= BLOCK and inputs[0].shape == x.shape:
        if compute is not None:
            return _small(formulas[compute.char], out, inputs, compute)
        body = formulas.get(x.dtype.char)
        if body is not None:
            # Small arrays: no flattening and no shared scratch, as those cost as much as the arithmetic.
            if out is None:
                out = np.empty_like(x)
                buffers = [out, *[np.empty_like(x) for _ in range(body.scratch - 1)]] if body.scratch else ()
            else:
                buffers = [np.empty_like(x) for _ in range(body.scratch)]
            body.function(*inputs, out, *buffers)
            return out
    return _blockwise(
        formulas, out, inputs, compute or (x.dtype if x.dtype.char in formulas else compute_type(x.dtype))
    )


def _small(body: Body, out: Array | None, inputs: tuple[Array, ...], compute: np.dtype[Any]) -> Array:
    """A formula over operands of one shape that are one block, in a dtype that need not be theirs."""
    shape, dtype = inputs[0].shape, inputs[0].dtype
    y = np.empty(shape, compute)
    if dtype == compute:
        body.function(*inputs, y, *[np.empty(shape, compute) for _ in range(body.scratch)])
    else:
        body.function(*[a.astype(compute) for a in inputs], y, *[np.empty(shape, compute) for _ in range(body.scratch)])
        if out is None:
            return y.astype(dtype)
    if out is None:
        return y
    np.copyto(out, y, casting="unsafe")
    return out


def _blockwise(
    formulas: Mapping[str, Body], out: Array | None, inputs: tuple[Array, ...], compute: np.dtype[Any]
) -> Array:
    dtype = inputs[-1].dtype
    shape = np.broadcast_shapes(*(a.shape for a in inputs))
    if out is not None and out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the result {shape}")
    body = formulas[compute.char]
    result = out
    if out is None or out.dtype != dtype or not out.flags.c_contiguous or overlaps(out, inputs):
        result = (pages.empty if math.prod(shape) > BLOCK else np.empty)(shape, dtype)
    assert result is not None
    sources = [np.ascontiguousarray(np.broadcast_to(a, shape)).reshape(-1) for a in inputs]
    target = result.reshape(-1)
    direct = dtype == compute

    def task(low: int, high: int, step: int) -> None:
        step = min(step, high - low)
        buffers = scratch(body.scratch if direct else len(sources) + 1 + body.scratch, step, compute)
        for start in range(low, high, step):
            stop = start + step
            if stop > high:
                stop = high
                buffers = [b[: stop - start] for b in buffers]
            y = target[start:stop]
            if direct:
                body.function(*[s[start:stop] for s in sources], y, *buffers)
                continue
            for block, source in zip(buffers, sources, strict=False):
                np.copyto(block, source[start:stop], casting="unsafe")
            body.function(*buffers)
            np.copyto(y, buffers[len(sources)], casting="unsafe")

    walk(task, target.size, 1, body.work, arrays=len(inputs) + 1 + body.scratch)
    if out is None:
        return result
    if result is not out:
        np.copyto(out, result, casting="unsafe")
    return out


def overlaps(out: Array, inputs: tuple[Array, ...]) -> bool:
    """Whether ``out`` shares memory with an input in any way but element by element."""
    return any(
        np.may_share_memory(out, a)
        and not (a.ctypes.data == out.ctypes.data and a.strides == out.strides and a.shape == out.shape)
        for a in inputs
    )
