"""Handles of hooks, and the boundary around a module at which its backward hooks see the gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..tape import Branch, Node, Op, View, grad_mode, users_code
from ..tensor import Tensor

__all__ = ["Boundary", "RemovableHandle"]


class RemovableHandle:
    """Removes a hook; as a context manager, at the end of the block."""

    def __init__(self, hooks: dict[int, Any], hook: Any, *, first: bool = False) -> None:
        self._hooks = hooks
        self.id = max(hooks, default=0) + 1
        hooks[self.id] = hook
        if first:
            others = [key for key in hooks if key != self.id]
            for key in others:
                hooks[key] = hooks.pop(key)

    def remove(self) -> None:
        """Take the hook away; a second call does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _through(name: str, tensors: list[Tensor], rule: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> list[Tensor]:
    """The tensors, as results of one step whose gradients go through ``rule``."""
    count = len(tensors)

    def vjp(g: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
        return rule(g if count > 1 else (g,))

    op = Op(name, (vjp,), ("out",), (), joint=True, outputs=count)
    op.shares_gradients = True
    nodes = tuple(x._node for x in tensors)
    if count == 1:
        made = [Tensor(tensors[0]._data, Node(op, nodes, (), tensors[0].shape))]
    else:
        node = Node(op, nodes, (), tuple((x.shape, x.dtype) for x in tensors))
        made = [Tensor(x._data, Branch(node, i, x.shape, x.dtype)) for i, x in enumerate(tensors)]
    for y, x in zip(made, tensors, strict=True):
        y._become_view(View(x, _whole, _replaced, ()))
    return made


def _whole(base: Tensor) -> Tensor:
    return base


def _replaced(base: Tensor, part: Tensor) -> Tensor:
    return part


def _as_tensors(gradients: tuple[Any, ...]) -> tuple[Tensor | None, ...]:
    return tuple(g if g is None or isinstance(g, Tensor) else Tensor(g) for g in gradients)


def _as_given(gradients: list[Tensor | None], plain: bool) -> tuple[Any, ...]:
    """As arrays, if that is how the gradients came."""
    return tuple(g._data if plain and g is not None else g for g in gradients)


class Boundary:
    """Around one call of a module: notes the gradients of its results, then shows them with those of its inputs.

    Parameters
    ----------
    module : Module
    hooks : list of callable
        ``hook(module, grad_input, grad_output)``; what it returns in place of None replaces ``grad_input``.
    before : list of callable
        ``hook(module, grad_output)``, called first; what it returns replaces ``grad_output``.
    """

    def __init__(self, module: Any, hooks: list[Callable[..., Any]], before: list[Callable[..., Any]]) -> None:
        self._module = module
        self._hooks = hooks
        self._before = before
        self._inputs = 0
        self._wanted: list[int] = []
        self._grad_output: tuple[Any, ...] = ()

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of the call, those that need a gradient through the boundary."""
        self._inputs = len(args)
        if not grad_mode.get():
            return args
        self._wanted = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
        if not self._wanted:
            return args
        inside = _through("module_input", [args[i] for i in self._wanted], self._arrived)
        replaced = dict(zip(self._wanted, inside, strict=True))
        return tuple(replaced.get(i, x) for i, x in enumerate(args))

    def leave(self, result: Any) -> Any:
        """The result of the call, its tensors through the boundary."""
        results = result if isinstance(result, tuple) else (result,)
        wanted = [i for i, y in enumerate(results) if isinstance(y, Tensor) and y.requires_grad]
        if not wanted or not grad_mode.get():
            return result
        count = len(results)

        def noted(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
            plain = not any(isinstance(g, Tensor) for g in gradients)
            places = dict(zip(wanted, _as_tensors(gradients), strict=True))
            self._grad_output = self._run_before(tuple(places.get(i) for i in range(count)))
            if not self._wanted:
                self._run((None,) * self._inputs)
            if not self._before:
                return gradients
            return _as_given([self._grad_output[i] for i in wanted], plain)

        outside = _through("module_output", [results[i] for i in wanted], noted)
        replaced = dict(zip(wanted, outside, strict=True))
        made = tuple(replaced.get(i, y) for i, y in enumerate(results))
        return made if isinstance(result, tuple) else made[0]

    def _arrived(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the inputs, as the hooks leave them."""
        plain = not isinstance(gradients[0], Tensor)
        places = dict(zip(self._wanted, _as_tensors(gradients), strict=True))
        seen = self._run(tuple(places.get(i) for i in range(self._inputs)))
        return _as_given([seen[i] for i in self._wanted], plain)

    def _run_before(self, grad_output: tuple[Tensor | None, ...]) -> tuple[Any, ...]:
        with users_code():
            for hook in self._before:
                answer = hook(self._module, grad_output)
                if answer is None:
                    continue
                replaced = answer if isinstance(answer, tuple) else (answer,)
                if len(replaced) != len(grad_output):
                    raise ValueError(
                        f"backward pre-hook of {type(self._module).__name__}: expected {len(grad_output)} gradients, "
                        f"one per result, got {len(replaced)}"
                    )
                grad_output = replaced
        return grad_output

    def _run(self, grad_input: tuple[Tensor | None, ...]) -> tuple[Any, ...]:
        with users_code():
            for hook in self._hooks:
                answer = hook(self._module, grad_input, self._grad_output)
                if answer is None:
                    continue
                replaced = answer if isinstance(answer, tuple) else (answer,)
                if len(replaced) != len(grad_input):
                    raise ValueError(
                        f"backward hook of {type(self._module).__name__}: expected {len(grad_input)} gradients, one "
                        f"per positional argument, got {len(replaced)}"
                    )
                grad_input = replaced
        return grad_input
