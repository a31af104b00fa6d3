"""RMSprop."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled, move_average, move_mean_square
from .optimizer import Group

__all__ = ["RMSprop"]


class RMSprop(Elementwise):
    r"""Gradients divided by the root of a moving average of their squares.

    With gradient g (its negative if ``maximize``), to which ``weight_decay`` adds its multiple of w::

        v = alpha * v + (1 - alpha) * g**2
        d = g / (sqrt(v) + eps)             or, centered, with m = alpha * m + (1 - alpha) * g,
                                            d = g / (sqrt(v - m**2) + eps)
        b = momentum * b + d                (b = d without momentum)
        w = w - lr * b

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate.
    alpha : float
        How much of the averages is kept in a step.
    eps : float
        Added to the denominator.
    weight_decay : float
        Times w, added to g.
    momentum : float
        How much of b is kept in a step.
    centered : bool
        Divide by an estimate of the standard deviation instead.
    foreach : bool, optional
        Taken for PyTorch's sake.
    differentiable : bool
        Must be False: a step writes into the parameters without a tape.
    capturable : bool
        Taken for PyTorch's sake; `tg.jit` captures every step.
    maximize : bool
        Go up instead of down.

    Raises
    ------
    ValueError
        If an option is out of its range or not finite.

    Notes
    -----
    Tieleman and Hinton, Lecture 6.5 of Neural Networks for Machine Learning, 2012; centered: Graves, Generating
    Sequences With Recurrent Neural Networks, 2013. The state of a parameter has ``step``, ``square_avg`` (v) and, where
    they are needed, ``momentum_buffer`` (b) and ``grad_avg`` (m).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.RMSprop([w], lr=0.05, alpha=0.75)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "alpha", "eps", "weight_decay", "momentum")

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        g = work.grad
        v = work.buffer("square_avg")
        move_mean_square(v, g, group["alpha"])
        if group["centered"]:
            m = work.buffer("grad_avg")
            move_average(m, g, 1.0 - group["alpha"])
            size = K.square(m)
            size = K.subtract(v, size, out=size)
            size = K.sqrt(size, out=size)
        else:
            size = K.sqrt(v)
        size = K.add(size, group["eps"], out=size)
        d = K.divide(g, size, out=size)
        momentum = group["momentum"]
        if momentum:
            b = work.buffer("momentum_buffer")
            K.multiply(b, momentum, out=b)
            d = K.add(b, d, out=b)
        add_scaled(work.value, d, -lr)
