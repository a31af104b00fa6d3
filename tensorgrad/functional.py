"""Derivatives of a function at a point, in the form of ``torch.autograd.functional``; `tg.func` has the functions.

This is `tg.autograd.functional`. The inputs are a tensor or a tuple of them, and so are the results of the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import func
from .tape import no_grad
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


def jacobian(function: Callable[..., Any], inputs: Tensors, create_graph: bool = False) -> Any:
    """The Jacobian: a tensor of shape ``(*output.shape, *input.shape)``, in tuples where inputs or outputs are.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.autograd.functional.jacobian(lambda x: x**2, tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    given, several = _inputs("jacobian", inputs)
    argnums = tuple(range(len(given))) if several else 0
    return _called(func.jacrev(function, argnums), create_graph, *given)


def hessian(function: Callable[..., Any], inputs: Tensors, create_graph: bool = False) -> Any:
    """The second derivatives of a scalar: for inputs in a tuple, a tuple of tuples."""
    given, several = _inputs("hessian", inputs)
    argnums = tuple(range(len(given))) if several else 0
    return _called(func.hessian(function, argnums), create_graph, *given)


def vjp(
    function: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """The result, and a vector times the Jacobian; for a scalar the vector is 1 unless given."""
    given, _ = _inputs("vjp", inputs)

    def product(*x: Tensor) -> tuple[Any, Any]:
        output, pull = func.vjp(function, *x)
        several = isinstance(output, tuple)
        vector = _vector("vjp", v, output if several else (output,), several)
        return output, pull(vector if several else vector[0])

    return _called(product, create_graph, *given)  # type: ignore[no-any-return]


def jvp(
    function: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """The result, and the Jacobian times a vector."""
    given, several = _inputs("jvp", inputs)
    vector = _vector("jvp", v, given, several)
    return _called(lambda *x: func.jvp(function, x, vector), create_graph, *given)  # type: ignore[no-any-return]


def hvp(
    function: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """The result, and the second derivatives of it, a scalar, times a vector.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.autograd.functional.hvp(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    given, several = _inputs("hvp", inputs)
    vector = _vector("hvp", v, given, several)

    def product(*x: Tensor) -> tuple[Any, Any]:
        found = func.hvp(function, x, vector)
        return function(*x), found if several else found[0]

    return _called(product, create_graph, *given)  # type: ignore[no-any-return]


def vhp(
    function: Callable[..., Any], inputs: Tensors, v: Tensors | None = None, create_graph: bool = False
) -> tuple[Any, Any]:
    """The result, and a vector times its second derivatives, which are symmetric: what `hvp` gives."""
    return hvp(function, inputs, v, create_graph)
