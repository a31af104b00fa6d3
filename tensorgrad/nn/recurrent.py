"""Recurrent networks over whole sequences: one kernel for each direction of a layer."""

from __future__ import annotations

from typing import Any

from ..ops.recurrent import gru, lstm, lstm_step, rnn, stepwise
from ..tensor import Tensor
from .recurrent_base import Recurrent, State, last_state
from .recurrent_cells import NONLINEARITIES, check_pair
from .utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN"]


class RNN(Recurrent):
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

    def _sequence(self, x: Tensor, state: State, end: str, batch_first: bool, reverse: bool) -> tuple[Tensor, State]:
        y = rnn(x, state[0], *self._weights(end), self.nonlinearity, batch_first, reverse)
        return y, (last_state(y, batch_first, reverse),)

    def forward(self, input: Tensor | PackedSequence, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """Run over the sequence.

        Parameters
        ----------
        input : Tensor or PackedSequence
            Shape (T, N, input_size), with ``batch_first`` (N, T, input_size); or (T, input_size); or sequences of
            several lengths, packed.
        hx : Tensor, optional
            The first states, shape (num_layers * directions, N, hidden_size), or without N; by default 0.

        Returns
        -------
        output, h_n : Tensor
            The states of the last layer at every step, shape (T, N, directions * hidden_size) or as the input's, and
            the last states of all layers, shape as ``hx``. The output is packed if the input is.
        """
        output, (h,) = self._run(input, (hx,))
        return output, h


class LSTM(Recurrent):
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
        Size of the last axis of h, if it is to be smaller than ``hidden_size``; 0 for no projection. With one, the
        steps are taken one by one, which is several times slower.

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

    def _sequence(self, x: Tensor, state: State, end: str, batch_first: bool, reverse: bool) -> tuple[Tensor, State]:
        if not self.proj_size:
            y, c = lstm(x, state[0], state[1], *self._weights(end), batch_first, reverse)
            return y, (last_state(y, batch_first, reverse), c)
        projection = getattr(self, "weight_hr" + end)

        def step(x: Any, state: Any, weight: Any, bias: Any) -> Any:
            return lstm_step(x, state[0], state[1], weight, bias, projection)

        y, *last = stepwise(step, x, state, self._weights(end), batch_first, reverse)
        return y, tuple(last)

    def forward(
        self, input: Tensor | PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        """As `RNN.forward`, with pairs of hidden and cell states: ``(output, (h_n, c_n))``."""
        output, (h, c) = self._run(input, (None, None) if hx is None else check_pair("LSTM", hx))
        return output, (h, c)


class GRU(Recurrent):
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

    def _sequence(self, x: Tensor, state: State, end: str, batch_first: bool, reverse: bool) -> tuple[Tensor, State]:
        y = gru(x, state[0], *self._weights(end), batch_first, reverse)
        return y, (last_state(y, batch_first, reverse),)

    def forward(self, input: Tensor | PackedSequence, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        """As `RNN.forward`: ``(output, h_n)``."""
        output, (h,) = self._run(input, (hx,))
        return output, h
