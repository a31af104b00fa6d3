"""NAdam."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled, move_average, move_mean_square, require_betas
from .optimizer import Group

__all__ = ["NAdam"]


class NAdam(Elementwise):
    r"""Adam with Nesterov's momentum.

    With gradient g (its negative if ``maximize``) in step t, and the product M(t) = mu(1) * ... * mu(t)::

        mu(t) = beta1 * (1 - 0.96**(t * momentum_decay) / 2)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        d = (1 - mu(t)) / (1 - M(t)) * g + mu(t + 1) / (1 - M(t + 1)) * m
        w = w - lr * d / (sqrt(v / (1 - beta2**t)) + eps)

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate.
    betas : (float, float)
        How slowly m and v forget; at least 0 and less than 1.
    eps : float
        Added to the denominator.
    weight_decay : float
        Times w, added to g; see ``decoupled_weight_decay``.
    momentum_decay : float
        How fast mu approaches beta1.
    decoupled_weight_decay : bool
        Subtract ``lr * weight_decay * w`` from w instead, as `AdamW` does.
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
    Dozat, Incorporating Nesterov Momentum into Adam, 2016. The state of a parameter has ``step``, ``mu_product`` (M, in
    float64), ``exp_avg`` (m) and ``exp_avg_sq`` (v).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.NAdam([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8943548, 1.8943548], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
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
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
                "foreach": foreach,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "eps", "weight_decay", "momentum_decay")
        require_betas(self, group)

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        beta1, beta2 = group["betas"]
        step, rise = work.step, group["momentum_decay"]
        mu, mu_next = (beta1 * (1.0 - 0.5 * 0.96 ** (t * rise)) for t in (step, step + 1.0))
        kept = work.number("mu_product", 1.0)
        product = kept.item() * mu
        K.fill(kept._data, product)
        m, v = work.buffer("exp_avg"), work.buffer("exp_avg_sq")
        move_average(m, work.grad, 1.0 - beta1)
        move_mean_square(v, work.grad, beta2)
        size = K.divide(v, 1.0 - beta2**step)
        size = K.sqrt(size, out=size)
        size = K.add(size, group["eps"], out=size)
        d = K.multiply(work.grad, (1.0 - mu) / (1.0 - product))
        add_scaled(d, m, mu_next / (1.0 - product * mu_next))
        add_scaled(work.value, K.divide(d, size, out=d), -lr)
