"""What optimizers share whose step is written in elementwise instructions, one parameter at a time."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from ..backend import CPU, real_pairs
from ..conversion import as_array
from ..dtypes import float32, float64
from ..ops.memory import full, zeros
from ..tensor import Tensor
from .optimizer import Batch, Group, Optimizer, zeros_like

__all__ = ["Elementwise", "Work", "add_scaled", "move_average", "move_mean_square", "require_betas"]

_COUNTS = ("step", "eta", "mu", "mu_product")


class Work:
    """One parameter in one step: its arrays, in float32 if they are of two bytes, pairs of them if they are complex.

    Attributes
    ----------
    step : float
        How many steps this parameter has taken, with this one; set by `count`.
    value : array
        The parameter, to be changed in place.
    grad : array
        What to descend along; never to be written.
    state : dict
        The parameter's state.
    """

    __slots__ = ("_narrow", "_param", "grad", "state", "step", "value")

    def __init__(self, p: Tensor, array: Any, grad: Any, state: dict[str, Any]) -> None:
        self._param = p
        self._narrow: list[tuple[Any, Any]] | None = [] if array.dtype.itemsize == 2 else None
        self.state = state
        self.value = self._wide(array)
        self.grad = grad if self._narrow is None else K.cast(grad, float32)

    def count(self) -> None:
        """Count this step in the state's ``step``."""
        count = self.number("step", 0.0)
        self.step = count.item() + 1.0
        K.fill(count._data, self.step)

    def buffer(self, name: str, initial: float = 0.0, shape: tuple[int, ...] | None = None) -> Any:
        """The array of the state's tensor ``name``, to be changed in place; made where it is missing.

        It has the parameter's shape unless another one is given.
        """
        kept = self.state.get(name)
        if kept is None:
            p = self._param
            kept = zeros_like(p) if shape is None else zeros(shape, dtype=p.dtype, device=p.device)
            self.state[name] = kept
            if initial:
                K.fill(self._real(kept._data), initial)
        return self._wide(self._real(kept._data))

    def number(self, name: str, initial: float) -> Tensor:
        """The state's 0-d tensor ``name``, on the CPU, where reading it waits for nothing."""
        kept: Tensor | None = self.state.get(name)
        if kept is None:
            if name == "step":
                kept = zeros((), dtype=float32, device="cpu")
            else:
                kept = full((), initial, dtype=float64, device="cpu")
            self.state[name] = kept
        return kept

    def finish(self) -> None:
        """Round what was computed in float32 to the parameter's dtype."""
        for narrow, wide in self._narrow or ():
            K.cast(wide, narrow.dtype, out=narrow)

    @staticmethod
    def _real(array: Any) -> Any:
        return real_pairs(array) if array.dtype.kind == "c" else array

    def _wide(self, array: Any) -> Any:
        if self._narrow is None:
            return array
        wide = K.cast(array, float32)
        self._narrow.append((array, wide))
        return wide


class Elementwise(Optimizer):
    """An optimizer that changes each parameter on its own: a subclass gives `change`.

    The option ``maximize`` is applied to the gradient beforehand, and so is ``weight_decay``, unless the group has
    ``decoupled_weight_decay``, which shrinks the parameter. Numbers in the state (``step`` and the like) are on the
    CPU: a step that is captured in a CUDA graph would be repeated with the numbers of the capture.
    """

    _decoupled = False  # whether weight decay is, in groups that do not say

    def update(self, group: Group, batch: Batch) -> None:
        """One step of a batch."""
        lr = group["lr"]
        rate = float(lr.item() if isinstance(lr, Tensor) else lr)
        decay = group.get("weight_decay", 0.0)
        for p, array, grad in zip(batch.params, batch.arrays, batch.grads, strict=True):
            work = Work(p, array, grad, self.state[p])
            work.count()
            if group["maximize"]:
                work.grad = K.negative(work.grad)
            if decay and group.get("decoupled_weight_decay", self._decoupled):
                K.multiply(work.value, 1.0 - rate * decay, out=work.value)
            elif decay:
                decayed = K.multiply(work.value, decay)
                work.grad = K.add(work.grad, decayed, out=decayed)
            self.change(group, work, rate)
            work.finish()

    def change(self, group: Group, work: Work, lr: float) -> None:
        """Write the new value and the new state of one parameter; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} does not define change()")

    def _loaded(self, number: Any, key: str, value: Any, p: Tensor) -> Any:
        if key in _COUNTS and value is not None:
            array = value._data if isinstance(value, Tensor) else value
            return Tensor(as_array(array, float32 if key == "step" else float64, CPU))
        return super()._loaded(number, key, value, p)


def add_scaled(x: Any, direction: Any, factor: float) -> None:
    """``x += factor * direction``."""
    K.add(x, K.multiply(direction, factor), out=x)


def move_average(mean: Any, x: Any, rest: float) -> None:
    """``mean += rest * (x - mean)``: a moving average that forgets ``rest`` of itself."""
    change = K.subtract(x, mean)
    K.add(mean, K.multiply(change, rest, out=change), out=mean)


def move_mean_square(mean: Any, x: Any, keep: float) -> None:
    """``mean = keep * mean + (1 - keep) * x**2``."""
    K.multiply(mean, keep, out=mean)
    squared = K.square(x)
    K.add(mean, K.multiply(squared, 1.0 - keep, out=squared), out=mean)


def require_betas(optimizer: Optimizer, group: Group) -> None:
    """Raise unless the group's ``betas`` are two numbers of at least 0 and less than 1."""
    betas = group["betas"]
    if len(betas) != 2:
        raise ValueError(f"{type(optimizer).__name__}: betas must be two numbers, got {betas!r}")
    optimizer._require({"beta1": betas[0], "beta2": betas[1]}, "beta1", "beta2", below=1.0)
