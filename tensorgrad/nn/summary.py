"""A table of a model: its layers as a tree, with what they give, hold and compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .. import kernels as K
from ..capture import bump
from ..generator import fork_rng
from ..kernels import costs
from ..tape import no_grad
from ..tensor import Tensor
from . import calls
from .module import Module

__all__ = ["Row", "Summary", "preserved", "summary", "tensors_in"]


@dataclass
class Row:
    """One place in a model's tree of modules; the numbers include what is below.

    Attributes
    ----------
    path : str
        Dotted name, "" for the model.
    kind : str
        Name of the class.
    shared : bool
        Whether the module stood at an earlier place already.
    calls : int
        How often the forward called it.
    outputs : tuple of tuple of int
        Shapes of the tensors that its last call returned; empty if it was not called.
    parameters, trainable : int
        Numbers of elements; a parameter that is used twice below counts once.
    parameter_bytes : int
    activation_bytes : int
        Of the results of all kernels of the forward, each in memory of its own.
    multiply_adds : int
        In matrix products, convolutions, attention and recurrent layers.
    """

    path: str
    kind: str
    shared: bool = False
    calls: int = 0
    outputs: tuple[tuple[int, ...], ...] = ()
    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0
    activation_bytes: int = 0
    multiply_adds: int = 0

    @property
    def flops(self) -> int:
        """Two for each multiply-add."""
        return 2 * self.multiply_adds


@dataclass
class Summary:
    """What `summary` found; prints as a table.

    Attributes
    ----------
    rows : list of Row
        The model, then its parts, each followed by its own parts.
    input_bytes, buffer_bytes : int
    """

    rows: list[Row]
    input_bytes: int = 0
    buffer_bytes: int = 0
    _of: dict[str, Row] = field(default_factory=dict, repr=False)

    @property
    def total(self) -> Row:
        """The row of the model."""
        return self.rows[0]

    def table(self, depth: int | None = None) -> str:
        """The rows as text.

        Parameters
        ----------
        depth : int, optional
            How many levels below the model to show; all by default.
        """
        if depth is not None and depth < 0:
            raise ValueError(f"table: depth must not be negative, got {depth}")
        shown = [row for row in self.rows if depth is None or _depth(row.path) <= depth]
        head = ["layer", "output", "parameters", "multiply-adds", "activations"]
        cells = [
            [
                tree + row.kind + (" (shared)" if row.shared else "") + (f" x{row.calls}" if row.calls > 1 else ""),
                " ".join(map(str, row.outputs)) or "-",
                "-" if row.shared or not row.parameters else f"{row.parameters:,}",
                f"{row.multiply_adds:,}" if row.multiply_adds else "-",
                _memory(row.activation_bytes) if row.activation_bytes else "-",
            ]
            for tree, row in zip(_branches([row.path for row in shown]), shown, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
        lines = [
            "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True)))
            for line in [head, *cells]
        ]
        rule = "-" * max(map(len, lines))
        total = self.total
        return "\n".join(
            [
                *(line.rstrip() for line in [lines[0], rule, *lines[1:]]),
                rule,
                f"parameters: {total.parameters:,} ({total.trainable:,} trainable), {_memory(total.parameter_bytes)}"
                + (f"; buffers: {_memory(self.buffer_bytes)}" if self.buffer_bytes else ""),
                f"inputs: {_memory(self.input_bytes)}; activations: {_memory(total.activation_bytes)}",
                f"multiply-adds: {total.multiply_adds:,} ({total.flops / 1e9:.3f} GFLOP)",
            ]
        )

    def __getitem__(self, path: str) -> Row:
        return self._of[path]

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__


def summary(model: Module, *args: Any, **kwargs: Any) -> Summary:
    """Call ``model(*args, **kwargs)`` once and say what its layers give, hold and compute.

    The model is called in the mode it is in, without gradients. What the call changes is put back: buffers such as
    running statistics, attributes of modules, the random state.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.Linear(4, 8), tg.nn.ReLU(), tg.nn.Linear(8, 2))
    >>> print(tg.nn.summary(model, tg.ones(16, 4)))
    layer         output   parameters  multiply-adds  activations
    -------------------------------------------------------------
    Sequential    (16, 2)          58            768       1.2 KB
    ├─ 0: Linear  (16, 8)          40            512        512 B
    ├─ 1: ReLU    (16, 8)           -              -        512 B
    └─ 2: Linear  (16, 2)          18            256        128 B
    -------------------------------------------------------------
    parameters: 58 (58 trainable), 232 B
    inputs: 256 B; activations: 1.2 KB
    multiply-adds: 768 (0.000 GFLOP)
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: expected a Module, got {type(model).__name__}")
    found = Summary([])
    for path, module in model.named_modules(remove_duplicate=False):
        _add(found, path, module)
    seen: set[int] = set()
    for path, module in model.named_modules(remove_duplicate=False):
        found[path].shared = id(module) in seen
        seen.add(id(module))

    def on_return(call: calls.Call, result: Any) -> None:
        if call.root is model:
            if call.path not in found._of:
                _add(found, call.path, call.module)
            row = found[call.path]
            row.calls += 1
            row.outputs = tuple(x.shape for x in tensors_in(result))

    pending: dict[str, list[int]] = {}  # activation bytes and multiply-adds by path
    inside = False  # of a launch: what a kernel launches itself is part of it

    def on_launch(kernel: K.Kernel, args: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]) -> Any:
        nonlocal inside
        call = calls.current.get()
        if inside or call is None or call.root is not model:
            return run()
        inside = True
        try:
            result = run()
        finally:
            inside = False
        added = costs.bytes_written(args, params, result), costs.multiply_adds(kernel, args, params)
        paths: set[str] = set()
        while call is not None:
            parts = call.path.split(".") if call.path else []
            paths |= {".".join(parts[:n]) for n in range(len(parts) + 1)}  # containers are not called, but count
            call = call.parent
        for path in paths:
            sums = pending.setdefault(path, [0, 0])
            sums[0] += added[0]
            sums[1] += added[1]
        return result

    with preserved(model), no_grad(), calls.watched(on_return):
        K.add_hook(on_launch)
        try:
            model(*args, **kwargs)
        finally:
            K.remove_hook(on_launch)
    for path, (nbytes, count) in pending.items():
        found[path].activation_bytes, found[path].multiply_adds = nbytes, count
    inputs = {id(x): x for x in tensors_in((args, kwargs))}
    found.input_bytes = sum(x.size * x.dtype.itemsize for x in inputs.values())
    found.buffer_bytes = sum(b.size * b.dtype.itemsize for b in model.buffers())
    return found


@contextmanager
def preserved(model: Module) -> Iterator[None]:
    """Put back, at the end of the block, what calls of a model change: buffers, attributes and the random state."""
    saved = [(module, dict(module.__dict__), dict(module._buffers)) for module in model.modules()]
    copies: dict[int, Tensor] = {}
    try:
        for module, _, buffers in saved:
            for name, buffer in buffers.items():
                if buffer is not None:
                    # the original is not written, so whatever has saved it for a backward stays valid
                    copy = copies.setdefault(id(buffer), buffer.detach().clone())
                    module._buffers[name] = module.__dict__[name] = copy
        bump()
        with fork_rng():
            yield
    finally:
        for module, attributes, buffers in saved:
            module.__dict__.clear()
            module.__dict__.update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)
        bump()


def _add(found: Summary, path: str, module: Module) -> None:
    """A row for a module, after what is there of its parent."""
    own = list(module.parameters())
    row = Row(
        path,
        type(module).__name__,
        parameters=sum(p.size for p in own),
        trainable=sum(p.size for p in own if p.requires_grad),
        parameter_bytes=sum(p.size * p.dtype.itemsize for p in own),
    )
    parent = path.rpartition(".")[0]
    after = [i for i, other in enumerate(found.rows) if not parent or f"{other.path}.".startswith(f"{parent}.")]
    found.rows.insert(after[-1] + 1 if after else len(found.rows), row)
    found._of[path] = row


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a result or in arguments, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from tensors_in(entry)


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0


def _branches(paths: list[str]) -> Iterator[str]:
    """What stands before the class of each row: the lines of the tree and the name."""
    for i, path in enumerate(paths):
        if not path:
            yield ""
            continue
        parts = path.split(".")
        lines = ""
        for level in range(1, len(parts) + 1):
            prefix = ".".join(parts[: level - 1])
            more = any(
                _depth(other) == level and other.rpartition(".")[0] == prefix and other != ".".join(parts[:level])
                for other in paths[i + 1 :]
            )
            if level == len(parts):
                lines += "├─ " if more else "└─ "
            else:
                lines += "│  " if more else "   "
        yield f"{lines}{parts[-1]}: "


def _memory(nbytes: int) -> str:
    """``1.2 MB``; decimal units."""
    size = float(nbytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
