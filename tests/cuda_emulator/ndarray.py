"""``cupy.ndarray``: an array in device memory.

It holds a NumPy array over the emulated device's memory, and lets nobody see it: values reach the
host through ``get`` and the conversions of one element, which count as copies from the device.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import memory, operators, ordering
from .execution import copy_to_device, copy_to_host, execute, require_no_capture, require_synchronizable
from .memory import MemoryPointer
from .ordering import Region
from .state import thread_state
from .streams import get_current_stream

HostArray = np.ndarray[Any, Any]


class Flags:
    """``ndarray.flags``."""

    def __init__(self, values: HostArray, owndata: bool) -> None:
        self.c_contiguous = values.flags.c_contiguous
        self.f_contiguous = values.flags.f_contiguous
        self.fnc = self.f_contiguous and not self.c_contiguous
        self.forc = self.f_contiguous or self.c_contiguous
        self.owndata = owndata

    def __getitem__(self, name: str) -> bool:
        value: bool = getattr(self, name.lower())
        return value


class ndarray:  # noqa: N801 - CuPy's name
    """An array in device memory; see ``cupy.ndarray``."""

    __array_priority__ = 100
    __slots__ = ("__weakref__", "_values", "base", "data")

    _values: HostArray
    data: MemoryPointer
    base: ndarray | None

    def __init__(
        self,
        shape: Any,
        dtype: Any = float,
        memptr: MemoryPointer | None = None,
        strides: Any = None,
        order: str = "C",
    ) -> None:
        dtype = np.dtype(dtype)
        if dtype.kind not in "biufcV" or dtype.hasobject:
            raise ValueError(f"Unsupported dtype {dtype}")
        shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        size = math.prod(shape) * dtype.itemsize
        below = 0  # bytes before the first element, where a stride is negative
        if strides is not None and size:
            reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
            below = -sum(r for r in reach if r < 0)
            size = sum(map(abs, reach)) + dtype.itemsize
        self.data = memory.alloc(size) if memptr is None else memptr
        self.base = None
        if memptr is not None and not memptr.mem.ptr <= memptr.ptr - below <= memptr.mem.ptr + memptr.mem.size - size:
            raise ValueError("the memory is too small for the array")
        contents = (self.data + -below).bytes(size)
        self._values = np.ndarray(shape, dtype, contents, below, strides, "F" if order == "F" else "C")

    # Construction inside the emulator.

    @staticmethod
    def over(values: HostArray, base: ndarray) -> ndarray:
        """Return a view of `base`'s memory that `values` describes."""
        result = object.__new__(ndarray)
        result._values = values
        offset = values.ctypes.data - base.data.mem.ptr
        result.data = MemoryPointer(base.data.mem, offset) if values.size else base.data
        result.base = base if base.base is None else base.base
        return result

    @staticmethod
    def like(values: HostArray) -> ndarray:
        """Return a new array of the shape, dtype and memory order of `values`, not its content."""
        if values.flags.c_contiguous:
            return ndarray(values.shape, values.dtype)
        layout = np.empty_like(values)
        return ndarray(values.shape, values.dtype, strides=layout.strides)

    @staticmethod
    def upload(values: HostArray, stream: Any = None) -> ndarray:
        """Return a copy of a host array on the current device."""
        result = ndarray.like(values)
        if values.size:
            copy_to_device(result._values, values, result.region(writes=True), stream)
        return result

    def region(self, writes: bool) -> Region:
        """Return the memory of the array as something that work touches."""
        values = self._values
        if values.flags.c_contiguous:
            begin, size = values.ctypes.data, values.nbytes
        else:
            begin, end = np.lib.array_utils.byte_bounds(values)
            size = end - begin
        offset = begin - self.data.block.ptr if values.size else 0
        return Region(self.data.block, offset, offset + size, writes)

    # What an array is.

    shape = property(lambda self: self._values.shape, lambda self, shape: self._reshape(shape))
    dtype = property(lambda self: self._values.dtype)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    nbytes = property(lambda self: self._values.nbytes)
    itemsize = property(lambda self: self._values.itemsize)
    strides = property(lambda self: self._values.strides)
    flags = property(lambda self: Flags(self._values, self.base is None))
    device = property(lambda self: self.data.device)
    T = property(lambda self: self.transpose())

    def _reshape(self, shape: Any) -> None:
        self._values.shape = shape

    @property
    def cstruct(self) -> int:
        """The address of the first element."""
        return self.data.ptr

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[ndarray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    __hash__ = None  # type: ignore[assignment]

    # To and from the host.

    def get(
        self, stream: Any = None, order: str = "C", out: HostArray | None = None, blocking: bool = True
    ) -> HostArray:
        """Copy the array to the host."""
        if out is None:
            if order.upper() == "A":
                order = "F" if self.flags.f_contiguous else "C"
            out = np.empty(self.shape, self.dtype, "F" if order.upper() == "F" else "C")
        elif not isinstance(out, np.ndarray):
            raise TypeError("Only numpy.ndarray can be obtained from cupy.ndarray")
        elif self.dtype != out.dtype:
            raise TypeError(f"{out.dtype} array cannot be obtained from {self.dtype} array")
        elif self.shape != out.shape:
            raise ValueError(f"Shape mismatch. Expected shape: {self.shape}, actual shape: {out.shape}")
        elif not out.flags.forc:
            raise RuntimeError("`out` cannot be specified when copying to non-contiguous ndarray")
        if self.size:
            copy_to_host(out, self._values, self.region(writes=False), stream, blocking)
        return out

    def set(self, arr: HostArray, stream: Any = None) -> None:
        """Copy a host array into this one."""
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if self.dtype != arr.dtype:
            raise TypeError(f"{arr.dtype} array cannot be set to {self.dtype} array")
        if self.shape != arr.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {arr.shape}")
        if not self.flags.forc:
            raise RuntimeError("Cannot set to non-contiguous array")
        copy_to_device(self._values, arr, self.region(writes=True), stream)

    def _scalar(self) -> Any:
        if self.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        return self.get().reshape(())

    def item(self) -> Any:
        """Copy the only element to the host."""
        return self._scalar().item()

    def tolist(self) -> Any:
        """Copy the elements to the host, as a list."""
        return self.get().tolist()

    def tobytes(self, order: str = "C") -> bytes:
        """Copy the elements to the host, as bytes."""
        return self.get().tobytes("F" if order == "F" else "C")

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError("The truth value of an array with more than one element is ambiguous.")
        return bool(self._scalar())

    def __int__(self) -> int:
        return int(self._scalar())

    def __float__(self) -> float:
        return float(self._scalar())

    def __complex__(self) -> complex:
        return complex(self._scalar())

    def __index__(self) -> int:
        return operator.index(self._scalar())

    def __repr__(self) -> str:
        return repr(self.get())

    def __str__(self) -> str:
        return str(self.get())

    def __format__(self, spec: str) -> str:
        return format(self.get(), spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> HostArray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from .functions import namespace

        wrapper = namespace.get(ufunc.__name__)
        if wrapper is None:
            return NotImplemented
        if method == "__call__":
            return wrapper(*inputs, **kwargs)
        return getattr(wrapper, method)(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from .functions import namespace

        wrapper = namespace.get(func.__name__)
        if wrapper is None or not all(issubclass(kind, ndarray) for kind in types):
            return NotImplemented
        return wrapper(*args, **kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        import cupy

        return cupy

    def __reduce__(self) -> tuple[Any, ...]:
        from .functions import namespace

        return namespace["array"], (self.get(order="A"),)

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        with self.device:
            return self.copy()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        if self.dtype.kind == "V":
            raise AttributeError("the CUDA array interface cannot describe this dtype")
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "descr": self.dtype.descr,
            "stream": get_current_stream().ptr or 1,
            "version": 3,
            "strides": None if self.flags.c_contiguous else self.strides,
            "data": (self.data.ptr if self.size else 0, False),
        }

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        from .dlpack import export

        return export(self, stream, max_version, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, self.data.device_id)

    # Items.

    def __getitem__(self, index: Any) -> ndarray:
        from .dispatch import call

        parts = index if isinstance(index, tuple) else (index,)
        masked = any(_is_mask(part) for part in parts)
        if not any(part is Ellipsis for part in parts):
            index = (*parts, ...)  # a single element is a view of zero dimensions, not a scalar
        if all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts) and not masked:
            return ndarray.over(self._values[index], self)  # nothing is launched: any device may be the current one
        result: ndarray = call(operator.getitem, (self, index), label="getitem", synchronizes=masked)
        return result

    def __setitem__(self, index: Any, value: Any) -> None:
        from .dispatch import call_in_place

        if isinstance(value, np.ndarray) and isinstance(index, slice) and index == slice(None):
            if (self.dtype, self.shape) != (value.dtype, value.shape) or not self.flags.forc:
                raise ValueError(
                    "copying a numpy.ndarray to a cupy.ndarray by empty slice assignment must "
                    "ensure arrays have same shape and dtype"
                )
            copy_to_device(self._values, value, self.region(writes=True))
            return
        call_in_place(operator.setitem, self, (index, value), label="setitem")

    # Methods that are not a function of the namespace with the array as first argument.

    def view(self, dtype: Any = None) -> ndarray:
        """Return the same memory as another dtype."""
        values = self._values.view() if dtype is None else self._values.view(dtype)
        return ndarray.over(values, self)

    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: str = "unsafe",
        subok: Any = None,
        copy: bool = True,
    ) -> ndarray:
        """Return the array as another dtype."""
        from .dispatch import call

        if not copy and self.dtype == np.dtype(dtype):
            return self
        result: ndarray = call(lambda x: x.astype(dtype, order=order, casting=casting), (self,), label="astype")
        return result

    def copy(self, order: str = "C") -> ndarray:
        """Return a copy on the current device."""
        if self.data.device_id != thread_state.device:
            return self._copy_from_other_device()
        from .dispatch import call

        result: ndarray = call(lambda x: x.copy(order), (self,), label="copy")
        return result

    def _copy_from_other_device(self) -> ndarray:
        result = ndarray.like(self._values)
        source, target = self._values, result._values
        joins = get_current_stream().queue.null
        devices = self.data.device_id, result.data.device_id
        if joins:
            ordering.join_devices(*devices)
        regions = (result.region(writes=True), self.region(writes=False))
        execute("peer copy", lambda: np.copyto(target, source), regions)
        if joins:
            ordering.join_devices(*devices)
        return result

    def fill(self, value: Any) -> None:
        """Set every element."""
        from .dispatch import call_in_place

        if isinstance(value, ndarray) and value.ndim:
            raise ValueError("fill needs a scalar")
        call_in_place(operator.setitem, self, (..., value), label="fill")

    def reshape(self, *shape: Any, order: str = "C") -> ndarray:
        """Return the elements in another shape."""
        from .dispatch import call

        shape = shape[0] if len(shape) == 1 else shape
        view = self._values.reshape(shape, order=order)
        if np.may_share_memory(view, self._values):  # nothing is launched, so the current device does not matter
            return ndarray.over(view, self)
        result: ndarray = call(lambda x: x.reshape(shape, order=order), (self,), label="reshape")
        return result

    def transpose(self, *axes: Any) -> ndarray:
        """Return a view with the axes in another order."""
        return ndarray.over(self._values.transpose(*axes), self)

    def flatten(self, order: str = "C") -> ndarray:
        """Return a copy in one dimension."""
        return self.copy().reshape(-1, order=order)

    def sort(self, axis: int = -1) -> None:
        """Sort in place."""
        require_no_capture()
        from .dispatch import call_in_place

        call_in_place(lambda x: x.sort(axis), self, (), label="sort")

    def partition(self, kth: int, axis: int = -1) -> None:
        """Partition in place."""
        require_no_capture()
        from .dispatch import call_in_place

        call_in_place(lambda x: x.partition(kth, axis), self, (), label="partition")

    def put(self, indices: Any, values: Any, mode: str = "wrap") -> None:
        """Set elements of the flattened array."""
        from .dispatch import call_in_place

        call_in_place(lambda x, i, v: x.put(i, v, mode), self, (indices, values), label="put")

    def nonzero(self) -> tuple[ndarray, ...]:
        """Return the indices of the elements that are not zero."""
        require_synchronizable("nonzero")
        from .functions import namespace

        result: tuple[ndarray, ...] = namespace["nonzero"](self)
        return result

    def scatter_add(self, slices: Any, value: Any) -> None:
        """Add to elements, which may repeat."""
        from .dispatch import call_in_place

        call_in_place(np.add.at, self, (slices, value), label="scatter_add")

    @property
    def real(self) -> ndarray:
        """The real part, a view."""
        return ndarray.over(self._values.real, self)

    @property
    def imag(self) -> ndarray:
        """The imaginary part, a view of a complex array."""
        if self.dtype.kind == "c":
            return ndarray.over(self._values.imag, self)
        from .functions import namespace

        result: ndarray = namespace["zeros_like"](self)
        return result


def _is_mask(index: Any) -> bool:
    return isinstance(index, ndarray) and index.dtype == np.bool_


operators.attach(ndarray)
