"""What `fit` does with a batch: forward, backward and, after as many batches as it takes, a step of the optimizer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..amp import GradScaler, autocast
from ..dtypes import dtype_of, float16
from ..nn.utils import clip_grad_norm_, clip_grad_value_
from ..tensor import Tensor
from .measure import Loss

__all__ = ["Stepper", "parts_of"]


class Stepper:
    """Gradients of batches, and the optimizer's steps; the parameters are those of `fit`.

    Attributes
    ----------
    loss : callable
    scaler : GradScaler or None
        The one that was given or is needed.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss: Loss,
        device: Any,
        accumulate: int,
        clip_grad_norm: float | None,
        clip_grad_value: float | None,
        amp: Any,
        scaler: Any,
    ) -> None:
        if isinstance(accumulate, bool) or not isinstance(accumulate, int) or accumulate < 1:
            raise ValueError(f"fit: accumulate must be a positive integer, got {accumulate!r}")
        for name, bound in (("clip_grad_norm", clip_grad_norm), ("clip_grad_value", clip_grad_value)):
            if bound is not None and not bound > 0:
                raise ValueError(f"fit: {name} must be positive, got {bound!r}")
        self.loss = loss
        self._model = model
        self._optimizer = optimizer
        self._device = device
        self._accumulate = accumulate
        self._norm = clip_grad_norm
        self._value = clip_grad_value
        self._averaged = getattr(loss, "reduction", "mean") != "sum"
        self._half: Any = None
        self._device_type = ""
        if amp is not None and amp is not False:
            self._device_type = next(iter(model.parameters())).device.type
            self._half = autocast(self._device_type, None if amp is True else dtype_of(amp)).dtype
        needed = scaler is None and self._half == float16
        self.scaler = GradScaler(self._device_type) if needed else scaler
        self._gathered = 0  # batches whose gradients wait for a step
        self._left: int | None = None  # batches of the epoch from here on, if that is known

    def start(self, loader: Any, seen: int) -> None:
        """Begin an epoch of which some batches were seen before."""
        self._gathered = 0
        try:
            self._left = len(loader) - seen
        except TypeError:
            self._left = None

    def autocast(self) -> AbstractContextManager[Any]:
        """The block that computes in mixed precision, if that was asked for."""
        return nullcontext() if self._half is None else autocast(self._device_type, self._half)

    def backward(self, batch: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Add the gradient of a batch; its loss, the model's output and the target."""
        inputs, target = parts_of(batch, self._device)
        with self.autocast():
            output = self._model(*inputs)
            value = self.loss(output, target)
        if value.size != 1:
            raise ValueError(f'fit: the loss must be a scalar, got shape {value.shape}; use reduction="mean" or "sum"')
        if not self._gathered:
            self._optimizer.zero_grad()
            self._group = self._accumulate if self._left is None else min(self._accumulate, max(self._left, 1))
        part = value / self._group if self._averaged and self._group > 1 else value
        (part if self.scaler is None else self.scaler.scale(part)).backward()
        self._gathered += 1
        if self._left is not None:
            self._left -= 1
        return value, output, target

    def step(self, last: bool = False) -> bool:
        """A step of the optimizer if its batches are complete, or it is the last and there are any; whether it was."""
        if not self._gathered or (self._gathered < self._group and not last):
            return False
        if last and self._averaged:
            self._rescale(self._group / self._gathered)
        self._gathered = 0
        if self.scaler is not None and (self._norm is not None or self._value is not None):
            self.scaler.unscale_(self._optimizer)
        parameters = [p for group in self._optimizer.param_groups for p in group["params"]]
        if self._norm is not None:
            clip_grad_norm_(parameters, self._norm)
        if self._value is not None:
            clip_grad_value_(parameters, self._value)
        if self.scaler is None:
            self._optimizer.step()
        else:
            self.scaler.step(self._optimizer)
            self.scaler.update()
        return True

    def _rescale(self, factor: float) -> None:
        """Make the gradient of fewer batches than were expected that of their mean."""
        for group in self._optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = p.grad * factor


def parts_of(batch: Any, device: Any) -> tuple[list[Tensor], Tensor]:
    """The inputs and the target of a batch, on the device."""
    if not isinstance(batch, (tuple, list)) or len(batch) < 2 or not all(isinstance(x, Tensor) for x in batch):
        raise TypeError(
            f"a batch must be a tuple of tensors (*inputs, target), the loader gave {_kind(batch)}; give the "
            "DataLoader a collate_fn that makes one"
        )
    *inputs, target = batch if device is None else [x.to(device) for x in batch]
    return inputs, target


def _kind(batch: Any) -> str:
    name = type(batch).__name__
    return f"{name}[{', '.join(type(x).__name__ for x in batch)}]" if isinstance(batch, (tuple, list)) else name
