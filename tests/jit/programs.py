"""Random programs: straight lines of ops, views, in-place writes, random numbers and reductions, run on any tensors.

A program is data, so that it can be run twice, drawn by hypothesis and shrunk when it fails. What an op does not allow
(other shapes, an in-place write of a leaf) is passed over, in eager mode and while recording alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.capture import CaptureError
from tensorgrad.nn import functional as F

__all__ = ["Program", "World", "programs", "sums_everything"]

Binary = Callable[[Any, Any], Any]
ON_THE_TAPE = re.compile("on the tape|gets other memory")
"""How the error begins or ends where an in-place write would let gradients reach a tensor from outside."""

LARGEST = 200_000  # elements of a result that a program goes on with


def _write(x: Any, y: Any) -> Any:
    x[...] = y
    return x


def _write_first(x: Any, y: Any) -> Any:
    x[:1] = y
    return x


def _write_masked(x: Any, y: Any) -> Any:
    x[y > 0] = 0.5
    return x


def _added(x: Any, y: Any) -> Any:
    x += y
    return x


def _scaled(x: Any, y: Any) -> Any:
    x *= y
    return x


def _product(x: Any, y: Any) -> Any:
    if x.shape[0] * y.shape[0] > LARGEST:
        raise ValueError("too large")
    return tg.tanh(x @ y.swapaxes(0, -1))


def _moved_average(x: Any, y: Any) -> Any:
    x *= 0.9
    x += 0.1 * y
    return x


VIEWS: dict[str, Binary] = {
    "transpose": lambda x, y: x.swapaxes(0, -1),
    "tail": lambda x, y: x[1:],
    "reverse": lambda x, y: x[::-1],
    "every other": lambda x, y: x[..., ::2],
    "flat": lambda x, y: x.reshape(-1),
    "row": lambda x, y: x[0],
    "column": lambda x, y: x[..., :1],
    "expand": lambda x, y: tg.expand_dims(x, axis=0)[0],
    "detach": lambda x, y: x.detach(),
}
WRITES: dict[str, Binary] = {
    "x += y": _added, "x *= y": _scaled, "x[...] = y": _write, "x[:1] = y": _write_first,
    "x[y > 0] = 0.5": _write_masked, "x *= 2": lambda x, y: _scaled(x, 2.0), "average": _moved_average,
}  # fmt: skip
RANDOM: dict[str, Binary] = {
    "rand": lambda x, y: x + tg.rand(*x.shape, device=x.device, dtype=x.dtype),
    "randn": lambda x, y: x * tg.randn(*x.shape, device=x.device, dtype=x.dtype),
    "dropout": lambda x, y: F.dropout(x, 0.5),
    "bernoulli": lambda x, y: x * tg.random.bernoulli(0.5, x.shape, device=x.device, dtype=x.dtype),
    "randperm": lambda x, y: x[tg.randperm(x.shape[0], device=x.device)],
}
SUMS: dict[str, Binary] = {  # over all elements: these may be added up in another order
    "sum": lambda x, y: x.sum(),
    "mean": lambda x, y: x - x.mean(),
    "mse": lambda x, y: ((x - y) ** 2).mean(),
    "norm": lambda x, y: x / (1 + (x * x).sum()).sqrt(),
}
OTHERS: dict[str, Binary] = {
    "tanh": lambda x, y: tg.tanh(x),
    "sigmoid": lambda x, y: tg.sigmoid(x),
    "relu": lambda x, y: tg.relu(x),
    "gelu": lambda x, y: F.gelu(x),
    "sin": lambda x, y: tg.sin(x),
    "exp": lambda x, y: tg.exp(-tg.abs(x)),
    "square": lambda x, y: tg.tanh(x) ** 2,
    "negative": lambda x, y: -x,
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / (1 + tg.abs(y)),
    "maximum": lambda x, y: tg.maximum(x, y),
    "where": lambda x, y: tg.where(x > y, x, y * 0.5),
    "affine": lambda x, y: x * 1.5 - 0.25,
    "clip": lambda x, y: tg.clip(x, -0.5, 0.75),
    "clone": lambda x, y: x.clone(),
    "sum of rows": lambda x, y: x.sum(axis=-1, keepdims=True),
    "mean of columns": lambda x, y: x - x.mean(axis=0),
    "maximum of rows": lambda x, y: x - x.max(axis=-1, keepdims=True),
    "argmax": lambda x, y: (x.argmax(axis=-1) % 3).astype(x.dtype),
    "softmax": lambda x, y: tg.softmax(x, axis=-1),
    "logsumexp": lambda x, y: tg.logsumexp(x, axis=-1, keepdims=True),
    "layer norm": lambda x, y: F.layer_norm(x, x.shape[-1:]),
    "matmul": _product,
    "concat": lambda x, y: tg.concat([x, y]),
    "stack": lambda x, y: tg.stack([x, y])[1],
    "flip": lambda x, y: tg.flip(x, axis=-1),
    "arange": lambda x, y: x + tg.arange(x.shape[-1], device=x.device, dtype=x.dtype) * 0.01,
    "constant": lambda x, y: x * tg.tensor([0.5], device=x.device, dtype=x.dtype),
    "zeros": lambda x, y: tg.zeros_like(x) + y,
    "full": lambda x, y: tg.full(x.shape, 0.75, device=x.device, dtype=x.dtype) * y,
    "take": lambda x, y: x[tg.tensor([0, 0], device=x.device)],
    "cast": lambda x, y: x.astype(tg.float64).astype(x.dtype),
    "greater": lambda x, y: (x > y).astype(x.dtype),
}  # fmt: skip
STEPS = VIEWS | WRITES | RANDOM | SUMS | OTHERS


@dataclass(frozen=True)
class Program:
    """Steps on a growing list of tensors.

    Attributes
    ----------
    steps : list of (name, int, int)
        The name of a function of `STEPS`, and which tensors it takes, counted from the end of the list.
    results : list of int
        Which tensors are returned.
    backward : str
        Where the gradient of the first result is taken: ``"inside"``, ``"outside"`` or ``"nowhere"``.
    zero_grad : bool
        Whether the gradients are dropped at the beginning.
    """

    steps: list[tuple[str, int, int]]
    results: list[int]
    backward: str
    zero_grad: bool

    def __call__(self, world: World, x: Any, y: Any) -> Any:
        """Run it on two arguments and what is outside."""
        outside = (world.state, y, x)
        pool = [world.state, world.weight, world.bias, y, x]
        if self.zero_grad:
            world.weight.grad = world.bias.grad = None
        for name, first, second in self.steps:
            a, b = pool[-1 - first % len(pool)], pool[-1 - second % len(pool)]
            try:
                made = STEPS[name](a, b.detach() if name in WRITES and any(a is x for x in outside) else b)
            except CaptureError:
                raise
            except (ValueError, IndexError, RuntimeError, TypeError):
                continue
            if made.size <= LARGEST:
                pool.append(made)
        chosen = [pool[-1 - i % len(pool)] for i in self.results]
        if self.backward == "inside" and chosen[0].requires_grad:
            chosen[0].mean().backward(retain_graph=True)
        return tuple(chosen)


class World:
    """What is outside of a program: parameters, and a tensor that it may write to."""

    def __init__(self, rows: int, columns: int, dtype: Any, device: str) -> None:
        rng = np.random.default_rng(7)

        def made(*shape: int) -> Any:
            return tg.tensor(rng.standard_normal(shape), dtype=dtype, device=device)

        self.weight = made(rows, columns).requires_grad_()
        self.bias = made(columns).requires_grad_()
        self.state = made(rows, columns)
        self.arguments = [(made(rows, columns), made(rows, columns)) for _ in range(4)]

    def run(self, program: Program, captured: bool) -> list[Any]:
        """Call a program four times; everything that can be seen of it."""

        def function(x: Any, y: Any) -> Any:
            return program(self, x, y)

        call = tg.jit(function) if captured else function
        seen: list[Any] = []
        tg.manual_seed(11)
        for x, y in self.arguments:
            try:
                results = call(x, y)
                seen += results
                if program.backward == "outside" and results[0].requires_grad:
                    results[0].mean().backward()
            except CaptureError as error:
                if not ON_THE_TAPE.search(str(error)):
                    raise
                reject()  # the one thing that programs do which no replay can
            except RuntimeError as error:  # what a backward needs was overwritten: then it is in both
                if "overwritten" not in str(error):
                    raise
                seen.append("overwritten")
            seen += [x, y, self.state, *(p.grad for p in (self.weight, self.bias))]
            seen = [s.detach().cpu().numpy().copy() if isinstance(s, tg.Tensor) else s for s in seen]
        return [*seen, tg.rand(1).numpy()]


def sums_everything(program: Program) -> bool:
    """Whether sums over all elements occur, which a chain adds up block by block."""
    return any(name in SUMS for name, *_ in program.steps) or program.backward != "nowhere"


@st.composite
def programs(draw: Any, longest: int = 12) -> Program:
    """Programs of up to so many steps."""
    names = st.one_of(*(st.sampled_from(sorted(kind)) for kind in (VIEWS, WRITES, RANDOM, SUMS, OTHERS, OTHERS)))
    near = st.integers(0, 7)
    return Program(
        draw(st.lists(st.tuples(names, near, near), min_size=1, max_size=longest)),
        draw(st.lists(near, min_size=1, max_size=3)),
        draw(st.sampled_from(["inside", "outside", "nowhere"])),
        draw(st.booleans()),
    )
