"""Gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import autograd, func
from ..backend import to_numpy
from ..creation import tensor
from ..tape import enable_grad
from ..tensor import Tensor
from .comparison import index_of, worst_of

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

Array = np.ndarray[Any, np.dtype[Any]]


class GradcheckError(AssertionError):
    """A gradient is not what finite differences say; the message has the input, the element and both values."""


def gradcheck(
    function: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    *,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
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
    nondet_tol : float
        How much two runs of one backward may differ.
    check_undefined_grad : bool
        Also check that, of several outputs, one that gets no gradient is as good as one that gets zeros.
    check_grad_dtypes : bool
        Taken for PyTorch's sake: that gradients have the dtype, shape and device of their inputs is always checked.
    check_batched_grad, check_batched_forward_grad : bool
        Also check that gradients (and, with ``check_forward_ad``, directional derivatives) for many vectors at once, by
        `tg.func.vmap`, are those for each.
    check_forward_ad : bool
        Also compare `tg.func.jvp` with differences.
    check_backward_ad : bool
        Compare gradients.
    fast_mode : bool
        Compare one random combination of the Jacobian's entries instead of every entry.

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
        if fast_mode:
            _compare_one_combination(function, arguments, wanted, eps, atol, rtol)
        elif check_backward_ad:
            outputs = _outputs(function, arguments)
            numerical = [_numerical_jacobian(function, arguments, i, eps) for i in wanted]
            for k, y in enumerate(outputs):
                if y.requires_grad:
                    _compare_with_numerical(k, y, arguments, wanted, [columns[k] for columns in numerical], atol, rtol)
                else:
                    _check_constant(k, wanted, [columns[k] for columns in numerical], atol)
        if check_backward_ad:
            _check_backward(function, arguments, wanted, nondet_tol, check_undefined_grad, check_batched_grad)
        if check_forward_ad:
            _check_forward(function, arguments, wanted, eps, atol, rtol, check_batched_forward_grad)
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
    *,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    fast_mode: bool = False,
) -> bool:
    """`gradcheck` of the gradients: second order.

    Parameters
    ----------
    function, inputs, eps, atol, rtol, raise_exception
    nondet_tol, check_undefined_grad, check_grad_dtypes, check_batched_grad, fast_mode
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

    return gradcheck(
        gradients,
        [*arguments, *cotangents],
        eps,
        atol,
        rtol,
        raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        fast_mode=fast_mode,
    )


def _random(like: Tensor, seed: int, *lead: int) -> Tensor:
    """Random numbers in the shape, dtype and device of a tensor, with more axes in front."""
    random = np.random.default_rng([seed, like.size])
    values: Array = random.uniform(0.5, 1.5, (*lead, *like.shape))
    if like.dtype.kind == "c":
        values = values + 1j * random.uniform(0.5, 1.5, values.shape)
    return tensor(values, like.dtype, like.device)


def _close(what: str, actual: Any, expected: Any, atol: float, rtol: float) -> None:
    difference = np.abs(actual - expected)
    wrong = ~(difference <= atol + rtol * np.abs(expected))
    if np.any(wrong):
        raise GradcheckError(f"gradcheck: {what}: they differ by {np.max(difference)}, {np.sum(wrong)} numbers of them")


def _directional(
    function: Callable[..., Any], arguments: list[Any], wanted: list[int], directions: list[Tensor], eps: float
) -> list[Array]:
    """Differences of the outputs in a direction."""

    def moved(step: float) -> list[Array]:
        given = list(arguments)
        for i, d in zip(wanted, directions, strict=True):
            x = arguments[i].detach() + d * step
            given[i] = x.requires_grad_()
        return [_numbers(y) for y in _outputs(function, given)]

    return [(a - b) / (2 * eps) for a, b in zip(moved(eps), moved(-eps), strict=True)]


def _compare_one_combination(
    function: Callable[..., Any], arguments: list[Any], wanted: list[int], eps: float, atol: float, rtol: float
) -> None:
    """``w @ J @ v`` for random w and v, by gradients and by differences."""
    directions = [_random(arguments[i], i) for i in wanted]
    numerical = _directional(function, arguments, wanted, directions, eps)
    outputs = _outputs(function, arguments)
    for k, (y, change) in enumerate(zip(outputs, numerical, strict=True)):
        if not y.requires_grad:
            _check_constant(k, wanted[:1], [change], atol)
            continue
        w = _random(y, k)
        found = autograd.grad(y, [arguments[i] for i in wanted], w, retain_graph=True, allow_unused=True)
        total = np.sum(
            [_numbers(d) @ _gradient(k, i, arguments[i], g) for i, d, g in zip(wanted, directions, found, strict=True)]
        )
        scale = max(y.size, 1)
        _close(f"output {k}, gradients against differences", total, _numbers(w) @ change, atol * scale, rtol)


def _check_backward(
    function: Callable[..., Any],
    arguments: list[Any],
    wanted: list[int],
    nondet_tol: float,
    undefined: bool,
    batched: bool,
) -> None:
    outputs = [y for y in _outputs(function, arguments) if y.requires_grad]
    variables = [arguments[i] for i in wanted]

    def gradients(ys: Any, gs: Any, **options: Any) -> list[Array]:
        found = autograd.grad(ys, variables, gs, retain_graph=True, materialize_grads=True, **options)
        return [_numbers(g) for g in found if g is not None]

    if not outputs:
        return
    given = [_random(y, k) for k, y in enumerate(outputs)]
    for first, second in zip(gradients(outputs, given), gradients(outputs, given), strict=True):
        _close("two runs of one backward", first, second, nondet_tol, 0.0)
    if undefined and len(outputs) > 1:
        for k, (y, g) in enumerate(zip(outputs, given, strict=True)):
            zeroed = [w if n == k else w * 0 for n, w in enumerate(given)]
            for first, second in zip(gradients([y], [g]), gradients(outputs, zeroed), strict=True):
                _close(f"output {k} alone, and with zeros for the others", first, second, 1e-12, 1e-9)
    if batched:
        for k, y in enumerate(outputs):
            rows = _random(y, k, 2)
            many = gradients([y], [rows], is_grads_batched=True)
            one = [gradients([y], [rows[n]]) for n in range(2)]
            for i, found in enumerate(many):
                _close(
                    f"gradients of output {k} for two at once", found, np.concatenate([o[i] for o in one]), 1e-12, 1e-9
                )


def _check_forward(
    function: Callable[..., Any],
    arguments: list[Any],
    wanted: list[int],
    eps: float,
    atol: float,
    rtol: float,
    batched: bool,
) -> None:
    def of_wanted(*given: Tensor) -> tuple[Tensor, ...]:
        places = dict(zip(wanted, given, strict=True))
        return tuple(_outputs(function, [places.get(i, x) for i, x in enumerate(arguments)]))

    primals = tuple(arguments[i].detach() for i in wanted)
    directions = [_random(x, i) for i, x in enumerate(primals)]
    found = func.jvp(of_wanted, primals, tuple(directions))[1]
    numerical = _directional(function, arguments, wanted, directions, eps)
    for k, (tangent, change) in enumerate(zip(found, numerical, strict=True)):
        if tangent.dtype.kind in "fc":
            _close(f"output {k}, jvp against differences", _numbers(tangent), change, atol, rtol)
    if batched:
        rows = tuple(_random(x, i, 2) for i, x in enumerate(primals))
        many = func.vmap(lambda *d: func.jvp(of_wanted, primals, d)[1])(*rows)
        for n in range(2):
            one = func.jvp(of_wanted, primals, tuple(r[n] for r in rows))[1]
            for k, (found_k, one_k) in enumerate(zip(many, one, strict=True)):
                _close(f"jvp of output {k} for two at once", _numbers(found_k[n]), _numbers(one_k), 1e-12, 1e-9)


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
                row, column = worst_of(difference, wrong)
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
        return f"{index_of(number, x.shape)}"
    return f"{index_of(number // 2, x.shape)}, {'imaginary' if number % 2 else 'real'} part"
