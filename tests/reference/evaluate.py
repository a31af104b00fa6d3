"""Running a case with a tensor library, and packing what comes out into one vector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .specs import Case, Made, Value, after, generator

Array = np.ndarray[Any, Any]


class Library:
    """What a case needs of a library; the two that there are differ in the names of these few things."""

    nn: Any
    optim: Any
    grad: Callable[..., Any]

    def tensor(self, array: Array, requires_grad: bool = False) -> Any:
        raise NotImplementedError

    def placed(self, module: Any) -> Any:
        """The module in float64 and where the tensors are."""
        raise NotImplementedError

    def array(self, tensor: Any) -> Array:
        raise NotImplementedError


def built(value: Any, name: str, lib: Library, tensors: list[Any] | None = None) -> Any:
    """A part of a case with tensors and modules in place of their descriptions; tensors for gradients are listed."""
    if isinstance(value, Value):
        wanted = tensors is not None and value.differentiable
        tensor = lib.tensor(value.array(name), wanted)
        if wanted:
            tensors.append(tensor)
        return tensor
    if isinstance(value, after):
        return built(value.module, name, lib)(built(value.value, name, lib, tensors))
    if isinstance(value, Made):
        args = [built(v, f"{name}/{i}", lib) for i, v in enumerate(value.args)]
        options = {k: built(v, f"{name}/{k}", lib) for k, v in value.options.items()}
        return getattr(lib.nn, value.kind)(*args, **options)
    if isinstance(value, (list, tuple)):
        return type(value)([built(v, f"{name}/{i}", lib, tensors) for i, v in enumerate(value)])
    return value


def fill(module: Any, name: str, lib: Library) -> None:
    """Give every floating tensor of a module values that depend on the case's name and its own."""
    values = {}
    for key, tensor in module.state_dict().items():
        array = lib.array(tensor)
        if array.dtype.kind == "f":
            low, high = (0.5, 1.5) if key.endswith("running_var") else (-0.6, 0.6)
            array = generator(f"{name}:{key}").uniform(low, high, array.shape)
        values[key] = lib.tensor(array)
    module.load_state_dict(values)


def run_module(case: Case, lib: Library) -> tuple[list[Array], Callable[[], list[Array]]]:
    """Outputs, buffers, gradients of inputs and parameters; and a function for those of second order.

    The gradients are those of the outputs times random numbers, summed. Of second order are the gradients of the sum of
    squares of the inputs' gradients.
    """
    name = case.name
    module = lib.placed(built(case.what, name, lib)).train(case.training)
    fill(module, name, lib)
    leaves: list[Any] = []
    inputs = [built(x, f"{name}:{i}", lib, leaves) for i, x in enumerate(case.inputs)]
    keywords = {k: built(x, f"{name}:{k}", lib, leaves) for k, x in case.keywords.items()}
    count = len(leaves)
    parameters = dict(module.named_parameters())
    leaves += [parameters[key] for key in sorted(parameters) if parameters[key].requires_grad]

    outputs = list(_tensors(module(*inputs, **keywords)))
    results = [lib.array(y) for y in outputs]
    buffers = dict(module.named_buffers())
    results += [lib.array(buffers[key]).astype(float) for key in sorted(buffers)]
    total: Any = 0.0
    for i, y in enumerate(outputs):
        if y.requires_grad:
            total = total + (y * lib.tensor(generator(f"{name}:cotangent {i}").standard_normal(tuple(y.shape)))).sum()
    if not (leaves and hasattr(total, "backward")):
        return results, list

    grads = lib.grad(total, leaves, create_graph=True, allow_unused=True)

    def second() -> list[Array]:
        parts = [(g * g).sum() for g in grads[:count] if g is not None and g.requires_grad]
        seconds = lib.grad(sum(parts[1:], parts[0]), leaves, allow_unused=True) if parts else [None] * len(leaves)
        return _arrays(seconds, leaves, lib) if count else []

    return results + _arrays(grads, leaves, lib), second


def _tensors(outputs: Any) -> Iterator[Any]:
    if isinstance(outputs, (list, tuple)):
        for y in outputs:
            yield from _tensors(y)
    elif outputs is not None:
        yield outputs


def _arrays(grads: Any, leaves: list[Any], lib: Library) -> list[Array]:
    return [np.zeros(tuple(x.shape)) if g is None else lib.array(g) for g, x in zip(grads, leaves, strict=True)]


def run_optimizer(what: Made, second_group: dict[str, Any], lib: Library) -> list[Array]:
    """Two matrices and, unless only matrices can be optimized, a vector, after each of six steps on a small problem."""
    tensors = {k: generator(k).standard_normal(s) for k, s in {"x": (5, 3), "y": (5, 2)}.items()}
    x, y = lib.tensor(tensors["x"]), lib.tensor(tensors["y"])
    shapes = {"first": (3, 4), "second": (4, 2), "bias": (2,)}
    first, second, bias = (lib.tensor(generator(k).standard_normal(s), True) for k, s in shapes.items())
    params = [first, second] if what.kind == "Muon" else [first, second, bias]
    groups = [{"params": params[:1]}, {"params": params[1:], **second_group}] if second_group else params
    options = {k: built(v, k, lib) for k, v in what.options.items()}
    optimizer = getattr(lib.optim, what.kind)(groups, **options)

    def closure() -> Any:
        optimizer.zero_grad()
        hidden = x @ first
        loss = ((hidden / (1 + hidden * hidden) @ second + bias - y) ** 2).sum()
        loss.backward()
        return loss

    results = []
    for _ in range(6):
        optimizer.step(closure)
        results += [lib.array(p).copy() for p in params]
    return results


def run_scheduler(what: Made, metrics: list[float] | None, lib: Library) -> list[Array]:
    """The rates and momenta of two groups over fifteen epochs."""
    groups = [{"params": [lib.tensor(np.ones(1), True)], "lr": lr} for lr in (0.5, 0.08)]
    optimizer = lib.optim.SGD(groups, momentum=0.7)
    schedule = _schedule(what, optimizer, lib)
    rows = []
    for epoch in range(15):
        rows.append([group[key] for group in optimizer.param_groups for key in ("lr", "momentum")])
        optimizer.step()
        schedule.step(*([] if metrics is None else [metrics[epoch]]))
    return [np.asarray(rows)]


def _schedule(what: Made, optimizer: Any, lib: Library) -> Any:
    def inner(value: Any) -> Any:
        if isinstance(value, list):
            return [inner(v) for v in value]
        return _schedule(value, optimizer, lib) if isinstance(value, Made) else value

    module = lib.optim.swa_utils if what.kind == "SWALR" else lib.optim.lr_scheduler
    first = [] if what.kind == "ChainedScheduler" else [optimizer]
    return getattr(module, what.kind)(*first, *map(inner, what.args), **{k: inner(v) for k, v in what.options.items()})


def packed(arrays: list[Array]) -> Array:
    """Arrays as one vector: of each, its number of axes, its shape, and its values to a relative 1e-10."""
    parts = [np.array([len(arrays)])]
    for x in arrays:
        flat = np.ascontiguousarray(x, dtype=np.float64).ravel()
        rounded = (flat.view(np.uint64) + np.uint64(1 << 18)) & ~np.uint64((1 << 19) - 1)
        parts += [np.array([x.ndim, *x.shape]), np.where(np.isfinite(flat), rounded.view(np.float64), flat)]
    return np.concatenate(parts).astype(np.float64)


def unpacked(vector: Array) -> list[Array]:
    """The arrays of `packed`."""
    arrays, place = [], 1
    for _ in range(int(vector[0])):
        ndim = int(vector[place])
        shape = tuple(int(n) for n in vector[place + 1 : place + 1 + ndim])
        place += 1 + ndim
        size = int(np.prod(shape))
        arrays.append(vector[place : place + size].reshape(shape))
        place += size
    return arrays
