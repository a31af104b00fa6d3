"""One call of a function on variables of its own, to be walked back from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakSet

from .. import autograd
from ..dtypes import is_differentiable
from ..ops.memory import clone, zeros_like
from ..tape import Leaf, enable_grad, is_grad_enabled, pushing
from ..tensor import Tensor
from .tree import leaves, rebuilt

__all__ = ["Argnums", "Call"]

Argnums = int | tuple[int, ...]

_SPENT: WeakSet[Leaf] = WeakSet()
"""Variables of calls whose function has returned: nobody differentiates by them but the call itself."""


class Call:
    """One call of a function on variables of its own, and the ways back from what it returned."""

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        argnums: Argnums,
        options: dict[str, Any],
        has_aux: bool = False,
    ) -> None:
        self.name = name
        self.outside = is_grad_enabled()  # whether what we return is to be differentiable
        self.argnums = argnums
        places = [argnums] if isinstance(argnums, int) else list(argnums)
        for i in places:
            if not -len(args) <= i < len(args):
                raise IndexError(f"{name}: argnums {argnums} is out of range for {len(args)} positional arguments")
        places = [i % len(args) for i in places]
        self.chosen = [args[i] for i in places]
        with enable_grad():
            chosen = zip(places, self.chosen, strict=True)
            passed = [self._variable(name, i, x) for i, tree in chosen for x in leaves(tree)]
            self.variables = [Tensor(x._data, x._node) for x in passed]  # they stay where they are if f writes into its
            given = list(args)
            supply = iter(passed)
            for i, x in zip(places, self.chosen, strict=True):
                given[i] = rebuilt(x, supply)
            try:
                result = f(*given, **options)
            finally:
                _SPENT.update(x._node for x in self.variables if isinstance(x._node, Leaf))
        self.aux = None
        self.hint = ""
        if has_aux:
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TypeError(f"{name}: with has_aux the function must return a pair, got {type(result).__name__}")
            result, self.aux = result
        elif isinstance(result, (tuple, list)):
            self.hint = "; pass has_aux=True if it returns (result, something else)"
        self.output = result
        if name not in ("grad", "value_and_grad"):
            for y in leaves(result):
                if not isinstance(y, Tensor):
                    raise TypeError(f"{name}: the function must return tensors, got {type(y).__name__}")

    def _variable(self, name: str, i: int, x: Any) -> Tensor:
        """A tensor in the place of ``x`` to differentiate by, behind ``x`` in the graph that it belongs to."""
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: argument {i} must be made of tensors, got {type(x).__name__}")
        if not is_differentiable(x.dtype):
            raise TypeError(f"{name}: argument {i} has dtype {x.dtype}, only floating ones have gradients")
        if x._node is not None and self.outside:
            copy: Tensor = clone(x)
            return copy
        return x.detach().requires_grad_()

    def pull(self, cotangents: Sequence[Tensor | None], keep: bool) -> list[Tensor]:
        """The gradients of the variables."""
        pairs = zip(leaves(self.output), cotangents, strict=True)
        roots = [(y, g) for y, g in pairs if y._node is not None]
        tracked = self.outside and any(self._matters(x) for pair in roots for x in pair)
        found = self._gradients(roots, self.variables, keep, tracked)
        return [self.result(g) for g in found]

    def push(self, tangents: Sequence[Tensor], keep: bool) -> list[Tensor]:
        """The derivatives of the outputs in a direction."""
        return self.linear()(tangents, keep)

    def linear(self) -> Callable[[Sequence[Tensor], bool], list[Tensor]]:
        """`push` as a function, which walks the graph once: `pull` is linear in the cotangents and is pulled back."""
        outputs = list(leaves(self.output))
        linear = [(y, zeros_like(y).requires_grad_()) for y in outputs if y._node is not None]
        _SPENT.update(g._node for _, g in linear if isinstance(g._node, Leaf))
        token = pushing.set(True)
        try:
            with enable_grad():
                pulled = self._gradients(linear, self.variables, True, True)
        finally:
            pushing.reset(token)

        def pushed(tangents: Sequence[Tensor], keep: bool) -> list[Tensor]:
            roots = [(g, t) for g, t in zip(pulled, tangents, strict=True) if g._node is not None]
            tracked = self.outside and any(self._matters(x) for pair in roots for x in pair)
            found = iter(self._gradients(roots, [g for _, g in linear], keep, tracked))
            return [zeros_like(y) if y._node is None else self.result(next(found)) for y in outputs]

        return pushed

    def require_dependence(self) -> None:
        """Raise if an output does not depend on the variables."""
        for k, y in enumerate(leaves(self.output)):
            found = [] if y._node is None else autograd.grad(y, self.variables, zeros_like(y), True, allow_unused=True)
            if all(g is None for g in found):
                raise RuntimeError(f"{self.name}: strict, and output {k} does not depend on the primals")

    @staticmethod
    def _gradients(
        roots: Sequence[tuple[Tensor, Tensor | None]], variables: Sequence[Tensor], keep: bool, tracked: bool
    ) -> list[Tensor]:
        """What the engine finds, with zeros where there is no way from the roots to a variable."""
        if not roots:
            return [zeros_like(x) for x in variables]
        ys, gs = zip(*roots, strict=True)
        found = autograd.grad(ys, variables, gs, keep or tracked, tracked, allow_unused=True)
        return [zeros_like(x) if g is None else g for x, g in zip(variables, found, strict=True)]

    @staticmethod
    def _matters(x: Tensor | None) -> bool:
        """Whether a tensor depends on a leaf of the caller's, or on a variable of a call that this one is part of."""
        stack = [] if x is None or x._node is None else [x._node]
        seen = set(stack)
        while stack:
            node = stack.pop()
            if isinstance(node, Leaf) and node not in _SPENT:
                return True
            new = {parent for parent in node.parents if parent is not None} - seen
            seen |= new
            stack.extend(new)
        return False

    def result(self, tree: Any) -> Any:
        """A tree as the caller gets it: tensors that only spent variables make differentiable no longer are."""

        def settled(x: Any) -> Any:
            if not isinstance(x, Tensor) or x._node is None or (self.outside and self._matters(x)):
                return x
            return x.detach()

        return rebuilt(tree, map(settled, leaves(tree)))

    def as_arguments(self, values: Sequence[Any]) -> Any:
        """One value per variable, in the structure of the arguments that they stand for."""
        supply = iter(values)
        trees = tuple(rebuilt(x, supply) for x in self.chosen)
        return trees[0] if isinstance(self.argnums, int) else trees
