"""The DataLoader: batches, their order, and the errors of wrong options."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import kernels as K
from tensorgrad.data import ConcatDataset, DataLoader, Dataset, Subset, TensorDataset, collate
from tensorgrad.data import whole as whole_module
from tensorgrad.random import Generator


class Numbers(Dataset):
    """Fetched one by one: i and its square."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> tuple[int, float]:
        return i, float(i * i)


def whole(count: int, device: Any = None) -> TensorDataset:
    x = tg.arange(count, device=device)
    return TensorDataset(x, x.astype(tg.float32) * x)


def seeded(seed: int = 1) -> Generator:
    return Generator().manual_seed(seed)


@pytest.fixture(params=["whole", "one by one"])
def dataset(request, device) -> Any:
    return whole(23, device) if request.param == "whole" else Numbers(23)


def order(loader: Any) -> list[list[int]]:
    batches = []
    for x, y in loader:
        np.testing.assert_array_equal(y.cpu().numpy(), x.cpu().numpy().astype(float) ** 2)
        batches.append(x.tolist())
    return batches


def flat(batches: list[list[int]]) -> list[int]:
    return list(itertools.chain(*batches))


class TestOrder:
    def test_in_order(self, dataset):
        batches = order(DataLoader(dataset, batch_size=5))
        assert [len(b) for b in batches] == [5, 5, 5, 5, 3]
        assert flat(batches) == list(range(23))

    def test_shuffled_every_sample_once_and_anew_each_epoch(self, dataset):
        loader = DataLoader(dataset, batch_size=5, shuffle=True, generator=seeded())
        first, second = flat(order(loader)), flat(order(loader))
        assert first != second
        assert sorted(first) == sorted(second) == list(range(23))

    def test_one_seed_one_order_however_the_samples_are_fetched(self, dataset):
        loader = DataLoader(dataset, batch_size=5, shuffle=True, generator=seeded())
        expected = DataLoader(whole(23), batch_size=5, shuffle=True, generator=seeded())
        for _ in range(2):
            assert order(loader) == order(expected)

    def test_default_generator(self, dataset):
        with tg.random.fork_rng() as g:
            g.manual_seed(1)
            drawn = order(DataLoader(dataset, batch_size=4, shuffle=True))
        assert drawn == order(DataLoader(dataset, batch_size=4, shuffle=True, generator=seeded()))

    def test_drop_last(self, dataset):
        loader = DataLoader(dataset, batch_size=5, drop_last=True)
        assert flat(order(loader)) == list(range(20))
        assert len(loader) == 4
        assert order(DataLoader(dataset, batch_size=24, drop_last=True)) == []

    @pytest.mark.parametrize("size", [1, 22, 23, 24, 1000])
    def test_length(self, dataset, size):
        loader = DataLoader(dataset, batch_size=size)
        assert len(loader) == len(order(loader)) == -(-23 // size)

    def test_sampler(self, dataset):
        assert order(DataLoader(dataset, batch_size=2, sampler=[4, 4, 0])) == [[4, 4], [0]]

    def test_batch_sampler(self, dataset):
        loader = DataLoader(dataset, batch_sampler=[[1, 2, 3], [0]])
        assert order(loader) == [[1, 2, 3], [0]]
        assert len(loader) == 2

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_subset(self, dataset, shuffle):
        rows = [20, 3, 7, 7, 11]
        part = Subset(Subset(dataset, rows), [4, 1, 0, 2])
        drawn = flat(order(DataLoader(part, batch_size=3, shuffle=shuffle, generator=seeded())))
        assert (sorted(drawn) if shuffle else drawn) == ([3, 7, 11, 20] if shuffle else [11, 3, 20, 7])

    def test_subset_with_sampler(self, dataset):
        assert order(DataLoader(Subset(dataset, [9, 8, 7]), batch_size=2, sampler=[2, 0])) == [[7, 9]]

    def test_several_datasets(self, dataset):
        assert flat(order(DataLoader(ConcatDataset([dataset, dataset]), batch_size=7))) == [*range(23)] * 2

    def test_two_loops_at_once(self, dataset):
        loader = DataLoader(dataset, batch_size=5, shuffle=True, generator=seeded())
        one, two = iter(loader), iter(loader)
        mixed = [b[0].tolist() for pair in zip(one, two, strict=True) for b in pair]
        assert sorted(flat(mixed[::2])) == sorted(flat(mixed[1::2])) == list(range(23))

    def test_empty(self, device):
        assert list(DataLoader(TensorDataset(tg.zeros(0, 3, device=device)), shuffle=True)) == []
        assert list(DataLoader(Numbers(0), shuffle=True)) == []


class TestWholeTensors:
    def test_many_chunks(self, device, monkeypatch):
        monkeypatch.setattr(whole_module, "_CHUNK_BYTES", 100)
        for shuffle in (False, True):
            loader = DataLoader(whole(101, device), batch_size=4, shuffle=shuffle, generator=seeded())
            batches = order(loader)
            assert [len(b) for b in batches] == [4] * 25 + [1]
            assert sorted(flat(batches)) == list(range(101))

    def test_few_kernels(self, device):
        launches = []
        hook = lambda kernel, args, params, run: (launches.append(kernel.name), run())[1]  # noqa: E731
        dataset = whole(1000, device)
        K.add_hook(hook)
        try:
            assert len(list(DataLoader(dataset, batch_size=10, shuffle=True))) == 100
        finally:
            K.remove_hook(hook)
        assert len(launches) == 3, launches  # the order, and one gather per tensor

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_writing_into_a_batch_does_not_reach_the_dataset(self, device, shuffle):
        dataset = whole(6, device)
        for x, y in DataLoader(dataset, batch_size=2, shuffle=shuffle):
            x += 100
            y *= 0
        assert dataset.tensors[0].tolist() == list(range(6))
        assert dataset.tensors[1].tolist() == [i * i for i in range(6)]

    def test_no_tape(self, device):
        x = tg.ones(4, 2, device=device, requires_grad=True)
        for (batch,) in DataLoader(TensorDataset(x), batch_size=3, shuffle=True):
            assert not batch.requires_grad

    def test_a_subclass_makes_its_own_samples(self, device):
        class Negated(TensorDataset):
            def __getitem__(self, index: Any) -> Any:
                return tuple(-x for x in super().__getitem__(index))

        (batch,) = DataLoader(Negated(tg.arange(3, device=device)), batch_size=3)
        assert batch[0].tolist() == [0, -1, -2]

    def test_indices_out_of_range(self, device):
        with pytest.raises(IndexError):
            [x.tolist() for x, _ in DataLoader(whole(3, device), sampler=[5])]


@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"sampler": [2, 1, 0]}], ids=str)
def test_batches_go_to_the_device(device, options):
    for source in (whole(3), Numbers(3), Subset(whole(4), [2, 1, 0])):
        for x, y in DataLoader(source, batch_size=2, device=device, **options):
            assert x.device == y.device == device


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"batch_size": 0}, ValueError, "batch_size must be positive, got 0"),
            ({"batch_size": -1}, ValueError, "batch_size must be positive"),
            ({"batch_size": 2.0}, TypeError, "batch_size must be an integer"),
            ({"shuffle": True, "sampler": [0]}, ValueError, "sampler and shuffle=True exclude each other"),
            ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "batch_sampler excludes"),
            ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "batch_sampler excludes"),
            ({"batch_sampler": [[0]], "drop_last": True}, ValueError, "batch_sampler excludes"),
            ({"generator": 7}, TypeError, "generator must be"),
            ({"device": "tpu"}, ValueError, "unknown device"),
        ],
    )
    def test_errors(self, options, error, words):
        with pytest.raises(error, match=words):
            DataLoader(range(3), **options)

    def test_not_a_dataset(self):
        with pytest.raises(TypeError, match="generator has not"):
            DataLoader(i for i in range(3))

    def test_collate_fn(self):
        assert list(DataLoader("abcd", batch_size=3, collate_fn="".join)) == ["abc", "d"]
        assert list(DataLoader(whole(3), batch_size=2, collate_fn=len)) == [2, 1]

    def test_length_of_a_sampler_without_one(self):
        with pytest.raises(TypeError):
            len(DataLoader(range(3), sampler=(i for i in range(3))))


class Pair(NamedTuple):
    x: Any
    name: Any


class TestCollate:
    def test_tensors(self, device):
        x = collate([tg.ones(2, device=device), tg.zeros(2, device=device)])
        assert x.tolist() == [[1, 1], [0, 0]]
        assert x.device == device

    def test_kinds(self):
        batch = collate([{"a": np.float64(1), "b": [1, "x"]}, {"a": np.float64(2), "b": [3, "y"]}])
        assert batch["a"].tolist() == [1, 2]
        assert batch["a"].dtype == tg.float64
        assert batch["b"][0].tolist() == [1, 3]
        assert batch["b"][1] == ["x", "y"]
        pair = collate([Pair(np.ones(2, np.int32), "p"), Pair(np.zeros(2, np.int32), "q")])
        assert isinstance(pair, Pair)
        assert pair.x.dtype == tg.int32
        assert pair.name == ["p", "q"]

    def test_errors(self):
        with pytest.raises(ValueError, match=r"one shape, got \[\(2,\), \(3,\)\]"):
            collate([tg.ones(2), tg.ones(3)])
        with pytest.raises(ValueError, match=r"equally many parts, got \[1, 2\]"):
            collate([(1,), (1, 2)])

    def test_nested_batches_move(self, device):
        batch = next(iter(DataLoader([{"a": [1.0, (2,)], "s": "t"}], device=device)))
        assert batch["a"][0].device == batch["a"][1][0].device == device
        assert batch["s"] == ["t"]
