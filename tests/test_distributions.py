"""Random numbers of further distributions: which they are, and that devices and samples agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats

import tensorgrad as tg
from tensorgrad import distributions, random
from tensorgrad import kernels as K
from tensorgrad.random import Generator

SIZE = 20000


@pytest.fixture
def g() -> Generator:
    return Generator().manual_seed(5)


def _of_counts(values: Any, distribution: Any) -> float:
    """The chance that counts as far from a distribution as these come from it: Pearson's test."""
    low, high = (int(v) for v in distribution.ppf([0.001, 0.999]))
    edges = np.unique(np.linspace(low - 0.5, high + 0.5, min(high - low + 2, 40)).round() + 0.5)
    found = np.histogram(values, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
    cumulative = np.concatenate([[0], distribution.cdf(np.floor(edges)), [1]])
    wanted = np.diff(cumulative) * len(values)
    kept = wanted > 3
    return float(scipy.stats.chi2.sf(((found - wanted) ** 2 / np.maximum(wanted, 1e-9))[kept].sum(), kept.sum()))


@pytest.mark.parametrize("mean", [0.1, 3.0, 9.9, 10.0, 80.0, 4000.0])
def test_poisson_numbers(g, mean):
    x = tg.poisson(tg.full((SIZE,), mean, dtype=tg.float64, device="cpu"), generator=g).numpy()
    assert _of_counts(x, scipy.stats.poisson(mean)) > 1e-3


@pytest.mark.parametrize(
    ("count", "chance"),
    [(1, 0.3), (12, 0.5), (12, 0.9), (40, 0.3), (40, 0.7), (1000, 0.02), (100000, 0.999), (1e8, 1e-7)],
)
def test_binomial_numbers(g, count, chance):
    n, p = (tg.tensor(float(v), dtype=tg.float64, device="cpu") for v in (count, chance))
    x = tg.binomial(tg.broadcast_to(n, (SIZE,)), p, generator=g).numpy()
    assert _of_counts(x, scipy.stats.binom(count, chance)) > 1e-3


def test_geometric_numbers(g):
    x = random.geometric(0.2, (SIZE,), dtype=tg.int32, device="cpu", generator=g)
    assert x.dtype == tg.int32
    assert _of_counts(x.numpy(), scipy.stats.geom(0.2)) > 1e-3
    assert random.geometric(1e-3, (999,), dtype=tg.int8, generator=g).max().item() == 127


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_continuous_numbers(g, dtype):
    options = {"dtype": dtype, "device": "cpu", "generator": g}
    for x, distribution in (
        (random.exponential(2.0, (SIZE,), **options), scipy.stats.expon(scale=0.5)),
        (random.cauchy(1.0, 2.0, (SIZE,), **options), scipy.stats.cauchy(1, 2)),
        (random.log_normal(1.0, 0.5, (SIZE,), **options), scipy.stats.lognorm(0.5, scale=np.e)),
    ):
        assert x.dtype == np.dtype(dtype)
        assert scipy.stats.kstest(x.numpy(), distribution.cdf).pvalue > 1e-3
    assert random.exponential(1.0, (9,), dtype=tg.float16, generator=g).dtype == tg.float16


EXTREMES = [np.nan, np.inf, 0.0, 1e-300, 1e15]


def test_extreme_parameters(g, device):
    rates = tg.tensor(np.array(EXTREMES), device=device)
    found = tg.poisson(rates, generator=g).cpu().numpy()
    np.testing.assert_array_equal(found[:4], [np.nan, np.inf, 0, 0])
    assert abs(found[4] - 1e15) < 1e9
    counts = tg.tensor([np.nan, np.inf, np.inf, 0.0, 5.0, 5.0, 5.9, 3.0], dtype=tg.float64, device=device)
    chances = tg.tensor([0.5, 0.5, 0.0, 0.5, 0.0, 1.0, 1.0, np.nan], dtype=tg.float64, device=device)
    found = tg.binomial(counts, chances, generator=g).cpu().numpy()
    np.testing.assert_array_equal(found, [np.nan, np.inf, 0, 0, 0, 5, 5, np.nan])
    assert tg.poisson(rates[:0]).shape == (0,)
    assert tg.binomial(counts[4], chances[:, None]).shape == (8, 1)


CALLS = {
    "poisson": lambda d, g: tg.poisson(tg.tensor(np.geomspace(0.01, 1e6, 60).reshape(6, 10), device=d), g),
    "binomial": lambda d, g: tg.binomial(
        tg.tensor(np.geomspace(1, 1e7, 60), device=d), tg.tensor(np.linspace(0, 1, 60), device=d), g
    ),
    "geometric": lambda d, g: random.geometric(0.1, (60,), device=d, generator=g),
    "exponential": lambda d, g: random.exponential(2.0, (60,), device=d, generator=g),
    "cauchy": lambda d, g: random.cauchy(0.0, 1.0, (60,), device=d, generator=g),
    "log_normal": lambda d, g: random.log_normal(0.0, 1.0, (60,), device=d, generator=g),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_devices_agree(g, device, call):
    first = call(device, g)
    again = call("cpu", g.manual_seed(5))
    assert first.device == device
    np.testing.assert_allclose(first.cpu().numpy(), again.numpy(), rtol=2e-5)
    assert (call(device, g).cpu().numpy() != first.cpu().numpy()).any()


@pytest.mark.parametrize("name", ["poisson", "binomial"])
def test_counts_depend_on_their_index_only(device, name):
    rates = np.geomspace(0.5, 500, 40)
    parameters = (rates,) if name == "poisson" else (np.floor(rates), np.full(40, 0.4))
    arrays = [tg.tensor(p, device=device)._data for p in parameters]

    def drawn(part: slice, offset: int) -> np.ndarray:
        out = tg.zeros(40, dtype=tg.float64, device=device)[part]
        getattr(K, name)(out._data, *(a[part] for a in arrays), 7, offset)
        return out.cpu().numpy()

    start = 1 << 40
    whole = drawn(slice(None), start)
    assert random.blocks_used(name, (3, 4), np.dtype("f8")) == 12
    np.testing.assert_array_equal(whole, np.concatenate([drawn(slice(9), start), drawn(slice(9, 40), start + 9)]))
    strided = tg.zeros(80, dtype=tg.float32, device=device)[::-2]
    getattr(K, name)(strided._data, *arrays, 7, start)
    np.testing.assert_array_equal(strided.cpu().numpy(), whole.astype(np.float32))


def test_samples_of_vmap(device, g):
    rates = tg.tensor(np.geomspace(1, 1000, 12).reshape(3, 4), device=device)
    for randomness in ("different", "same"):
        found = tg.func.vmap(lambda r: tg.poisson(r, g.manual_seed(3)), randomness=randomness)(rates).cpu().numpy()
        if randomness == "different":
            wanted = tg.poisson(rates, Generator().manual_seed(3)).cpu().numpy()
        else:
            wanted = np.stack([tg.poisson(r, Generator().manual_seed(3)).cpu().numpy() for r in rates])
        np.testing.assert_array_equal(found, wanted)
    with pytest.raises(RuntimeError, match="randomness="):
        tg.func.vmap(tg.poisson)(rates)


def test_a_captured_function_draws_anew(device):
    rates = tg.tensor([5.0, 500.0, 50.0], dtype=tg.float64, device=device)

    @tg.jit
    def step(rates: tg.Tensor) -> tg.Tensor:
        return tg.poisson(rates) + tg.binomial(rates, rates / 1000) * 0

    tg.manual_seed(1)
    found = [step(rates).tolist() for _ in range(3)]
    tg.manual_seed(1)
    for values in found:
        assert values == tg.poisson(rates).tolist()
        tg.binomial(rates, rates / 1000)


def test_wrong_parameters(device):
    x = tg.ones(2, device=device)
    for call, message in (
        (lambda: tg.poisson(x.long()), "poisson: expected floating dtypes, got int64"),
        (lambda: tg.binomial(x, x.long()), "binomial: expected floating"),
        (lambda: random.exponential(1.0, (2,), dtype=tg.int64), "exponential: expected a floating dtype"),
        (lambda: random.geometric(0.5, (2,), dtype=tg.bool), "geometric: expected an integer or floating"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
    for call, message in (
        (lambda: tg.binomial(x, tg.ones(3, device=device)), r"binomial: shapes \(2,\) and \(3,\)"),
        (lambda: random.exponential(0), "exponential: the rate"),
        (lambda: random.cauchy(0, -1), "cauchy: sigma"),
        (lambda: random.log_normal(0, 0), "log_normal: std"),
        (lambda: random.geometric(1.0), "geometric: p"),
        (lambda: x.random_(3, 3), "random_: from"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    if device == "cpu":  # elsewhere values are not looked at
        for call, message in (
            (lambda: tg.poisson(-x), "poisson: every rate must be at least 0, the least is -1"),
            (lambda: tg.binomial(-x, x), "binomial: every count"),
            (lambda: tg.binomial(x, x + 1), "binomial: every chance must be between 0 and 1"),
        ):
            with pytest.raises(ValueError, match=message):
                call()
    else:
        assert np.isnan(tg.poisson(-x).cpu().numpy()).all()
        assert np.isnan(tg.binomial(x, x + 1).cpu().numpy()).all()


# ------------------------------------------------------------------------------------------------------------- in place
@pytest.mark.parametrize(
    ("name", "args", "wanted"),
    [
        ("exponential_", (2.0,), lambda **o: random.exponential(2.0, **o)),
        ("geometric_", (0.3,), lambda **o: random.geometric(0.3, **o)),
        ("cauchy_", (1.0, 2.0), lambda **o: random.cauchy(1.0, 2.0, **o)),
        ("log_normal_", (), lambda **o: random.log_normal(1.0, 2.0, **o)),
        ("bernoulli_", (0.3,), lambda **o: random.bernoulli(0.3, **o)),
        ("random_", (4,), lambda **o: random.randint(0, 4, o.pop("shape"), **o)),
        ("random_", (-4, 4), lambda **o: random.randint(-4, 4, o.pop("shape"), **o)),
    ],
)
def test_drawn_into_a_tensor(g, device, name, args, wanted):
    x = tg.zeros(5, 4, device=device)
    part = x[::2]
    assert getattr(part, name)(*args, generator=g) is part
    expected = wanted(shape=(3, 4), dtype=x.dtype, device=device, generator=g.manual_seed(5))
    np.testing.assert_array_equal(part.cpu().numpy(), expected.cpu().numpy())
    assert not x[1::2].any().item()
    y = (tg.ones(2, device=device).requires_grad_() * 3).double()
    getattr(y, name)(*args, generator=g)
    assert not y.detach().equal(tg.full((2,), 3.0, device=device))
    with pytest.raises(RuntimeError, match="leaf"):
        getattr(tg.ones(2, device=device, requires_grad=True), name)(*args)


@pytest.mark.parametrize(
    ("dtype", "most"), [("bool", 1), ("uint8", 255), ("int16", 2**15 - 1), ("int64", 2**63 - 1), ("float32", 2**24)]
)
def test_random_numbers_of_all_sizes(g, dtype, most):
    x = tg.zeros(4000, dtype=dtype, device="cpu").random_(generator=g).numpy().astype(np.float64)
    assert x.min() >= 0
    assert 0.98 * most <= x.max() <= most
    assert abs(x.mean() / most - 0.5) < 0.05


def test_bernoulli_of_elements(g, device):
    p = tg.tensor([0.0, 1.0], device=device)
    assert p.bernoulli().tolist() == [0, 1]
    assert tg.zeros(3, 2, dtype=tg.int32, device=device).bernoulli_(tg.broadcast_to(p, (3, 2))).tolist() == [[0, 1]] * 3
    assert distributions.whole_numbers(None, None, (2,), dtype=tg.bool, generator=g).dtype == tg.bool
