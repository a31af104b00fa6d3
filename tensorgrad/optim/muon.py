"""Muon."""

from __future__ import annotations

import math
from typing import Any, Literal

from .. import kernels as K
from ..tensor import Tensor
from .elementwise import Work, add_scaled, move_average
from .optimizer import Batch, Group, Optimizer

__all__ = ["Muon"]


class Muon(Optimizer):
    r"""Momentum, made orthogonal: for matrices, such as the weights of hidden layers.

    With gradient g, and N(x) close to the orthogonal matrix nearest to x::

        m = momentum * m + (1 - momentum) * g
        u = N(m), or, with nesterov, N(momentum * m + (1 - momentum) * g)
        w = w - lr * weight_decay * w - lr * r * u

    N begins with ``x / max(|x|, eps)``, of Frobenius norm 1, and repeats ``x = a * x + (b * A + c * A @ A) @ x`` with
    ``A = x @ x.T`` for ``ns_steps`` times, by which the singular values come near 1 (Newton and Schulz). For w with n
    rows and m columns, r is ``sqrt(max(1, n / m))`` or, with ``"match_rms_adamw"``, ``0.2 * sqrt(max(n, m))``.

    Parameters
    ----------
    params : iterable
        Matrices, pairs of name and matrix, or groups; see `Optimizer`. Give biases, embeddings and the last layer to
        another optimizer.
    lr : float or Tensor
        Learning rate.
    weight_decay : float
        Decoupled weight decay.
    momentum : float
        How much of m is kept in a step.
    nesterov : bool
        Look ahead by one step of the average.
    ns_coefficients : (float, float, float)
        a, b and c.
    eps : float
        Least norm to divide by.
    ns_steps : int
        Less than 100.
    adjust_lr_fn : {"original", "match_rms_adamw"}, optional
        r; ``"original"`` unless given. With the other one, the rate and the decay of an `AdamW` can be kept.

    Raises
    ------
    ValueError
        If an option is out of its range or not finite, or a parameter is not a matrix.

    Notes
    -----
    Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024; the second r: Liu et al., Muon is
    Scalable for LLM Training, 2025. N is computed in the parameter's dtype, and in float32 for half types; PyTorch
    rounds it to bfloat16. The state of a parameter has ``momentum_buffer`` (m).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor([[3.0, 0.0], [0.0, 1.0]], requires_grad=True)
    >>> optimizer = tg.optim.Muon([w], lr=0.1, weight_decay=0.0)
    >>> (w**2).sum().backward()
    >>> optimizer.step()
    >>> w.detach().round(2)  # both singular values have come down by about 0.1
    tensor([[2.92, 0.  ],
            [0.  , 0.89]])
    """

    _takes_complex = False

    def __init__(
        self,
        params: Any,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid or a parameter is not a matrix."""
        self._require(group, "lr", "weight_decay", "momentum", "eps")
        if len(group["ns_coefficients"]) != 3:
            raise ValueError(f"Muon: ns_coefficients must be three numbers, got {group['ns_coefficients']!r}")
        if not 0 <= group["ns_steps"] < 100:
            raise ValueError(f"Muon: ns_steps must be at least 0 and less than 100, got {group['ns_steps']}")
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Muon: adjust_lr_fn must be 'original', 'match_rms_adamw' or None, got {group['adjust_lr_fn']!r}"
            )
        for i, p in enumerate(group["params"]):
            if p.ndim != 2:
                raise ValueError(f"Muon: only matrices can be optimized, parameter {i} has shape {p.shape}")

    def update(self, group: Group, batch: Batch) -> None:
        """One step of a batch."""
        lr, momentum = group["lr"], group["momentum"]
        rate = float(lr.item() if isinstance(lr, Tensor) else lr)
        for p, array, grad in zip(batch.params, batch.arrays, batch.grads, strict=True):
            work = Work(p, array, grad, self.state[p])
            m = work.buffer("momentum_buffer")
            if not p.size:
                continue
            move_average(m, work.grad, 1.0 - momentum)
            ahead = m
            if group["nesterov"]:
                ahead = K.copy(work.grad)
                move_average(ahead, m, momentum)
            u = _orthogonalized(ahead, group["ns_coefficients"], group["eps"], group["ns_steps"])
            n, columns = p.shape
            if group["adjust_lr_fn"] == "match_rms_adamw":
                ratio = 0.2 * math.sqrt(max(n, columns))
            else:
                ratio = math.sqrt(max(1.0, n / columns))
            K.multiply(work.value, 1.0 - rate * group["weight_decay"], out=work.value)
            add_scaled(work.value, u, -rate * ratio)
            work.finish()


def _orthogonalized(x: Any, coefficients: tuple[float, float, float], eps: float, steps: int) -> Any:
    """``x`` with all its singular values brought near 1."""
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x  # so that A is as small as it can be
    x = K.divide(x, K.maximum(K.sqrt(K.sum(K.square(x))), eps))
    for _ in range(steps):
        A = K.matmul(x, x.T)
        polynomial = K.multiply(K.matmul(A, A), c)
        add_scaled(polynomial, A, b)
        moved = K.matmul(polynomial, x)
        x = K.add(moved, K.multiply(x, a, out=x), out=moved)
    return x.T if tall else x
