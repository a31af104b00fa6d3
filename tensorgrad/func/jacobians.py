"""Whole matrices of derivatives, all rows or columns of them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from ..ops.memory import eye, zeros, zeros_like
from ..ops.shape import moveaxis, reshape
from ..tensor import Tensor
from .call import Argnums, Call
from .tree import leaves, rebuilt
from .vectorized import vmap

__all__ = ["hessian", "jacfwd", "jacobian", "jacrev"]


def jacrev(
    f: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Callable[..., Any]:
    """The function that computes the Jacobian of ``f`` by rows: one backward over all elements of an output.

    Parameters
    ----------
    f : callable
    argnums : int or tuple of int
        Which positional arguments to differentiate by.
    has_aux : bool
        Whether ``f`` returns ``(result, something else)``; then so does the Jacobian.
    chunk_size : int, optional
        How many rows to compute at a time; 1 needs the least memory. By default all.

    Returns
    -------
    callable
        Takes what ``f`` takes; returns, for every tensor of the output and in it for every tensor of the argument,
        the derivatives: shape ``(*output.shape, *argument.shape)``. Complex ones are those of a holomorphic function.

    Raises
    ------
    TypeError
        If of an output and an argument only one is complex: differentiate real and imaginary parts by themselves.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.jacrev(lambda x: x**2)(tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(f)
    def jacobian_of(*args: Any, **options: Any) -> Any:
        call = Call("jacrev", f, args, argnums, options, has_aux)
        outputs = list(leaves(call.output))
        blocks = []
        for k, y in enumerate(outputs):
            _check_holomorphic("jacrev", y, call.variables)

            def row(one: Tensor, k: int = k) -> Any:
                return call.pull([one if i == k else zeros_like(z) for i, z in enumerate(outputs)], keep=True)

            rows = _over_basis(row, y, call.variables, chunk_size)
            blocks.append(
                [
                    reshape(r.conj() if r.dtype.kind == "c" else r, (*y.shape, *x.shape))
                    for r, x in zip(rows, call.variables, strict=True)
                ]
            )
        found = rebuilt(call.output, (call.as_arguments(block) for block in blocks))
        return (found, call.result(call.aux)) if has_aux else found

    return jacobian_of


jacobian = jacrev


def jacfwd(
    f: Callable[..., Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """As `jacrev`, but by columns: one `jvp` over all elements of an argument, better for long outputs.

    Parameters
    ----------
    f, argnums, has_aux
        As for `jacrev`.
    randomness : "error", "different" or "same"
        As for `vmap`. ``f`` is called once, so all columns see the same random numbers.
    chunk_size : int, optional
        How many columns to compute at a time.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.jacfwd(lambda x: x**2)(tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(f)
    def jacobian_of(*args: Any, **options: Any) -> Any:
        call = Call("jacfwd", f, args, argnums, options, has_aux)
        outputs = list(leaves(call.output))
        blocks: list[list[Any]] = [[] for _ in outputs]
        for k, x in enumerate(call.variables):
            for y in outputs:
                _check_holomorphic("jacfwd", y, [x])

            def column(one: Tensor, k: int = k) -> Any:
                directions = [one if i == k else zeros_like(v) for i, v in enumerate(call.variables)]
                return call.push(directions, keep=True)

            columns = _over_basis(column, x, outputs, chunk_size, randomness)
            for block, y, found in zip(blocks, outputs, columns, strict=True):
                block.append(reshape(moveaxis(found, 0, -1), (*y.shape, *x.shape)))
        result = rebuilt(call.output, (call.as_arguments(block) for block in blocks))
        return (result, call.result(call.aux)) if has_aux else result

    return jacobian_of


def hessian(f: Callable[..., Any], argnums: Argnums = 0, *, chunk_size: int | None = None) -> Callable[..., Any]:
    """The function that computes the second derivatives of ``f``: the Jacobian of its Jacobian.

    For an output without axes and one tensor their shape is ``(*argument.shape, *argument.shape)``.

    Parameters
    ----------
    f, argnums, chunk_size
        As for `jacrev`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.hessian(lambda x: x[0] ** 2 * x[1])(tg.tensor([3.0, 5.0]))
    tensor([[10.,  6.],
            [ 6.,  0.]])
    """
    return jacrev(jacrev(f, argnums), argnums, chunk_size=chunk_size)


def _over_basis(
    function: Callable[[Tensor], Any],
    x: Tensor,
    results: list[Tensor],
    chunk_size: int | None,
    randomness: str = "error",
) -> list[Tensor]:
    """What ``function`` gives for each tensor of the shape of ``x`` that is 1 at one element and 0 elsewhere."""
    if not x.size:
        return [zeros(0, *r.shape, dtype=r.dtype, device=r.device) for r in results]
    ones = reshape(eye(x.size, dtype=x.dtype, device=x.device), (x.size, *x.shape))
    found: list[Tensor] = vmap(function, randomness=randomness, chunk_size=chunk_size)(ones)
    return found


def _check_holomorphic(name: str, y: Tensor, variables: Sequence[Tensor]) -> None:
    for x in variables:
        if (y.dtype.kind == "c") != (x.dtype.kind == "c"):
            raise TypeError(
                f"{name}: the derivatives of {y.dtype} by {x.dtype} are not complex numbers; differentiate real and "
                "imaginary parts by themselves"
            )
