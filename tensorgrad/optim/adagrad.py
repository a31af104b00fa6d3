"""Adagrad."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled
from .optimizer import Group

__all__ = ["Adagrad"]


class Adagrad(Elementwise):
    r"""Gradients divided by the root of the sum of their squares so far.

    With gradient g (its negative if ``maximize``) in step t, to which ``weight_decay`` adds its multiple of w::

        s = s + g**2
        w = w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate.
    lr_decay : float
        How fast the rate falls with the steps.
    weight_decay : float
        Times w, added to g.
    initial_accumulator_value : float
        What s starts from.
    eps : float
        Added to the denominator.
    foreach, fused : bool, optional
        Taken for PyTorch's sake.
    differentiable : bool
        Must be False: a step writes into the parameters without a tape.
    maximize : bool
        Go up instead of down.

    Raises
    ------
    ValueError
        If an option is out of its range or not finite.

    Notes
    -----
    Duchi, Hazan and Singer, Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, 2011. The
    state of a parameter has ``step`` and ``sum`` (s).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adagrad([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        fused: bool | None = None,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "fused": fused,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        g = work.grad
        s = work.buffer("sum", group["initial_accumulator_value"])
        squared = K.square(g)
        K.add(s, squared, out=s)
        size = K.sqrt(s, out=squared)
        size = K.add(size, group["eps"], out=size)
        rate = lr / (1.0 + (work.step - 1.0) * group["lr_decay"])
        add_scaled(work.value, K.divide(g, size, out=size), -rate)
