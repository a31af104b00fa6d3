"""The short way into a program: a generated function that checks what a call must not have changed, and replays.

A captured network of two small layers computes for ten microseconds; to look at the arguments with general code would
take as long again. So for calls whose arguments are tensors in plain memory and values, nested in tuples, lists and
dicts or not, the checks are written out, one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import backend, dtypes, tape
from ..kernels import registry
from ..ops.precision import autocast_region
from ..tape import Leaf, grad_mode
from ..tensor import Tensor
from .guards import HookGuard
from .signature import LEAF
from .source import Writer

__all__ = ["MISS", "Argument", "short_way"]

_BY_VALUE = (int, float, complex, str, bytes)

MISS = object()
"""What the short way returns if the call needs the long one."""


class Argument(NamedTuple):
    """What the array of an argument must be, and whether the tensor is on the tape."""

    kind: type
    shape: tuple[int, ...]
    dtype: Any
    strides: tuple[int, ...]
    device: backend.Device
    attached: bool


def short_way(
    structure: Any,
    specs: list[Argument],
    dangerous: bool,
    also_given: dict[int, Tensor],
    outside: list[tuple[Tensor, Any, Any]],
    hooks: list[tuple[int | None, HookGuard]],
    functions: list[tuple[Any, Any, Any, Any]],
    guards: list[Callable[[], bool]],
    lock: Any,
    finish: Callable[..., Any] | None,
    prepare: Callable[[], None] | None,
    program: Any,
) -> Callable[[tuple[Any, ...], dict[str, Any]], Any]:
    """A function of the arguments, those by position and those by name, that returns the results, or `MISS`.

    Parameters
    ----------
    structure
        Of the arguments, as `flatten` gives it.
    specs : list of Argument
        Of each tensor in there.
    dangerous : bool
        Whether the program writes memory from outside, so that arguments must have memory of their own.
    also_given : dict
        Arguments, by number, that the program also uses as what they are: no others can take their place.
    outside : list of (Tensor, array, node)
        Tensors that must still have that array and node.
    hooks : list of (int or None, HookGuard)
        Places on the tape, or numbers of arguments, that must still have those hooks.
    functions : list of (function, code, defaults, defaults by name)
        Functions that must still be so.
    guards : list of callable
        What else must hold.
    lock : lock
        Held while the program runs.
    finish : callable or None
        ``finish(results, tensors, arrays)`` gives what the call returns; None if that is one tensor of its own.
    prepare : callable or None
        Called before.
    program
        Has the ``replay`` whose ``run`` is called.
    """
    w = Writer()
    line, name = w.lines.append, w.name
    count = len(specs)
    miss = f"return {name(MISS)}"
    arrays = [f"i{i}" for i in range(count)]

    def need(condition: str) -> None:
        line(f"if not ({condition}): {miss}")

    need(f"not {name(registry)}._hooks and {name(tape)}.trace_forward is None")
    _, positional, named = structure
    tensors = [*_take_apart(w, need, positional, "args"), *_take_apart(w, need, named, "kwargs")]
    if count:
        need(" and ".join(f"{x}.__class__ is {name(Tensor)}" for x in tensors))
        line(f"{', '.join(arrays)}, = {', '.join(f'{x}._data' for x in tensors)},")
    for x, a, spec in zip(tensors, arrays, specs, strict=True):
        conditions = [
            f"{a}.__class__ is {name(spec.kind)}",
            f"{a}.shape == {name(spec.shape)}",
            f"{a}.dtype is {name(spec.dtype)}",
            f"{a}.strides == {name(spec.strides)}",
            f"{x}._node is {'not ' * spec.attached}None",
        ]
        if spec.device.is_cuda:
            conditions.append(f"{a}.data.device_id == {spec.device.index}")
        if dangerous:
            conditions.append(f"{a}.base is None")
        need(" and ".join(conditions))
    if dangerous:
        outer = {id(array) for _, array, _ in outside}
        if count:
            need(" and ".join(f"id({a}) not in {name(outer)}" for a in arrays))
    others = frozenset(id(tensor) for tensor, _, _ in outside)
    for i, x in enumerate(tensors):
        if i in also_given:
            need(f"{x} is {name(also_given[i])}")
        elif others:
            need(f"id({x}) not in {name(others)}")
    if count > 1:
        need(f"len({{{', '.join(f'id({x})' for x in tensors)}}}) == {count}")
    need(
        f"{name(grad_mode.get)}() is {grad_mode.get()} and {name(autocast_region.get)}() is None and "
        f"{name(dtypes)}._default is {name(dtypes.get_default_dtype())} and "
        f"{name(backend)}._default is {name(backend._default)}"
    )
    for tensor, array, node in outside:
        x = name(tensor)
        need(f"{x}._data is {name(array)} and {x}._node is {name(node)}")
    for place, hook in hooks:
        node = name(hook.node) if place is None else f"{tensors[place]}._node"
        leaf = isinstance(hook.node, Leaf)
        if hook.empty:
            same = "" if place is None else f"{node}.__class__ is {'' if leaf else 'not '}{name(Leaf)} and "
            need(f"{same}{node}.hooks is None" + (f" and {node}.after is None" if leaf else ""))
        else:
            need(f"{name(hook.holds)}({node})")
    for function, *parts in functions:
        expected = zip(("__code__", "__defaults__", "__kwdefaults__"), parts, strict=True)
        need(" and ".join(f"{name(function)}.{part} is {name(value)}" for part, value in expected))
    for guard in guards:
        need(f"{name(guard)}()")
    error_state = registry.error_state
    line(f"{name(lock)}.acquire()")
    line("try:")
    if prepare is not None:
        line(f"    {name(prepare)}()")
    line(f"    token = {name(error_state.set)}({name(registry.SILENT)})")
    line("    try:")
    line(f"        results = {name(program)}.replay.run({', '.join(arrays)})")
    line("    finally:")
    line(f"        {name(error_state.reset)}(token)")
    if finish is None:
        line(f"    return {name(Tensor)}(results[0])")
    else:
        line(f"    return {name(finish)}(results, [{', '.join(tensors)}], [{', '.join(arrays)}])")
    line("finally:")
    line(f"    {name(lock)}.release()")
    return w.function("def enter(args, kwargs)")


def _take_apart(w: Writer, need: Callable[[str], None], structure: Any, source: str) -> list[str]:
    """Write lines that put what is nested in a variable into others and check values; the names of the tensors."""
    if structure is LEAF:
        return [source]
    kind, *parts = structure
    if kind is None:
        kind, value, *zero = structure[1:]
        if kind in _BY_VALUE:
            same = f"repr({source}) == {zero[0]!r}" if zero else f"{source} == {w.name(value)}"
            need(f"{source}.__class__ is {w.name(kind)} and {same}")
        else:
            need(f"{source} is {w.name(value)}")
        return []
    values = source
    if kind is slice:
        values, same = f"{source}.start, {source}.stop, {source}.step", "True"
    elif kind is dict:
        keys, *parts = parts
        values = f"{source}.values()"
        same = f"tuple({source}) == {w.name(keys)}" if keys else f"not {source}"
    else:
        same = f"len({source}) == {len(parts)}"
    need(f"{source}.__class__ is {w.name(kind)} and {same}")
    targets = [f"{source}_{i}" for i in range(len(parts))]
    if targets:
        w.lines.append(f"{', '.join(targets)}, = {values}")
    return [x for target, part in zip(targets, parts, strict=True) for x in _take_apart(w, need, part, target)]
