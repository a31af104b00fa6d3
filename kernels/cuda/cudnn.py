"""cuDNN's graph interface (``nvidia-cudnn-frontend``), where it is installed: the one file that knows its functions.

A graph is described and built once per key, which says all that it depends on: operation, shapes, strides, dtype,
options. What cuDNN has no engine for is remembered with its reason, and the caller computes by itself.

CuPy is imported where memory is needed, so that `available` and the refusals can be asked without it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from .. import switches

__all__ = [
    "attention_refusal",
    "available",
    "conv_refusal",
    "execute",
    "operand",
    "refusals",
    "refused",
    "result",
    "strides_of",
    "substitute",
    "version",
]

_OLDEST, _NEXT = (1, 27), (1, 29)  # versions of the frontend: from, and below
_KINDS = {"float16": "HALF", "bfloat16": "BFLOAT16", "float32": "FLOAT"}
_WIDEST = 256  # columns of an attention head; which of those up to here depends on the GPU

Describe = Callable[[Any, Any], Sequence[Any]]
"""``describe(graph, cudnn)`` adds an operation to the graph and returns its tensors in the order of the arrays."""

_local = threading.local()
_plans: dict[tuple[Any, ...], _Plan | str] = {}  # built, or why there is none
_found: tuple[Any, str | None] | None = None  # the module, and why it cannot be used


# ----------------------------------------------------------------------------------------------------- is it there
def available() -> str | None:
    """Why cuDNN is not used, or None if it is; looked for at the first question."""
    global _found
    if not switches.cudnn_enabled:
        return "switched off by backends.cudnn.enabled"
    if _found is None:
        _found = _look()
    return _found[1]


def _look() -> tuple[Any, str | None]:
    try:
        library = importlib.import_module("cudnn")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "cudnn"
        return None, "nvidia-cudnn-frontend is not installed" if missing else f"it cannot be imported: {error}"
    except (OSError, RuntimeError) as error:
        return None, f"it cannot be imported: {error}"
    return library, _unusable(library)


def _unusable(library: Any) -> str | None:
    installed = str(getattr(library, "__version__", "of an unknown version"))
    numbers = tuple(int(part) for part in installed.split(".")[:2] if part.isdecimal())
    if not _OLDEST <= numbers < _NEXT:
        wanted = f">={_OLDEST[0]}.{_OLDEST[1]},<{_NEXT[0]}.{_NEXT[1]}"
        return f"nvidia-cudnn-frontend {installed} is installed, {wanted} is needed"
    try:
        library.backend_version()
    except (OSError, RuntimeError, AttributeError):
        return "the library libcudnn is not found"
    return None


def version() -> str:
    """Of cuDNN, such as ``9.20.0``; only where it is `available`."""
    number = int(_library().backend_version())
    return f"{number // 10000}.{number % 10000 // 100}.{number % 100}"


def _library() -> Any:
    reason = available()
    if reason is not None or _found is None:
        raise RuntimeError(f"cuDNN: {reason}")
    return _found[0]


def substitute(library: Any | None) -> None:
    """Use this object for the module ``cudnn`` from now on; None looks for the installed one again."""
    global _found
    _found = None if library is None else (library, _unusable(library))
    _plans.clear()
    _local.__dict__.clear()


# ------------------------------------------------------------------------------------------------- what it computes
def conv_refusal(dtype: str) -> str | None:
    """Why cuDNN does not compute convolutions of this dtype, or None."""
    reason = available()
    if reason is None and dtype not in _KINDS:
        reason = f"cuDNN has no convolution of {dtype}"
    return reason


def attention_refusal(
    dtype: str, width: int, value_width: int, masked: bool = False, dropped: bool = False
) -> str | None:
    """Why cuDNN does not compute attention with heads of this width, or None.

    A mask may hide all keys of a query, whose result is then 0 here and not defined there. Dropout takes its numbers
    from another generator there.
    """
    reason = available()
    if reason is not None:
        return reason
    if dtype not in ("float16", "bfloat16"):
        return f"cuDNN has no attention in {dtype}"
    if masked:
        return "with a mask, cuDNN leaves open what a query gets that sees no key"
    if dropped:
        return "cuDNN drops other probabilities than the CPU"
    if any(n % 8 or not 0 < n <= _WIDEST for n in (width, value_width)):
        return f"cuDNN takes heads of a multiple of 8 columns, at most {_WIDEST}"
    return None


def refused(key: tuple[Any, ...]) -> bool:
    """Whether it is known that there is no engine for this key."""
    return isinstance(_plans.get(_on_this_device(key)), str)


def refusals() -> dict[str, str]:
    """By operation, why the latest of its graphs that cuDNN has no engine for was refused."""
    return {str(key[1]): plan for key, plan in _plans.items() if isinstance(plan, str)}


# ----------------------------------------------------------------------------------------------------------- graphs
def _on_this_device(key: tuple[Any, ...]) -> tuple[Any, ...]:
    import cupy

    return (cupy.cuda.runtime.getDevice(), *key)


def _handle(cudnn: Any) -> Any:
    """This thread's handle for the current device, set to the current stream."""
    import cupy

    handles: dict[int, Any] = _local.__dict__.setdefault("handles", {})
    device = cupy.cuda.runtime.getDevice()
    if device not in handles:
        handles[device] = cudnn.create_handle()
    cudnn.set_stream(handle=handles[device], stream=cupy.cuda.get_current_stream().ptr)
    return handles[device]


def strides_of(x: Any) -> list[int]:
    """In elements, as cuDNN counts."""
    size = x.dtype.itemsize
    return [s // size for s in x.strides]


def operand(graph: Any, cudnn: Any, name: str, x: Any, shape: Sequence[int] = (), strides: Sequence[int] = ()) -> Any:
    """A tensor that the graph reads, as ``x`` lies in memory unless told otherwise."""
    return graph.tensor(
        dim=list(shape or x.shape),
        stride=list(strides or strides_of(x)),
        data_type=getattr(cudnn.data_type, _KINDS[x.dtype.name]),
        name=name,
    )


def result(tensor: Any, cudnn: Any, x: Any, shape: Sequence[int] = (), strides: Sequence[int] = ()) -> Any:
    """A tensor that an operation made, to be written into ``x``."""
    tensor.set_output(True).set_data_type(getattr(cudnn.data_type, _KINDS[x.dtype.name]))
    return tensor.set_dim(list(shape or x.shape)).set_stride(list(strides or strides_of(x)))


class _Plan:
    """A built graph, its tensors in the order of the arrays, and how large a workspace it wants."""

    def __init__(self, cudnn: Any, handle: Any, dtype: str, describe: Describe, unwanted: Sequence[str]) -> None:
        graph = cudnn.pygraph(
            io_data_type=getattr(cudnn.data_type, _KINDS[dtype]),
            intermediate_data_type=cudnn.data_type.FLOAT,
            compute_data_type=cudnn.data_type.FLOAT,
            handle=handle,
        )
        self.tensors = tuple(describe(graph, cudnn))
        graph.validate()
        graph.build_operation_graph()
        graph.create_execution_plans([cudnn.heur_mode.A, cudnn.heur_mode.FALLBACK])
        if unwanted:
            graph.deselect_numeric_notes([getattr(cudnn.numerical_note, note) for note in unwanted])
        graph.check_support()
        graph.build_plans()
        self.graph, self.workspace = graph, graph.get_workspace_size()

    def run(self, handle: Any, arrays: Sequence[Any]) -> None:
        """Execute on the handle's stream."""
        import cupy

        workspace = cupy.empty(max(self.workspace, 1), "u1")
        pointers = {tensor: a.data.ptr for tensor, a in zip(self.tensors, arrays, strict=True)}
        self.graph.execute(pointers, workspace.data.ptr, handle=handle)


def execute(
    key: tuple[Any, ...], describe: Describe, arrays: Sequence[Any], dtype: str, unwanted: Sequence[str] = ()
) -> bool:
    """Run the graph of this key on the arrays; False if cuDNN has no engine for it.

    Parameters
    ----------
    key : tuple
        The operation's name, and all that ``describe`` and ``unwanted`` depend on; the device is added.
    describe : callable
        Called when the graph is built.
    arrays : sequence of cupy.ndarray
        What the tensors read and write.
    dtype : str
        Of the arrays that name none.
    unwanted : sequence of str
        Numerical notes of engines that are left out.
    """
    cudnn = _library()
    placed = _on_this_device(key)
    plan = _plans.get(placed)
    if isinstance(plan, str):
        return False
    if plan is None:
        declined = (cudnn.cudnnGraphNotSupportedError, RuntimeError, ValueError, TypeError, NotImplementedError)
        try:
            plan = _Plan(cudnn, _handle(cudnn), dtype, describe, unwanted)
        except declined as error:
            _plans[placed] = f"{type(error).__name__}: {str(error).strip()[:300]}"
            return False
        _plans[placed] = plan
    plan.run(_handle(cudnn), arrays)
    return True
