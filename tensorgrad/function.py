"""Custom functions: a forward and a backward written by the user, with PyTorch's interface."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np

from . import kernels as K
from .backend import empty, is_array
from .dtypes import is_differentiable
from .engine import conjugated
from .kernels.batched.array import LEVELS, Level, innermost
from .saved import Packed
from .tape import Branch, Leaf, Node, Op, View, grad_mode, no_grad, pushing, saved_hooks, users_code
from .tensor import Tensor

__all__ = ["Context", "Function", "VmapInfo", "lost", "once_differentiable"]


_NO_TENSOR = np.dtype(np.bool_)  # the dtype, without a gradient, of a result that is no tensor


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
        self._to_save_forward: tuple[Any, ...] = ()
        self._saved_forward: list[Any] = []
        self._inputs: tuple[Any, ...] = ()  # shape, dtype and device of each argument, None for what is no tensor
        self._pushing = False
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._materialize = True
        self._dirty: tuple[Tensor, ...] = ()
        self._node: Node | None = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs of the forward, or None, for the backward."""
        self._to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs of the forward, or None, for `Function.jvp`; `saved_tensors` gives them there."""
        self._to_save_forward = tensors

    def mark_dirty(self, *inputs: Tensor) -> None:
        """Declare arguments that the forward wrote into; it must return them."""
        self._dirty = inputs

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Declare outputs through which no gradient flows."""
        self._non_differentiable = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the backward gets zeros, instead of None, for outputs that nothing came back from.

        So does `Function.jvp` for arguments that have no tangent.
        """
        self._materialize = value

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept; in `Function.jvp` what `save_for_forward` kept, if that was called.

        Raises
        ------
        RuntimeError
            If one was overwritten in place since.
        """
        assert self._node is not None
        tensors = []
        for value in (self._pushing and self._saved_forward) or self._saved:
            if isinstance(value, Packed):
                tensors.append(value.value())
                continue
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
    def setup_context(ctx: Context, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep what the backward needs. With it, the forward takes no ``ctx``."""
        raise TypeError("Function: a subclass defines setup_context(ctx, inputs, output), or forward(ctx, *args)")

    @staticmethod
    def vmap(info: VmapInfo, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        """Compute the results for all samples of a `tg.func.vmap`; optional.

        ``info`` has ``batch_size`` and ``randomness``; ``in_dims`` say along which axis of each argument the samples
        lie. Returns the results and the axes at which they have them. Without it, `forward` and `backward` run on
        batched tensors, as any function does.
        """
        raise TypeError("Function: a subclass defines vmap(info, in_dims, *args)")

    generate_vmap_rule = False
    """PyTorch's request for what happens anyway: `forward` and `backward` are mapped over."""

    @staticmethod
    def backward(ctx: Context, *grads: Any) -> Any:
        """Compute the gradients of the arguments from those of the results."""
        raise TypeError("Function: a subclass must define backward(ctx, *grads) to be differentiated")

    @staticmethod
    def jvp(ctx: Context, *tangents: Any) -> Any:
        """Compute the tangents of the results from those of the arguments; optional.

        It is what `tg.func.jvp`, `jacfwd` and `linearize` use. Without it they differentiate `backward`, which must
        then be written in tensor functions; so the two need not both be there. ``tangents`` has one entry per argument
        of the forward: None for what is no tensor, zeros for a tensor that does not move (None after
        ``ctx.set_materialize_grads(False)``). Returns a tangent, or None for zeros, per result.

        Examples
        --------
        >>> import tensorgrad as tg
        >>> class Sine(tg.autograd.Function):
        ...     @staticmethod
        ...     def forward(x):
        ...         return tg.sin(x)
        ...
        ...     @staticmethod
        ...     def setup_context(ctx, inputs, output):
        ...         ctx.save_for_forward(*inputs)
        ...
        ...     @staticmethod
        ...     def jvp(ctx, tangent):
        ...         (x,) = ctx.saved_tensors
        ...         return tangent * tg.cos(x)
        >>> tg.func.jvp(Sine.apply, (tg.tensor(0.0),), (tg.tensor(2.0),))
        (tensor(0.), tensor(2.))
        """
        raise TypeError("Function: a subclass defines jvp(ctx, *tangents), or a backward that can be differentiated")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the forward and record it."""
        if LEVELS and cls.vmap is not Function.vmap:
            if cls.generate_vmap_rule:
                raise RuntimeError(f"{cls.__name__}: it has both generate_vmap_rule=True and a vmap of its own")
            level = innermost(*(x._data for x in args if isinstance(x, Tensor)))
            if level is not None:
                return _mapped(cls, level, args)
        parents = tuple(x._node if isinstance(x, Tensor) else None for x in args)
        ctx = Context(tuple(p is not None for p in parents))
        recorded = any(ctx.needs_input_grad) and grad_mode.get()
        with no_grad():
            if cls.setup_context is Function.setup_context:
                result = cls.forward(ctx, *args, **kwargs)
            else:
                result = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, result)
        _check_dirty(cls.__name__, ctx, result, recorded)
        if not recorded:
            return result
        several = isinstance(result, tuple)
        results = result if several else (result,)
        if not any(isinstance(y, Tensor) for y in results):
            raise TypeError(f"{cls.__name__}.forward: expected a Tensor or a tuple with some, got {result!r:.80}")

        op = Op(
            cls.__name__,
            (_rule(cls, several),),
            ("ctx", "out"),
            ("ctx", "out"),
            joint=True,
            outputs=len(results) if several else 1,
        )
        op.shares_gradients = True
        op.fills = ctx._materialize
        specs = tuple((y.shape, y.dtype) if isinstance(y, Tensor) else ((), _NO_TENSOR) for y in results)
        node = Node(op, parents, (ctx,), specs if op.outputs > 1 else specs[0][0])
        ctx._node = node
        ctx._inputs = tuple((x.shape, x.dtype, x.device) if isinstance(x, Tensor) else None for x in args)
        made: list[Any] = []
        for i, y in enumerate(results):
            if not isinstance(y, Tensor):
                made.append(y)
                continue
            if not is_differentiable(y.dtype) or any(y is skipped for skipped in ctx._non_differentiable):
                made.append(Tensor(y._data))
                if y._storage is not None:
                    made[-1]._share_memory_of(y)
                continue
            place = Branch(node, i, *specs[i]) if op.outputs > 1 else node
            if any(y is x for x in ctx._dirty):
                y._node = place
                if y._storage is not None:
                    place.storage = y._storage
                made.append(y)
                continue
            output = Tensor(y._data, place)
            whole = next((x for x in args if isinstance(x, Tensor) and _share_memory(x, y)), None)
            if whole is not None:
                output._become_view(View(whole, lost, None, (y.shape,)))
            made.append(output)
        hooks = saved_hooks.get()
        ctx._saved = [_kept(x, results, made, hooks) for x in ctx._to_save]
        if cls.jvp is not Function.jvp:
            ctx._saved_forward = [_kept(x, results, made, None) for x in ctx._to_save_forward]
        ctx._to_save = ctx._to_save_forward = ()
        return tuple(made) if several else made[0]


def _share_memory(x: Tensor, y: Tensor) -> bool:
    """Whether a result is an argument, or a part of it."""
    return x is y or (x._storage is not None and x._storage is y._storage)


def lost(base: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What a result of a function is after a write to the whole that it is a part of: nobody knows its gradient now."""
    return Tensor(base._data, Node(_LOST, (base._node,), (), shape))


def _refuse_lost(g: Any, needs: tuple[bool, ...]) -> Any:
    raise RuntimeError(
        "backward: a result of a custom or checkpointed function was a part of its argument, or of another result, "
        "which was then overwritten in place; let the function return a .clone()"
    )


_LOST = Op("part_of_an_argument", (_refuse_lost,), ("out",), (), joint=True)


def _kept(x: Any, results: tuple[Any, ...], made: list[Any], hooks: Any) -> Any:
    """What the context keeps of something to save: a result without the tensor, which would keep its node alive."""
    index = next((i for i, y in enumerate(results) if y is x and isinstance(y, Tensor)), -1)
    made_by = made[index]._node if index >= 0 else None
    if isinstance(hooks, tuple) and isinstance(x, Tensor):
        return Packed(x, x._node if made_by is None else made_by, *hooks)
    return x if made_by is None else _Output(results[index]._data, made_by)


def _check_dirty(name: str, ctx: Context, result: Any, recorded: bool) -> None:
    """What was written into must be an argument that the tape can let become the result."""
    results = result if isinstance(result, tuple) else (result,)
    for x in ctx._dirty:
        if not any(x is y for y in results):
            raise RuntimeError(f"{name}: what mark_dirty names must be returned by the forward")
        if not recorded:
            continue
        if isinstance(x._node, Leaf):
            raise RuntimeError(f"{name}: a leaf that requires a gradient cannot be written into; use .clone() of it")
        if x._view is not None or (x._storage is not None and any(ref() is not None for ref in x._storage.views)):
            raise RuntimeError(f"{name}: what mark_dirty names must have no views and be none; use .clone() of it")


class VmapInfo(NamedTuple):
    """What `Function.vmap` is told of the call."""

    batch_size: int
    randomness: str


def _mapped(function: type[Function], level: Level, args: tuple[Any, ...]) -> Any:
    """Call a function's own rule for batches."""
    from .ops.batching import enter, is_batched, leave
    from .ops.shape import moveaxis

    mapped = [isinstance(x, Tensor) and is_batched(x, level) for x in args]
    given = [leave(x, level) if inside else x for x, inside in zip(args, mapped, strict=True)]
    dims = tuple(0 if inside else None for inside in mapped)
    answer = function.vmap(VmapInfo(level.size, level.randomness), dims, *given)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise RuntimeError(f"{function.__name__}.vmap: expected (results, out_dims), got {answer!r:.80}")
    results, out_dims = answer

    def inside(y: Any, dim: Any) -> Any:
        return y if dim is None or not isinstance(y, Tensor) else enter(moveaxis(y, dim, 0) if dim else y, level)

    if not isinstance(results, tuple):
        return inside(results, out_dims)
    dims_of = out_dims if isinstance(out_dims, tuple) else (out_dims,) * len(results)
    return tuple(inside(y, dim) for y, dim in zip(results, dims_of, strict=True))


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate the backward of a `Function` that cannot be differentiated: to try so raises RuntimeError."""

    @wraps(backward)
    def wrapper(ctx: Context, *grads: Any) -> Any:
        with no_grad():
            answer = backward(ctx, *grads)
        if not grad_mode.get():
            return answer
        assert ctx._node is not None
        several = isinstance(answer, tuple)
        parents = (*ctx._node.parents, *(g._node for g in grads if isinstance(g, Tensor)))
        made = []
        for x in answer if several else (answer,):
            if isinstance(x, Tensor):
                made.append(Tensor(x._data, Node(_ONCE, parents, (), x.shape)))
            else:
                made.append(x)
        return tuple(made) if several else made[0]

    return wrapper


def _refuse(g: Any, needs: tuple[bool, ...]) -> Any:
    raise RuntimeError("backward: a function marked once_differentiable is differentiated a second time")


_ONCE = Op("once_differentiable", (_refuse,), ("out",), (), joint=True)


def _rule(function: type[Function], several: bool) -> Any:
    """The gradient rule that calls a user's backward with tensors."""

    def rule(g: Any, needs: tuple[bool, ...], ctx: Context) -> list[Any]:
        given = g if isinstance(g, tuple) else (g,)
        if pushing.get() and function.jvp is not Function.jvp:
            return _pushed(function, ctx, given, needs)
        recorded = any(isinstance(part, Tensor) for part in given)
        with users_code():
            answer = function.backward(ctx, *(conjugated(Tensor(part) if is_array(part) else part) for part in given))
        answers = answer if isinstance(answer, tuple) else (answer,)
        if len(answers) < len(needs) or any(a is not None for a in answers[len(needs) :]):
            raise RuntimeError(f"{function.__name__}.backward: expected {len(needs)} gradients, got {len(answers)}")
        gradients: list[Any] = []
        for position, (needed, part) in enumerate(zip(needs, answers, strict=False)):
            if not needed or part is None:
                gradients.append(None)
                continue
            travelling = conjugated(_fitted(function.__name__, position, part, ctx._inputs[position]))
            gradients.append(travelling if recorded else travelling._data)
        return gradients

    return rule


def _fitted(name: str, position: int, part: Any, spec: tuple[Any, ...]) -> Tensor:
    """A gradient in its argument's dtype, summed over the axes along which that was broadcast."""
    shape, dtype, device = spec
    if not isinstance(part, Tensor) or not _expands(shape, part.shape) or part.device != device:
        given = f"shape {part.shape} on {part.device}" if isinstance(part, Tensor) else f"{part!r:.80}"
        raise RuntimeError(
            f"{name}.backward: gradient {position} must be a Tensor of shape {shape} on {device}, got {given}"
        )
    if part.shape != shape:
        part = part.sum_to_size(shape)
    fitted: Tensor = part if part.dtype == dtype else part.astype(dtype)
    return fitted


def _expands(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether a shape broadcasts to another."""
    lead = len(to) - len(shape)
    return lead >= 0 and all(n in (m, 1) for n, m in zip(shape, to[lead:], strict=True))


def _pushed(function: type[Function], ctx: Context, given: tuple[Any, ...], needs: tuple[bool, ...]) -> list[Any]:
    """In place of the gradients, zeros from which a backward leads to a user's jvp, and from there to ``given``.

    A derivative in a direction is found by walking back from gradients, which are linear in the ``given``, to those. So
    where there is a jvp, only the way back is asked for.
    """
    assert ctx._node is not None
    wanted = [i for i, needed in enumerate(needs) if needed]
    several = len(wanted) > 1

    def rule(g: Any, needs: tuple[bool, ...], ctx: Context) -> list[Any]:
        tangents = _tangents(ctx, dict(zip(wanted, g if several else (g,), strict=True)))
        recorded = any(isinstance(part, Tensor) for part in (g if several else (g,)))
        ctx._pushing = True
        try:
            with users_code():
                answer = function.jvp(ctx, *tangents)
        finally:
            ctx._pushing = False
        return _answered(function.__name__, answer, given, recorded)

    op = Op(f"{function.__name__}.jvp", (rule,), ("ctx", "out"), ("ctx", "out"), joint=True, outputs=len(wanted))
    op.shares_gradients = True
    op.fills = False
    specs = tuple(ctx._inputs[i][:2] for i in wanted)
    parents = tuple(y._node if isinstance(y, Tensor) else None for y in given)
    node = Node(op, parents, (ctx,), specs if several else specs[0][0])
    gradients: list[Any] = [None] * len(needs)
    for place, i in enumerate(wanted):
        zeros = _zeros(ctx._inputs[i])
        zeros._node = Branch(node, place, *specs[place]) if several else node
        gradients[i] = zeros
    return gradients


def _tangents(ctx: Context, arrived: dict[int, Any]) -> list[Any]:
    """What a user's jvp is given: one tangent per argument."""
    tangents: list[Any] = []
    for i, spec in enumerate(ctx._inputs):
        t = arrived.get(i)
        if t is None and spec is not None and ctx._materialize:
            t = _zeros(spec)
        tangents.append(Tensor(t) if is_array(t) else t)
    return tangents


def _answered(name: str, answer: Any, given: tuple[Any, ...], recorded: bool) -> list[Any]:
    """The tangents that a user's jvp returned, checked."""
    answers = answer if isinstance(answer, tuple) else (answer,)
    if len(answers) != len(given):
        raise RuntimeError(f"{name}.jvp: expected {len(given)} tangents, one per result, got {len(answers)}")
    for i, (t, y) in enumerate(zip(answers, given, strict=True)):
        if t is None or y is None:
            continue
        if not isinstance(t, Tensor) or t.shape != y.shape or t.dtype != y.dtype:
            raise RuntimeError(
                f"{name}.jvp: tangent {i} must be a Tensor of shape {y.shape} and dtype {y.dtype}, got "
                + (f"shape {t.shape}, dtype {t.dtype}" if isinstance(t, Tensor) else f"{t!r:.80}")
            )
    return [None if t is None or y is None else t if recorded else t._data for t, y in zip(answers, given, strict=True)]


def _zeros(spec: tuple[Any, ...]) -> Tensor:
    """Zeros of a shape and dtype on a device."""
    zeros = empty(*spec)
    K.fill(zeros, 0)
    return Tensor(zeros)
