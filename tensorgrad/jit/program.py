"""A recorded program: regions of memory, spans of them, and the instructions that read and write those.

Nothing here knows how a program is run; `tensorgrad.jit.cpu` and `tensorgrad.jit.cuda` do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..backend import Device
from ..kernels import Kernel

__all__ = [
    "CONSTANT",
    "EXTERNAL",
    "INPUT",
    "TEMPORARY",
    "Draw",
    "GradRef",
    "HostCall",
    "Instruction",
    "Launch",
    "LiveRead",
    "Program",
    "Region",
    "SetGrad",
    "Slot",
    "Span",
    "each",
    "mapped",
    "slots_of",
]

TEMPORARY = "temporary"  # written by the program before it is read
INPUT = "input"  # another array at each call
EXTERNAL = "external"  # memory of a tensor that was there before: parameters, statistics
CONSTANT = "constant"  # made by Python while recording


class Region:
    """Memory that is allocated as one piece.

    Attributes
    ----------
    number : int
    kind : str
        One of the four constants of this module.
    nbytes : int
    device : Device or None
        Where it is.
    array : array or None
        The array that has the memory, of external regions and constants.
    pristine : array or None
        Contents of a constant that the program overwrites, as they were before.
    owners : list of Tensor
        Tensors outside of the program that have this memory.
    slot : int
        Which of the program's inputs an input region is.
    spec : (shape, dtype)
        Of the array that an input region is bound to.
    """

    __slots__ = ("array", "device", "kind", "nbytes", "number", "owners", "pristine", "slot", "spec")

    def __init__(
        self, number: int, kind: str, nbytes: int, device: Device | None, array: Any = None, slot: int = -1
    ) -> None:
        self.number = number
        self.kind = kind
        self.nbytes = nbytes
        self.device = device
        self.array = array
        self.pristine: Any = None
        self.owners: list[Any] = []
        self.slot = slot
        self.spec: Any = None

    def __repr__(self) -> str:
        return f"<{self.kind} region {self.number}, {self.nbytes} bytes>"


class Span(NamedTuple):
    """An array inside a region; ``offset`` and ``strides`` in bytes."""

    region: Region
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for length in self.shape:
            n *= length
        return n

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * int(self.dtype.itemsize)

    @property
    def T(self) -> Span:
        """The same memory with the axes in reverse."""
        return self._replace(shape=self.shape[::-1], strides=self.strides[::-1])

    @property
    def uniform(self) -> bool:
        """Whether it is one element, however often repeated."""
        return all(length == 1 or stride == 0 for length, stride in zip(self.shape, self.strides, strict=True))

    def rows(self) -> Span:
        """All axes but the last as one, of a contiguous span."""
        width = self.shape[-1]
        shape = (self.size // width if width else 0, width)
        return self._replace(shape=shape, strides=(width * self.dtype.itemsize, self.dtype.itemsize))

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie one after another in C order."""
        expected = self.dtype.itemsize
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if length != 1 and stride != expected:
                return False
            expected *= length
        return True


class Slot(NamedTuple):
    """A number that is found anew at each replay."""

    number: int


class GradRef(NamedTuple):
    """A tensor whose ``grad`` is meant: a tensor, or the number of an argument."""

    target: Any


@dataclass(eq=False)
class Launch:
    """One kernel, with spans in place of arrays. Kernels that write in place have no ``outs``."""

    kernel: Kernel
    args: tuple[Any, ...]
    params: dict[str, Any]
    outs: tuple[Span, ...]
    several: bool  # the kernel returns a tuple
    reads: frozenset[Region]
    writes: frozenset[Region]

    @property
    def nbytes(self) -> int:
        """Bytes that go to or come from memory, each operand counted once."""
        return sum(s.nbytes for s in each((self.args, self.params, self.outs)))


@dataclass(eq=False)
class Draw:
    """Set part of a generator's stream aside: gives two slots, seed and offset."""

    generator: Any
    blocks: int
    seed: int
    offset: int


@dataclass(eq=False)
class LiveRead:
    """Ask ``source`` for the number of a slot."""

    slot: int
    source: Callable[[], float]


@dataclass(eq=False)
class HostCall:
    """A function that runs as Python at every replay; nothing is moved across it."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        """The function's name."""
        return str(getattr(self.function, "__qualname__", self.function))


@dataclass(eq=False)
class SetGrad:
    """Assign the ``grad`` of a tensor: a span, or None."""

    target: GradRef
    value: Span | None


Instruction = Launch | Draw | LiveRead | HostCall | SetGrad


@dataclass(eq=False)
class Program:
    """What was recorded of one call.

    Attributes
    ----------
    instructions : list of Instruction
    inputs : list of Region
        Bound at each call, in the order of the arguments, then the gradients that were there before.
    outputs : list of Span
        What is returned; memory of its own at each call where the region is temporary.
    grads : set of Region
        Regions that become gradients of tensors outside.
    told, given : list of int
        Slots whose numbers are returned after the outputs; slots whose numbers come in after the inputs.
    """

    instructions: list[Instruction]
    inputs: list[Region]
    outputs: list[Span]
    grads: set[Region] = field(default_factory=set)
    told: list[int] = field(default_factory=list)
    given: list[int] = field(default_factory=list)

    @property
    def launches(self) -> list[Launch]:
        """The kernel launches among the instructions."""
        return [i for i in self.instructions if isinstance(i, Launch)]

    @property
    def returned(self) -> set[Region]:
        """Temporary regions that the caller gets."""
        return {span.region for span in self.outputs if span.region.kind == TEMPORARY}

    def externals(self) -> list[Region]:
        """Memory of tensors outside that the program touches."""
        found: dict[Region, None] = {}
        for launch in self.launches:
            for region in (*launch.reads, *launch.writes):
                if region.kind == EXTERNAL:
                    found[region] = None
        for span in self.outputs:
            if span.region.kind == EXTERNAL:
                found[span.region] = None
        return list(found)


def slots_of(value: Any) -> Iterator[int]:
    """The numbers of the slots in nested tuples, lists and dicts."""
    found: list[int] = []
    mapped(value, lambda item: found.append(item.number) if isinstance(item, Slot) else None)
    return iter(found)


def each(value: Any) -> Iterator[Span]:
    """The spans in nested tuples, lists, dicts and slices."""
    if isinstance(value, Span):
        yield value
    elif isinstance(value, (tuple, list)) and not isinstance(value, Slot):
        for item in value:
            yield from each(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from each(item)


def mapped(value: Any, function: Callable[[Any], Any]) -> Any:
    """The same nesting with ``function`` applied to what is neither tuple, list nor dict; spans and slots are whole."""
    if isinstance(value, (Span, Slot)):
        return function(value)
    if isinstance(value, tuple):
        return tuple(mapped(item, function) for item in value)
    if isinstance(value, list):
        return [mapped(item, function) for item in value]
    if isinstance(value, dict):
        return {key: mapped(item, function) for key, item in value.items()}
    return function(value)
