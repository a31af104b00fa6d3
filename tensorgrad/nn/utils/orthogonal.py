"""Matrices with orthonormal columns, or rows, as functions of matrices without constraints."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ...ops.arrangement import diagonal, triangle
from ...ops.complex_parts import conj, real_part
from ...ops.elementwise import abs as absolute
from ...ops.elementwise import divide, equal, less_equal, multiply, sign, trunc, where
from ...ops.factorization import geqrf, householder_product, qr
from ...ops.linear_system import solve
from ...ops.matmul import matmul
from ...ops.matrix_function import matrix_exp
from ...ops.memory import cast, eye, zeros, zeros_like
from ...ops.reduction import all as all_of
from ...ops.reduction import sum as sum_of
from ...ops.shape import broadcast_to, concat, expand_dims, matrix_transpose
from ...random import randn
from ...tensor import Tensor
from ..module import Module

__all__ = ["AssignableOrthogonal", "Orthogonal"]

OrthogonalMap = Literal["matrix_exp", "cayley", "householder"]


def _identity(x: Any) -> Any:
    return eye(x.shape[-1], dtype=x.dtype, device=x.device)


def _adjoint(x: Any) -> Any:
    return conj(matrix_transpose(x))


def _is_orthogonal(q: Any) -> bool:
    difference = absolute(matmul(_adjoint(q), q) - _identity(q))
    return bool(all_of(less_equal(difference, 10 * q.shape[-1] * float(np.finfo(difference.dtype).eps))))


def _orthonormalized(x: Any) -> Any:
    """Q of the decomposition in which the diagonal of R is positive, which is ``x`` itself if it is orthonormal."""
    q, r = qr(x)
    return multiply(q, expand_dims(sign(diagonal(r, axis1=-2, axis2=-1)), -2))


class Orthogonal(Module):
    """The map from a matrix without constraints to one with orthonormal columns, or rows if it is wide.

    Parameters
    ----------
    weight : Tensor
        Shape (..., m, n).
    orthogonal_map : {"matrix_exp", "cayley", "householder"}
    """

    def __init__(self, weight: Tensor, orthogonal_map: OrthogonalMap) -> None:
        super().__init__()
        if weight.dtype.kind == "c" and orthogonal_map == "householder":
            raise ValueError("orthogonal: reflectors have too few numbers for complex matrices; use another map")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map

    def forward(self, x: Tensor) -> Any:
        """Orthonormal columns or rows, of the shape of ``x``."""
        wide = x.shape[-2] < x.shape[-1]
        q = self._columns(matrix_transpose(x) if wide else x)
        return matrix_transpose(q) if wide else q

    def _columns(self, x: Any) -> Any:
        if self.orthogonal_map == "householder":
            return self._reflected(x)
        n, k = x.shape[-2:]
        lower = triangle(x, 0, False)
        if n > k:
            rest = zeros((n, n - k), dtype=x.dtype, device=x.device)
            lower = concat([lower, broadcast_to(rest, (*x.shape[:-2], n, n - k))], -1)
        skew = lower - _adjoint(lower)
        if self.orthogonal_map == "matrix_exp":
            q = matrix_exp(skew)
        else:
            half = multiply(skew, 0.5)
            q = solve(_identity(skew) - half, _identity(skew) + half)
        return q[..., :k] if n > k else q

    @staticmethod
    def _reflected(x: Any) -> Any:
        """A product of reflections; the diagonal of ``x`` holds the signs of the columns, which are not trained."""
        below = triangle(x, -1, False)
        factors = divide(2.0, sum_of(multiply(below, below), axis=-2) + 1.0)
        signs = trunc(diagonal(x.detach(), axis1=-2, axis2=-1))
        return multiply(householder_product(below, factors), expand_dims(signs, -2))

    def _checked(self, value: Tensor) -> tuple[Any, bool]:
        """What is assigned, upright, and whether it was wide."""
        if value.shape != self.shape:
            raise ValueError(f"orthogonal: expected a tensor of shape {self.shape}, got {value.shape}")
        wide = value.shape[-2] < value.shape[-1]
        return matrix_transpose(value) if wide else value, wide


class AssignableOrthogonal(Orthogonal):
    """As `Orthogonal`, with what can be assigned: what is not orthonormal is made so by its QR decomposition.

    Parameters
    ----------
    weight : Tensor
    orthogonal_map : str
    use_trivialization : bool
        Keep what was assigned as ``base``, and map matrices without constraints to its neighbourhood. Without it, only
        reflections have an inverse.
    """

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: OrthogonalMap, use_trivialization: bool) -> None:
        super().__init__(weight, orthogonal_map)
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def _columns(self, x: Any) -> Any:
        q = super()._columns(x)
        return matmul(self.base, q) if self.use_trivialization else q

    def right_inverse(self, value: Tensor) -> Any:
        """The matrix without constraints that is mapped to ``value``."""
        q, wide = self._checked(value)
        if not self.use_trivialization:
            packed, factors = geqrf(q)
            signs = sign(diagonal(packed, axis1=-2, axis2=-1))
            # LAPACK leaves a column alone, and its factor at 0, where there is nothing to reflect
            signs = where(equal(factors, 0), -signs, signs)
            k = signs.shape[-1]
            on_diagonal = multiply(eye(q.shape[-2], k, dtype=q.dtype, device=q.device), expand_dims(signs, -2))
            x = triangle(packed, -1, False) + triangle(packed, 1, True) + on_diagonal
            return matrix_transpose(x) if wide else x
        n, k = q.shape[-2:]
        if n > k:
            more = randn(*q.shape[:-2], n, n - k, dtype=real_part(q[..., :0]).dtype, device=q.device)
            base = _orthonormalized(concat([q, cast(more, q.dtype)], -1))
        else:
            base = q.clone() if _is_orthogonal(q) else _orthonormalized(q)
        self.base = base.detach()
        # the signs that let reflections by 0 be the identity
        return zeros_like(value) - eye(*value.shape[-2:], dtype=value.dtype, device=value.device)
