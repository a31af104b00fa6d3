"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..backend import empty
from ..tensor import Tensor
from .optimizer import Batch, Group, Optimizer, rate_of, real_arrays

__all__ = ["SGD"]


class SGD(Optimizer):
    r"""Stochastic gradient descent: ``w <- w - lr * g``, with PyTorch's options.

    With gradient g (its negative if ``maximize``), weight decay :math:`\lambda`, momentum :math:`\mu` and dampening
    :math:`\tau`::

        d = g + lambda * w
        b = mu * b + (1 - tau) * d          (b = d in the first step)
        w = w - lr * b                      or, with nesterov, w - lr * (d + mu * b)

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate.
    momentum, dampening, weight_decay : float
    nesterov : bool
        Needs a momentum, and no dampening.
    maximize : bool
        Go up instead of down.
    foreach, fused : bool, optional
        Taken for PyTorch's sake; a step is always one fused kernel per group, dtype and device.
    differentiable : bool
        Must be False: a step writes into the parameters without a tape.

    Raises
    ------
    ValueError
        If an option is negative or not finite.

    Notes
    -----
    Sutskever et al., On the importance of initialization and momentum in deep learning, 2013, in the form of PyTorch,
    in which the learning rate is outside of the momentum. The state of a parameter has ``momentum_buffer``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8, 1.6], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
                "differentiable": differentiable,
                "foreach": foreach,
                "fused": fused,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError(
                f"SGD: nesterov needs a momentum and no dampening, got momentum={group['momentum']} and "
                f"dampening={group['dampening']}"
            )

    def update(self, group: Group, batch: Batch) -> None:
        """One step of a batch."""
        momentum = group["momentum"]
        buffers: list[Tensor] = []
        first: bool | list[bool] = False
        if momentum:
            fresh = []
            for p in batch.params:
                state = self.state[p]
                buffer = state.get("momentum_buffer")
                fresh.append(buffer is None)
                if buffer is None:
                    buffer = state["momentum_buffer"] = Tensor(empty(p.shape, p.dtype, batch.device))
                buffers.append(buffer)
            first = fresh if True in fresh else False
        K.sgd_step(
            batch.arrays,
            batch.grads,
            real_arrays(buffers, batch.dtype),
            rate_of(group["lr"], batch.device),
            momentum,
            group["dampening"],
            group["weight_decay"],
            group["nesterov"],
            group["maximize"],
            first,
        )
