"""The random kernels against Philox written out from the paper in Python integers."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from tensorgrad import kernels as K
from tensorgrad.random import blocks_used

cpu_random = K.cpu.random
MASK = (1 << 64) - 1
FLOATS = ["float16", "bfloat16", "float32", "float64"]
SEED, OFFSET = 0x0123456789ABCDEF, 77


def philox4x64_10(counter: list[int], key: list[int]) -> list[int]:
    """Salmon et al. 2011, section 3.2: ten rounds of multiply, split and exclude."""
    (r0, l0, r1, l1), (k0, k1) = counter, key
    for _ in range(10):
        product0, product1 = 0xD2E7470EE14C6C93 * r0, 0xCA5A826395121157 * r1
        r0, l0, r1, l1 = (product1 >> 64) ^ l0 ^ k0, product1 & MASK, (product0 >> 64) ^ l1 ^ k1, product0 & MASK
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
    return [r0, l0, r1, l1]


def words(n: int, seed: int = SEED, offset: int = OFFSET) -> list[int]:
    result: list[int] = []
    for block in range(-(-n // 4)):
        counter = offset + block + 1
        result += philox4x64_10([counter >> (64 * k) & MASK for k in range(4)], [seed, 0])
    return result[:n]


def pieces(n: int, bits: int) -> list[int]:
    per_word = 64 // bits
    return [w >> (bits * k) & ((1 << bits) - 1) for w in words(-(-n // per_word)) for k in range(per_word)][:n]


def dtype_named(name: str) -> Any:
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16 if name == "bfloat16" else name)


@pytest.fixture
def xp(device: str) -> Any:
    """The array library of the device."""
    return np if device == "cpu" else importlib.import_module("cupy")


def host(array: Any) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else array.get()


def draw(
    xp: Any, name: str, shape: Any, dtype: Any, *params: Any, seed: int = SEED, offset: Any = OFFSET
) -> np.ndarray:
    out = xp.empty(shape, dtype)
    if name == "dropout":
        return host(K.dropout(xp.ones(shape, dtype), *params, seed, offset))
    assert getattr(K, name)(out, *params, seed, offset) is None
    return host(out)


DRAWS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("random_bits", "uint64", ()),
    ("random_bits", "uint32", ()),
    *[("uniform", d, (-1.0, 3.0)) for d in FLOATS],
    *[("normal", d, (1.0, 2.0)) for d in FLOATS],
    *[("bernoulli", d, (0.3,)) for d in ["bool", "uint8", "int16", "int32", *FLOATS]],
    *[("integers", d, (3, 90)) for d in ["int8", "uint16", "int32", "int64", "uint64"]],
    *[("dropout", d, (0.3,)) for d in FLOATS],
]
every_draw = pytest.mark.parametrize(("name", "dtype", "params"), DRAWS)


class TestBits:
    @pytest.mark.parametrize(
        ("counter", "key", "expected"),
        [
            ([0] * 4, [0] * 2, "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
            ([MASK] * 4, [MASK] * 2, "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0"),
            (
                [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
                [0x452821E638D01377, 0xBE5466CF34E90C6C],
                "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
            ),
        ],
    )
    def test_reference_gives_the_known_answers_of_random123(self, counter, key, expected):
        assert philox4x64_10(counter, key) == [int(word, 16) for word in expected.split()]

    @pytest.mark.parametrize("seed", [0, 1, SEED, MASK])
    @pytest.mark.parametrize("offset", [0, 1, 12345678901, MASK - 1, MASK])
    def test_words(self, xp, seed, offset):
        assert draw(xp, "random_bits", 13, "uint64", seed=seed, offset=offset).tolist() == words(13, seed, offset)

    @pytest.mark.parametrize("n", [1, 2, 7, 8, 9])
    def test_halves_come_low_first(self, xp, n):
        assert draw(xp, "random_bits", n, "uint32").tolist() == pieces(n, 32)

    def test_long_stream_is_that_of_numpy(self, xp):
        expected = np.random.Philox(key=SEED, counter=OFFSET).random_raw(20001)
        assert (draw(xp, "random_bits", 20001, "uint64") == expected).all()

    def test_other_dtypes_are_refused(self, xp):
        with pytest.raises(TypeError, match="random_bits: out must be uint32 or uint64, not int64"):
            draw(xp, "random_bits", 3, "int64")


class TestElementsDependOnTheirIndexOnly:
    @every_draw
    def test_splitting(self, xp, name, dtype, params):
        dtype, total, first = dtype_named(dtype), 70000, 33 * 16
        whole = draw(xp, name, total, dtype, *params)
        start = draw(xp, name, first, dtype, *params)
        rest = draw(xp, name, total - first, dtype, *params, offset=OFFSET + blocks_used(name, (first,), dtype))
        assert (whole == np.concatenate([start, rest])).all()

    @every_draw
    def test_length(self, xp, name, dtype, params):
        dtype = dtype_named(dtype)
        longest = draw(xp, name, 40, dtype, *params)
        for n in range(40):
            assert (draw(xp, name, n, dtype, *params) == longest[:n]).all()

    @every_draw
    def test_shape_and_memory_layout(self, xp, name, dtype, params):
        dtype = dtype_named(dtype)
        plain = draw(xp, name, 30, dtype, *params).reshape(2, 3, 5)
        assert (draw(xp, name, (2, 3, 5), dtype, *params) == plain).all()
        big = xp.zeros((5, 3, 2, 2), dtype)
        strided, transposed = big[..., 1].T, xp.empty((5, 3, 2), dtype).T
        misaligned = xp.empty(32, dtype)[1:31].reshape(2, 3, 5)
        for view in (strided, transposed, misaligned):
            if name == "dropout":
                assert K.dropout(xp.ones((5, 3, 2), dtype).T, *params, SEED, OFFSET, out=view) is view
            else:
                getattr(K, name)(view, *params, SEED, OFFSET)
            assert (host(view) == plain).all()
        assert not host(big[..., 0]).any()

    @every_draw
    def test_scalars_and_empty_arrays(self, xp, name, dtype, params):
        dtype = dtype_named(dtype)
        assert draw(xp, name, (), dtype, *params) == draw(xp, name, 1, dtype, *params)[0]
        assert draw(xp, name, (3, 0), dtype, *params).shape == (3, 0)

    @every_draw
    def test_offset_in_an_array(self, xp, name, dtype, params):
        dtype = dtype_named(dtype)
        offset = xp.asarray(np.array(OFFSET, np.uint64))
        for same in (offset, np.uint64(OFFSET)):
            assert (draw(xp, name, 20, dtype, *params, offset=same) == draw(xp, name, 20, dtype, *params)).all()

    @every_draw
    @pytest.mark.parametrize("device", ["cuda"], indirect=True)
    def test_looping_thread_blocks(self, xp, name, dtype, params, monkeypatch):
        dtype = dtype_named(dtype)
        expected = draw(xp, name, 30000, dtype, *params)
        monkeypatch.setattr(importlib.import_module("tensorgrad.kernels.cuda.random"), "_BLOCKS", 2)
        assert (draw(xp, name, 30000, dtype, *params) == expected).all()

    @every_draw
    def test_streams_differ(self, xp, name, dtype, params):
        dtype = dtype_named(dtype)
        here = draw(xp, name, 200, dtype, *params)
        assert (here != draw(xp, name, 200, dtype, *params, seed=SEED + 1)).any()
        assert (here != draw(xp, name, 200, dtype, *params, offset=OFFSET + 1)).any()

    def test_threads(self):
        def work(seed: int) -> list[float]:
            return draw(np, "uniform", 50000, np.float32, 0, 1, seed=seed).tolist()

        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(work, range(16)))
        assert together == [work(seed) for seed in range(16)]


class TestUniform:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_unit_interval(self, xp, dtype):
        if dtype == "float32":
            expected = [(b >> 8) * 2.0**-24 for b in pieces(21, 32)]
        else:
            expected = [(w >> 11) * 2.0**-53 for w in words(21)]
        assert draw(xp, "uniform", 21, dtype, 0, 1).tolist() == expected

    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.1, 0.1), (1.0, 1.0625), (1e-3, 5e4), (-3, -2.5)])
    def test_bounds(self, xp, dtype, low, high):
        dtype = dtype_named(dtype)
        x = draw(xp, "uniform", 100000, dtype, low, high)
        assert (x >= dtype.type(low)).all()
        assert (x < dtype.type(high)).all()
        x = x.astype(np.float64)
        assert abs(x.mean() - (low + high) / 2) < 0.01 * (high - low)
        coarse = dtype.itemsize == 2  # few numbers lie between low and high
        assert abs(x.var() * 12 / (high - low) ** 2 - 1) < (0.1 if coarse else 0.01)

    def test_arithmetic_is_float32_step_by_step(self, xp):
        step, low = np.float32(math.ldexp(0.75, -24)), np.float32(-0.25)
        expected = [np.float32(np.float32(b >> 8) * step) + low for b in pieces(1000, 32)]
        assert draw(xp, "uniform", 1000, np.float32, -0.25, 0.5).tolist() == [float(v) for v in expected]

    def test_half_types_round_the_float32_numbers(self, xp):
        wide = draw(xp, "uniform", 1000, np.float32, 0, 1)
        assert (draw(xp, "uniform", 1000, np.float16, 0, 1) == np.minimum(wide.astype(np.float16), 1 - 2.0**-11)).all()

    def test_interval_without_a_number_inside(self, xp):
        assert (draw(xp, "uniform", 5, np.float32, 1, 1 + 1e-12) == 1).all()

    def test_integers_are_refused(self, xp):
        with pytest.raises(TypeError, match="uniform: needs a floating-point array, not int32"):
            draw(xp, "uniform", 3, np.int32, 0, 1)


class TestNormal:
    def test_float32_is_box_muller(self, xp):
        halves = pieces(4000, 32)
        expected = []
        for a, b in zip(halves[0::2], halves[1::2], strict=True):
            u = float(np.float32(a) * np.float32(2.0**-32) + np.float32(2.0**-33))
            t = float(np.float32(b - (b >> 31 << 32)) * np.float32(2 * math.pi * 2.0**-32))
            radius = math.sqrt(-2 * math.log(u))
            expected += [radius * math.cos(t), radius * math.sin(t)]
        np.testing.assert_allclose(draw(xp, "normal", 4000, np.float32, 0, 1), expected, rtol=6e-7, atol=0)

    def test_float64_is_box_muller(self, xp):
        expected = []
        for a, b in zip(words(4000)[0::2], words(4000)[1::2], strict=True):
            radius = math.sqrt(-2 * math.log(((a >> 11) + 1) * 2.0**-53))
            t = (b >> 11) * (2 * math.pi * 2.0**-53)
            expected += [radius * math.cos(t), radius * math.sin(t)]
        np.testing.assert_allclose(draw(xp, "normal", 4000, np.float64, 0, 1), expected, rtol=2e-15, atol=0)

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_mean_and_std(self, xp, dtype):
        dtype = dtype_named(dtype)
        z = draw(xp, "normal", 999, np.float64 if dtype == np.float64 else np.float32, 0, 1)
        scaled = draw(xp, "normal", 999, dtype, -3, 0.5)
        assert (scaled == (z * z.dtype.type(0.5) + z.dtype.type(-3)).astype(dtype)).all()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_distribution(self, dtype):
        stats = pytest.importorskip("scipy.stats")
        z = draw(np, "normal", 400000, dtype, 0, 1).astype(np.float64)
        assert stats.kstest(z, "norm").pvalue > 1e-3
        assert stats.kstest(z[0::2] + z[1::2], "norm", (0, math.sqrt(2))).pvalue > 1e-3
        assert abs(stats.kurtosis(z)) < 0.03
        assert 4.3 < abs(z).max() < 6.7

    def test_extreme_bits_stay_finite(self, monkeypatch):
        class Extreme:
            def random_raw(self, n: int) -> np.ndarray:
                return np.resize(np.array([0, MASK, 1 << 32, 0xFFFFFFFF], np.uint64), n)

        monkeypatch.setattr(cpu_random, "_idle", [Extreme(), Extreme()])
        for dtype in (np.float32, np.float64):
            assert np.isfinite(draw(np, "normal", 8, dtype, 0, 1)).all()


class TestBernoulli:
    @pytest.mark.parametrize("p", [0, 2.0**-32, 0.3, 0.5, 1 - 2.0**-32, 1])
    def test_number(self, xp, p):
        expected = [b * 2.0**-32 < p for b in pieces(999, 32)]
        assert draw(xp, "bernoulli", 999, np.bool_, p).tolist() == expected
        assert draw(xp, "bernoulli", 999, np.float32, p).tolist() == [float(e) for e in expected]

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_array(self, xp, dtype):
        p = np.linspace(0, 1, 20001, dtype=dtype)
        half = draw(xp, "random_bits", 20001, np.uint32)
        expected = half * 2.0**-32 < p.astype(np.float64)
        assert (draw(xp, "bernoulli", 20001, np.int8, xp.asarray(p)) == expected).all()

    def test_boundaries(self, xp):
        half = np.array(pieces(50, 32), np.float64)
        for shift, expected in [(0, False), (2.0**-20, True), (1, True)]:
            p = (half + shift) * 2.0**-32
            assert (draw(xp, "bernoulli", 50, np.bool_, xp.asarray(p)) == expected).all()
            for number in (float(p[7]), p[7]):
                assert draw(xp, "bernoulli", 50, np.bool_, number)[7] == expected

    def test_array_broadcasts(self, xp):
        p = xp.asarray(np.array([[0.0], [1.0]], np.float32))
        assert draw(xp, "bernoulli", (2, 3), np.float32, p).tolist() == [[0, 0, 0], [1, 1, 1]]

    def test_no_probability(self):
        with pytest.raises(ValueError, match=r"bernoulli: p must be between 0 and 1, got 1\.5"):
            draw(np, "bernoulli", 3, np.float32, 1.5)
        with pytest.raises(ValueError, match="bernoulli: every p must be between 0 and 1"):
            draw(np, "bernoulli", 3, np.float32, np.array([0, np.nan, 1]))


class TestIntegers:
    @pytest.mark.parametrize("low", [0, -5, 1 << 40])
    @pytest.mark.parametrize("span", [1, 2, 10, 2**32 - 1, 2**32, 2**32 + 1, 3**39, 2**62 + 12345])
    def test_exact(self, xp, low, span):
        expected = [low + (w * span >> 64) for w in words(301)]
        assert draw(xp, "integers", 301, np.int64, low, low + span).tolist() == expected

    def test_full_ranges(self, xp):
        signed = [w - (1 << 63) for w in words(50)]
        assert draw(xp, "integers", 50, np.int64, -(1 << 63), 1 << 63).tolist() == signed
        assert draw(xp, "integers", 50, np.uint64, 0, 1 << 64).tolist() == words(50)
        almost = [w * MASK >> 64 for w in words(50)]
        assert draw(xp, "integers", 50, np.uint64, 0, MASK).tolist() == almost
        assert draw(xp, "integers", 50, np.int8, -128, 128).tolist() == [(w >> 56) - 128 for w in words(50)]

    @pytest.mark.parametrize(("low", "high"), [(3, 3), (4, 3), (0, 257), (-1, 5)])
    def test_impossible_ranges(self, xp, low, high):
        with pytest.raises(ValueError, match=r"integers: \[.*\) is empty or beyond uint8"):
            draw(xp, "integers", 3, np.uint8, low, high)

    def test_frequencies(self):
        stats = pytest.importorskip("scipy.stats")
        counts = np.bincount(draw(np, "integers", 200000, np.int64, 0, 37), minlength=37)
        assert len(counts) == 37
        assert stats.chisquare(counts).pvalue > 1e-3


class TestPermutation:
    @pytest.mark.parametrize("n", [0, 1, 2, 10, 767, 768, 5001])
    def test_order_of_the_words(self, xp, n):
        keys = words(n)
        assert draw(xp, "permutation", n, np.int64).tolist() == sorted(range(n), key=keys.__getitem__)

    def test_ties_keep_their_order(self):
        bits = np.random.Philox(1).random_raw(5000)
        for mask in (0, 0xFFFFFFFF, 0xF, 0x7F << 32, 0x700000000000000F, 3 << 62):
            keys = bits & np.uint64(mask)
            assert (cpu_random._stable_argsort(keys) == np.argsort(keys, kind="stable")).all()

    def test_orders_are_equally_likely(self):
        stats = pytest.importorskip("scipy.stats")
        orders = [tuple(draw(np, "permutation", 4, np.int64, offset=i)) for i in range(12000)]
        counts = [orders.count(o) for o in set(orders)]
        assert len(counts) == 24
        assert stats.chisquare(counts).pvalue > 1e-3

    def test_only_int64_rows(self, xp):
        with pytest.raises(TypeError, match="permutation: out must be a 1-D int64 array, not 2-D int64"):
            draw(xp, "permutation", (2, 2), np.int64)
        with pytest.raises(TypeError, match="not 1-D int32"):
            draw(xp, "permutation", 2, np.int32)


class TestDropout:
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("p", [0.1, 0.5, 0.999])
    def test_exact(self, xp, dtype, p):
        dtype = dtype_named(dtype)
        x = np.linspace(-4, 4, 999).astype(dtype)
        work = np.float64 if dtype == np.float64 else np.float32
        keep = np.array(pieces(999, 16)) >= round(p * 65536)
        expected = np.where(keep, x.astype(work) * work(1 / (1 - p)), 0).astype(dtype)
        y = host(K.dropout(xp.asarray(x), p, SEED, OFFSET))
        assert y.dtype == dtype
        assert (y == expected).all()

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_limits(self, xp, dtype):
        dtype = dtype_named(dtype)
        x = xp.asarray(np.array([np.nan, np.inf, -1, 2] * 10, dtype))
        unchanged = host(K.dropout(x, 0.0, SEED, OFFSET))
        np.testing.assert_array_equal(unchanged.astype(np.float64), host(x).astype(np.float64))
        assert (host(K.dropout(x, 1.0, SEED, OFFSET)) == 0).all()
        assert (host(K.dropout(x, 1 - 1e-9, SEED, OFFSET)) == 0).all()

    def test_boundaries(self, xp):
        x, quarters = xp.ones(20, np.float32), pieces(20, 16)
        for shift, kept in [(0, True), (0.4, True), (0.6, False), (1, False)]:
            for i, quarter in enumerate(quarters):
                assert (host(K.dropout(x, (quarter + shift) / 65536, SEED, OFFSET))[i] > 0) == kept

    def test_layout_of_the_input(self, xp):
        x = np.arange(1, 31, dtype=np.float32).reshape(5, 3, 2)
        expected = host(K.dropout(xp.asarray(np.ascontiguousarray(x.T)), 0.3, SEED, OFFSET))
        assert (host(K.dropout(xp.asarray(x).T, 0.3, SEED, OFFSET)) == expected).all()
        wide = xp.asarray(np.repeat(x.T, 2, axis=2))[..., ::2]
        assert (host(K.dropout(wide, 0.3, SEED, OFFSET)) == expected).all()

    def test_dropped_values_leave_no_trace(self, xp):
        y = host(K.dropout(xp.full(1000, np.nan, np.float32), 0.5, SEED, OFFSET))
        dropped = ~np.isnan(y)
        assert 400 < dropped.sum() < 600
        assert (y[dropped].view(np.uint32) == 0).all()

    def test_gradient_meets_the_same_mask(self, xp):
        y = host(K.dropout(xp.ones((33, 41), np.float32), 0.4, SEED, OFFSET))
        g = host(K.dropout(xp.full((33, 41), 2, np.float32), 0.4, SEED, OFFSET))
        np.testing.assert_array_equal(g, 2 * y)

    def test_in_place(self, xp):
        x = xp.ones(70000, np.float32)
        expected = host(K.dropout(x, 0.4, SEED, OFFSET))
        assert K.dropout(x, 0.4, SEED, OFFSET, out=x) is x
        assert (host(x) == expected).all()

    def test_rate(self):
        for p in (0.1, 0.5, 0.9):
            y = K.dropout(np.ones(1_000_000, np.float32), p, SEED, OFFSET)
            assert abs((y == 0).mean() - p) < 0.002
            assert abs(y.mean() - 1) < 0.01

    def test_bad_arguments(self, xp):
        for p in (-0.1, 1.1, math.nan):
            with pytest.raises(ValueError, match="dropout: p must be between 0 and 1, got"):
                K.dropout(xp.ones(3, np.float32), p, 0, 0)
        with pytest.raises(TypeError, match="dropout: needs a floating-point array, not int64"):
            K.dropout(xp.ones(3, np.int64), 0.5, 0, 0)


class TestStatistics:
    def test_uniform(self):
        stats = pytest.importorskip("scipy.stats")
        for dtype in ("float32", "float64"):
            x = draw(np, "uniform", 400000, dtype, 0, 1).astype(np.float64)
            assert stats.kstest(x, "uniform").pvalue > 1e-3
            assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01

    def test_neighbouring_seeds_are_unrelated(self):
        rows = np.array([draw(np, "uniform", 20000, np.float64, 0, 1, seed=s) for s in range(8)])
        assert abs(np.corrcoef(rows) - np.eye(8)).max() < 0.03


def test_numpy_random_is_imported_on_first_use_only():
    code = "import sys, tensorgrad.random; assert 'numpy.random' not in sys.modules; tensorgrad.random.rand(1)"
    subprocess.run([sys.executable, "-c", code], check=True)
