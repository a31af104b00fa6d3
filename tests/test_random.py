"""Generators and the random tensors made from them."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tensorgrad import dtypes, random
from tensorgrad import kernels as K
from tensorgrad.creation import tensor
from tensorgrad.random import Generator


@pytest.fixture
def g() -> Generator:
    return Generator().manual_seed(5)


CALLS = {
    "rand": lambda **k: random.rand(3, 5, **k),
    "randn": lambda **k: random.randn(3, 5, **k),
    "uniform": lambda **k: random.uniform(-1, 2, (3, 5), **k),
    "normal": lambda **k: random.normal(1, 2, (3, 5), **k),
    "bernoulli": lambda **k: random.bernoulli(0.5, (30, 5), **k),
    "randint": lambda **k: random.randint(-1000, 1000, (3, 5), **k),
    "randperm": lambda **k: random.randperm(20, **k),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


class TestGenerator:
    @every_call
    def test_same_seed_same_numbers(self, g, call):
        first, second = call(generator=g).cpu().numpy(), call(generator=g).cpu().numpy()
        assert (first != second).any()
        assert (call(generator=g.manual_seed(5)).cpu().numpy() == first).all()
        assert (call(generator=g.manual_seed(6)).cpu().numpy() != first).any()

    @every_call
    def test_devices_agree(self, g, device, call):
        on_device = call(generator=g, device=device)
        assert on_device.device == device
        np.testing.assert_allclose(
            on_device.cpu().numpy(), call(generator=g.manual_seed(5)).cpu().numpy(), rtol=1e-6, atol=1e-6
        )
        assert g.get_state()[1] > 0

    @every_call
    def test_default_generator(self, call):
        with random.fork_rng() as default:
            assert random.manual_seed(11) is default is random.default_generator
            first = call().cpu().numpy()
            assert (call(generator=Generator().manual_seed(11)).cpu().numpy() == first).all()

    def test_state_round_trip(self, g):
        random.rand(100, generator=g)
        state = g.get_state()
        assert state.dtype == np.uint64
        assert state.tolist() == [5, 13]
        expected = random.rand(9, generator=g).cpu().numpy()
        for other in (g.set_state(state), Generator().set_state(state.copy()), Generator().set_state(tensor(state))):
            assert (random.rand(9, generator=other).cpu().numpy() == expected).all()

    def test_default_state(self):
        state = random.get_rng_state()
        first = random.rand(4).cpu().numpy()
        random.set_rng_state(state)
        assert (random.rand(4).cpu().numpy() == first).all()

    def test_fork_rng_puts_the_state_back(self, g):
        before = g.get_state().tolist()

        def interrupted() -> None:
            with random.fork_rng(g) as forked:
                assert forked is g
                random.rand(10, generator=g.manual_seed(9))
                raise KeyError

        with pytest.raises(KeyError):
            interrupted()
        assert g.get_state().tolist() == before

    def test_copies_continue_on_their_own(self, g):
        random.rand(3, generator=g)
        for other in (copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
            state = g.get_state().tolist()
            assert other.get_state().tolist() == state
            random.rand(3, generator=other)
            assert g.get_state().tolist() == state

    def test_fresh_generators_have_fresh_seeds(self):
        seeds = {Generator().initial_seed() for _ in range(20)} | {Generator().seed() for _ in range(20)}
        assert len(seeds) == 40
        g = Generator("cuda")
        assert g.initial_seed() == g.initial_seed()
        assert g.seed() == g.initial_seed()

    def test_seeds(self, g):
        assert g.manual_seed(np.int64(3)).initial_seed() == 3
        assert g.manual_seed(-1).initial_seed() == 2**64 - 1
        assert g.manual_seed(2**64 - 1).initial_seed() == 2**64 - 1
        assert repr(g) == f"Generator(seed={2**64 - 1}, offset=0)"
        for bad in (2**64, -(2**63) - 1):
            with pytest.raises(ValueError, match=f"manual_seed: seed {bad} is not in"):
                g.manual_seed(bad)
        with pytest.raises(TypeError, match=r"manual_seed: expected an integer, got float 1\.5"):
            g.manual_seed(1.5)

    def test_bad_states(self, g):
        with pytest.raises(ValueError, match=r"expected the array of shape \(2,\) that get_state returned, got \(3,\)"):
            g.set_state(np.zeros(3, np.uint64))
        with pytest.raises(TypeError, match=r"set_state: expected the uint64 array .* got dtype float64"):
            g.set_state(np.zeros(2))

    def test_threads_get_separate_parts(self, g):
        class Slow(int):
            """Lets other threads run in the middle of the addition."""

            def __radd__(self, other: int) -> int:
                time.sleep(1e-4)
                return other + int(self)

        sizes = [Slow(n) for n in (1, 2, 3, 5, 8) * 40]
        with ThreadPoolExecutor(16) as pool:
            starts = list(pool.map(g.reserve, sizes))
        taken = sorted((start, start + int(size)) for start, size in zip(starts, sizes, strict=True))
        assert all(end == start for (_, end), (start, _) in itertools.pairwise(taken))
        assert taken[0][0] == 0
        assert g.get_state()[1] == sum(sizes)

    @pytest.mark.parametrize(
        ("kernel", "dtype", "blocks"),
        [
            ("uniform", "float32", 13),
            ("uniform", "float16", 13),
            ("normal", "float64", 25),
            ("bernoulli", "int64", 13),
            ("integers", "int8", 25),
            ("permutation", "int64", 25),
            ("dropout", "float64", 7),
            ("random_bits", "uint32", 13),
        ],
    )
    def test_blocks_used(self, kernel, dtype, blocks):
        assert random.blocks_used(kernel, (10, 10), np.dtype(dtype)) == blocks
        assert random.blocks_used(kernel, (10, 0), np.dtype(dtype)) == 0

    def test_numbers_do_not_repeat_from_draw_to_draw(self, g):
        together = np.concatenate([random.rand(5, dtype="float64", generator=g).cpu().numpy() for _ in range(200)])
        assert len(set(together.tolist())) == 1000


class TestShapesAndDtypes:
    @pytest.mark.parametrize("function", [random.rand, random.randn])
    def test_shape_arguments(self, device, function):
        for args, shape in [((), ()), ((3,), (3,)), ((2, 3), (2, 3)), (((2, 3),), (2, 3)), (([4],), (4,)), (((),), ())]:
            x = function(*args, device=device)
            assert x.shape == shape
            assert x.dtype == dtypes.float32
            assert not x.requires_grad
        assert function(np.int64(2), 0).shape == (2, 0)

    @every_call
    def test_bad_shapes(self, call):
        name = next(n for n, c in CALLS.items() if c is call)
        sized = {
            "rand": random.rand,
            "randn": random.randn,
            "uniform": lambda s: random.uniform(0, 1, s),
            "normal": lambda s: random.normal(0, 1, s),
            "bernoulli": lambda s: random.bernoulli(0.5, s),
            "randint": lambda s: random.randint(3, s),
            "randperm": random.randperm,
        }[name]
        with pytest.raises(ValueError, match=rf"{name}: shape \(-2,\) has a negative size"):
            sized(-2)
        with pytest.raises(TypeError, match=f"{name}: expected integers as the shape, got"):
            sized(2.5)

    @pytest.mark.parametrize("function", [random.rand, random.randn])
    def test_dtypes(self, g, function):
        assert function(2, dtype="float64").dtype == dtypes.float64
        assert function(2, dtype=np.float16).dtype == dtypes.float16
        for bad in ("int64", "bool"):
            with pytest.raises(TypeError, match=f"{function.__name__}: expected a floating dtype, got {bad}"):
                function(2, dtype=bad)
        dtypes.set_default_dtype("float64")
        try:
            assert function(2).dtype == dtypes.float64
        finally:
            dtypes.set_default_dtype("float32")

    def test_requires_grad(self):
        for call in (CALLS[n] for n in ("rand", "randn", "uniform", "normal")):
            x = call(requires_grad=True)
            assert x.requires_grad
            assert x.is_leaf
        with pytest.raises(TypeError, match="requires_grad"):
            random.randint(3, (2,), requires_grad=True)

    @pytest.mark.parametrize("function", [random.rand_like, random.randn_like])
    def test_like(self, device, g, function):
        x = tensor(np.zeros((2, 3), np.float64), device=device)
        y = function(x, generator=g)
        assert (y.shape, y.dtype, y.device) == ((2, 3), dtypes.float64, x.device)
        y = function(x, dtype="float32", device="cpu", requires_grad=True)
        assert (y.shape, y.dtype, y.requires_grad) == ((2, 3), dtypes.float32, True)
        assert y.device == "cpu"
        with pytest.raises(TypeError, match="expected a floating dtype, got int64"):
            function(tensor([1, 2]))

    def test_integers_like(self, device, g):
        x = tensor(np.zeros((40, 3), np.float64), device=device)
        y = random.randint_like(x, 2, 5, generator=g)
        assert (y.shape, y.dtype, y.device) == ((40, 3), dtypes.float64, x.device)
        assert sorted(set(y.cpu().numpy().ravel().tolist())) == [2, 3, 4]
        assert random.randint_like(x, 1, dtype="int8").cpu().numpy().any() == 0


class TestUniform:
    def test_unit_interval(self, device, g):
        x = random.rand(100, 100, device=device, generator=g).cpu().numpy()
        assert 0 <= x.min() < 0.01
        assert 0.99 < x.max() < 1

    def test_range(self, device, g):
        x = random.uniform(-3, 7, (100, 100), device=device, generator=g).cpu().numpy()
        assert -3 <= x.min() < -2.9
        assert 6.9 < x.max() < 7
        assert random.uniform().shape == ()

    @pytest.mark.parametrize(("low", "high"), [(1, 1), (2, 1), (math.nan, 1)])
    def test_empty_range(self, low, high):
        with pytest.raises(ValueError, match="uniform: low must be less than high, got low="):
            random.uniform(low, high, 3)

    @pytest.mark.parametrize(("low", "high", "dtype"), [(0, math.inf, None), (-3e38, 3e38, None), (0, 1e5, "float16")])
    def test_infinite_range(self, low, high, dtype):
        with pytest.raises(ValueError, match="difference is not finite in float"):
            random.uniform(low, high, 3, dtype=dtype)


class TestNormal:
    def test_numbers(self, device, g):
        x = random.normal(3, 0.5, (200, 100), device=device, generator=g).cpu().numpy()
        assert abs(x.mean() - 3) < 0.02
        assert abs(x.std() - 0.5) < 0.01
        assert (random.normal(3, 0, 4, device=device).cpu().numpy() == 3).all()

    def test_tensors(self, device, g):
        mean, std = tensor([[0.0], [100.0]], device=device), tensor([0.0, 1.0, 2.0], device=device)
        z = random.randn(2, 3, generator=g).cpu().numpy()
        expected = z * std.cpu().numpy() + mean.cpu().numpy()
        np.testing.assert_allclose(
            random.normal(mean, std, generator=g.manual_seed(5)).cpu().numpy(), expected, rtol=1e-6
        )
        wide = random.normal(mean, 2.0, (2, 3), dtype="float64", generator=g)
        assert (wide.shape, wide.dtype, wide.device) == ((2, 3), dtypes.float64, mean.device)
        assert random.normal(1.0, tensor([1.0, 2.0]).to("float64")).dtype == dtypes.float64

    @pytest.mark.parametrize("std", [-1, math.nan])
    def test_bad_std(self, std):
        with pytest.raises(ValueError, match="normal: std must be at least 0, got"):
            random.normal(0, std, 3)


class TestBernoulli:
    def test_number(self, device, g):
        x = random.bernoulli(0.25, (100, 100), device=device, generator=g)
        assert x.dtype == dtypes.float32
        assert set(x.cpu().numpy().ravel().tolist()) == {0, 1}
        assert abs(x.cpu().numpy().mean() - 0.25) < 0.02
        assert random.bernoulli(1, 3, dtype=bool, device=device).cpu().numpy().tolist() == [True] * 3

    def test_tensor(self, device, g):
        p = tensor([[0.0, 1.0, 0.5]], dtype="float64", device=device)
        x = random.bernoulli(p, (1000, 3), generator=g)
        assert (x.dtype, x.device) == (dtypes.float64, p.device)
        mean = x.cpu().numpy().mean(axis=0)
        assert mean[0] == 0
        assert mean[1] == 1
        assert abs(mean[2] - 0.5) < 0.06
        assert random.bernoulli(p, dtype="int32").cpu().numpy()[0, :2].tolist() == [0, 1]

    def test_no_probability(self):
        with pytest.raises(ValueError, match=r"bernoulli: p must be between 0 and 1, got 1\.5"):
            random.bernoulli(1.5, 3)
        with pytest.raises(ValueError, match=r"bernoulli: every p must be between 0 and 1, they are 0\.0 to 2\.0"):
            random.bernoulli(tensor([0.0, 2.0]))
        with pytest.raises(TypeError, match="bernoulli: expected probabilities of a floating dtype, got int64"):
            random.bernoulli(tensor([0, 1]))


class TestRandint:
    def test_signatures(self, device):
        for x in (
            random.randint(10, (1000,), device=device),
            random.randint(0, 10, 1000, device=device),
            random.randint(high=10, size=(1000,), device=device),
            random.randint(10, size=1000, device=device),
        ):
            assert x.dtype == dtypes.int64
            assert sorted(set(x.cpu().numpy().tolist())) == list(range(10))

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "float16", "float32", "float64"])
    def test_dtypes(self, device, g, dtype):
        wide = random.randint(3, 90, (50,), generator=g).cpu().numpy()
        x = random.randint(3, 90, (50,), dtype=dtype, device=device, generator=g.manual_seed(5))
        assert x.dtype == dtype
        assert (x.cpu().numpy() == wide).all()

    def test_bool(self, device):
        assert set(random.randint(2, (50,), dtype=bool, device=device).cpu().numpy().tolist()) == {False, True}

    def test_errors(self):
        with pytest.raises(ValueError, match="randint: low must be less than high, got low=3 and high=3"):
            random.randint(3, 3, (2,))
        with pytest.raises(ValueError, match="randint: uint8 holds the integers 0 to 255, not all of 0 to 256"):
            random.randint(257, (2,), dtype="uint8")
        with pytest.raises(ValueError, match="float16 holds the integers -2048 to 2048, not all of 0 to 4999"):
            random.randint(5000, (2,), dtype="float16")
        with pytest.raises(ValueError, match="int64 holds"):
            random.randint(2**63 + 1, (2,))
        with pytest.raises(TypeError, match=r"randint: expected randint\(high, size\) or"):
            random.randint(3)
        with pytest.raises(TypeError, match=r"randint: expected integers, got low=0 and high=1\.5"):
            random.randint(1.5, (2,))
        with pytest.raises(TypeError, match="randint: expected an integer or floating dtype, got complex64"):
            random.randint(3, (2,), dtype="complex64")


class TestRandperm:
    def test_every_number_once(self, device, g):
        for n in (0, 1, 5, 5000):
            x = random.randperm(n, device=device, generator=g)
            assert x.dtype == dtypes.int64
            assert sorted(x.cpu().numpy().tolist()) == list(range(n))
        assert random.randperm(5, dtype="float32", device=device).dtype == dtypes.float32

    def test_errors(self):
        with pytest.raises(ValueError, match="randperm: int8 holds the integers -128 to 127, not all of 0 to 199"):
            random.randperm(200, dtype="int8")


class TestMultinomial:
    weights = np.array([[1, 0, 2, 5], [0.25, 0.25, 0.5, 0]], np.float32)

    def test_with_replacement(self, device, g):
        index = random.multinomial(tensor(self.weights, device=device), 20000, True, generator=g)
        assert (index.shape, index.dtype, index.device) == ((2, 20000), dtypes.int64, device)
        for row, w in zip(index.cpu().numpy(), self.weights, strict=True):
            np.testing.assert_allclose(np.bincount(row, minlength=4) / 20000, w / w.sum(), atol=0.015)
            assert np.bincount(row, minlength=4)[w == 0] == 0

    def test_without_replacement(self, g):
        first, second = np.zeros(4), np.zeros((4, 4))
        for row in random.multinomial(tensor(np.tile(self.weights[0], (20000, 1))), 2, generator=g).cpu().numpy():
            first[row[0]] += 1
            second[row[0], row[1]] += 1
        np.testing.assert_allclose(first / 20000, [1 / 8, 0, 2 / 8, 5 / 8], atol=0.015)
        np.testing.assert_allclose(second[3] / first[3], [1 / 3, 0, 2 / 3, 0], atol=0.02)

    def test_one_row(self, device, g):
        x = tensor([1.0, 2.0, 3.0], device=device)
        assert sorted(random.multinomial(x, 3, generator=g).cpu().numpy().tolist()) == [0, 1, 2]
        assert random.multinomial(x, 0).shape == (0,)
        assert random.multinomial(tensor([1e308, 1e308], dtype="float64"), 5, True).shape == (5,)

    def test_errors(self):
        with pytest.raises(ValueError, match="weights must be finite and at least 0"):
            random.multinomial(tensor([1.0, -1.0]), 1)
        with pytest.raises(ValueError, match="weights must be finite and at least 0"):
            random.multinomial(tensor([1.0, math.nan]), 1)
        with pytest.raises(ValueError, match="row 1 has 0 weights above 0, 1 are needed"):
            random.multinomial(tensor([[1.0, 0.0], [0.0, 0.0]]), 1, True)
        with pytest.raises(ValueError, match="row 0 has 1 weights above 0, 2 are needed"):
            random.multinomial(tensor([1.0, 0.0]), 2)
        with pytest.raises(ValueError, match=r"expected weights of shape \(C,\) or \(N, C\), got \(1, 1, 1\)"):
            random.multinomial(tensor([[[1.0]]]), 1)


class TestChoice:
    def test_values(self, device, g):
        values = tensor([10, 20, 30, 40], device=device)
        x = random.choice(values, (50, 4), generator=g)
        assert (x.shape, x.device) == ((50, 4), values.device)
        assert set(x.cpu().numpy().ravel().tolist()) == {10, 20, 30, 40}
        assert sorted(random.choice(values, 4, replace=False, generator=g).cpu().numpy().tolist()) == [10, 20, 30, 40]
        assert set(random.choice(values, 99, p=tensor([0.0, 1.0, 0.0, 1.0])).cpu().numpy().tolist()) == {20, 40}

    def test_number(self, g):
        assert sorted(random.choice(6, (2, 3), replace=False, generator=g).cpu().numpy().ravel().tolist()) == list(
            range(6)
        )
        assert random.choice(6).shape == ()

    def test_errors(self):
        with pytest.raises(ValueError, match="choice: cannot draw 4 of 3 elements with replace=False"):
            random.choice(3, 4, replace=False)
        with pytest.raises(ValueError, match="choice: cannot draw 4 of 0 elements"):
            random.choice(0, 4)
        with pytest.raises(ValueError, match=r"choice: expected weights p of shape \(3,\), got \(2,\)"):
            random.choice(3, p=tensor([1.0, 1.0]))
        with pytest.raises(ValueError, match="choice: expected a 1-D tensor"):
            random.choice(tensor([[1, 2]]))


def test_kernels_are_given_what_was_reserved(g: Any) -> None:
    """An op that needs the same numbers again, as dropout's gradient does, keeps ``(seed, offset)``."""
    x = np.ones((7, 9), np.float32)
    first, second = random.reserve_for(K.dropout, x, g), random.reserve_for(K.dropout, x, g)
    assert (first, second) == ((5, 0), (5, 4))
    assert (K.dropout(x, 0.5, *first) != K.dropout(x, 0.5, *second)).any()
