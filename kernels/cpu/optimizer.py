"""Optimizer steps on NumPy, fused over lists of parameters.

Every parameter goes through the whole update in cache-sized blocks, so that it, its gradient and its state are read and
written once. The mathematics is that of PyTorch's ``torch.optim`` (the single-tensor path).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .blas_threads import without_threads
from .blocked import BLOCK, compute_type, get_num_threads, pays, scratch, walk

__all__ = ["adam_step", "global_norm", "scale", "sgd_step"]

Array = np.ndarray[Any, np.dtype[Any]]
Update = Callable[..., None]
"""``update(*arrays, grad, *scratch)`` writes ``arrays`` in place; a scratch of None is allocated by the first ufunc."""

_LEAST, _MOST = 1 << 16, 1 << 18  # elements of a piece: threads take turns with the interpreter at every ufunc
_TINY = 2048  # elements up to which copying parameters together beats a dozen ufuncs on each


def _scalars(char: str, *values: float) -> list[Array]:
    return [np.array(v, char) for v in values]


class _Step:
    """The updates of one step, cut into pieces that fit in the cache, which all threads work off together.

    Parameters
    ----------
    work : int
        How many simple ufuncs an update is worth; see `walk`.
    count : int
        How many scratch buffers it takes.
    params : list of arrays
        All parameters. If they are few enough for one thread, a small one is updated at once, without ado.
    """

    def __init__(self, work: int, count: int, params: Sequence[Array]) -> None:
        self.work = work
        self.count = count
        self._at_once = BLOCK if not pays(sum([p.size for p in params]), work) else 0
        self._no_buffers = (None,) * count
        self._updates: list[tuple[Update, Sequence[Array]]] = []
        self._narrow: list[tuple[tuple[Array, ...], list[Array]]] = []
        self._joined: list[tuple[list[tuple[Array, ...]], list[Array]]] = []

    def add(self, update: Update, *arrays: Array) -> None:
        """Have ``update`` run on one parameter, its state and, last, its gradient."""
        p = arrays[0]
        if p.dtype.char in "fd":
            if p.size <= self._at_once and p.ndim:
                update(*arrays, *self._no_buffers)
                return
            self._updates.append((update, arrays))
            return
        # Two-byte floats: the arithmetic and the state of one step in float32, rounded once at the end.
        wide = [a.astype(compute_type(a.dtype)) for a in arrays]
        self._narrow.append((arrays, wide))
        self._updates.append((update, wide))

    def add_joined(self, update: Update, parameters: list[tuple[Array, ...]]) -> None:
        """Have ``update`` run once on many tiny parameters of one dtype, copied into one array and back."""
        if len(parameters) == 1:
            self.add(update, *parameters[0])
            return
        joined = [np.concatenate(arrays, None) for arrays in zip(*parameters, strict=True)]
        self._joined.append((parameters, joined))
        self.add(update, *joined)

    def run(self) -> None:
        """Run the updates that have not been run yet, and bring the results home."""
        if self._updates:
            self._walk()
        for narrow, wide in self._narrow:
            for a, w in zip(narrow[:-1], wide, strict=False):
                np.copyto(a, w, casting="unsafe")
        for parameters, joined in self._joined:
            start = 0
            for arrays in parameters:
                stop = start + arrays[0].size
                for a, j in zip(arrays[:-1], joined, strict=False):
                    a[...] = j[start:stop].reshape(a.shape)
                start = stop

    def _walk(self) -> None:
        """Run the updates piece by piece."""
        size = sum(arrays[0].size for _, arrays in self._updates)
        pieces = self._pieces(min(max(-(-size // get_num_threads()), _LEAST), _MOST))

        def task(low: int, high: int, _: int) -> None:
            for update, arrays, buffers in pieces[low:high]:
                p = arrays[0]
                if buffers:
                    update(*arrays, *scratch(self.count, p.size, p.dtype))
                else:  # the first ufunc that needs one makes it
                    update(*arrays, *(self._no_buffers if p.ndim else [np.empty_like(p) for _ in range(self.count)]))

        walk(task, len(pieces), size // max(len(pieces), 1), self.work, ranges=4)

    def _pieces(self, most: int) -> list[tuple[Update, Sequence[Array], bool]]:
        """The updates on pieces of at most ``most`` elements, and whether they are to be given buffers."""
        pieces: list[tuple[Update, Sequence[Array], bool]] = []
        for update, arrays in self._updates:
            size = arrays[0].size
            if size <= BLOCK or not all(a.flags.c_contiguous for a in arrays):
                pieces.append((update, arrays, False))
                continue
            flat = [a.reshape(-1) for a in arrays]
            pieces += [(update, [a[start : start + most] for a in flat], True) for start in range(0, size, most)]
        return pieces


# ------------------------------------------------------------------------------------------------------------------ SGD
def _sgd(
    char: str,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first: bool,
) -> Update:
    """The update of one parameter, ``update(p, [buffer,] g, t, u)``."""
    rate, mu, undamped, decay = _scalars(char, lr, momentum, 1.0 - dampening, weight_decay)

    def direction(p: Array, g: Array, t: Any) -> Array:
        """The gradient to descend along, in ``t`` unless it is ``g`` itself."""
        if weight_decay:
            t = np.multiply(p, decay, t)
            return (np.subtract if maximize else np.add)(t, g, t)  # type: ignore[no-any-return]
        return np.negative(g, t) if maximize else g

    def plain(p: Array, g: Array, t: Any) -> None:
        np.subtract(p, np.multiply(direction(p, g, t), rate, t), p)

    def with_momentum(p: Array, buffer: Array, g: Array, t: Any, u: Any) -> None:
        d = direction(p, g, t)
        if first:
            np.copyto(buffer, d)
        else:
            np.multiply(buffer, mu, buffer)
            np.add(buffer, np.multiply(d, undamped, u) if dampening else d, buffer)
        if nesterov:
            u = np.multiply(buffer, mu, u)
            d = np.add(u, d, u)
        else:
            d = buffer
        np.subtract(p, np.multiply(d, rate, u), p)

    return with_momentum if momentum else plain


def sgd_step(
    params: Sequence[Array],
    grads: Sequence[Array],
    momentum_buffers: Sequence[Array],
    lr: Any,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first_step: bool | Sequence[bool],
) -> None:
    r"""One step of stochastic gradient descent, in place.

    .. math::
        d = \pm g + \lambda w, \quad b \leftarrow \mu b + (1 - \tau) d, \quad
        w \leftarrow w - \eta\, b \ \text{ or, with nesterov, } \ w - \eta\, (d + \mu b)

    and :math:`w \leftarrow w - \eta d` without momentum (Sutskever et al., 2013, as PyTorch defines it).

    Parameters
    ----------
    params, grads, momentum_buffers : lists of arrays
        One entry per parameter; ``momentum_buffers`` is empty when ``momentum`` is 0.
    lr : float or 0-d array
    momentum, dampening, weight_decay : float
    nesterov, maximize : bool
    first_step : bool or list of bools
        Whether the buffer is being initialised, with the gradient itself.
    """
    rate = float(lr)
    updates: dict[tuple[str, bool], Update] = {}
    options = (rate, momentum, dampening, weight_decay, nesterov, maximize)
    step = _Step(*((6, 2) if momentum else (3, 1)), params)
    first = bool(momentum and first_step) if isinstance(first_step, bool) else False
    for i, p in enumerate(params):
        if momentum and not isinstance(first_step, bool):
            first = bool(first_step[i])
        key = p.dtype.char, first
        update = updates.get(key)
        if update is None:
            update = updates[key] = _sgd(compute_type(p.dtype).char, *options, first)
        if momentum:
            step.add(update, p, momentum_buffers[i], grads[i])
        else:
            step.add(update, p, grads[i])
    step.run()


# ----------------------------------------------------------------------------------------------------------------- Adam
_ADAM_WORK = 16


def _adam(
    char: str,
    step: float,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
    amsgrad: bool,
) -> Update:
    """The update of one parameter after ``step`` steps, ``update(p, m, v, [max_v,] g, t, [u])``."""
    # p -= lr / c1 * m / (sqrt(v) / sqrt(c2) + eps), with both sides of the fraction times sqrt(c2): one ufunc less
    correction = math.sqrt(1.0 - beta2**step)
    rate, floor = lr / (1.0 - beta1**step) * correction, eps * correction
    size, epsilon, rest1, keep2, rest2 = _scalars(char, rate, floor, 1.0 - beta1, beta2, 1.0 - beta2)
    shrink, decay = _scalars(char, 1.0 - lr * weight_decay, weight_decay)

    def update(p: Array, m: Array, v: Array, *more: Any) -> None:
        g, t, u = more[amsgrad], more[amsgrad + 1], more[-1]
        if weight_decay:
            if decoupled:
                np.multiply(p, shrink, p)
                if maximize:
                    g = np.negative(g, u)
            else:
                u = np.multiply(p, decay, u)
                g = (np.subtract if maximize else np.add)(u, g, u)
        elif maximize:
            g = np.negative(g, u)
        t = np.subtract(g, m, t)
        np.multiply(t, rest1, t)
        np.add(m, t, m)
        np.square(g, t)
        np.multiply(t, rest2, t)
        np.multiply(v, keep2, v)
        np.add(v, t, v)
        if amsgrad:
            v = np.maximum(more[0], v, out=more[0])
        np.sqrt(v, t)
        np.add(t, epsilon, t)
        np.divide(m, t, t)
        np.multiply(t, size, t)
        np.subtract(p, t, p)

    return update


def adam_step(
    params: Sequence[Array],
    grads: Sequence[Array],
    exp_avgs: Sequence[Array],
    exp_avg_sqs: Sequence[Array],
    max_exp_avg_sqs: Sequence[Array],
    steps: Sequence[Array],
    lr: Any,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    r"""One step of Adam, or of AdamW with ``decoupled_weight_decay``, in place.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        w \leftarrow w - \frac{\eta}{1 - \beta_1^t}\, \frac{m}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    (Kingma and Ba, 2015, arXiv:1412.6980). Weight decay adds :math:`\lambda w` to :math:`g`, or, decoupled, first
    multiplies :math:`w` by :math:`1 - \eta \lambda` (Loshchilov and Hutter, 2019, arXiv:1711.05101). AMSGrad (Reddi et
    al., 2018) divides by the largest :math:`v` so far.

    Parameters
    ----------
    params, grads, exp_avgs, exp_avg_sqs : lists of arrays
        One entry per parameter.
    max_exp_avg_sqs : list of arrays
        Empty, unless the step is AMSGrad's.
    steps : list of 0-d arrays
        Number of steps taken of each parameter; incremented here.
    lr : float or 0-d array
    beta1, beta2, eps, weight_decay : float
    decoupled_weight_decay, maximize : bool
    """
    rate = float(lr)
    amsgrad = len(max_exp_avg_sqs) > 0
    updates: dict[tuple[str, float], Update] = {}
    tiny: dict[tuple[str, float], list[tuple[Array, ...]]] = {}
    options = (rate, beta1, beta2, eps, weight_decay, decoupled_weight_decay, maximize, amsgrad)
    key: tuple[str, float]
    step = _Step(_ADAM_WORK, 2 if maximize or (weight_decay and not decoupled_weight_decay) else 1, params)
    for i, p in enumerate(params):
        taken = float(steps[i]) + 1.0
        steps[i].fill(taken)  # a third of the time of an addition
        key = p.dtype.char, taken
        update = updates.get(key)
        if update is None:
            update = updates[key] = _adam(compute_type(p.dtype).char, key[1], *options)
            tiny[key] = []
        largest = (max_exp_avg_sqs[i],) if amsgrad else ()
        arrays: tuple[Array, ...] = (p, exp_avgs[i], exp_avg_sqs[i], *largest, grads[i])
        if p.size > _TINY:
            step.add(update, *arrays)
        else:
            tiny[key].append(arrays)
    for kind, group in tiny.items():
        if group:
            step.add_joined(updates[kind], group)
    step.run()


# ------------------------------------------------------------------------------------------------------------ gradients
def global_norm(arrays: Sequence[Array], p: float = 2.0, out: Array | None = None) -> Array:
    r"""The p-norm of all elements of a list together, :math:`(\sum |x|^p)^{1/p}`; the largest :math:`|x|` for infinity.

    Accumulates float32 and the half types in float32, arrays among each other in float64. The result is 0-d, float64 if
    one of the arrays is, else float32.
    """
    wide = any(a.dtype.itemsize == 8 for a in arrays)
    total = 0.0
    for a in arrays:
        x = a.reshape(-1)
        for start in range(0, x.size, 4 * BLOCK):
            part = x[start : start + 4 * BLOCK].astype(compute_type(x.dtype), copy=False)
            if p == 2:
                with without_threads():
                    total += float(np.dot(part, part))
            elif p == math.inf:
                total = float(np.maximum(total, np.max(np.abs(part))))
            else:
                size = np.abs(part)
                total += float(np.add.reduce(size if p == 1 else np.power(size, p, size)))
    if p == 2:
        total = math.sqrt(total)
    elif p not in {1.0, math.inf}:
        total = float(np.power(total, 1.0 / p))
    y = np.array(total, np.float64 if wide else np.float32)
    if out is None:
        return y
    np.copyto(out, y, casting="unsafe")
    return out


def scale(arrays: Sequence[Array], factor: Any) -> None:
    """Multiply every array of a list, in place, by a number or a 0-d array."""
    value = float(factor)
    for a in arrays:
        if a.dtype.char in "fd":
            np.multiply(a, a.dtype.type(value), a)
        else:  # rounded once
            np.multiply(a, np.float32(value), a, dtype=np.float32, casting="unsafe")
