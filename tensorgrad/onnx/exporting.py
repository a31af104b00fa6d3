"""From a function and sample arguments to an ONNX model."""

from __future__ import annotations

import itertools
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
from . import (
    export_elementwise,
    export_layers,
    export_loss,
    export_recurrent,
    export_reduction,
    export_scan,
    export_shape,
)
from .alignment import Operand, Size, Step, aligned, operands_in
from .errors import ExportError
from .files import LIMIT, check, import_onnx, model_of, varying, write
from .graph import EXPORTERS, Graph
from .naming import (
    Axes,
    check_axes,
    distinct,
    dynamic_sizes,
    given_names,
    leaves,
    results,
    size_names,
    size_names_of_results,
)
from .tracing import Trace, Value

__all__ = ["DEFAULT_OPSET", "export"]

DEFAULT_OPSET = 20
_OLDEST_OPSET = 18  # reductions take their axes as an input from here on
_FAMILIES = (  # loaded for what they register
    export_elementwise, export_layers, export_loss, export_recurrent, export_reduction, export_scan, export_shape,
)  # fmt: skip


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
        The model is then called four times, with different sizes.
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
    found = list(leaves(model, positional, named))
    names = given_names("input_names", input_names, [name for name, _ in found])
    wanted = dynamic_sizes(dynamic_axes or {})
    inputs_dynamic = [wanted.get(name, {}) for name in names]
    tensors = [x for _, x in found]
    check_axes(names, tensors, inputs_dynamic)
    if any(inputs_dynamic):
        runs = _runs_of_other_sizes(model, positional, named, tensors, names, inputs_dynamic)
    else:
        runs = [_run(model, positional, named, tensors, names)]
    first = runs[0]
    if any(run.keys != first.keys for run in runs):
        raise ExportError("onnx.export: the number of results changes with the sizes of the dynamic axes")
    if not first.keys:
        raise ExportError("onnx.export: the model returns no tensor")
    inputs = [Operand(values) for values in zip(*(run.inputs for run in runs), strict=True)]
    operands, steps = aligned(list(zip(*(run.outputs for run in runs), strict=True)))
    chosen = given_names("output_names", output_names, distinct(first.keys))
    if set(chosen) & set(names) or any(set(chosen) & set(run.states) for run in runs):
        taken = sorted(set(chosen) & (set(names) | set(first.states)))
        if output_names is not None:
            raise ValueError(f"onnx.export: {taken} name inputs or parameters already; choose other output_names")
        chosen = [f"{name}_out" if name in taken else name for name in chosen]
    unknown = sorted(set(wanted) - set(names) - set(chosen))
    if unknown:
        raise ValueError(f"onnx.export: dynamic_axes names {unknown}, which are neither of {names} nor of {chosen}")
    graph = _graph(onnx, opset, inputs, operands, steps, chosen)
    sizes = size_names(inputs, inputs_dynamic)
    sizes |= size_names_of_results(operands, chosen, wanted)
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


def _run(model: Callable[..., Any], args: Any, kwargs: Any, tensors: Sequence[Tensor], names: Sequence[str]) -> _Run:
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
        for key, x in results(result, ""):
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
    """Four runs, in which every dynamic axis has other sizes, rising or, if the model refuses, falling.

    No size is a multiple of another plus a number in all four, so that what depends on one is known to. None is 1, with
    which much is simpler than with other sizes: axes broadcast, copies are views.
    """
    labels = list(dict.fromkeys(label for axes in dynamic for label in axes.values()))
    problem: Exception | None = None
    for directions in itertools.product((1, -1), repeat=min(len(labels), 4)):
        way = {label: directions[i % 4] for i, label in enumerate(labels)}
        runs = []
        try:
            for turn in range(4):
                resized = [
                    _resized(x, {a: _size(x.shape[a], way[k], labels.index(k), turn) for a, k in axes.items()})
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


_PATTERNS = ((0, 1, 2, 4), (0, 1, 4, 2), (0, 2, 1, 4), (0, 2, 4, 1), (0, 4, 1, 2), (0, 4, 2, 1))


def _size(n: int, direction: int, label: int, turn: int) -> int:
    """The size of a dynamic axis in one of four runs."""
    pattern = _PATTERNS[label] if label < len(_PATTERNS) else (0, 1, label, 3 * label)
    return n + direction * ((n == 1) + pattern[turn])


def _resized(x: Tensor, sizes: Mapping[int, int]) -> Tensor:
    """The same entries over again, or fewer of them, along some axes."""
    array = to_numpy(x._data)
    for axis, n in sizes.items():
        if n < 2:
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
        try:
            made = exporter(graph, step, *step.arguments)
        except (TypeError, ValueError) as error:
            if not _varies(step.arguments):
                raise
            raise graph.error(f"depends on the sizes of the dynamic axes in a way that ONNX lacks ({error})") from error
        for operand, name in zip(step.outputs, [made] if isinstance(made, str) else made, strict=False):
            graph.bind(operand, name)
            graph.note_sizes(operand)
    graph.step = None
    for operand, name in zip(outputs, names, strict=True):
        graph.add("Identity", (operand,), (name,))
    _rename(graph, names)
    _prune(graph, names)
    return graph


def _varies(x: Any) -> bool:
    """Whether a number among arguments depends on the sizes of dynamic axes."""
    if isinstance(x, slice):
        return _varies((x.start, x.stop, x.step))
    return isinstance(x, Size) or (isinstance(x, tuple) and any(map(_varies, x)))


def _prune(graph: Graph, names: Sequence[str]) -> None:
    """Leave out what no result needs."""
    needed = set(names)
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    graph.nodes[:] = kept[::-1]
    for name in [name for name in graph.initializers if name not in needed]:
        del graph.initializers[name]


def _weights(graph: Graph, outputs: Sequence[Operand], steps: Sequence[Step]) -> None:
    """Parameters and buffers that take part, by their names."""
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
