"""Optimizer steps on CUDA: all tensors of one dtype in one launch, up to the size of the argument table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cupy
import numpy as np

from .module import FLOATS, c_name, launch, stored

__all__ = ["INSTANTIATIONS", "adam_step", "global_norm", "scale", "sgd_step"]

INSTANTIATIONS = {
    "optimizer": [
        *(f"{kernel}<{t}>" for kernel in ("sgd_step", "adam_step", "scale") for t in FLOATS),
        *(f"add_powers<{t}, {r}>" for t in FLOATS for r in ("float", "double") if (t, r) != ("double", "float")),
        *(f"finish_norm<{r}>" for r in ("float", "double")),
        "advance_steps",
    ]
}

_CHUNK, _TABLE_WORDS = 4096, 480  # as in optimizer.cu
_WORD = np.dtype((np.void, 8 * _TABLE_WORDS))


def _tables(rows: Sequence[tuple[Any, ...]], lists: int) -> Iterable[tuple[Any, int, int]]:
    """The rows, each the ``lists`` arrays of one tensor, as ``(table, tensors, blocks)``, in few tables."""
    capacity = _TABLE_WORDS // (lists + 2)
    for start in range(0, len(rows), capacity):
        part = rows[start : start + capacity]
        words = np.zeros(_TABLE_WORDS, np.int64)
        table = words[: capacity * (lists + 2)].reshape(lists + 2, capacity)
        first = 0
        for i, arrays in enumerate(part):
            size = arrays[0].size
            table[:, i] = [*(0 if a is None else a.data.ptr for a in arrays), size, first]
            first += -(-size // _CHUNK)
        yield words.view(_WORD), len(part), first


def _grouped(rows: Iterable[tuple[Any, ...]], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        if row[0].size:
            groups.setdefault(key(row), []).append(row)
    return groups


def _in_memory_order(row: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[tuple[Any, Any]]]:
    """The arrays, contiguous, and ``(array, copy)`` for those that must be written back."""
    arrays, copies = [], []
    for array in row:
        if array is None or array.flags.c_contiguous:
            arrays.append(array)
            continue
        arrays.append(cupy.ascontiguousarray(array))
        copies.append((array, arrays[-1]))
    return tuple(arrays), copies


def _launch_all(
    kernel: str, dtype: Any, rows: list[tuple[Any, ...]], lists: int, lr: Any, options: Iterable[float]
) -> None:
    contiguous, copies = [], []
    for row in rows:
        arrays, back = _in_memory_order(row)
        contiguous.append(arrays)
        copies += back
    lr_array = None
    if hasattr(lr, "dtype") and not isinstance(lr, (np.generic, np.ndarray)):
        lr_array, lr = lr.astype(np.float32, copy=False), 0.0
    packed = np.array([float(o) for o in options])
    packed = packed.view(np.dtype((np.void, packed.nbytes)))
    for table, count, grid in _tables(contiguous, lists):
        arguments = (table, np.int32(count), lr_array, float(lr), packed)
        launch("optimizer", f"{kernel}<{c_name(dtype)}>", (grid,), (256,), arguments)
    for array, copy in copies:
        array[...] = copy


def sgd_step(
    params: Sequence[Any],
    grads: Sequence[Any],
    momentum_buffers: Sequence[Any] | None,
    lr: Any,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first_step: Any,
) -> None:
    """Stochastic gradient descent with momentum, in place. ``lr`` is a number or a 0-d array on the device."""
    n = len(params)
    buffers = momentum_buffers if momentum and momentum_buffers else [None] * n
    first = first_step if isinstance(first_step, (list, tuple)) else [first_step] * n
    rows = zip(params, grads, buffers, first, strict=True)
    for (_, is_first), group in _grouped(rows, lambda row: (row[0].dtype.name, bool(row[3]))).items():
        options = (momentum, dampening, weight_decay, nesterov, maximize, is_first)
        _launch_all("sgd_step", group[0][0].dtype, [row[:3] for row in group], 3, lr, options)


def adam_step(
    params: Sequence[Any],
    grads: Sequence[Any],
    exp_avgs: Sequence[Any],
    exp_avg_sqs: Sequence[Any],
    max_exp_avg_sqs: Sequence[Any] | None,
    steps: Sequence[Any],
    lr: Any,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """Adam, AdamW (``decoupled_weight_decay``) and AMSGrad (``max_exp_avg_sqs``), in place.

    ``steps`` are 0-d float32 arrays on the device, counted up here; ``lr`` is a number or a 0-d array on the device.
    """
    largest = max_exp_avg_sqs or [None] * len(params)
    for table, count, _ in _tables([(step,) for step in steps], 1):
        launch("optimizer", "advance_steps", (-(-count // 128),), (128,), (table, np.int32(count)))
    options = (
        *(math.log(beta) if beta > 0 else -math.inf for beta in (beta1, beta2)),
        *(beta1, beta2, eps, weight_decay, decoupled_weight_decay, maximize, bool(max_exp_avg_sqs)),
    )
    rows = zip(params, grads, exp_avgs, exp_avg_sqs, largest, steps, strict=True)
    for group in _grouped(rows, lambda row: row[0].dtype.name).values():
        _launch_all("adam_step", group[0][0].dtype, group, 6, lr, options)


def global_norm(arrays: Sequence[Any], p: float = 2.0, out: Any | None = None) -> Any:
    """The p-norm of all elements of a list together, one launch for every dtype and one for the sum of their shares."""
    result = np.dtype(np.float64 if any(a.dtype.itemsize == 8 for a in arrays) else np.float32)
    launches = []
    count = 0
    groups = _grouped(((cupy.ascontiguousarray(a),) for a in arrays), lambda row: row[0].dtype)  # alive until launched
    for dtype, rows in groups.items():
        for table, tensors, grid in _tables(rows, 1):
            launches.append((dtype, table, tensors, grid, count))
            count += grid
    partial = cupy.empty(max(count, 1), result)
    power = math.inf if p == math.inf else float(p)
    for dtype, table, tensors, grid, first in launches:
        name = f"add_powers<{c_name(dtype)}, {c_name(result)}>"
        launch("optimizer", name, (grid,), (256,), (table, np.int32(tensors), power, partial[first:]))
    y = cupy.empty((), result) if out is None or out.dtype != result else out
    launch("optimizer", f"finish_norm<{c_name(result)}>", (1,), (512,), (partial, count, power, y))
    return stored(y, out)


def scale(arrays: Sequence[Any], factor: Any) -> None:
    """Multiply every array of a list, in place, by a number or a 0-d array on the device."""
    single = double = None
    if hasattr(factor, "dtype") and not isinstance(factor, (np.generic, np.ndarray)):
        single, double = (None, factor) if factor.dtype == np.float64 else (factor.astype(np.float32, copy=False), None)
        factor = 0.0
    for dtype, rows in _grouped(((a,) for a in arrays), lambda row: row[0].dtype).items():
        pairs = [_in_memory_order(row) for row in rows]
        for table, tensors, grid in _tables([contiguous for contiguous, _ in pairs], 1):
            arguments = (table, np.int32(tensors), single, double, float(factor))
            launch("optimizer", f"scale<{c_name(dtype)}>", (grid,), (256,), arguments)
        for _, copies in pairs:
            for array, copy in copies:
                array[...] = copy
