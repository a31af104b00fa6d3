"""For tests: gradients against finite differences, and comparisons that say where two results differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import autograd
from .backend import to_numpy
from .creation import tensor
from .dtypes import DType, is_differentiable, is_floating
from .tape import enable_grad
from .tensor import Tensor

__all__ = ["GradcheckError", "assert_close", "gradcheck", "gradgradcheck"]

Array = np.ndarray[Any, np.dtype[Any]]

_TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}
"""By dtype, the relative and the absolute tolerance of `assert_close`: PyTorch's."""


class GradcheckError(AssertionError):
    """A gradient is not what finite differences say; the message has the input, the element and both values."""


def gradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Compare the gradients of a function with central differences.

    Every entry of the Jacobian is compared: of the i-th output with respect to the j-th element of an input,
    ``(f(x + eps e_j) - f(x - eps e_j))_i / (2 eps)``. Both ways of the engine are checked, with and without
    ``create_graph``.

    Parameters
    ----------
    function : callable
        Takes the inputs; returns a Tensor or a sequence of them. It must be a pure function.
    inputs : Tensor or sequence
        Float64 tensors with ``requires_grad`` are checked; anything else is passed on as it is.
    eps : float
        Step of the differences.
    atol, rtol : float
        Allowed difference: ``atol + rtol * abs(numerical)``.
    raise_exception : bool
        Raise if the gradients differ, instead of returning False.

    Returns
    -------
    bool
        Whether the gradients agree.

    Raises
    ------
    GradcheckError
        If they do not.
    ValueError
        If no input requires a gradient, or one that does is neither float64 nor complex128.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.testing.gradcheck(lambda x: tg.exp(x) * x, x)
    True
    """
    arguments = _arguments(inputs)
    wanted = _wanted("gradcheck", arguments)
    try:
        outputs = _outputs(function, arguments)
        numerical = [_numerical_jacobian(function, arguments, i, eps) for i in wanted]
        for k, y in enumerate(outputs):
            if y.requires_grad:
                _compare_with_numerical(k, y, arguments, wanted, [columns[k] for columns in numerical], atol, rtol)
            else:
                _check_constant(k, wanted, [columns[k] for columns in numerical], atol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """`gradcheck` of the gradients: second order.

    Parameters
    ----------
    function, inputs, eps, atol, rtol, raise_exception
        As for `gradcheck`.
    grad_outputs : Tensor or sequence, optional
        The gradients that the first backward starts from, one per differentiable output; they are differentiated too.
        By default random ones.

    Returns
    -------
    bool
        Whether the second derivatives agree with differences of the first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.testing.gradgradcheck(lambda x: tg.exp(x) * x, x)
    True
    """
    arguments = _arguments(inputs)
    wanted = _wanted("gradgradcheck", arguments)
    outputs = [y for y in _outputs(function, arguments) if y.requires_grad]
    if grad_outputs is None:
        random = np.random.default_rng(0)
        cotangents = [tensor(random.uniform(0.5, 1.5, y.shape), y.dtype, y.device) for y in outputs]
        cotangents = [g * (1 + 0.5j) if g.dtype.kind == "c" else g for g in cotangents]
        for g in cotangents:
            g.requires_grad = True
    else:
        cotangents = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs)
    count = len(arguments)

    def gradients(*both: Any) -> tuple[Tensor, ...]:
        x, g = both[:count], both[count:]
        results = [y for y in _outputs(function, x) if y.requires_grad]
        variables = [x[i] for i in wanted]
        found = autograd.grad(results, variables, g, create_graph=True, allow_unused=True)
        return tuple(d for d in found if d is not None)

    return gradcheck(gradients, [*arguments, *cotangents], eps, atol, rtol, raise_exception)


def _arguments(inputs: Any) -> list[Any]:
    return [inputs] if isinstance(inputs, Tensor) else list(inputs)


def _wanted(name: str, arguments: list[Any]) -> list[int]:
    """Which arguments to differentiate by."""
    wanted = [i for i, x in enumerate(arguments) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError(f"{name}: none of the {len(arguments)} inputs requires a gradient")
    for i in wanted:
        if arguments[i].dtype not in (np.float64, np.complex128):
            raise ValueError(
                f"{name}: input {i} is {arguments[i].dtype}; finite differences need float64 or complex128"
            )
    return wanted


def _outputs(function: Callable[..., Any], arguments: Sequence[Any]) -> list[Tensor]:
    with enable_grad():
        result = function(*arguments)
    return [result] if isinstance(result, Tensor) else list(result)


def _numerical_jacobian(function: Callable[..., Any], arguments: list[Any], i: int, eps: float) -> list[Array]:
    """For each output, ``d output / d arguments[i]`` as a matrix (numbers of the output, numbers of the input)."""
    x = arguments[i]
    values = _numbers(x)

    def moved(place: int, step: float) -> list[Array]:
        changed = values.copy()
        changed[place] += step
        other = tensor(changed.view(x.dtype).reshape(x.shape), x.dtype, x.device, requires_grad=True)
        return [_numbers(y) for y in _outputs(function, [*arguments[:i], other, *arguments[i + 1 :]])]

    columns = []
    for place in range(values.size):
        above, below = moved(place, eps), moved(place, -eps)
        columns.append([(a - b) / (2 * eps) for a, b in zip(above, below, strict=True)])
    if not columns:
        return [np.zeros((_numbers(y).size, 0)) for y in _outputs(function, arguments)]
    return [np.stack(column, axis=1) for column in zip(*columns, strict=True)]


def _numbers(x: Tensor) -> Array:
    """The elements as real numbers in a row: of a complex one its two parts."""
    wide = to_numpy(x._data).astype(np.complex128 if x.dtype.kind == "c" else np.float64, order="C")
    return wide.reshape(-1).view(np.float64)


def _compare_with_numerical(
    k: int, y: Tensor, arguments: list[Any], wanted: list[int], numerical: list[Array], atol: float, rtol: float
) -> None:
    """One row of the Jacobian after another: a backward from each element of output ``k``."""
    variables = [arguments[i] for i in wanted]
    for create_graph in (False, True):
        rows: list[list[Array]] = [[] for _ in wanted]
        for row in range(_numbers(y).size):
            start = np.zeros_like(_numbers(y))
            start[row] = 1
            if y.dtype.kind == "c":
                start = start.view(np.complex128)
            g = tensor(start.reshape(y.shape), y.dtype, y.device)
            found = autograd.grad(y, variables, g, retain_graph=True, create_graph=create_graph, allow_unused=True)
            for n, (i, gradient) in enumerate(zip(wanted, found, strict=True)):
                rows[n].append(_gradient(k, i, arguments[i], gradient))
        for i, gradients, expected in zip(wanted, rows, numerical, strict=True):
            actual = np.stack(gradients) if gradients else np.zeros(expected.shape)
            difference = np.abs(actual - expected)
            wrong = ~(difference <= atol + rtol * np.abs(expected))
            if wrong.any():
                row, column = _worst(difference, wrong)
                raise GradcheckError(
                    f"gradcheck: with create_graph={create_graph}, the gradient of output {k} at "
                    f"{_place(row, y)} with respect to input {i} at {_place(column, arguments[i])} is "
                    f"{actual[row, column]}, finite differences give {expected[row, column]} "
                    f"({wrong.sum()} of {wrong.size} entries differ)"
                )


def _gradient(k: int, i: int, x: Tensor, gradient: Tensor | None) -> Array:
    """The gradient as a flat array; it must have its input's shape, dtype and device."""
    if gradient is None:
        return np.zeros_like(_numbers(x))
    if gradient.shape != x.shape or gradient.dtype != x.dtype or gradient.device != x.device:
        raise GradcheckError(
            f"gradcheck: input {i} has shape {x.shape}, dtype {x.dtype} and is on {x.device}, its gradient from output "
            f"{k} has shape {gradient.shape}, dtype {gradient.dtype} and is on {gradient.device}"
        )
    return _numbers(gradient)


def _check_constant(k: int, wanted: list[int], numerical: list[Array], atol: float) -> None:
    """An output without a gradient must not move with the inputs."""
    for i, jacobian in zip(wanted, numerical, strict=True):
        if np.abs(jacobian).max(initial=0) > atol:
            raise GradcheckError(f"gradcheck: output {k} depends on input {i} but does not require a gradient")


def _place(number: int, x: Tensor) -> str:
    """Where one of the `_numbers` of a tensor stands in it."""
    if x.dtype.kind != "c":
        return f"{_index(number, x.shape)}"
    return f"{_index(number // 2, x.shape)}, {'imaginary' if number % 2 else 'real'} part"


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(n) for n in np.unravel_index(flat, shape)) if shape else ()


def assert_close(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    *,
    equal_nan: bool = False,
    check_dtype: bool = True,
    check_device: bool = True,
    msg: str | None = None,
) -> None:
    """Assert that ``abs(actual - expected) <= atol + rtol * abs(expected)`` for every element.

    Parameters
    ----------
    actual, expected : Tensor, array, number, or nested sequence of numbers
    rtol, atol : float, optional
        Both or none. By default PyTorch's for the dtype, the looser one if there are two dtypes; exact for integers
        and booleans.
    equal_nan : bool
        Whether NaN equals NaN.
    check_dtype : bool
        Also compare dtypes, of operands that both have one.
    check_device : bool
        Also compare devices, if both are Tensors.
    msg : str, optional
        Put before the explanation.

    Raises
    ------
    AssertionError
        With the number of elements that differ, and the index and the values of the worst.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.testing.assert_close(tg.ones(2) / 3, [1 / 3, 1 / 3])
    >>> tg.testing.assert_close(tg.tensor([1.0, 2.0]), [1.0, 2.5])
    Traceback (most recent call last):
    AssertionError: 1 of 2 elements differ by more than rtol=1.3e-06, atol=1e-05; worst is (1,): 2.0, expected 2.5
    """
    if (rtol is None) != (atol is None):
        raise ValueError(f"assert_close: give both rtol and atol, or none; got rtol={rtol}, atol={atol}")
    head = "" if msg is None else f"{msg}: "
    first, second = _values(actual), _values(expected)
    if first.shape != second.shape:
        raise AssertionError(f"{head}the shapes differ: {first.shape}, expected {second.shape}")
    typed = hasattr(actual, "dtype"), hasattr(expected, "dtype")
    if check_dtype and all(typed) and first.dtype != second.dtype:
        raise AssertionError(f"{head}the dtypes differ: {first.dtype}, expected {second.dtype}")
    if (
        check_device
        and isinstance(actual, Tensor)
        and isinstance(expected, Tensor)
        and actual.device != expected.device
    ):
        raise AssertionError(f"{head}the devices differ: {actual.device}, expected {expected.device}")
    if rtol is None or atol is None:
        # Python numbers have no precision of their own: the other side's decides.
        dtypes = [a.dtype for a, counts in zip((first, second), typed, strict=True) if counts or not any(typed)]
        rtol, atol = (max(pair) for pair in zip(*(_tolerance(d) for d in dtypes), strict=True))
    _compare(_wide(first), _wide(second), rtol, atol, equal_nan, head)


def _values(x: Any) -> Array:
    if isinstance(x, Tensor):
        return to_numpy(x._data)
    return to_numpy(x) if hasattr(x, "__cuda_array_interface__") else np.asarray(x)


def _tolerance(dtype: DType) -> tuple[float, float]:
    return _TOLERANCES.get(dtype.name, (0.0, 0.0))


def _wide(x: Array) -> Array:
    """In a dtype in which differences are exact enough; integers and booleans as they are."""
    if not is_differentiable(x.dtype):
        return x
    return x.astype(np.float64 if is_floating(x.dtype) else np.complex128)


def _compare(actual: Array, expected: Array, rtol: float, atol: float, equal_nan: bool, head: str) -> None:
    if actual.dtype.kind in "biu" and expected.dtype.kind in "biu":
        actual, expected = actual.astype(object), expected.astype(object)  # Python's integers do not overflow
    with np.errstate(all="ignore"):
        difference = _floats(np.abs(actual - expected))
        limit = _floats(atol + rtol * np.abs(expected))
        close = (difference <= limit) & np.isfinite(limit)
        close |= np.asarray(actual == expected, bool)  # equal infinities too, whose difference is NaN
        if equal_nan:
            close |= (actual != actual) & (expected != expected)  # noqa: PLR0124 - NaN
    if close.all():
        return
    worst = _worst(difference, ~close)
    raise AssertionError(
        f"{head}{close.size - int(close.sum())} of {close.size} elements differ by more than rtol={rtol:g}, "
        f"atol={atol:g}; worst is {worst}: {actual[worst]}, expected {expected[worst]}"
    )


def _floats(x: Any) -> Array:
    return np.asarray(x, np.float64)


def _worst(difference: Array, wrong: Array) -> tuple[int, ...]:
    """Index of the largest difference among the wrong elements; NaN counts as the largest."""
    size = np.where(np.isnan(difference), np.inf, difference)
    return _index(int(np.argmax(np.where(wrong, size, -1))), wrong.shape)
