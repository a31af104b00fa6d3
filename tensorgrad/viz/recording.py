"""Keeping what a computation passes through, which the tape itself does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import births
from .. import kernels as K
from ..nn import calls
from ..tape import Branch, Leaf, Node

__all__ = ["Recording", "record"]


class Recording:
    """The values of all tensors that ops made, by their nodes on the tape; made by `record`.

    Attributes
    ----------
    values : dict
        Array of each node.
    constants : dict
        Of a node that one elementwise kernel made: for each operand the Python number, or None for an array.
    calls : dict
        Of a node that was made within a call of a module: the innermost such call.
    """

    def __init__(self) -> None:
        self.values: dict[Node, Any] = {}
        self.constants: dict[Node, tuple[Any, ...]] = {}
        self.calls: dict[Node, calls.Call] = {}
        self._thread = threading.get_ident()
        self._launched: tuple[Any, tuple[Any, ...]] | None = None  # the last result and what it was made from

    def _on_launch(
        self, kernel: K.Kernel, args: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]
    ) -> Any:
        result = run()
        if threading.get_ident() == self._thread and kernel.elementwise:
            self._launched = result, args
        return result

    def _on_tensor(self, data: Any, node: Node) -> None:
        if threading.get_ident() != self._thread:
            return
        self.values[node] = data
        call = calls.current.get()
        if call is not None and not isinstance(node, Leaf):
            self.calls[node] = call
            if isinstance(node, Branch) and node.parents[0] is not None:
                self.calls[node.parents[0]] = call
        if self._launched is not None and self._launched[0] is data:
            self.constants[node] = tuple(a if isinstance(a, (int, float)) else None for a in self._launched[1])


@contextmanager
def record() -> Iterator[Recording]:
    """Keep the values of the tensors that this thread computes in the block, to be shown by `graph`.

    Only tensors that take part in gradients are kept, as long as the recording lives. Without such a block nothing is
    kept and nothing costs time.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> with tg.viz.record() as recording:
    ...     y = tg.exp(x * 0)
    >>> [float(value) for value in recording.values.values()]
    [0.0, 1.0]
    """
    recording = Recording()
    hook = recording._on_launch  # held on to: each access makes another bound method
    K.add_hook(hook)
    try:
        with births.watched(recording._on_tensor), calls.watched(lambda call, result: None):
            yield recording
    finally:
        K.remove_hook(hook)
