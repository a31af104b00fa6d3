"""Arrays that stand for one sample of a batch, and the calls of `vmap` that they belong to."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, NoReturn
from weakref import WeakSet

import numpy as np

__all__ = [
    "ACTIVE",
    "ALLOCATING",
    "LEVELS",
    "BatchedArray",
    "Level",
    "NeedsSamplesError",
    "allocated",
    "batched_in",
    "data_at",
    "empty_like",
    "innermost",
    "levels_of",
    "settle",
    "spread",
    "stands_by",
    "summed_at",
    "unwrapped_at",
    "whole",
    "wrapped_at",
]


class Level:
    """One call of `vmap`.

    Attributes
    ----------
    size : int
        Number of samples.
    start : int
        When it began, on the tape's clock: nodes from before do not belong to one sample.
    name : str
        The function, for messages.
    randomness : str
        What draws of random numbers do: ``"error"``, ``"different"`` or ``"same"``.
    """

    __slots__ = ("__weakref__", "name", "randomness", "size", "start")

    def __init__(self, size: int, start: int, name: str, randomness: str) -> None:
        self.size = size
        self.start = start
        self.name = name
        self.randomness = randomness
        with _lock:
            from .. import registry

            if _stand_by not in registry._hooks:
                registry.add_hook(_stand_by)
            LEVELS.add(self)

    def __repr__(self) -> str:
        return f"<vmap of {self.name} over {self.size}>"


LEVELS: WeakSet[Level] = WeakSet()
"""The calls of `vmap` of which anything is left: running ones, and those that a graph still holds values of."""

ACTIVE: ContextVar[tuple[Level, ...]] = ContextVar("vmap_levels", default=())
"""The calls of `vmap` that run in this thread, outermost first."""

ALLOCATING: ContextVar[tuple[Level, ...]] = ContextVar("vmap_allocating", default=())
"""Levels for each sample of which new arrays get memory."""

_lock = threading.RLock()


def _stand_by(kernel: Any, args: Any, params: Any, run: Any) -> Any:
    """A launch hook that keeps launches off the short way, on which nobody looks for batched arrays."""
    if not LEVELS:
        settle()
    return run()


def stands_by() -> bool:
    """Whether the only thing that `vmap` wants of this thread's launches is to see them."""
    from .. import registry

    return _stand_by in registry._hooks and not ACTIVE.get()


def settle() -> None:
    """Let launches go the short way again if no batched array is left."""
    with _lock:
        if not LEVELS:
            from .. import registry

            registry.remove_hook(_stand_by)


class NeedsSamplesError(RuntimeError):
    """Something can only be done for one sample after the other; user code that cannot be gets to see it."""

    def __init__(self, level: Level, message: str) -> None:
        super().__init__(message)
        self.level = level


class _Flags:
    """As much of an array's flags as is asked for."""

    __slots__ = ("c_contiguous", "writeable")

    def __init__(self, data: Any) -> None:
        self.c_contiguous = data.flags.c_contiguous
        self.writeable = getattr(data.flags, "writeable", True)


class BatchedArray:
    """One array per sample, which looks like that of a single sample.

    Attributes
    ----------
    data : array
        The samples along axis 0; itself batched inside of another `vmap`.
    level : Level
    """

    __slots__ = ("__weakref__", "data", "level")
    __array_priority__ = 2000

    def __init__(self, data: Any, level: Level) -> None:
        self.data = data
        self.level = level

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.data.shape[1:]  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        """Type of the elements."""
        return self.data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes of one sample."""
        return self.data.ndim - 1  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Elements of one sample."""
        size = 1
        for n in self.data.shape[1:]:
            size *= n
        return size

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.data.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes of one sample."""
        return self.size * self.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element of a sample to the next, along each axis."""
        return self.data.strides[1:]  # type: ignore[no-any-return]

    @property
    def flags(self) -> _Flags:
        """How the memory lies."""
        return _Flags(self.data)

    @property
    def base(self) -> Any:
        """Never None: the engine must not take this memory for its own."""
        return self.data

    @property
    def device(self) -> Any:
        """Where the samples are, as their backend says it."""
        return self.data.device

    @property
    def T(self) -> BatchedArray:
        """The axes of each sample reversed."""
        return self.transpose(tuple(reversed(range(self.ndim))))

    def get(self) -> NoReturn:
        """Refuse: there is no one value."""
        raise NeedsSamplesError(self.level, self.refusal())

    def refusal(self) -> str:
        """Why there is no one value, for an error."""
        return (
            f"vmap: {self.level.name} asks for the value of a tensor of shape {self.shape} and dtype {self.dtype} (by "
            ".item(), bool(), .numpy(), an if, or a result whose shape depends on values), but there are "
            f"{self.level.size} values, one per sample; use tg.where in place of an if, or do it outside of vmap"
        )

    def reshape(self, *shape: Any) -> BatchedArray:
        """Each sample in another shape."""
        wanted = tuple(shape[0]) if len(shape) == 1 and not hasattr(shape[0], "__index__") else shape
        if -1 in wanted:
            known = 1
            for n in wanted:
                known *= n if n != -1 else 1
            wanted = tuple(self.size // max(known, 1) if n == -1 else n for n in wanted)
        return BatchedArray(self.data.reshape((self.level.size, *wanted)), self.level)

    def ravel(self) -> BatchedArray:
        """Each sample along one axis."""
        return self.reshape((self.size,))

    def transpose(self, *axes: Any) -> BatchedArray:
        """Each sample's axes in another order."""
        order = axes[0] if len(axes) == 1 and not hasattr(axes[0], "__index__") else axes
        if not order or order == (None,):
            order = tuple(reversed(range(self.ndim)))
        return BatchedArray(self.data.transpose((0, *(a % self.ndim + 1 for a in order))), self.level)

    def swapaxes(self, axis1: int, axis2: int) -> BatchedArray:
        """Two axes of each sample exchanged."""
        order = list(range(self.ndim))
        order[axis1], order[axis2] = order[axis2], order[axis1]
        return self.transpose(tuple(order))

    def squeeze(self, axis: Any = None) -> BatchedArray:
        """Each sample without axes of size 1."""
        axes = range(self.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        gone = {a % self.ndim for a in axes if self.shape[a] == 1}
        return self.reshape(tuple(n for i, n in enumerate(self.shape) if i not in gone))

    def astype(self, dtype: Any, copy: bool = True) -> BatchedArray:
        """Each sample in another dtype."""
        from .. import cast

        result: BatchedArray = self if dtype == self.dtype and not copy else cast(self, dtype)
        return result

    def copy(self) -> BatchedArray:
        """The samples in memory of their own."""
        from .. import copy

        result: BatchedArray = copy(self)
        return result

    def view(self, dtype: Any) -> BatchedArray:
        """The same memory read as another dtype."""
        return BatchedArray(self.data.view(dtype), self.level)

    @property
    def real(self) -> BatchedArray:
        """The real part, in the same memory."""
        return BatchedArray(self.data.real, self.level)

    @property
    def imag(self) -> BatchedArray:
        """The imaginary part, in the same memory."""
        return BatchedArray(self.data.imag, self.level)

    def broadcast_to(self, shape: tuple[int, ...]) -> BatchedArray:
        """Each sample repeated to a shape, as a view."""
        padded = self.reshape((1,) * (len(shape) - self.ndim) + self.shape)
        return BatchedArray(whole(padded.data, (self.level.size, *shape)), self.level)

    def __getitem__(self, index: Any) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        if any(hasattr(i, "dtype") or isinstance(i, list) for i in items):
            from .. import getitem

            return getitem(self, items)
        return BatchedArray(self.data[(slice(None), *items)], self.level)

    def __setitem__(self, index: Any, value: Any) -> None:
        from .. import setitem

        setitem(self, index if isinstance(index, tuple) else (index,), value)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    __bool__ = __float__ = __int__ = __index__ = item = tolist = get

    def __array__(self, *_: Any, **__: Any) -> Any:
        self.get()

    def __array_ufunc__(self, *_: Any, **__: Any) -> Any:
        self.get()

    __array_function__ = __array_ufunc__

    def __repr__(self) -> str:
        return f"<{self.level.size} samples of shape {self.shape}, dtype {self.dtype}>"


def _operators() -> None:
    names = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide"}

    def attach(name: str, kernel: str) -> None:
        def method(self: BatchedArray, other: Any) -> Any:
            from .. import INSTRUCTIONS

            return INSTRUCTIONS[kernel](self, other)

        def reflected(self: BatchedArray, other: Any) -> Any:
            from .. import INSTRUCTIONS

            return INSTRUCTIONS[kernel](other, self)

        setattr(BatchedArray, f"__{name}__", method)
        setattr(BatchedArray, f"__r{name}__", reflected)

    for name, kernel in names.items():
        attach(name, kernel)


_operators()


def batched_in(values: Iterable[Any]) -> Iterator[BatchedArray]:
    """The batched arrays among arguments, in nested sequences and dicts too."""
    for value in values:
        if isinstance(value, BatchedArray):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from batched_in(value)
        elif isinstance(value, dict):
            yield from batched_in(value.values())


def innermost(*values: Any) -> Level | None:
    """The deepest level that any of the arguments belongs to."""
    level: Level | None = None
    for array in batched_in(values):
        if level is None or array.level.start > level.start:
            level = array.level
    return level


def levels_of(array: Any) -> tuple[Level, ...]:
    """The levels that an array has samples of, the deepest first."""
    levels: tuple[Level, ...] = ()
    while isinstance(array, BatchedArray):
        levels = (*levels, array.level)
        array = array.data
    return levels


def wrapped_at(array: Any, level: Level) -> Any:
    """The parts along axis 0 of an array as the samples of a level, below deeper ones."""
    if isinstance(array, BatchedArray) and array.level.start > level.start:
        return BatchedArray(wrapped_at(_exchanged(array.data), level), array.level)
    return BatchedArray(array, level)


def unwrapped_at(array: Any, level: Level) -> Any:
    """The samples of a level along axis 0, those of what all share as a view."""
    if isinstance(array, BatchedArray) and array.level.start > level.start:
        return BatchedArray(_exchanged(unwrapped_at(array.data, level)), array.level)
    return spread(array, level)


def summed_at(array: Any, level: Level) -> Any:
    """The sum of the samples of a level, of which the array has some."""
    from .. import sum

    if array.level is level:
        return sum(array.data, 0)
    return BatchedArray(summed_at(array.data, level), array.level)


def _exchanged(array: Any) -> Any:
    """The first two axes exchanged."""
    return array.transpose((1, 0, *range(2, array.ndim)))


def data_at(x: Any, level: Level) -> Any:
    """The samples of a level along axis 0; None for what all samples share."""
    return x.data if isinstance(x, BatchedArray) and x.level is level else None


def whole(array: Any, shape: tuple[int, ...]) -> Any:
    """An array repeated to a shape as a view."""
    if array.shape == shape:
        return array
    if isinstance(array, BatchedArray):
        return array.broadcast_to(shape)
    if isinstance(array, np.ndarray):
        return np.broadcast_to(array, shape)
    from ..cuda.placement import broadcast_beside

    return broadcast_beside(array, shape)


def empty_like(array: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """An array of a shape with arbitrary content, in the dtype and where ``array`` is; never batched."""
    while isinstance(array, BatchedArray):
        array = array.data
    if isinstance(array, np.ndarray):
        return np.empty(shape, dtype or array.dtype)
    from ..cuda.placement import empty_beside

    return empty_beside(array, shape, dtype or array.dtype)


def spread(x: Any, level: Level) -> Any:
    """The samples along axis 0, those of a shared array as a view."""
    data = data_at(x, level)
    return whole(x[None], (level.size, *x.shape)) if data is None else data


def allocated(empty: Any, shape: tuple[int, ...], levels: tuple[Level, ...]) -> Any:
    """A new array for each sample of some levels, by ``empty(shape)``."""
    ordered = sorted(levels, key=lambda level: level.start)
    array = empty((*(level.size for level in ordered), *shape))
    for level in ordered:
        array = BatchedArray(array, level)
    return array
