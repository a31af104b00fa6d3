"""Derivatives of a function at a point, in the form of ``torch.autograd.functional``; `tg.func` has the functions.

This is `tg.autograd.functional`. The inputs are a tensor or a tuple of them, and so are the results of the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import func
from .autograd import grad
from .ops.memory import ones_like
from .tape import enable_grad, no_grad
from .tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = Tensor | tuple[Tensor, ...]


def _inputs(name: str, inputs: Any) -> tuple[tuple[Tensor, ...], bool]:
    """The inputs as a tuple, and whether they are one."""
    several = isinstance(inputs, tuple)
    given = inputs if several else (inputs,)
    for x in given:
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: the inputs must be a tensor or a tuple of them, got {type(x).__name__}")
    return given, several


def _vector(name: str, v: Any, like: tuple[Tensor, ...], several: bool) -> tuple[Tensor, ...]:
    if v is None:
        if several or like[0].size != 1:
            raise RuntimeError(f"{name}: the vector v can be left out only for one tensor with a single element")
        return (like[0].detach() * 0 + 1,)
    return v if isinstance(v, tuple) else (v,)


def _called(function: Callable[..., Any], create_graph: bool, *args: Any) -> Any:
    if create_graph:
        return function(*args)
    with no_grad():
        return function(*args)


def _check_dependence(name: str, function: Callable[..., Any], given: tuple[Tensor, ...], order: int = 1) -> None:
    """Raise if all results, in `jacobian` one of them, or with ``order`` 2 a gradient, do not depend on an input."""
    with enable_grad():
        x = [v.detach().requires_grad_() for v in given]
        result = function(*x)
        results = list(result) if isinstance(result, tuple) else [result]
        for what in ("result", "gradient")[:order]:
            groups = [results] if name in ("vjp", "jvp") else [[y] for y in results]
            gradients: list[Any] = []
            for k, group in enumerate(groups):
                ys = [y for y in group if y.requires_grad]
                starts = [ones_like(y) for y in ys]
                gradients = list(grad(ys, x, starts, True, True, allow_unused=True)) if ys else [None]
                if None in gradients:
                    i = gradients.index(None)
                    raise RuntimeError(f"{name}: strict, and {what} {k} of the function does not depend on input {i}")
            results = gradients


def _scalar(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with a result of one element, of whatever shape, as a scalar."""

    def scalar(*x: Tensor) -> Any:
        y = function(*x)
        return y.reshape(()) if isinstance(y, Tensor) and y.size == 1 else y

    return scalar


def _strategy(name: str, option: str, value: str, vectorize: bool, strict: bool) -> bool:
    """Whether a Jacobian is to be computed by columns."""
    if value not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"{name}: {option} must be 'reverse-mode' or 'forward-mode', got {value!r}")
    if vectorize and strict:
        raise RuntimeError(f"{name}: strict and vectorize cannot both be True")
    return value == "forward-mode"


def jacobian(
    function: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: a tensor of shape ``(*output.shape, *input.shape)``, in tuples where inputs or outputs are.

    Parameters
    ----------
    function : callable
    inputs : Tensor or tuple of Tensor
    create_graph : bool
        Whether the result can be differentiated.
    strict : bool
        Raise RuntimeError if a result of the function does not depend on an input, instead of giving zeros;
        ``function`` is called once more for that.
    vectorize : bool
        Taken for PyTorch's sake: all rows are always computed at once. ``tg.func.jacrev`` has a ``chunk_size``.
    strategy : "reverse-mode" or "forward-mode"
        Compute it by rows or by columns.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.autograd.functional.jacobian(lambda x: x**2, tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    given, several = _inputs("jacobian", inputs)
    by_columns = _strategy("jacobian", "strategy", strategy, vectorize, strict)
    if strict:
        _check_dependence("jacobian", function, given)
    argnums = tuple(range(len(given))) if several else 0
    transform = func.jacfwd if by_columns else func.jacrev
    return _called(transform(function, argnums), create_graph, *given)


def hessian(
    function: Callable[..., Any],
    inputs: Tensors,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a scalar: for inputs in a tuple, a tuple of tuples.

    Parameters
    ----------
    function : callable
        Returns a tensor with one element.
    inputs, create_graph, vectorize
        As for `jacobian`.
    strict : bool
        Raise RuntimeError if the result, or its gradient, does not depend on an input.
    outer_jacobian_strategy : "reverse-mode" or "forward-mode"
        Compute it by rows or by columns.
    """
    given, several = _inputs("hessian", inputs)
    by_columns = _strategy("hessian", "outer_jacobian_strategy", outer_jacobian_strategy, vectorize, strict)
    if strict:
        _check_dependence("hessian", function, given, 2)
    argnums = tuple(range(len(given))) if several else 0

    outer = func.jacfwd if by_columns else func.jacrev
    return _called(outer(func.grad(_scalar(function), argnums), argnums), create_graph, *given)


def vjp(
    function: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result, and a vector times the Jacobian; for a scalar the vector is 1 unless given.

    With ``strict``, RuntimeError if a result does not depend on an input.
    """
    given, _ = _inputs("vjp", inputs)
    if strict:
        _check_dependence("vjp", function, given)

    def product(*x: Tensor) -> tuple[Any, Any]:
        output, pull = func.vjp(function, *x)
        several = isinstance(output, tuple)
        vector = _vector("vjp", v, output if several else (output,), several)
        found = pull(vector if several else vector[0])
        return output, found if isinstance(inputs, tuple) else found[0]

    return _called(product, create_graph, *given)  # type: ignore[no-any-return]


def jvp(
    function: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result, and the Jacobian times a vector; with ``strict``, RuntimeError if it is 0 for want of dependence."""
    given, several = _inputs("jvp", inputs)
    if strict:
        _check_dependence("jvp", function, given)
    vector = _vector("jvp", v, given, several)
    return _called(lambda *x: func.jvp(function, x, vector), create_graph, *given)  # type: ignore[no-any-return]


def hvp(
    function: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result, and the second derivatives of it, a scalar, times a vector.

    With ``strict``, RuntimeError if the result, or its gradient, does not depend on an input.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.autograd.functional.hvp(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    return _second("hvp", function, inputs, v, create_graph, strict)


def vhp(
    function: Callable[..., Any],
    inputs: Tensors,
    v: Tensors | None = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The result, and a vector times its second derivatives, which are symmetric: what `hvp` gives."""
    return _second("vhp", function, inputs, v, create_graph, strict)


def _second(
    name: str, function: Callable[..., Any], inputs: Tensors, v: Tensors | None, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    given, several = _inputs(name, inputs)
    if strict:
        _check_dependence(name, function, given, 2)
    vector = _vector(name, v, given, several)

    def product(*x: Tensor) -> tuple[Any, Any]:
        found = func.hvp(_scalar(function), x, vector)
        return function(*x), found if several else found[0]

    return _called(product, create_graph, *given)  # type: ignore[no-any-return]
