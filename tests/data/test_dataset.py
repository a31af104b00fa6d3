"""Datasets: samples by number, parts of datasets, random splits."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from tensorgrad.random import Generator


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


class TestTensorDataset:
    def test_samples(self, device):
        x, y = tg.arange(6, device=device).reshape(3, 2), tg.arange(3, device=device)
        dataset = TensorDataset(x, y)
        assert len(dataset) == 3
        a, b = dataset[1]
        assert (a.tolist(), b.tolist()) == ([2, 3], 1)
        assert a.device == device
        assert dataset[-1][0].tolist() == [4, 5]

    @pytest.mark.parametrize(
        ("tensors", "error", "words"),
        [
            ((), ValueError, "at least one"),
            (([1, 2],), TypeError, "argument 0 is a list"),
            ((np.ones(3),), TypeError, "tg.tensor"),
            ((tg.ones(3), tg.tensor(1.0)), ValueError, "argument 1 has no axis"),
            ((tg.ones(3), tg.ones(4)), ValueError, r"\[3, 4\]"),
        ],
    )
    def test_errors(self, tensors, error, words):
        with pytest.raises(error, match=words):
            TensorDataset(*tensors)

    def test_devices_must_agree(self, device):
        if device == "cpu":
            pytest.skip("one device")
        with pytest.raises(ValueError, match="cpu and cuda:0"):
            TensorDataset(tg.ones(3), tg.ones(3, device=device))


def test_base_class_says_what_is_missing():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not define __len__"):
        len(Empty())
    with pytest.raises(NotImplementedError, match="Empty does not define __getitem__"):
        Empty()[0]


class TestSubset:
    def test_order_and_negative_indices(self):
        assert list(Subset("abcdef", [5, 0, -2, 0])) == ["f", "a", "e", "a"]
        assert list(Subset("abc", tg.tensor([2, 1]))) == ["c", "b"]
        assert list(Subset("abc", [])) == []

    def test_of_subset(self):
        assert list(Subset(Subset("abcdef", [1, 3, 5]), [2, 0])) == ["f", "b"]

    def test_errors(self):
        with pytest.raises(IndexError, match="index 3 is out of range for a dataset of 3"):
            Subset("abc", [0, 3])
        with pytest.raises(IndexError, match="-4"):
            Subset("abc", [-4])
        for wrong in ([0.5], [[1]], [True]):
            with pytest.raises(TypeError, match="integers"):
                Subset("abc", wrong)


class TestConcatDataset:
    def test_samples(self):
        both = ConcatDataset(["ab", "", "cde"])
        assert [both[i] for i in range(-5, 5)] == list("abcdeabcde")
        assert len(both) == 5
        with pytest.raises(IndexError, match="index 5 is out of range for 5"):
            both[5]
        with pytest.raises(IndexError, match="-6"):
            both[-6]

    def test_plus(self):
        first, second = Subset("abc", [0]), Subset("xyz", [2, 1])
        assert [*(first + second)] == ["a", "z", "y"]

    def test_none(self):
        with pytest.raises(ValueError, match="at least one"):
            ConcatDataset([])


class TestRandomSplit:
    @pytest.mark.parametrize(
        ("lengths", "sizes"),
        [([7, 3], [7, 3]), ([10], [10]), ([0.75, 0.25], [8, 2]), ([0.5, 0.3, 0.2], [5, 3, 2]), ([0, 10], [0, 10])],
    )
    def test_every_sample_in_one_part(self, lengths, sizes):
        parts = random_split(range(10), lengths, seeded())
        assert [len(p) for p in parts] == sizes
        assert sorted(i for p in parts for i in p) == list(range(10))

    def test_one_seed_one_split(self):
        first, second, other = (list(random_split(range(50), [25, 25], seeded(s))[0]) for s in (3, 3, 4))
        assert first == second != other

    @pytest.mark.parametrize("lengths", [[5, 6], [0.5, 0.6], [11, -1], [4, 5]])
    def test_errors(self, lengths):
        with pytest.raises(ValueError, match="random_split"):
            random_split(range(10), lengths)


def test_stacked_datasets():
    pairs = tg.data.StackDataset([1, 2], ["a", "b"])
    assert (len(pairs), pairs[1]) == (2, (2, "b"))
    named = tg.data.StackDataset(x=tg.arange(4), y=tg.arange(4) * 2)
    (batch,) = tg.data.DataLoader(named, batch_size=4)
    assert batch["y"].tolist() == [0, 2, 4, 6]
    for args, kwargs in (((), {}), (([1],), {"x": [1]}), (([1], [1, 2]), {})):
        with pytest.raises(ValueError, match="StackDataset"):
            tg.data.StackDataset(*args, **kwargs)
