"""Adadelta."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled, move_mean_square
from .optimizer import Group

__all__ = ["Adadelta"]


class Adadelta(Elementwise):
    r"""Steps as large as those before them, in units of the gradient.

    With gradient g (its negative if ``maximize``), to which ``weight_decay`` adds its multiple of w::

        v = rho * v + (1 - rho) * g**2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d**2
        w = w - lr * d

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Times d.
    rho : float
        How much of the averages is kept in a step; from 0 to 1.
    eps : float
        Added under both roots.
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
    Zeiler, ADADELTA: An Adaptive Learning Rate Method, 2012. The state of a parameter has ``step``, ``square_avg`` (v)
    and ``acc_delta`` (u).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adadelta([w], lr=100.0)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.6837726, 1.6837723], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
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
                "rho": rho,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
                "foreach": foreach,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "eps", "weight_decay")
        if not 0.0 <= group["rho"] <= 1.0:
            raise ValueError(f"Adadelta: rho must be from 0 to 1, got {group['rho']}")

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        g, rho, eps = work.grad, group["rho"], group["eps"]
        v, u = work.buffer("square_avg"), work.buffer("acc_delta")
        move_mean_square(v, g, rho)
        size = K.add(v, eps)
        size = K.sqrt(size, out=size)
        d = K.add(u, eps)
        d = K.sqrt(d, out=d)
        d = K.divide(d, size, out=d)
        d = K.multiply(d, g, out=d)
        move_mean_square(u, d, rho)
        add_scaled(work.value, d, -lr)
