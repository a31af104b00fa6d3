"""Adafactor."""

from __future__ import annotations

import math
from typing import Any

from .. import kernels as K
from ..conversion import as_array
from ..tensor import Tensor
from .elementwise import Elementwise, Work, move_average
from .optimizer import Batch, Group

__all__ = ["Adafactor"]


class Adafactor(Elementwise):
    r"""Gradients divided by the root of their mean square, which is kept per row and per column only.

    With gradient g (its negative if ``maximize``) in step t, RMS the root of the mean square of all elements, and
    ``s = min(lr, 1 / sqrt(t)) * max(eps[1], RMS(w))``::

        w = w - lr * weight_decay * w
        R = R + t**beta2_decay * (mean of g**2 over the last axis - R)
        C = C + t**beta2_decay * (mean of g**2 over the last axis but one - C)
        V = R * C / max(mean of R over the last axis but one, eps[0])
        u = g / max(sqrt(V), eps[0])
        w = w - s * u / max(1, RMS(u) / d)

    A parameter with less than two axes has V itself: ``V = V + t**beta2_decay * (g**2 - V)``.

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        The largest step, relative to the parameter's RMS.
    beta2_decay : float
        At most 0: how fast the averages slow down.
    eps : (float or None, float)
        The least root of V, by default the epsilon of the dtype it is computed in, and the least RMS of a parameter.
    d : float
        At least 1: updates with a larger RMS are scaled down to it.
    weight_decay : float
        Decoupled weight decay.
    foreach : bool, optional
        Taken for PyTorch's sake.
    maximize : bool
        Go up instead of down.

    Raises
    ------
    ValueError
        If an option is out of its range or not finite.

    Notes
    -----
    Shazeer and Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost, 2018, in PyTorch's form, in which
    the rate is given and ``eps[0]`` bounds V rather than being added to the squares. The state of a parameter has
    ``step`` and ``row_var`` (R) and ``col_var`` (C), or ``variance`` (V).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    >>> optimizer = tg.optim.Adafactor([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([[0.75, 1.75],
            [1.75, 3.75]], requires_grad=True)
    >>> optimizer.state[w]["row_var"].shape, optimizer.state[w]["col_var"].shape
    ((2, 1), (1, 2))
    """

    _takes_complex = False

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "beta2_decay": beta2_decay,
                "eps": eps,
                "d": d,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "weight_decay")
        if len(group["eps"]) != 2:
            raise ValueError(
                f"Adafactor: eps must be two numbers, of which the first may be None, got {group['eps']!r}"
            )
        low, least = group["eps"]
        self._require({"eps[0]": 0.0 if low is None else low, "eps[1]": least}, "eps[0]", "eps[1]")
        if not -math.inf < group["beta2_decay"] <= 0.0:
            raise ValueError(f"Adafactor: beta2_decay must be finite and at most 0, got {group['beta2_decay']}")
        if not 1.0 <= group["d"] < math.inf:
            raise ValueError(f"Adafactor: d must be finite and at least 1, got {group['d']}")

    def update(self, group: Group, batch: Batch) -> None:
        """One step of a batch. The size of a parameter is taken before its decay, so this is not `Elementwise`'s."""
        lr = group["lr"]
        rate = float(lr.item() if isinstance(lr, Tensor) else lr)
        low, least = group["eps"]
        if low is None:
            low = 2.0**-52 if batch.dtype.itemsize == 8 else 2.0**-23
        for p, array, grad in zip(batch.params, batch.arrays, batch.grads, strict=True):
            work = Work(p, array, grad, self.state[p])
            work.count()
            if group["maximize"]:
                work.grad = K.negative(work.grad)
            mean_square = self._mean_square(work, work.step ** group["beta2_decay"], low)
            if not p.size:
                continue
            size = K.maximum(_rms(work.value), least)
            if group["weight_decay"]:
                K.multiply(work.value, 1.0 - rate * group["weight_decay"], out=work.value)
            u = K.rsqrt(K.maximum(mean_square, low * low))
            K.multiply(u, work.grad, out=u)
            excess = K.maximum(K.divide(_rms(u), group["d"]), 1.0)
            step = K.divide(K.multiply(size, min(rate, work.step**-0.5)), excess)
            K.subtract(work.value, K.multiply(u, step, out=u), out=work.value)
            work.finish()

    def _mean_square(self, work: Work, rest: float, low: float) -> Any:
        """The estimate V, after the averages have forgotten ``rest`` of themselves."""
        squared, shape = K.square(work.grad), work.grad.shape
        if len(shape) < 2:
            variance = work.buffer("variance")
            move_average(variance, squared, rest)
            return variance
        rows = work.buffer("row_var", shape=(*shape[:-1], 1))
        columns = work.buffer("col_var", shape=(*shape[:-2], 1, shape[-1]))
        if not work.grad.size:
            return squared
        move_average(rows, K.mean(squared, axis=-1, keepdims=True), rest)
        move_average(columns, K.mean(squared, axis=-2, keepdims=True), rest)
        product = K.multiply(rows, columns, out=squared)
        return K.divide(product, K.maximum(K.mean(rows, axis=-2, keepdims=True), low), out=product)

    def _loaded(self, number: Any, key: str, value: Any, p: Tensor) -> Any:
        if key not in ("row_var", "col_var"):
            return super()._loaded(number, key, value, p)
        expected = (*p.shape[:-1], 1) if key == "row_var" else (*p.shape[:-2], 1, p.shape[-1])
        if tuple(value.shape) != expected:
            raise ValueError(
                f"Adafactor: the loaded {key} of parameter {number} has shape {tuple(value.shape)}, a parameter of "
                f"shape {p.shape} needs {expected}"
            )
        return Tensor(as_array(value._data if isinstance(value, Tensor) else value, p.dtype, p.device))


def _rms(x: Any) -> Any:
    """The root of the mean square of all elements, as a 0-d array."""
    return K.sqrt(K.mean(K.square(x)))
