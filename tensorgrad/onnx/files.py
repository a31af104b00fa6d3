"""The ONNX model of a graph, and its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..io import replacing
from .alignment import Operand, Size
from .errors import ExportError
from .graph import Graph, element_type

__all__ = ["LIMIT", "import_onnx", "model_of", "write"]

LIMIT = 2**31 - 2**20
"""Bytes that a protobuf message holds, less room for the graph itself."""

INLINE = 1024  # bytes up to which a constant stays in the model: shape inference reads those


def import_onnx() -> Any:
    """The onnx package."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.shape_inference
    except ImportError as error:
        raise ImportError(
            "onnx.export needs the onnx package, which is not installed; run: pip install 'tensorgrad-cupy[onnx]'"
        ) from error
    return onnx


def _tensor(onnx: Any, name: str, array: np.ndarray[Any, np.dtype[Any]], stored: tuple[str, int] | None) -> Any:
    """A constant of the model; ``stored`` is the file and the offset if its bytes are elsewhere."""
    proto = onnx.TensorProto(name=name, data_type=element_type(array.dtype), dims=array.shape)
    if stored is None:
        proto.raw_data = np.ascontiguousarray(array).tobytes()
        return proto
    proto.data_location = onnx.TensorProto.EXTERNAL
    location, offset = stored
    for key, value in (("location", location), ("offset", offset), ("length", array.nbytes)):
        proto.external_data.add(key=key, value=str(value))
    return proto


def _info(onnx: Any, name: str, operand: Operand, axes: Sequence[str | int | None]) -> Any:
    return onnx.helper.make_tensor_value_info(name, element_type(operand.dtype), list(axes))


def model_of(
    onnx: Any,
    graph: Graph,
    name: str,
    inputs: Sequence[tuple[str, Operand, Sequence[str | int | None]]],
    outputs: Sequence[tuple[str, Operand, Sequence[str | int | None]]],
    location: str | None,
) -> tuple[Any, list[np.ndarray[Any, np.dtype[Any]]]]:
    """The model, and the arrays whose bytes belong, one after the other, into the file ``location`` beside it.

    Each input and output has a name and, for each axis, its size, or its name if it varies.
    """
    tensors, outside, offset = [], [], 0
    for key, array in graph.initializers.items():
        if location is None or array.nbytes <= INLINE:
            tensors.append(_tensor(onnx, key, array, None))
            continue
        tensors.append(_tensor(onnx, key, array, (location, offset)))
        outside.append(array)
        offset += array.nbytes + -array.nbytes % 64
    proto = onnx.helper.make_graph(
        graph.nodes,
        name,
        [_info(onnx, *entry) for entry in inputs],
        [_info(onnx, *entry) for entry in outputs],
        initializer=tensors,
    )
    opsets = [onnx.helper.make_opsetid("", graph.opset)]
    model = onnx.helper.make_model(proto, opset_imports=opsets, producer_name="tensorgrad")
    model.ir_version = onnx.helper.find_min_ir_version_for(opsets)
    return model, outside


def write(onnx: Any, model: Any, path: str, outside: Sequence[np.ndarray[Any, np.dtype[Any]]], location: str) -> None:
    """Write a model and, if it has one, the file beside it, which comes first; each is there whole or not at all."""
    if outside:
        with replacing(os.path.join(os.path.dirname(path), location)) as temporary, open(temporary, "wb") as file:
            for array in outside:
                file.write(np.ascontiguousarray(array).tobytes())
                file.write(bytes(-array.nbytes % 64))
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(model.SerializeToString())


def check(onnx: Any, model: Any) -> None:
    """Have the onnx package look at what was made."""
    try:
        onnx.checker.check_model(model)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"onnx.export: the onnx package refuses the graph: {error}") from error


def varying(operand: Operand, names: dict[tuple[Any, ...], str], stem: str) -> list[str | int]:
    """The axes of an operand: sizes, and names of those that vary, after the axes of inputs that vary as they do."""
    axes: list[str | int] = []
    for i, n in enumerate(operand.shape):
        axes.append(names.setdefault(n.series, f"{stem}_dim{i}") if isinstance(n, Size) else n)
    return axes
