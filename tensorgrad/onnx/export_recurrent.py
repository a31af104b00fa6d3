"""Nodes of the recurrent layers. ONNX orders the gates of a weight in its own way, and has an axis of directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .alignment import Operand, Step
from .graph import Graph, exports

__all__: list[str] = []

_LSTM_GATES = (0, 3, 1, 2)  # ours are input, forget, cell, output; ONNX's input, output, forget, cell
_GRU_GATES = (1, 0, 2)  # ours are reset, update, new; ONNX's update, reset, new


def _ordered(g: Graph, weight: Any, gates: tuple[int, ...], hidden: int) -> str:
    """The rows of a weight or bias in ONNX's order."""
    if len(gates) == 1:
        return g.name_of(weight)
    rows = np.concatenate([np.arange(gate * hidden, (gate + 1) * hidden) for gate in gates])
    return g.op("Gather", weight, rows.astype(np.int64), axis=0)


def _in_front(g: Graph, x: Any) -> str:
    """With an axis of one direction."""
    return g.op("Unsqueeze", x, g.integers([0]))


def _layer(
    g: Graph, kind: str, x: Operand, states: tuple[Operand, ...], weights: tuple[Any, ...], gates: tuple[int, ...],
    batch_first: bool, reverse: bool, **attributes: Any,
) -> list[str]:  # fmt: skip
    """The hidden states of all steps and, for LSTM, the last cell state."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    hidden = weight_hh.shape[1]
    zeros = np.zeros(len(gates) * hidden, x.dtype)
    biases: Any = ""
    if bias_ih is not None or bias_hh is not None:
        parts = [zeros if b is None else _ordered(g, b, gates, hidden) for b in (bias_ih, bias_hh)]
        biases = _in_front(g, g.op("Concat", *parts, axis=0))
    sequence = g.op("Transpose", x, perm=[1, 0, 2]) if batch_first else g.name_of(x)
    outputs = g.ops(
        kind, sequence, *(_in_front(g, _ordered(g, w, gates, hidden)) for w in (weight_ih, weight_hh)), biases, "",
        *(_in_front(g, state) for state in states), hidden_size=hidden, direction="reverse" if reverse else "forward",
        outputs=3 if kind == "LSTM" else 2, **attributes,
    )  # fmt: skip
    y = g.op("Squeeze", outputs[0], g.integers([1]))
    y = g.op("Transpose", y, perm=[1, 0, 2]) if batch_first else y
    return [y] if kind != "LSTM" else [y, g.op("Squeeze", outputs[2], g.integers([0]))]


@exports("lstm")
def _lstm(
    g: Graph, step: Step, x: Operand, h: Operand, c: Operand, w_ih: Operand, w_hh: Operand, b_ih: Operand | None,
    b_hh: Operand | None, batch_first: bool = False, reverse: bool = False, keep: bool = False,
) -> list[str]:  # fmt: skip
    return _layer(g, "LSTM", x, (h, c), (w_ih, w_hh, b_ih, b_hh), _LSTM_GATES, batch_first, reverse)


@exports("gru")
def _gru(
    g: Graph, step: Step, x: Operand, h: Operand, w_ih: Operand, w_hh: Operand, b_ih: Operand | None,
    b_hh: Operand | None, batch_first: bool = False, reverse: bool = False, keep: bool = False,
) -> list[str]:  # fmt: skip
    weights = (w_ih, w_hh, b_ih, b_hh)
    return _layer(g, "GRU", x, (h,), weights, _GRU_GATES, batch_first, reverse, linear_before_reset=1)


@exports("rnn")
def _rnn(
    g: Graph, step: Step, x: Operand, h: Operand, w_ih: Operand, w_hh: Operand, b_ih: Operand | None,
    b_hh: Operand | None, nonlinearity: str = "tanh", batch_first: bool = False, reverse: bool = False,
) -> list[str]:  # fmt: skip
    weights = (w_ih, w_hh, b_ih, b_hh)
    activation = {"tanh": "Tanh", "relu": "Relu"}[nonlinearity]
    return _layer(g, "RNN", x, (h,), weights, (0,), batch_first, reverse, activations=[activation])
