"""RAdam."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled, move_average, move_mean_square, require_betas
from .optimizer import Group

__all__ = ["RAdam"]


class RAdam(Elementwise):
    r"""Adam that adapts the rate only as far as the mean square is known.

    With gradient g (its negative if ``maximize``) in step t and R = 2 / (1 - beta2) - 1::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        r = R - 2 * t * beta2**t / (1 - beta2**t)
        c = sqrt((r - 4) * (r - 2) * R / ((R - 4) * (R - 2) * r))
        w = w - lr * m / (1 - beta1**t) * c * sqrt(1 - beta2**t) / (sqrt(v) + eps)    if r > 5
        w = w - lr * m / (1 - beta1**t)                                               otherwise

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
    Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2019. The state of a parameter has ``step``,
    ``exp_avg`` (m) and ``exp_avg_sq`` (v).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.RAdam([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8, 1.6], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
                "foreach": foreach,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "eps", "weight_decay")
        require_betas(self, group)

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        beta1, beta2 = group["betas"]
        step = work.step
        m, v = work.buffer("exp_avg"), work.buffer("exp_avg_sq")
        move_average(m, work.grad, 1.0 - beta1)
        move_mean_square(v, work.grad, beta2)
        rate, rest = lr / (1.0 - beta1**step), 1.0 - beta2**step
        limit = 2.0 / (1.0 - beta2) - 1.0
        length = limit - 2.0 * step * beta2**step / rest
        if length <= 5.0:
            add_scaled(work.value, m, -rate)
            return
        correction = (length - 4.0) * (length - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * length)
        size = K.sqrt(v)
        size = K.add(size, group["eps"], out=size)
        add_scaled(work.value, K.divide(m, size, out=size), -rate * (correction * rest) ** 0.5)
