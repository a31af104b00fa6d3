"""The workers of a DataLoader: threads that fetch batches themselves, or have a process of their own do it.

A task names everything that its result depends on, the stream of random numbers included, so that it does not matter
which worker takes it. Results come back as futures, in whose order the loader hands them out.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import pickle
import queue
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import get_default_dtype, set_default_dtype
from ..generator import OwnStream

__all__ = ["Pool", "Task", "WorkerInfo", "WorkerTraceback", "get_worker_info"]

_GRACE = 5.0  # seconds that a worker has to finish the batch it is at


class Task(NamedTuple):
    """One batch to fetch: its epoch, with the seed of it, its number in the epoch, and its indices."""

    epoch: int
    seed: int
    number: int
    index: Any

    def stream(self) -> OwnStream:
        """The batch's own part of the stream of random numbers."""
        return OwnStream(self.seed, self.number << 32)


@dataclass(frozen=True)
class WorkerInfo:
    """What `get_worker_info` tells a dataset about the worker that it is used in.

    Attributes
    ----------
    id, num_workers : int
        Which worker of how many.
    seed : int
        That of the epoch in which the worker was started, plus its id.
    dataset : object
        The dataset, in a process a copy of it.
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: contextvars.ContextVar[WorkerInfo | None] = contextvars.ContextVar("worker_info", default=None)


def get_worker_info() -> WorkerInfo | None:
    """Which worker of a `DataLoader` this code runs in; None outside of workers.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> class Count(tg.data.IterableDataset):
    ...     def __iter__(self):
    ...         worker = tg.data.get_worker_info()
    ...         return iter(range(6) if worker is None else range(worker.id, 6, worker.num_workers))
    >>> [x.tolist() for x in tg.data.DataLoader(Count(), batch_size=3, num_workers=2)]
    [[0, 2, 4], [1, 3, 5]]
    """
    return _info.get()


class WorkerTraceback(Exception):  # noqa: N818 - the cause of an error, never one itself
    """The traceback, as text, of an error in the process of a worker."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class LocalWorker:
    """Fetches batches in the thread or process that calls it."""

    kind = "thread"

    def __init__(self, fetch: Any, info: WorkerInfo, init: Callable[[int], Any] | None) -> None:
        self.info = info
        self._fetch = copy.copy(fetch)  # its place in a stream is this worker's own
        self._init = init

    def start(self) -> None:
        """Let `get_worker_info` know, and call the user's function."""
        _info.set(self.info)
        if self._init is not None:
            with OwnStream(self.info.seed, -1):
                self._init(self.info.id)

    def __call__(self, task: Task) -> Any:
        with task.stream():
            return self._fetch(task.index, task.epoch)

    def stop(self) -> None:
        """Nothing to do: the thread ends by itself."""

    abort = stop  # a thread cannot be ended from outside


class RemoteWorker:
    """Fetches batches in a process of its own; the thread that calls it waits meanwhile."""

    kind = "process"

    def __init__(self, local: LocalWorker, context: Any) -> None:
        self.info = local.info
        self._local = local
        self._context = context
        self._process: Any = None
        self._pipe: Any = None

    def start(self) -> None:
        """Start the process and wait until it is ready."""
        self._pipe, there = self._context.Pipe()
        settings = (there, self._local, get_default_dtype())
        process = self._context.Process(target=_run, args=settings, daemon=True, name=f"worker {self.info.id}")
        process.start()
        self._process = process
        there.close()
        self._received()

    def __call__(self, task: Task) -> Any:
        self._pipe.send(task)
        return self._received()

    def _received(self) -> Any:
        try:
            succeeded, value = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join(_GRACE)
            raise RuntimeError(
                f"DataLoader: the process of worker {self.info.id} (pid {self._process.pid}) died with exit code "
                f"{self._process.exitcode}; a negative one is a signal, -9 often that memory ran out"
            ) from None
        if succeeded:
            return value
        error, text = value
        raise error from WorkerTraceback(text)

    def stop(self) -> None:
        """End the process, which waits for a task."""
        if self._process is None:
            return
        with contextlib.suppress(OSError):  # it is gone
            self._pipe.send(None)
        self._process.join(_GRACE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process.close()
        self._process = None

    def abort(self) -> None:
        """End the process, whatever it does; the thread that waits for it sees that."""
        process = self._process
        if process is not None:
            process.kill()


def _run(pipe: Any, worker: LocalWorker, dtype: Any) -> None:
    """What the process of a worker does: answer tasks until there are no more, or nobody who asks."""
    import random
    import signal
    from multiprocessing import connection, parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then ends this process
    set_default_dtype(dtype)
    parent = parent_process()
    assert parent is not None

    def started() -> None:
        _seed_globals(random, worker.info.seed)
        worker.start()

    def fetched(task: Task) -> Any:
        _seed_globals(random, task.seed ^ (task.number * 0x9E3779B97F4A7C15))
        return worker(task)

    pipe.send_bytes(_answer(started))
    while pipe in connection.wait([pipe, parent.sentinel]):
        try:
            task = pipe.recv()
        except EOFError:
            return
        if task is None:
            return
        pipe.send_bytes(_answer(fetched, task))


def _seed_globals(random: Any, seed: int) -> None:
    """A process is the worker's own, and so are Python's and NumPy's global generators in it."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002 - the legacy generator is the one that is global


def _answer(function: Callable[..., Any], *args: Any) -> Any:
    """The pickled result of a function, or its error and the text of the traceback."""
    try:
        return _pickled((True, function(*args)))
    except BaseException as error:
        text = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            return _pickled((False, (RuntimeError(f"{type(error).__name__}: {error}"), text)))
        return _pickled((False, (error, text)))


def _pickled(value: Any) -> Any:
    from multiprocessing.reduction import ForkingPickler

    return ForkingPickler.dumps(value)


def _serve(tasks: queue.SimpleQueue[Any], worker: Any) -> None:
    """What the thread of a worker does. It knows nothing of the loader, which can so go away."""
    failure: BaseException | None = None
    try:
        worker.start()
    except BaseException as error:
        failure = error
    while (item := tasks.get()) is not None:
        future, task = item
        if future.set_running_or_notify_cancel():
            try:
                if failure is not None:
                    raise failure
                result = worker(task)
            except BaseException as error:
                if not getattr(error, "__notes__", None):
                    error.add_note(f"in DataLoader worker {worker.info.id} ({worker.kind}), batch {task.number}")
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        del future, task, item  # the loader's now: waiting for the next task must not keep a batch alive
    worker.stop()


class Pool:
    """Workers that wait for tasks.

    Parameters
    ----------
    fetch : callable
        ``fetch(index, epoch)`` makes a batch.
    count : int
    seed : int
        Of the first epoch.
    init : callable, optional
        Called with the worker's id when it has started.
    context : multiprocessing context, optional
        Where to get processes from; None for threads.
    bound : bool
        Whether a task is for a certain worker, or for the first that is free.
    """

    def __init__(
        self, fetch: Any, count: int, seed: int, init: Callable[[int], Any] | None, context: Any, bound: bool
    ) -> None:
        locals_ = [LocalWorker(fetch, WorkerInfo(i, count, seed + i, fetch.dataset), init) for i in range(count)]
        self._workers: list[Any] = (
            [*locals_] if context is None else [RemoteWorker(worker, context) for worker in locals_]
        )
        shared: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._queues = [queue.SimpleQueue() if bound else shared for _ in range(count)]
        self._threads = [
            threading.Thread(
                target=contextvars.copy_context().run,
                args=(_serve, tasks, worker),
                name=f"DataLoader worker {worker.info.id}",
                daemon=True,
            )
            for tasks, worker in zip(self._queues, self._workers, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task, worker: int = 0) -> Future[Any]:
        """Have a batch fetched."""
        future: Future[Any] = Future()
        self._queues[worker].put((future, task))
        return future

    def close(self) -> None:
        """End the workers, and wait for the batches that they are at.

        A process that takes too long is killed. A thread cannot be: it ends after its batch.
        """
        for tasks in self._queues:
            tasks.put(None)
        for thread, worker in zip(self._threads, self._workers, strict=True):
            if thread is threading.current_thread():  # the garbage collector may run anywhere
                continue
            thread.join(_GRACE)
            if thread.is_alive():
                worker.abort()
                thread.join(_GRACE if worker.kind == "process" else 0.0)
