"""The base class of all layers and models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .. import kernels as K
from ..backend import Device, empty, resolve_device, to_device
from ..boundary import Explained, in_words
from ..capture import bump, observed_classes
from ..dtypes import DType, dtype_of, float16, float32, float64, is_differentiable
from ..tensor import Tensor
from .hooked import Hooked
from .parameter import Buffer, Parameter, clear_gradients
from .stateful import Stateful

__all__ = ["Module"]

_M = TypeVar("_M", bound="Module")
_REGISTRIES = ("_parameters", "_buffers", "_modules")


def _no_forward(self: Module, *_: Any, **__: Any) -> Any:
    """Every subclass defines the computation of a call."""
    raise NotImplementedError(f"{type(self).__name__} does not define forward()")


class Module(Explained, Stateful, Hooked):
    """A part of a model: it owns parameters, buffers and other modules, and computes something from its inputs.

    A subclass calls ``super().__init__()``, assigns what it owns to attributes, and defines ``forward``. A `Parameter`,
    a `Buffer` or a module that is assigned to an attribute is registered under the attribute's name.

    Attributes
    ----------
    training : bool
        Whether layers such as dropout behave as in training; see `train` and `eval`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> class Scale(tg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = tg.nn.Parameter(tg.full((1,), 2.0))
    ...
    ...     def forward(self, input):
    ...         return input * self.factor
    >>> scale = Scale()
    >>> scale(tg.tensor([1.0, 3.0])).tolist()
    [2.0, 6.0]
    >>> [name for name, _ in scale.named_parameters()]
    ['factor']
    """

    training: bool
    forward: Callable[..., Any] = _no_forward

    # What is registered also stands in ``__dict__``, so that reading ``self.weight`` is an ordinary attribute access.
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _transient: set[str]

    def __init__(self) -> None:
        fresh: dict[str, Any] = {
            "training": True,
            "_parameters": {},
            "_buffers": {},
            "_modules": {},
            "_transient": set(),
        }
        self.__dict__.update(fresh)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooked:
            return self._call_with_hooks(args, kwargs)
        try:
            return self.forward(*args, **kwargs)
        except Exception as error:
            better = in_words(error, type(self).forward, (self, *args), kwargs)
            if better is None:
                raise
            raise better from error

    # ------------------------------------------------------------------------------------------------------ copies
    def __getstate__(self) -> dict[str, Any]:
        """Everything but what hooks compute from the rest, such as a normalized weight."""
        computed = {hook.computes for hook in self._computing_hooks()}
        return {name: value for name, value in self.__dict__.items() if name not in computed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for hook in self._computing_hooks():
            hook.compute(self)

    def _computing_hooks(self) -> list[Any]:
        """The hooks before the forward that say which attribute they compute."""
        return [h for h, _ in self.__dict__.get("_forward_pre_hooks", {}).values() if hasattr(h, "computes")]

    # ------------------------------------------------------------------------------------------------- registration
    def __setattr__(self, name: str, value: Any) -> None:
        bump()
        own = self.__dict__
        kind = (
            "_parameters"
            if isinstance(value, Parameter)
            else "_modules"
            if isinstance(value, Module)
            else "_buffers"
            if isinstance(value, Buffer)
            else None
        )
        if "_parameters" not in own:
            if kind is not None:
                raise AttributeError(
                    f"cannot assign {name!r}: {type(self).__name__}.__init__ must call super().__init__() first"
                )
        elif kind is not None:
            self._enter(kind, name, value)
            if isinstance(value, Buffer) and not value.persistent:
                self._transient.add(name)
            return
        else:
            for registry in _REGISTRIES:
                if name in own[registry]:
                    if value is not None and not (registry == "_buffers" and isinstance(value, Tensor)):
                        expected = {"_parameters": "Parameter", "_buffers": "Tensor", "_modules": "Module"}[registry]
                        raise TypeError(
                            f"cannot assign {type(value).__name__} as {name!r}: a {expected} or None is expected "
                            f"there; delete the attribute first to use the name for something else"
                        )
                    own[registry][name] = value
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        bump()
        object.__delattr__(self, name)
        for registry in _REGISTRIES:
            self.__dict__[registry].pop(name, None)

    def _enter(self, registry: str, name: str, value: Any) -> None:
        """Put a value into one registry, at the place it has there already, and out of the others."""
        bump()
        for other in _REGISTRIES:
            if other != registry:
                self.__dict__[other].pop(name, None)
        self._transient.discard(name)
        self.__dict__[registry][name] = value
        self.__dict__[name] = value

    def _place(self, registry: str, name: str, value: Any) -> None:
        """Put a value in the place of one that is registered; a buffer stays as persistent as it is."""
        transient = name in self._transient
        self._enter(registry, name, value)
        if transient:
            self._transient.add(name)

    def __getattr__(self, name: str) -> Any:
        if name in (*_REGISTRIES, "training", "_transient"):
            raise AttributeError(f"{type(self).__name__}.__init__ must call super().__init__() first")
        return object.__getattribute__(self, name)  # raises what a missing attribute raises

    def _register(self, registry: str, name: str, value: Any, kind: type) -> None:
        what = registry[1:-1]
        if registry not in self.__dict__:
            raise AttributeError(
                f"cannot register {what} {name!r}: {type(self).__name__}.__init__ must call super().__init__() first"
            )
        if not isinstance(name, str):
            raise TypeError(f"the name of a {what} must be a str, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"the name of a {what} must not be empty or contain '.', got {name!r}")
        if name not in self.__dict__[registry] and hasattr(self, name):
            raise KeyError(f"attribute {name!r} exists already")
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{what} {name!r} must be a {kind.__name__} or None, got {type(value).__name__}")
        self._enter(registry, name, value)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None reserves the name, as ``bias=False`` does."""
        if isinstance(param, Tensor) and not param.is_leaf:
            raise ValueError(f"register_parameter: {name!r} was computed by {param.grad_fn}; parameters must be leaves")
        self._register("_parameters", name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the module's state but not trained, such as a running mean.

        Parameters
        ----------
        name : str
        tensor : Tensor or None
        persistent : bool
            Whether it is part of `state_dict`.
        """
        self._register("_buffers", name, tensor, Tensor)
        if not persistent:
            self._transient.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a module as if it were assigned to the attribute ``name``."""
        self._register("_modules", name, module, Module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    # ---------------------------------------------------------------------------------------------------- traversal
    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it with their dotted names; a shared module once."""
        memo = set() if memo is None else memo
        if remove_duplicate and self in memo:
            return
        memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it; a shared module once unless told otherwise."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules that this one owns directly, with their names."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules that this one owns directly."""
        return (module for _, module in self.named_children())

    def _named_members(
        self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in owners:
            for name, value in getattr(module, registry).items():
                if value is not None and not (remove_duplicate and id(value) in seen):
                    seen.add(id(value))
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters with their dotted names; a shared one once, under its first name."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, with ``recurse``, of those below it."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """The buffers with their dotted names."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, with ``recurse``, of those below it."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module with a dotted name; "" is this one."""
        module = self
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no submodule {name!r} (looking for {target!r})")
            module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module in the place of a dotted name.

        Parameters
        ----------
        target : str
        module : Module
        strict : bool
            Whether there must be a module already.
        """
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError(f"set_submodule: expected the name of a submodule, got {target!r}")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: {target!r} must be a Module, got {type(module).__name__}")
        owner = self.get_submodule(path)
        known = name in owner._modules
        if (strict and not known) or (not known and hasattr(owner, name)):
            raise AttributeError(f"{type(owner).__name__} has no submodule {name!r} (looking for {target!r})")
        owner._enter("_modules", name, module)

    def _get_member(self, target: str, registry: str, what: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        found = module.__dict__[registry].get(name)
        if found is None:
            raise AttributeError(f"{type(module).__name__} has no {what} {name!r} (looking for {target!r})")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with a dotted name."""
        return self._get_member(target, "_parameters", "parameter")  # type: ignore[no-any-return]

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with a dotted name."""
        return self._get_member(target, "_buffers", "buffer")  # type: ignore[no-any-return]

    def apply(self: _M, fn: Callable[[Module], Any]) -> _M:
        """Call ``fn`` on every module below this one, then on this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --------------------------------------------------------------------------------------------- modes and gradients
    def train(self: _M, mode: bool = True) -> _M:
        """Set `training` here and below."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be a bool, got {mode!r}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: _M) -> _M:
        """``train(False)``."""
        return self.train(False)

    def requires_grad_(self: _M, requires_grad: bool = True) -> _M:
        """Set ``requires_grad`` of all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or overwrite them with zeros."""
        clear_gradients(self.parameters(), set_to_none)

    # ------------------------------------------------------------------------------------------- devices and dtypes
    def to(self: _M, *args: Any, device: Any = None, dtype: Any = None) -> _M:
        """Move parameters and buffers, in place, to a device, a floating dtype or both; a Tensor stands for its own.

        Integer and bool buffers keep their dtype.

        Examples
        --------
        >>> import tensorgrad as tg
        >>> tg.nn.Linear(2, 3).to("cpu", tg.float64).weight.dtype
        dtype('float64')
        """
        for arg in args:
            if isinstance(arg, Tensor):
                device, dtype = arg.device, arg.dtype
            elif isinstance(arg, Device) or (isinstance(arg, str) and arg.split(":")[0] in ("cpu", "cuda")):
                device = arg
            elif arg is not None:
                dtype = arg
        place = None if device is None else resolve_device(device)
        kind = None if dtype is None else dtype_of(dtype)
        if kind is not None and not is_differentiable(kind):
            raise TypeError(f"to: modules take floating and complex dtypes, got {kind}")
        done: set[int] = set()
        for module in self.modules():
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None and id(tensor) not in done:
                    done.add(id(tensor))
                    _convert(tensor, place, kind)
                    if isinstance(tensor.grad, Tensor):
                        _convert(tensor.grad, place, kind)
        return self

    def to_empty(self: _M, *, device: Any, recurse: bool = True) -> _M:
        """Give parameters and buffers memory on a device, without their values.

        Parameters
        ----------
        device : str or Device
        recurse : bool
            Whether the modules below do so too.
        """
        place = resolve_device(device)
        for module in self.modules() if recurse else [self]:
            for tensor in (*module._parameters.values(), *module._buffers.values()):
                if tensor is not None:
                    tensor._replace(empty(tensor.shape, tensor.dtype, place))
        return self

    def type(self: _M, dst_type: Any) -> _M:
        """Convert all parameters and buffers, those of integers too, to a dtype."""
        kind = dtype_of(dst_type)
        if not is_differentiable(kind) and any(p.requires_grad for p in self.parameters()):
            raise TypeError(f"type: parameters that require a gradient must be floating, got {kind}")
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype != kind:
                tensor._replace(K.cast(tensor._data, kind))
            if isinstance(tensor.grad, Tensor):
                _convert(tensor.grad, None, kind)
        return self

    def cpu(self: _M) -> _M:
        """Move to host memory."""
        return self.to("cpu")

    def cuda(self: _M, device: Any = None) -> _M:
        """Move to a CUDA device, given by its number or name."""
        return self.to(f"cuda:{device}" if isinstance(device, int) else device or "cuda")

    def float(self: _M) -> _M:
        """Convert to float32."""
        return self.to(dtype=float32)

    def double(self: _M) -> _M:
        """Convert to float64."""
        return self.to(dtype=float64)

    def half(self: _M) -> _M:
        """Convert to float16."""
        return self.to(dtype=float16)

    def bfloat16(self: _M) -> _M:
        """Convert to bfloat16."""
        return self.to(dtype="bfloat16")

    # ---------------------------------------------------------------------------------------------------------- text
    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses; for subclasses to define."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def _shown_children(self) -> list[tuple[str, str]]:
        """What `repr` shows of the modules inside, by name."""
        return [(name, repr(module)) for name, module in self._modules.items()]

    def __repr__(self) -> str:
        lines = self.extra_repr().split("\n") if self.extra_repr() else []
        children = [f"({name}): " + text.replace("\n", "\n  ") for name, text in self._shown_children()]
        if len(lines) == 1 and not children:
            return f"{self._get_name()}({lines[0]})"
        if not lines and not children:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n  " + "\n  ".join([*lines, *children]) + "\n)"


def _convert(tensor: Tensor, device: Device | None, dtype: DType | None) -> None:
    """Let a tensor be its values on another device and in another dtype."""
    array = tensor._data
    if device is not None:
        array = to_device(array, device)
    if dtype is not None and is_differentiable(array.dtype) and array.dtype != dtype:
        array = K.cast(array, dtype)
    if array is not tensor._data:
        tensor._replace(array)


observed_classes.append((Module, "_hooked"))  # while observed, every call goes through _call_with_hooks
