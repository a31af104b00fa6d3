"""Which devices there are, and how arrays get onto them.

This file and ``kernels/`` are the only places that know about devices. CuPy is imported when a CUDA device is first
asked for, never before.
"""

from __future__ import annotations

import importlib.util
import os
import re
import weakref
from sys import getrefcount
from typing import Any

import numpy as np

from . import capture
from .dtypes import DType
from .errors import called
from .kernels.batched.array import ALLOCATING, BatchedArray, allocated

__all__ = [
    "CPU",
    "Device",
    "address",
    "bounds",
    "broadcast_view",
    "device_of",
    "diagonal_view",
    "empty",
    "get_default_device",
    "is_array",
    "is_sole_view",
    "real_pairs",
    "resolve_device",
    "set_default_device",
    "sliding_view",
    "to_device",
    "to_numpy",
]


class Device:
    """A place where tensors live: ``cpu`` or ``cuda:<index>``. Compares equal to its name.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.zeros(2).device == "cpu"
    True
    """

    __slots__ = ("index", "type")

    def __init__(self, type: str, index: int = 0) -> None:
        self.type = type
        self.index = index

    @property
    def is_cuda(self) -> bool:
        """Whether this is a CUDA device."""
        return self.type == "cuda"

    def __str__(self) -> str:
        return "cpu" if self.type == "cpu" else f"cuda:{self.index}"

    def __repr__(self) -> str:
        return f"device({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return str(self) == other or (other == "cuda" and self.type == "cuda" and self.index == 0)
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash(str(self))


CPU = Device("cpu")
_default: Device | None = None
_from_environment: Device | None = None  # read once, at the first tensor: to ask the environment costs as much as an op


def cuda_is_available() -> bool:
    """Whether CuPy is installed and sees a GPU."""
    if not _cupy_is_installed():
        return False
    import cupy

    return bool(cupy.cuda.is_available())


def cuda_device_count() -> int:
    """Number of CUDA devices; 0 where there is none."""
    return int(require_cuda().cuda.runtime.getDeviceCount()) if cuda_is_available() else 0


def _cupy_is_installed() -> bool:
    import sys

    return "cupy" in sys.modules or importlib.util.find_spec("cupy") is not None


def require_cuda() -> Any:
    """CuPy, or one error that says what is missing and how to get it."""
    if not _cupy_is_installed():
        raise RuntimeError(
            "device 'cuda' needs CuPy, which is not installed: "
            'pip install "tensorgrad-cupy[cuda13]" (or [cuda12] for a CUDA 12 driver)'
        )
    import cupy

    if not cupy.cuda.is_available():
        raise RuntimeError(
            "device 'cuda' needs an NVIDIA GPU and its driver: CuPy is installed but sees no device (check nvidia-smi)"
        )
    if _prepared is not cupy:
        _prepare(cupy)
    return cupy


_prepared: Any = None


def _prepare(cupy: Any) -> None:
    """What is done once, when CUDA is first asked for."""
    global _prepared
    _prepared = cupy
    from .cuda.memory import install

    install(cupy)


def resolve_device(spec: Any = None) -> Device:
    """The device that ``spec`` names; None is the default device.

    Raises
    ------
    ValueError
        If there is no such device.
    RuntimeError
        If CUDA is asked for and CuPy or the GPU is missing.
    """
    if spec is None:
        return get_default_device()
    if isinstance(spec, Device):
        return spec
    if spec == "cpu":
        return CPU
    match = re.fullmatch(r"cpu|cuda(?::(\d+))?", spec) if isinstance(spec, str) else None
    if match is None:
        raise ValueError(
            f"{called('device')}: unknown device {spec!r:.60}; devices are 'cpu', 'cuda' and 'cuda:<index>'"
        )
    cupy = require_cuda()
    count = cupy.cuda.runtime.getDeviceCount()
    index = int(match[1]) if match[1] else cupy.cuda.runtime.getDevice()
    if index >= count:
        raise ValueError(f"unknown device {spec!r}: this machine has {count} CUDA device(s), numbered from 0")
    return Device("cuda", index)


def get_default_device() -> Device:
    """Where new tensors are made: what was set, else the variable ``TENSORGRAD_DEVICE``, else the CPU."""
    return _default if _default is not None else _from_environment or _read_environment()


def _read_environment() -> Device:
    global _from_environment
    name = os.environ.get("TENSORGRAD_DEVICE")
    _from_environment = resolve_device(name) if name else CPU
    return _from_environment


def set_default_device(device: Any) -> None:
    """Make new tensors on ``device``; None goes back to ``TENSORGRAD_DEVICE`` or the CPU."""
    global _default
    _default = None if device is None else resolve_device(device)


def is_array(value: Any) -> bool:
    """Whether ``value`` is an array of one of the backends."""
    if type(value) is np.ndarray:
        return True
    return hasattr(value, "dtype") and hasattr(value, "device") and hasattr(value, "get")  # what CuPy's arrays have


def device_of(array: Any) -> Device:
    """Where an array lives."""
    while isinstance(array, BatchedArray):
        array = array.data
    return CPU if isinstance(array, np.ndarray) else Device("cuda", int(array.device.id))


def empty(shape: tuple[int, ...], dtype: DType, device: Device) -> Any:
    """An array with arbitrary content."""
    levels = ALLOCATING.get()
    if levels:
        return allocated(lambda whole: _empty(whole, dtype, device), shape, levels)
    return _empty(shape, dtype, device)


def _empty(shape: tuple[int, ...], dtype: DType, device: Device) -> Any:
    if device.type == "cpu":
        try:
            return np.empty(shape, dtype)
        except ValueError as error:  # more bytes than there are addresses, or more axes than arrays have
            raise ValueError(f"{called('empty')}: cannot make shape {shape} of {dtype}: {error}") from None
    cupy = require_cuda()
    with cupy.cuda.Device(device.index):
        return cupy.empty(shape, dtype)


def _references_to_base(view: Any) -> int:
    base = view.base
    return getrefcount(base)


_OF_A_SOLE_VIEW = _references_to_base(np.empty(2)[:1])  # what Python itself holds meanwhile differs by its version


def is_sole_view(array: Any) -> bool:
    """Whether all of this view's elements are its own, and no other array sees its memory."""
    if not isinstance(array, np.ndarray) or not isinstance(array.base, np.ndarray):
        return False
    flags = array.flags
    return flags.c_contiguous and flags.writeable and _references_to_base(array) <= _OF_A_SOLE_VIEW


def address(array: Any) -> int:
    """Where the first element of an array is."""
    if isinstance(array, np.ndarray):
        return int(array.ctypes.data)
    return address(array.data) if isinstance(array, BatchedArray) else int(array.data.ptr)


def real_pairs(array: Any) -> Any:
    """Complex numbers as pairs of real ones along a new last axis, in the same memory."""
    return array[..., None].view(np.dtype(array.dtype.char.lower()))


def broadcast_view(array: Any, shape: tuple[int, ...]) -> Any:
    """The array repeated to ``shape`` as a view with stride 0 along the repeated axes."""
    if isinstance(array, BatchedArray):
        return array.broadcast_to(shape)
    if isinstance(array, np.ndarray):
        if not array.flags.c_contiguous or array.dtype.kind == "V" or not array.size:
            return np.broadcast_to(array, shape)
        # The same view, made by hand: eight times faster, and every mean and sum sends its gradient through here.
        lead = (0,) * (len(shape) - array.ndim)
        strides = (*lead, *(0 if n == 1 else s for n, s in zip(array.shape, array.strides, strict=True)))
        view: Any = np.ndarray(shape, array.dtype, array, 0, strides)
        view.flags.writeable = False
        return view
    return on_device_of(array, require_cuda().broadcast_to, (array, shape))


_owners: dict[int, Any] = {}  # of views whose ``base`` CuPy does not tell, by their `id`


def owner_of(array: Any) -> Any:
    """The array that owns the memory which another is a view of; itself if it does."""
    while True:
        base = array.base
        if type(base) is not type(array):
            base = _owners.get(id(array)) if _owners else None
            if base is None:
                return array
        array = base


def _strided_on_cuda(array: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    view = on_device_of(array, require_cuda().lib.stride_tricks.as_strided, (array, shape, strides))
    if view.base is None:
        key = id(view)
        _owners[key] = owner_of(array)
        weakref.finalize(view, _owners.pop, key, None).atexit = False
        view = view[...]  # has a base: memory without one passes for nobody else's
    return view


def sliding_view(array: Any, axis: int, size: int, step: int) -> Any:
    """Windows of ``size`` elements, ``step`` apart, along an axis, as a view; their elements are its last axis."""
    if isinstance(array, BatchedArray):
        return BatchedArray(sliding_view(array.data, axis + 1, size, step), array.level)
    count = (array.shape[axis] - size) // step + 1
    shape = (*array.shape[:axis], count, *array.shape[axis + 1 :], size)
    if isinstance(array, np.ndarray):
        # Not by NumPy's as_strided: the base of its views is not the array whose memory they have.
        root = array
        while type(root.base) is np.ndarray:
            root = root.base
        whole = root if root.flags.c_contiguous else root.T
        if not whole.flags.c_contiguous:  # memory that somebody else laid out
            whole = array = np.ascontiguousarray(array)
        offset = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0] if array.size else 0
        view: Any = np.ndarray(shape, array.dtype, whole, offset, _sliding_strides(array, axis, step))
        view.flags.writeable = False
        return view
    return _strided_on_cuda(array, shape, _sliding_strides(array, axis, step))


def _sliding_strides(array: Any, axis: int, step: int) -> tuple[int, ...]:
    along = array.strides[axis]
    return (*array.strides[:axis], along * step, *array.strides[axis + 1 :], along)


def bounds(array: Any) -> tuple[int, int]:
    """The lowest byte of an array and the one after the highest; the same twice if it has no elements."""
    low = high = address(array)
    if not array.size:
        return low, low
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            low += (length - 1) * stride
        else:
            high += (length - 1) * stride
    return low, high + array.itemsize


def _memory_of(array: Any) -> tuple[Any, int, int]:
    """The array that owns the memory of another, and where that memory begins and ends."""
    root = owner_of(array)
    return root, *bounds(root)


def offset_in_memory(array: Any) -> int:
    """How many elements after the start of the memory that it is part of an array begins."""
    return int((address(array) - _memory_of(array)[1]) // array.itemsize)


def strided_view(array: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """A view of any shape and strides, in elements, that begins ``offset`` elements after the array does.

    Raises
    ------
    ValueError
        If it reaches beyond the memory that the array is part of.
    """
    item = array.itemsize
    root, begin, end = _memory_of(array)
    reach = [(n - 1) * stride * item for n, stride in zip(shape, strides, strict=True)]
    start = address(array) + offset * item
    low, high = start + sum(r for r in reach if r < 0), start + sum(r for r in reach if r > 0) + item
    if 0 in shape:
        start = low = high = begin
    if low < begin or high > end:
        raise ValueError(
            f"as_strided: shape {shape} with strides {strides} reaches elements {(low - begin) // item} to "
            f"{(high - begin) // item - 1} of a memory of {(end - begin) // item}"
        )
    steps = tuple(stride * item for stride in strides)
    if isinstance(array, np.ndarray):
        whole = root if root.flags.c_contiguous else root.T
        if not whole.flags.c_contiguous:
            raise ValueError("as_strided: another library laid out this memory; use .contiguous() first")
        view: Any = np.ndarray(shape, array.dtype, whole, start - begin, steps)
        view.flags.writeable = array.flags.writeable
        return view
    flat = (root if root.flags.c_contiguous else root.T).reshape(-1)
    return _strided_on_cuda(flat[(start - begin) // item :], shape, steps)


def diagonal_view(array: Any, offset: int, axis1: int, axis2: int) -> Any:
    """The elements whose places on two axes differ by ``offset``, along a new last axis, in the same memory."""
    if isinstance(array, BatchedArray):
        first, second = axis1 % array.ndim + 1, axis2 % array.ndim + 1
        return BatchedArray(diagonal_view(array.data, offset, first, second), array.level)
    if isinstance(array, np.ndarray):
        view: Any = array.diagonal(offset, axis1, axis2)
        if array.flags.writeable:
            view.flags.writeable = True  # NumPy's is not, for the sake of programs older than the view
        return view
    return on_device_of(array, require_cuda().diagonal, (array, offset, axis1, axis2))


def to_device(array: Any, device: Device, non_blocking: bool = False) -> Any:
    """The array on ``device``: itself if it is there already, else a copy.

    With ``non_blocking``, copies from and to page-locked memory run beside the host; one to the host holds its values
    once the device has been waited for.
    """
    source = device_of(array)
    if source == device:
        return array
    if isinstance(array, BatchedArray):
        return BatchedArray(to_device(array.data, device, non_blocking), array.level)
    if device.type == "cpu" and not non_blocking:
        return to_numpy(array)
    from .cuda import transfer

    cupy = require_cuda()
    if device.type == "cpu":
        return transfer.download(array)
    if source.type == "cuda":
        return transfer.between_devices(array, device)
    if non_blocking and transfer.can_upload(array):
        return transfer.upload(array, device)
    with cupy.cuda.Device(device.index):
        copy = cupy.array(array)
        if transfer.is_pinned(array):  # CuPy stages other host memory; from this the device reads until it is done
            cupy.cuda.get_current_stream().synchronize()
        return copy


def pin_array(array: Any) -> Any:
    """A host array in page-locked memory."""
    if not isinstance(array, np.ndarray):
        raise RuntimeError(f"pin_memory: only tensors in host memory can be pinned, this one is on {device_of(array)}")
    from .cuda.transfer import pinned

    return pinned(array)


def array_is_pinned(array: Any) -> bool:
    """Whether an array lies in page-locked memory."""
    from .cuda.transfer import is_pinned

    return is_pinned(array)


def to_numpy(array: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """The array in host memory; waits for the device, and reports indices that a kernel found out of range."""
    capture.host_read("the value of a tensor", array)
    if isinstance(array, np.ndarray):
        return array
    if isinstance(array, BatchedArray):
        array.get()  # raises
    index = array.device.id
    with require_cuda().cuda.Device(index):
        host = array.get()
    report_cuda_errors(index)
    return host  # type: ignore[no-any-return]


def report_cuda_errors(index: int) -> None:
    """Raise what kernels found wrong with their input while nobody was waiting for them."""
    from .kernels.cuda import errors

    errors.check(index)


def synchronize_cuda(index: int) -> None:
    """Wait for all work on a CUDA device."""
    cupy = require_cuda()
    with cupy.cuda.Device(index):
        cupy.cuda.Device(index).synchronize()
    report_cuda_errors(index)


def on_device_of(array: Any, function: Any, args: Any) -> Any:
    """Call a function of an array with the array's device as the current one."""
    if isinstance(array, np.ndarray) or not is_array(array):
        return function(*args)
    from .kernels.cuda.placement import on_device

    return on_device(array.data.device_id, function, *args)
