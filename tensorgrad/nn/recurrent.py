"""Recurrent networks over whole sequences.

The product of the inputs with their weights does not depend on the state, so it is one product for the whole sequence;
what is left for the loop over the steps is in ``recurrent_cells.py``.
"""

from __future__ import annotations

import warnings
from typing import Any

from ..ops.memory import empty, zeros
from ..ops.shape import concat, stack
from ..tensor import Tensor
from . import functional as F
from .module import Module
from .parameter import Parameter
from .recurrent_cells import (
    NONLINEARITIES,
    check_pair,
    check_sizes,
    check_tensor,
    draw,
    gru_step,
    lstm_step,
    rnn_step,
)

__all__ = ["GRU", "LSTM", "RNN"]


def _steps(x: Tensor) -> list[Tensor]:
    """The slices along the first axis. By halves, so that the gradient takes T log T and not T**2."""
    length = x.shape[0]
    if length == 1:
        return [x[0]]
    return _steps(x[: length // 2]) + _steps(x[length // 2 :])


class _Recurrent(Module):
    """Layers of recurrent networks, in one direction or two, each over the whole output of the layer below."""

    gates: int

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        device: Any,
        dtype: Any,
    ) -> None:
        name = type(self).__name__
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        for option, given in (("bias", bias), ("batch_first", batch_first)):
            if not isinstance(given, bool):
                raise TypeError(f"{name}: {option} must be a bool, got {type(given).__name__}")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout must be a probability between 0 and 1, got {dropout}")
        if dropout and num_layers == 1:
            warnings.warn(
                f"{name}: dropout={dropout} comes after every layer but the last, and there is only one",
                stacklevel=3,
            )
        if not 0 <= proj_size < hidden_size:
            raise ValueError(f"{name}: proj_size must be between 0 and hidden_size - 1, got {proj_size}")
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows, out = self.gates * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else out * (1 + bidirectional)
            for end in self._ends(layer):
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, out)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for what, shape in shapes.items():
                    self.register_parameter(what + end, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases anew."""
        draw(self.parameters(), self.hidden_size)

    def _ends(self, layer: int) -> list[str]:
        """How the names of a layer's parameters end, one per direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def _step(
        self, x: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, projection: Tensor | None
    ) -> tuple[Tensor, ...]:
        """The next state, with the output first."""
        raise NotImplementedError

    def _direction(self, x: Tensor, state: tuple[Tensor, ...], end: str) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One layer in one direction: the outputs (T, N, out) and the last state."""
        own = self._parameters
        weight_ih, weight_hh = getattr(self, "weight_ih" + end), getattr(self, "weight_hh" + end)
        bias, projection = own.get("bias_hh" + end), own.get("weight_hr" + end)
        products = _steps(F.linear(x, weight_ih, own.get("bias_ih" + end)))
        backwards = end.endswith("_reverse")
        outputs = []
        for product in reversed(products) if backwards else products:
            state = self._step(product, state, weight_hh, bias, projection)
            outputs.append(state[0])
        return stack(outputs[::-1] if backwards else outputs), state

    def _run(self, input: Tensor, given: tuple[Tensor | None, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All layers: the outputs of the last one, and the last states of all of them."""
        x, firsts = self._prepared(input, given)
        lasts: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            if layer:
                x = F.dropout(x, self.dropout, self.training)
            found = []
            for end in self._ends(layer):
                y, state = self._direction(x, tuple(first[len(lasts)] for first in firsts), end)
                found.append(y)
                lasts.append(state)
            x = found[0] if len(found) == 1 else concat(found, axis=-1)
        states: tuple[Tensor, ...] = tuple(stack(parts) for parts in zip(*lasts, strict=True))
        if input.ndim == 2:
            return x[:, 0], tuple(state[:, 0] for state in states)
        return (x.transpose(0, 1) if self.batch_first else x), states

    def _prepared(self, input: Tensor, given: tuple[Tensor | None, ...]) -> tuple[Tensor, list[Tensor]]:
        """The input as (T, N, input_size) and the first states as (layers * directions, N, size)."""
        name = type(self).__name__
        check_tensor(name, "input", input)
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            axes = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"{name}: expected an input of shape ({axes}, {self.input_size}), or (T, {self.input_size}) without a "
                f"batch, got {input.shape}"
            )
        x = input.expand_dims(1) if input.ndim == 2 else input.transpose(0, 1) if self.batch_first else input
        if not x.shape[0]:
            raise ValueError(f"{name}: the sequence must have at least one step, got an input of shape {input.shape}")
        directions = self.num_layers * (1 + self.bidirectional)
        firsts = []
        for hx, what, size in zip(
            given, ("h_0", "c_0"), (self.proj_size or self.hidden_size, self.hidden_size), strict=False
        ):
            if hx is None:
                firsts.append(zeros(directions, x.shape[1], size, dtype=x.dtype, device=x.device))
                continue
            check_tensor(name, what, hx)
            wanted = (directions, size) if input.ndim == 2 else (directions, x.shape[1], size)
            if hx.shape != wanted:
                raise ValueError(
                    f"{name}: an input of shape {input.shape} needs {what} of shape {wanted} "
                    f"(layers * directions{', N' * (input.ndim == 3)}, size), got {hx.shape}"
                )
            firsts.append(hx.expand_dims(1) if input.ndim == 2 else hx)
        return x, firsts

    def extra_repr(self) -> str:
        shown = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        given = [f", {k}={getattr(self, k)}" for k, default in shown.items() if getattr(self, k) != default]
        return f"{self.input_size}, {self.hidden_size}" + "".join(given)


class RNN(_Recurrent):
    r"""An Elman network over sequences: :math:`h_t = f(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})`.

    Weights and biases are drawn from U(-k, k) with ``k = 1 / sqrt(hidden_size)``.

    Parameters
    ----------
    input_size, hidden_size : int
        Sizes of the last axis of input and state.
    num_layers : int
        Each layer after the first has the outputs of the one before as its input.
    nonlinearity : {"tanh", "relu"}
        The function f.
    bias : bool
        Whether there are the biases.
    batch_first : bool
        Input and output are (batch, sequence, features) instead of (sequence, batch, features); states are not.
    dropout : float
        Probability with which an output of a layer, except the last, is dropped while training.
    bidirectional : bool
        Each layer also runs from the end to the start, with weights of its own; the outputs are joined.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter
        Shapes (hidden_size, input_size) and (hidden_size, hidden_size); ``_l1`` and so on for the layers above, whose
        input has hidden_size features, or twice as many with two directions; ``_l0_reverse`` for the other direction.
    bias_ih_l0, bias_hh_l0 : Parameter
        Shape (hidden_size,); they exist only with ``bias``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> output, h = tg.nn.RNN(10, 20, num_layers=2)(tg.ones(5, 3, 10))
    >>> output.shape, h.shape
    ((5, 3, 20), (2, 3, 20))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def _step(
        self, x: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, projection: Tensor | None
    ) -> tuple[Tensor, ...]:
        return (rnn_step(x, state[0], weight, bias, self.nonlinearity),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run over the sequence.

        Parameters
        ----------
        input : Tensor
            Shape (T, N, input_size), with ``batch_first`` (N, T, input_size); or (T, input_size).
        hx : Tensor, optional
            The first states, shape (num_layers * directions, N, hidden_size), or without N; by default 0.

        Returns
        -------
        output, h_n : Tensor
            The states of the last layer at every step, shape (T, N, directions * hidden_size) or as the input's, and
            the last states of all layers, shape as ``hx``.
        """
        output, (h,) = self._run(input, (hx,))
        return output, h


class LSTM(_Recurrent):
    r"""A long short-term memory over sequences.

    .. math::
        i_t, f_t, o_t &= \sigma(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}) \\
        g_t &= \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}) \\
        c_t &= f_t c_{t-1} + i_t g_t \\
        h_t &= W_{hr} (o_t \tanh(c_t))

    without :math:`W_{hr}` unless there is ``proj_size``. The options that are not named here are those of `RNN`.

    Parameters
    ----------
    input_size, hidden_size : int
        Sizes of the last axis of input and cell state.
    proj_size : int
        Size of the last axis of h, if it is to be smaller than ``hidden_size``; 0 for no projection.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter
        Shapes (4 hidden_size, input_size) and (4 hidden_size, proj_size or hidden_size): the rows of i, f, g and o.
    bias_ih_l0, bias_hh_l0 : Parameter
        Shape (4 hidden_size,); they exist only with ``bias``.
    weight_hr_l0 : Parameter
        Shape (proj_size, hidden_size); it exists only with ``proj_size``.

    Notes
    -----
    Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; the projection is that of Sak et al., 2014.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> output, (h, c) = tg.nn.LSTM(10, 20, batch_first=True, bidirectional=True)(tg.ones(3, 5, 10))
    >>> output.shape, h.shape, c.shape
    ((3, 5, 40), (2, 3, 20), (2, 3, 20))
    """

    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype
        )

    def _step(
        self, x: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, projection: Tensor | None
    ) -> tuple[Tensor, ...]:
        return lstm_step(x, state[0], state[1], weight, bias, projection)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """As `RNN.forward`, with pairs of hidden and cell states: ``(output, (h_n, c_n))``."""
        output, (h, c) = self._run(input, (None, None) if hx is None else check_pair("LSTM", hx))
        return output, (h, c)


class GRU(_Recurrent):
    r"""Gated recurrent units over sequences.

    .. math::
        r_t, z_t &= \sigma(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}) \\
        n_t &= \tanh(W_{ih} x_t + b_{ih} + r_t (W_{hh} h_{t-1} + b_{hh})) \\
        h_t &= (1 - z_t) n_t + z_t h_{t-1}

    The options are those of `RNN`.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0 : Parameter
        Shapes (3 hidden_size, input_size) and (3 hidden_size, hidden_size): the rows of r, z and n.
    bias_ih_l0, bias_hh_l0 : Parameter
        Shape (3 hidden_size,); they exist only with ``bias``.

    Notes
    -----
    Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014; the reset gate is applied after the
    product with the state.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> output, h = tg.nn.GRU(10, 20)(tg.ones(5, 3, 10))
    >>> output.shape, h.shape
    ((5, 3, 20), (1, 3, 20))
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )

    def _step(
        self, x: Tensor, state: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None, projection: Tensor | None
    ) -> tuple[Tensor, ...]:
        return (gru_step(x, state[0], weight, bias),)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `RNN.forward`: ``(output, h_n)``."""
        output, (h,) = self._run(input, (hx,))
        return output, h
