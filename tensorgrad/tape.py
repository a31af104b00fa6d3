"""The tape: what a computation leaves behind so that it can be walked backwards.

Every tensor that needs a gradient has a node. A leaf's node collects; the node of a result knows the op that made it,
the nodes of the operands and the values that the op's gradient rule needs, and nothing else.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from .tensor import Tensor

__all__ = [
    "Branch",
    "Leaf",
    "Node",
    "Op",
    "Storage",
    "View",
    "enable_grad",
    "grad_mode",
    "inference",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "on_arrays",
    "pushing",
    "set_grad_enabled",
    "users_code",
    "visiting",
]

_F = TypeVar("_F", bound=Callable[..., Any])
Rule = Callable[..., Any]

clock = itertools.count(1)
"""Gives nodes and in-place writes their order in time; `next` on it is atomic."""

grad_mode: ContextVar[bool] = ContextVar("grad_mode", default=True)
"""Whether ops leave nodes; every thread starts with True."""

inference: ContextVar[bool] = ContextVar("inference", default=False)
"""Whether the innermost `inference_mode` is on."""

on_arrays: ContextVar[bool] = ContextVar("on_arrays", default=False)
"""Whether gradient rules are running on plain arrays: ops given arrays then return arrays."""

pushing: ContextVar[bool] = ContextVar("pushing", default=False)
"""Whether the engine runs so that what it finds can be walked back: for a derivative in a direction."""

visiting: ContextVar[Node | None] = ContextVar("visiting", default=None)
"""While kernels are observed: the node whose gradient rules the engine runs in this thread."""

saved_hooks: ContextVar[Any] = ContextVar("saved_hooks", default=None)
"""What packs and unpacks the values that ops save in this thread; a message if that is forbidden."""

pack_node: Callable[[Any], None] | None = None
"""Once there were such hooks: lets them see a new node."""

hooks_gather = False
"""Whether there is a hook that waits for several gradients."""

walk: ContextVar[dict[Any, Any] | None] = ContextVar("walk", default=None)
"""Once there is: what such hooks have got in this thread's innermost backward."""

trace_forward: Callable[[], Any] | None = None
"""In anomaly mode: returns where in the user's code an op was called."""

check_nan = True
"""In anomaly mode: whether gradients that are NaN raise."""


class Storage:
    """When the memory of a tensor and its views was last written in place, and how often; who else sees it.

    ``shared`` if somebody else may have the same memory; ``views`` are those tensors, oldest first, that were made as
    parts of others.
    """

    __slots__ = ("shared", "version", "views", "written_at")

    def __init__(self) -> None:
        self.shared = False
        self.views: list[weakref.ref[Tensor]] = []
        self.version = 0
        self.written_at = 0


class Op:
    """Name and gradient rules of an op.

    Attributes
    ----------
    name : str
    rules : tuple of callable or None
        One vector-Jacobian product per input; None for an input without a gradient (an index, a condition).
    names, arrays : tuple of str
        What rules may ask for, and which of it is memory.
    joint : bool
        One rule gives the gradients of all inputs as a tuple; it takes ``needs``, a tuple of bools, after ``g``.
    broadcasts : bool
        Inputs were broadcast, so a gradient is summed down to its input's shape.
    saves_arrays : bool
        Rules need values, which are dropped after use, and not shapes only.
    saves_out : bool
        Some rule needs the result, which must then not be overwritten.
    fills : bool
        Of several results, those without a gradient get one of zeros; else the rule takes None for it.
    shares_gradients : bool
        Rules are a user's and may return one array twice or keep it.
    overwriting : tuple of callable or None, or None
        Launches that are rules: ``launch(g, *values, out)`` is what ``rule(g, *values)`` gives, in ``out``, which may
        be ``g``. None for a rule that is no such launch.
    """

    __slots__ = (
        "broadcasts", "codes", "fills", "joint", "name", "out_code", "outputs", "overwriting", "pickers",
        "rules", "saves_arrays", "saves_out", "shares_gradients",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        rules: tuple[Rule | None, ...],
        names: tuple[str, ...],
        arrays: tuple[str, ...],
        *,
        joint: bool = False,
        broadcasts: bool = False,
        outputs: int = 1,
    ) -> None:
        self.name = name
        self.rules = rules
        self.joint = joint
        self.broadcasts = broadcasts
        self.outputs = outputs
        skip = 2 if joint else 1
        self.codes = tuple(_codes(name, rule, names, skip) if rule is not None else () for rule in rules)
        self.pickers = tuple(_picker(codes) for codes in self.codes)
        self.out_code = names.index("out")
        self.fills = True
        self.shares_gradients = False
        self.overwriting: tuple[Callable[..., Any] | None, ...] | None = None
        self.saves_arrays = any(names[c] in arrays for codes in self.codes for c in codes)
        self.saves_out = any("out" in (names[c] for c in codes) for codes in self.codes)

    def __repr__(self) -> str:
        return f"<op {self.name}>"


def _codes(name: str, rule: Rule, names: tuple[str, ...], skip: int) -> tuple[int, ...]:
    """Positions, among ``names``, of what a rule's signature asks for."""
    code = rule.__code__
    wanted = code.co_varnames[skip : code.co_argcount]
    unknown = [w for w in wanted if w not in names]
    if unknown:
        raise TypeError(f"op {name}: a rule asks for {unknown}, there is {names}")
    return tuple(names.index(w) for w in wanted)


def _picker(codes: tuple[int, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A fast function from the tuple of all values to the tuple of those at ``codes``."""
    if len(codes) > 1:
        return itemgetter(*codes)
    return itemgetter(slice(codes[0], codes[0] + 1) if codes else slice(0, 0))


class View(NamedTuple):
    """How a tensor is part of another one's memory, and how a change of the part changes the whole.

    Attributes
    ----------
    base : Tensor
        The whole, which may itself be a part of another.
    take : callable
        ``take(base, *params)`` is the part.
    put : callable or None
        ``put(base, part, *params)`` is the whole with the part replaced. None if nobody knows how: then the part is not
        to be written while the tape records.
    params : tuple
    """

    base: Tensor
    take: Callable[..., Any]
    put: Callable[..., Any] | None
    params: tuple[Any, ...]


class Node:
    """One step of the computation.

    Attributes
    ----------
    op : Op
        Name and gradient rules.
    parents : tuple of Node or None
        Nodes of the operands; None for one that needs no gradient.
    saved : tuple of tuple, or None
        For each parent, what its rule takes after the gradient. None once used and freed.
    shape : tuple of int
        Shape of the result, and so of its gradient; for an op with several results, their shapes and dtypes.
    time : int
        When the node was made. Operands are older than results, so walking back by time visits consumers first.
    storage : Storage or None
        The result's memory, once somebody wrote to it or viewed it.
    hooks : list or None
        Functions of the gradient, run when it is complete.
    trace : object
        Where the op was called; recorded in anomaly mode.
    """

    __slots__ = ("__weakref__", "hooks", "op", "parents", "saved", "shape", "storage", "time", "trace")

    def __init__(self, op: Any, parents: tuple[Node | None, ...], saved: Any, shape: Any) -> None:
        self.op = op
        self.parents = parents
        self.saved = saved
        self.shape = shape
        self.time = next(clock)
        self.storage: Storage | None = None
        self.hooks: list[Callable[..., Any]] | None = None
        self.trace = trace_forward() if trace_forward is not None else None
        if pack_node is not None:
            pack_node(self)

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes of the operands, each with the number of the result that it stands for."""
        return tuple((p, p.index if isinstance(p, Branch) else 0) for p in self.parents)

    @property
    def name(self) -> str:
        """The op's name."""
        return self.op.name  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{self.name} node {self.shape}>"


class Leaf(Node):
    """Collects the gradient of a tensor that no op made."""

    __slots__ = ("after", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(None, (), (), tensor.shape)
        self.after: list[Callable[[Tensor], None]] | None = None  # called once the gradient is in the tensor
        self.tensor = weakref.ref(tensor)

    @property
    def name(self) -> str:
        """Stands where an op's name would."""
        return "leaf"


class Branch(Node):
    """One of the results of an op that has several; hands its gradient to that op's node."""

    __slots__ = ("dtype", "index")

    def __init__(self, parent: Node, index: int, shape: tuple[int, ...], dtype: Any) -> None:
        super().__init__(None, (parent,), (), shape)
        self.index = index
        self.dtype = dtype

    @property
    def name(self) -> str:
        """The op's name and which of its results this is."""
        assert self.parents[0] is not None
        return f"{self.parents[0].name}[{self.index}]"


@contextmanager
def users_code() -> Iterator[None]:
    """While gradient rules run: a block in which a user's code is called, for which ops are what they are elsewhere."""
    arrays = on_arrays.set(False)
    push = pushing.set(False)
    try:
        yield
    finally:
        pushing.reset(push)
        on_arrays.reset(arrays)


def is_grad_enabled() -> bool:
    """Whether ops called by this thread are recorded."""
    return grad_mode.get()


class _SetGradMode:
    """Context manager and decorator that sets the grad mode of the calling thread."""

    _enabled = True

    def __init__(self) -> None:
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        self._tokens.append(grad_mode.set(self._enabled))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        grad_mode.reset(self._tokens.pop())

    def __call__(self, function: _F) -> _F:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


class no_grad(_SetGradMode):  # noqa: N801 - PyTorch's name
    """Record nothing in this block (or decorated function): results need no gradient.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.ones(2, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _enabled = False


class enable_grad(_SetGradMode):  # noqa: N801
    """Record again inside a `no_grad` block."""

    _enabled = True


class set_grad_enabled(_SetGradMode):  # noqa: N801
    """Record if ``mode``: from here on when called, in the block as a context manager, in a decorated function.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> with tg.set_grad_enabled(False):
    ...     tg.is_grad_enabled()
    False
    >>> tg.is_grad_enabled()
    True
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self._enabled = mode
        self._at_once: Any = grad_mode.set(mode)

    def __enter__(self) -> None:
        if self._at_once is None:
            super().__enter__()
        else:
            self._tokens.append(self._at_once)
            self._at_once = None

    def __call__(self, function: _F) -> _F:
        if self._at_once is not None:
            grad_mode.reset(self._at_once)
            self._at_once = None
        mode = self._enabled

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with set_grad_enabled(mode):
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


class inference_mode(_SetGradMode):  # noqa: N801
    """`no_grad` under PyTorch's other name; with ``mode=False``, `enable_grad`."""

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self._enabled = not mode
        self._marks: list[Any] = []

    def __enter__(self) -> None:
        super().__enter__()
        self._marks.append(inference.set(not self._enabled))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        inference.reset(self._marks.pop())
        super().__exit__(kind, error, tb)

    def __call__(self, function: _F) -> _F:
        mode = not self._enabled

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with inference_mode(mode):
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]
