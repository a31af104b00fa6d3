"""Structures of tuples, lists and dicts that hold tensors: arguments and results of functions to differentiate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..tensor import Tensor

__all__ = ["all_of", "leaves", "like", "rebuilt"]


def leaves(tree: Any) -> Iterator[Any]:
    """What a structure of tuples, lists and dicts holds, from left to right."""
    if isinstance(tree, (tuple, list, dict)):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from leaves(part)
    else:
        yield tree


def rebuilt(tree: Any, supply: Iterator[Any]) -> Any:
    """The same structure with other contents."""
    if isinstance(tree, dict):
        return {key: rebuilt(part, supply) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [rebuilt(part, supply) for part in tree]
        if isinstance(tree, list):
            return parts
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return next(supply)


def all_of(name: str, primals: Any) -> tuple[int, ...]:
    """The places of all primals."""
    if not isinstance(primals, tuple) or not primals:
        raise TypeError(f"{name}: the primals must be a tuple of at least one, got {type(primals).__name__}")
    return tuple(range(len(primals)))


def matched(name: str, what: str, tree: Any, like: Any) -> Iterator[tuple[Any, Any]]:
    """The contents of ``tree`` with those of ``like``, whose structure it must have, in the order of ``like``."""
    if isinstance(like, dict):
        fits = isinstance(tree, dict) and tree.keys() == like.keys()
        parts = [(tree[key], part) for key, part in like.items()] if fits else []
    elif isinstance(like, (tuple, list)):
        fits = isinstance(tree, (tuple, list)) and len(tree) == len(like)
        parts = list(zip(tree, like, strict=True)) if fits else []
    else:
        fits = isinstance(tree, Tensor)
        parts = []
        yield tree, like
    if not fits:
        raise TypeError(
            f"{name}: a {what} has the structure of what it belongs to; for {like!r:.80} there is {tree!r:.80}"
        )
    for pair in parts:
        yield from matched(name, what, *pair)


def like(name: str, what: str, tree: Any, like: Any) -> list[Tensor]:
    """The tensors of a cotangent or tangent, checked against what they belong to."""
    pairs = list(matched(name, what, tree, like))
    for i, (t, x) in enumerate(pairs):
        if isinstance(x, Tensor) and (t.shape, t.dtype, t.device) != (x.shape, x.dtype, x.device):
            raise ValueError(
                f"{name}: {what} {i} has shape {t.shape}, dtype {t.dtype} and is on {t.device}, it belongs to a tensor "
                f"of shape {x.shape}, dtype {x.dtype} on {x.device}"
            )
    return [t for t, _ in pairs]
