"""How much arithmetic and memory a launch takes, from its operands alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from . import rules, windows
from .registry import Kernel

__all__ = ["arrays_in", "bytes_moved", "bytes_written", "multiply_adds"]


def arrays_in(value: Any) -> Iterator[Any]:
    """Every array among arguments or results, those in lists, tuples and dicts included."""
    if isinstance(value, (list, tuple)):
        for entry in value:
            yield from arrays_in(entry)
    elif isinstance(value, dict):
        yield from arrays_in(tuple(value.values()))
    elif hasattr(value, "nbytes") and hasattr(value, "strides"):
        yield value


def _nbytes(array: Any) -> int:
    """Memory that an array's elements stand in; axes that repeat one element (stride 0) count once."""
    count = math.prod(n for n, stride in zip(array.shape, array.strides, strict=True) if stride or not n)
    return int(count * array.dtype.itemsize)


def bytes_moved(args: Any, params: Any, result: Any) -> int:
    """Bytes of all operands and results: what a launch moves if it reads or writes each of them once."""
    found = {id(array): array for array in arrays_in((args, params, result))}
    return sum(_nbytes(array) for array in found.values())


def bytes_written(args: Any, params: Any, result: Any) -> int:
    """Bytes of the results that are in memory of their own, no operand's."""
    given = {id(array) for array in arrays_in((args, params))}
    made = {id(array): array for array in arrays_in(result) if id(array) not in given}
    return sum(_nbytes(array) for array in made.values())


def multiply_adds(kernel: Kernel, args: tuple[Any, ...], params: dict[str, Any]) -> int:
    """Multiplications with an addition in the matrix products, convolutions and the like of a launch.

    Elementwise work, reductions and normalizations count as none, as in the usual tables of networks. Masked and causal
    attention counts as full. Winograd's convolutions count as what they compute, not how.

    Examples
    --------
    >>> import numpy as np
    >>> from tensorgrad import kernels as K
    >>> multiply_adds(K.matmul, (np.ones((2, 3)), np.ones((3, 5))), {})
    30
    """
    count = _COUNTS.get(kernel.name)
    if count is None:
        return 0
    names = [parameter.split("=")[0].strip() for parameter in kernel.signature.split(",")]
    return int(count(**dict(zip(names, args, strict=False)), **params))


def _matmul(x1: Any, x2: Any, **_: Any) -> int:
    shape, _dtype = rules.matrix_product(x1, x2)
    return math.prod(shape) * int(x1.shape[-1])


def _conv(x: Any, weight: Any, stride: Any, padding: Any, dilation: Any, **_: Any) -> int:
    positions = windows.out_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    return int(x.shape[0] * math.prod(positions) * weight.size)


def _attention(q: Any, k: Any, v: Any, **_: Any) -> int:
    return int(math.prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1]))


def _attention_backward(q: Any, k: Any, v: Any, **_: Any) -> int:
    """The scores once more, then the gradients of v, of the weights, of q and of k."""
    return int(math.prod(q.shape[:-1]) * k.shape[-2] * (3 * q.shape[-1] + 2 * v.shape[-1]))


def _recurrent(x: Any, weight_ih: Any, weight_hh: Any, **_: Any) -> int:
    return int(x.shape[0] * x.shape[1] * (weight_ih.size + weight_hh.size))


def _recurrent_backward(weight_hh: Any, steps: Any) -> int:
    return int(steps.shape[0] * steps.shape[1] * weight_hh.size)


def _recurrent_gradients(x: Any, y: Any, weight_ih: Any, weight_hh: Any, wanted: tuple[bool, ...], **_: Any) -> int:
    """The way back, then the gradients by the input and by both weights."""
    by_input, by_weights = wanted[0] + wanted[-4], 1 + wanted[-3]
    return int(y.shape[0] * y.shape[1] * (by_input * weight_ih.size + by_weights * weight_hh.size))


_COUNTS: dict[str, Callable[..., int]] = {
    "matmul": _matmul,
    "linear": lambda x, weight, **_: x.size * weight.shape[0],
    "conv": _conv,
    "conv_input_gradient": lambda g, weight, **_: g.size * math.prod(weight.shape[1:]),
    "conv_weight_gradient": lambda g, x, kernel_size, groups, **_: (
        g.size * (x.shape[1] // groups) * math.prod(kernel_size)
    ),
    "attention": _attention,
    "attention_backward": _attention_backward,
    "lstm": _recurrent,
    "gru": _recurrent,
    "rnn": _recurrent,
    "lstm_backward": lambda g, weight_hh, **_: _recurrent_backward(weight_hh, g),
    "gru_backward": lambda g, weight_hh, **_: _recurrent_backward(weight_hh, g),
    "rnn_backward": lambda g, weight_hh, **_: _recurrent_backward(weight_hh, g),
    "lstm_gradients": _recurrent_gradients,
    "gru_gradients": _recurrent_gradients,
    "rnn_gradients": _recurrent_gradients,
}
