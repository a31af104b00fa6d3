"""Elementwise kernels and activations on CUDA against the CPU's."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS

from tests.kernels.test_cuda_agreement import FLOATS, INTEGERS, agree, array, dtype_of

REAL_ONLY = """
    sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc
    cbrt heaviside atan2 hypot copysign nextafter logaddexp logaddexp2 divide
    divisor_gradient reciprocal signbit floor ceil trunc round
""".split()  # noqa: SIM905
INTEGER_ONLY = [
    "bitwise_invert",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "bitwise_left_shift",
    "bitwise_right_shift",
    "gcd",
    "lcm",
]
OWN = ("where", "clip", "frexp", "join_parts", "divmod", "modf", "ldexp", "spacing")  # have cases of their own
ANY = [n for n, k in INSTRUCTIONS.items() if k.family == "elementwise" and n not in (*REAL_ONLY, *INTEGER_ONLY, *OWN)]
ACTIVATIONS = ["relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid"]


def operands(name: str, dtype: str, shapes: Any = ((3, 4), (4,), (3, 1))) -> list[Any]:
    count = len([p for p in INSTRUCTIONS[name].signature.split(",") if "=" not in p])
    arrays = [array(shape, dtype, seed) for seed, shape in enumerate(shapes[:count])]
    if name == "power" and "int" in dtype:
        arrays[1] = np.abs(arrays[1])
    return arrays


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", REAL_ONLY)
def test_real_functions(name: str, dtype: str) -> None:
    if name == "nextafter" and dtype in ("float16", "bfloat16"):
        return  # the step of the wider type, rounded back
    agree(name, *operands(name, dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int32", "int64", "uint8", "int8"])
@pytest.mark.parametrize("name", ANY)
def test_all_dtypes(name: str, dtype: str) -> None:
    if name in ("isnan", "isinf", "isfinite") and "int" in dtype:
        return
    agree(name, *operands(name, dtype))


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "uint64"])
@pytest.mark.parametrize("name", INTEGER_ONLY)
def test_bits(name: str, dtype: str) -> None:
    if ("shift" in name or name in ("gcd", "lcm")) and dtype == "bool":
        return
    x = operands(name, dtype)
    if "shift" in name:
        x[1] = np.array([0, 1, 7, 70], x[1].dtype)
    agree(name, *x)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_division_is_numpys(dtype: str) -> None:
    low = np.iinfo(dtype).min
    x, y = (
        a.ravel().astype(dtype) for a in np.meshgrid([low, low + 1, -7 & 127, 7, 0, 1, 100], [0, 1, 2, 3, -1 & 255, 7])
    )
    for name in ("floor_divide", "remainder"):
        agree(name, x, y)
        agree(name, x, 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float_division_is_numpys(dtype: str) -> None:
    values = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 7.0, 1e30, np.inf, -np.inf, np.nan], dtype)
    x, y = (np.ascontiguousarray(a) for a in np.meshgrid(values, values))
    for name in ("floor_divide", "remainder", "logaddexp", "maximum", "minimum"):
        agree(name, x, y)


def test_python_scalars_take_the_arrays_dtype() -> None:
    for dtype in ("float16", "float32", "int32"):
        x = array((3, 4), dtype)
        for name in ("add", "multiply", "floor_divide", "remainder", "maximum"):
            agree(name, x, 3)
        agree("subtract", 3, x)
        agree("clip", x, -1, 1)
        agree("clip", x, -1, array((4,), dtype))
    agree("logaddexp", array((3, 4)), 0.1)


def test_where() -> None:
    condition = array((3, 4), "bool")
    for dtype in ("float32", "bfloat16", "int8", "complex64", "bool"):
        agree("where", condition, array((3, 4), dtype), array((4,), dtype, 1))
    agree("where", condition, array((3, 4)), 0.0)
    agree("where", condition, 1.0, array((3, 1)))


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (2, 3, 4, 5)])
def test_shapes(shape: tuple[int, ...]) -> None:
    for name in ("erf", "add", "clip", "sigmoid"):
        agree(name, *operands(name, "float32", (shape, (), ())))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [n for n, k in INSTRUCTIONS.items() if k.family == "activation" and "bias" not in n])
def test_activations(name: str, dtype: str) -> None:
    bounds = (
        {"rtol": 2e-2, "atol": 2e-2}
        if dtype == "bfloat16"
        else {"rtol": 4e-3, "atol": 4e-3}
        if dtype == "float16"
        else None
    )
    x = array((3, 5), dtype)
    y = array((3, 5), dtype, 1)
    args = (x, y) if "backward" in name else (x,)
    for params in ({}, {"tanh": True}) if "gelu" in name else ({},):
        result = (INSTRUCTIONS["gelu"].cpu(y, **params),) if name == "gelu_backward" else ()
        agree(name, *args, *result, **params, bounds=bounds)


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bias_activation(activation: str, dtype: str) -> None:
    bounds = {"rtol": 5e-2, "atol": 5e-2} if dtype == "bfloat16" else None
    g, x, bias = array((2, 3, 5), dtype), array((2, 3, 5), dtype, 1), array((5,), dtype, 2)
    agree("bias_activation", x, bias, activation=activation, bounds=bounds)
    agree("bias_activation_backward", g, x, bias, activation=activation, bounds=bounds)


def test_gelu_keeps_its_tail() -> None:
    from math import erfc, sqrt

    from tensorgrad.kernels.cuda import activation

    from tests.kernels.test_cuda_agreement import to_device

    x = np.linspace(-12, -3, 20)
    expected = [0.5 * v * erfc(-v / sqrt(2)) for v in x]
    np.testing.assert_allclose(activation.gelu(to_device(x)).get(), expected, rtol=1e-10)


def test_unknown_activation_is_named() -> None:
    from tensorgrad.kernels.cuda import activation

    with pytest.raises(ValueError, match="bias_activation: activation 'mish'"):
        activation.bias_activation(None, None, "mish")


def test_every_elementwise_kernel_takes_out() -> None:
    for name, kernel in INSTRUCTIONS.items():
        if kernel.family == "elementwise" and inspect.isfunction(kernel.cuda):
            assert "out" in inspect.signature(kernel.cuda).parameters, name
    assert dtype_of("float32").itemsize == 4
