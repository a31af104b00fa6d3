"""NumPy's functions that write into a tensor where a mask tells them to."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import owner_of
from ..tensor import Tensor
from .arrangement import tile
from .definition import alone, lift
from .elementwise import where
from .memory import cast
from .reduction import count_nonzero
from .shape import broadcast_to, raveled, reshape

__all__ = ["copyto", "place", "putmask"]


def _target(name: str, x: Any) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a Tensor to write into, got {type(x).__name__}")
    return x


def copyto(dst: Tensor, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Write ``src`` into ``dst``, into which it broadcasts, where a mask says so.

    Parameters
    ----------
    dst : Tensor
    src : Tensor or number
    casting : str
        Which change of dtype is allowed, one of NumPy's words: ``"no"``, ``"equiv"``, ``"safe"``, ``"same_kind"``,
        ``"unsafe"``.
    where : Tensor
        Booleans that broadcast to the shape of ``dst``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.zeros(3)
    >>> tg.copyto(x, tg.tensor([1.0, 2.0, 3.0]), where=tg.tensor([True, False, True]))
    >>> x
    tensor([1., 0., 3.])
    """
    dst = _target("copyto", dst)
    source = lift(src, dst)
    if not np.can_cast(source.dtype, dst.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"copyto: cannot cast from {source.dtype} to {dst.dtype} by the rule {casting!r}")
    source = source.astype(dst.dtype, copy=False)
    dst[...] = source if where is True else _chosen(where, broadcast_to(source, dst.shape), dst)


def _chosen(mask: Any, values: Any, x: Tensor) -> Any:
    return where(broadcast_to(lift(mask, None).to(x.device) != 0, x.shape), values, x)


def _mask_of(name: str, mask: Any, x: Tensor) -> Any:
    mask = lift(mask)
    if mask.device is not x.device:
        mask = mask.to(x.device)
    if mask.dtype.kind != "b":
        mask = mask != 0
    if mask.size != x.size:
        raise ValueError(f"{name}: a mask of shape {mask.shape} does not fit a tensor of shape {x.shape}")
    return mask if mask.shape == x.shape else reshape(mask, x.shape)


def _repeated(values: Any, size: int) -> Any:
    """The first ``size`` of a vector's elements, over again where there are too few."""
    if values.size != size:
        values = tile(values, -(-size // values.size))
    return values if values.size == size else values[:size]


def putmask(x: Tensor, mask: Any, values: Any) -> None:
    """Write at each place where the mask is true what ``values``, repeated to the size of ``x``, has there.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([0, 1, 2, 3])
    >>> tg.putmask(x, x > 1, tg.tensor([-10, -20, -30]))
    >>> x
    tensor([  0,   1, -30, -10])
    """
    x = _target("putmask", x)
    mask = _mask_of("putmask", mask, x)
    values = raveled(cast(lift(values, x), x.dtype))
    if x.size and values.size:
        repeated = _repeated(values, x.size)
        if x.ndim != 1:
            repeated = reshape(repeated, x.shape)
        own = owner_of(x._data)
        if alone(x, mask, repeated) and all(owner_of(other._data) is not own for other in (mask, repeated)):
            K.where(mask._data, repeated._data, x._data, out=x._data)
            x._written()
        else:
            x[...] = where(mask, repeated, x)


def place(x: Tensor, mask: Any, vals: Any) -> None:
    """Write the first of ``vals`` at the first place where the mask is true, and so on, repeating them.

    How many are needed depends on the mask, so that it waits for the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([0, 1, 2, 3])
    >>> tg.place(x, x > 0, tg.tensor([40, 50]))
    >>> x
    tensor([ 0, 40, 50, 40])
    """
    x = _target("place", x)
    mask = _mask_of("place", mask, x)
    vals = raveled(cast(lift(vals, x), x.dtype))
    count = int(count_nonzero(mask).item())
    if count and not vals.size:
        raise ValueError(f"place: there is nothing to write at {count} places of shape {x.shape}")
    if count:
        chosen = _repeated(vals, count)
        if alone(x, mask, chosen):
            K.setitem(x._data, (mask._data,), chosen._data)
            x._written()
        else:
            x[mask] = chosen
