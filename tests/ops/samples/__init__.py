"""Sample inputs of every op, by the op's name, one file per family as in ``tensorgrad/ops``.

The tests of this folder walk `SAMPLES`: forward against the reference that stands beside the sample, gradients against
differences, dtypes, layouts. An op without samples fails them. To add an op, call `add` in the file of its family.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tensorgrad.ops
from tensorgrad import Tensor, tensor
from tensorgrad.ops.definition import OPS

for _module in pkgutil.iter_modules(tensorgrad.ops.__path__, "tensorgrad.ops."):
    importlib.import_module(_module.name)


@dataclass(frozen=True)
class Sample:
    """One call of an op.

    Attributes
    ----------
    op : str
        The op that the call must leave on the tape.
    label : str
    call : callable
        Takes the inputs as tensors.
    inputs : tuple of array
        The float64 ones are differentiated, unless their position is in ``constant``.
    reference : callable
        Takes the inputs as NumPy arrays; independent of tensorgrad.
    twice : bool
        Whether second derivatives are compared with differences too.
    halves : bool
        Whether float16 and bfloat16 make sense.
    slack : float
        Factor on the tolerances of the dtype sweep.
    """

    op: str
    label: str
    call: Callable[..., Any]
    inputs: tuple[np.ndarray, ...]
    reference: Callable[..., Any]
    constant: tuple[int, ...] = ()
    twice: bool = True
    halves: bool = True
    slack: float = 1.0

    def __str__(self) -> str:
        return f"{self.op}-{self.label}"

    @property
    def variables(self) -> tuple[int, ...]:
        """Positions of the inputs to differentiate by."""
        op = OPS[self.op]
        if not any(rule is not None for rule in op.rules):
            return ()
        return tuple(i for i, x in enumerate(self.inputs) if x.dtype == np.float64 and i not in self.constant)

    def tensors(self, device: str, dtype: Any = None, layout: str = "contiguous", grad: bool = True) -> list[Tensor]:
        """The inputs on a device; floating ones in another dtype, if one is given."""
        made = []
        for i, x in enumerate(self.inputs):
            floating = x.dtype == np.float64
            made.append(place(x, device, dtype if floating else None, layout, grad and i in self.variables))
        return made


LAYOUTS = ("transposed", "strided", "reversed")


def place(array: np.ndarray, device: str, dtype: Any = None, layout: str = "contiguous", grad: bool = False) -> Tensor:
    """A tensor with the array's values whose memory is laid out as told."""
    if layout == "transposed" and array.ndim:
        made = tensor(np.ascontiguousarray(array.T), dtype, device)._data.T
    elif layout == "strided" and array.ndim:
        made = tensor(np.repeat(array, 2, axis=-1), dtype, device)._data[..., ::2]
    elif layout == "reversed" and array.ndim:
        made = tensor(np.ascontiguousarray(array[::-1]), dtype, device)._data[::-1]
    else:
        made = tensor(array, dtype, device)._data
    assert made.shape == array.shape
    x = Tensor(made)
    if grad:
        x.requires_grad = True
    return x


SAMPLES: dict[str, list[Sample]] = {}


def add(
    op: str, label: str, call: Callable[..., Any], *inputs: Any, reference: Callable[..., Any], **more: Any
) -> None:
    """Declare a sample; inputs are arrays or nested lists."""
    arrays = tuple(np.asarray(x) for x in inputs)
    SAMPLES.setdefault(op, []).append(Sample(op, label, call, arrays, reference, **more))


def values(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0) -> np.ndarray:
    """Random numbers, no two closer than a finite difference reaches."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def per_op(wanted: Callable[[Sample], bool] = lambda sample: True) -> Callable[[Callable[..., None]], Any]:
    """Make ``test(sample, device)`` one test per op and device, which goes through the op's samples."""

    def decorate(function: Callable[..., None]) -> Any:
        def test(op: str, device: str) -> None:
            for sample in filter(wanted, SAMPLES[op]):
                try:
                    function(sample, device)
                except Exception as error:
                    error.add_note(f"sample: {sample}")
                    raise

        test.__name__ = test.__qualname__ = function.__name__
        return pytest.mark.parametrize("op", [op for op, group in SAMPLES.items() if any(map(wanted, group))])(test)

    return decorate


for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

ALL = [sample for group in SAMPLES.values() for sample in group]
DIFFERENTIABLE = [sample for sample in ALL if sample.variables]
