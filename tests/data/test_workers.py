"""Workers of the DataLoader: the same batches whatever their number and kind, their errors, and their end."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
import traceback
from multiprocessing import active_children
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info
from tensorgrad.random import Generator

THREADS = {"num_workers": 2}
PROCESSES = {"num_workers": 2, "worker_type": "process"}
each_kind = pytest.mark.parametrize("kind", [THREADS, pytest.param(PROCESSES, marks=pytest.mark.slow)], ids=str)


class Noisy(Dataset):
    """Its number, and a random one beside it; some samples take longer than others."""

    def __init__(self, count: int = 23, slow: int = -1) -> None:
        self.count = count
        self.slow = slow

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> Any:
        if i == self.slow:
            time.sleep(0.03)
        return i, tg.rand(2)


class Failing(Noisy):
    def __getitem__(self, i: int) -> Any:
        if i == 7:
            raise KeyError(f"no sample {i}")
        return i


class UnpicklableError(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a} and {b}")


class Odd(Noisy):
    def __getitem__(self, i: int) -> Any:
        raise UnpicklableError(1, 2)


class Dying(Noisy):
    def __getitem__(self, i: int) -> Any:
        if i == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return i


class GlobalNoise(Noisy):
    def __getitem__(self, i: int) -> Any:
        return np.random.rand(), random.random()  # noqa: NPY002


class Stuck(Noisy):
    def __getitem__(self, i: int) -> Any:
        time.sleep(2)
        return i


class Stream(IterableDataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Any:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for i in range(first, self.count, step):
            yield i, float(tg.rand(1).item())


class WhichWorker(Noisy):
    def __getitem__(self, i: int) -> Any:
        worker = get_worker_info()
        return worker.id, worker.num_workers, len(worker.dataset), self.started

    started = -1


def remember(number: int) -> None:
    get_worker_info().dataset.started = number


def fail(number: int) -> None:
    raise OSError("no disk")


def seeded(seed: int = 3) -> Generator:
    return Generator().manual_seed(seed)


def content(loader: Any) -> list[Any]:
    return [(x.tolist(), y.tolist()) for x, y in loader]


def worker_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("DataLoader")]


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    gc.collect()
    deadline = time.monotonic() + 5
    while (worker_threads() or active_children()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker_threads() == []
    assert active_children() == []


class TestSameBatches:
    @pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"sampler": [5, 4, 4, 22, 0]}], ids=str)
    @pytest.mark.parametrize("workers", [1, 2, 5])
    def test_threads(self, options, workers):
        for factor in (1, 3):
            expected = DataLoader(Noisy(), batch_size=4, generator=seeded(), **options)
            loader = DataLoader(
                Noisy(slow=0), batch_size=4, generator=seeded(), num_workers=workers, prefetch_factor=factor, **options
            )
            epochs = [content(expected) for _ in range(2)]
            assert [content(loader) for _ in range(2)] == epochs
            assert epochs[0] != epochs[1], "each epoch draws anew"

    @pytest.mark.slow
    def test_processes(self):
        expected = DataLoader(Noisy(), batch_size=4, shuffle=True, generator=seeded())
        loader = DataLoader(
            Noisy(), batch_size=4, shuffle=True, generator=seeded(), persistent_workers=True, **PROCESSES
        )
        for _ in range(2):
            assert content(loader) == content(expected)

    def test_random_numbers_of_the_program_stay(self):
        tg.manual_seed(5)
        before = tg.random.get_rng_state()
        for workers in (0, 2):
            content(DataLoader(Noisy(), batch_size=4, num_workers=workers))
            assert (tg.random.get_rng_state() == before).all()

    def test_a_sample_that_seeds_does_not_seed_the_program(self):
        class Seeding(Noisy):
            def __getitem__(self, i: int) -> Any:
                with tg.random.fork_rng():
                    tg.manual_seed(i)
                    return i, tg.rand(1)

        tg.manual_seed(5)
        before = tg.random.get_rng_state()
        assert content(DataLoader(Seeding(), num_workers=2)) == content(DataLoader(Seeding()))
        assert (tg.random.get_rng_state() == before).all()

    @pytest.mark.slow
    def test_global_generators_in_processes(self):
        drawn = [
            content(DataLoader(GlobalNoise(6), batch_size=2, generator=seeded(), num_workers=n, worker_type="process"))
            for n in (1, 2)
        ]
        assert drawn[0] == drawn[1]
        assert len({x for batch in drawn[0] for part in batch for x in part}) == 12

    def test_default_dtype_of_the_program(self):
        tg.set_default_dtype(tg.float64)
        try:
            batch = next(iter(DataLoader([1.0, 2.0], batch_size=2, **THREADS)))
        finally:
            tg.set_default_dtype(tg.float32)
        assert batch.dtype == tg.float64

    def test_whole_tensors(self):
        x = tg.arange(10)
        assert [b.tolist() for (b,) in DataLoader(TensorDataset(x), batch_size=4, **THREADS)] == [
            [0, 1, 2, 3], [4, 5, 6, 7], [8, 9],
        ]  # fmt: skip

    def test_samples_one_by_one(self):
        loader = DataLoader([np.ones(2), np.zeros(2)], batch_size=None, **THREADS)
        assert [(type(x), x.tolist()) for x in loader] == [(tg.Tensor, [1, 1]), (tg.Tensor, [0, 0])]
        assert len(loader) == 2
        assert list(DataLoader("ab", batch_size=None, collate_fn=str.upper, shuffle=False)) == ["A", "B"]

    def test_device(self, device):
        loader = DataLoader(Noisy(6), batch_size=3, device=device, pin_memory=True, **THREADS)
        for x, y in loader:
            assert x.device == y.device == device
        assert content(loader)[1][0] == [3, 4, 5]

    def test_getitems(self):
        class Whole(Noisy):
            def __getitems__(self, indices: list[int]) -> list[int]:
                return [10 * i for i in indices]

        assert [x.tolist() for x in DataLoader(Whole(5), batch_size=2, **THREADS)] == [[0, 10], [20, 30], [40]]


class TestStreams:
    def test_each_worker_in_turn(self):
        loader = DataLoader(Stream(13), batch_size=2, **THREADS)
        assert [x for x, _ in content(loader)] == [[0, 2], [1, 3], [4, 6], [5, 7], [8, 10], [9, 11], [12]]

    @pytest.mark.slow
    def test_processes(self):
        threads = DataLoader(Stream(13), batch_size=2, generator=seeded(), **THREADS)
        processes = DataLoader(Stream(13), batch_size=2, generator=seeded(), persistent_workers=True, **PROCESSES)
        for _ in range(2):
            assert content(processes) == content(threads)

    def test_without_workers(self):
        assert [x for x, _ in content(DataLoader(Stream(5), batch_size=2))] == [[0, 1], [2, 3], [4]]
        assert [x for x, _ in content(DataLoader(Stream(5), batch_size=2, drop_last=True))] == [[0, 1], [2, 3]]
        assert [x for x, _ in DataLoader(Stream(2), batch_size=None)] == [0, 1]

    def test_persistent_workers_start_the_stream_again(self):
        loader = DataLoader(Stream(5), batch_size=5, persistent_workers=True, num_workers=1)
        assert [x for x, _ in content(loader)] == [x for x, _ in content(loader)] == [[0, 1, 2, 3, 4]]
        loader = DataLoader(Stream(50), persistent_workers=True, num_workers=1)
        one, two = iter(loader), iter(loader)
        next(one), next(two), next(one), next(one)  # those that were fetched before the other loop began
        with pytest.raises(RuntimeError, match="a second loop over an IterableDataset"):
            next(one)

    def test_length(self):
        class Known(Stream):
            def __len__(self) -> int:
                return self.count

        assert len(DataLoader(Known(5), batch_size=2)) == 3
        assert len(DataLoader(Known(5), batch_size=2, drop_last=True)) == 2
        with pytest.raises(TypeError):
            len(DataLoader(Stream(5)))

    def test_chained(self):
        chain = Stream(2) + Stream(3)
        assert [x for x, _ in content(DataLoader(chain, batch_size=10))] == [[0, 1, 0, 1, 2]]
        with pytest.raises(TypeError, match="dataset 1 is a list"):
            list(tg.data.ChainDataset([Stream(1), [1]]))


@each_kind
class TestWorkers:
    def test_information_and_init(self, kind):
        batches = list(DataLoader(WhichWorker(8), batch_size=1, worker_init_fn=remember, **kind))
        assert {int(number) for number, *_ in batches} <= {0, 1}
        assert all(count.item() == 2 and size.item() == 8 for _, count, size, _ in batches)
        if kind is PROCESSES:  # each has its own dataset
            assert all(number.item() == started.item() for number, _, _, started in batches)
        assert get_worker_info() is None

    def test_persistent(self, kind):
        seen: list[Any] = []
        loader = DataLoader(Noisy(6), batch_size=2, persistent_workers=True, **kind)
        for _ in range(2):
            content(loader)
            seen.append([t.ident for t in threading.enumerate() if t.name.startswith("DataLoader")])
        assert len(seen[0]) == 2
        assert seen[0] == seen[1]

    def test_the_error_with_its_traceback(self, kind):
        loader = DataLoader(Failing(), batch_size=2, **kind)
        seen = []
        with pytest.raises(KeyError, match="no sample 7") as caught:
            seen.extend(x.tolist() for x in loader)
        assert seen == [[0, 1], [2, 3], [4, 5]]
        text = "".join(traceback.format_exception(caught.value))
        assert 'raise KeyError(f"no sample {i}")' in text
        name = kind.get("worker_type", "thread")
        assert f"({name}), batch 3" in text
        del caught

    def test_an_error_that_cannot_be_sent(self, kind):
        with pytest.raises((UnpicklableError, RuntimeError), match="1 and 2"):
            list(DataLoader(Odd(2), **kind))

    def test_an_error_at_the_start(self, kind):
        with pytest.raises(OSError, match="no disk"):
            list(DataLoader(Noisy(), worker_init_fn=fail, **kind))

    def test_dropped_half_way(self, kind):
        loader = DataLoader(Noisy(), batch_size=2, **kind)
        batches = iter(loader)
        next(batches)
        assert len(worker_threads()) == 2
        del batches
        assert worker_threads() == []
        assert active_children() == []

    def test_an_error_of_the_loop(self, kind):
        def loop() -> None:
            for _ in DataLoader(Noisy(), batch_size=2, **kind):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            loop()

    def test_timeout(self, kind):
        loader = DataLoader(Stuck(4), timeout=0.1, **kind)
        with pytest.raises(RuntimeError, match=r"no batch arrived within 0\.1 seconds"):
            next(iter(loader))


@pytest.mark.slow
class TestProcesses:
    def test_one_that_dies_is_named(self):
        with pytest.raises(RuntimeError, match=r"the process of worker \d \(pid \d+\) died with exit code -9"):
            list(DataLoader(Dying(), **PROCESSES))

    def test_what_cannot_be_pickled(self):
        with pytest.raises(Exception, match=r"[Pp]ickle|local object"):
            list(DataLoader([1, 2], collate_fn=lambda x: x, **PROCESSES))

    def test_a_result_that_cannot_be_pickled(self):
        with pytest.raises(Exception, match=r"[Pp]ickle|local object"):
            list(DataLoader(Noisy(), collate_fn=unpicklable, **PROCESSES))


def unpicklable(samples: list[Any]) -> Any:
    return lambda: samples


class TestFewSamplesAhead:
    def test_prefetch_factor(self):
        fetched = []

        class Counted(Noisy):
            def __getitem__(self, i: int) -> Any:
                fetched.append(i)
                return i

        batches = iter(DataLoader(Counted(100), num_workers=2, prefetch_factor=3))
        next(batches)
        time.sleep(0.1)
        assert len(fetched) == 7
        del batches


class TestPosition:
    @pytest.mark.parametrize("workers", [0, 2])
    @pytest.mark.parametrize("done", [0, 1, 3, 6])
    @pytest.mark.parametrize("kind", ["one by one", "whole", "whole in a sampler's order", "own generator"])
    def test_goes_on_where_it_was(self, workers, done, kind):
        def make() -> DataLoader:
            one_by_one = kind in ("one by one", "own generator")
            whole = TensorDataset(tg.arange(23), tg.rand(23, generator=seeded(1)))
            dataset: Any = Noisy() if one_by_one else whole
            options: dict[str, Any] = {"generator": seeded(), "shuffle": True}
            if kind == "whole in a sampler's order":
                options = {"sampler": tg.data.RandomSampler(dataset, generator=seeded())}
            if kind == "own generator":
                options = {"sampler": tg.data.WeightedRandomSampler([1.0] * 23, 23, generator=seeded())}
            return DataLoader(dataset, batch_size=4, num_workers=workers, **options)

        tg.manual_seed(8)
        loader = make()
        expected = [content(loader) for _ in range(3)]
        tg.manual_seed(8)
        loader = make()
        assert content(loader) == expected[0]
        state = loader.state_dict()
        if done:
            batches = iter(loader)
            seen = [next(batches) for _ in range(done)]
            assert content(seen) == expected[1][:done]
            state = loader.state_dict()
            del batches
        tg.manual_seed(8)
        other = make()
        other.load_state_dict(state)
        assert content(other) == expected[1][done:]
        assert content(other) == expected[2]

    @pytest.mark.parametrize("workers", [0, 2])
    def test_streams(self, workers):
        options = {"batch_size": 2, "num_workers": workers}
        loader = DataLoader(Stream(13), generator=seeded(), **options)
        expected = content(loader)
        loader = DataLoader(Stream(13), generator=seeded(), **options)
        batches = iter(loader)
        next(batches), next(batches)
        state = loader.state_dict()
        del batches
        other = DataLoader(Stream(13), generator=seeded(0), **options)
        other.load_state_dict(state)
        assert content(other) == expected[2:]

    def test_other_generators(self):
        with pytest.raises(ValueError, match="is of 1 generators, this loader has 2"):
            DataLoader("ab", sampler=tg.data.RandomSampler("ab", generator=seeded())).load_state_dict(
                DataLoader("ab").state_dict()
            )


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"num_workers": -1}, ValueError, "must not be negative, got -1"),
        ({"num_workers": 1.0}, TypeError, "num_workers must be an integer"),
        ({"timeout": 1}, ValueError, "timeout needs workers"),
        ({"worker_init_fn": print}, ValueError, "worker_init_fn needs workers"),
        ({"persistent_workers": True}, ValueError, "persistent_workers needs workers"),
        ({"num_workers": 1, "worker_type": "fibre"}, ValueError, "'thread' or 'process', got 'fibre'"),
        ({"num_workers": 1, "multiprocessing_context": "spawn"}, ValueError, "needs worker_type='process'"),
        ({"num_workers": 1, "prefetch_factor": 0}, ValueError, "prefetch_factor must be positive"),
        ({"batch_size": None, "drop_last": True}, ValueError, "drop_last needs batches"),
    ],
)
def test_options(options, error, words):
    with pytest.raises(error, match=words):
        DataLoader(range(3), **options)


def test_streams_give_their_own_order():
    for options in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}):
        with pytest.raises(ValueError, match="gives its own order"):
            DataLoader(Stream(3), **options)
