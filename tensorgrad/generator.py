"""The stream of random numbers: one for every device.

A `Generator` is a seed and a position in the stream of that seed. Each draw reserves the part of the stream that its
kernel consumes, so a seed gives the same numbers on the CPU and on a GPU, whatever the memory layout and the number of
threads.

The stream is that of ``numpy.random.Philox(key=seed)``; ``kernels/cpu/random.py`` says which bits make which number.
"""

from __future__ import annotations

import math
import operator
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from . import capture
from . import kernels as K
from .dtypes import DType
from .errors import called
from .kernels.batched.array import ACTIVE, Level, allocated, empty_like, levels_of, unwrapped_at, whole

__all__ = [
    "Draws",
    "Generator",
    "NoDraws",
    "OwnStream",
    "blocks_used",
    "default_generator",
    "draw",
    "drawing_levels",
    "fork_rng",
    "get_rng_state",
    "manual_seed",
    "reserve_for",
    "set_rng_state",
]

_LIMIT = 1 << 64


class Generator:
    """A position in the stream of random numbers that a seed selects.

    Without `manual_seed`, the operating system gives the seed when the first number is needed. Threads may share a
    generator: no two of them get the same part of the stream.

    Parameters
    ----------
    device : str or Device, optional
        Taken for PyTorch's sake. A generator serves every device, and the numbers do not depend on the device.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> g = tg.random.Generator().manual_seed(7)
    >>> x = tg.random.rand(3, generator=g)
    >>> y = tg.random.rand(3, generator=g.manual_seed(7))
    >>> x.numpy().tolist() == y.numpy().tolist()
    True
    """

    __slots__ = ("_lock", "_offset", "_seed", "device")

    def __init__(self, device: Any = None) -> None:
        if str(getattr(device, "type", device)).split(":")[0] not in ("None", "cpu", "cuda"):
            raise ValueError(
                f"Generator: device must name one, such as 'cpu' or 'cuda', got {device!r}; seed it with manual_seed"
            )
        self.device = device
        self._seed: int | None = None
        self._offset = 0
        self._lock = threading.Lock()

    def manual_seed(self, seed: int) -> Generator:
        """Go to the start of the stream of ``seed``, an integer of [-2**63, 2**64); negative ones count from 2**64.

        Raises
        ------
        TypeError
            If ``seed`` is not an integer.
        ValueError
            If ``seed`` is out of range.
        """
        try:
            number = operator.index(seed)
        except TypeError:
            raise TypeError(f"manual_seed: expected an integer, got {type(seed).__name__} {seed!r}") from None
        if not -_LIMIT // 2 <= number < _LIMIT:
            raise ValueError(f"manual_seed: seed {number} is not in [-2**63, 2**64)")
        return self._moved(number % _LIMIT, 0)

    def _moved(self, seed: int, offset: int) -> Generator:
        draws = _draws.get()
        if draws is None:
            return self._go_to(seed, offset)
        if not draws.repeating:
            draws.stream_of(self)._go_to(seed, offset)
        return self

    @capture.replayed
    def _go_to(self, seed: int, offset: int) -> Generator:
        with self._lock:
            self._seed, self._offset = seed, offset
        return self

    @capture.replayed
    def seed(self) -> int:
        """Go to the start of the stream of a seed that the operating system gives, and return that seed."""
        with self._lock:
            self._seed, self._offset = int.from_bytes(os.urandom(8), "little"), 0
            return self._seed

    def initial_seed(self) -> int:
        """The seed whose stream this is."""
        capture.host_read("the seed of a random generator")
        return self.reserve_stream(0)[0]

    def reserve(self, blocks: int) -> int:
        """Set ``blocks`` blocks of four 64-bit words aside; returns the position of the first."""
        return self.reserve_stream(blocks)[1]

    def reserve_stream(self, blocks: int) -> tuple[int, int]:
        """`reserve`, together with the seed: what a random kernel takes as ``seed`` and ``offset``."""
        draws = _draws.get()
        if draws is None:
            return self._reserved(blocks)
        return draws.reserved(self, blocks) if blocks else draws.stream_of(self)._reserved(0)

    def _reserved(self, blocks: int) -> tuple[int, int]:
        with self._lock:
            if self._seed is None:
                self._seed = int.from_bytes(os.urandom(8), "little")
            seed, offset = self._seed, self._offset
            self._offset = (offset + blocks) % _LIMIT
        recorder = capture.recording()
        return (seed, offset) if recorder is None else recorder.drawn(self, blocks, seed, offset)

    def get_state(self) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """The seed and the position, two 64-bit unsigned integers."""
        capture.host_read("the state of a random generator")
        return np.array(self.reserve_stream(0), np.uint64)

    def set_state(self, state: Any) -> Generator:
        """Go back to where `get_state` was called.

        Raises
        ------
        TypeError, ValueError
            If ``state`` is not an array of two 64-bit unsigned integers.
        """
        array = np.asarray(state)
        if array.dtype != np.uint64:
            raise TypeError(f"set_state: expected the uint64 array that get_state returned, got dtype {array.dtype}")
        if array.shape != (2,):
            raise ValueError(f"set_state: expected the array of shape (2,) that get_state returned, got {array.shape}")
        return self._moved(int(array[0]), int(array[1]))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.device, self.get_state())

    def __repr__(self) -> str:
        seed, offset = self.reserve_stream(0)
        return f"Generator(seed={seed}, offset={offset})"


class Draws:
    """What parts of random streams some code set aside, so that it can have the same ones again."""

    def __init__(self) -> None:
        self._parts: list[tuple[Generator, int, tuple[int, int]]] = []
        self._next = -1  # of the parts that are given again; -1 while they are written down
        self._recorder: Any = None  # who records the repetition as a whole
        self._outer: Draws | None = None

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Write down what is set aside in this block."""
        self._outer = _draws.get()
        token = _draws.set(self)
        try:
            yield
        finally:
            _draws.reset(token)
            self._outer = None

    @contextmanager
    def repeated(self) -> Iterator[None]:
        """Give the same parts again in this block; the streams do not move."""
        self._next, self._recorder = 0, capture.recording()
        token = _draws.set(self)
        try:
            yield
        finally:
            _draws.reset(token)
            self._next, self._recorder = -1, None

    @property
    def repeating(self) -> bool:
        """Whether parts are given again."""
        return self._next >= 0

    def stream_of(self, generator: Generator) -> Generator:
        """The generator whose stream a generator draws from in this block."""
        return generator if self._outer is None else self._outer.stream_of(generator)

    def reserved(self, generator: Generator, blocks: int) -> tuple[int, int]:
        """What `Generator.reserve_stream` returns in such a block."""
        if not self.repeating:
            outer = self._outer
            part = generator._reserved(blocks) if outer is None else outer.reserved(generator, blocks)
            self._parts.append((generator, blocks, part))
            return part
        place, self._next = self._next, self._next + 1
        if place >= len(self._parts) or self._parts[place][0] is not generator or self._parts[place][1] != blocks:
            raise RuntimeError("checkpoint: called again, the function draws other random numbers than the first time")
        part, recorder = self._parts[place][2], capture.recording()
        if recorder is None or recorder is self._recorder:
            return part
        # A function is captured inside of the repetition: its replays must ask anew, these numbers are of this call.
        return recorder.drawn(generator, blocks, int(part[0]), int(part[1]))


class NoDraws(Draws):
    """A block in which nothing may be drawn: an attempt raises what it is made with."""

    def __init__(self, message: str) -> None:
        super().__init__()
        self._message = message

    def reserved(self, generator: Generator, blocks: int) -> tuple[int, int]:
        """Raise RuntimeError."""
        raise RuntimeError(self._message)


class OwnStream(Draws):
    """A block in which the default generator has a stream of its own, which other threads do not see."""

    def __init__(self, seed: int, offset: int) -> None:
        super().__init__()
        self._own = Generator()._go_to(seed % _LIMIT, offset % _LIMIT)

    def __enter__(self) -> None:
        self._token = _draws.set(self)

    def __exit__(self, *_: object) -> None:
        _draws.reset(self._token)

    def stream_of(self, generator: Generator) -> Generator:
        """The stream of this block for the default generator; any other has its own."""
        return self._own if generator is default_generator else generator

    def reserved(self, generator: Generator, blocks: int) -> tuple[int, int]:
        """What `Generator.reserve_stream` returns in such a block."""
        return self.stream_of(generator)._reserved(blocks)


_draws: ContextVar[Draws | None] = ContextVar("draws", default=None)


def _restored(device: Any, state: Any) -> Generator:
    return Generator(device).set_state(state)


default_generator = Generator()
"""What every draw without ``generator=`` uses, and `manual_seed` sets."""


def manual_seed(seed: int) -> Generator:
    """Set the seed of all draws to come, on every device, and return the default generator.

    Raises
    ------
    TypeError, ValueError
        If ``seed`` is not an integer of [-2**63, 2**64).

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.random.manual_seed(0)
    Generator(seed=0, offset=0)
    """
    return default_generator.manual_seed(seed)


def get_rng_state() -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Set the state of the default generator to one that `get_rng_state` returned."""
    default_generator.set_state(state)


@contextmanager
def fork_rng(generator: Generator | None = None) -> Iterator[Generator]:
    """Draw in this block without effect on the draws after it: the state is put back at its end.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> before = tg.random.get_rng_state()
    >>> with tg.random.fork_rng() as g:
    ...     x = tg.random.rand(3, generator=g.manual_seed(1))
    >>> bool((tg.random.get_rng_state() == before).all())
    True
    """
    chosen = generator or default_generator
    state = chosen.get_state()
    try:
        yield chosen
    finally:
        chosen.set_state(state)


# ------------------------------------------------------------------------------------------------ streams and kernels


def blocks_used(kernel: str, shape: Sequence[int], dtype: DType) -> int:
    """How many blocks of four 64-bit words the named random kernel consumes for an array of this shape and dtype."""
    if kernel in ("poisson", "binomial"):
        per_block = 1
    elif kernel == "dropout":
        per_block = 16
    elif kernel == "bernoulli":
        per_block = 8
    elif kernel in ("integers", "permutation"):
        per_block = 4
    elif kernel == "random_bits":
        per_block = 32 // dtype.itemsize
    else:
        per_block = 4 if dtype.itemsize == 8 else 8
    return -(-math.prod(shape) // per_block)


def reserve_for(kernel: K.Kernel, array: Any, generator: Generator | None = None) -> tuple[int, int]:
    """``(seed, offset)`` for one launch of a random kernel on ``array``, which nobody else will use."""
    if generator is not None and not isinstance(generator, Generator):
        raise TypeError(f"{called(kernel.name)}: generator must be a Generator, got {type(generator).__name__}")
    return (generator or default_generator).reserve_stream(blocks_used(kernel.name, array.shape, array.dtype))


def draw(kernel: K.Kernel, out: Any, *params: Any, generator: Generator | None = None) -> Any:
    """Fill the array ``out`` by a random kernel and return it; inside of `vmap`, one for each sample that draws.

    The parts of complex numbers are drawn one after the other, see `_parts`.
    """
    if out.dtype.kind == "c" and kernel.name in ("normal", "uniform"):
        return _parts(kernel, out, params, generator)
    if drawing := drawing_levels():
        return _for_samples(kernel, out, params, drawing, generator)
    kernel(out, *params, *reserve_for(kernel, out, generator))
    return out


def _parts(kernel: K.Kernel, out: Any, params: Any, generator: Generator | None) -> Any:
    """Complex numbers whose parts are uniform, or normal with half of the variance each and a mean that is real."""
    if kernel.name == "normal":
        mean, std = params
        each = ((mean, std / math.sqrt(2)), (0.0, std / math.sqrt(2)))
    else:
        each = (params, params)
    part = np.dtype(out.dtype.char.lower())
    parts = [draw(kernel, empty_like(out, out.shape, part), *numbers, generator=generator) for numbers in each]
    if drawing_levels():
        return K.join_parts(*parts)
    return K.join_parts(*parts, out=out)


def drawing_levels() -> tuple[Level, ...]:
    """The calls of `vmap` around this one of which each sample gets random numbers of its own."""
    running = ACTIVE.get()
    return tuple(level for level in running if level.randomness == "different") if running else ()


def _with_samples(parameter: Any, out: Any, levels: tuple[Level, ...]) -> Any:
    """A parameter's values for all samples: of an array in axes before its own, the outermost level first."""
    if not hasattr(parameter, "dtype") or not any(level in levels_of(parameter) for level in levels):
        return parameter
    array = whole(parameter, out.shape)
    for level in sorted(levels, key=lambda level: level.start, reverse=True):
        array = unwrapped_at(array, level)
    return array


def _for_samples(
    kernel: K.Kernel, out: Any, params: Any, levels: tuple[Level, ...], generator: Generator | None
) -> Any:
    """An array like ``out`` for each sample of some levels, all filled by one launch."""
    given = [_with_samples(p, out, levels) for p in params]

    def fill(shape: tuple[int, ...]) -> Any:
        array = empty_like(out, shape)
        # a permutation is one of a row at a time
        parts = array.reshape((-1, *out.shape)) if kernel.name == "permutation" else (array,)
        for part in parts:
            kernel(part, *given, *reserve_for(kernel, part, generator))
        return array

    return allocated(fill, out.shape, levels)
