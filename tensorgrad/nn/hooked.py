"""The half of a module that calls what is hung on its call: hooks before and after it, and around its backward."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from ..capture import bump, recording
from . import calls
from .hooks import Boundary, RemovableHandle

if TYPE_CHECKING:
    from .module import Module

__all__ = ["Hooked"]


class Hooked:
    """What can be called with hooks; a part of `Module`."""

    forward: Callable[..., Any]
    _hooked = False

    def _hooks_of(self, kind: str) -> dict[int, Any]:
        bump()
        found: dict[int, Any] = self.__dict__.setdefault(kind, {})
        self.__dict__["_hooked"] = True
        return found

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before `forward`; what it returns replaces the positional arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)`` and returns both or None. ``prepend`` puts it before
        the other hooks.
        """
        return RemovableHandle(self._hooks_of("_forward_pre_hooks"), (hook, with_kwargs), first=prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after `forward`; what it returns replaces the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``. With ``always_call`` it is called, with None
        for the output, also when `forward` or another hook raises.
        """
        return RemovableHandle(self._hooks_of("_forward_hooks"), (hook, with_kwargs, always_call), first=prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` in every backward through the module.

        The gradients are tuples with one entry per positional argument and per result, None where there is none. What
        the hook returns replaces ``grad_input``.
        """
        return RemovableHandle(self._hooks_of("_backward_hooks"), hook, first=prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before every backward through the module.

        What it returns replaces ``grad_output``.
        """
        return RemovableHandle(self._hooks_of("_backward_pre_hooks"), hook, first=prepend)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if calls.are_watched():
            return calls.watch(cast("Module", self), lambda: self._run_hooks_and_forward(args, kwargs))
        return self._run_hooks_and_forward(args, kwargs)

    def _run_hooks_and_forward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        recorder = recording()
        if recorder is not None:
            recorder.called(self)
        pending = [entry for entry in self.__dict__.get("_forward_hooks", {}).values() if entry[2]]
        try:
            return self._hooks_and_forward(args, kwargs, pending)
        except Exception:
            for hook, with_kwargs, _ in pending:
                try:
                    _ = hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)
                except Exception as problem:  # the first error is the one to see
                    warnings.warn(
                        f"a forward hook with always_call raised {problem!r} after another error", stacklevel=2
                    )
            raise

    def _hooks_and_forward(self, args: tuple[Any, ...], kwargs: dict[str, Any], pending: list[Any]) -> Any:
        """The call; hooks with ``always_call`` leave ``pending`` once they have run."""
        own = self.__dict__
        for hook, with_kwargs in list(own.get("_forward_pre_hooks", {}).values()):
            if with_kwargs:
                answer = hook(self, args, kwargs)
                if answer is not None:
                    if not (isinstance(answer, tuple) and len(answer) == 2):
                        raise RuntimeError(
                            "a forward pre-hook with kwargs must return None or a pair of args and kwargs, got "
                            f"{type(answer).__name__}"
                        )
                    args, kwargs = answer
            else:
                answer = hook(self, args)
                if answer is not None:
                    args = answer if isinstance(answer, tuple) else (answer,)
        after = list(own.get("_backward_hooks", {}).values())
        before = list(own.get("_backward_pre_hooks", {}).values())
        boundary = Boundary(self, after, before) if after or before else None
        result = self.forward(*(boundary.enter(args) if boundary else args), **kwargs)
        for entry in list(own.get("_forward_hooks", {}).values()):
            hook, with_kwargs, _ = entry
            if entry in pending:
                pending.remove(entry)
            answer = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
            result = result if answer is None else answer
        return boundary.leave(result) if boundary else result
