"""The Tensor: an array of one of the backends and, where a gradient is wanted, its place on the tape.

Arithmetic, functions and indexing are ops (``tensorgrad/ops``), which attach themselves to this class as methods;
``tensor_methods.py`` lists them for readers and type checkers.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from . import kernels as K
from .backend import CPU, Device, device_of, resolve_device, to_device, to_numpy
from .capture import host_read
from .conversion import as_array
from .dtypes import DType, dtype_of, is_differentiable
from .errors import ArgumentError
from .kernels.batched.array import BatchedArray
from .tape import Leaf, Node, Storage, View, clock

if TYPE_CHECKING:
    from .tensor_methods import TensorMethods
else:
    TensorMethods = object  # declarations only, which would take a millisecond to load

__all__ = ["HookHandle", "Tensor"]

Scalar = bool | int | float | complex

_reference = weakref.ref


class HookHandle:
    """Removes a hook: by `remove`, by a call, or at the end of a ``with`` block."""

    __slots__ = ("_hook", "_kind", "_node")

    def __init__(self, node: Node, kind: str, hook: Callable[..., Any]) -> None:
        self._node, self._kind = node, kind
        self._hook: Callable[..., Any] | None = hook
        hooks = getattr(node, kind) or []
        keeping = [h for h in hooks if isinstance(h, _Keep)]  # they come last
        setattr(node, kind, [*(h for h in hooks if not isinstance(h, _Keep)), hook, *keeping])

    def remove(self) -> None:
        """Remove the hook; nothing if it is gone. Another registration of the same function stays."""
        hooks = list(getattr(self._node, self._kind) or [])
        for place, hook in enumerate(hooks):
            if hook is self._hook:
                del hooks[place]
                break
        self._hook = None
        setattr(self._node, self._kind, hooks or None)

    __call__ = remove

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


class _Keep:
    """The hook of `Tensor.retain_grad`."""

    __slots__ = ("of",)

    def __init__(self, tensor: Tensor) -> None:
        self.of = weakref.ref(tensor)

    def __call__(self, grad: Tensor) -> None:
        owner = self.of()
        if owner is not None:
            owner.grad = grad if owner.grad is None else owner.grad + grad


class Tensor(TensorMethods):
    """A multi-dimensional array on one device that can record how it was made.

    Tensors are made by `tensor`, by creation functions such as `zeros`, and by ops.

    Attributes
    ----------
    grad : Tensor or None
        The gradient that `backward` accumulated here.
    """

    __slots__ = ("__weakref__", "_data", "_node", "_storage", "_view", "grad")
    __array_priority__ = 1000

    def __init__(self, data: Any, node: Node | None = None) -> None:
        self._data = data
        self._node = node
        self.grad: Tensor | None = None
        self._storage: Storage | None = None
        self._view: View | None = None

    # ---------------------------------------------------------------------------------------------------- attributes
    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each axis."""
        return self._data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> DType:
        """Type of the elements, a ``numpy.dtype``."""
        return self._data.dtype  # type: ignore[no-any-return]

    @property
    def device(self) -> Device:
        """Where the elements are: ``cpu`` or ``cuda:<index>``."""
        return CPU if type(self._data) is np.ndarray else device_of(self._data)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.size  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take."""
        return self._data.nbytes  # type: ignore[no-any-return]

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self._data.itemsize  # type: ignore[no-any-return]

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` reaches this tensor."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self._node is None:
            if not is_differentiable(self.dtype):
                raise TypeError(
                    f"requires_grad: only floating and complex tensors have gradients, this one is {self.dtype}"
                )
            self._node = Leaf(self)
        elif not wanted and self._node is not None:
            if not self.is_leaf:
                raise RuntimeError(
                    f"requires_grad: this tensor was made by {self._node.name}; use .detach() for one without gradient"
                )
            self._node = None

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` in place and return the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded op made this tensor."""
        return self._node is None or isinstance(self._node, Leaf)

    @property
    def grad_fn(self) -> Node | None:
        """The tape's node of the op that made this tensor; None for a leaf."""
        return None if self.is_leaf else self._node

    @property
    def data(self) -> Tensor:
        """The same memory without the tape; assigning replaces the contents outside of it."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        self._replace(value._data if isinstance(value, Tensor) else as_array(value, self.dtype, self.device))

    def _replace(self, array: Any) -> None:
        """Point to another array. Values saved by earlier ops count as overwritten."""
        self._written()
        self._data = array
        if isinstance(self._node, Leaf):
            self._node.shape = array.shape

    # -------------------------------------------------------------------------------------------------------- memory
    @property
    def _version(self) -> int:
        """How often this memory was written in place."""
        return 0 if self._storage is None else self._storage.version

    def _shared_storage(self) -> Storage:
        storage = self._storage
        if storage is None:
            storage = self._storage = Storage()
            if self._node is not None:
                self._node.storage = storage
        return storage

    def _share_memory_of(self, base: Tensor) -> Storage:
        """Declare that this tensor has the memory of another: a write to one of the two is a write to both."""
        self._storage = storage = base._shared_storage()
        storage.shared = True
        if self._node is not None:
            self._node.storage = storage
        return storage

    def _become_view(self, view: View) -> None:
        """Declare this tensor a part of another, through which gradients flow."""
        storage = self._share_memory_of(view.base)
        self._view = view
        views = storage.views
        views.append(_reference(self))
        if len(views) > 64:  # a long-lived tensor read slice by slice
            storage.views = [ref for ref in views if ref() is not None]

    def _written(self) -> None:
        """Record an in-place write: a gradient rule that saved this memory before must not read it any more."""
        storage = self._shared_storage()
        storage.version += 1
        storage.written_at = next(clock)

    def detach(self) -> Tensor:
        """The same memory as a tensor that needs no gradient."""
        y = Tensor(self._data)
        y._share_memory_of(self)
        return y

    # ----------------------------------------------------------------------------------------------------- gradients
    def backward(
        self, grad: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Add the gradient of this tensor with respect to every leaf into the leaf's ``grad``.

        Parameters
        ----------
        grad : Tensor, optional
            Gradient of some scalar with respect to this tensor, of its shape. One for a scalar tensor.
        retain_graph : bool, optional
            Keep what the ops saved, so that `backward` can run again. By default what ``create_graph`` is.
        create_graph : bool
            Record the gradients themselves, so that they can be differentiated.

        Raises
        ------
        RuntimeError
            If this tensor needs no gradient, is not a scalar and ``grad`` is missing, if the graph was used up by an
            earlier `backward`, or if a value that a gradient rule needs was overwritten in place.
        """
        self._differentiate(self, grad, retain_graph=retain_graph, create_graph=create_graph)

    _differentiate: Callable[..., None]  # the engine's `backward`, which attaches itself here

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
        """Call ``hook(grad)`` when this tensor's gradient is complete; what it returns replaces the gradient.

        Returns
        -------
        HookHandle
            Its ``remove()``, or calling it, removes the hook.
        """
        if self._node is None:
            raise RuntimeError("register_hook: this tensor does not require a gradient")
        return HookHandle(self._node, "hooks", hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> HookHandle:
        """Call ``hook(tensor)`` of a leaf after a backward added to its ``grad``."""
        if not isinstance(self._node, Leaf):
            raise RuntimeError(
                "register_post_accumulate_grad_hook: only leaves that require a gradient accumulate one, this tensor "
                + ("does not require a gradient" if self._node is None else f"was made by {self._node.name}")
            )
        return HookHandle(self._node, "after", hook)

    def retain_grad(self) -> None:
        """Keep the gradient of a tensor that an op made in its ``grad``, as for a leaf, and as other hooks leave it."""
        if self._node is None:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        if self.is_leaf or self.retains_grad:
            return
        self._node.hooks = [*(self._node.hooks or []), _Keep(self)]

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called, so that a tensor which an op made gets a ``grad``."""
        hooks = None if self._node is None else self._node.hooks
        return any(isinstance(hook, _Keep) and hook.of() is self for hook in hooks or ())

    def _move_on_tape(self, node: Node | None) -> None:
        """Take another place on the tape; `retain_grad` goes along."""
        old = self._node
        if old is not None and old.hooks is not None and self.retains_grad:
            mine = next(hook for hook in old.hooks if isinstance(hook, _Keep) and hook.of() is self)
            old.hooks = [hook for hook in old.hooks if hook is not mine] or None
            if node is not None:
                node.hooks = [*(node.hooks or []), mine]
        self._node = node

    @property
    def is_cpu(self) -> bool:
        """Whether the elements are in the host's memory."""
        return self.device.type == "cpu"

    @property
    def is_cuda(self) -> bool:
        """Whether the elements are on a CUDA device."""
        return self.device.type == "cuda"

    @property
    def output_nr(self) -> int:
        """Which result of the op that made it this tensor is."""
        return getattr(self._node, "index", 0)

    # --------------------------------------------------------------------------------------------------- conversions
    def item(self) -> Any:
        """The one element as a Python number."""
        if self.size != 1:
            raise ValueError(f"item: expected a tensor with one element, got shape {self.shape}")
        return to_numpy(self._data).item()

    def tolist(self) -> Any:
        """The elements as Python numbers in nested lists."""
        return to_numpy(self._data).tolist()

    def numpy(self) -> np.ndarray[Any, np.dtype[Any]]:
        """The elements as a NumPy array; of a CPU tensor the same memory.

        Raises
        ------
        RuntimeError
            If the tensor requires a gradient, which NumPy would lose: call ``.detach()`` first.
        TypeError
            If the tensor is on a CUDA device: call ``.cpu()`` first.
        """
        if self._node is not None:
            raise RuntimeError("numpy: this tensor requires a gradient; use .detach().numpy()")
        if self.device.type != "cpu":
            raise TypeError(f"numpy: this tensor is on {self.device}; use .cpu().numpy()")
        self._shared_storage().shared = True
        return to_numpy(self._data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, np.dtype[Any]]:
        array = self.numpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"a NumPy array of dtype {dtype} needs a copy of this {self.dtype} tensor")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule of the tensor's memory, or of a copy, for another library's ``from_dlpack``.

        Raises
        ------
        BufferError
            If the tensor requires a gradient, which the other library would lose, or the device is out of reach.
        """
        if self._node is not None:
            raise BufferError("__dlpack__: this tensor requires a gradient; use .detach()")
        host_read("the value of a tensor", self._data)
        self._shared_storage().shared = True
        here = self.__dlpack_device__()
        there = here if dl_device is None else (int(dl_device[0]), int(dl_device[1]))
        if any(stride < 0 for stride in self._data.strides):  # which other libraries reject, some by aborting
            if copy is False:
                raise BufferError("__dlpack__: this tensor runs backwards through its memory; use .clone()")
            copy = True
        from .exchange import capsule_of

        if there != here:
            return capsule_of(self._elsewhere(there, copy), None, max_version)
        return capsule_of(K.copy(self._data) if copy else self._data, stream, max_version)

    def _elsewhere(self, there: tuple[int, int], copy: bool | None) -> Any:
        """The array on a device that DLPack's numbers name."""
        if there != (1, 0) or copy is False:
            kind = "without a copy" if there == (1, 0) else f"to DLPack's device {there}; use .to(device) before"
            raise BufferError(f"__dlpack__: this tensor is on {self.device} and cannot be exported {kind}")
        return to_numpy(self._data)

    def __buffer__(self, flags: int) -> memoryview:
        """The buffer protocol, from Python 3.12 on: ``memoryview(x)`` is the tensor's memory."""
        try:
            array = self.numpy()
        except (RuntimeError, TypeError) as error:
            raise BufferError(f"__buffer__: {error}") from None
        if array.dtype.kind == "V":
            raise BufferError(f"__buffer__: the buffer protocol has no format for {array.dtype}")
        return array.data

    def __dlpack_device__(self) -> tuple[int, int]:
        if type(self._data) is np.ndarray:
            return 1, 0
        kind, index = self._data.__dlpack_device__()
        return int(kind), int(index)

    @property
    def __cuda_array_interface__(self) -> Any:
        if self.device.type != "cuda":
            raise AttributeError("__cuda_array_interface__: this tensor is on the CPU")
        return self._data.__cuda_array_interface__

    def to(
        self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False
    ) -> Tensor:
        """The tensor on another device or in another dtype, given in either order; itself if nothing changes.

        Parameters
        ----------
        non_blocking : bool
            Copy page-locked memory (`pin_memory`) to a GPU while the program goes on; do not change it before
            ``tg.cuda.synchronize()``. From a GPU, the result is page-locked and holds its values after that.
        copy : bool
            Copy even if nothing changes.

        Examples
        --------
        >>> import tensorgrad as tg
        >>> tg.ones(2).to("cpu", tg.float64).dtype
        dtype('float64')
        """
        for arg in args:
            if isinstance(arg, Tensor):
                dtype, device = arg.dtype, arg.device
            elif isinstance(arg, Device) or (isinstance(arg, str) and arg.split(":")[0] in ("cpu", "cuda")):
                device = arg
            else:
                try:
                    dtype = dtype_of(arg)
                except TypeError:
                    raise ValueError(
                        f"to: {arg!r} is neither a device ('cpu', 'cuda', 'cuda:<index>') nor a dtype"
                    ) from None
        y = self if device is None else self._moved(resolve_device(device), non_blocking)
        y = y if dtype is None else y.astype(dtype, copy=False)
        return y.clone() if copy and y is self else y

    def _moved(self, device: Device, non_blocking: bool = False) -> Tensor:
        if device == self.device:
            return self
        from .ops.memory import moved

        return moved(self, device, non_blocking)  # type: ignore[no-any-return]

    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """The array API's name for `to`."""
        if stream is not None:
            raise ValueError("to_device: stream is not supported; work is ordered on the current stream")
        return self._moved(resolve_device(device))

    def cpu(self, non_blocking: bool = False) -> Tensor:
        """The tensor in host memory."""
        return self._moved(CPU, non_blocking)

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Tensor:
        """The tensor on a CUDA device: a number, a name or a `Device`, by default the current one."""
        name = "cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device
        return self._moved(resolve_device(name), non_blocking)

    def pin_memory(self) -> Tensor:
        """A copy in page-locked host memory, which a GPU reads on its own; itself if it lies there. No gradient flows.

        Raises
        ------
        RuntimeError
            If there is no GPU, or the tensor is on one.
        """
        from .backend import pin_array

        array = pin_array(self._data)
        return self if array is self._data else Tensor(array)

    def is_pinned(self) -> bool:
        """Whether the tensor lies in page-locked host memory."""
        from .backend import array_is_pinned

        return array_is_pinned(self._data)

    # ------------------------------------------------------------------------------------------------ Python protocol
    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ArgumentError(f"the truth of a tensor of shape {self.shape} is ambiguous; use tg.any or tg.all")
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise TypeError(f"only 0-d integer tensors are indices, this one is {self.dtype} of shape {self.shape}")
        return int(self.item())

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        if isinstance(self._data, BatchedArray):
            return f"tensor({self._data!r})"
        from .printing import rendered

        text = rendered(to_numpy(self._data), "tensor(")
        notes = []
        if str(self.dtype) not in ("float32", "int64", "bool"):
            notes.append(f"dtype={self.dtype}")
        if self.device.type != "cpu":
            notes.append(f"device='{self.device}'")
        if self.grad_fn is not None:
            notes.append(f"grad_fn={self.grad_fn.name}")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return "tensor(" + ", ".join([text, *notes]) + ")"

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self.size != 1:
            raise TypeError(f"format {spec!r} is for one number, not for a tensor of shape {self.shape}")
        return format(self.item(), spec)

    def __copy__(self) -> Tensor:
        """Another tensor on the same memory; of a tensor that an op made, a view through which gradients flow."""
        if not self.is_leaf:
            return self[...]
        y = self._another(self._data)
        if self.requires_grad:
            y.requires_grad = True
            y._share_memory_of(self)
            return y
        from .ops.indexing import become_part

        become_part(y, self, (...,))
        return y

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                f"deepcopy: only leaves can be copied, and this tensor was made by {self._node!r}; "
                "copy its .detach(), or use .clone(), through which gradients flow"
            )
        y = self._another(K.copy(self._data))
        y.requires_grad = self.requires_grad
        memo[id(self)] = y
        if self.grad is not None:
            y.grad = self.grad.__deepcopy__(memo)
        for name, value in getattr(self, "__dict__", {}).items():
            setattr(y, name, deepcopy(value, memo))
        return y

    def _another(self, data: Any) -> Tensor:
        """A tensor of this class on an array."""
        y = type(self).__new__(type(self))
        Tensor.__init__(y, data)
        for name, value in getattr(self, "__dict__", {}).items():
            setattr(y, name, value)
        return y

    def __reduce__(self) -> Any:
        own = getattr(self, "__dict__", None)
        rebuilt = _rebuilt, (type(self), to_numpy(self._data), str(self.device), self.requires_grad)
        return (*rebuilt, own) if own else rebuilt

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        import tensorgrad

        if api_version is not None and api_version not in ("2021.12", "2022.12", "2023.12", "2024.12"):
            raise ValueError(f"array API version {api_version!r} is not supported; 2024.12 is")
        return tensorgrad


def _rebuilt(kind: type[Tensor], array: Any, device: str, requires_grad: bool) -> Tensor:
    """Unpickle: the array, back on its device."""
    x = kind.__new__(kind)
    Tensor.__init__(x, to_device(array.view(dtype_of(array.dtype)), resolve_device(device)))
    x.requires_grad = requires_grad
    return x
