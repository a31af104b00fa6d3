"""Parameters and buffers: the tensors that a module owns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import kernels as K
from ..creation import as_tensor
from ..tensor import Tensor

__all__ = ["Buffer", "Parameter", "clear_gradients"]


class Parameter(Tensor):
    """A tensor that becomes one of a module's parameters when it is assigned to an attribute of the module.

    Parameters
    ----------
    data : Tensor or array_like
        The values; a tensor's memory is shared.
    requires_grad : bool
        Whether `Tensor.backward` should leave a gradient in ``grad``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.nn.Parameter(tg.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        _share(self, data)
        if requires_grad:
            self.requires_grad = True

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A copy of the values; as in PyTorch, not of the gradient."""
        if id(self) in memo:
            return memo[id(self)]  # type: ignore[no-any-return]
        copy = Parameter.__new__(type(self))
        Parameter.__init__(copy, self.detach().clone(), self.requires_grad)
        memo[id(self)] = copy
        return copy


class Buffer(Tensor):
    """A tensor that becomes one of a module's buffers when it is assigned to an attribute of the module.

    Parameters
    ----------
    data : Tensor or array_like
        The values; a tensor's memory is shared.
    persistent : bool
        Whether the buffer is part of the module's `state_dict`.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> module = tg.nn.Module()
    >>> module.mean = tg.nn.Buffer(tg.zeros(2))
    >>> list(module.state_dict())
    ['mean']
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any, *, persistent: bool = True) -> None:
        _share(self, data)
        self.persistent = persistent

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer:
        if id(self) in memo:
            return memo[id(self)]  # type: ignore[no-any-return]
        copy = Buffer.__new__(type(self))
        Buffer.__init__(copy, self.detach().clone(), persistent=self.persistent)
        memo[id(self)] = copy
        return copy

    def _another(self, data: Any) -> Tensor:
        copy = super()._another(data)
        copy.persistent = self.persistent  # type: ignore[attr-defined]
        return copy

    def __reduce__(self) -> Any:
        rebuild, arguments, *state = super().__reduce__()
        return (_rebuilt_buffer, (rebuild, arguments, self.persistent), *state)


def _share(made: Tensor, data: Any) -> None:
    """Make a tensor of the memory of ``data``."""
    source = as_tensor(data).detach()
    Tensor.__init__(made, source._data)
    made._storage = source._storage


def _rebuilt_buffer(rebuild: Any, arguments: Any, persistent: bool) -> Any:
    buffer = rebuild(*arguments)
    buffer.persistent = persistent
    return buffer


def clear_gradients(tensors: Iterable[Tensor], set_to_none: bool) -> None:
    """Drop gradients, or fill them with zeros where they are."""
    for x in tensors:
        if set_to_none or x.grad is None:
            x.grad = None
        elif x.grad.requires_grad:  # part of a graph of its own, whose values stay
            x.grad = Tensor(K.copy(x.grad._data))
            K.fill(x.grad._data, 0)
        else:
            K.fill(x.grad._data, 0)
            x.grad._written()
