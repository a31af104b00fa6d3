"""The launch point: every array operation of the library passes through `Kernel.__call__`.

A kernel is one instruction with two implementations of the same signature, ``kernels/cpu/<family>.py`` on NumPy and
``kernels/cuda/<family>.py`` on CuPy. Which one runs is decided here, by the type of the arrays, and nowhere else. The
hooks of this module see every launch: capture, profiling and anomaly detection are built on them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import Any

import numpy as np

from .batched.array import LEVELS, innermost
from .cpu.blocked import BLOCK
from .cpu.large import in_pieces

__all__ = [
    "SILENT",
    "Kernel",
    "LaunchHook",
    "add_hook",
    "error_state",
    "ieee_semantics",
    "is_observed",
    "remove_hook",
]

_ndarray = np.ndarray

# NumPy warns about 1/0 and overflow; tensors follow IEEE 754 silently, as they do on a GPU. ``np.errstate`` costs more
# than a small kernel, so the state is built once and set through the context variable that NumPy itself reads.
try:
    from numpy._core.umath import _extobj_contextvar, _make_extobj

    error_state: ContextVar[Any] = _extobj_contextvar
    SILENT: Any = _make_extobj(all="ignore")
except ImportError:  # a NumPy that keeps its error state elsewhere

    class _PublicErrorState:
        """The same three calls through the public, slower interface."""

        @staticmethod
        def get() -> Any:
            return SILENT if set(np.geterr().values()) == {"ignore"} else None

        @staticmethod
        def set(_: Any) -> Any:
            return np.seterr(all="ignore")

        @staticmethod
        def reset(token: Any) -> None:
            np.seterr(**token)

    error_state = _PublicErrorState()  # type: ignore[assignment]
    SILENT = object()


class ieee_semantics:  # noqa: N801 - a context manager, named as a phrase
    """Run a block with NumPy's floating-point warnings off; cheaper once around a block than at each launch in it."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = error_state.set(SILENT)

    def __exit__(self, *_: object) -> None:
        error_state.reset(self._token)


def _run_quietly(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function with the warnings off."""
    token = error_state.set(SILENT)
    try:
        return function(*args)
    finally:
        error_state.reset(token)


# `_run_quietly` at a fifth of its cost: enter a context that has the warnings off already. One thread at a time can.
_enter_quiet: Callable[..., Any] = _run_quietly
if isinstance(error_state, ContextVar):
    _quiet = Context()
    _quiet.run(error_state.set, SILENT)
    _enter_quiet = _quiet.run

LaunchHook = Callable[["Kernel", tuple[Any, ...], dict[str, Any], Callable[[], Any]], Any]
"""Called as ``hook(kernel, args, params, run)`` in place of a launch; returns what ``run()`` returned."""

_hooks: tuple[LaunchHook, ...] = ()


def add_hook(hook: LaunchHook) -> None:
    """Let ``hook`` see every launch from now on; the hook added last is the outermost."""
    global _hooks
    _hooks = (*_hooks, hook)


def remove_hook(hook: LaunchHook) -> None:
    """Undo `add_hook`."""
    global _hooks
    _hooks = tuple(h for h in _hooks if h != hook)  # a bound method is another object each time


def is_observed() -> bool:
    """Whether there are hooks."""
    return bool(_hooks)


class Kernel:
    """One instruction of the closed set.

    Parameters
    ----------
    name : str
        Name of the instruction and of the function that implements it in both backends.
    family : str
        The file, in ``kernels/cpu`` and ``kernels/cuda``, that holds the implementations.
    signature : str
        Parameters of both implementations, as Python source: arrays first, then static values.
    rule : callable
        ``rule(*args, **params)`` gives the ``(shape, dtype)`` of the result, or a list of them, or None for an
        instruction that only writes into its first argument.
    expression : str, optional
        For elementwise instructions: the value of one element as a CUDA C++ expression in the parameters' names.
    """

    __slots__ = ("_cuda", "_placed", "cpu", "expression", "family", "large", "launch", "name", "rule", "signature")

    def __init__(
        self, name: str, family: str, signature: str, rule: Callable[..., Any], expression: str | None = None
    ) -> None:
        self.name = name
        self.family = family
        self.signature = signature
        self.rule = rule
        self.expression = expression
        self.cpu = getattr(importlib.import_module(f"tensorgrad.kernels.cpu.{family}"), name)
        # what launches take instead where the first array is larger than a block: a plain ufunc knows no threads
        self.large = in_pieces(self.cpu) if isinstance(self.cpu, np.ufunc) else self.cpu
        self._cuda: Callable[..., Any] | None = None
        self._placed: Callable[..., Any] | None = None
        self.launch = _launcher(self)

    @property
    def cuda(self) -> Callable[..., Any]:
        """The CuPy implementation; imported, with CuPy, at the first launch on a CUDA array."""
        if self._cuda is None:
            self._cuda = getattr(importlib.import_module(f"tensorgrad.kernels.cuda.{self.family}"), self.name)
        return self._cuda

    def _on_its_device(self) -> Callable[..., Any]:
        """The CuPy implementation, launched on the device of its arrays."""
        if self._placed is None:
            from .cuda.placement import placed

            self._placed = placed(self.name, self.cuda)
        return self._placed

    @property
    def elementwise(self) -> bool:
        """Whether element i of the result depends on element i of the operands alone."""
        return self.expression is not None

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Launch on the backend of the arrays among ``args``."""
        if not params:
            return self.launch(*args)
        try:
            if type(args[0]) is _ndarray and not _hooks and error_state.get() is SILENT:
                cpu = self.cpu if args[0].size <= BLOCK else self.large
                result = cpu(*args, **params)
                return result if type(result) is _ndarray else _arrays(result)
            return self._observed(args, params)
        except (TypeError, ValueError) as error:
            raise self._explained(error, args) from error

    def _observed(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Launch with hooks, parameters by name, or where the first argument does not tell the backend."""
        if LEVELS:
            level = innermost(*args, *params.values())
            if level is not None or self.name == "copy":
                from .batched.dispatch import launch_batched

                return launch_batched(self, args, params, level)
        return self._launched(args, params)

    def _launched(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """`_observed` of arrays that are not batched."""
        implementation = self._on_its_device() if any(_on_cuda(a) for a in args) else self.large

        def run() -> Any:
            with ieee_semantics():
                return _arrays(implementation(*args, **params))

        for hook in _hooks:
            run = _hooked(hook, self, args, params, run)
        return run()

    def _explained(self, error: Exception, args: tuple[Any, ...]) -> Exception:
        """The error with the operands named, unless the kernel named them itself."""
        if str(error).startswith(self.name + ":") or isinstance(error, np.linalg.LinAlgError):
            return error  # of matrices, too, kernels say themselves whose and which
        if isinstance(error, RuntimeError):
            return error
        kind = TypeError if isinstance(error, TypeError) else ValueError  # NumPy's own kinds cannot be made again
        operands = [a for a in args if hasattr(a, "dtype")]
        entries = [entry for a in args for entry in (a if isinstance(a, list) else (a,)) if hasattr(entry, "dtype")]
        if len({_on_cuda(a) for a in entries}) > 1:
            where = ", ".join("cuda" if _on_cuda(a) else "cpu" for a in entries)
            return kind(f"{self.name}: operands are on different devices ({where}); move one of them with .to(device)")
        shapes = " and ".join(str(a.shape) for a in operands)
        dtypes = " and ".join(str(a.dtype) for a in operands)
        if "broadcast" in str(error):
            return kind(f"{self.name}: shapes {shapes} cannot be broadcast together")
        return kind(f"{self.name}: {error} (shapes {shapes}, dtypes {dtypes})")

    def __repr__(self) -> str:
        return f"<kernel {self.name}({self.signature})>"


_PLAIN = frozenset((int, float))


def _launcher(kernel: Kernel) -> Callable[..., Any]:
    """The short way in, bound once per kernel: small NumPy arrays, arguments by position, nobody watching.

    The two that most launches take are written out, because passing arguments on costs as much as a small addition.
    """
    cpu = kernel.cpu
    observed = kernel._observed
    current, enter_quiet = error_state.get, _enter_quiet
    block = BLOCK

    def recovered(error: Exception, args: tuple[Any, ...]) -> Any:
        if isinstance(error, RuntimeError) and "cannot enter context" in str(error):  # another thread is in it
            return _arrays(_run_quietly(cpu, *args))
        raise kernel._explained(error, args) from error

    def launch_one(x: Any) -> Any:
        try:
            if type(x) is not _ndarray or x.size > block or _hooks:
                return observed((x,), {})
            result = cpu(x) if current() is SILENT else enter_quiet(cpu, x)
            return result if type(result) is _ndarray else _arrays(result)
        except (TypeError, ValueError, RuntimeError) as error:
            return recovered(error, (x,))

    def launch_two(x1: Any, x2: Any, out: Any = None) -> Any:
        try:
            if type(x1) is not _ndarray or x1.size > block or _hooks:
                number_first = type(x1) in _PLAIN and type(x2) is _ndarray and x2.size <= block
                if not number_first or _hooks:
                    return observed((x1, x2), {} if out is None else {"out": out})
            if out is not None:
                return cpu(x1, x2, out) if current() is SILENT else enter_quiet(cpu, x1, x2, out)
            result = cpu(x1, x2) if current() is SILENT else enter_quiet(cpu, x1, x2)
            return result if type(result) is _ndarray else _arrays(result)
        except (TypeError, ValueError, RuntimeError) as error:
            return recovered(error, (x1, x2))

    def launch(*args: Any) -> Any:
        try:
            first = args[0]
            if type(first) is list and first:
                first = first[0]
            if type(first) is not _ndarray or _hooks:
                return observed(args, {})
            result = cpu(*args) if current() is SILENT else enter_quiet(cpu, *args)
            # NumPy returns scalars for 0-d results; tensors hold arrays.
            return result if type(result) is _ndarray else _arrays(result)
        except (TypeError, ValueError, RuntimeError) as error:
            return recovered(error, args)

    parameters = kernel.signature.split(",")
    if kernel.elementwise and "=" not in kernel.signature and len(parameters) <= 2:
        return launch_one if len(parameters) == 1 else launch_two
    return launch


def _on_cuda(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_on_cuda(v) for v in value)
    return hasattr(value, "dtype") and not isinstance(value, (np.ndarray, np.generic))


def _arrays(result: Any) -> Any:
    if isinstance(result, np.generic):
        return np.asarray(result)
    if isinstance(result, tuple):
        return tuple([r if type(r) is _ndarray else _arrays(r) for r in result])
    return result


def _hooked(
    hook: LaunchHook, kernel: Kernel, args: tuple[Any, ...], params: dict[str, Any], run: Callable[[], Any]
) -> Callable[[], Any]:
    return lambda: hook(kernel, args, params, run)
