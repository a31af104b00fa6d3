"""How an op is defined: a forward on arrays and one vector-Jacobian product per differentiable input.

A rule is a function of the gradient ``g`` of the result and of whatever else it names::

    exp = unary("exp", K.exp, lambda g, out: mul(g, out))
    mul = binary("mul", K.multiply, lambda g, x2: mul(g, x2), lambda g, x1: mul(g, x1))

The names in its signature say what is saved: an input, ``out`` (the result), a static parameter, an auxiliary result
of the forward, or ``<input>_shape`` and ``<input>_dtype``, which keep no memory alive. Rules are written in ops. The
engine calls them with plain arrays, on which ops run without a tape, or, when the gradient itself is to be
differentiated, with tensors.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from .. import dtypes
from ..backend import device_of, is_array
from ..conversion import as_array
from ..kernels import Kernel, is_observed
from ..kernels.batched.array import NeedsSamplesError
from ..kernels.batched.dispatch import forward_over_batch
from ..kernels.registry import SILENT, error_state
from ..tape import Branch, Node, Op, Rule, View, grad_mode, on_arrays
from ..tensor import Tensor
from .precision import autocast_region, raised

__all__ = [
    "OPS", "Function", "alone", "binary", "call_in", "is_tensor", "lift", "on_values", "primitive", "unary", "variadic",
]  # fmt: skip

Function = Callable[..., Any]
"""An op as users call it: on tensors, or on arrays while rules run on arrays."""

OPS: dict[str, Op] = {}
"""Every op by name; the gradient tests and the documentation's table walk it."""


_OPERANDS: dict[CodeType, Callable[[dict[str, Any]], tuple[Any, ...]]] = {}
# of the functions made below: from their local variables, what they were called with


def call_in(frame: FrameType) -> tuple[Op, tuple[Any, ...], Any] | None:
    """If the frame is that of an op's call, the op, what it was called with, and its result if there is one yet.

    For those who watch what a function computes; ops themselves do nothing for it, so that it costs nothing.
    """
    operands = _OPERANDS.get(frame.f_code)
    if operands is None:
        return None
    values = frame.f_locals
    return values["op"], operands(values), values.get("result", values.get("y"))


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor, or an array while rules run on arrays."""
    return isinstance(x, Tensor) or (on_arrays.get() and is_array(x))


def alone(*tensors: Any) -> bool:
    """Whether the values of a function are all that is wanted of it: no gradient, no graph of what it is made of.

    Nor does it run over a batch of samples then, which is watched, too: arrays that are made can be written.
    """
    for x in tensors:
        if not isinstance(x, Tensor) or x._node is not None:
            return False
    return not is_observed()


def on_values(function: Function, *tensors: Any) -> Any:
    """``function(*tensors)``, written in ops; where the values are all that is wanted, it runs on the arrays.

    Then no step of it makes a tensor or looks for a tape. What it returns must not be memory of its operands.
    """
    if not alone(*tensors) or autocast_region.get() is not None:
        return function(*tensors)
    token = on_arrays.set(True)
    quiet = error_state.set(SILENT)  # once, not at each launch
    try:
        result = function(*[x._data for x in tensors])
    finally:
        error_state.reset(quiet)
        on_arrays.reset(token)
    return tuple([Tensor(y) for y in result]) if isinstance(result, tuple) else Tensor(result)


def lift(x: Any, like: Any = None) -> Any:
    """``x`` as something that ops take: tensors and, while rules run on arrays, arrays pass; the rest becomes a tensor.

    A Python scalar takes the dtype and device of ``like`` as far as its kind allows.
    """
    if isinstance(x, Tensor):
        return x
    if isinstance(like, Tensor):
        if isinstance(x, (bool, int, float, complex)):
            return Tensor(as_array(x, dtypes.with_scalar(like.dtype, x), like.device))
        return Tensor(as_array(x, None, like.device))
    if on_arrays.get():
        if like is not None and not is_array(x):
            return as_array(x, dtypes.with_scalar(like.dtype, x), device_of(like))
        return x
    from ..backend import get_default_device

    return Tensor(as_array(x, None, device_of(x) if is_array(x) else get_default_device()))


def _defined(op: Op) -> Op:
    if op.name in OPS:
        raise ValueError(f"there are two ops named {op.name}")
    OPS[op.name] = op
    return op


def _callable(forward: Any) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """A forward, which may be a kernel, and the names of its parameters."""
    if isinstance(forward, Kernel):
        return forward.launch, tuple(parameter.split("=")[0].strip() for parameter in forward.signature.split(","))
    return forward, _arguments(forward)


def _describe(function: Callable[..., Any], name: str, doc: str) -> None:
    function.__name__ = function.__qualname__ = name
    function.__module__ = sys._getframe(2).f_globals["__name__"]  # where it is defined, for pickling
    function.__doc__ = doc


_INTEGERS = frozenset("biu")
_COMPLEX = frozenset("c")
_WEAK = frozenset("fc")  # kinds that keep their dtype when they meet a Python number
_NUMBERS = frozenset((int, float))
_SMALL = 127  # what every integer dtype can hold


def unary(
    name: str,
    kernel: Any,
    rule: Rule | None = None,
    *,
    doc: str,
    fractional: bool = True,
    delicate: bool = False,
    backward: Kernel | None = None,
    on_complex: Callable[[Any], Any] | None = None,
) -> Function:
    """Define an elementwise op of one input.

    Parameters
    ----------
    name : str
    kernel : Kernel
    rule : callable, optional
        ``rule(g, ...)`` may name ``x`` and ``out``. Without one, the result has no gradient.
    doc : str
        Docstring of the function.
    fractional : bool
        Whether integers become the default floating dtype first, as for ``sqrt``.
    delicate : bool
        Whether automatic mixed precision computes it in float32.
    backward : Kernel, optional
        The elementwise kernel that the rule is, called with ``g`` and what else the rule names, in that order. The
        engine then lets it write over a large ``g`` that nobody else has.
    on_complex : callable, optional
        What to call in place of the kernel with a complex array.
    """
    op = _defined(Op(name, (rule,), ("x", "out", "x_shape", "x_dtype"), ("x", "out")))
    if backward is not None:
        op.overwriting = (backward.launch,)
    launch = kernel.launch
    saved_code = op.codes[0]
    differentiable = rule is not None
    particular = (_INTEGERS if fractional else frozenset()) | (_COMPLEX if on_complex is not None else frozenset())

    def function(x: Any, /) -> Any:
        if not isinstance(x, Tensor):
            if on_arrays.get():
                return launch(x)
            x = lift(x)
        if delicate:
            x = raised(x)
        data = x._data
        if data.dtype.kind not in particular:
            y = launch(data)
        elif on_complex is None or data.dtype.kind != "c":
            return function(x.astype(dtypes.get_default_dtype()))
        else:
            y = on_complex(data)
        node = x._node
        if node is None or not differentiable or not grad_mode.get():
            return Tensor(y)
        if saved_code == (1,):
            saved: tuple[Any, ...] = (y,)
        elif saved_code == (0,):
            saved = (x,)
        elif saved_code:
            saved = op.pickers[0]((x, y, x.shape, x.dtype))
        else:
            saved = ()
        return Tensor(y, Node(op, (node,), (saved,), y.shape))

    _OPERANDS[function.__code__] = lambda values: (values["x"],)
    _describe(function, name, doc)
    return function


def binary(
    name: str,
    kernel: Any,
    rule1: Rule | None = None,
    rule2: Rule | None = None,
    *,
    doc: str,
    fractional: bool = False,
    backward: tuple[Kernel, Kernel] | None = None,
    ordered: bool = False,
) -> Function:
    """Define an elementwise op of two inputs, which broadcast and promote; rules may name ``x1``, ``x2``, ``out``.

    ``backward`` are the elementwise kernels that the two rules are; see `unary`. An ``ordered`` op refuses complex
    numbers, which have no order.
    """
    op = _defined(Op(name, (rule1, rule2), ("x1", "x2", "out"), ("x1", "x2", "out"), broadcasts=True))
    if backward is not None:
        op.overwriting = (backward[0].launch, backward[1].launch)
    launch = _of_ordered(name, kernel.launch) if ordered else kernel.launch
    pick1, pick2 = (picker if codes else None for picker, codes in zip(op.pickers, op.codes, strict=True))
    has1, has2 = rule1 is not None, rule2 is not None

    def function(x1: Any, x2: Any, /) -> Any:
        if isinstance(x1, Tensor) and isinstance(x2, Tensor):
            a1, a2 = x1._data, x2._data
            node1, node2 = x1._node, x2._node
            if a1.dtype is not a2.dtype or fractional:
                promoted = _promoted(x1, x2, fractional)
                if promoted is not None:
                    return function(*promoted)
        elif on_arrays.get():
            if x2.__class__ in _NUMBERS:
                return launch(x1, x2 if x1.dtype.kind != "V" else lift(x2, x1))
            return launch(x1 if x1.__class__ not in _NUMBERS or x2.dtype.kind != "V" else lift(x1, x2), x2)
        elif x2.__class__ in _NUMBERS and isinstance(x1, Tensor) and x1._data.dtype.kind in _WEAK:
            a1, a2 = x1._data, x2
            node1, node2 = x1._node, None
        elif x1.__class__ in _NUMBERS and isinstance(x2, Tensor) and x2._data.dtype.kind in _WEAK:
            a1, a2 = x1, x2._data
            node1, node2 = None, x2._node
        elif (
            x2.__class__ is int and 0 <= x2 <= _SMALL and isinstance(x1, Tensor) and x1._data.dtype.kind in "iu"
        ) and not fractional:
            a1, a2 = x1._data, x2
            node1 = node2 = None
        else:
            return _lifted(function, x1, x2)
        y = launch(a1, a2)
        if (node1 is None and node2 is None) or not grad_mode.get():
            return Tensor(y)
        saved1 = saved2 = ()
        if node1 is not None:
            if not has1:
                node1 = None
            elif pick1 is not None:
                saved1 = pick1((x1, x2, y))
        if node2 is not None:
            if not has2:
                node2 = None
            elif pick2 is not None:
                saved2 = pick2((x1, x2, y))
        if node1 is None and node2 is None:
            return Tensor(y)
        return Tensor(y, Node(op, (node1, node2), (saved1, saved2), y.shape))

    _OPERANDS[function.__code__] = lambda values: (values["x1"], values["x2"])
    _describe(function, name, doc)
    return function


def _of_ordered(name: str, launch: Callable[..., Any]) -> Callable[..., Any]:
    """A launch that refuses complex operands."""

    def checked(x1: Any, x2: Any) -> Any:
        if (x2 if hasattr(x2, "dtype") else x1).dtype.kind == "c":
            shapes = ", ".join(f"{x.dtype} of shape {x.shape}" for x in (x1, x2) if hasattr(x, "dtype"))
            raise TypeError(f"{name}: complex numbers have no order, got {shapes}")
        return launch(x1, x2)

    return checked


def _promoted(x1: Tensor, x2: Tensor, fractional: bool) -> tuple[Tensor, Tensor] | None:
    """The operands in the dtype in which they meet; None if they have it."""
    dtype = dtypes.promote_types(x1.dtype, x2.dtype)
    if fractional and dtype.kind in _INTEGERS:
        dtype = dtypes.get_default_dtype()
    if dtype == x1.dtype and dtype == x2.dtype:  # not one object each: pickling makes others
        return None
    return x1.astype(dtype, copy=False), x2.astype(dtype, copy=False)


def _lifted(function: Function, x1: Any, x2: Any) -> Any:
    """A binary op of which one operand or both are not tensors: numbers, arrays, sequences."""
    for x in (x1, x2):
        if x is None or isinstance(x, str):
            return NotImplemented
    if isinstance(x1, Tensor):
        if isinstance(x2, int) and not isinstance(x2, bool) and x1.dtype.kind in "iu":
            _check_int(function.__name__, x2, x1.dtype)
        return function(x1, lift(x2, x1))
    if isinstance(x2, Tensor):
        if isinstance(x1, int) and not isinstance(x1, bool) and x2.dtype.kind in "iu":
            _check_int(function.__name__, x1, x2.dtype)
        return function(lift(x1, x2), x2)
    return function(lift(x1), lift(x2))


def _check_int(name: str, value: Any, dtype: Any) -> None:
    """Refuse a Python integer that does not fit an integer dtype."""
    bits = 8 * dtype.itemsize
    low, high = (0, 2**bits - 1) if dtype.kind == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not low <= value <= high:
        raise OverflowError(f"{name}: the Python integer {value} does not fit {dtype}")


def primitive(
    name: str,
    forward: Callable[..., Any],
    *rules: Rule | None,
    joint: Rule | None = None,
    inputs: int | None = None,
    aux: tuple[str, ...] = (),
    outputs: int = 1,
    put: Callable[..., Any] | None = None,
    broadcasts: bool = False,
) -> Function:
    """Define an op of any shape of signature.

    Parameters
    ----------
    name : str
    forward : Kernel or callable
        ``forward(*inputs, *parameters)`` on arrays. Its parameter names are what rules may ask for. With ``aux``, it
        returns ``(out, *auxiliary)``; with several ``outputs``, a tuple of them.
    *rules : callable or None
        One per input, which come first in the signature.
    joint : callable, optional
        In place of ``rules``: ``joint(g, needs, ...)`` returns the gradients of all ``inputs`` at once.
    inputs : int, optional
        Number of inputs when ``joint`` is given.
    aux : tuple of str
        Names of auxiliary results that rules may ask for.
    put : callable, optional
        For an op whose result is a view of its input: ``put(x, part, *parameters)`` is ``x`` with the part replaced.
    """
    forward, parameters = _callable(forward)
    count = len(rules) if joint is None else int(inputs or 0)
    inputs_named = parameters[:count]
    joined = (joint,) if joint is not None else rules
    properties = _properties(inputs_named, joined)
    names = (*parameters, "out", *aux, *(f"{inputs_named[i]}_{what}" for i, what in properties))
    op = _defined(
        Op(
            name,
            joined,
            names,
            (*inputs_named, "out", *aux),
            joint=joint is not None,
            broadcasts=broadcasts,
            outputs=outputs,
        )
    )
    differentiable = tuple(i for i in range(count) if joint is not None or rules[i] is not None)
    indifferent = tuple(i for i in range(count) if i not in differentiable)
    alone = count == 1 and bool(differentiable)
    pick = op.pickers[0]
    if put is not None and alone and not (aux or joint is not None or outputs > 1):
        viewing = _viewing(name, op, forward, put, properties)
        _describe(viewing, name, "")
        return viewing
    recording = grad_mode.get
    several = outputs > 1 and op.saves_out

    def function(*args: Any) -> Any:
        x = args[0]
        nodes: tuple[Node | None, ...] | list[Node | None]
        plain = not isinstance(x, Tensor)
        if plain and on_arrays.get():
            try:
                result = forward(*args)
            except NeedsSamplesError as error:
                result = forward_over_batch(forward, args, error)
            return result[0] if aux else result
        if alone and not plain:
            node = x._node
            recorded = node is not None
            nodes = (node,)
            try:
                result = forward(x._data, *args[1:])
            except NeedsSamplesError as error:
                result = forward_over_batch(forward, (x._data, *args[1:]), error)
        else:
            arrays = list(args)
            nodes = [None] * count
            recorded = False
            for i in differentiable:
                x = args[i]
                if isinstance(x, Tensor):
                    arrays[i] = x._data
                    node = x._node
                    if node is not None:
                        nodes[i] = node
                        recorded = True
            for i in indifferent:
                x = args[i]
                if isinstance(x, Tensor):
                    arrays[i] = x._data
            try:
                result = forward(*arrays)
            except NeedsSamplesError as error:
                result = forward_over_batch(forward, arrays, error)
        auxiliary: tuple[Any, ...] = ()
        if aux:
            result, auxiliary = result[0], result[1:]
        if not recorded or not recording():
            if outputs > 1:
                return tuple([Tensor(r) for r in result])
            made = Tensor(result)
        else:
            kept: Any = result
            if several:  # the rule sees them as they were, and the engine whether they still are
                kept = tuple([Tensor(r) for r in result])
            values = (*args, kept, *auxiliary)
            if properties:
                values += tuple([getattr(args[i], what, None) for i, what in properties])
            if joint is not None:
                saved = pick(values)
            elif count == 1:
                saved = (pick(values),)
            else:
                saved = tuple([() if n is None else p(values) for n, p in zip(nodes, op.pickers, strict=True)])
            if outputs > 1:
                node = Node(op, tuple(nodes), saved, tuple([(r.shape, r.dtype) for r in result]))
                results = tuple([Tensor(r, Branch(node, i, r.shape, r.dtype)) for i, r in enumerate(result)])
                if several:
                    for y, alias in zip(results, kept, strict=True):
                        y._storage = y._node.storage = alias._shared_storage()  # type: ignore[union-attr]
                return results
            made = Tensor(result, Node(op, tuple(nodes), saved, result.shape))
        return made

    _OPERANDS[function.__code__] = lambda values: values["args"]
    _describe(function, name, "")
    return function


def _viewing(
    name: str,
    op: Op,
    forward: Callable[..., Any],
    put: Callable[..., Any],
    properties: tuple[tuple[int, str], ...],
) -> Function:
    """The function of an op whose result is a view of its one input; many functions begin or end with some."""
    pick = op.pickers[0]
    recording = grad_mode.get

    def function(x: Any, *params: Any) -> Any:
        plain = not isinstance(x, Tensor)
        if plain and not on_arrays.get():
            raise TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
        data = x if plain else x._data
        try:
            result = forward(data, *params)
        except NeedsSamplesError as error:
            result = forward_over_batch(forward, (data, *params), error)
        if plain:
            return result
        node = x._node
        if node is None or not recording():
            made = Tensor(result)
        else:
            saved = pick((x, *params, result, *[getattr(x, what) for _, what in properties]))
            made = Tensor(result, Node(op, (node,), (saved,), result.shape))
        made._become_view(View(x, function, put, params))
        return made

    _OPERANDS[function.__code__] = lambda values: (values["x"], *values["params"])
    return function


def _properties(inputs: tuple[str, ...], rules: tuple[Rule | None, ...]) -> tuple[tuple[int, str], ...]:
    """Which inputs' shapes and dtypes the rules ask for, as positions and attributes."""
    asked = {word for rule in rules if rule is not None for word in _arguments(rule)}
    return tuple((i, what) for i, x in enumerate(inputs) for what in ("shape", "dtype") if f"{x}_{what}" in asked)


def _arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    return function.__code__.co_varnames[: function.__code__.co_argcount]


def variadic(name: str, forward: Callable[..., Any], rule: Rule) -> Function:
    """Define an op of a list of tensors.

    Parameters
    ----------
    name : str
    forward : Kernel or callable
        ``forward(arrays, *parameters)``.
    rule : callable
        ``rule(g, needs, shapes, *parameters)`` returns one gradient, or None, per tensor.
    """
    forward, parameters = _callable(forward)
    names = ("shapes", *parameters[1:], "out")
    op = _defined(Op(name, (rule,), names, ("out",), joint=True))

    def function(inputs: Any, *values: Any) -> Any:
        arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
        try:
            result = forward(arrays, *values)
        except NeedsSamplesError as error:
            result = forward_over_batch(forward, (arrays, *values), error)
        nodes: Any = [x._node for x in inputs if isinstance(x, Tensor)]
        if not nodes and on_arrays.get():
            return result
        if nodes.count(None) == len(nodes) or not grad_mode.get():
            return Tensor(result)
        nodes = tuple([x._node if isinstance(x, Tensor) else None for x in inputs])
        saved = op.pickers[0]((tuple(a.shape for a in arrays), *values, result))
        return Tensor(result, Node(op, nodes, saved, result.shape))

    _OPERANDS[function.__code__] = lambda values: (values["inputs"], *values["values"])
    _describe(function, name, "")
    return function
