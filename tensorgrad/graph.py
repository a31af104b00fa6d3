"""The graph that a backward goes through: edges, hooks of several gradients, hooks of saved values.

This is `tg.autograd.graph`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from . import tape
from .saved import disable_saved_tensors_hooks, save_on_cpu, saved_tensors_hooks
from .tape import Branch, Node
from .tensor import HookHandle, Tensor

__all__ = [
    "GradientEdge", "HookHandles", "Node", "disable_saved_tensors_hooks", "get_gradient_edge", "increment_version",
    "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """A place in the graph, which keeps no tensor alive; `tg.autograd.grad` takes it for an input or an output.

    Attributes
    ----------
    node : Node
    output_nr : int
        Which of its op's results it stands for.
    """

    node: Node
    output_nr: int


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The place of a tensor in the graph.

    Raises
    ------
    RuntimeError
        If the tensor does not require a gradient.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> y = x * 2
    >>> edge = tg.autograd.graph.get_gradient_edge(y)
    >>> z = y * y
    >>> del y
    >>> tg.autograd.grad(z, edge)
    (tensor(12.),)
    """
    node = tensor._node
    if node is None:
        raise RuntimeError(f"get_gradient_edge: this tensor (shape {tensor.shape}) does not require a gradient")
    return GradientEdge(node, node.index if isinstance(node, Branch) else 0)


class HookHandles:
    """Removes the hooks of several tensors: by `remove`, or at the end of a ``with`` block."""

    def __init__(self, handles: Sequence[HookHandle]) -> None:
        self._handles = tuple(handles)

    def remove(self) -> None:
        """Remove the hooks; nothing if they are gone."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> HookHandles:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[[Any], None], *, mode: str = "all") -> HookHandles:
    """Call ``fn`` with the gradients of several tensors, once in every backward that reaches one of them.

    Parameters
    ----------
    tensors : sequence of Tensor
        All of them require a gradient; with ``mode="any"``, others are passed over.
    fn : callable
        With ``mode="all"``, it is called at the end of the backward with a list of the gradients, None for a tensor
        that the backward did not reach; with ``mode="any"``, with the first gradient, when that is complete.
    mode : "all" or "any"

    Returns
    -------
    HookHandles
        Its ``remove()`` removes the hook.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x, w = tg.ones(2, requires_grad=True), tg.ones(3, requires_grad=True)
    >>> handle = tg.autograd.graph.register_multi_grad_hook((x, w), print)
    >>> (x * 2).sum().backward()
    [tensor([2., 2.]), None]
    """
    if mode not in ("all", "any"):
        raise ValueError(f"register_multi_grad_hook: mode must be 'all' or 'any', got {mode!r}")
    listed = list(tensors)
    if mode == "any":
        listed = [x for x in listed if x.requires_grad]
    gathering = _Gathering(fn, len(listed), mode == "any")
    tape.hooks_gather = True
    return HookHandles([x.register_hook(gathering.hook(i)) for i, x in enumerate(listed)])


class _Gathering:
    """Gradients of one backward that one hook waits for."""

    def __init__(self, fn: Callable[[Any], None], count: int, first_only: bool) -> None:
        self._fn = fn
        self._count = count
        self._first_only = first_only

    def hook(self, place: int) -> Callable[[Tensor], None]:
        """The hook of one of the tensors."""

        def keep(grad: Tensor) -> None:
            walk = tape.walk.get()
            assert walk is not None
            begun = self in walk
            grads = walk.setdefault(self, [None] * self._count)
            grads[place] = grad
            if self._first_only and not begun:
                self._fn(grad)

        return keep

    def finish(self, grads: list[Tensor | None]) -> None:
        """The backward is over."""
        if not self._first_only:
            self._fn(grads)


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Count tensors as written in place: a backward that would need their values from before raises."""
    for x in [tensor] if isinstance(tensor, Tensor) else tensor:
        x._written()
