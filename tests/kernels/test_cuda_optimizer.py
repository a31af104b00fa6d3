"""Optimizer steps on CUDA against the CPU's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS

from tests.kernels.test_cuda_agreement import FLOATS, agree, array, assert_close, strided, to_device

SIZES = [(3,), (0,), (5, 7), (), (4096,), (9001,), (2, 3, 4)]


def lists(count: int, dtype: str, sizes: Any = SIZES) -> list[list[Any]]:
    return [
        [
            np.asarray(abs(array(s, dtype, 10 * k + i)) if k > 1 else array(s, dtype, 10 * k + i))
            for i, s in enumerate(sizes)
        ]
        for k in range(count)
    ]


def run(name: str, arrays: list[Any], rest: tuple[Any, ...], rounds: int, place: Any, bounds: dict[str, float]) -> None:
    """Several steps on both backends; compare everything that is written."""
    on_device = [to_device(a, place) for a in arrays]
    copies = [[x.copy() for x in a] if a else a for a in arrays]
    for _ in range(rounds):
        INSTRUCTIONS[name].cuda(*on_device, *rest)
        INSTRUCTIONS[name].cpu(*copies, *rest)
    for actual, expected in zip(on_device, copies, strict=True):
        for a, e in zip(actual or [], expected or [], strict=True):
            assert_close(a, e, **bounds)


def bounds_of(dtype: str) -> dict[str, float]:
    return {"rtol": 5e-2, "atol": 5e-2} if dtype in ("float16", "bfloat16") else {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(
    ("momentum", "dampening", "decay", "nesterov", "maximize"),
    [(0.0, 0.0, 0.0, False, False), (0.9, 0.0, 0.01, True, False), (0.9, 0.1, 0.0, False, True)],
)
def test_sgd(dtype: str, momentum: float, dampening: float, decay: float, nesterov: bool, maximize: bool) -> None:
    for first in (True, False, [True, False] * 3 + [True]):
        params, grads, buffers = lists(3, dtype)
        rest = (0.1, momentum, dampening, decay, nesterov, maximize, first)
        run("sgd_step", [params, grads, buffers if momentum else []], rest, 1, None, bounds_of(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize(("decay", "decoupled"), [(0.0, False), (0.1, False), (0.1, True)])
def test_adam(dtype: str, amsgrad: bool, decay: float, decoupled: bool) -> None:
    params, grads, m, v, largest = lists(5, dtype)
    steps = [np.zeros((), np.float32) for _ in params]
    rest = (1e-2, 0.9, 0.999, 1e-8, decay, decoupled, False)
    arrays = [params, grads, m, v, largest if amsgrad else [], steps]
    run("adam_step", arrays, rest, 1 if dtype == "bfloat16" else 3, None, bounds_of(dtype))


def test_tables_overflow_into_further_launches() -> None:
    sizes = [(i % 5 + 1,) for i in range(230)]
    params, grads, buffers = lists(3, "float32", sizes)
    run("sgd_step", [params, grads, buffers], (0.1, 0.9, 0.0, 0.0, False, False, False), 1, None, bounds_of("float32"))
    params, grads, m, v = lists(4, "float32", sizes)
    steps = [np.full((), i, np.float32) for i in range(230)]
    run(
        "adam_step",
        [params, grads, m, v, [], steps],
        (1e-2, 0.9, 0.999, 1e-8, 0.0, False, True),
        1,
        None,
        bounds_of("float32"),
    )


def test_strided_arrays_are_written_in_place() -> None:
    params, grads, buffers = lists(3, "float32")
    rest = (0.1, 0.9, 0.0, 0.0, False, False, False)
    run("sgd_step", [params, grads, buffers], rest, 2, strided, bounds_of("float32"))


def test_mixed_dtypes_and_a_learning_rate_on_the_device() -> None:
    params, grads, buffers = lists(3, "float32")
    more = lists(3, "float64")
    params, grads, buffers = params + more[0], grads + more[1], buffers + more[2]
    on_device = to_device([params, grads, buffers])
    lr = to_device(np.array(0.1, np.float32))
    INSTRUCTIONS["sgd_step"].cuda(*on_device, lr, 0.9, 0.0, 0.0, False, False, False)
    INSTRUCTIONS["sgd_step"].cpu(params, grads, buffers, 0.1, 0.9, 0.0, 0.0, False, False, False)
    for a, e in zip(on_device[0], params, strict=True):
        assert_close(a, e, rtol=1e-6, atol=1e-6)


def test_no_synchronisation() -> None:
    from tests import cuda_emulator

    params, grads, m, v = to_device(lists(4, "float32"))
    steps = to_device([np.zeros((), np.float32) for _ in params])
    with cuda_emulator.count() as counters:
        INSTRUCTIONS["adam_step"].cuda(params, grads, m, v, None, steps, 1e-3, 0.9, 0.999, 1e-8, 0.0, False, False)
    assert counters.launches == 2
    assert counters.device_to_host == counters.host_to_device == 0


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("kinds", [("float32",), ("float64", "float32"), ("float16", "float32", "bfloat16")])
def test_global_norm(p: float, kinds: tuple[str, ...]) -> None:
    shapes = [(3, 5), (0,), (5000,), (1,), *[(4,)] * 200]
    arrays = [array(shape, kinds[i % len(kinds)], i) for i, shape in enumerate(shapes)]
    agree("global_norm", arrays, p, bounds={"rtol": 1e-4, "atol": 0})
    agree("global_norm", [], p)


@pytest.mark.parametrize("p", [2.0, float("inf")])
def test_global_norm_of_nan(p: float) -> None:
    agree("global_norm", [np.float32([1, np.nan, 3]), np.float32([5])], p)


@pytest.mark.parametrize("dtype", FLOATS)
def test_scale(dtype: str) -> None:
    for place in (None, strided):
        arrays = [array(shape, dtype) for shape in ((3, 5), (5000,), (0,), ())]
        for factor in (0.3, np.float32(0.3), np.array(0.3)):
            expected = [a.copy() for a in arrays]
            INSTRUCTIONS["scale"].cpu(expected, factor)
            on_device = to_device(arrays, place)
            is_array = isinstance(factor, np.ndarray)
            INSTRUCTIONS["scale"].cuda(on_device, to_device(factor) if is_array else factor)
            for a, e in zip(on_device, expected, strict=True):
                assert_close(a, e)
