"""Several axes as one, and one as several."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import integer, integers
from ..tensor import Tensor
from .module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """The axes from ``start_dim`` to ``end_dim`` as one; by default all but the first.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Flatten()(tg.ones(32, 1, 5, 5)).shape
    (32, 25)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """The input as a view of fewer axes."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The axis ``dim`` as several.

    Parameters
    ----------
    dim : int
    unflattened_size : sequence of int
        Sizes of the new axes; one may be -1.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Unflatten(1, (2, 5, 5))(tg.ones(2, 50)).shape
    (2, 2, 5, 5)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = integer(dim, "dim", "Unflatten")
        self.unflattened_size = integers(unflattened_size, "unflattened_size", "Unflatten")

    def forward(self, input: Tensor) -> Tensor:
        """The input as a view of more axes."""
        y: Tensor = input.unflatten(self.dim, self.unflattened_size)
        return y

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
