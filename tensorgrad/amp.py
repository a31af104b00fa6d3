"""Automatic mixed precision: products in a half type, everything delicate in float32, gradients scaled to survive it.

Source: Micikevicius et al., Mixed Precision Training, 2018. Semantics are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

from . import dtypes
from . import kernels as K
from .boundary import explained
from .capture import live, replayed
from .ops.precision import Region, autocast_region
from .tensor import Tensor

__all__ = ["GradScaler", "autocast"]

_F = TypeVar("_F", bound=Callable[..., Any])


class autocast:  # noqa: N801 - PyTorch's name
    """Run matrix products in this block in a half type, and losses, exponentials, norms and sums in float32.

    Parameters
    ----------
    device_type : {"cpu", "cuda"}
        The tensors that it concerns.
    dtype : dtype, optional
        float16 or bfloat16; by default bfloat16 on the CPU and float16 on CUDA.
    enabled : bool
        False makes a block without mixed precision inside one with it.
    cache_enabled : bool
        Cast a weight once per block, however often it is used.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.ones(2, 2)
    >>> with tg.amp.autocast("cpu", dtype=tg.float16):
    ...     y = x @ x
    >>> y.dtype
    dtype('float16')
    """

    @explained
    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if device_type not in ("cpu", "cuda"):
            raise ValueError(f"autocast: device_type must be 'cpu' or 'cuda', got {device_type!r}")
        self.device_type = device_type
        self.enabled = enabled
        self.cache_enabled = cache_enabled is None or cache_enabled
        if dtype is not None:
            self.dtype = dtypes.dtype_of(dtype)
        elif enabled:
            self.dtype = dtypes.float16 if device_type == "cuda" else dtypes.bfloat16()
        if enabled and self.dtype.name not in ("float16", "bfloat16"):
            raise ValueError(f"autocast: dtype must be float16 or bfloat16, got {self.dtype}")
        self._tokens: list[Any] = []

    def __enter__(self) -> autocast:
        region = Region(self.device_type, self.dtype, {} if self.cache_enabled else None) if self.enabled else None
        self._tokens.append(autocast_region.set(region))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        autocast_region.reset(self._tokens.pop())

    def __call__(self, function: _F) -> _F:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return wrapper  # type: ignore[return-value]


class GradScaler:
    """Multiply the loss so that float16 gradients do not vanish, and skip the steps in which they overflow.

    After ``growth_interval`` steps without overflow the scale is multiplied by ``growth_factor``, after a skipped step
    by ``backoff_factor``.

    Parameters
    ----------
    device : str
        Where the gradients are; for PyTorch's signature, the gradients' own device is used.
    init_scale, growth_factor, backoff_factor : float
    growth_interval : int
    enabled : bool
        False makes every method pass its argument through.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.ones(1, requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> scaler = tg.amp.GradScaler("cpu", init_scale=8.0)
    >>> scaler.scale((w * 2).sum()).backward()
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> round(w.item(), 4)
    0.8
    """

    @explained
    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if growth_factor <= 1.0:
            raise ValueError(f"GradScaler: growth_factor must be above 1, got {growth_factor}")
        if not 0.0 < backoff_factor < 1.0:
            raise ValueError(f"GradScaler: backoff_factor must be between 0 and 1, got {backoff_factor}")
        self.device = device
        self._enabled = enabled
        self._scale = float(init_scale)
        self._growth_factor = growth_factor
        self._backoff_factor = backoff_factor
        self._growth_interval = growth_interval
        self._growth_tracker = 0
        self._overflow: dict[int, bool] = {}  # by optimizer, since the last update
        self._stepped: set[int] = set()

    def is_enabled(self) -> bool:
        """Whether anything is scaled."""
        return self._enabled

    def get_scale(self) -> float:
        """The current factor; 1 if not enabled."""
        return self._scale if self._enabled else 1.0

    def set_growth_factor(self, factor: float) -> None:
        """Change the factor of growth."""
        self._growth_factor = factor

    def set_backoff_factor(self, factor: float) -> None:
        """Change the factor after an overflow."""
        self._backoff_factor = factor

    def set_growth_interval(self, interval: int) -> None:
        """Change how many good steps there are between two growths."""
        self._growth_interval = interval

    def scale(self, outputs: Any) -> Any:
        """A loss, or a nested list of them, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * live(self.get_scale)
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(y) for y in outputs)
        raise TypeError(f"scale: expected a Tensor or a list of them, got {type(outputs).__name__}")

    @replayed
    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, for example to clip them before the step.

        Raises
        ------
        RuntimeError
            If they were divided already since the last `update`.
        ValueError
            If a gradient is float16: keep the parameters in float32 and use `autocast`.
        """
        if not self._enabled:
            return
        if id(optimizer) in self._stepped:
            raise RuntimeError("unscale_: the optimizer has already stepped since the last update")
        if id(optimizer) in self._overflow:
            raise RuntimeError("unscale_: the gradients were already unscaled since the last update")
        factor = 1.0 / self._scale
        finite: dict[Any, Any] = {}  # by device: one flag to read back, not one per parameter
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.dtype == dtypes.float16:
                    raise ValueError("unscale_: a gradient is float16; keep parameters in float32 and use autocast")
                g = p.grad._data
                K.multiply(g, factor, out=g)
                p.grad._written()
                flag = K.all(K.isfinite(g))
                device = p.grad.device
                finite[device] = K.logical_and(finite[device], flag) if device in finite else flag
        self._overflow[id(optimizer)] = not all(bool(Tensor(flag)) for flag in finite.values())

    @replayed
    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`unscale_` if that was not done, then ``optimizer.step()`` unless a gradient is infinite or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if id(optimizer) in self._stepped:
            raise RuntimeError("step: already called for this optimizer since the last update")
        if id(optimizer) not in self._overflow:
            self.unscale_(optimizer)
        self._stepped.add(id(optimizer))
        return None if self._overflow[id(optimizer)] else optimizer.step(*args, **kwargs)

    @replayed
    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adjust the scale after the step, or set it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._overflow:
            raise RuntimeError("update: no gradients were unscaled since the last update; call step first")
        elif any(self._overflow.values()):
            self._scale *= self._backoff_factor
            self._growth_tracker = 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale *= self._growth_factor
                self._growth_tracker = 0
        self._overflow.clear()
        self._stepped.clear()

    def state_dict(self) -> dict[str, Any]:
        """The scale and its schedule, with PyTorch's keys."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._growth_tracker,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go back to a state that `state_dict` returned."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("load_state_dict: the state is empty; it was saved from a disabled GradScaler")
        self._scale = state_dict["scale"]
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._growth_tracker = state_dict["_growth_tracker"]
