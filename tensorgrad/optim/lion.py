"""Lion."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work, add_scaled, move_average, require_betas
from .optimizer import Group

__all__ = ["Lion"]


class Lion(Elementwise):
    r"""Steps by the sign of an average of the gradients.

    With gradient g (its negative if ``maximize``)::

        w = w - lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * w)
        m = beta2 * m + (1 - beta2) * g

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate: how far every element goes in a step.
    betas : (float, float)
        Share of m in the step, and how slowly m forgets; at least 0 and less than 1.
    weight_decay : float
        Decoupled weight decay.
    maximize : bool
        Go up instead of down.
    foreach : bool, optional
        Taken for PyTorch's sake.

    Raises
    ------
    ValueError
        If an option is out of its range or not finite.

    Notes
    -----
    Chen et al., Symbolic Discovery of Optimization Algorithms, 2023; with names as in `Adam`, since PyTorch has no
    Lion. The state of a parameter has ``step`` and ``exp_avg`` (m).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.Lion([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], requires_grad=True)
    """

    _decoupled = True

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "foreach": foreach,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "weight_decay")
        require_betas(self, group)

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        beta1, beta2 = group["betas"]
        m = work.buffer("exp_avg")
        direction = K.multiply(m, beta1)
        add_scaled(direction, work.grad, 1.0 - beta1)
        add_scaled(work.value, K.sign(direction, out=direction), -lr)
        move_average(m, work.grad, 1.0 - beta2)
