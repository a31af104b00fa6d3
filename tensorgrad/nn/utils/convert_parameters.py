"""All parameters of a model as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ... import kernels as K
from ...ops.shape import concat
from ...tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, one after the other; differentiable.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.utils.parameters_to_vector([tg.ones(2, 1), tg.zeros(1)])
    tensor([1., 1., 0.])
    """
    y: Tensor = concat([p.reshape(-1) for p in parameters], 0)
    return y


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the parts of a vector into the parameters: the inverse of `parameters_to_vector`.

    Raises
    ------
    ValueError
        If the vector is shorter or longer than the parameters together; nothing is copied then.
    """
    targets = list(parameters)
    sizes = [math.prod(p.shape) for p in targets]
    if vec.shape != (sum(sizes),):
        raise ValueError(
            f"vector_to_parameters: the parameters have {sum(sizes)} elements, got a vector of shape {vec.shape}"
        )
    start = 0
    for p, size in zip(targets, sizes, strict=True):
        K.assign(p._data, vec._data[start : start + size].reshape(p.shape))
        p._written()
        start += size
