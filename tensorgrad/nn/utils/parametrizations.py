"""Parametrizations by name: by length and direction, by the largest singular value, with orthonormal columns."""

from __future__ import annotations

from typing import TypeVar

from ...ops.matmul import matmul
from ...tape import no_grad
from ...tensor import Tensor
from ..functional.distance import normalize
from ..module import Module
from .orthogonal import AssignableOrthogonal, Orthogonal, OrthogonalMap
from .parametrize import register_parametrization
from .spectral_norm import as_matrix, largest_singular_value, output_axis, overwrite, unit_vector
from .weight_norm import norm_except

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

_M = TypeVar("_M", bound=Module)


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight


def weight_norm(module: _M, name: str = "weight", dim: int | None = 0) -> _M:
    """Parametrize a weight by its length, ``original0``, and its direction, ``original1``.

    Parameters
    ----------
    module : Module
        Is changed and returned.
    name : str
        The parameter's name.
    dim : int or None
        The axis with one length per index; None for one length of all.

    Notes
    -----
    Salimans and Kingma, Weight Normalization, 2016.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.utils.parametrizations.weight_norm(tg.nn.Linear(20, 40, bias=False))
    >>> {key: value.shape for key, value in layer.state_dict().items()}
    {'parametrizations.weight.original0': (40, 1), 'parametrizations.weight.original1': (40, 20)}
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"spectral_norm: dim {dim} is out of range for a weight of shape {weight.shape}")
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be greater than 0, got {n_power_iterations}")
        self.dim = dim % weight.ndim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), self.dim)
            self.register_buffer("_u", unit_vector(matrix.shape[0], weight, eps))
            self.register_buffer("_v", unit_vector(matrix.shape[1], weight, eps))
            self._iterate(matrix, 15)

    def _iterate(self, matrix: Tensor, times: int) -> None:
        with no_grad():
            for _ in range(times):
                overwrite(self._u, normalize(matmul(matrix, self._v), dim=0, eps=self.eps))
                overwrite(self._v, normalize(matmul(self._u, matrix), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix, self.n_power_iterations)
        return weight / largest_singular_value(matrix, self._u, self._v)

    def right_inverse(self, value: Tensor) -> Tensor:
        return value


def spectral_norm(
    module: _M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> _M:
    """Parametrize a weight as itself over its largest singular value, which the power method follows while training.

    Parameters
    ----------
    module : Module
        Is changed and returned.
    name : str
        The parameter's name.
    n_power_iterations : int
        Steps of the power method whenever the weight is read in training mode.
    eps : float
        Least length of a vector to be normalised.
    dim : int, optional
        The axis that counts the outputs: 0, but 1 for transposed convolutions.

    Notes
    -----
    Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.utils.parametrizations.spectral_norm(tg.nn.Linear(20, 40))
    >>> [name for name, _ in layer.named_buffers()]
    ['parametrizations.weight.0._u', 'parametrizations.weight.0._v']
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter or buffer {name!r}")
    axis = output_axis(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, axis, eps))


def orthogonal(
    module: _M, name: str = "weight", orthogonal_map: OrthogonalMap | None = None, *, use_trivialization: bool = True
) -> _M:
    """Parametrize a matrix, or a batch of them, such that its columns, or the rows of a wide one, are orthonormal.

    Parameters
    ----------
    module : Module
        Is changed and returned.
    name : str
        The parameter's name.
    orthogonal_map : {"matrix_exp", "cayley", "householder"}, optional
        ``"matrix_exp"``: the exponential of a skew matrix A, made of what is below the diagonal and its transpose;
        ``"cayley"``: ``inv(I - A / 2) @ (I + A / 2)``; ``"householder"``: a product of reflections, the fastest for
        matrices far from square, for real ones only. By default the first for square and complex matrices, else the
        last.
    use_trivialization : bool
        Multiply with a constant orthogonal matrix, ``parametrizations.<name>[0].base``, the matrix as it is now; so
        training starts, and goes on, where the map is closest to the identity. Without it, only ``"householder"`` keeps
        the matrix, and lets one be assigned.

    Raises
    ------
    ValueError
        If there is no such parameter, or it is no matrix.

    Notes
    -----
    What is not orthonormal becomes so by its QR decomposition. M. Lezcano-Casado, Trivializations for gradient-based
    optimization on manifolds, 2019.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.utils.parametrizations.orthogonal(tg.nn.Linear(20, 40))
    >>> (layer.weight.mT @ layer.weight - tg.eye(20)).abs().max().item() < 1e-5
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"orthogonal: {type(module).__name__} has no parameter or buffer {name!r}")
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: expected a matrix or a batch of them, got shape {weight.shape}")
    if orthogonal_map is None:
        either = weight.shape[-1] == weight.shape[-2] or weight.dtype.kind == "c"
        orthogonal_map = "matrix_exp" if either else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(
            f"orthogonal: orthogonal_map must be 'matrix_exp', 'cayley' or 'householder', got {orthogonal_map!r}"
        )
    if use_trivialization or orthogonal_map == "householder":
        made: Orthogonal = AssignableOrthogonal(weight, orthogonal_map, use_trivialization)
    else:
        made = Orthogonal(weight, orthogonal_map)
    return register_parametrization(module, name, made, unsafe=True)
