"""Convolution through cuDNN's graph interface (``nvidia-cudnn-frontend``), where it is installed.

One plan is built per operation, shapes, strides and dtype, and kept. Plans that are not deterministic are left out, and
for float32 those that round to TF32 unless `switches.allow_tf32`. Where products may run on tensor cores the operands
are laid out with the channels last, which those need; results then stay so, and the next convolution copies nothing.

Every function returns None where cuDNN is missing or has no plan, and the caller computes by itself.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

import cupy

from .. import switches
from .module import is_half

__all__ = ["conv", "conv_input_gradient", "conv_weight_gradient"]

Sizes = tuple[int, ...]

_plans: dict[tuple[Any, ...], Any] = {}
_local = threading.local()
_state: dict[str, Any] = {}


def _library() -> Any | None:
    """The module ``cudnn``, or None if it or the library behind it is missing; looked for once."""
    if "cudnn" not in _state:
        try:
            library = importlib.import_module("cudnn")
            library.backend_version()
            _state["cudnn"] = library
        except (ImportError, OSError, RuntimeError, AttributeError):
            _state["cudnn"] = None
    return _state["cudnn"]


def _handle(cudnn: Any) -> Any:
    """This thread's handle for the current device, set to the current stream."""
    handles: dict[int, Any] = _local.__dict__.setdefault("handles", {})
    device = cupy.cuda.runtime.getDevice()
    if device not in handles:
        handles[device] = cudnn.create_handle()
    cudnn.set_stream(handle=handles[device], stream=cupy.cuda.get_current_stream().ptr)
    return handles[device]


class _Plan:
    """A built graph, its tensors in the order of the arrays, and how large a workspace it wants."""

    def __init__(
        self, cudnn: Any, handle: Any, name: str, first: Any, second: Any, made: Any, how: tuple[Sizes, Sizes, Sizes]
    ) -> None:
        kind = {"float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT"}[made.dtype.name]
        data_type = getattr(cudnn.data_type, kind)
        graph = cudnn.pygraph(
            io_data_type=data_type,
            intermediate_data_type=cudnn.data_type.FLOAT,
            compute_data_type=cudnn.data_type.FLOAT,
            handle=handle,
        )
        operands = [
            graph.tensor(dim=list(a.shape), stride=_strides(a), data_type=data_type, name=label)
            for a, label in ((first, "first"), (second, "second"))
        ]
        stride, padding, dilation = how
        options = {"stride": list(stride), "padding": list(padding), "dilation": list(dilation)}
        if name == "conv":
            result = graph.conv_fprop(image=operands[0], weight=operands[1], **options)
        elif name == "conv_input_gradient":
            result = graph.conv_dgrad(loss=operands[0], filter=operands[1], **options)
        else:
            result = graph.conv_wgrad(loss=operands[0], image=operands[1], **options)
        result.set_output(True).set_data_type(data_type).set_dim(list(made.shape)).set_stride(_strides(made))
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        unwanted = [cudnn.numerical_note.NONDETERMINISTIC]
        if kind == "FLOAT" and not switches.allow_tf32:
            unwanted.append(cudnn.numerical_note.TENSOR_CORE)
        graph.deselect_numeric_notes(unwanted)
        graph.check_support()
        graph.build_plans()
        self.graph, self.tensors = graph, (*operands, result)
        self.workspace = graph.get_workspace_size()

    def run(self, handle: Any, *arrays: Any) -> None:
        """Execute on the handle's stream."""
        workspace = cupy.empty(max(self.workspace, 1), "u1")
        pointers = {tensor: a.data.ptr for tensor, a in zip(self.tensors, arrays, strict=True)}
        self.graph.execute(pointers, workspace.data.ptr, handle=handle)


def _strides(x: Any) -> list[int]:
    """In elements, as cuDNN counts."""
    size = x.dtype.itemsize
    return [s // size for s in x.strides]


def _channels_last(x: Any) -> Any:
    """The same array with its channels side by side in memory."""
    return cupy.moveaxis(cupy.ascontiguousarray(cupy.moveaxis(x, 1, -1)), -1, 1)


def _empty_channels_last(shape: Sizes, dtype: Any) -> Any:
    return cupy.moveaxis(cupy.empty((shape[0], *shape[2:], shape[1]), dtype), -1, 1)


def _run(
    name: str, first: Any, second: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any | None:
    cudnn = _library()
    if cudnn is None or first.dtype.name not in ("float16", "bfloat16", "float32"):
        return None
    if len(shape) == 3:  # cuDNN has no 1-d convolution
        made = _run(
            name,
            first[:, :, None],
            second[:, :, None],
            (*shape[:2], 1, shape[2]),
            (1, *stride),
            (0, *padding),
            (1, *dilation),
            groups,
        )
        return None if made is None else made[:, :, 0]
    last = is_half(first.dtype) or switches.allow_tf32
    key = (
        name, cupy.cuda.runtime.getDevice(), first.shape, second.shape, shape, first.dtype, stride, padding, dilation,
        groups, switches.allow_tf32,
    )  # fmt: skip
    plan = _plans.get(key)
    if plan is None and key in _plans:
        return None
    laid_out = _channels_last if last else cupy.ascontiguousarray
    first, second = laid_out(first), laid_out(second)
    made = _empty_channels_last(shape, first.dtype) if last else cupy.empty(shape, first.dtype)
    try:
        handle = _handle(cudnn)
        if plan is None:
            plan = _Plan(cudnn, handle, name, first, second, made, (stride, padding, dilation))
    except (RuntimeError, ValueError, TypeError, NotImplementedError):
        _plans[key] = None  # no engine for this call
        return None
    _plans[key] = plan
    plan.run(handle, first, second, made)
    return made


def conv(x: Any, weight: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int) -> Any | None:
    """Cross-correlation; ``shape`` is the result's."""
    return _run("conv", x, weight, shape, stride, padding, dilation, groups)


def conv_input_gradient(
    g: Any, weight: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any | None:
    """Gradient by the input; ``shape`` is the input's."""
    return _run("conv_input_gradient", g, weight, shape, stride, padding, dilation, groups)


def conv_weight_gradient(
    g: Any, x: Any, shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> Any | None:
    """Gradient by the weight; ``shape`` is the weight's."""
    return _run("conv_weight_gradient", g, x, shape, stride, padding, dilation, groups)
