"""Weights divided by their largest singular value, computed before each forward."""

from __future__ import annotations

from typing import Any, TypeVar

from ... import kernels as K
from ...ops.matmul import matmul
from ...random import randn
from ...tape import no_grad
from ...tensor import Tensor
from ..conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..functional.distance import normalize
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "as_matrix", "largest_singular_value", "output_axis", "overwrite", "remove_spectral_norm", "spectral_norm",
    "unit_vector",
]  # fmt: skip

_M = TypeVar("_M", bound=Module)


def output_axis(module: Module) -> int:
    """The axis of a module's weight that counts its outputs."""
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """The weight with ``dim`` as its first axis and all others as its second."""
    rows: Tensor = weight.moveaxis(dim, 0)
    return rows.reshape(rows.shape[0], -1)


def unit_vector(size: int, like: Tensor, eps: float) -> Tensor:
    """A random direction."""
    return normalize(randn(size, dtype=like.dtype, device=like.device), dim=0, eps=eps)


def largest_singular_value(matrix: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """``u @ matrix @ v``, with u and v as they are now: later steps of the power method may overwrite them."""
    y: Tensor = matmul(u.detach().clone(), matmul(matrix, v.detach().clone()))
    return y


def overwrite(vector: Tensor, values: Tensor) -> None:
    """Write one step of the power method into its buffer."""
    K.assign(vector._data, values._data)
    vector._written()


class _SpectralNorm:
    """The hook that makes a step of the power method and divides the weight."""

    def __init__(self, name: str, iterations: int, eps: float, dim: int) -> None:
        self.name = self.computes = name
        self.iterations = iterations
        self.eps = eps
        self.dim = dim

    def weight(self, module: Module, iterate: bool) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if iterate:
            with no_grad():
                for _ in range(self.iterations):
                    overwrite(v, normalize(matmul(u, matrix), dim=0, eps=self.eps))
                    overwrite(u, normalize(matmul(matrix, v), dim=0, eps=self.eps))
        return weight / largest_singular_value(matrix, u, v)  # type: ignore[no-any-return]

    def compute(self, module: Module) -> None:
        """Divide the weight by the value found so far."""
        module.__dict__[self.name] = self.weight(module, False)

    def __call__(self, module: Module, args: tuple[Any, ...]) -> None:
        # a plain attribute, which does not count as a change of the module
        module.__dict__[self.name] = self.weight(module, module.training)


def spectral_norm(
    module: _M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> _M:
    """Divide a parameter by its largest singular value, which the power method follows while training.

    The parameter becomes ``weight_orig``; the singular vectors are the buffers ``weight_u`` and ``weight_v``.
    `parametrizations.spectral_norm` is the newer form.

    Parameters
    ----------
    module : Module
        Is changed and returned.
    name : str
        The parameter's name.
    n_power_iterations : int
        Steps of the power method per forward in training mode.
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
    >>> layer = tg.nn.utils.spectral_norm(tg.nn.Linear(20, 40))
    >>> layer.weight_u.shape, layer.weight_v.shape
    ((40,), (20,))
    """
    if n_power_iterations <= 0:
        raise ValueError(f"spectral_norm: n_power_iterations must be greater than 0, got {n_power_iterations}")
    if _hooks(module, name):
        raise RuntimeError(f"spectral_norm: {name!r} of {type(module).__name__} has one already")
    weight = module.get_parameter(name)
    hook = _SpectralNorm(name, n_power_iterations, eps, output_axis(module) if dim is None else dim)
    rows, columns = as_matrix(weight.detach(), hook.dim).shape
    delattr(module, name)
    module.register_parameter(name + "_orig", weight)
    module.__dict__[name] = weight.detach()
    module.register_buffer(name + "_u", unit_vector(rows, weight, eps))
    module.register_buffer(name + "_v", unit_vector(columns, weight, eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: _M, name: str = "weight") -> _M:
    """Undo `spectral_norm`: the weight as it is becomes a parameter.

    Raises
    ------
    ValueError
        If there is none.
    """
    hooks = _hooks(module, name)
    if not hooks:
        raise ValueError(f"remove_spectral_norm: {name!r} of {type(module).__name__} has no spectral_norm")
    ((key, hook),) = hooks.items()
    with no_grad():
        weight = hook.weight(module, False)
    for attribute in (name, name + "_u", name + "_v", name + "_orig"):
        delattr(module, attribute)
    module.register_parameter(name, Parameter(weight))
    module.__dict__["_forward_pre_hooks"].pop(key)
    return module


def _hooks(module: Module, name: str) -> dict[int, _SpectralNorm]:
    found = module.__dict__.get("_forward_pre_hooks", {})
    return {key: h for key, (h, _) in found.items() if isinstance(h, _SpectralNorm) and h.name == name}
