"""What happens to the values that ops save for their gradients: hooks that pack them away and fetch them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from . import tape
from .backend import is_array
from .tape import Node, on_arrays, saved_hooks
from .tensor import Tensor

__all__ = ["disable_saved_tensors_hooks", "save_on_cpu", "saved_tensors_hooks"]

Pack = Callable[[Tensor], Any]
Unpack = Callable[[Any], Tensor]


class saved_tensors_hooks:  # noqa: N801 - PyTorch's name
    """Pass every tensor that an op of this block saves for its gradient through ``pack``, and back at its use.

    Parameters
    ----------
    pack_hook : callable
        Takes the tensor and returns anything, which is kept in its place. It must not write into the tensor.
    unpack_hook : callable
        Takes that and returns a tensor of the same values, shape, dtype and device.

    Raises
    ------
    TypeError, ValueError
        In the backward, if ``unpack_hook`` returns something else.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tg.autograd.graph.saved_tensors_hooks(lambda x: x.numpy() * 1, lambda a: tg.tensor(a)):
    ...     y = (x * x).sum()
    >>> y.backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, pack_hook: Pack, unpack_hook: Unpack) -> None:
        self._hooks = pack_hook, unpack_hook
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        if isinstance(saved_hooks.get(), str):
            raise RuntimeError(f"saved_tensors_hooks: they are disabled: {saved_hooks.get()}")
        self._tokens.append(saved_hooks.set(self._hooks))
        tape.pack_node = pack_node

    def __exit__(self, *_: object) -> None:
        saved_hooks.reset(self._tokens.pop())


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """Keep what ops of this block save in host memory, and bring it back to its device in the backward.

    Parameters
    ----------
    pin_memory : bool
        Into page-locked memory, from which the GPU reads faster.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        if device_type not in ("cuda", "cpu"):
            raise ValueError(f"save_on_cpu: device_type must be 'cuda' or 'cpu', got {device_type!r}")

        def pack(x: Tensor) -> tuple[Any, Tensor]:
            host = x.to("cpu", copy=True)
            return x.device, host.pin_memory() if pin_memory else host

        def unpack(packed: tuple[Any, Tensor]) -> Tensor:
            device, host = packed
            return host.to(device)

        super().__init__(pack, unpack)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Let `saved_tensors_hooks` in this block raise RuntimeError with a message."""
    token = saved_hooks.set(error_message)
    try:
        yield
    finally:
        saved_hooks.reset(token)


class Packed:
    """A saved tensor that a hook put away.

    Attributes
    ----------
    node : Node or None
        Its place on the tape.
    is_tensor : bool
        Whether it was saved as a tensor, or as an array.
    """

    __slots__ = ("_kept", "_spec", "_unpack", "is_tensor", "node")

    def __init__(self, value: Any, node: Node | None, pack: Pack, unpack: Unpack) -> None:
        self.is_tensor = isinstance(value, Tensor)
        self.node = node
        plain = Tensor(value._data if isinstance(value, Tensor) else value)
        self._spec = plain.shape, plain.dtype, plain.device
        self._unpack = unpack
        token = saved_hooks.set(None)
        arrays = on_arrays.set(False)
        try:
            with tape.no_grad():
                self._kept = pack(plain)
        finally:
            on_arrays.reset(arrays)
            saved_hooks.reset(token)

    def value(self) -> Any:
        """The tensor or array again."""
        token = saved_hooks.set(None)
        arrays = on_arrays.set(False)
        try:
            with tape.no_grad():
                x = self._unpack(self._kept)
        finally:
            on_arrays.reset(arrays)
            saved_hooks.reset(token)
        if not isinstance(x, Tensor):
            raise TypeError(f"saved_tensors_hooks: unpack_hook must return a tensor, got {type(x).__name__}")
        if (x.shape, x.dtype, x.device) != self._spec:
            raise ValueError(
                f"saved_tensors_hooks: unpack_hook returned shape {x.shape}, dtype {x.dtype} on {x.device} for a "
                f"tensor of shape {self._spec[0]}, dtype {self._spec[1]} on {self._spec[2]}"
            )
        return Tensor(x._data, self.node) if self.is_tensor else x._data


def pack_node(node: Node) -> None:
    """Let the hooks of this thread have what a new node saved."""
    hooks = saved_hooks.get()
    if isinstance(hooks, tuple) and node.saved and node.op is not None:
        pack, unpack = hooks

        def packed(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(
                [
                    Packed(v, v._node if isinstance(v, Tensor) else None, pack, unpack)
                    if isinstance(v, Tensor) or is_array(v)
                    else v
                    for v in values
                ]
            )

        node.saved = PackedValues(packed(node.saved) if node.op.joint else [packed(part) for part in node.saved])


class PackedValues(tuple):  # type: ignore[type-arg]
    """What a node saved, with `Packed` in it."""

    def values(self, joint: bool) -> tuple[Any, ...]:
        """As it was saved."""

        def unpacked(part: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple([v.value() if isinstance(v, Packed) else v for v in part])

        return unpacked(self) if joint else tuple([unpacked(part) for part in self])
