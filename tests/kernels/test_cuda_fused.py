"""Generated kernels of elementwise chains against NumPy: dtypes, operands that repeat, packs and what is left, sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorgrad.kernels as K

from tests import cuda_emulator
from tests.conftest import why_no_cuda

ml_dtypes = pytest.importorskip("ml_dtypes")

F4, F8, F2, BF, BOOL = (np.dtype(d) for d in ("f4", "f8", "f2", ml_dtypes.bfloat16, "?"))


@pytest.fixture(params=["cuda"], autouse=True)
def device(request: pytest.FixtureRequest) -> str:
    """CUDA only."""
    missing = why_no_cuda()
    if missing is not None:
        pytest.skip(missing)
    return request.param


def fused() -> Any:
    from tensorgrad.kernels.cuda import fused

    return fused


def upload(x: Any) -> Any:
    return cuda_emulator.install().asarray(x)


def empty(shape: Any, dtype: Any) -> Any:
    return cuda_emulator.install().empty(shape, dtype)


def run(
    dtypes: list[Any],
    inputs: list[tuple[int, Any]],
    operations: list[tuple[Any, tuple[Any, ...], int]],
    outputs: list[int],
    sums: list[tuple[int, bool]] = (),
    size: int | None = None,
) -> tuple[list[Any], list[Any]]:
    """A chain on arrays; operands that are strings name a value."""
    module = fused()
    size = max(x.size for _, x in inputs) if size is None else size
    steps = [
        module.Operation(k, tuple(module.Value(int(a)) if isinstance(a, str) else a for a in args), result)
        for k, args, result in operations
    ]
    loaded = [(n, x.size) for n, x in inputs]
    chain = module.FusedChain(size, dtypes, loaded, steps, outputs, [module.Sum(*s) for s in sums])
    results = [empty(size, dtypes[n]) for n in outputs]
    totals = [empty((), dtypes[n]) for n, _ in sums]
    chain.bind([upload(x) for _, x in inputs], results, totals)()
    return [y.get() for y in results], [t.get() for t in totals]


@pytest.mark.parametrize("size", [1, 3, 8, 255, 256, 1027, 5000])
@pytest.mark.parametrize("dtype", [F4, F8, F2, BF], ids=str)
def test_sizes_and_dtypes(dtype: Any, size: int) -> None:
    rng = np.random.default_rng(size)
    x, y = (rng.standard_normal(size).astype(dtype) for _ in range(2))
    (found,), _ = run(
        [dtype] * 4, [(0, x), (1, y)], [(K.multiply, ("0", "1"), 2), (K.exp, ("2",), 3)], [3]
    )  # fmt: skip
    assert found.dtype == dtype
    expected = np.exp(x.astype("f8") * y.astype("f8"))
    np.testing.assert_allclose(found.astype("f8"), expected, rtol={2: 3e-2, 4: 1e-5, 8: 1e-13}[dtype.itemsize])


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i4", "i8", "u4", "u8"])
def test_integers_wrap_as_in_numpy(dtype: str) -> None:
    rng = np.random.default_rng(0)
    info = np.iinfo(dtype)
    x, y = (rng.integers(info.min, info.max, 77, dtype, endpoint=True) for _ in range(2))
    d = np.dtype(dtype)
    (total, shifted, flipped), _ = run(
        [d] * 6,
        [(0, x), (1, y)],
        [(K.add, ("0", "1"), 2), (K.multiply, ("2", "0"), 3), (K.bitwise_left_shift, ("3", 2), 4),
         (K.bitwise_invert, ("4",), 5)],
        [3, 4, 5],
    )  # fmt: skip
    expected = (x + y) * x
    np.testing.assert_array_equal(total, expected)
    np.testing.assert_array_equal(shifted, expected << np.array(2, dtype))
    np.testing.assert_array_equal(flipped, ~(expected << np.array(2, dtype)))


def test_booleans_and_several_results() -> None:
    rng = np.random.default_rng(0)
    x, flag = rng.standard_normal(1001).astype("f4"), rng.random(1001) < 0.5
    (greater, either, neither, chosen), _ = run(
        [F4, BOOL, BOOL, BOOL, BOOL, F4],
        [(0, x), (1, flag)],
        [(K.greater, ("0", 0.5), 2), (K.logical_or, ("2", "1"), 3), (K.bitwise_invert, ("3",), 4),
         (K.where, ("3", "0", -1.0), 5)],
        [2, 3, 4, 5],
    )  # fmt: skip
    np.testing.assert_array_equal(greater, x > 0.5)
    np.testing.assert_array_equal(either, (x > 0.5) | flag)
    np.testing.assert_array_equal(neither, ~((x > 0.5) | flag))
    np.testing.assert_array_equal(chosen, np.where((x > 0.5) | flag, x, np.float32(-1)))


@pytest.mark.parametrize("columns", [4, 8, 5, 1024, 3])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_rows_and_single_values_repeat(rows: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    x, row = rng.standard_normal((rows, columns)).astype("f4"), rng.standard_normal(columns).astype("f4")
    one = np.array(2.5, "f4")
    (found,), _ = run(
        [F4] * 5, [(0, x), (1, row), (2, one)], [(K.add, ("0", "1"), 3), (K.multiply, ("3", "2"), 4)], [4]
    )  # fmt: skip
    np.testing.assert_array_equal(found.reshape(rows, columns), (x + row) * one)


def test_two_lengths_of_rows() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 6, 4)).astype("f4")
    short, long = x[0, 0].copy(), x[1].copy()
    (found,), _ = run(
        [F4] * 5, [(0, x), (1, short), (2, long)], [(K.add, ("0", "1"), 3), (K.multiply, ("3", "2"), 4)], [4]
    )  # fmt: skip
    np.testing.assert_array_equal(found.reshape(x.shape), (x + short) * long)


@pytest.mark.parametrize("dtype", [F4, F8], ids=str)
@pytest.mark.parametrize("size", [1, 100, 2048, 300_000])
def test_sums_and_means(dtype: Any, size: int) -> None:
    x = np.random.default_rng(0).standard_normal(size).astype(dtype)
    (squares,), (total, mean) = run(
        [dtype] * 2, [(0, x)], [(K.square, ("0",), 1)], [1], [(1, False), (0, True)]
    )  # fmt: skip
    np.testing.assert_allclose(squares, x * x, rtol=1e-7)
    tolerance = 1e-5 if dtype == F4 else 1e-12
    np.testing.assert_allclose(total, (x.astype("f8") ** 2).sum(), rtol=tolerance)
    np.testing.assert_allclose(mean, x.astype("f8").mean(), rtol=tolerance, atol=tolerance / 10)
    assert total.dtype == mean.dtype == dtype


def test_sums_do_not_depend_on_timing() -> None:
    from tests.cuda_emulator.settings import override

    x = np.random.default_rng(0).standard_normal(50_000).astype("f4")
    found = set()
    for order in ("ascending", "descending", "shuffled"):
        with override(order=order):
            found.add(run([F4] * 2, [(0, x)], [(K.exp, ("0",), 1)], [1], [(1, False)])[1][0].item())
    assert len(found) == 1


def test_misaligned_arrays() -> None:
    module = fused()
    x = np.arange(101, dtype="f4")
    wide = upload(x)
    chain = module.FusedChain(100, [F4, F4], [(0, 100)], [module.Operation(K.negative, (module.Value(0),), 1)], [1])
    y = empty(101, F4)
    for inputs, outputs in ((wide[1:], y[1:]), (wide[1:], y[:100]), (wide[:100], y[1:])):
        chain.bind([inputs], [outputs], [])()
        np.testing.assert_array_equal(outputs.get(), -inputs.get())


def test_in_place() -> None:
    module = fused()
    x = upload(np.arange(70, dtype="f4"))
    chain = module.FusedChain(70, [F4, F4], [(0, 70)], [module.Operation(K.add, (module.Value(0), 1.0), 1)], [1])
    chain.bind([x], [x], [])()
    np.testing.assert_array_equal(x.get(), np.arange(70) + 1)


@pytest.mark.parametrize("dtype", [F4, F8, F2, BF], ids=str)
def test_numbers_are_rounded_to_the_dtype(dtype: Any) -> None:
    x = np.ones(9, dtype)
    values = [np.inf, -np.inf, np.nan, 1e300, 0.1, -0.0, 7, True]
    steps = [(K.multiply, ("0", value), 1 + i) for i, value in enumerate(values)]
    found, _ = run([dtype] * (1 + len(values)), [(0, x)], steps, list(range(1, 1 + len(values))))
    for y, value in zip(found, values, strict=True):
        with np.errstate(over="ignore"):
            expected = x * np.asarray(value).astype(dtype)
        np.testing.assert_array_equal(y.astype("f8"), expected.astype("f8"))
        assert (np.signbit(y.astype("f8")) == np.signbit(expected.astype("f8"))).all()


@pytest.mark.parametrize("value", [-(2**63), 2**63 - 1])
def test_extreme_integers(value: int) -> None:
    (found,), _ = run([np.dtype("i8")] * 2, [(0, np.zeros(5, "i8"))], [(K.add, ("0", value), 1)], [1])
    assert (found == value).all()


def test_static_parameters() -> None:
    x = np.linspace(-3, 3, 40).astype("f8")
    (exact, approximate), _ = run(
        [F8] * 3, [(0, x)], [(K.gelu, ("0",), 1), (K.gelu, ("0", True), 2)], [1, 2]
    )  # fmt: skip
    np.testing.assert_allclose(exact, K.gelu(x), rtol=1e-9)
    np.testing.assert_allclose(approximate, K.gelu(x, True), rtol=1e-9)
    assert (exact != approximate).any()


def _sample(kernel: Any) -> tuple[list[Any], Any]:
    """Operands, and the dtype of the result."""
    rng = np.random.default_rng(0)
    dtype = np.dtype("i4") if kernel.name.startswith(("bitwise", "gcd", "lcm")) else F8
    values: list[Any] = []
    for operand in [p for p in kernel.signature.split(",") if "=" not in p]:
        if operand == "condition":
            values.append(rng.random(30) < 0.5)
        elif dtype == F8:
            values.append(rng.uniform(0.05, 0.95, 30) + (1.0 if kernel.name == "acosh" else 0.0))
        else:
            values.append(rng.integers(0, 9, 30, dtype))
    if kernel.name == "gelu_backward":
        values[2] = K.gelu(values[1])
    return values, np.dtype(bool) if kernel.rule.__name__ == "boolean" else dtype


def test_every_expression() -> None:
    """A chain of one instruction computes what the instruction does on the CPU; all are one compilation."""
    module = fused()
    kernels = [kernel for kernel in K.INSTRUCTIONS.values() if kernel.elementwise]
    samples = [_sample(kernel) for kernel in kernels]
    chains = []
    for kernel, (values, result) in zip(kernels, samples, strict=True):
        n = len(values)
        step = module.Operation(kernel, tuple(module.Value(i) for i in range(n)), n)
        dtypes = [*(v.dtype for v in values), result]
        chains.append(module.FusedChain(30, dtypes, [(i, 30) for i in range(n)], [step], [n]))
    module.compile_together([chain.source() for chain in chains])
    for kernel, (values, result), chain in zip(kernels, samples, chains, strict=True):
        found = empty(30, result)
        chain.bind([upload(v) for v in values], [found], [])()
        expected = kernel(*values)
        assert found.dtype == expected.dtype, kernel
        np.testing.assert_allclose(found.get(), expected, rtol=1e-7, err_msg=kernel.name)


def test_operands_that_the_expression_does_not_need() -> None:
    used = fused().used_operands
    assert used(K.gelu_backward) == {"g", "x", "tanh"}
    assert used(K.where) == {"condition", "x1", "x2"}


def test_what_cannot_be_fused() -> None:
    is_fusible = fused().is_fusible
    assert is_fusible(K.add, [F4, F4])
    assert is_fusible(K.add, [BF, BF])
    assert not is_fusible(K.add, [np.dtype("c8")] * 2)
    assert not is_fusible(K.nextafter, [F2, F2])
