"""Sums of products over named axes: einsum and the products that are cases of it.

Every product of two tensors is axes put in order, a reshape and one `matmul`, so gradients of any order are those of
these ops.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import integer, integers, is_integer
from ..tensor import Tensor
from .complex_parts import conj
from .definition import lift, on_values
from .elementwise import multiply
from .matmul import matmul
from .memory import cast
from .precision import lowered
from .reduction import normalize_axes, summed
from .shape import moveaxis, permuted, raveled, reshape

__all__ = ["einsum", "inner", "kron", "outer", "tensordot", "vecdot"]

Label = str | int
"""Name of an axis: a letter, or, for an axis under an ellipsis, its place counted from the right."""
Labels = tuple[Label, ...]


def einsum(subscripts: str, /, *operands: Any) -> Any:
    """Sum of products, by Einstein's convention.

    Letters name the axes of the operands. What a letter names in several places runs together, and the letters that
    the output lacks are summed over. ``...`` stands for axes without a name, which broadcast; axes of size 1 broadcast
    too. More than two operands are multiplied in pairs, first those whose product is smallest beside its factors.

    Parameters
    ----------
    subscripts : str
        The operands' letters between commas, then ``->`` and those of the output. Without ``->`` the output has the
        axes of the ellipsis and then, in alphabetical order, the letters that occur once.
    *operands : Tensor

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        If the subscripts are malformed or do not fit the shapes.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.einsum("ij,kj->ik", x, x)
    tensor([[ 5., 11.],
            [11., 25.]])
    >>> tg.einsum("ii", x)
    tensor(5.)
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: the subscripts come first, as a string; got {type(subscripts).__name__}")
    if not operands:
        raise ValueError("einsum: needs at least one operand")
    tensors = _together(*operands)
    named, output, sizes = _plan(subscripts, tuple([x.shape for x in tensors]))
    terms = [_plain(x, labels, sizes) for x, labels in zip(tensors, named, strict=True)]
    terms = [_sum_alone(i, terms, output) for i in range(len(terms))]
    while len(terms) > 1:
        i, j = _next_pair([labels for _, labels in terms], output, sizes)
        rest = [term for k, term in enumerate(terms) if k not in (i, j)]
        kept = set(output).union(*(labels for _, labels in rest))
        terms = [*rest, _contract(*terms[i], *terms[j], kept)]
    ((y, labels),) = terms
    order = tuple([labels.index(label) for label in output])
    return permuted(y, order) if len(tensors) == 1 else _in_order(y, order)  # a view of an only operand, not itself


def _together(*operands: Any) -> list[Any]:
    """The operands as tensors of one dtype, which is a region's of mixed precision if there is one."""
    first = operands[0]
    if isinstance(first, Tensor) and all(isinstance(x, Tensor) and x.dtype is first.dtype for x in operands):
        return list(lowered(*operands))
    like = next((x for x in operands if isinstance(x, Tensor)), None)
    tensors = lowered(*(lift(x, like) for x in operands))
    dtype = dtypes.result_type(*(x.dtype for x in tensors))
    return [cast(x, dtype) for x in tensors]


@lru_cache(1024)
def _plan(subscripts: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[Labels], Labels, dict[Label, int]]:
    """The labels of each operand's axes, those of the output, and the size of every axis."""
    named, output = _parse(subscripts, shapes)
    return named, output, _sizes(subscripts, shapes, named)


def _parse(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Labels], Labels]:
    """The labels of each operand's axes and those of the output."""
    inputs, arrow, wanted = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands, got {len(shapes)}")
    named = []
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        letters = _letters(subscripts, term)
        unnamed = len(shape) - len(letters)
        if unnamed < 0 or (unnamed and "..." not in term):
            raise ValueError(
                f"einsum: {term!r} of {subscripts!r} names {len(letters)} axes, operand {i} has shape {shape}"
            )
        named.append(_labels(term, unnamed))
    most = max(sum(isinstance(label, int) for label in labels) for labels in named)
    every = [letter for labels in named for letter in labels if isinstance(letter, str)]
    if not arrow:
        once = sorted(letter for letter in set(every) if every.count(letter) == 1)
        return named, (*range(-most, 0), *once)
    letters = _letters(subscripts, wanted)
    if len(set(letters)) != len(letters):
        raise ValueError(f"einsum: the output of {subscripts!r} names an axis twice")
    unknown = sorted(set(letters) - set(every))
    if unknown:
        raise ValueError(f"einsum: no operand of {subscripts!r} has the output's axis {unknown[0]!r}")
    if most and "..." not in wanted:
        raise ValueError(
            f"einsum: the output of {subscripts!r} lacks the '...' of its operands, shapes {_list(shapes)}"
        )
    return named, _labels(wanted, most)


def _letters(subscripts: str, term: str) -> str:
    """A term without its ellipsis."""
    letters = term.replace("...", "", 1)
    if not all(c.isascii() and c.isalpha() for c in letters):
        wrong = next(c for c in letters if not (c.isascii() and c.isalpha()))
        raise ValueError(f"einsum: {wrong!r} in {subscripts!r} is not a letter; write 'ij,jk->ik' or '...i,i->...'")
    return letters


def _labels(term: str, unnamed: int) -> Labels:
    """A term's letters, with places in the stead of its ellipsis."""
    before, _, after = term.partition("...")
    return (*before, *range(-unnamed, 0), *after)


def _sizes(subscripts: str, shapes: Sequence[tuple[int, ...]], named: Sequence[Labels]) -> dict[Label, int]:
    """The size of every axis; 1 gives way to any other."""
    sizes: dict[Label, int] = {}
    for labels, shape in zip(named, shapes, strict=True):
        own: dict[Label, int] = {}
        for label, n in zip(labels, shape, strict=True):
            first = own.setdefault(label, n)
            known = sizes.get(label, 1)
            if first != n or (known != n and 1 not in (known, n)):
                other = known if first == n else first
                what = f"axis {label!r}" if isinstance(label, str) else f"axis {label} of '...'"
                raise ValueError(f"einsum: {what} of {subscripts!r} is {other} and {n} long, shapes {_list(shapes)}")
            sizes[label] = n if known == 1 else known
    return sizes


def _list(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))


def _plain(x: Any, labels: Labels, sizes: dict[Label, int]) -> tuple[Any, Labels]:
    """An operand with each label once, by diagonals, and without the axes that only broadcast."""
    for label in labels:
        while labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            n = x.shape[first]
            x = moveaxis(x, (first, second), (-2, -1))
            x = reshape(x, (*x.shape[:-2], n * n))[..., :: n + 1]
            labels = (*(name for k, name in enumerate(labels) if k not in (first, second)), label)
    kept = [k for k, label in enumerate(labels) if x.shape[k] == sizes[label]]
    if len(kept) < len(labels):
        x = reshape(x, tuple(x.shape[k] for k in kept))
    return x, tuple(labels[k] for k in kept)


def _sum_alone(i: int, terms: list[tuple[Any, Labels]], output: Labels) -> tuple[Any, Labels]:
    """A term summed over the axes that neither the output nor another term has."""
    x, labels = terms[i]
    elsewhere = set(output).union(*(other for k, (_, other) in enumerate(terms) if k != i))
    alone = tuple(k for k, label in enumerate(labels) if label not in elsewhere)
    if not alone:
        return x, labels
    y = cast(summed(x, alone, False), x.dtype)
    return y, tuple(label for label in labels if label in elsewhere)


def _next_pair(named: Sequence[Labels], output: Labels, sizes: dict[Label, int]) -> tuple[int, int]:
    """The pair of terms whose product has the fewest elements beside those of its factors; then the least work."""
    if len(named) == 2:
        return 0, 1

    def elements(labels: set[Label]) -> int:
        return math.prod(sizes[label] for label in labels)

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        i, j = pair
        a, b = set(named[i]), set(named[j])
        kept = set(output).union(*(labels for k, labels in enumerate(named) if k not in pair))
        return elements((a | b) & kept) - elements(a) - elements(b), elements(a | b)

    return min(combinations(range(len(named)), 2), key=cost)


def _contract(x1: Any, labels1: Labels, x2: Any, labels2: Labels, kept: set[Label]) -> tuple[Any, Labels]:
    """The product of two terms, summed over the axes that both have and nobody else wants."""
    both = [label for label in labels1 if label in labels2]
    batch = [label for label in both if label in kept]
    inner_ = [label for label in both if label not in kept]
    rows = [label for label in labels1 if label not in both]
    columns = [label for label in labels2 if label not in both]
    x1 = _in_order(x1, tuple([labels1.index(label) for label in (*batch, *rows, *inner_)]))
    x2 = _in_order(x2, tuple([labels2.index(label) for label in (*batch, *inner_, *columns)]))
    a, b, c = len(batch), len(rows), len(columns)
    result = (*batch, *rows, *columns)
    if not inner_:  # nothing to sum
        x1 = _shaped(x1, (*x1.shape, *(1,) * c))
        x2 = _shaped(x2, (*x2.shape[:a], *(1,) * b, *x2.shape[a:]))
        return multiply(x1, x2), result
    shape1, shape2 = x1.shape, x2.shape
    shape = (*shape1[: a + b], *shape2[len(shape2) - c :])
    n = math.prod(shape1[a + b :])
    # a vector where there is nothing else, as the other operand may be one
    x1 = _shaped(x1, (*shape1[:a], math.prod(shape1[a : a + b]), n) if a or b else (n,))
    x2 = _shaped(x2, (*shape2[:a], n, math.prod(shape2[len(shape2) - c :])) if a or c else (n,))
    return _shaped(matmul(x1, x2), shape), result


def _in_order(x: Any, order: tuple[int, ...]) -> Any:
    return x if order == tuple(range(len(order))) else permuted(x, order)


def _shaped(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.shape == shape else reshape(x, shape)


def _matrices_of(x1: Any, x2: Any, axes: int) -> Any:
    """The product over the last axes of one operand and the first of the other, as that of two matrices."""
    inner = math.prod(x2.shape[:axes])
    if x1.ndim == x2.ndim == axes:
        return matmul(reshape(x1, (inner,)), reshape(x2, (inner,)))
    y = matmul(reshape(x1, (-1, inner)), reshape(x2, (inner, -1)))
    return reshape(y, x1.shape[: x1.ndim - axes] + x2.shape[axes:])


def tensordot(x1: Any, x2: Any, /, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Any:
    """Sum of products over several axes of both operands.

    Parameters
    ----------
    axes : int or (sequence, sequence)
        How many axes, the last of ``x1`` with the first of ``x2``; or which of ``x1`` with which of ``x2``, in order.

    Returns
    -------
    Tensor
        With the other axes of ``x1``, then those of ``x2``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.tensordot(tg.ones(2, 3, 4), tg.ones(4, 3, 5), axes=((1, 2), (1, 0))).shape
    (2, 5)
    """
    x1, x2 = _together(x1, x2)
    if is_integer(axes):
        axes = integer(axes, "axes", "tensordot")
        if axes == 1 and x1.ndim == 2 and x2.ndim == 2 and x1.shape[1] == x2.shape[0]:
            return matmul(x1, x2)
        if not 0 <= axes <= min(x1.ndim, x2.ndim):
            raise ValueError(f"tensordot: cannot sum over {axes} axes of shapes {x1.shape} and {x2.shape}")
        first, second = tuple(range(x1.ndim - axes, x1.ndim)), tuple(range(axes))
        if axes and x1.size and x2.size and x1.shape[x1.ndim - axes :] == x2.shape[:axes]:
            return on_values(lambda x1, x2: _matrices_of(x1, x2, axes), x1, x2)
    else:
        left, right = (integers(a, "axes", "tensordot") for a in axes)  # type: ignore[union-attr]
        first, second = normalize_axes("tensordot", left, x1.ndim), normalize_axes("tensordot", right, x2.ndim)
    if [x1.shape[a] for a in first] != [x2.shape[a] for a in second]:
        raise ValueError(
            f"tensordot: axes {first} of shape {x1.shape} and {second} of shape {x2.shape} differ in number or size"
        )
    labels1 = tuple(range(x1.ndim))
    labels2: Labels = tuple(first[second.index(a)] if a in second else x1.ndim + a for a in range(x2.ndim))
    kept = {*(a for a in labels1 if a not in first), *(label for label in labels2 if label not in labels1)}
    return _contract(x1, labels1, x2, labels2, kept)[0]


def vecdot(x1: Any, x2: Any, /, axis: int = -1) -> Any:
    """Dot products of the vectors along ``axis``, the first of them conjugated; the other axes broadcast.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.vecdot(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([10.0, 1.0]))
    tensor([12., 34.])
    """
    x1, x2 = _together(x1, x2)
    x1 = conj(x1)
    if axis == -1 and x1.ndim > 1 and x1.shape == x2.shape:  # most calls
        return on_values(_rows_by_columns, x1, x2)
    a, b = (x.ndim + axis if axis < 0 else axis for x in (x1, x2))
    if not (0 <= a < x1.ndim and 0 <= b < x2.ndim):
        raise IndexError(f"vecdot: axis {axis} is out of range for shapes {x1.shape} and {x2.shape}")
    if x1.ndim == 1 and x2.ndim == 1 and x1.shape == x2.shape:
        return matmul(x1, x2)
    rows, columns = (x if k == x.ndim - 1 else moveaxis(x, k, -1) for x, k in ((x1, a), (x2, b)))
    fits = rows.shape == columns.shape
    if not fits and rows.shape[-1] == columns.shape[-1]:
        try:
            np.broadcast_shapes(rows.shape[:-1], columns.shape[:-1])
            fits = True
        except ValueError:
            pass
    if not fits:
        raise ValueError(f"vecdot: shapes {x1.shape} and {x2.shape} do not fit along axis {axis}")
    return on_values(_rows_by_columns, rows, columns)


def _rows_by_columns(rows: Any, columns: Any) -> Any:
    return matmul(rows[..., None, :], columns[..., None])[..., 0, 0]


def inner(x1: Any, x2: Any, /) -> Any:
    """Sums of products over the last axes: ``inner(x1, x2)[i, j] = sum(x1[i] * x2[j])``; with a scalar, the product.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.inner(tg.ones(2, 3), tg.ones(4, 3)).shape
    (2, 4)
    """
    x1, x2 = _together(x1, x2)
    if not x1.ndim or not x2.ndim:
        return multiply(x1, x2)
    if x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"inner: the last axes of shapes {x1.shape} and {x2.shape} differ in size")
    if x1.ndim == 1 and x2.ndim == 1:
        return matmul(x1, x2)
    return tensordot(x1, x2, axes=((-1,), (-1,)))


def outer(x1: Any, x2: Any, /) -> Any:
    """All products of an element of ``x1`` with one of ``x2``; operands of several axes are flattened.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.outer(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    tensor([[ 1., 10.],
            [ 2., 20.]])
    """
    x1, x2 = _together(x1, x2)
    return on_values(lambda x1, x2: multiply(raveled(x1)[:, None], raveled(x2)), x1, x2)


def kron(x1: Any, x2: Any, /) -> Any:
    """Kronecker product: every element of ``x1`` times the whole of ``x2``, as blocks.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.kron(tg.tensor([1.0, 10.0]), tg.ones(2))
    tensor([ 1.,  1., 10., 10.])
    """
    x1, x2 = _together(x1, x2)
    ndim = max(x1.ndim, x2.ndim)
    shape1, shape2 = ((1,) * (ndim - x.ndim) + x.shape for x in (x1, x2))
    x1 = reshape(x1, tuple(size for n in shape1 for size in (n, 1)))
    x2 = reshape(x2, tuple(size for n in shape2 for size in (1, n)))
    return reshape(multiply(x1, x2), tuple(n * m for n, m in zip(shape1, shape2, strict=True)))
