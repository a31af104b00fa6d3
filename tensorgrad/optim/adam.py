"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..dtypes import float32
from ..ops.memory import zeros
from ..tensor import Tensor
from .optimizer import Batch, Group, Optimizer, rate_of, real_arrays, zeros_like

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    r"""Adaptive moment estimation.

    With gradient g (its negative if ``maximize``) in step t::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w = w - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or groups; see `Optimizer`.
    lr : float or Tensor
        Learning rate.
    betas : (float, float)
        How fast the averages of the gradient and of its square forget; at least 0 and less than 1.
    eps : float
        Added to the denominator.
    weight_decay : float
        Times w, added to g; see ``decoupled_weight_decay``.
    amsgrad : bool
        Divide by the largest v so far (Reddi et al., On the Convergence of Adam and Beyond, 2018).
    maximize : bool
        Go up instead of down.
    decoupled_weight_decay : bool
        Subtract ``lr * weight_decay * w`` from w instead, as `AdamW` does.
    foreach, fused : bool, optional
        Taken for PyTorch's sake; a step is always one fused kernel per group, dtype and device.
    differentiable : bool
        Must be False: a step writes into the parameters without a tape.
    capturable : bool
        Taken for PyTorch's sake; `tg.jit` captures every step.

    Raises
    ------
    ValueError
        If an option is out of its range or not finite.

    Notes
    -----
    Kingma and Ba, Adam: A Method for Stochastic Optimization, 2014. The state of a parameter has ``step`` (a float32
    tensor), ``exp_avg`` (m), ``exp_avg_sq`` (v) and, with ``amsgrad``, ``max_exp_avg_sq``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.Adam([w], lr=0.5)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.5, 1.5], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
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
                "amsgrad": amsgrad,
                "maximize": maximize,
                "differentiable": differentiable,
                "capturable": capturable,
                "foreach": foreach,
                "fused": fused,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid."""
        self._require(group, "lr", "eps", "weight_decay")
        betas = group["betas"]
        if len(betas) != 2:
            raise ValueError(f"{type(self).__name__}: betas must be two numbers, got {betas!r}")
        self._require({"beta1": betas[0], "beta2": betas[1]}, "beta1", "beta2", below=1.0)

    def update(self, group: Group, batch: Batch) -> None:
        """One step of a batch."""
        amsgrad = group["amsgrad"]
        averages, squares, largest, steps = [], [], [], []
        for p in batch.params:
            state = self.state[p]
            if "exp_avg" not in state:
                state["step"] = zeros((), dtype=float32, device=batch.device)
                state["exp_avg"] = zeros_like(p)
                state["exp_avg_sq"] = zeros_like(p)
            averages.append(state["exp_avg"])
            squares.append(state["exp_avg_sq"])
            steps.append(state["step"]._data)
            if amsgrad:
                if "max_exp_avg_sq" not in state:
                    state["max_exp_avg_sq"] = zeros_like(p)
                largest.append(state["max_exp_avg_sq"])
        beta1, beta2 = group["betas"]
        K.adam_step(
            batch.arrays,
            batch.grads,
            *(real_arrays(tensors, batch.dtype) for tensors in (averages, squares, largest)),
            steps,
            rate_of(group["lr"], batch.device),
            beta1,
            beta2,
            group["eps"],
            group["weight_decay"],
            group["decoupled_weight_decay"],
            group["maximize"],
        )


class AdamW(Adam):
    """`Adam` with decoupled weight decay: ``w <- w - lr * weight_decay * w`` before the step, apart from the averages.

    Parameters are those of `Adam`, but ``weight_decay`` is 0.01 unless given.

    Notes
    -----
    Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2017.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Linear(2, 1)
    >>> optimizer = tg.optim.AdamW(model.parameters(), lr=1e-2)
    >>> optimizer.param_groups[0]["weight_decay"]
    0.01
    """

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        fused: bool | None = None,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            fused=fused,
            differentiable=differentiable,
            capturable=capturable,
            decoupled_weight_decay=True,
        )
