"""Gradients kept within bounds, in place, before an optimizer's step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ... import kernels as K
from ...backend import device_of, real_pairs, to_device, to_numpy
from ...ops.memory import zeros
from ...tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [p.grad for p in listed if p.grad is not None]


def _by_device(gradients: list[Tensor]) -> dict[Any, list[Tensor]]:
    groups: dict[Any, list[Tensor]] = {}
    for g in gradients:
        groups.setdefault(g.device, []).append(g)
    return groups


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors, taken as of one vector.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
    norm_type : float
        p of the p-norm, greater than 0; may be infinity.
    error_if_nonfinite : bool
        Raise if the norm is NaN or infinite. That waits for the device; nothing else here does.
    foreach : bool, optional
        Taken for PyTorch's sake; the gradients of a device are always taken in one launch.

    Returns
    -------
    Tensor
        0-d, on the device of the first tensor.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.utils.get_total_norm([tg.tensor([3.0]), tg.tensor([4.0])])
    tensor(5.)
    """
    return _total_norm(
        "get_total_norm", [tensors] if isinstance(tensors, Tensor) else list(tensors), norm_type, error_if_nonfinite
    )


def _real(x: Tensor, p: float = 2.0) -> Any:
    """An array of real numbers whose p-norm is that of a tensor: of a complex one its parts, or its absolute values."""
    if x.dtype.kind != "c":
        return x._data
    return real_pairs(x._data) if p == 2.0 else K.absolute(x._data)


def _total_norm(name: str, tensors: list[Tensor], norm_type: float, error_if_nonfinite: bool) -> Tensor:
    p = float(norm_type)
    if not p > 0:
        raise ValueError(f"{name}: norm_type must be greater than 0, got {norm_type}")
    groups = _by_device(tensors)
    if not groups:
        return zeros(())
    norms = [K.global_norm([_real(x, p) for x in group], p) for group in groups.values()]
    home = device_of(norms[0])
    norm = norms[0] if len(norms) == 1 else K.global_norm([to_device(n, home) for n in norms], p)
    if error_if_nonfinite and not math.isfinite(value := to_numpy(norm).item()):
        raise RuntimeError(
            f"{name}: the total norm of order {p} is {value}; with error_if_nonfinite=False it is used nevertheless"
        )
    return Tensor(norm)


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale all gradients together by ``max_norm / (total_norm + 1e-6)`` if that is less than 1.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    max_norm : float
    total_norm : Tensor
        What `get_total_norm` said of the gradients.
    foreach : bool, optional
        Taken for PyTorch's sake; the gradients of a device are always taken in one launch.
    """
    factor = K.minimum(K.divide(float(max_norm), K.add(total_norm._data, 1e-6)), 1.0)
    for device, group in _by_device(_gradients(parameters)).items():
        K.scale([_real(g) for g in group], to_device(factor, device))
        for g in group:
            g._written()


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients together so that their norm, taken as of one vector, is at most ``max_norm``.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    max_norm : float
    norm_type : float
        p of the p-norm, greater than 0; may be infinity.
    error_if_nonfinite : bool
        Raise if the norm is NaN or infinite. That waits for the device; nothing else here does.
    foreach : bool, optional
        Taken for PyTorch's sake; the gradients of a device are always taken in one launch.

    Returns
    -------
    Tensor
        The norm before scaling, 0-d.

    Raises
    ------
    ValueError
        If ``norm_type`` is not greater than 0.
    RuntimeError
        If the norm is not finite and ``error_if_nonfinite`` is set; the gradients are as they were.

    Notes
    -----
    The factor is ``min(1, max_norm / (norm + 1e-6))``, as in PyTorch. Pascanu, Mikolov and Bengio, On the difficulty of
    training Recurrent Neural Networks, 2013.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.zeros(2, requires_grad=True)
    >>> w.grad = tg.tensor([3.0, 4.0])
    >>> tg.nn.utils.clip_grad_norm_(w, 1.0)
    tensor(5.)
    >>> [round(g, 3) for g in w.grad.tolist()]
    [0.6, 0.8]
    """
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm = _total_norm("clip_grad_norm_", _gradients(listed), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(listed, max_norm, norm)
    return norm


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Clip every element of every gradient to [-clip_value, clip_value], in place.

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    clip_value : float
    foreach : bool, optional
        Taken for PyTorch's sake; the gradients of a device are clipped one after the other.
    """
    limit = float(clip_value)
    gradients = _gradients(parameters)
    for g in gradients:
        if g.dtype.kind == "c":
            raise TypeError(
                f"clip_grad_value_: complex numbers have no order, got a {g.dtype} gradient of shape {g.shape}"
            )
    for g in gradients:
        K.clip(g._data, -limit, limit, out=g._data)
        g._written()
