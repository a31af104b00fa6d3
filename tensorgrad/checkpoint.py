"""Activation checkpointing: forget what a part of a computation would save for its gradient, and compute it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from contextvars import Context, copy_context
from functools import lru_cache
from typing import Any

from .engine import gradients_of
from .function import lost
from .generator import Draws
from .tape import Branch, Leaf, Node, Op, View, clock, enable_grad, grad_mode
from .tensor import Tensor

__all__ = ["checkpoint"]


def checkpoint(function: Callable[..., Any], *args: Any, preserve_rng_state: bool = True, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)`` without keeping what its gradient needs: `backward` calls the function again.

    Memory for time: of the function's intermediate results nothing stays but the arguments, and the backward takes one
    more forward.

    Parameters
    ----------
    function : callable
        Computes from its arguments, and from tensors that it finds elsewhere (parameters), the same when called again.
    *args, **kwargs
        Its arguments. Gradients flow to tensors among them, in nested tuples, lists and dicts too.
    preserve_rng_state : bool
        Let the second call have the random numbers of the first, so that dropout drops the same. The streams are where
        they were afterwards. Without it the second call draws new numbers.

    Returns
    -------
    object
        What the function returns: a tensor, or tensors in nested tuples, lists and dicts.

    Raises
    ------
    RuntimeError
        If the function writes into an argument, which it would then do twice; and in the backward, if an argument or a
        parameter was overwritten in between, or the second call gives results of other shapes.

    Notes
    -----
    The second call runs in the context of the first: under the same `tg.amp.autocast`. What the function does beside
    computing happens twice: batch norm moves its statistics in both calls.

    Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.Tanh(), tg.nn.Dropout(0.5))
    >>> x = tg.ones(2, 3, requires_grad=True)
    >>> y = tg.autograd.checkpoint(layer, x)
    >>> y.sum().backward()
    >>> x.grad.shape
    (2, 3)
    """
    if not grad_mode.get():
        return function(*args, **kwargs)
    call = _Call(function, args, kwargs, preserve_rng_state)
    given = list(_tensors((args, kwargs)))
    versions = [x._version for x in given]
    start = next(clock)
    results = call.first()
    for x, version in zip(given, versions, strict=True):
        if x._version != version:
            raise RuntimeError(
                f"checkpoint: the function writes into its argument of shape {x.shape} in place, and would do so again "
                "in the backward; let it compute a new tensor"
            )
    outputs = [y for y in _tensors(results) if _is_inside(y, start)]
    if not outputs:
        return results
    call.specs = tuple((y.shape, y.dtype) for y in outputs)
    call.boundary, parameters = _boundary([y._node for y in outputs if y._node is not None], start)
    saved = (call, *given, *(p for p in parameters if not any(p is x for x in given)))
    shape = call.specs[0][0] if len(outputs) == 1 else call.specs
    node = Node(_op(len(outputs), len(saved)), tuple(call.boundary), saved, shape)
    places = iter(range(len(outputs)))

    first: dict[Any, Tensor] = {}  # of the results on a memory

    def attached(y: Tensor) -> Tensor:
        if not _is_inside(y, start):
            return y
        place = next(places)
        made = Tensor(y._data, node if len(outputs) == 1 else Branch(node, place, *call.specs[place]))
        if y._storage is None:
            return made
        if y._storage in first:
            made._become_view(View(first[y._storage], lost, None, (y.shape,)))
        else:
            first[y._storage] = made
            if y._storage.shared:
                made._share_memory_of(y)
        return made

    return _mapped(results, attached)


class _Call:
    """A call that can be made again.

    Attributes
    ----------
    boundary : list of Node
        What the results depend on that was there before the call.
    specs : tuple of (shape, dtype)
        Of the results that have a gradient.
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], same_numbers: bool
    ) -> None:
        self._function = function
        self._args = args
        self._kwargs = kwargs
        self._context: Context = copy_context()
        self._draws = Draws() if same_numbers else None
        self.boundary: list[Node] = []
        self.specs: tuple[Any, ...] = ()

    def first(self) -> Any:
        """Call the function; its random numbers are remembered."""
        with nullcontext() if self._draws is None else self._draws.remembered():
            return self._function(*self._args, **self._kwargs)

    def again(self) -> list[Tensor]:
        """The results that have a gradient, computed once more with their graph."""
        start = next(clock)
        results = self._context.copy().run(self._repeated)
        outputs = [y for y in _tensors(results) if _is_inside(y, start)]
        specs = tuple((y.shape, y.dtype) for y in outputs)
        if specs != self.specs:
            raise RuntimeError(
                f"checkpoint: called again, the function gave results {list(map(str, specs))} instead of "
                f"{list(map(str, self.specs))}; it must compute the same each time"
            )
        return outputs

    def _repeated(self) -> Any:
        with enable_grad(), nullcontext() if self._draws is None else self._draws.repeated():
            return self._function(*self._args, **self._kwargs)


@lru_cache
def _op(outputs: int, count: int) -> Op:
    """The op of a checkpointed call with so many results, which saves so many values."""
    op = Op("checkpoint", (_rule,), ("out", "call"), ("call",), joint=True, outputs=outputs)
    op.codes = (op.codes[0] * count,)  # the call itself, and tensors that must not be overwritten
    op.shares_gradients = True
    return op


def _rule(g: Any, needs: tuple[bool, ...], call: _Call, *watched: Tensor) -> tuple[Any, ...]:
    incoming = g if isinstance(g, tuple) else (g,)
    nodes = [y._node for y in call.again()]
    start = [(node, part) for node, part in zip(nodes, incoming, strict=True) if node is not None and part is not None]
    return tuple(gradients_of(start, call.boundary, create_graph=grad_mode.get()))


def _is_inside(y: Tensor, start: int) -> bool:
    """Whether a tensor was made by an op, on the tape, since ``start``, and is no part of one from before."""
    if y._node is None or isinstance(y._node, Leaf) or y._node.time <= start:
        return False
    root = y
    while root._view is not None:
        root = root._view.base
    return root is y or (root._node is not None and not isinstance(root._node, Leaf) and root._node.time > start)


def _boundary(nodes: list[Node], start: int) -> tuple[list[Node], list[Tensor]]:
    """The nodes from before ``start`` that lead to the given ones, and the tensors of those that are leaves."""
    boundary: list[Node] = []
    seen: set[Node] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        if node.time > start and not isinstance(node, Leaf):
            stack.extend(p for p in node.parents if p is not None)
        elif node.time <= start:
            boundary.append(node)
    leaves = [node.tensor() for node in boundary if isinstance(node, Leaf)]
    return boundary, [x for x in leaves if x is not None]


def _tensors(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)


def _mapped(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """The same nesting with ``function`` applied to the tensors."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, (tuple, list)):
        items = [_mapped(item, function) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: _mapped(item, function) for key, item in value.items()}
    return value
