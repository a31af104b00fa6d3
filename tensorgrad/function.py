"""Custom functions: a forward and a backward written by the user, with PyTorch's interface."""

from __future__ import annotations

from typing import Any

from .backend import is_array
from .tape import Branch, Node, Op, grad_mode, no_grad, on_arrays
from .tensor import Tensor

__all__ = ["Context", "Function"]


class Context:
    """What a `Function` keeps from its forward for its backward.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of the forward, whether its gradient is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._to_save: tuple[Any, ...] = ()
        self._saved: list[Any] = []
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True
        self._node: Node | None = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs of the forward, or None, for the backward."""
        self._to_save = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Declare outputs through which no gradient flows."""
        self._non_differentiable = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the backward gets zeros, instead of None, for outputs that nothing came back from."""
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept.

        Raises
        ------
        RuntimeError
            If one was overwritten in place since.
        """
        assert self._node is not None
        tensors = []
        for value in self._saved:
            storage = self._node.storage if isinstance(value, _Output) else getattr(value, "_storage", None)
            if storage is not None and storage.written_at > self._node.time:
                raise RuntimeError(
                    f"backward: {self._node.name} saved a tensor that has since been overwritten in place; .clone() it"
                )
            tensors.append(value.tensor() if isinstance(value, _Output) else value)
        return tuple(tensors)


class _Output:
    """A saved result, kept without the tensor itself, which would keep its own node alive."""

    __slots__ = ("array", "node")

    def __init__(self, array: Any, node: Node) -> None:
        self.array = array
        self.node = node

    def tensor(self) -> Tensor:
        return Tensor(self.array, self.node)


class Function:
    """Base of custom differentiable functions.

    Subclasses define ``forward(ctx, *args)`` and ``backward(ctx, *grads)`` as static methods, and are called through
    `apply`. The backward returns one gradient, or None, per argument of the forward. If it is written in tensor
    functions, it can itself be differentiated.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> class Cube(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x * x
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad.item()
    12.0
    """

    @staticmethod
    def forward(ctx: Context, *args: Any, **kwargs: Any) -> Any:
        """Compute the results from the arguments; runs outside of the tape."""
        raise TypeError("Function: a subclass must define forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Context, *grads: Any) -> Any:
        """Compute the gradients of the arguments from those of the results."""
        raise TypeError("Function: a subclass must define backward(ctx, *grads) to be differentiated")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the forward and record it."""
        parents = tuple(x._node if isinstance(x, Tensor) else None for x in args)
        ctx = Context(tuple(p is not None for p in parents))
        with no_grad():
            result = cls.forward(ctx, *args, **kwargs)
        if not any(ctx.needs_input_grad) or not grad_mode.get():
            return result
        several = isinstance(result, tuple)
        results = result if several else (result,)
        if not all(isinstance(y, Tensor) for y in results):
            raise TypeError(f"{cls.__name__}.forward: expected a Tensor or a tuple of them, got {result!r:.80}")

        op = Op(
            cls.__name__,
            (_rule(cls, several),),
            ("ctx", "out"),
            ("ctx", "out"),
            joint=True,
            outputs=len(results) if several else 1,
        )
        op.shares_gradients = True
        specs = tuple((y.shape, y.dtype) for y in results)
        node = Node(op, parents, (ctx,), specs if op.outputs > 1 else specs[0][0])
        ctx._node = node
        made = []
        for i, y in enumerate(results):
            if any(y is skipped for skipped in ctx._non_differentiable):
                made.append(Tensor(y._data))
                continue
            recorded = Tensor(y._data, Branch(node, i, *specs[i]) if op.outputs > 1 else node)
            if any(y is x for x in args):
                recorded._share_memory_of(y)
            made.append(recorded)
        for kept in ctx._to_save:
            place = next((i for i, y in enumerate(results) if y is kept), -1)
            made_by = made[place]._node if place >= 0 else None
            ctx._saved.append(kept if made_by is None else _Output(results[place]._data, made_by))
        ctx._to_save = ()
        return tuple(made) if several else made[0]


def _conjugated(g: Tensor | None) -> Any:
    """A gradient as users know it from one as it travels, and the reverse; see ``ops/complex_parts.py``."""
    return g.conj() if g is not None and g.dtype.kind == "c" else g


def _rule(function: type[Function], several: bool) -> Any:
    """The gradient rule that calls a user's backward with tensors."""

    def rule(g: Any, needs: tuple[bool, ...], ctx: Context) -> list[Any]:
        given = g if isinstance(g, tuple) else (g,)
        recorded = any(isinstance(part, Tensor) for part in given)
        token = on_arrays.set(False)
        try:
            answer = function.backward(ctx, *(_conjugated(Tensor(part) if is_array(part) else part) for part in given))
        finally:
            on_arrays.reset(token)
        answers = answer if isinstance(answer, tuple) else (answer,)
        if len(answers) < len(needs) or any(a is not None for a in answers[len(needs) :]):
            raise RuntimeError(f"{function.__name__}.backward: expected {len(needs)} gradients, got {len(answers)}")
        gradients: list[Any] = []
        for position, (needed, part) in enumerate(zip(needs, answers, strict=False)):
            if not needed or part is None:
                gradients.append(None)
                continue
            assert ctx._node is not None
            parent = ctx._node.parents[position]
            if not isinstance(part, Tensor) or (parent is not None and part.shape != parent.shape):
                raise RuntimeError(
                    f"{function.__name__}.backward: gradient {position} must be a Tensor of shape "
                    f"{parent.shape if parent is not None else '()'}, got {getattr(part, 'shape', part)}"
                )
            travelling = _conjugated(part)
            gradients.append(travelling if recorded else travelling._data)
        return gradients

    return rule
