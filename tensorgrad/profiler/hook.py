"""The profiler: a hook on the launches of kernels, and watchers that tell which layer a launch belongs to."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from .. import births
from .. import kernels as K
from ..kernels import costs
from ..kernels.timing import Timer
from ..nn import calls
from ..tape import Branch, Node, visiting
from .launches import Entry, Launch, added_up, table
from .trace import write_chrome_trace

__all__ = ["profile"]


class _Running:
    """A launch as the hook sees it; on CUDA its times are known only when the device gets there."""

    __slots__ = (
        "bytes", "device", "end", "flops", "host", "inner", "kernel", "module", "phase", "shapes", "start", "thread",
    )  # fmt: skip

    kernel: str
    shapes: tuple[Any, ...]
    module: str
    phase: str
    device: int | None
    thread: str
    start: Any
    end: Any
    host: float
    inner: list[_Running]
    bytes: int
    flops: int


class profile:  # noqa: N801 - PyTorch's name
    """Watch the launches of all kernels, in every thread, while the block runs; look at them afterwards.

    Times are those of the kernels. On CUDA they are taken by events in the kernels' streams, which are read when the
    results are asked for, so that the launches stay as asynchronous as they are; a kernel that is over before the
    next one is launched counts as long as its launch takes. Captured functions (`tensorgrad.jit`) run eagerly while
    they are watched: the times are those of the single kernels, before fusion. Without a profile that is active,
    nothing of this costs anything.

    Each launch is kept, some hundred bytes of it, so a block should be some steps, not a training run.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.ones(256, 256)
    >>> with tg.profiler.profile() as prof:
    ...     y = (x @ x).sum()
    >>> sorted((entry.kernel, entry.calls, entry.flops) for entry in prof.key_averages())
    [('matmul', 1, 33554432), ('sum', 1, 0)]
    >>> print(prof.table(sort_by="time", limit=5))  # doctest: +SKIP
    """

    def __init__(self) -> None:
        self._timer = Timer()
        self._running: list[_Running] = []  # launches that are over for the host
        self._launches: list[Launch] = []
        self._stacks = threading.local()  # launches within launches
        self._made: WeakKeyDictionary[Node, str] = WeakKeyDictionary()  # the module that made a node
        self._roots: dict[int, tuple[Any, str]] = {}  # outermost modules and what they are called
        self._threads: dict[tuple[int, str], str] = {}  # what threads are called
        self._lock = threading.RLock()
        self._watching: ExitStack | None = None
        self._began = False

    def __enter__(self) -> profile:
        if self._began:
            raise RuntimeError("profile: a profile watches one block; make another one")
        self._began = True
        self._timer = Timer()
        with ExitStack() as stack:
            stack.enter_context(calls.watched(lambda call, result: None))
            stack.enter_context(births.watched(self._on_node))
            hook = self._on_launch  # held on to: each access makes another bound method
            K.add_hook(hook)
            stack.callback(K.remove_hook, hook)
            self._watching = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._watching is not None
        self._watching.close()

    # ---------------------------------------------------------------------------------------------------- watching
    def _name(self, call: calls.Call | None) -> str:
        """What a call's module is called; two models of one class are told apart by a number."""
        if call is None:
            return ""
        root = self._roots.get(id(call.root))
        if root is None:
            with self._lock:
                kind = type(call.root).__name__
                same = sum(type(module).__name__ == kind for module, _ in self._roots.values())
                root = self._roots.setdefault(id(call.root), (call.root, _numbered(kind, same)))
        return f"{root[1]}.{call.path}" if call.path else root[1]

    def _thread(self) -> str:
        """The name of this thread; threads of one name are told apart by a number."""
        key = threading.get_ident(), threading.current_thread().name
        label = self._threads.get(key)
        if label is None:
            with self._lock:
                same = sum(name == key[1] for _, name in self._threads)
                label = self._threads.setdefault(key, _numbered(key[1], same))
        return label

    def _on_node(self, _data: Any, node: Node) -> None:
        if node.op is None and not isinstance(node, Branch):
            return  # a leaf: nobody's result
        rule = visiting.get()
        module = self._name(calls.current.get()) if rule is None else self._made.get(rule, "")
        if module:
            made = node.parents[0] if isinstance(node, Branch) else node
            assert made is not None
            self._made[made] = module

    def _on_launch(
        self, kernel: K.Kernel, args: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]
    ) -> Any:
        stack: list[_Running] = self._stacks.__dict__.setdefault("launches", [])
        launch = _Running()
        launch.kernel = kernel.name
        launch.shapes = tuple(
            arg.shape if hasattr(arg, "shape") else len(arg)
            for arg in args
            if hasattr(arg, "shape") or isinstance(arg, list)
        )
        rule, call = visiting.get(), calls.current.get()
        if rule is not None:
            launch.phase, launch.module = "backward", self._made.get(rule, "")
        else:
            launch.phase, launch.module = "other" if call is None else "forward", self._name(call)
        launch.thread = self._thread()
        launch.inner = []
        launch.flops = 2 * costs.multiply_adds(kernel, args, params)
        launch.device = self._timer.device(args)
        launch.start = self._timer.mark(launch.device)
        stack.append(launch)
        begin = time.perf_counter()
        try:
            result = run()
        finally:
            launch.host = time.perf_counter() - begin
            stack.pop()
            launch.end = self._timer.mark(launch.device)
        launch.bytes = costs.bytes_moved(args, params, result)
        if stack:
            stack[-1].inner.append(launch)
        self._running.append(launch)
        return result

    # ----------------------------------------------------------------------------------------------------- results
    @property
    def launches(self) -> list[Launch]:
        """The launches that are over, in the order in which they ended."""
        with self._lock:
            running, self._running = self._running, []
            times: dict[int, tuple[float, float]] = {}

            def span(launch: _Running) -> tuple[float, float]:
                if id(launch) not in times:
                    start = self._timer.seconds(launch.start)
                    times[id(launch)] = start, max(self._timer.seconds(launch.end) - start, 0.0)
                return times[id(launch)]

            for launch in running:
                start, total = span(launch)
                self._launches.append(
                    Launch(
                        kernel=launch.kernel,
                        shapes=" ".join(f"list of {s}" if isinstance(s, int) else str(s) for s in launch.shapes),
                        module=launch.module,
                        phase=launch.phase,
                        device="cpu" if launch.device is None else f"cuda:{launch.device}",
                        thread=launch.thread,
                        start=start,
                        total=total,
                        seconds=max(total - sum(span(inner)[1] for inner in launch.inner), 0.0),
                        host=launch.host,
                        bytes=launch.bytes,
                        flops=launch.flops,
                    )
                )
            return list(self._launches)

    def key_averages(self, by: str | Sequence[str] = "kernel") -> list[Entry]:
        """Sums over launches that have something in common, the one that took longest first.

        Parameters
        ----------
        by : str or sequence of str
            One or several of ``"kernel"``, ``"shapes"``, ``"module"``, ``"phase"``, ``"device"`` and ``"thread"``.
        """
        return added_up(self.launches, by)

    def table(self, by: str | Sequence[str] = "kernel", *, sort_by: str = "time", limit: int | None = 25) -> str:
        """`key_averages` as text.

        Parameters
        ----------
        by : str or sequence of str
            What launches are grouped by, as for `key_averages`.
        sort_by : str
            ``"time"``, ``"share"``, ``"calls"``, ``"average"``, ``"host"``, ``"bytes"``, ``"bandwidth"`` or
            ``"flops"``.
        limit : int, optional
            Number of lines; None for all.
        """
        return table(self.key_averages(by), sort_by, limit)

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the launches as a JSON file that ``chrome://tracing`` and Perfetto (``ui.perfetto.dev``) show."""
        write_chrome_trace(self.launches, path)

    def __repr__(self) -> str:
        return f"<profile of {len(self._launches) + len(self._running)} launches>"


def _numbered(name: str, others: int) -> str:
    return f"{name}#{others + 1}" if others else name
