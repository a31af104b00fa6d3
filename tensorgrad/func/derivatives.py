"""Gradients of functions, and products with their Jacobians from either side."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ..dtypes import is_floating
from ..tensor import Tensor
from .call import Argnums, Call
from .tree import all_of, like, rebuilt

__all__ = ["grad", "grad_and_value", "hvp", "jvp", "linearize", "value_and_grad", "vjp"]


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that computes the gradient of ``f``.

    Parameters
    ----------
    f : callable
        Returns a real tensor without axes.
    argnums : int or tuple of int
        Which positional arguments to differentiate by.
    has_aux : bool
        Whether ``f`` returns ``(result, something else)``; then so does the gradient.

    Returns
    -------
    callable
        Takes what ``f`` takes; returns the gradient, of the argument's structure, or a tuple of them for a tuple
        ``argnums``. It is zero where the result does not depend on the argument.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> loss = lambda p, x: ((p["w"] * x).sum() + p["b"]) ** 2
    >>> tg.func.grad(loss)({"w": tg.ones(2), "b": tg.tensor(1.0)}, tg.tensor([1.0, 2.0]))
    {'w': tensor([ 8., 16.]), 'b': tensor(8.)}
    """
    both = _value_and_grad("grad", f, argnums, has_aux)

    @wraps(f)
    def gradient(*args: Any, **options: Any) -> Any:
        value, found = both(*args, **options)
        return (found, value[1]) if has_aux else found

    return gradient


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, but the function returns ``(result, gradient)``; ``((result, aux), gradient)`` with ``has_aux``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.value_and_grad(lambda x: (x**2).sum())(tg.tensor([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux)


def grad_and_value(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `value_and_grad` in PyTorch's order: ``(gradient, result)``; ``(gradient, (result, aux))`` with ``has_aux``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.grad_and_value(lambda x: (x**2).sum())(tg.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """
    both = _value_and_grad("grad_and_value", f, argnums, has_aux)

    @wraps(f)
    def reversed_both(*args: Any, **options: Any) -> Any:
        value, found = both(*args, **options)
        return found, value

    return reversed_both


def _value_and_grad(name: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool) -> Callable[..., Any]:
    @wraps(f)
    def both(*args: Any, **options: Any) -> Any:
        call = Call(name, f, args, argnums, options, has_aux)
        y = call.output
        if not isinstance(y, Tensor):
            raise TypeError(f"{name}: the function must return a tensor, got {type(y).__name__}{call.hint}")
        if y.shape != () or not is_floating(y.dtype):
            raise ValueError(
                f"{name}: the function must return a real floating tensor without axes, got shape {y.shape}, dtype "
                f"{y.dtype}; use vjp, jacrev or jacfwd for others"
            )
        found = call.pull([None], keep=False)
        value = (call.result(y), call.result(call.aux)) if has_aux else call.result(y)
        return value, call.as_arguments(found)

    return both


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``f(*primals)`` and the function that multiplies a vector with its Jacobian from the left.

    Returns
    -------
    output
        Of ``f``.
    vjp_fn : callable
        Takes a cotangent of the output's structure, any number of times; returns a tuple of the gradients of
        ``sum(output * cotangent)`` with respect to the primals.
    aux
        What else ``f`` returned; only with ``has_aux``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> y, vjp_fn = tg.func.vjp(lambda x: x**2, tg.tensor([1.0, 2.0]))
    >>> y, vjp_fn(tg.tensor([1.0, 10.0]))
    (tensor([1., 4.]), (tensor([ 2., 40.]),))
    """
    call = Call("vjp", f, primals, all_of("vjp", primals), {}, has_aux)

    def vjp_fn(cotangents: Any) -> Any:
        return call.as_arguments(call.pull(like("vjp", "cotangent", cotangents, call.output), keep=True))

    output = call.result(call.output)
    return (output, vjp_fn, call.result(call.aux)) if has_aux else (output, vjp_fn)


def jvp(
    f: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> tuple[Any, ...]:
    """``f(*primals)`` and the product of its Jacobian with ``tangents``, the derivative in their direction.

    It is computed as the derivative of `vjp` with respect to the cotangent, in which that is linear; so what ``f`` does
    must be twice differentiable. Of a custom `tg.autograd.Function` its ``jvp`` is used, if it has one.

    Parameters
    ----------
    f : callable
    primals, tangents : tuple
        As many as ``f`` takes arguments, of equal shapes and dtypes.
    strict : bool
        Raise RuntimeError if an output does not depend on the primals, instead of giving zeros.
    has_aux : bool
        Whether ``f`` returns ``(result, something else)``.

    Returns
    -------
    output, tangent
        Of one structure.
    aux
        What else ``f`` returned; only with ``has_aux``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> tg.func.jvp(lambda x: x**2, (x,), (tg.tensor([1.0, 0.0]),))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    argnums = all_of("jvp", primals)
    directions = like("jvp", "tangent", tangents, primals)
    call = Call("jvp", f, primals, argnums, {}, has_aux)
    if strict:
        call.require_dependence()
    pushed = rebuilt(call.output, iter(call.push(directions, keep=False)))
    output = call.result(call.output)
    return (output, pushed, call.result(call.aux)) if has_aux else (output, pushed)


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``f(*primals)`` and the function that multiplies its Jacobian there with a vector: `jvp` for many tangents.

    ``f`` is called once, however often that function is; what it needs is kept in memory as long as it exists.

    Parameters
    ----------
    f : callable
    *primals
        The arguments of ``f``.

    Returns
    -------
    output
        Of ``f``.
    jvp_fn : callable
        Takes tangents of the primals, as many and of their structures; returns the derivative of the output in their
        direction.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> y, jvp_fn = tg.func.linearize(lambda x: x**2, tg.tensor([1.0, 2.0]))
    >>> y, jvp_fn(tg.tensor([1.0, 0.0])), jvp_fn(tg.tensor([0.0, 1.0]))
    (tensor([1., 4.]), tensor([2., 0.]), tensor([0., 4.]))
    """
    call = Call("linearize", f, primals, all_of("linearize", primals), {})
    pushed = call.linear()

    def jvp_fn(*tangents: Any) -> Any:
        return rebuilt(call.output, iter(pushed(like("linearize", "tangent", tangents, primals), True)))

    return call.result(call.output), jvp_fn


def hvp(f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """The product of the second derivatives of ``f`` with ``tangents``, without making the matrix.

    Parameters
    ----------
    f : callable
        Returns a real tensor without axes.
    primals, tangents : tuple
        As many as ``f`` takes arguments, of equal shapes and dtypes.

    Returns
    -------
    tuple
        One product per primal, of its structure.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> tg.func.hvp(lambda x: (x**3).sum(), (x,), (tg.tensor([1.0, 10.0]),))
    (tensor([  6., 120.]),)
    """
    argnums = all_of("hvp", primals)
    directions = like("hvp", "tangent", tangents, primals)
    first = _value_and_grad("hvp", f, argnums, False)
    # The Hessian is symmetric: its product with a vector is the vector's with it.
    call = Call("hvp", lambda *x: first(*x)[1], primals, argnums, {})
    result: tuple[Any, ...] = call.as_arguments(call.pull(directions, keep=False))
    return result
