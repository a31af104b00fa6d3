"""Parameters that are computed from others whenever they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, TypeVar

from ...ops.memory import clone
from ...tape import no_grad
from ...tensor import Tensor
from ..container import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization", "remove_parametrizations",
    "transfer_parametrizations_and_params", "type_before_parametrizations",
]  # fmt: skip

_M = TypeVar("_M", bound=Module)
_cache: ContextVar[dict[tuple[int, str], Tensor] | None] = ContextVar("cache", default=None)


@contextmanager
def cached() -> Iterator[None]:
    """A context in which each parametrized tensor is computed when it is first read, and then kept."""
    before = _cache.set({} if _cache.get() is None else _cache.get())
    try:
        yield
    finally:
        _cache.reset(before)


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, the first applied first, with what they are computed from.

    Attributes
    ----------
    original : Tensor
        Where the first parametrization takes one tensor; else ``original0``, ``original1``, ...
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ValueError("ParametrizationList: there must be at least one parametrization")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            new: Any = original
            for module in reversed(list(self)):
                with suppress(NotImplementedError):  # it then starts from the values as they are
                    new = module.right_inverse(new) if hasattr(module, "right_inverse") else new
        self.is_tensor = isinstance(new, Tensor)
        trained = isinstance(original, Parameter)
        if self.is_tensor:
            if new.dtype != dtype or new.device != original.device:
                raise ValueError(
                    f"register_parametrization: right_inverse must keep dtype and device, {dtype} on "
                    f"{original.device}, got {new.dtype} on {new.device}"
                )
            if new is not original:
                original._replace(clone(new.detach())._data)  # in the same object, which an optimizer may know
            self.ntensors = 1
            self._enter("_parameters" if trained else "_buffers", "original", original)
        else:
            if not isinstance(new, Sequence) or not all(isinstance(x, Tensor) for x in new):
                raise ValueError(
                    f"register_parametrization: right_inverse must return a Tensor or a sequence of them, got {new!r}"
                )
            self.ntensors = len(new)
            for i, part in enumerate(new):
                values = clone(part.detach())
                made = Parameter(values, original.requires_grad) if trained else values
                self._enter("_parameters" if trained else "_buffers", f"original{i}", made)
        if not unsafe:
            with no_grad():
                result = self()
            if not isinstance(result, Tensor) or result.shape != shape or result.dtype != dtype:
                given = f"{result.dtype} {result.shape}" if isinstance(result, Tensor) else type(result).__name__
                raise ValueError(
                    f"register_parametrization: unless unsafe=True, the result must stay {dtype} {shape}, got {given}"
                )

    def _originals(self) -> list[Tensor]:
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def right_inverse(self, value: Tensor) -> None:
        """Write into the originals what makes the result ``value``, as far as the parametrizations can.

        Raises
        ------
        RuntimeError
            If a parametrization has no ``right_inverse``.
        """
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"{type(module).__name__} has no right_inverse, so its result cannot be assigned"
                    )
                new = module.right_inverse(new)
        parts = [new] if self.is_tensor else list(new)
        originals = self._originals()
        if len(parts) != len(originals) or any(x.dtype != y.dtype for x, y in zip(parts, originals, strict=True)):
            raise ValueError(
                f"right_inverse must return tensors of dtypes {[x.dtype for x in originals]}, got "
                f"{[x.dtype for x in parts]}"
            )
        for original, part in zip(originals, parts, strict=True):
            original._replace(clone(part.detach())._data)

    def forward(self) -> Tensor:
        """The parametrized tensor."""
        first, *others = self._modules.values()
        x: Tensor = first(*self._originals())
        for module in others:
            x = module(x)
        return x


# ----------------------------------------------------------------------------------------------------------- the class
def _read(name: str) -> property:
    def computed(self: Module) -> Tensor:
        cache = _cache.get()
        key = (id(self), name)
        if cache is None:
            return self.parametrizations[name]()  # type: ignore[no-any-return]
        if key not in cache:
            cache[key] = self.parametrizations[name]()
        return cache[key]

    return property(computed)


def _assigned(self: Module, name: str, value: Any) -> None:
    """Attributes as in every module, but for a parametrized tensor the originals are set."""
    if name in self.__dict__.get("_modules", {}).get("parametrizations", ()):
        self.parametrizations[name].right_inverse(value)
    else:
        super(type(self), self).__setattr__(name, value)


def _give_class(module: Module) -> None:
    """The class that reads the tensors that are parametrized now: a new one, so that copies keep theirs."""
    plain = type_before_parametrizations(module)
    members: dict[str, Any] = {name: _read(name) for name in module.parametrizations}
    members |= {"__setattr__": _assigned, "__setstate__": _restored, "__reduce_ex__": _reduced}
    module.__class__ = type(f"Parametrized{plain.__name__}", (plain,), members)


def _reduced(self: Module, protocol: Any) -> Any:
    """How to copy and to pickle a module whose class is of its own making."""
    return _without_state, (type_before_parametrizations(self),), self.__getstate__()


def _without_state(plain: type[_M]) -> _M:
    """A parametrized module before it gets its attributes, and with them the names of its parametrized tensors."""
    made: type[_M] = type(
        f"Parametrized{plain.__name__}", (plain,), {"__setattr__": _assigned, "__setstate__": _restored}
    )
    return made.__new__(made)


def _restored(self: Module, state: dict[str, Any]) -> None:
    Module.__setstate__(self, state)
    _give_class(self)


def type_before_parametrizations(module: Module) -> type:
    """The module's class without its parametrizations."""
    made = type(module).__dict__.get("__setattr__") is _assigned
    return type(module).__bases__[0] if made else type(module)


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has parametrizations, of any tensor or of the named one."""
    found = module.__dict__.get("_modules", {}).get("parametrizations")
    return found is not None and (len(found) > 0 if tensor_name is None else tensor_name in found)


# ------------------------------------------------------------------------------------------------------- registration
def register_parametrization(module: _M, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> _M:
    """Let a parameter or buffer be ``parametrization(original)`` whenever it is read.

    The tensor becomes ``module.parametrizations.<name>.original``, and remains the same object. A second
    parametrization is applied to the result of the first, which stays what it was. Where the parametrizations have
    ``right_inverse``, it says which originals give a value, for the first at once, and for all at assignments. That of
    the first may return several, ``original0``, ``original1``, ...,
    which then are the arguments of the parametrization.

    Parameters
    ----------
    module : Module
        Is changed, also its class, and returned.
    tensor_name : str
    parametrization : Module
    unsafe : bool
        Allow a result of another shape or dtype.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> class Symmetric(tg.nn.Module):
    ...     def forward(self, x):
    ...         return tg.triu(x) + tg.triu(x, k=1).mT
    >>> layer = tg.nn.Linear(3, 3)
    >>> _ = tg.nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain = module.parametrizations[tensor_name]
        _check_added(module, tensor_name, parametrization, unsafe)
        chain.append(parametrization)
        chain.unsafe = chain.unsafe or unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        original = getattr(module, tensor_name)
        chain = ParametrizationList([parametrization], original, unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.parametrizations = ModuleDict()
        module.parametrizations[tensor_name] = chain
        _give_class(module)
    else:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter, buffer or parametrized tensor "
            f"{tensor_name!r}"
        )
    return module


def _check_added(module: Module, name: str, parametrization: Module, unsafe: bool) -> None:
    """That one more parametrization keeps what it acts on as it is."""
    if unsafe:
        return
    with no_grad():
        before = getattr(module, name)
        inside = parametrization.right_inverse(before) if hasattr(parametrization, "right_inverse") else before
        after = parametrization(inside)
    if not isinstance(after, Tensor) or after.shape != before.shape or after.dtype != before.dtype:
        given = f"{after.dtype} {after.shape}" if isinstance(after, Tensor) else type(after).__name__
        raise ValueError(
            f"register_parametrization: unless unsafe=True, the result must stay {before.dtype} {before.shape}, got "
            f"{given}"
        )


def remove_parametrizations(module: _M, tensor_name: str, leave_parametrized: bool = True) -> _M:
    """Undo all parametrizations of a tensor.

    Parameters
    ----------
    module : Module
        Is changed and returned.
    tensor_name : str
    leave_parametrized : bool
        Leave the result as the parameter, rather than the original, of which there must be one then.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {tensor_name!r} of {type(module).__name__} is not parametrized")
    chain = module.parametrizations[tensor_name]
    originals = chain._originals()
    if not leave_parametrized and not chain.is_tensor:
        raise ValueError("remove_parametrizations: several originals cannot be left as one tensor")
    with no_grad():
        result = clone(getattr(module, tensor_name).detach())
    if chain.is_tensor:
        tensor = originals[0]
        if leave_parametrized:
            tensor._replace(result._data)
    else:
        wanted = originals[0].requires_grad
        tensor = Parameter(result, wanted) if isinstance(originals[0], Parameter) else result
    del module.parametrizations[tensor_name]
    plain = type_before_parametrizations(module)
    if not len(module.parametrizations):
        module.__class__ = plain
        del module.parametrizations
    else:
        _give_class(module)
    module._enter("_parameters" if isinstance(tensor, Parameter) else "_buffers", tensor_name, tensor)
    return module


def transfer_parametrizations_and_params(from_module: Module, to_module: _M, tensor_name: str | None = None) -> _M:
    """Parametrize ``to_module`` by the parametrizations of ``from_module``, and copy the originals.

    Parameters
    ----------
    from_module, to_module : Module
        The second is changed and returned.
    tensor_name : str, optional
        Which tensor; all that are parametrized by default.
    """
    if not is_parametrized(from_module):
        raise ValueError(f"transfer_parametrizations_and_params: {type(from_module).__name__} is not parametrized")
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        chain = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            to_module.register_parameter(name, Parameter(clone(getattr(from_module, name).detach())))
        for parametrization in chain:
            register_parametrization(to_module, name, parametrization, unsafe=chain.unsafe)
        for target, source in zip(to_module.parametrizations[name]._originals(), chain._originals(), strict=True):
            target._replace(clone(source.detach())._data)
    return to_module
