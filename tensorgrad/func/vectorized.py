"""`vmap`: a function of one sample as a function of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

from ..generator import Draws, NoDraws
from ..kernels.batched.array import ACTIVE, Level, settle
from ..ops.batching import enter, is_batched, leave
from ..ops.shape import concat, moveaxis
from ..tape import clock
from ..tensor import Tensor
from .tree import leaves, rebuilt

__all__ = ["vmap"]

Dims = Any
"""An axis, None, or a structure of those."""

_DRAWN = "vmap: {} draws random numbers; pass randomness='different' or randomness='same'"


def vmap(
    func: Callable[..., Any],
    in_dims: Dims = 0,
    out_dims: Dims = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that applies ``func`` to every sample of a batch at once.

    ``func`` is called once, with tensors that look like one sample; what it computes, it computes for all of them.

    Parameters
    ----------
    func : callable
        Takes tensors, or tuples, lists and dicts of them, and returns such.
    in_dims : int, None or nested structure of those
        Which axis of each positional argument counts the samples; None for an argument that all samples share. One
        number holds for all, otherwise a tuple with an entry per argument. Keyword arguments are shared.
    out_dims : int, None or nested structure of those
        Where each result gets the axis of the samples. None for a result that does not depend on the sample.
    randomness : "error", "different" or "same"
        Whether random numbers may be drawn inside, and whether every sample gets its own.
    chunk_size : int, optional
        How many samples to compute at a time, to save memory. By default all.

    Returns
    -------
    callable
        Takes what ``func`` takes, with an axis more; returns what it returns, with an axis more.

    Raises
    ------
    ValueError
        If the dims do not fit the arguments or results, or the numbers of samples differ.
    RuntimeError
        When called: if ``func`` asks for the value of a tensor that differs from sample to sample (``.item()``, an
        ``if``, a result whose shape depends on values), or writes such values into a tensor that they share.

    Notes
    -----
    It composes with itself and with all of `tg.func`, and gradients flow through it. Where an operation has no rule for
    batches, it runs for one sample after the other; the result is the same.

    Examples
    --------
    Gradients of a loss for every sample:

    >>> import tensorgrad as tg
    >>> loss = lambda w, x, y: ((w * x).sum() - y) ** 2
    >>> w, x, y = tg.ones(2), tg.tensor([[1.0, 0.0], [1.0, 2.0]]), tg.tensor([0.0, 1.0])
    >>> tg.func.vmap(tg.func.grad(loss), in_dims=(None, 0, 0))(w, x, y)
    tensor([[2., 0.],
            [4., 8.]])
    """
    if randomness not in ("error", "different", "same"):
        raise ValueError(f"vmap: randomness must be 'error', 'different' or 'same', got {randomness!r}")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"vmap: chunk_size must be None or at least 1, got {chunk_size}")
    name = getattr(func, "__name__", None) or type(func).__name__

    def mapped(*args: Any, **kwargs: Any) -> Any:
        dims, size = _samples(name, args, in_dims)
        if chunk_size is None or size <= chunk_size:
            return _at_once(func, name, args, dims, size, out_dims, randomness, kwargs)
        return _by_chunks(func, name, args, dims, size, out_dims, randomness, kwargs, chunk_size)

    return wraps(func)(mapped) if hasattr(func, "__name__") else mapped


def _samples(name: str, args: tuple[Any, ...], in_dims: Dims) -> tuple[list[int | None], int]:
    """The axis of the samples of everything in the arguments, and their number."""
    if not args:
        raise ValueError(f"vmap: {name} was called without positional arguments; there is nothing to map over")
    if isinstance(in_dims, (tuple, list)):
        if len(in_dims) != len(args):
            raise ValueError(f"vmap: in_dims has {len(in_dims)} entries, {name} was called with {len(args)} arguments")
        given = tuple(in_dims)
    elif in_dims is None or _is_dim(in_dims):
        given = (in_dims,) * len(args)
    else:
        raise ValueError(f"vmap: in_dims must be an int or a tuple with an entry per argument, got {in_dims!r}")
    dims: list[int | None] = []
    sizes: dict[int, str] = {}
    for i, (arg, dim) in enumerate(zip(args, given, strict=True)):
        for x, axis in zip(leaves(arg), _spread_dims(f"in_dims of argument {i}", dim, arg), strict=True):
            if axis is None:
                dims.append(None)
                continue
            if not isinstance(x, Tensor):
                raise ValueError(
                    f"vmap: argument {i} of {name} holds a {type(x).__name__}, which cannot be mapped over; "
                    "give it None in in_dims"
                )
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(
                    f"vmap: in_dims asks for axis {axis} of argument {i} of {name}, a tensor of shape {x.shape}"
                )
            dims.append(axis % x.ndim)
            sizes.setdefault(x.shape[axis], f"argument {i} of shape {x.shape} has {x.shape[axis]} along axis {axis}")
    if not sizes:
        raise ValueError(f"vmap: in_dims={in_dims} maps over no tensor of the arguments of {name}")
    if len(sizes) > 1:
        raise ValueError(f"vmap: the numbers of samples differ: {'; '.join(sizes.values())}")
    return dims, next(iter(sizes))


def _is_dim(dim: Any) -> bool:
    return isinstance(dim, int) and not isinstance(dim, bool)


def _spread_dims(what: str, dims: Dims, tree: Any) -> Iterator[int | None]:
    """One entry of ``dims`` for everything in ``tree``; one of a part of the structure holds for all of that."""
    if dims is None or _is_dim(dims):
        for _ in leaves(tree):
            yield dims
    elif isinstance(dims, dict) and isinstance(tree, dict) and dims.keys() == tree.keys():
        for key, part in tree.items():
            yield from _spread_dims(what, dims[key], part)
    elif isinstance(dims, (tuple, list)) and isinstance(tree, (tuple, list)) and len(dims) == len(tree):
        for dim, part in zip(dims, tree, strict=True):
            yield from _spread_dims(what, dim, part)
    else:
        raise ValueError(f"vmap: {what}, {dims!r}, does not have the structure of what it belongs to, {tree!r:.80}")


def _at_once(
    func: Callable[..., Any],
    name: str,
    args: tuple[Any, ...],
    dims: Sequence[int | None],
    size: int,
    out_dims: Dims,
    randomness: str,
    kwargs: dict[str, Any],
) -> Any:
    """Call the function once, for all samples."""
    token = ACTIVE.set((*ACTIVE.get(), Level(size, next(clock), name, randomness)))
    try:
        return _inside(func, name, args, dims, out_dims, kwargs)
    finally:
        ACTIVE.reset(token)
        del token  # it knows the level
        settle()


def _inside(
    func: Callable[..., Any],
    name: str,
    args: tuple[Any, ...],
    dims: Sequence[int | None],
    out_dims: Dims,
    kwargs: dict[str, Any],
) -> Any:
    level = ACTIVE.get()[-1]
    samples = [
        x if dim is None else enter(moveaxis(x, dim, 0) if dim else x, level)
        for x, dim in zip(leaves(args), dims, strict=True)
    ]
    draws = NoDraws(_DRAWN.format(name)).remembered() if level.randomness == "error" else nullcontext()
    with draws:
        result = func(*rebuilt(args, iter(samples)), **kwargs)
    placed = _out_dims(name, out_dims, result)
    outside = [_left(name, y, dim, level) for y, dim in zip(leaves(result), placed, strict=True)]
    return rebuilt(result, iter(outside))


def _out_dims(name: str, out_dims: Dims, result: Any) -> list[int | None]:
    for y in leaves(result):
        if not isinstance(y, Tensor):
            raise ValueError(f"vmap: {name} must return tensors, got {type(y).__name__}")
    if isinstance(out_dims, tuple) and len(out_dims) == 1 and isinstance(result, Tensor):
        out_dims = out_dims[0]
    return list(_spread_dims(f"out_dims of {name}", out_dims, result))


def _left(name: str, y: Tensor, dim: int | None, level: Level) -> Tensor:
    """A result outside of the batch."""
    if dim is None:
        if is_batched(y, level):
            raise ValueError(f"vmap: out_dims is None for a result of {name} that differs from sample to sample")
        return y
    if not -y.ndim - 1 <= dim <= y.ndim:
        raise ValueError(f"vmap: out_dims puts the samples at axis {dim}, but {name} returned shape {y.shape}")
    made: Tensor = leave(y, level)
    return moveaxis(made, 0, dim) if dim else made


def _by_chunks(
    func: Callable[..., Any],
    name: str,
    args: tuple[Any, ...],
    dims: Sequence[int | None],
    size: int,
    out_dims: Dims,
    randomness: str,
    kwargs: dict[str, Any],
    chunk_size: int,
) -> Any:
    """The samples in groups, and the results joined."""
    draws = Draws()
    parts = []
    for start in range(0, size, chunk_size):
        stop = min(start + chunk_size, size)
        chunk = [
            x if dim is None else x[(slice(None),) * dim + (slice(start, stop),)]
            for x, dim in zip(leaves(args), dims, strict=True)
        ]
        given = rebuilt(args, iter(chunk))
        if randomness != "same":
            drawing: AbstractContextManager[Any] = nullcontext()
        else:
            drawing = draws.repeated() if start else draws.remembered()
        with drawing:
            parts.append(_at_once(func, name, given, dims, stop - start, out_dims, randomness, kwargs))
    placed = _out_dims(name, out_dims, parts[0])
    groups = zip(*(list(leaves(part)) for part in parts), strict=True)
    joined = [ys[0] if dim is None else concat(ys, axis=dim) for ys, dim in zip(groups, placed, strict=True)]
    return rebuilt(parts[0], iter(joined))
