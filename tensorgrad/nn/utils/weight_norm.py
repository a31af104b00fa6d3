"""Weights as a length and a direction, computed before each forward."""

from __future__ import annotations

from typing import Any, TypeVar

from ...ops.elementwise import sqrt
from ...tape import no_grad
from ...tensor import Tensor
from ..module import Module
from ..parameter import Parameter

__all__ = ["norm_except", "remove_weight_norm", "weight_norm"]

_M = TypeVar("_M", bound=Module)


def norm_except(weight: Tensor, dim: int | None) -> Tensor:
    """The norm over all axes but ``dim``, which stay with size 1; over all axes, 0-d, for None and -1."""
    if dim is None or dim == -1:
        return sqrt(weight.square().sum())  # type: ignore[no-any-return]
    if not -weight.ndim <= dim < weight.ndim:
        raise IndexError(f"weight_norm: dim {dim} is out of range for a weight of shape {weight.shape}")
    others = tuple(axis for axis in range(weight.ndim) if axis != dim % weight.ndim)
    return sqrt(weight.square().sum(others, keepdims=True))  # type: ignore[no-any-return]


class _WeightNorm:
    """The hook that puts the weight together."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = self.computes = name
        self.dim = dim

    def weight(self, module: Module) -> Tensor:
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / norm_except(v, self.dim))  # type: ignore[no-any-return]

    def compute(self, module: Module) -> None:
        """Put the weight together: a plain attribute, which does not count as a change of the module."""
        module.__dict__[self.name] = self.weight(module)

    def __call__(self, module: Module, args: tuple[Any, ...]) -> None:
        self.compute(module)


def weight_norm(module: _M, name: str = "weight", dim: int | None = 0) -> _M:
    """Replace a parameter by its length and its direction: ``weight = g * v / norm(v)``.

    The parameter becomes two, ``weight_g`` and ``weight_v``. `parametrizations.weight_norm` is the newer form.

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
    >>> layer = tg.nn.utils.weight_norm(tg.nn.Linear(20, 40))
    >>> layer.weight_g.shape, layer.weight_v.shape
    ((40, 1), (40, 20))
    """
    if _hooks(module, name):
        raise RuntimeError(f"weight_norm: {name!r} of {type(module).__name__} has one already")
    weight = module.get_parameter(name)
    with no_grad():
        length = norm_except(weight, dim)
    delattr(module, name)
    module.register_parameter(name + "_g", Parameter(length))
    module.register_parameter(name + "_v", Parameter(weight.detach()))
    hook = _WeightNorm(name, dim)
    hook(module, ())
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: _M, name: str = "weight") -> _M:
    """Undo `weight_norm`: the weight as it is becomes a parameter.

    Raises
    ------
    ValueError
        If there is none.
    """
    hooks = _hooks(module, name)
    if not hooks:
        raise ValueError(f"remove_weight_norm: {name!r} of {type(module).__name__} has no weight_norm")
    ((key, hook),) = hooks.items()
    with no_grad():
        weight = hook.weight(module)
    for attribute in (name, name + "_g", name + "_v"):
        delattr(module, attribute)
    module.register_parameter(name, Parameter(weight))
    module.__dict__["_forward_pre_hooks"].pop(key)
    return module


def _hooks(module: Module, name: str) -> dict[int, _WeightNorm]:
    found = module.__dict__.get("_forward_pre_hooks", {})
    return {key: h for key, (h, _) in found.items() if isinstance(h, _WeightNorm) and h.name == name}
