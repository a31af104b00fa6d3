"""What a case is made of: values that are drawn from the case's name, and things that are built of other things.

Nothing here knows of a tensor library, so that the same table serves PyTorch and tensorgrad.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def generator(name: str) -> np.random.Generator:
    """Random numbers that depend on a name alone."""
    return np.random.default_rng(zlib.crc32(name.encode()))


@dataclass(frozen=True)
class Value:
    """An array, drawn when the case is run."""

    text: str
    draw: Draw = field(repr=False, compare=False)
    shape: tuple[int, ...] = ()
    differentiable: bool = True

    def array(self, name: str) -> np.ndarray[Any, Any]:
        return np.asarray(self.draw(generator(name), self.shape))

    def __repr__(self) -> str:
        return self.text


def _kind(letter: str, draw: Draw, differentiable: bool = True) -> Callable[..., Value]:
    return lambda *shape: Value(f"{letter}{shape}".replace(" ", ""), draw, shape, differentiable)


N = _kind("N", lambda rng, s: rng.standard_normal(s))  # normal
P = _kind("P", lambda rng, s: rng.uniform(0.5, 1.5, s))  # positive
U = _kind("U", lambda rng, s: rng.uniform(0.05, 0.95, s))  # between 0 and 1
# the same without a gradient, as for targets
FixedN = _kind("FixedN", lambda rng, s: rng.standard_normal(s), False)
FixedU = _kind("FixedU", lambda rng, s: rng.uniform(0.05, 0.95, s), False)
Signs = _kind("Signs", lambda rng, s: rng.choice([-1.0, 1.0], s), False)
Bits = _kind("Bits", lambda rng, s: rng.integers(0, 2, s).astype(float), False)
Shares = _kind("Shares", lambda rng, s: rng.dirichlet(np.ones(s[1]), (s[0], *s[2:])).swapaxes(1, -1), False)


def I(high: int, *shape: int) -> Value:  # noqa: E743 - beside N, P and U
    """Integers from 0 up to, not including, ``high``."""
    return Value(f"I<{high}{shape}".replace(" ", ""), lambda rng, s: rng.integers(0, high, s), shape, False)


def V(*values: Any) -> Value:
    """These values."""
    array = np.asarray(values)
    return Value(f"V{values}".replace(" ", ""), lambda rng, s: array, array.shape, False)


@dataclass(frozen=True)
class Made:
    """A module or schedule, to be built of a class of that name."""

    kind: str
    args: tuple[Any, ...]
    options: dict[str, Any]

    def __repr__(self) -> str:
        parts = [_text(a) for a in self.args] + [f"{k}={_text(v)}" for k, v in self.options.items()]
        return f"{self.kind}({', '.join(parts)})"


def made(kind: str, *args: Any, **options: Any) -> Made:
    return Made(kind, args, options)


@dataclass(frozen=True)
class after:  # noqa: N801 - reads as a function beside `at` and `made`
    """What a module makes of a value: for an argument that is the result of a layer."""

    module: Made
    value: Value

    def __repr__(self) -> str:
        return f"{self.module!r}({self.value!r})"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return value.__name__ if callable(value) and hasattr(value, "__name__") else repr(value)


@dataclass(frozen=True)
class Case:
    """Something to build, and what to call it with.

    ``inputs`` are positional, ``keywords`` go by name; both may hold `Value`. ``training`` is the module's mode.
    """

    what: Made
    inputs: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)
    training: bool = True

    @property
    def kind(self) -> str:
        return self.what.kind

    @property
    def name(self) -> str:
        called = [repr(x) for x in self.inputs] + [f"{k}={v!r}" for k, v in self.keywords.items()]
        return f"{self.what!r}({', '.join(called)}){'' if self.training else ' evaluating'}"


def at(what: Made, *inputs: Any, **keywords: Any) -> Case:
    """A module in training mode, called with these inputs."""
    return Case(what, inputs, keywords)


def evaluating(what: Made, *inputs: Any, **keywords: Any) -> Case:
    """A module in evaluation mode, called with these inputs."""
    return Case(what, inputs, keywords, training=False)
