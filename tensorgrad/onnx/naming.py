"""What inputs, results and sizes of a graph are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..nn.module import Module
from ..tensor import Tensor
from .alignment import Operand

__all__ = [
    "Axes", "check_axes", "distinct", "dynamic_sizes", "given_names", "leaves", "results", "size_names",
    "size_names_of_results",
]  # fmt: skip

Axes = Mapping[str, Mapping[int, str] | Sequence[int]]


def leaves(model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors among the arguments, named by their parameters."""
    try:
        parameters = list(inspect.signature(model.forward if isinstance(model, Module) else model).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    labels = []
    for i in range(len(args)):
        kind = parameters[min(i, len(parameters) - 1)] if parameters else None
        if kind is None or kind.kind is inspect.Parameter.VAR_POSITIONAL or i >= len(parameters):
            labels.append(f"{kind.name if kind is not None else 'input'}_{i}")
        else:
            labels.append(kind.name)
    yield from _named(zip(labels, args, strict=True))
    yield from _named(kwargs.items())


def _named(entries: Any) -> Iterator[tuple[str, Tensor]]:
    for label, value in entries:
        yield from results(value, label)


def results(value: Any, label: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested tuples, lists and dicts, with names of the way to them."""
    if isinstance(value, Tensor):
        yield label, value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from results(entry, f"{label}_{key}" if label else str(key))
    elif isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", range(len(value)))
        for key, entry in zip(fields, value, strict=True):
            yield from results(entry, f"{label or 'output'}_{key}" if not isinstance(key, str) or label else key)


def distinct(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        candidate, count = name, 0
        while candidate in found:
            count += 1
            candidate = f"{name}_{count}"
        found.append(candidate)
    return found


def given_names(what: str, given: Sequence[str] | None, own: Sequence[str]) -> list[str]:
    if given is None:
        return distinct(own)
    names = list(given)
    if len(names) != len(own) or len(set(names)) != len(names) or not all(isinstance(n, str) and n for n in names):
        raise ValueError(f"onnx.export: {what} must be {len(own)} different names (for {list(own)}), got {names}")
    return names


def dynamic_sizes(given: Axes) -> dict[str, dict[int, str]]:
    """The dynamic axes of each name."""
    found = {}
    for name, axes in given.items():
        entries = axes if isinstance(axes, Mapping) else {axis: f"{name}_dim{axis}" for axis in axes}
        found[name] = {int(axis): str(label) for axis, label in entries.items()}
    return found


def check_axes(names: Sequence[str], tensors: Sequence[Tensor], dynamic: list[dict[int, str]]) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for i, (name, x, axes) in enumerate(zip(names, tensors, dynamic, strict=True)):
        for axis in axes:
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(f"onnx.export: {name} of shape {x.shape} has no axis {axis} to be dynamic")
        dynamic[i] = {axis % x.ndim: label for axis, label in axes.items()}
        for axis, label in dynamic[i].items():
            n, other = sizes.setdefault(label, (x.shape[axis], name))
            if n != x.shape[axis]:
                raise ValueError(
                    f"onnx.export: the dynamic size {label!r} is {n} in {other} and {x.shape[axis]} in {name}"
                )
            if n == 0:
                raise ValueError(f"onnx.export: {name} of shape {x.shape} is empty along its dynamic axis {axis}")


def size_names(inputs: Sequence[Operand], dynamic: Sequence[Mapping[int, str]]) -> dict[tuple[Any, ...], str]:
    names: dict[tuple[Any, ...], str] = {}
    for x, axes in zip(inputs, dynamic, strict=True):
        for axis, label in axes.items():
            names.setdefault(tuple(v.array.shape[axis] for v in x.values), label)
    return names


def size_names_of_results(
    outputs: Sequence[Operand], names: Sequence[str], wanted: Mapping[str, Mapping[int, str]]
) -> dict[tuple[Any, ...], str]:
    found: dict[tuple[Any, ...], str] = {}
    for name, axes in wanted.items():
        if name not in names:
            continue
        x = outputs[list(names).index(name)]
        for axis, label in axes.items():
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(f"onnx.export: {name} of shape {x.values[0].array.shape} has no axis {axis}")
            found[tuple(v.array.shape[axis] for v in x.values)] = label
    return found
