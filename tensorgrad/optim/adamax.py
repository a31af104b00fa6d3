"""Adamax."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled, move_average, require_betas
from .optimizer import Group

__all__ = ["Adamax"]


class Adamax(Elementwise):
    r"""Adam with the largest gradient, fading, in place of the root of the mean square.

    With gradient g (its negative if ``maximize``) in step t, to which ``weight_decay`` adds its multiple of w::

        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, abs(g) + eps)
        w = w - lr / (1 - beta1**t) * m / u

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate.
    betas : (float, float)
        How slowly m and u forget; at least 0 and less than 1.
    eps : float
        Added to the size of the gradient.
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
    Kingma and Ba, Adam: A Method for Stochastic Optimization, 2014, section 7. The state of a parameter has ``step``,
    ``exp_avg`` (m) and ``exp_inf`` (u).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adamax([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "eps", "weight_decay")
        require_betas(self, group)

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        beta1, beta2 = group["betas"]
        m, u = work.buffer("exp_avg"), work.buffer("exp_inf")
        move_average(m, work.grad, 1.0 - beta1)
        size = K.absolute(work.grad)
        size = K.add(size, group["eps"], out=size)
        K.multiply(u, beta2, out=u)
        K.maximum(u, size, out=u)
        add_scaled(work.value, K.divide(m, u, out=size), -lr / (1.0 - beta1**work.step))
