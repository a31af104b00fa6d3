"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...tensor import Tensor
from ..module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """Call a module with other tensors in place of its parameters and buffers.

    Parameters
    ----------
    module : Module
        Has its own tensors again afterwards.
    parameters_and_buffers : mapping of str to Tensor
        By dotted name; the module's own are used for names that are not given.
    args : tuple or object, optional
        Positional arguments of the call; what is not a tuple is the only one.
    kwargs : dict, optional
    tie_weights : bool
        Whether a tensor also stands in where the module has the same parameter under another name.
    strict : bool
        Whether all names must be given.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.Linear(2, 1, bias=False)
    >>> weight = tg.tensor([[1.0, 2.0]], requires_grad=True)
    >>> tg.nn.utils.stateless.functional_call(layer, {"weight": weight}, tg.ones(1, 2)).sum().backward()
    >>> weight.grad, layer.weight.grad
    (tensor([[1., 1.]]), None)
    """
    places = _places(module)
    unknown = [name for name in parameters_and_buffers if name not in places]
    missing = [name for name in places if name not in parameters_and_buffers]
    if unknown or (strict and missing):
        raise RuntimeError(
            f"functional_call: {type(module).__name__} has no parameters or buffers named {unknown}"
            if unknown
            else f"functional_call: strict, but there is nothing for {missing}"
        )
    chosen = dict(parameters_and_buffers)
    if tie_weights:
        _tie(places, chosen)
    own = {name: places[name] for name in chosen}
    try:
        for name, (owner, attribute, _) in own.items():
            owner.__dict__[attribute] = chosen[name]
        given = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*given, **(kwargs or {}))
    finally:
        for owner, attribute, tensor in own.values():
            owner.__dict__[attribute] = tensor


def _places(module: Module) -> dict[str, tuple[Module, str, Tensor]]:
    """Of every parameter and buffer, by dotted name, whose it is, under which name, and what it is."""
    found = {}
    for path, owner in module.named_modules(remove_duplicate=False):
        for registry in (owner._parameters, owner._buffers):
            for attribute, tensor in registry.items():
                if tensor is not None:
                    found[f"{path}.{attribute}" if path else attribute] = (owner, attribute, tensor)
    return found


def _tie(places: dict[str, tuple[Module, str, Tensor]], chosen: dict[str, Tensor]) -> None:
    """Let what was chosen for one name of a tensor stand for its other names."""
    by_tensor: dict[int, Tensor] = {}
    for name, tensor in chosen.items():
        first = by_tensor.setdefault(id(places[name][2]), tensor)
        if first is not tensor:
            raise ValueError(f"functional_call: {name!r} is tied to a parameter for which another tensor is given")
    for name, (_, _, tensor) in places.items():
        if id(tensor) in by_tensor:
            chosen[name] = by_tensor[id(tensor)]
