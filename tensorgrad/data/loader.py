"""The DataLoader: a dataset, in some order, as batches on a device."""

from __future__ import annotations

import itertools
import math
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from typing import Any, Literal, NamedTuple

import numpy as np

from ..backend import Device, resolve_device, to_device
from ..boundary import explained
from ..cuda.transfer import pinned_if_possible, prefetched
from ..generator import Generator, default_generator
from .collate import mapped
from .dataset import IterableDataset, whole_tensors
from .fetch import END, Fetch, FetchNext
from .options import check_options
from .sampler import BatchSampler, RandomSampler, SequentialSampler
from .whole import cut_in_order, gathered
from .workers import Pool, Task

__all__ = ["DataLoader"]


class _Plan(NamedTuple):
    """An epoch: its number, the seed of its random streams, and how many batches of it are left out."""

    epoch: int
    seed: int
    skip: int


class DataLoader:
    """Iterates over a dataset in batches; every ``iter`` is one epoch.

    A batch is what ``collate_fn`` makes of its samples. Of a `TensorDataset` (or a `Subset` of one) the batches are cut
    out of the whole tensors, which costs about a microsecond per batch and is done without workers. Batches are copies
    and carry no gradient.

    Parameters
    ----------
    dataset : Dataset or IterableDataset
        Anything with ``len(dataset)`` and ``dataset[i]``, or an `IterableDataset`.
    batch_size : int or None
        Samples per batch; None gives single samples, with tensors in the place of arrays.
    shuffle : bool
        Visit the samples in a fresh random order each epoch. One seed gives one order, on every device.
    sampler : iterable of int, optional
        The order, in place of ``shuffle``.
    batch_sampler : iterable of list of int, optional
        The batches, in place of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
    num_workers : int
        How many threads or processes fetch samples beside the program. 0: they are fetched when they are asked for.
    collate_fn : callable, optional
        Makes a batch of a list of samples (of a single sample if ``batch_size`` is None); `collate` if not given.
    pin_memory : bool
        Batches of a dataset in host memory go through page-locked memory. With a CUDA ``device``, the next batches are
        copied to it while one is used; without ``device``, the batches are page-locked, for
        ``x.to("cuda", non_blocking=True)``. Where there is no GPU, this changes nothing.
    drop_last : bool
        Leave out the last batch if it is smaller.
    timeout : float
        Seconds to wait for a batch from a worker before that is an error; 0 waits for ever.
    worker_init_fn : callable, optional
        Called in each worker with its number, before its first batch.
    multiprocessing_context : str or context, optional
        How processes are started, "spawn" if not given: ``worker_type="process"`` needs what the dataset consists of to
        be picklable, and the program's main module guarded by ``if __name__ == "__main__":``.
    generator : Generator, optional
        Draws the order; `tensorgrad.random.default_generator` if not given.
    prefetch_factor : int, optional
        With workers, how many batches each of them is ahead, 2 if not given. With ``pin_memory`` and ``device``, the
        number of page-locked buffers too, of which there are at least 2: that many batches less one are being copied.
    persistent_workers : bool
        Keep the workers, and their copies of the dataset, from one epoch to the next.
    worker_type : {"thread", "process"}
        Threads share the dataset and hand batches over without a copy; NumPy releases Python's lock for most of its
        work. Processes are for datasets that work in Python itself; their batches are made in host memory.
    device : str or Device, optional
        Where the batches go. By default they stay where the dataset is.

    Raises
    ------
    TypeError, ValueError
        If ``batch_size`` is not a positive integer, or options exclude each other.

    Notes
    -----
    Neither the order of the batches nor what is drawn from `tensorgrad.random` while they are made depends on the
    workers, or on whether there are any: each batch has a part of the random stream of its own, which the seed of
    ``generator`` and the number of the epoch select. In a process Python's and NumPy's global generators are seeded for
    each batch too; in a thread they belong to the whole program. Of an `IterableDataset` all this holds for one number
    of workers, since that divides the stream.

    An error in a worker is raised by the loop, with its original traceback. When a loop ends, however it does, its
    workers end (with ``persistent_workers``, when the loader is no longer used); a thread finishes its batch first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> dataset = tg.data.TensorDataset(tg.arange(5), tg.arange(5) * 10)
    >>> loader = tg.data.DataLoader(dataset, batch_size=2, shuffle=True)
    >>> len(loader), sorted(i for x, y in loader for i in x.tolist())
    (3, [0, 1, 2, 3, 4])
    """

    @explained
    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        worker_type: Literal["thread", "process"] = "thread",
        device: Any = None,
    ) -> None:
        check_options(
            dataset, batch_size, shuffle, sampler, batch_sampler, num_workers, drop_last, timeout, worker_init_fn,
            multiprocessing_context, generator, prefetch_factor, persistent_workers, worker_type, pin_memory, device,
        )  # fmt: skip
        self.dataset = dataset
        self.batch_size = None if batch_sampler is not None else batch_size
        self.shuffle = shuffle
        self.num_workers = num_workers
        self.collate_fn = collate_fn
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.prefetch_factor = prefetch_factor
        self.persistent_workers = persistent_workers
        self.worker_type = worker_type
        self.device = None if device is None else resolve_device(device)
        self._stream = isinstance(dataset, IterableDataset)
        self._in_order = sampler is None and batch_sampler is None and batch_size is not None
        if not self._stream:
            if sampler is None:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
            if batch_sampler is None and batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        batched = batch_sampler is not None
        self._whole = whole_tensors(dataset) if collate_fn is None and batched else None
        self._pool: Pool | None = None
        self._epochs = 0
        self._start: list[Any] = []  # where the generators were at the start of the epoch
        self._delivered: int | None = None  # batches of it that were handed out; None between epochs
        self._resume = False

    def __len__(self) -> int:
        """Number of batches."""
        if self._stream:
            samples = len(self.dataset)
            size = self.batch_size or 1
            return samples // size if self.drop_last else math.ceil(samples / size)
        return len(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]

    # ---------------------------------------------------------------------------------------------------- the position
    def state_dict(self) -> dict[str, Any]:
        """Where the latest loop over this loader is: epoch, batches of it that were handed out, generators.

        The position is that of the loop's program: batches that workers have read ahead do not count.
        """
        return {
            "epochs": self._epochs,
            "delivered": self._delivered,
            "start": list(self._start),
            "now": [g.get_state() for g in self._generators()],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to a position that `state_dict` gave: the next loop goes on with the batch after it.

        Samplers are asked for the order again, so they must give it again when their ``generator`` is put back.
        Samples that come before the position are not fetched, but for an `IterableDataset`, which has no other way.

        Raises
        ------
        ValueError
            If this loader has another number of generators.
        """
        generators = self._generators()
        if len(state_dict["now"]) != len(generators):
            raise ValueError(
                f"DataLoader: the loaded state is of {len(state_dict['now'])} generators, this loader has "
                f"{len(generators)}"
            )
        for generator, state in zip(generators, state_dict["now"], strict=True):
            generator.set_state(state)
        self._epochs = state_dict["epochs"]
        self._start = [np.asarray(state) for state in state_dict["start"]]
        self._delivered = state_dict["delivered"]
        self._resume = self._delivered is not None

    def _generators(self) -> list[Generator]:
        """Every generator that the order can depend on, that of the loader first."""
        found = [self.generator or default_generator]
        for sampler in (self.sampler, self.batch_sampler, getattr(self.batch_sampler, "sampler", None)):
            own = getattr(sampler, "generator", None)
            if isinstance(own, Generator) and not any(own is g for g in found):
                found.append(own)
        return found

    # ------------------------------------------------------------------------------------------------------- the epoch
    def __iter__(self) -> Iterator[Any]:
        generators = self._generators()
        now = [g.get_state() for g in generators]
        if self._resume:
            self._resume, skip = False, self._delivered or 0
            for generator, state in zip(generators, self._start, strict=True):
                generator.set_state(state)
        else:
            self._start, skip = now, 0
            self._epochs += 1
        resumed = self._start is not now
        self._delivered = skip
        words = [int(word) for word in self._start[0]]
        seed = int(np.random.SeedSequence([*words, self._epochs]).generate_state(1, np.uint64)[0])
        plan = _Plan(self._epochs, seed, skip)
        batches = self._placed(plan)
        if resumed:  # what was drawn after the order of the epoch was drawn stays drawn
            for generator, state in zip(generators, now, strict=True):
                generator.set_state(state)
        return self._counted(batches, plan.epoch)

    def _counted(self, batches: Iterator[Any], epoch: int) -> Iterator[Any]:
        """Hand batches out, and keep the position as long as no later loop has begun."""
        for batch in batches:
            if epoch == self._epochs:
                self._delivered = (self._delivered or 0) + 1
            yield batch
        if epoch == self._epochs:
            self._delivered = None

    def _placed(self, plan: _Plan) -> Iterator[Any]:
        """Batches where they are wanted: on the device, or in page-locked memory."""
        if not self.pin_memory:
            return self._batches(plan, self.device)
        batches = self._batches(plan, None)
        if self.device is None:
            return (mapped(batch, pinned_if_possible) for batch in batches)
        return prefetched(batches, self.device, max(2, self.prefetch_factor or 2), mapped)

    def _batches(self, plan: _Plan, device: Device | None) -> Iterator[Any]:
        """One epoch from batch ``skip`` on, on ``device``, by default where the dataset is."""
        if self._whole is not None and self._in_order:
            assert self.batch_size is not None
            total = len(self.dataset)
            stop = total - total % self.batch_size if self.drop_last else total
            tensors, rows = self._whole
            return cut_in_order(tensors, rows, self.batch_size, stop, plan.skip, self.shuffle, self.generator, device)
        if self._stream:
            made = self._streamed_by_workers(plan) if self.num_workers else self._streamed(plan)
        else:
            # The order is drawn here, not at the first `next`: two loops then never share a part of it by accident.
            drawn = iter(self.sampler if self.batch_sampler is None else self.batch_sampler)  # type: ignore[arg-type]
            order: Iterator[Any] = itertools.islice(drawn, plan.skip, None)
            if self._whole is not None:
                return gathered(*self._whole, order, device)
            fetched = self._fetched_by_workers if self.num_workers else self._fetched
            made = fetched(plan, order)
        return made if device is None else (mapped(batch, lambda a: to_device(a, device)) for batch in made)

    def _fetched(self, plan: _Plan, order: Iterator[Any]) -> Iterator[Any]:
        fetch = Fetch(self.dataset, self.collate_fn, self.batch_sampler is not None)
        for number, index in enumerate(order, plan.skip):
            with Task(plan.epoch, plan.seed, number, index).stream():
                batch = fetch(index)
            yield batch

    def _streamed(self, plan: _Plan) -> Iterator[Any]:
        fetch = FetchNext(self.dataset, self.collate_fn, self.batch_size, self.drop_last)
        for number in itertools.count():
            with Task(plan.epoch, plan.seed, number, None).stream():
                batch = fetch(None)
            if isinstance(batch, str) and batch == END:
                return
            if number >= plan.skip:
                yield batch

    # --------------------------------------------------------------------------------------------------------- workers
    def _fetched_by_workers(self, plan: _Plan, order: Iterator[Any]) -> Iterator[Any]:
        pool = self._workers(plan.seed)
        tasks = (Task(plan.epoch, plan.seed, number, index) for number, index in enumerate(order, plan.skip))
        ahead: deque[Future[Any]] = deque()
        try:
            for task in itertools.islice(tasks, self.num_workers * (self.prefetch_factor or 2)):
                ahead.append(pool.submit(task))
            while ahead:
                batch = self._awaited(ahead)
                for task in itertools.islice(tasks, 1):
                    ahead.append(pool.submit(task))
                yield batch
                del batch
        finally:
            self._ended(pool, ahead)

    def _streamed_by_workers(self, plan: _Plan) -> Iterator[Any]:
        """One batch of each worker in turn, for as long as it has any."""
        pool = self._workers(plan.seed)
        numbers = itertools.count()
        workers = itertools.cycle(range(self.num_workers))
        ahead: deque[Future[Any]] = deque()
        turns: deque[int] = deque()  # whose batch each one in `ahead` is
        done: set[int] = set()

        def submit(worker: int) -> None:
            ahead.append(pool.submit(Task(plan.epoch, plan.seed, next(numbers), None), worker))
            turns.append(worker)

        try:
            for worker in itertools.islice(workers, self.num_workers * (self.prefetch_factor or 2)):
                submit(worker)
            delivered = 0
            while ahead:
                batch, worker = self._awaited(ahead), turns.popleft()
                if isinstance(batch, str) and batch == END:
                    done.add(worker)
                    continue
                if worker not in done:
                    submit(worker)
                delivered += 1
                if delivered > plan.skip:
                    yield batch
                del batch
        finally:
            self._ended(pool, ahead)

    def _workers(self, seed: int) -> Pool:
        if self._pool is not None:
            return self._pool
        context = None
        if self.worker_type == "process":
            import multiprocessing

            context = self.multiprocessing_context
            if context is None or isinstance(context, str):
                context = multiprocessing.get_context(context or "spawn")
        if self._stream:
            fetch: Any = FetchNext(self.dataset, self.collate_fn, self.batch_size, self.drop_last)
        else:
            fetch = Fetch(self.dataset, self.collate_fn, self.batch_sampler is not None)
        pool = Pool(fetch, self.num_workers, seed, self.worker_init_fn, context, bound=self._stream)
        if self.persistent_workers:
            self._pool = pool
            weakref.finalize(self, pool.close)
        return pool

    def _awaited(self, ahead: deque[Future[Any]]) -> Any:
        """The next batch, or the error that came in its place."""
        future = ahead.popleft()
        if self.timeout and not wait([future], self.timeout).done:
            future.cancel()
            raise RuntimeError(
                f"DataLoader: no batch arrived within {self.timeout:g} seconds; a batch takes longer, or a worker hangs"
            )
        return future.result()

    def _ended(self, pool: Pool, ahead: deque[Future[Any]]) -> None:
        for future in ahead:
            future.cancel()
        if pool is not self._pool:
            pool.close()
