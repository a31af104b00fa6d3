"""The half of a module that gives its state and takes it, with the hooks around both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ..tensor import Tensor
from . import state
from .hooks import RemovableHandle

if TYPE_CHECKING:
    from .module import Module
    from .parameter import Parameter

__all__ = ["Stateful"]


class Stateful:
    """What has a `state_dict`; a part of `Module`."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _transient: set[str]

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name; they share the module's memory.

        Parameters
        ----------
        destination : dict, optional
            Filled and returned in place of a new one.
        prefix : str
            Put before every name.
        keep_vars : bool
            Give the parameters themselves, not detached tensors.
        """
        result = {} if destination is None else destination
        for hook in list(self.__dict__.get("_state_dict_pre_hooks", {}).values()):
            hook(self, prefix, keep_vars)
        for registry in (self._parameters, self._buffers):
            for name, tensor in registry.items():
                if tensor is not None and name not in self._transient:
                    result[prefix + name] = tensor if keep_vars else tensor.detach()
        if self._has_extra_state():
            result[f"{prefix}{state.EXTRA}"] = self.get_extra_state()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=result, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self.__dict__.get("_state_dict_hooks", {}).values()):
            if hook(self, result, prefix, {}) is not None:
                raise RuntimeError("a state_dict post-hook must change the dict in place and return None")
        return result

    def _has_extra_state(self) -> bool:
        """Whether a subclass defines `get_extra_state`."""
        return type(self).get_extra_state is not Stateful.get_extra_state

    def get_extra_state(self) -> Any:
        """What else is part of `state_dict`; for subclasses to define, with `set_extra_state`."""
        raise RuntimeError(f"{type(self).__name__} does not define get_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take what `get_extra_state` gave, as `load_state_dict` finds it."""
        raise RuntimeError(f"{type(self).__name__} does not define set_extra_state()")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copy values, converted to the module's dtypes and devices, into parameters and buffers.

        Parameters
        ----------
        state_dict : mapping of str to Tensor or array
        strict : bool
            Whether names that only one side has are an error.
        assign : bool
            Take the tensors themselves, with their dtypes and devices, in place of the module's.

        Returns
        -------
        IncompatibleKeys
            Named tuple of ``missing_keys`` and ``unexpected_keys``.

        Raises
        ------
        RuntimeError
            Listing every missing and unexpected name and every shape that does not fit; nothing is loaded then.
        """
        return state.load(cast("Module", self), state_dict, strict, assign)

    # --------------------------------------------------------------------------------------------------------- hooks
    def _quiet_hooks_of(self, kind: str) -> dict[int, Any]:
        """Hooks that a call has nothing to do with."""
        found: dict[int, Any] = self.__dict__.setdefault(kind, {})
        return found

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before `state_dict` gathers what the module has."""
        return RemovableHandle(self._quiet_hooks_of("_state_dict_pre_hooks"), hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)``, which may change the dict, after `state_dict`."""
        return RemovableHandle(self._quiet_hooks_of("_state_dict_hooks"), hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call a hook before `load_state_dict` looks at what it was given; it may change the dict.

        It is called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)``; what it adds to the three lists is reported with what is found.
        """
        return RemovableHandle(self._quiet_hooks_of("_load_state_dict_pre_hooks"), hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after `load_state_dict`.

        What it takes out of the lists of missing and unexpected names is then no error.
        """
        return RemovableHandle(self._quiet_hooks_of("_load_state_dict_post_hooks"), hook)
