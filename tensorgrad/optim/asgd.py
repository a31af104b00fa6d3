"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled, move_average
from .optimizer import Group

__all__ = ["ASGD"]


class ASGD(Elementwise):
    r"""Stochastic gradient descent with a falling rate, and the average of the parameters.

    With gradient g (its negative if ``maximize``) in step t, to which ``weight_decay`` adds its multiple of w::

        w = (1 - lambd * eta) * w - eta * g             (eta = lr in the first step)
        a = a + mu * (w - a)                            (mu = 1 in the first step)
        eta = lr / (1 + lambd * lr * t)**alpha
        mu = 1 / max(1, t - t0)

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate.
    lambd : float
        Decay of w and of the rate.
    alpha : float
        Power of the rate's decay.
    t0 : float
        The step from which on w is averaged; until then a is w.
    weight_decay : float
        Times w, added to g.
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
    Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992. The state of a parameter has
    ``step``, ``eta`` and ``mu`` (in float64), and ``ax`` (a).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.ASGD([w], lr=0.1, lambd=0.0)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8, 1.6], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lambd": lambd,
                "alpha": alpha,
                "t0": t0,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "lambd", "alpha", "t0", "weight_decay")

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        lambd, t = group["lambd"], work.step
        eta, mu = work.number("eta", lr), work.number("mu", 1.0)
        average = work.buffer("ax")
        K.multiply(work.value, 1.0 - lambd * eta.item(), out=work.value)
        add_scaled(work.value, work.grad, -eta.item())
        if mu.item() == 1.0:
            K.assign(average, work.value)
        else:
            move_average(average, work.value, mu.item())
        K.fill(eta._data, lr / (1.0 + lambd * lr * t) ** group["alpha"])
        K.fill(mu._data, 1.0 / max(1.0, t - group["t0"]))
