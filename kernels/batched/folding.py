"""Instructions whose operands have a batch axis of their own, or channels: the samples are more of those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..sequences import operand_gradients
from .array import BatchedArray, Level, data_at, spread, whole

__all__ = ["RULES", "fold", "unfold"]


def fold(x: Any, level: Level, axis: int) -> Any:
    """All samples in one array, one after the other along an axis."""
    data = spread(x, level)
    if axis:
        order = list(range(1, data.ndim))
        order.insert(axis, 0)
        data = data.transpose(tuple(order))
    shape = data.shape
    return data.reshape((*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]))


def unfold(y: Any, level: Level, axis: int) -> BatchedArray:
    """The samples apart again."""
    shape = y.shape
    data = y.reshape((*shape[:axis], level.size, shape[axis] // max(level.size, 1), *shape[axis + 1 :]))
    if axis:
        order = list(range(data.ndim))
        order.insert(0, order.pop(axis))
        data = data.transpose(tuple(order))
    return BatchedArray(data, level)


def _folded(operands: dict[str, int], results: tuple[int, ...]) -> Callable[..., Any]:
    """A rule that folds some operands along the given axes; the others must be shared by all samples."""

    def rule(kernel: Any, level: Level, /, **values: Any) -> Any:
        if not level.size:
            return NotImplemented
        along = values.get("batch_first")
        given = []
        for name, value in values.items():
            if name in operands and value is not None:
                given.append(fold(value, level, _place(operands[name], along)))
            elif data_at(value, level) is not None:
                return NotImplemented
            else:
                given.append(value)
        found = kernel(*given)
        if not isinstance(found, tuple):
            return unfold(found, level, _place(results[0], along))
        return tuple(unfold(r, level, _place(axis, along)) for r, axis in zip(found, results, strict=False))

    return rule


_STEPS = -1  # the batch axis of a sequence: the second, or the first with batch_first


def _place(axis: int, batch_first: Any) -> int:
    return (0 if batch_first else 1) if axis == _STEPS else axis


def _convolution(operands: dict[str, int], weight: str, result: int, shared: Callable[..., Any]) -> Callable[..., Any]:
    """Where each sample has a weight of its own, samples are groups of channels; else they are more samples."""

    def rule(kernel: Any, level: Level, /, **values: Any) -> Any:
        if not level.size:
            return NotImplemented
        if weight and data_at(values[weight], level) is None and values.get("bias") is None:
            return shared(kernel, level, **values)
        if weight and data_at(values[weight], level) is None and data_at(values["bias"], level) is None:
            return shared(kernel, level, **values)
        groups = values["groups"]
        for name, axis in operands.items():
            if values.get(name) is not None:
                values[name] = fold(values[name], level, axis)
        values["groups"] = groups * level.size
        return unfold(kernel(*values.values()), level, result)

    return rule


def _attention(rule: Callable[..., Any]) -> Callable[..., Any]:
    def attended(kernel: Any, level: Level, /, **values: Any) -> Any:
        mask = values["mask"]
        if values["p"]:
            return NotImplemented  # the same elements are dropped in every sample
        if mask is not None and (data_at(mask, level) is not None or (mask.ndim == 4 and mask.shape[0] > 1)):
            if mask.ndim < 4:
                mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
            values["mask"] = fold(whole(mask, (values["q"].shape[0], *mask.shape[1:])), level, 0)
        return rule(kernel, level, **values)

    return attended


def _recurrent(way_back: str, *operands: str) -> Callable[..., Any]:
    """The gradients of a recurrent layer: the way back, which takes the given operands, and then products."""

    def rule(kernel: Any, level: Level, /, **values: Any) -> Any:
        from .. import INSTRUCTIONS, concat, copy, matmul, sum

        order = values["batch_first"], values["reverse"]
        sums, *others = INSTRUCTIONS[way_back](*(values[name] for name in operands), *order)
        hidden = others.pop(0) if way_back == "gru_backward" else sums
        wanted, x, h, y, weight_ih = (values[name] for name in ("wanted", "x", "h", "y", "weight_ih"))
        return operand_gradients(
            wanted, others, sums, hidden, x, h, y, weight_ih, *order, matmul=matmul, total=sum, concat=concat, copy=copy
        )

    return rule


_CONV = {"x": 1, "weight": 0, "bias": 0}
_LOGITS = {"logits": 0, "target": 0}
_QKV = {"q": 0, "k": 0, "v": 0}

RULES: dict[str, Any] = {
    "conv": _convolution(_CONV, "weight", 1, _folded({"x": 0}, (0,))),
    "conv_input_gradient": _convolution({"g": 1, "weight": 0}, "weight", 1, _folded({"g": 0}, (0,))),
    "conv_weight_gradient": _convolution({"g": 1, "x": 1}, "", 0, _folded({}, ())),
    "max_pool": _folded({"x": 0}, (0, 0)),
    "max_pool_values": _folded({"x": 0}, (0,)),
    "max_pool_backward": _folded({"g": 0, "indices": 0}, (0,)),
    "avg_pool": _folded({"x": 0}, (0,)),
    "avg_pool_backward": _folded({"g": 0}, (0,)),
    "cross_entropy": _folded(_LOGITS, (0, 0)),
    "cross_entropy_backward": _folded({"g": 0, **_LOGITS, "lse": 0}, (0,)),
    "soft_cross_entropy": _folded(_LOGITS, (0, 0)),
    "soft_cross_entropy_backward": _folded({"g": 0, **_LOGITS, "lse": 0}, (0,)),
    "batch_norm": _folded({"x": 1, "weight": 0, "bias": 0}, (1, 0, 0)),
    "batch_norm_backward": _folded({"g": 1, "x": 1, "mean": 0, "var": 0, "weight": 0}, (1, 0, 0)),
    "batch_norm_with": _folded({"x": 1, "mean": 0, "var": 0, "weight": 0, "bias": 0}, (1,)),
    "attention": _attention(_folded(_QKV, (0, 0))),
    "attention_backward": _attention(_folded({"g": 0, **_QKV, "y": 0, "lse": 0}, (0, 0, 0))),
    "lstm": _folded({"x": _STEPS, "h": 0, "c": 0}, (_STEPS, 0, 2)),
    "lstm_backward": _folded({"g": _STEPS, "gc": 0, "kept": 2}, (_STEPS, 0, 0)),
    "gru": _folded({"x": _STEPS, "h": 0}, (_STEPS, 2)),
    "gru_backward": _folded({"g": _STEPS, "kept": 2}, (_STEPS, _STEPS, 0)),
    "rnn": _folded({"x": _STEPS, "h": 0}, (_STEPS,)),
    "rnn_backward": _folded({"g": _STEPS, "y": _STEPS}, (_STEPS, 0)),
    "lstm_gradients": _recurrent("lstm_backward", "g", "gc", "kept", "weight_hh"),
    "gru_gradients": _recurrent("gru_backward", "g", "kept", "weight_hh"),
    "rnn_gradients": _recurrent("rnn_backward", "g", "y", "weight_hh", "nonlinearity"),
}
