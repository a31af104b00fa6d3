"""Resilient backpropagation."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Elementwise, Work
from .optimizer import Group

__all__ = ["Rprop"]


class Rprop(Elementwise):
    r"""Steps by the signs of the gradients alone, each element with a step size of its own.

    With gradient g (its negative if ``maximize``) and the one before, h::

        s = min(max(s * eta, step_sizes[0]), step_sizes[1])      eta is etas[1] where g * h > 0, etas[0] where
        g = 0 where g * h < 0                                    g * h < 0, and 1 where g * h = 0
        w = w - sign(g) * s
        h = g

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        What s starts from.
    etas : (float, float)
        Factors of a step size after the sign has changed, less than 1, and after it has not, greater than 1.
    step_sizes : (float, float)
        The least and the largest step size.
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
    Riedmiller and Braun, A direct adaptive method for faster backpropagation learning: the RPROP algorithm, 1993; for
    gradients of the full batch. The state of a parameter has ``step``, ``prev`` (h) and ``step_size`` (s).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.Rprop([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9, 1.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
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
                "etas": etas,
                "step_sizes": step_sizes,
                "foreach": foreach,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr")
        etas, sizes = group["etas"], group["step_sizes"]
        if len(etas) != 2 or not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Rprop: etas must be one number between 0 and 1 and one greater than 1, got {etas!r}")
        if len(sizes) != 2 or not 0.0 <= sizes[0] <= sizes[1]:
            raise ValueError(f"Rprop: step_sizes must be two numbers, 0 <= least <= largest, got {sizes!r}")

    def change(self, group: Group, work: Work, lr: float) -> None:
        """One step of one parameter."""
        smaller, larger = (float(eta) for eta in group["etas"])
        least, largest = (float(size) for size in group["step_sizes"])
        g, before, sizes = work.grad, work.buffer("prev"), work.buffer("step_size", lr)
        same = K.multiply(g, before)
        same = K.sign(same, out=same)
        turned = K.less(same, 0.0)
        factor = K.where(K.greater(same, 0.0), larger, same)
        factor = K.where(turned, smaller, factor)
        factor = K.where(K.equal(same, 0.0), 1.0, factor)
        K.multiply(sizes, factor, out=sizes)
        K.clip(sizes, least, largest, out=sizes)
        K.where(turned, 0.0, g, out=before)
        step = K.sign(before)
        K.subtract(work.value, K.multiply(step, sizes, out=step), out=work.value)
