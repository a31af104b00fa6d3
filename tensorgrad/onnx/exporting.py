"""From a function and sample arguments to an ONNX model."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from .. import kernels as K
from ..backend import to_numpy
from ..nn.module import Module
from ..nn.summary import preserved
from ..tape import no_grad
from ..tensor import Tensor
from . import export_elementwise, export_layers, export_loss, export_recurrent, export_reduction, export_shape
from .alignment import Operand, Step, aligned
from .errors import ExportError
from .files import LIMIT, check, import_onnx, model_of, varying, write
from .graph import EXPORTERS, Graph
from .tracing import Trace, Value

__all__ = ["DEFAULT_OPSET", "export"]

DEFAULT_OPSET = 20
_OLDEST_OPSET = 18  # reductions take their axes as an input from here on
_FAMILIES = (
    export_elementwise, export_layers, export_loss, export_recurrent, export_reduction, export_shape,
)  # loaded for what they register  # fmt: skip

Axes = Mapping[str, Mapping[int, str] | Sequence[int]]


def export(
    model: Callable[..., Any],
    args: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: Axes | None = None,
    opset_version: int | None = None,
    external_data: bool | None = None,
) -> Any:
    """Write a module, or a function of tensors, as an ONNX model.

    The model is called in eval mode, without gradients, and what it computes from its inputs becomes the graph. What
    it changes is put back. Parameters and buffers keep their names of the ``state_dict``.

    Parameters
    ----------
    model : Module or callable
    args : Tensor or tuple
        Positional arguments of a call. Tensors, also those inside of tuples, lists and dicts, become inputs of the
        graph; all else is as it is in this call.
    path : str or path-like, optional
        Where to write; what was there is replaced at the end, by a whole file.
    kwargs : dict, optional
        Arguments by name.
    input_names, output_names : sequence of str, optional
        In the order of the inputs and of the results, from outside in; by default the names of the arguments, and
        the keys of a dict of results or ``output``.
    dynamic_axes : dict, optional
        For names of inputs, a dict from axes to the names of their sizes, or a list of axes: sizes that may be others
        than here. Axes of one name have one size. Results' axes that vary with them are found; they may be named too.
        The model is then called three times, with different sizes.
    opset_version : int, optional
        18 or more; 20 by default.
    external_data : bool, optional
        Whether weights go into a file of their own, ``path`` with ``.data`` added, beside the model; by default if
        they are too large for one file, which holds 2 GiB.

    Returns
    -------
    onnx.ModelProto
        What was written.

    Raises
    ------
    ExportError
        If an op has no form in ONNX, or Python looks at values or draws random numbers; names op, line and layer.
    ImportError
        If the onnx package is missing.
    ValueError
        If names or axes do not fit the inputs and results.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> layer = tg.nn.Linear(3, 2)
    >>> model = tg.onnx.export(layer, tg.ones(1, 3), dynamic_axes={"input": {0: "batch"}})
    >>> [node.op_type for node in model.graph.node], [w.name for w in model.graph.initializer]
    (['Gemm'], ['weight', 'bias'])
    """
    onnx = import_onnx()
    opset = DEFAULT_OPSET if opset_version is None else opset_version
    newest = onnx.defs.onnx_opset_version()
    if not _OLDEST_OPSET <= opset <= newest:
        raise ValueError(f"onnx.export: opset_version must be between {_OLDEST_OPSET} and {newest}, got {opset}")
    if path is None and external_data:
        raise ValueError("onnx.export: external_data needs a path, beside which the weights go")
    positional = args if isinstance(args, tuple) else (args,)
    named = dict(kwargs or {})
    found = list(_leaves(model, positional, named))
    names = _given_names("input_names", input_names, [name for name, _ in found])
    wanted = _axes("dynamic_axes", dynamic_axes or {}, names)
    inputs_dynamic = [wanted.get(name, {}) for name in names]
    tensors = [x for _, x in found]
    _check_axes(names, tensors, inputs_dynamic)
    runs = [_run(model, positional, named, tensors, names)]
    if any(inputs_dynamic):
        runs += _runs_of_other_sizes(model, positional, named, tensors, names, inputs_dynamic)
    first = runs[0]
    if any(run.keys != first.keys for run in runs):
        raise ExportError("onnx.export: the number of results changes with the sizes of the dynamic axes")
    if not first.keys:
        raise ExportError("onnx.export: the model returns no tensor")
    inputs = [Operand(values) for values in zip(*(run.inputs for run in runs), strict=True)]
    results = list(zip(*(run.outputs for run in runs), strict=True))
    operands, steps = aligned(results)
    chosen = _given_names("output_names", output_names, _distinct(first.keys))
    if set(chosen) & set(names) or any(set(chosen) & set(run.states) for run in runs):
        taken = sorted(set(chosen) & (set(names) | set(first.states)))
        if output_names is not None:
            raise ValueError(f"onnx.export: {taken} name inputs or parameters already; choose other output_names")
        chosen = [f"{name}_out" if name in taken else name for name in chosen]
    graph = _graph(onnx, opset, inputs, operands, steps, chosen)
    sizes = _size_names(inputs, inputs_dynamic)
    sizes |= _output_names_of_sizes(operands, chosen, wanted)
    total = sum(array.nbytes for array in graph.initializers.values())
    apart = total > LIMIT if external_data is None else external_data
    if total > LIMIT and (not apart or path is None):
        raise ExportError(
            f"onnx.export: the weights take {total / 2**30:.1f} GiB, and one ONNX file holds 2; give a path and "
            "external_data=True"
        )
    where = None if path is None else os.path.realpath(path)
    location = None if where is None else f"{os.path.basename(where)}.data"
    proto, outside = model_of(
        onnx,
        graph,
        type(model).__name__ if isinstance(model, Module) else getattr(model, "__name__", "function"),
        [(name, x, varying(x, sizes, name)) for name, x in zip(names, inputs, strict=True)],
        [(name, x, varying(x, sizes, name)) for name, x in zip(chosen, operands, strict=True)],
        location if apart else None,
    )
    if not outside:
        check(onnx, proto)
    if where is not None:
        assert location is not None
        write(onnx, proto, where, outside, location)
        if outside:
            onnx.checker.check_model(where)
    return proto


# ------------------------------------------------------------------------------------------------------------- running
class _Run:
    """One call of the model, traced."""

    def __init__(self, trace: Trace, inputs: list[Value], outputs: list[Value], keys: list[str], states: set[str]):
        self.trace, self.inputs, self.outputs, self.keys, self.states = trace, inputs, outputs, keys, states


def _run(
    model: Callable[..., Any], args: Any, kwargs: Any, tensors: Sequence[Tensor], names: Sequence[str]
) -> _Run:
    trace = Trace()
    copies = [Tensor(K.copy(x._data)) for x in tensors]  # the model may write into them, or be given one twice
    stand_ins = iter(copies)
    args, kwargs = _replaced(args, stand_ins), _replaced(kwargs, stand_ins)
    module = model if isinstance(model, Module) else None
    states: set[str] = set()
    with nullcontext() if module is None else preserved(module), _evaluating(module), no_grad():
        inputs = [trace.add_leaf(x._data, name, True) for x, name in zip(copies, names, strict=True)]
        if module is not None:
            known: set[int] = set()
            for name, state in (*module.named_parameters(), *module.named_buffers()):
                if id(state._data) not in known:
                    known.add(id(state._data))
                    label = name if name not in names else f"{name}_weight"
                    states.add(label)
                    trace.add_leaf(state._data, label, False)
        with trace.running():
            result = model(*args, **kwargs)
        keys, outputs = [], []
        for key, x in _results(result, ""):
            keys.append(key or "output")
            outputs.append(trace.value_of(x._data))
    return _Run(trace, inputs, outputs, keys, states)


@contextmanager
def _evaluating(module: Module | None) -> Iterator[None]:
    """Eval mode in this block, of every part."""
    if module is None:
        yield
        return
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def _runs_of_other_sizes(
    model: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor], names: Sequence[str], dynamic: Any
) -> list[_Run]:
    """Two more runs, in which every dynamic axis has another size, by rising or, if the model refuses, falling."""
    labels = list(dict.fromkeys(label for axes in dynamic for label in axes.values()))
    problem: Exception | None = None
    for direction in (1, -1):
        runs = []
        try:
            for turn in (1, 2):
                steps = {label: direction * (turn * (i + 1) + (turn - 1) * (i % 2)) for i, label in enumerate(labels)}
                resized = [
                    _resized(x, {axis: x.shape[axis] + steps[label] for axis, label in axes.items()})
                    for x, axes in zip(tensors, dynamic, strict=True)
                ]
                runs.append(_run(model, args, kwargs, resized, names))
        except ExportError:
            raise
        except Exception as error:
            problem = problem or error
            continue
        return runs
    raise ExportError(
        f"onnx.export: the model does not run with other sizes of the dynamic axes {labels}: {problem}"
    ) from problem


def _resized(x: Tensor, sizes: Mapping[int, int]) -> Tensor:
    """The same entries over again, or fewer of them, along some axes."""
    array = to_numpy(x._data)
    for axis, n in sizes.items():
        if n < 1:
            raise ValueError(f"the size {x.shape[axis]} of axis {axis} leaves no room for a smaller one")
        array = np.take(array, np.arange(n) % array.shape[axis], axis)
    return Tensor(array).to(x.device)


def _replaced(value: Any, stand_ins: Iterator[Tensor]) -> Any:
    """Arguments with each tensor replaced by the next stand-in."""
    if isinstance(value, Tensor):
        return next(stand_ins)
    if isinstance(value, tuple):
        entries = [_replaced(entry, stand_ins) for entry in value]
        return type(value)(*entries) if hasattr(value, "_fields") else tuple(entries)
    if isinstance(value, list):
        return [_replaced(entry, stand_ins) for entry in value]
    if isinstance(value, dict):
        return {key: _replaced(entry, stand_ins) for key, entry in value.items()}
    return value


# --------------------------------------------------------------------------------------------------------------- names
def _leaves(model: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """The tensors among the arguments, named by their parameters."""
    try:
        parameters = list(inspect.signature(model.forward if isinstance(model, Module) else model).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    labels = []
    for i in range(len(args)):
        kind = parameters[min(i, len(parameters) - 1)] if parameters else None
        if kind is None or kind.kind is inspect.Parameter.VAR_POSITIONAL or i >= len(parameters):
            labels.append(f"{kind.name if kind is not None else 'input'}_{i}")
        else:
            labels.append(kind.name)
    yield from _named(zip(labels, args, strict=True))
    yield from _named(kwargs.items())


def _named(entries: Any) -> Iterator[tuple[str, Tensor]]:
    for label, value in entries:
        yield from _results(value, label)


def _results(value: Any, label: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors in nested tuples, lists and dicts, with names of the way to them."""
    if isinstance(value, Tensor):
        yield label, value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _results(entry, f"{label}_{key}" if label else str(key))
    elif isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", range(len(value)))
        for key, entry in zip(fields, value, strict=True):
            yield from _results(entry, f"{label or 'output'}_{key}" if not isinstance(key, str) or label else key)


def _distinct(names: Sequence[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        candidate, count = name, 0
        while candidate in found:
            count += 1
            candidate = f"{name}_{count}"
        found.append(candidate)
    return found


def _given_names(what: str, given: Sequence[str] | None, own: Sequence[str]) -> list[str]:
    if given is None:
        return _distinct(own)
    names = list(given)
    if len(names) != len(own) or len(set(names)) != len(names) or not all(isinstance(n, str) and n for n in names):
        raise ValueError(f"onnx.export: {what} must be {len(own)} different names (for {list(own)}), got {names}")
    return names


def _axes(what: str, given: Axes, names: Sequence[str]) -> dict[str, dict[int, str]]:
    """The dynamic axes of each name."""
    found = {}
    for name, axes in given.items():
        entries = axes if isinstance(axes, Mapping) else {axis: f"{name}_dim{axis}" for axis in axes}
        found[name] = {int(axis): str(label) for axis, label in entries.items()}
    return found


def _check_axes(names: Sequence[str], tensors: Sequence[Tensor], dynamic: list[dict[int, str]]) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for i, (name, x, axes) in enumerate(zip(names, tensors, dynamic, strict=True)):
        for axis in axes:
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(f"onnx.export: {name} of shape {x.shape} has no axis {axis} to be dynamic")
        dynamic[i] = axes = {axis % x.ndim: label for axis, label in axes.items()}
        for axis, label in axes.items():
            n, other = sizes.setdefault(label, (x.shape[axis], name))
            if n != x.shape[axis]:
                raise ValueError(
                    f"onnx.export: the dynamic size {label!r} is {n} in {other} and {x.shape[axis]} in {name}"
                )
            if n == 0:
                raise ValueError(f"onnx.export: {name} of shape {x.shape} is empty along its dynamic axis {axis}")


def _size_names(inputs: Sequence[Operand], dynamic: Sequence[Mapping[int, str]]) -> dict[tuple[Any, ...], str]:
    names: dict[tuple[Any, ...], str] = {}
    for x, axes in zip(inputs, dynamic, strict=True):
        for axis, label in axes.items():
            names.setdefault(tuple(v.array.shape[axis] for v in x.values), label)
    return names


def _output_names_of_sizes(
    outputs: Sequence[Operand], names: Sequence[str], wanted: Mapping[str, Mapping[int, str]]
) -> dict[tuple[Any, ...], str]:
    found: dict[tuple[Any, ...], str] = {}
    for name, axes in wanted.items():
        if name not in names:
            continue
        x = outputs[list(names).index(name)]
        for axis, label in axes.items():
            if not -x.ndim <= axis < x.ndim:
                raise ValueError(f"onnx.export: {name} of shape {x.values[0].array.shape} has no axis {axis}")
            found[tuple(v.array.shape[axis] for v in x.values)] = label
    return found


# --------------------------------------------------------------------------------------------------------------- graph
def _graph(
    onnx: Any, opset: int, inputs: Sequence[Operand], outputs: Sequence[Operand], steps: Sequence[Step],
    names: Sequence[str],
) -> Graph:  # fmt: skip
    graph = Graph(onnx, opset, inputs)
    for name in names:
        graph.reserve(name)
    _weights(graph, outputs, steps)
    for step in steps:
        graph.step = step
        exporter = EXPORTERS.get(step.record.name)
        if exporter is None:
            raise graph.error("has no form in ONNX")
        made = exporter(graph, step, *step.arguments)
        for operand, name in zip(step.outputs, [made] if isinstance(made, str) else made, strict=False):
            graph.bind(operand, name)
    graph.step = None
    for operand, name in zip(outputs, names, strict=True):
        graph.add("Identity", (operand,), (name,))
    _rename(graph, names)
    return graph


def _weights(graph: Graph, outputs: Sequence[Operand], steps: Sequence[Step]) -> None:
    """Parameters and buffers that take part, by their names."""
    from .alignment import operands_in

    for operand in (*(x for step in steps for x in operands_in(step.arguments)), *outputs):
        value = operand.values[0]
        if operand.name is not None and not value.depends and operand.name not in graph.initializers:
            graph.initializers[operand.name] = np.asarray(to_numpy(value.array))
            graph.reserve(operand.name)


def _rename(graph: Graph, names: Sequence[str]) -> None:
    """Give the nodes that make the results the results' names, where nothing else stands between."""
    made = {output: node for node in graph.nodes for output in node.output}
    wanted = set(names)
    uses: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.input:
            uses[name] = uses.get(name, 0) + 1
    for node in list(graph.nodes):
        if node.op_type != "Identity" or node.output[0] not in wanted:
            continue
        source = node.input[0]
        if source not in made or uses[source] > 1 or source in wanted:
            continue
        maker = made[source]
        maker.output[list(maker.output).index(source)] = node.output[0]
        graph.nodes.remove(node)
