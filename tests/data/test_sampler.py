"""Samplers: which indices come, in which order."""

from __future__ import annotations

from collections import Counter

import pytest

import tensorgrad as tg
from tensorgrad.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from tensorgrad.random import Generator


@pytest.fixture
def g() -> Generator:
    return Generator().manual_seed(3)


def test_sequential():
    sampler = SequentialSampler("abc")
    assert list(sampler) == list(sampler) == [0, 1, 2]
    assert len(sampler) == 3


class TestRandom:
    def test_every_index_once_in_a_fresh_order(self, g):
        sampler = RandomSampler(range(40), generator=g)
        first, second = list(sampler), list(sampler)
        assert first != second
        assert sorted(first) == sorted(second) == list(range(40))
        assert list(RandomSampler(range(40), generator=g.manual_seed(3))) == first

    def test_order_is_the_generators_permutation(self, g):
        drawn = list(RandomSampler(range(9), generator=g))
        assert drawn == tg.random.randperm(9, generator=g.manual_seed(3)).tolist()

    def test_number_of_samples(self, g):
        assert len(set(RandomSampler(range(10), num_samples=4, generator=g))) == 4
        more = list(RandomSampler(range(3), num_samples=8, generator=g))
        assert sorted(Counter(more).values()) == [2, 3, 3]
        again = RandomSampler(range(3), replacement=True, num_samples=100, generator=g)
        assert len(again) == len(list(again)) == 100
        assert set(again) == {0, 1, 2}

    def test_of_nothing(self, g):
        assert list(RandomSampler([], generator=g)) == []

    def test_the_draw_belongs_to_iter(self, g):
        first, second = iter(RandomSampler(range(9), generator=g)), iter(RandomSampler(range(9), generator=g))
        late = list(second)
        g.manual_seed(3)
        assert list(first) == list(RandomSampler(range(9), generator=g))
        assert late == list(RandomSampler(range(9), generator=g))


def test_subset(g):
    sampler = SubsetRandomSampler([5, 7, 9, 11], generator=g)
    assert sorted(sampler) == [5, 7, 9, 11]
    assert len(sampler) == 4


class TestWeighted:
    def test_frequencies(self, g):
        counts = Counter(WeightedRandomSampler([0.0, 1.0, 3.0], 4000, generator=g))
        assert counts[0] == 0
        assert counts[2] / counts[1] == pytest.approx(3, rel=0.15)

    def test_without_replacement(self, g):
        sampler = WeightedRandomSampler(tg.tensor([0.1, 0.2, 0.0, 0.7]), 3, replacement=False, generator=g)
        assert sorted(sampler) == [0, 1, 3]
        assert len(sampler) == 3

    def test_errors(self):
        with pytest.raises(ValueError, match="shape"):
            WeightedRandomSampler([[1.0]], 1)
        with pytest.raises(ValueError, match="num_samples must be positive"):
            WeightedRandomSampler([1.0], 0)


class TestBatches:
    @pytest.mark.parametrize(
        ("drop_last", "batches"), [(False, [[0, 1, 2], [3, 4, 5], [6]]), (True, [[0, 1, 2], [3, 4, 5]])]
    )
    def test_groups(self, drop_last, batches):
        sampler = BatchSampler(range(7), 3, drop_last)
        assert list(sampler) == batches
        assert len(sampler) == len(batches)

    @pytest.mark.parametrize(
        ("size", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), (True, TypeError)]
    )
    def test_size(self, size, error):
        with pytest.raises(error, match="batch_size"):
            BatchSampler(range(3), size)


def test_base_class_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(Sampler())
    with pytest.raises(NotImplementedError, match="__len__"):
        len(Sampler())


class TestDistributed:
    @pytest.mark.parametrize("drop_last", [False, True])
    @pytest.mark.parametrize("count", [1, 7, 9, 10])
    def test_parts_cover_everything_once(self, count, drop_last):
        parts = []
        for rank in range(3):
            sampler = tg.data.DistributedSampler(range(count), 3, rank, seed=4, drop_last=drop_last)
            sampler.set_epoch(2)
            parts.append(list(sampler))
            assert len(parts[-1]) == len(sampler) == (count // 3 if drop_last else -(-count // 3))
        drawn = [i for part in parts for i in part]
        assert len(set(drawn)) == (len(drawn) if drop_last else count)

    def test_epochs(self):
        sampler = tg.data.DistributedSampler(range(50), 2, 0)
        first = list(sampler)
        assert list(sampler) == first
        sampler.set_epoch(1)
        assert list(sampler) != first

    def test_rank(self):
        with pytest.raises(ValueError, match="rank must be at least 0 and below 2, got 2"):
            tg.data.DistributedSampler(range(5), 2, 2)
