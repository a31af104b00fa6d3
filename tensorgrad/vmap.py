"""`vmap`: a function of one sample as a function of many.

The function is called once per sample, on views of the arguments, and its results are stacked. So it may do whatever a
function may do, control flow that depends on values included, and whatever it does has its gradient; what it does not
do is run faster than a loop. `tg.jit` around it takes Python out of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import wraps
from typing import Any

from .generator import Draws, NoDraws
from .ops.indexing import getitem
from .ops.shape import stack
from .tensor import Tensor

__all__ = ["vmap"]

Dims = Any
"""None, an int, or a tuple, list or dict of such."""

_RANDOMNESS = ("error", "different", "same")
_DRAWN = "vmap: the function draws random numbers; pass randomness='different' or randomness='same'"


def vmap(
    func: Callable[..., Any],
    in_dims: Dims = 0,
    out_dims: Dims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that applies ``func`` to every sample of its arguments.

    Parameters
    ----------
    func : callable
        Takes and returns tensors, and tuples, lists and dicts of such.
    in_dims : int, None or nested
        Along which axis of the arguments the samples lie; None for an argument that is the same for all of them. One
        number for all arguments, or a tuple with an entry for each, which is a number or of the argument's structure.
    out_dims : int or nested
        Where the samples are to lie in the results.
    randomness : {"error", "different", "same"}
        What random numbers are to each sample: an error, its own, or those of all samples.
    chunk_size : int, optional
        How many samples may be in memory at once. They are computed one after the other, which serves every number.

    Returns
    -------
    callable
        Takes what ``func`` takes, with the axis of samples. Keyword arguments have it in front.

    Raises
    ------
    ValueError
        If there are no samples, the arguments differ in their number, or an option is invalid.
    RuntimeError
        If ``func`` draws random numbers and ``randomness`` is ``"error"``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x, y = tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([10.0, 1.0])
    >>> tg.func.vmap(tg.vecdot, in_dims=(0, None))(x, y)
    tensor([12., 34.])

    Gradients per sample:

    >>> loss = lambda w, x: (w * x).sum() ** 2
    >>> tg.func.vmap(tg.func.grad(loss), in_dims=(None, 0))(tg.ones(2), x)
    tensor([[ 6., 12.],
            [42., 56.]])
    """
    if randomness not in _RANDOMNESS:
        raise ValueError(f'vmap: randomness must be "error", "different" or "same", got {randomness!r}')
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"vmap: chunk_size must be at least 1, got {chunk_size}")

    @wraps(func)
    def mapped(*args: Any, **options: Any) -> Any:
        if isinstance(in_dims, (tuple, list)) and len(in_dims) != len(args):
            raise ValueError(f"vmap: in_dims has {len(in_dims)} entries for {len(args)} arguments")
        dims = tuple(in_dims) if isinstance(in_dims, (tuple, list)) else (in_dims,) * len(args)
        pairs = [*_paired("in_dims", args, dims), *_paired("in_dims", options, 0)]
        sizes = {_count(x, dim): x.shape for x, dim in pairs if dim is not None}
        if not sizes:
            raise ValueError("vmap: no argument has an axis of samples: in_dims are all None")
        if len(sizes) > 1:
            raise ValueError(f"vmap: the arguments differ in their number of samples: shapes {list(sizes.values())}")
        (count,) = sizes
        if not count:
            raise ValueError(f"vmap: there are no samples, shape {next(iter(sizes.values()))}")
        draws: Draws = NoDraws(_DRAWN) if randomness == "error" else Draws()
        results = []
        for i in range(count):
            repeated = randomness == "same" and i > 0
            with nullcontext() if randomness == "different" else draws.repeated() if repeated else draws.remembered():
                results.append(func(*_sample(args, dims, i), **_sample(options, 0, i)))
        return _stacked(results, out_dims)

    return mapped


def _count(x: Any, dim: Any) -> int:
    """The number of samples along an axis, which is checked."""
    if not isinstance(x, Tensor):
        raise ValueError(f"vmap: in_dims {dim} is for a tensor, got {type(x).__name__}; give None for it")
    if not isinstance(dim, int) or not -x.ndim <= dim < x.ndim:
        raise ValueError(f"vmap: in_dims {dim!r} is not an axis of a tensor of shape {x.shape}")
    return x.shape[dim]


def _parts(tree: Any) -> list[Any] | None:
    """What a tuple, list or dict holds; None of a leaf."""
    return list(tree.values()) if isinstance(tree, dict) else list(tree) if isinstance(tree, (tuple, list)) else None


def _matching(name: str, tree: Any, dims: Dims) -> list[Any]:
    """The dims of the parts of a tree: one for all, or a structure as that of the tree."""
    count = len(_parts(tree) or ())
    if dims is None or isinstance(dims, int):
        return [dims] * count
    if isinstance(tree, dict) and isinstance(dims, dict) and dims.keys() == tree.keys():
        return [dims[key] for key in tree]
    if not isinstance(tree, dict) and isinstance(dims, (tuple, list)) and len(dims) == count:
        return list(dims)
    raise ValueError(f"vmap: {name} {dims!r} do not have the structure of {tree!r:.80}")


def _paired(name: str, tree: Any, dims: Dims) -> Iterator[tuple[Any, Any]]:
    """The leaves of a tree with their dims."""
    parts = _parts(tree)
    if parts is None:
        yield tree, dims
        return
    for part, dim in zip(parts, _matching(name, tree, dims), strict=True):
        yield from _paired(name, part, dim)


def _rebuilt(tree: Any, parts: list[Any]) -> Any:
    """A tuple, list or dict with other contents."""
    if isinstance(tree, dict):
        return dict(zip(tree, parts, strict=True))
    return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)


def _sample(tree: Any, dims: Dims, i: int) -> Any:
    """One sample of a tree: views."""
    parts = _parts(tree)
    if parts is not None:
        pairs = zip(parts, _matching("in_dims", tree, dims), strict=True)
        return _rebuilt(tree, [_sample(part, dim, i) for part, dim in pairs])
    if dims is None:
        return tree
    return getitem(tree, (*(slice(None),) * (dims % tree.ndim), i))


def _stacked(results: list[Any], dims: Dims) -> Any:
    """The results of all samples, leaf by leaf as one tensor."""
    first = results[0]
    parts = _parts(first)
    if parts is not None:
        columns = zip(*(_parts(result) or () for result in results), strict=True)
        dims_of = _matching("out_dims", first, dims)
        return _rebuilt(first, [_stacked(list(c), dim) for c, dim in zip(columns, dims_of, strict=True)])
    if not all(isinstance(y, Tensor) for y in results):
        raise ValueError(f"vmap: the function must return tensors, got {type(first).__name__}")
    if len({(y.shape, y.dtype) for y in results}) > 1:
        raise ValueError(
            f"vmap: the results of the samples differ in shape or dtype: {sorted({y.shape for y in results})}"
        )
    if not isinstance(dims, int):
        raise ValueError(f"vmap: out_dims must say where the samples of every result lie, got {dims!r} for a tensor")
    if not -first.ndim - 1 <= dims <= first.ndim:
        raise ValueError(f"vmap: out_dims {dims} is not an axis of results of shape {first.shape} for each sample")
    return stack(results, axis=dims)
