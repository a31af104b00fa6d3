"""The base class of all optimizers: parameter groups, state, and the arrays that a step's kernel takes."""

from __future__ import annotations

import copy
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from .. import kernels as K
from ..backend import Device, real_pairs, to_numpy
from ..boundary import Explained
from ..capture import replayed
from ..conversion import as_array
from ..dtypes import DType, float32, is_floating
from ..nn.hooks import RemovableHandle
from ..nn.parameter import clear_gradients
from ..tape import clock, grad_mode
from ..tensor import Tensor

__all__ = ["Optimizer"]

Group = dict[str, Any]
State = dict[str, Any]


class Batch:
    """The parameters of one group that have gradients, of one dtype and device: what one kernel launch updates.

    Attributes
    ----------
    params : list of Tensor
    arrays, grads : list of array
        The parameters' values and gradients; those of complex numbers as pairs of real ones, in the same memory.
    dtype, device
        Of ``params``.
    """

    __slots__ = ("arrays", "device", "dtype", "grads", "params")

    def __init__(self, dtype: DType, device: Device) -> None:
        self.dtype = dtype
        self.device = device
        self.params: list[Tensor] = []
        self.arrays: list[Any] = []
        self.grads: list[Any] = []


def with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator of a method ``step``: the optimizer's hooks around the outermost of calls within each other."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._steps += 1  # schedules ask whether there was a step
        hooks = self._hooks
        if not hooks or self._stepping:
            return step(self, *args, **kwargs)
        self._stepping = True
        try:
            for hook in self._called("step_pre"):
                answer = hook(self, args, kwargs)
                if answer is not None:
                    if not (isinstance(answer, tuple) and len(answer) == 2):
                        raise RuntimeError(
                            "a step pre-hook must return None or a pair of args and kwargs, got "
                            f"{type(answer).__name__}"
                        )
                    args, kwargs = answer
            result = step(self, *args, **kwargs)
            for hook in self._called("step_post"):
                hook(self, args, kwargs)
        finally:
            self._stepping = False
        return result

    return wrapper


class Optimizer(Explained):
    """Parameters in groups, options per group, and state per parameter.

    A subclass gives `update`, which changes the parameters of one batch; or it overrides `step`.

    Parameters
    ----------
    params : iterable
        Tensors, pairs of name and tensor, or dicts (groups) with such an iterable under ``"params"`` and options of
        their own beside it.
    defaults : dict
        The options of groups that do not have their own.

    Attributes
    ----------
    param_groups : list of dict
        Each with ``"params"`` and its options, which may be changed between steps.
    state : dict of Tensor to dict
        What the optimizer keeps of each parameter.

    Raises
    ------
    TypeError
        If ``params`` is a tensor, or holds something else than tensors.
    ValueError
        If there are no parameters, one occurs twice, or one was computed by an op.
    """

    _stepping = False
    _takes_complex = True  # as pairs of real numbers

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        name = type(self).__name__
        if isinstance(params, Tensor):
            raise TypeError(f"{name}: params must be an iterable of tensors or dicts, got a Tensor")
        self.defaults = defaults
        self.state: defaultdict[Tensor, State] = defaultdict(dict)
        self.param_groups: list[Group] = []
        self._steps = 0
        self._hooks: dict[str, dict[int, Any]] = {}
        groups = list(params)
        if not groups:
            raise ValueError(f"{name}: got no parameters")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    # ------------------------------------------------------------------------------------------------------- groups
    def add_param_group(self, param_group: Group) -> None:
        """Add parameters, with options of their own, to those that are optimized.

        Parameters
        ----------
        param_group : dict
            ``"params"`` and any options.
        """
        name = type(self).__name__
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f'{name}: a group must be a dict with "params", got {type(param_group).__name__}')
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError(f"{name}: params must be in an order, which a set does not have")
        members = [given] if isinstance(given, Tensor) else list(given)
        group = {**param_group, "params": members}
        if members and isinstance(members[0], tuple):
            group["param_names"] = [pair[0] for pair in members]
            group["params"] = members = [pair[1] for pair in members]
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for i, p in enumerate(members):
            if not isinstance(p, Tensor):
                raise TypeError(f"{name}: parameter {i} must be a Tensor, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(
                    f"{name}: parameter {i} (shape {p.shape}) was made by {p._node!r}; only leaves can be optimized"
                )
            if not is_floating(p.dtype) and not (self._takes_complex and p.dtype.kind == "c"):
                kinds = "floating or complex" if self._takes_complex else "floating"
                raise TypeError(f"{name}: parameter {i} (shape {p.shape}) must be {kinds}, got {p.dtype}")
            if id(p) in known:
                raise ValueError(f"{name}: parameter {i} (shape {p.shape}) occurs more than once in the groups")
            known.add(id(p))
        for key, value in self.defaults.items():
            group.setdefault(key, value)
        if group.get("differentiable"):
            raise ValueError(
                f"{name}: differentiable=True is not possible, a step writes into the parameters, off the tape; "
                "to differentiate through a step, write it with tensor functions and nn.utils.stateless.functional_call"
            )
        if group.get("foreach") and group.get("fused"):
            raise RuntimeError(f"{name}: foreach and fused cannot both be True")
        self.check(group)
        self.param_groups.append(group)

    def check(self, group: Group) -> None:
        """Raise ValueError if an option of the group is invalid; for subclasses to define."""

    def _require(self, group: Group, *names: str, below: float = math.inf) -> None:
        """Raise unless options are numbers from 0 up to, not including, ``below``."""
        for name in names:
            value = group[name]
            number = value.item() if hasattr(value, "item") else value
            if not isinstance(number, (int, float)) or not 0.0 <= number < below:
                limits = "finite and not negative" if below == math.inf else f"at least 0 and less than {below:g}"
                raise ValueError(f"{type(self).__name__}: {name} must be {limits}, got {number}")

    # --------------------------------------------------------------------------------------------------------- steps
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or overwrite them with zeros."""
        for group in self.param_groups:
            clear_gradients(group["params"], set_to_none)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "step" in vars(cls):  # its state and options are Python's: a replayed program calls it again
            cls.step = replayed(with_hooks(cls.step))  # type: ignore[method-assign]

    @replayed
    @with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients; those without a gradient stay.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss anew, calls `backward` and returns the loss, which `step` then returns.
        """
        loss = None
        if closure is not None:
            token = grad_mode.set(True)
            try:
                loss = closure()
            finally:
                grad_mode.reset(token)
        for group in self.param_groups:
            for batch in self._batches(group):
                self.update(group, batch)
                now = next(clock)
                for p in batch.params:
                    storage = p._storage or p._shared_storage()
                    storage.version += 1
                    storage.written_at = now
        return loss

    def update(self, group: Group, batch: Batch) -> None:
        """Write the new values into the arrays of a batch; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} defines neither update() nor step()")

    def _batches(self, group: Group) -> list[Batch]:
        """The group's parameters that have gradients, by dtype and device."""
        batches: list[Batch] = []
        batch: Batch | None = None
        for p in group["params"]:
            grad = p.grad
            if grad is None:
                continue
            array, g = p._data, grad._data
            dtype, device = array.dtype, p.device
            if g.dtype is not dtype or g.shape != array.shape or grad.device is not device:
                self._check_gradient(group, p)
            if batch is None or batch.dtype is not dtype or batch.device is not device:
                batch = _batch_for(batches, dtype, device)
            batch.params.append(p)
            batch.arrays.append(array)
            batch.grads.append(g)
        for batch in batches:
            if batch.dtype.kind == "c":
                batch.arrays, batch.grads = [[real_pairs(a) for a in some] for some in (batch.arrays, batch.grads)]
        return batches

    def _check_gradient(self, group: Group, p: Tensor) -> None:
        """Raise if the gradient does not fit its parameter."""
        grad = p.grad
        if grad is None or (grad.shape, grad.dtype, grad.device) == (p.shape, p.dtype, p.device):
            return
        place = next(i for i, q in enumerate(group["params"]) if q is p)
        title = f"parameter {place}"
        if "param_names" in group:
            title = f"parameter {group['param_names'][place]!r}"
        elif len(self.param_groups) > 1:
            title += f" of group {next(i for i, g in enumerate(self.param_groups) if g is group)}"
        raise ValueError(
            f"{type(self).__name__}: {title} has shape {p.shape}, dtype {p.dtype} and device {p.device}, its gradient "
            f"{grad.shape}, {grad.dtype} and {grad.device}"
        )

    # --------------------------------------------------------------------------------------------------------- hooks
    def _hook(self, kind: str, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        return RemovableHandle(self._hooks.setdefault(kind, {}), hook, first=prepend)

    def _called(self, kind: str) -> list[Callable[..., Any]]:
        return list(self._hooks.get(kind, {}).values())

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before `step`; it may return other args and kwargs."""
        return self._hook("step_pre", hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after `step`."""
        return self._hook("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before `state_dict` looks at the state."""
        return self._hook("state_dict_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after `state_dict`; what it returns is given in its place."""
        return self._hook("state_dict_post", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before `load_state_dict`; what it returns is loaded in its place."""
        return self._hook("load_state_dict_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after `load_state_dict`."""
        return self._hook("load_state_dict_post", hook, prepend)

    # --------------------------------------------------------------------------------------------------------- state
    def state_dict(self) -> dict[str, Any]:
        """The state of every parameter, keyed by its number, and the groups, with numbers in place of parameters.

        Tensors are not copied.
        """
        for hook in self._called("state_dict_pre"):
            hook(self)
        numbers: dict[int, Any] = {id(p): i for i, p in enumerate(self._parameters())}
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        state = {numbers.get(id(p), p): s for p, s in self.state.items() if s}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._called("state_dict_post"):
            answer = hook(self, result)
            result = result if answer is None else answer
        return result

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Copy the state and the options of another optimizer of the same kind.

        Parameters
        ----------
        state_dict : mapping
            What `state_dict` gave, with Tensors or arrays. Parameters are matched by their order; what is floating
            takes the dtype and device of its parameter.

        Raises
        ------
        ValueError
            If the groups do not have the same sizes, or a state has another shape than its parameter.
        """
        name = type(self).__name__
        for hook in self._called("load_state_dict_pre"):
            answer = hook(self, dict(state_dict))
            state_dict = state_dict if answer is None else answer
        saved = state_dict["param_groups"]
        sizes, own = [len(g["params"]) for g in saved], [len(g["params"]) for g in self.param_groups]
        if sizes != own:
            raise ValueError(
                f"{name}: the loaded state has groups of {sizes} parameters, this optimizer has groups of {own}"
            )
        parameters = dict(zip(chain.from_iterable(g["params"] for g in saved), self._parameters(), strict=True))
        state: defaultdict[Tensor, State] = defaultdict(dict)
        for key, values in state_dict["state"].items():
            p = parameters.get(key)
            if p is None:
                state[key] = copy.deepcopy(values)
            else:
                state[p] = {k: self._loaded(key, k, v, p) for k, v in values.items()}
        groups = []
        for group, loaded in zip(self.param_groups, saved, strict=True):
            options = {k: copy.deepcopy(v) for k, v in loaded.items() if k not in ("params", "param_names")}
            names = {"param_names": group["param_names"]} if "param_names" in group else {}
            groups.append({"params": group["params"], **self.defaults, **options, **names})
        self.state = state
        self.param_groups = groups
        for hook in self._called("load_state_dict_post"):
            hook(self)

    def _loaded(self, number: Any, key: str, value: Any, p: Tensor) -> Any:
        """A copy of one value of a parameter's state, where and as the parameter is."""
        if value is None or isinstance(value, (bool, str)):
            return value
        if key == "step":  # counts are float32, however the parameter is
            return Tensor(as_array(value._data if isinstance(value, Tensor) else value, float32, p.device))
        if not hasattr(value, "dtype"):
            return copy.deepcopy(value)
        if tuple(value.shape) not in ((), p.shape):
            raise ValueError(
                f"{type(self).__name__}: the loaded {key} of parameter {number} has shape {tuple(value.shape)}, the "
                f"parameter has shape {p.shape}"
            )
        array = value._data if isinstance(value, Tensor) else value
        same_kind = is_floating(array.dtype) if is_floating(p.dtype) else array.dtype.kind == p.dtype.kind
        return Tensor(as_array(array, p.dtype if same_kind else None, p.device))

    def _parameters(self) -> Iterator[Tensor]:
        return chain.from_iterable(group["params"] for group in self.param_groups)

    def __getstate__(self) -> dict[str, Any]:
        # Parameters get new identities, and so new hashes, when they are unpickled: the state goes along as pairs.
        return {**self.__dict__, "state": list(self.state.items()), "_hooks": {}}  # hooks are this program's

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.state = defaultdict(dict, state["state"])

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in ("params", "param_names")]
        return "\n".join([*lines, ")"])


def _batch_for(batches: list[Batch], dtype: DType, device: Device) -> Batch:
    for batch in batches:
        if batch.dtype == dtype and batch.device == device:
            return batch
    batches.append(Batch(dtype, device))
    return batches[-1]


def real_arrays(tensors: Iterable[Tensor], dtype: DType) -> list[Any]:
    """The arrays of tensors of one dtype as kernels of a step take them: complex numbers as pairs of real ones."""
    return [real_pairs(x._data) for x in tensors] if dtype.kind == "c" else [x._data for x in tensors]


def rate_of(lr: Any, device: Device) -> Any:
    """The learning rate as a kernel takes it: a number, or a 0-d array on the parameters' device."""
    if not isinstance(lr, Tensor):
        return lr
    array = lr._data.reshape(())
    return array if lr.device == device else float(to_numpy(array))


def zeros_like(p: Tensor) -> Tensor:
    """Zeros in fresh memory, laid out in C order."""
    y = Tensor(K.copy(p._data))
    K.fill(y._data, 0)
    return y
