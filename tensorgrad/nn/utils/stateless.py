"""A module as a function of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...ops.shape import stack
from ...tape import no_grad
from ...tensor import Tensor
from ..module import Module
from ..normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d

__all__ = ["functional_call", "replace_all_batch_norm_modules_", "stack_module_state"]


def functional_call(
    module: Module,
    parameters_and_buffers: Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]],
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
    parameters_and_buffers : mapping of str to Tensor, or sequence of such
        By dotted name; the module's own are used for names that are not given. Several mappings have no name in common.
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
    if not isinstance(parameters_and_buffers, Mapping):
        parameters_and_buffers = _joined(parameters_and_buffers)
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


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters and the buffers of modules of one kind, stacked along a new first axis, for `tg.func.vmap`.

    Parameters
    ----------
    models : sequence of Module
        All of one class, with the same parameters, and all training or none.

    Returns
    -------
    params, buffers : dict of str to Tensor
        By dotted name. Parameters are new leaves, which require a gradient where the modules' do.

    Raises
    ------
    RuntimeError
        If there is no module, or they differ in more than values.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> models = [tg.nn.Linear(3, 2) for _ in range(4)]
    >>> params, buffers = tg.func.stack_module_state(models)
    >>> call = lambda p, b, x: tg.func.functional_call(models[0], (p, b), x)
    >>> tg.func.vmap(call, in_dims=(0, 0, None))(params, buffers, tg.ones(5, 3)).shape
    (4, 5, 2)
    """
    first = models[0] if len(models) else None
    if first is None:
        raise RuntimeError("stack_module_state: there is no module to stack the state of")
    for model in models:
        if type(model) is not type(first) or model.training != first.training:
            what = [f"{type(m).__name__} that {'is' if m.training else 'is not'} training" for m in (first, model)]
            raise RuntimeError(
                f"stack_module_state: the modules must be of one class and mode, got {what[0]}, {what[1]}"
            )
    params = _stacked([dict(m.named_parameters()) for m in models])
    return params, _stacked([dict(m.named_buffers()) for m in models])


def _stacked(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    made = {}
    for name, x in states[0].items():
        group = [state.get(name) for state in states]
        specs = [None if y is None else (y.shape, y.dtype, y.device, y.requires_grad) for y in group]
        if any(spec != specs[0] for spec in specs) or any(state.keys() != states[0].keys() for state in states):
            raise RuntimeError(
                f"stack_module_state: the modules' {name!r} differ in shape, dtype, device or requires_grad"
            )
        with no_grad():
            made[name] = stack(group, axis=0)
        made[name].requires_grad = x.requires_grad
    return made


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Let batch norms in ``root``, itself included, keep no statistics, and return ``root``.

    Running statistics are written in place, which `tg.func.vmap` over parameters or samples cannot do to a shared one.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.BatchNorm1d(3))
    >>> tg.func.replace_all_batch_norm_modules_(model)[1].running_mean is None
    True
    """
    for module in root.modules():
        if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d)) and module.track_running_stats:
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root


def _joined(mappings: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mappings as one."""
    joined: dict[str, Tensor] = {}
    for mapping in mappings:
        if not isinstance(mapping, Mapping):
            raise TypeError(
                f"functional_call: expected a mapping or a sequence of them, got {type(mapping).__name__} in it"
            )
        twice = [name for name in mapping if name in joined]
        if twice:
            raise ValueError(f"functional_call: several mappings have {twice}")
        joined.update(mapping)
    return joined


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
