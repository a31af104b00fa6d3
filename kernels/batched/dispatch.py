"""One launch on batched arrays: which rule it takes, and the loop over samples where there is none."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from typing import Any

from .. import rules
from . import along, elementwise, folding, indexing, memory, norm, product, reduction
from .array import (
    ALLOCATING,
    BatchedArray,
    Level,
    NeedsSamplesError,
    allocated,
    batched_in,
    data_at,
    empty_like,
    innermost,
    levels_of,
)

__all__ = ["forward_over_batch", "launch_batched", "over_samples"]

Rule = Callable[..., Any]

OWN: dict[str, Rule] = {
    name: rule for family in (memory, indexing, product, norm, folding, along) for name, rule in family.RULES.items()
}
"""The kernels that need more than their declaration says."""

_REDUCTIONS = (rules.reduced, rules.reduced_boolean, rules.reduced_index, rules.reduced_size)
_STACKS = ("decomposition", "solving")  # families of functions of matrices, which take any axes before them


@cache
def _parameters(kernel: Any) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Names of a kernel's parameters, and their defaults."""
    function = ast.parse(f"def f({kernel.signature}): ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    names = [a.arg for a in function.args.args]
    given = function.args.defaults
    defaults = {name: ast.literal_eval(d) for name, d in zip(names[len(names) - len(given) :], given, strict=True)}
    if kernel.rule is not rules.in_place:
        names.append("out")
        defaults["out"] = None
    return tuple(names), defaults


def launch_batched(kernel: Any, args: tuple[Any, ...], params: dict[str, Any], level: Level | None) -> Any:
    """Launch on arrays of which some are one per sample of ``level``; no deeper level's are among them.

    Without a level, it is a copy, which gets memory for each sample where new arrays do.
    """
    allocating = ALLOCATING.get()
    if allocating:
        missing = [new for new in allocating if new not in levels_of(args[0])] if kernel.name == "copy" else []
        token = ALLOCATING.set(())  # what the whole batch is computed with is not allocated for each sample once more
        try:
            return _spread_copy(kernel, args[0], missing) if missing else launch_batched(kernel, args, params, level)
        finally:
            ALLOCATING.reset(token)
    if level is None:
        return kernel._launched(args, params)
    names, defaults = _parameters(kernel)
    given = {**defaults, **dict(zip(names, args, strict=False)), **params}
    values = {name: given[name] for name in names}
    if kernel.rule is rules.by_values:
        raise RuntimeError(next(batched_in(values.values())).refusal())
    out = values.pop("out", None) if kernel.rule is not rules.in_place else None
    if kernel.elementwise or kernel.rule is rules.same:
        return elementwise.launch(kernel, level, [values[name] for name in names if name != "out"], out)
    if kernel.rule is rules.in_place:
        check_target(kernel, level, values[names[0]])
    rule = _rule_of(kernel)
    result = NotImplemented if rule is None else rule(kernel, level, **values)
    if result is NotImplemented:
        arguments = [values[name] for name in names if name in values]
        result = over_samples(kernel, arguments, level)
    if out is None:
        return result
    from .. import assign

    for place, value in zip(*((out, result) if isinstance(out, (tuple, list)) else ((out,), (result,))), strict=True):
        if place is not None:
            assign(place, value)
    return out


def _spread_copy(kernel: Any, array: Any, missing: list[Level]) -> Any:
    """A copy of an array for each sample of more levels."""
    from .. import assign

    levels = (*levels_of(array), *missing)
    out = allocated(lambda shape: empty_like(array, shape), array.shape, levels)
    assign(out, array)
    return out


def _rule_of(kernel: Any) -> Rule | None:
    if kernel.name in OWN:
        return OWN[kernel.name]
    if kernel.rule in _REDUCTIONS:
        return reduction.launch
    if "axis" in _parameters(kernel)[0]:
        return along.launch
    if kernel.family in _STACKS:
        return product.stacked
    return None


def check_target(kernel: Any, level: Level, out: Any) -> None:
    """What is written must have memory for each sample."""
    targets = list(out) if isinstance(out, (list, tuple)) else [out]
    if all(data_at(target, level) is not None for target in targets):
        return
    raise NeedsSamplesError(
        level,
        f"vmap: {level.name} writes values that differ from sample to sample ({kernel.name}) into a tensor that all "
        f"{level.size} samples share, of shape {targets[0].shape}; compute a new tensor, or make it with "
        "zeros_like or clone from one that is mapped over",
    )


def _sample(value: Any, level: Level, i: int) -> Any:
    """What an argument is for one sample."""
    if isinstance(value, BatchedArray):
        return value.data[i, ...] if value.level is level else value
    if isinstance(value, (tuple, list)):
        return type(value)(_sample(v, level, i) for v in value)
    return value


def _stacked(results: list[Any], level: Level) -> Any:
    """The results of all samples as one."""
    first = results[0]
    if isinstance(first, (tuple, list)):
        return type(first)(_stacked([r[k] for r in results], level) for k in range(len(first)))
    if not hasattr(first, "dtype"):
        return first
    from .. import concat

    if len({r.shape for r in results}) > 1:
        raise NeedsSamplesError(
            level,
            f"vmap: in {level.name}, the shape of a result depends on values: {results[0].shape} for one sample, "
            f"{next(r.shape for r in results if r.shape != first.shape)} for another",
        )
    return BatchedArray(concat([r[None] for r in results], 0), level)


def over_samples(function: Callable[..., Any], args: Any, level: Level) -> Any:
    """``function(*args)`` for one sample after the other: right for everything, and slow."""
    if not level.size:
        raise NeedsSamplesError(level, f"vmap: {level.name} cannot be mapped over no samples: it needs one to run once")
    return _stacked([function(*(_sample(a, level, i) for a in args)) for i in range(level.size)], level)


def forward_over_batch(forward: Callable[..., Any], args: Any, error: NeedsSamplesError) -> Any:
    """What a function of arrays returns, although it writes into arrays that it makes or reads values.

    First with memory for each sample wherever it makes an array; then for one sample after the other.
    """
    level = error.level
    if innermost(*args) is None:
        raise error
    if level not in ALLOCATING.get():
        token = ALLOCATING.set((*ALLOCATING.get(), level))
        try:
            return forward(*args)
        except NeedsSamplesError:
            pass
        finally:
            ALLOCATING.reset(token)

    def once(*values: Any) -> Any:
        try:
            return forward(*values)
        except NeedsSamplesError as inner:
            return forward_over_batch(forward, values, inner)

    return over_samples(once, args, level)
