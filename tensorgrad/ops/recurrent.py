"""Recurrent layers: the formulas of one step, and whole sequences in one kernel.

The gradient of a sequence is one kernel, too. The gradient of that gradient comes from the formulas of the steps, which
are differentiated twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .. import autograd
from .. import kernels as K
from ..errors import ArgumentError
from ..tape import grad_mode, on_arrays
from ..tensor import Tensor
from .activation import relu, sigmoid
from .definition import Function, lift, primitive
from .elementwise import add, multiply, subtract, tanh
from .matmul import linear
from .memory import clone
from .precision import lowered
from .shape import stack, swapaxes

__all__ = ["gru", "gru_step", "lstm", "lstm_step", "rnn", "rnn_step", "stepwise"]

State = tuple[Any, ...]
Step = Callable[[Any, State, Any, Any], State]
"""``step(product of the input, state, weight_hh, bias_hh)`` is the next state, the hidden one first."""

_NONLINEARITIES = {"tanh": tanh, "relu": relu}


# ------------------------------------------------------------------------------------------------ formulas of one step
def rnn_step(x: Any, h: Any, weight: Any, bias: Any, nonlinearity: str) -> Any:
    """``f(x + h @ weight.T + bias)``, where ``x`` is the product of the input already."""
    return _NONLINEARITIES[nonlinearity](add(x, linear(h, weight, bias)))


def lstm_step(x: Any, h: Any, c: Any, weight: Any, bias: Any, projection: Any = None) -> tuple[Any, Any]:
    """The next hidden and cell state; ``x`` is the product of the input already, with all four gates side by side."""
    gates = add(x, linear(h, weight, bias))
    n = c.shape[-1]
    opened = sigmoid(gates[..., : 2 * n])
    c = add(multiply(opened[..., n:], c), multiply(opened[..., :n], tanh(gates[..., 2 * n : 3 * n])))
    h = multiply(sigmoid(gates[..., 3 * n :]), tanh(c))
    return (h if projection is None else linear(h, projection)), c


def gru_step(x: Any, h: Any, weight: Any, bias: Any) -> Any:
    """The next hidden state; ``x`` is the product of the input already, with all three gates side by side."""
    fed = linear(h, weight, bias)
    n = h.shape[-1]
    opened = sigmoid(add(x[..., : 2 * n], fed[..., : 2 * n]))
    new = tanh(add(x[..., 2 * n :], multiply(opened[..., :n], fed[..., 2 * n :])))
    return add(new, multiply(opened[..., n:], subtract(h, new)))


def _slices(x: Any) -> list[Any]:
    """The slices along the first axis. By halves, so that the gradient takes T log T and not T**2."""
    length = x.shape[0]
    if length == 1:
        return [x[0]]
    return _slices(x[: length // 2]) + _slices(x[length // 2 :])


def stepwise(step: Step, x: Any, state: State, weights: Sequence[Any], batch_first: bool, reverse: bool) -> State:
    """A whole sequence by single ops: the hidden states of all steps, and the last state.

    ``weights`` are those of the input and of the state, and their biases, which may be None.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    products = _slices(linear(swapaxes(x, 0, 1) if batch_first else x, weight_ih, bias_ih))
    outputs = []
    for product in reversed(products) if reverse else products:
        state = step(product, state, weight_hh, bias_hh)
        outputs.append(state[0])
    return stack(outputs[::-1] if reverse else outputs, axis=int(batch_first)), *state


# --------------------------------------------------------------------------------------------- gradients of first order
def _placed(needs: tuple[bool, ...], found: Sequence[Any]) -> tuple[Any, ...]:
    """The gradients found, each in the place of an input that needs one."""
    rest = iter(found)
    return tuple(next(rest) if need else None for need in needs)


# -------------------------------------------------------------------------------------------- gradients of second order
def _variable(x: Any, differentiated: bool) -> Any:
    """A tensor to differentiate by, which is no other's operand."""
    if x is None:
        return None
    copied = clone(x) if isinstance(x, Tensor) and x.requires_grad else Tensor(getattr(x, "_data", x))
    if differentiated and not copied.requires_grad:
        copied.requires_grad = True
    return copied


def _second_order(
    slopes: tuple[Any, ...],
    needs: tuple[bool, ...],
    cotangents: tuple[Any, ...],
    operands: tuple[Any, ...],
    wanted: tuple[bool, ...],
    sequence: Callable[..., State],
) -> tuple[Any, ...]:
    """The gradient of a first-order gradient, from ``sequence``, which gives the results by single ops.

    Parameters
    ----------
    slopes : tuple
        What comes back to the first-order gradients.
    needs : tuple of bool
        Which of ``cotangents``, ``operands`` and what follows need a gradient.
    cotangents, operands : tuple
        The gradients of the results, and what the results are a function of.
    wanted : tuple of bool
        By which operands the first-order gradients are.
    """
    recorded = isinstance(slopes[0], Tensor)
    arrays, recording = on_arrays.set(False), grad_mode.set(True)
    try:
        g = tuple(_variable(x, True) for x in cotangents)
        inner = needs[len(g) : len(g) + len(operands)]
        variables = tuple(_variable(x, w or n) for x, w, n in zip(operands, wanted, inner, strict=True))
        results = sequence(*variables)[: len(g)]
        firsts = autograd.grad(results, [v for v, w in zip(variables, wanted, strict=True) if w], g, create_graph=True)
        own = needs[: len(g) + len(operands)]  # what follows are results, which are functions of the operands
        by = [v for v, need in zip((*g, *variables), own, strict=True) if need]
        given = [x if isinstance(x, Tensor) else Tensor(x) for x in slopes]
        found = autograd.grad(firsts, by, given, create_graph=recorded, allow_unused=True)  # type: ignore[arg-type]
    finally:
        on_arrays.reset(arrays)
        grad_mode.reset(recording)
    placed = _placed(own, found if recorded else [None if x is None else x._data for x in found])
    return (*placed, *(None,) * (len(needs) - len(own)))


# ----------------------------------------------------------------------------------------------------------------- LSTM
def _lstm_forward(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, batch_first: bool, reverse: bool
) -> tuple[Any, ...]:
    y, last, kept = K.lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, batch_first, reverse)
    return (y, last), y, kept


def _lstm_gradients(
    g: Any, gc: Any, x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, y: Any,
    kept: Any, wanted: tuple[bool, ...], batch_first: bool, reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    made = K.lstm_gradients(g, gc, x, h, y, kept, weight_ih, weight_hh, wanted, batch_first, reverse)
    return made  # type: ignore[no-any-return]


def _lstm_by_steps(batch_first: bool, reverse: bool) -> Callable[..., State]:
    def step(x: Any, state: State, weight: Any, bias: Any) -> State:
        return lstm_step(x, state[0], state[1], weight, bias)

    def sequence(x: Any, h: Any, c: Any, *weights: Any) -> State:
        y, _, last = stepwise(step, x, (h, c), weights, batch_first, reverse)
        return y, last

    return sequence


_lstm: Function = primitive(
    "lstm",
    _lstm_forward,
    joint=lambda g, needs, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y, kept, batch_first, reverse: _placed(
        needs,
        _lstm_backward(*g, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, y, kept, needs, batch_first, reverse),
    ),
    inputs=7,
    aux=("y", "kept"),
    outputs=2,
)
_lstm_backward: Function = primitive(
    "lstm_backward",
    _lstm_gradients,
    joint=lambda s, needs, g, gc, x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, wanted, batch_first, reverse: (
        _second_order(
            s, needs, (g, gc), (x, h, c, weight_ih, weight_hh, bias_ih, bias_hh), wanted,
            _lstm_by_steps(batch_first, reverse),
        )
    ),
    inputs=11,
    outputs=7,
)  # fmt: skip


def lstm(
    x: Any,
    h: Any,
    c: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    batch_first: bool = False,
    reverse: bool = False,
) -> tuple[Any, Any]:
    r"""Long short-term memory over a sequence.

    .. math::
        i_t, f_t, o_t &= \sigma(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}) \\
        g_t &= \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}) \\
        c_t &= f_t c_{t-1} + i_t g_t \\
        h_t &= o_t \tanh(c_t)

    Parameters
    ----------
    x : Tensor
        Shape (T, N, I) or, with ``batch_first``, (N, T, I); there is at least one step.
    h, c : Tensor
        The state before the first step, shape (N, H).
    weight_ih, weight_hh : Tensor
        Shapes (4 H, I) and (4 H, H): the rows of i, f, g and o.
    bias_ih, bias_hh : Tensor, optional
        Shape (4 H,).
    batch_first : bool
    reverse : bool
        Begin with the last step.

    Returns
    -------
    y, c : Tensor
        The hidden states of all steps, shape as ``x`` with H in the place of I, and the last cell state.
    """
    operands = _operands("lstm", 4, batch_first, x, (h, c), weight_ih, weight_hh, bias_ih, bias_hh)
    if not _differentiated(operands):
        y, last = K.lstm(*_arrays(operands), batch_first, reverse, False)
        return Tensor(y), Tensor(last)
    y, last = _lstm(*operands, batch_first, reverse)
    return y, last


# ------------------------------------------------------------------------------------------------------------------ GRU
def _gru_gradients(
    g: Any, x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, y: Any, kept: Any,
    wanted: tuple[bool, ...], batch_first: bool, reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    made = K.gru_gradients(g, x, h, y, kept, weight_ih, weight_hh, wanted, batch_first, reverse)
    return made  # type: ignore[no-any-return]


def _gru_by_steps(batch_first: bool, reverse: bool) -> Callable[..., State]:
    def step(x: Any, state: State, weight: Any, bias: Any) -> State:
        return (gru_step(x, state[0], weight, bias),)

    return lambda x, h, *weights: stepwise(step, x, (h,), weights, batch_first, reverse)


_gru: Function = primitive(
    "gru",
    lambda x, h, weight_ih, weight_hh, bias_ih, bias_hh, batch_first, reverse: K.gru(
        x, h, weight_ih, weight_hh, bias_ih, bias_hh, batch_first, reverse
    ),
    joint=lambda g, needs, x, h, weight_ih, weight_hh, bias_ih, bias_hh, out, kept, batch_first, reverse: _placed(
        needs, _gru_backward(g, x, h, weight_ih, weight_hh, bias_ih, bias_hh, out, kept, needs, batch_first, reverse)
    ),
    inputs=6,
    aux=("kept",),
)
_gru_backward: Function = primitive(
    "gru_backward",
    _gru_gradients,
    joint=lambda s, needs, g, x, h, weight_ih, weight_hh, bias_ih, bias_hh, wanted, batch_first, reverse: _second_order(
        s, needs, (g,), (x, h, weight_ih, weight_hh, bias_ih, bias_hh), wanted, _gru_by_steps(batch_first, reverse)
    ),
    inputs=9,
    outputs=6,
)


def gru(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    batch_first: bool = False,
    reverse: bool = False,
) -> Any:
    r"""Gated recurrent units over a sequence; the hidden states of all steps.

    .. math::
        r_t, z_t &= \sigma(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh}) \\
        n_t &= \tanh(W_{ih} x_t + b_{ih} + r_t (W_{hh} h_{t-1} + b_{hh})) \\
        h_t &= (1 - z_t) n_t + z_t h_{t-1}

    The parameters are those of `lstm`, with one state and three gates r, z and n.
    """
    operands = _operands("gru", 3, batch_first, x, (h,), weight_ih, weight_hh, bias_ih, bias_hh)
    if not _differentiated(operands):
        return Tensor(K.gru(*_arrays(operands), batch_first, reverse, False))
    return _gru(*operands, batch_first, reverse)


# ------------------------------------------------------------------------------------------------------------------ RNN
def _rnn_gradients(
    g: Any, x: Any, h: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, y: Any,
    wanted: tuple[bool, ...], nonlinearity: str, batch_first: bool, reverse: bool,
) -> tuple[Any, ...]:  # fmt: skip
    made = K.rnn_gradients(g, x, h, y, weight_ih, weight_hh, wanted, nonlinearity, batch_first, reverse)
    return made  # type: ignore[no-any-return]


def _rnn_by_steps(nonlinearity: str, batch_first: bool, reverse: bool) -> Callable[..., State]:
    def step(x: Any, state: State, weight: Any, bias: Any) -> State:
        return (rnn_step(x, state[0], weight, bias, nonlinearity),)

    return lambda x, h, *weights: stepwise(step, x, (h,), weights, batch_first, reverse)


_rnn: Function = primitive(
    "rnn",
    K.rnn,
    joint=lambda g, needs, x, h, weight_ih, weight_hh, bias_ih, bias_hh, out, nonlinearity, batch_first, reverse: (
        _placed(
            needs,
            _rnn_backward(
                g, x, h, weight_ih, weight_hh, bias_ih, bias_hh, out, needs, nonlinearity, batch_first, reverse
            ),
        )
    ),
    inputs=6,
)
_rnn_backward: Function = primitive(
    "rnn_backward",
    _rnn_gradients,
    joint=lambda s, needs, g, x, h, weight_ih, weight_hh, bias_ih, bias_hh, wanted, nonlinearity, batch_first, reverse:
    _second_order(
        s, needs, (g,), (x, h, weight_ih, weight_hh, bias_ih, bias_hh), wanted,
        _rnn_by_steps(nonlinearity, batch_first, reverse),
    ),
    inputs=8,
    outputs=6,
)  # fmt: skip


def rnn(
    x: Any,
    h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias_ih: Any = None,
    bias_hh: Any = None,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    reverse: bool = False,
) -> Any:
    r"""An Elman network over a sequence: :math:`h_t = f(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})` of all steps.

    The parameters are those of `lstm`, with one state and one row of weights for each feature; the function is "tanh"
    or "relu".
    """
    if nonlinearity not in _NONLINEARITIES:
        raise ArgumentError(f"rnn: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    operands = _operands("rnn", 1, batch_first, x, (h,), weight_ih, weight_hh, bias_ih, bias_hh)
    if not _differentiated(operands):
        return Tensor(K.rnn(*_arrays(operands), nonlinearity, batch_first, reverse))
    return _rnn(*operands, nonlinearity, batch_first, reverse)


# -------------------------------------------------------------------------------------------------- what all three take
def _operands(name: str, gates: int, batch_first: bool, x: Any, states: State, *weights: Any) -> tuple[Any, ...]:
    """The operands as tensors, in the dtype of a region of mixed precision, their shapes and dtypes checked."""
    operands = lowered(*(None if t is None else lift(t) for t in (x, *states, *weights)))
    x, weight_hh = operands[0], operands[-3]
    if x.ndim != 3 or weight_hh.ndim != 2 or not x.shape[int(batch_first)]:
        raise ArgumentError(
            f"{name}: expected a sequence with three axes and at least one step, and a matrix of weights, got shapes "
            f"{x.shape} and {weight_hh.shape}"
        )
    size, state = weight_hh.shape[1], (x.shape[not batch_first], weight_hh.shape[1])
    shapes: list[tuple[str, tuple[int, ...]]]
    shapes = [*[(what, state) for what in ("h", "c")[: len(states)]], ("weight_ih", (gates * size, x.shape[2]))]
    shapes += [("weight_hh", (gates * size, size)), ("bias_ih", (gates * size,)), ("bias_hh", (gates * size,))]
    for (what, shape), operand in zip(shapes, operands[1:], strict=True):
        if operand is not None and operand.shape != shape:
            raise ArgumentError(
                f"{name}: an input of shape {x.shape} and a hidden size of {size} need {what} of shape {shape}, got "
                f"{operand.shape}"
            )
    given = [t.dtype for t in operands if t is not None]
    if any(dtype != x.dtype for dtype in given) or x.dtype.kind in "biuc":
        raise TypeError(
            f"{name}: input, states and weights must have one dtype, which is real and floating, got "
            f"{', '.join(map(str, given))}"
        )
    return operands


def _differentiated(operands: tuple[Any, ...]) -> bool:
    return grad_mode.get() and any(t is not None and t.requires_grad for t in operands)


def _arrays(operands: tuple[Any, ...]) -> Iterator[Any]:
    return (None if t is None else t._data for t in operands)
