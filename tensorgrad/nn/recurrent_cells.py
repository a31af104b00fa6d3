"""Cells, which hold the weights of one step of an RNN, LSTM or GRU."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..ops.memory import empty, zeros
from ..ops.recurrent import gru_step, lstm_step, rnn_step
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]

NONLINEARITIES = ("tanh", "relu")


# ------------------------------------------------------------------------------------------------ what all layers share
def draw(parameters: Iterable[Parameter], hidden_size: int) -> None:
    """Fill all parameters from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
    bound = 1 / math.sqrt(hidden_size)
    for parameter in parameters:
        init.uniform_(parameter, -bound, bound)


def check_sizes(name: str, **sizes: int) -> None:
    """Sizes are integers greater than 0."""
    for what, size in sizes.items():
        if isinstance(size, bool) or not hasattr(size, "__index__"):
            raise TypeError(f"{name}: {what} must be an int, got {type(size).__name__}")
        if size <= 0:
            raise ValueError(f"{name}: {what} must be greater than 0, got {size}")


def check_tensor(name: str, what: str, value: Any) -> None:
    """Inputs and states are tensors."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: {what} must be a Tensor, got {type(value).__name__}")


def check_pair(name: str, hx: Any) -> tuple[Tensor, Tensor]:
    """The hidden and the cell state of an LSTM."""
    if isinstance(hx, Tensor) or not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise TypeError(f"{name}: hx must be a pair of tensors, the hidden and the cell state, got {type(hx).__name__}")
    return hx[0], hx[1]


class _Cell(Module):
    """Weights of one step, with a number of gates side by side."""

    gates: int
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(self, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any) -> None:
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self.gates * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, device=device, dtype=dtype))
        self.weight_hh = Parameter(empty(rows, hidden_size, device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew."""
        draw(self.parameters(), self.hidden_size)

    def _product(self, input: Tensor) -> Tensor:
        """``input @ weight_ih.T + bias_ih``."""
        name = type(self).__name__
        check_tensor(name, "input", input)
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{name}: expected an input of shape (N, {self.input_size}) or ({self.input_size},), got {input.shape}"
            )
        return F.linear(input, self.weight_ih, self.bias_ih)

    def _state(self, input: Tensor, hx: Tensor | None) -> Tensor:
        """The state that was given, or zeros."""
        wanted = (*input.shape[:-1], self.hidden_size)
        if hx is None:
            return zeros(wanted, dtype=input.dtype, device=input.device)
        name = type(self).__name__
        check_tensor(name, "a state", hx)
        if hx.shape != wanted:
            raise ValueError(f"{name}: an input of shape {input.shape} needs a state of shape {wanted}, got {hx.shape}")
        return hx

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else f", bias={self.bias}")


# ----------------------------------------------------------------------------------------------------------- the cells
class RNNCell(_Cell):
    r"""One step of an Elman network: :math:`h' = f(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})`.

    Weights and biases are drawn from U(-k, k) with ``k = 1 / sqrt(hidden_size)``.

    Parameters
    ----------
    input_size, hidden_size : int
        Sizes of the last axis of input and state.
    bias : bool
        Whether there are the biases.
    nonlinearity : {"tanh", "relu"}
        The function f.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter
        Shapes (hidden_size, input_size) and (hidden_size, hidden_size).
    bias_ih, bias_hh : Parameter or None
        Shape (hidden_size,).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> cell = tg.nn.RNNCell(10, 20)
    >>> cell(tg.ones(3, 10)).shape
    (3, 20)
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(f"RNNCell: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """``(N, input_size), (N, hidden_size) -> (N, hidden_size)``, or without N; the state is at first 0."""
        x = self._product(input)
        y: Tensor = rnn_step(x, self._state(input, hx), self.weight_hh, self.bias_hh, self.nonlinearity)
        return y

    def extra_repr(self) -> str:
        shown = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + shown


class LSTMCell(_Cell):
    r"""One step of a long short-term memory.

    .. math::
        i, f, o &= \sigma(W_{ih} x + b_{ih} + W_{hh} h + b_{hh}) \\
        g &= \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh}) \\
        c' &= f c + i g \\
        h' &= o \tanh(c')

    Weights and biases are drawn from U(-k, k) with ``k = 1 / sqrt(hidden_size)``.

    Parameters
    ----------
    input_size, hidden_size : int
        Sizes of the last axis of input and states.
    bias : bool
        Whether there are the biases.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter
        Shapes (4 hidden_size, input_size) and (4 hidden_size, hidden_size): the rows of i, f, g and o.
    bias_ih, bias_hh : Parameter or None
        Shape (4 hidden_size,).

    Notes
    -----
    Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; with the forget gate of Gers et al., 2000.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> h, c = tg.nn.LSTMCell(10, 20)(tg.ones(3, 10))
    >>> h.shape, c.shape
    ((3, 20), (3, 20))
    """

    gates = 4

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """``(N, input_size)`` and a pair of ``(N, hidden_size)`` to such a pair, or all without N; by default 0."""
        x = self._product(input)
        given = (None, None) if hx is None else check_pair("LSTMCell", hx)
        h, c = (self._state(input, state) for state in given)
        return lstm_step(x, h, c, self.weight_hh, self.bias_hh)


class GRUCell(_Cell):
    r"""One step of a gated recurrent unit.

    .. math::
        r, z &= \sigma(W_{ih} x + b_{ih} + W_{hh} h + b_{hh}) \\
        n &= \tanh(W_{ih} x + b_{ih} + r (W_{hh} h + b_{hh})) \\
        h' &= (1 - z) n + z h

    Weights and biases are drawn from U(-k, k) with ``k = 1 / sqrt(hidden_size)``.

    Parameters
    ----------
    input_size, hidden_size : int
        Sizes of the last axis of input and state.
    bias : bool
        Whether there are the biases.

    Attributes
    ----------
    weight_ih, weight_hh : Parameter
        Shapes (3 hidden_size, input_size) and (3 hidden_size, hidden_size): the rows of r, z and n.
    bias_ih, bias_hh : Parameter or None
        Shape (3 hidden_size,).

    Notes
    -----
    Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014; the reset gate is applied after the
    product with the state.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.GRUCell(10, 20)(tg.ones(3, 10)).shape
    (3, 20)
    """

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """``(N, input_size), (N, hidden_size) -> (N, hidden_size)``, or without N; the state is at first 0."""
        y: Tensor = gru_step(self._product(input), self._state(input, hx), self.weight_hh, self.bias_hh)
        return y
