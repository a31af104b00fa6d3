"""Averages of a model's weights over the steps of its training: equal ones (SWA), and ones that forget (EMA)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from .. import kernels as K
from ..capture import replayed
from ..dtypes import int64, is_floating
from ..nn.module import Module
from ..nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from ..ops.memory import zeros
from ..tape import no_grad
from ..tensor import Tensor
from .elementwise import move_average
from .lr_scheduler import LRScheduler
from .optimizer import Optimizer
from .schedule_values import one_for_each, rate_number

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn", "get_swa_multi_avg_fn",
    "update_bn",
]  # fmt: skip

Average = Callable[[Tensor, Tensor, Any], Any]
MultiAverage = Callable[[Sequence[Tensor], Sequence[Tensor], Any], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay * average + (1 - decay) * value``: an ``avg_fn`` for `AveragedModel`.

    Parameters
    ----------
    decay : float
        How much of the average is kept; from 0 to 1.

    Raises
    ------
    ValueError
        If ``decay`` is out of its range.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.optim.swa_utils.get_ema_avg_fn(0.75)(tg.ones(2), tg.zeros(2), 1)
    tensor([0.75, 0.75])
    """
    _require_share(decay)

    def average(averaged: Tensor, current: Tensor, num_averaged: Any) -> Any:
        with no_grad():
            return averaged * decay + current * (1.0 - decay)

    return average


def get_swa_avg_fn() -> Average:
    """``average + (value - average) / (num_averaged + 1)``: an ``avg_fn`` for `AveragedModel`."""

    def average(averaged: Tensor, current: Tensor, num_averaged: Any) -> Any:
        with no_grad():
            return averaged + (current - averaged) / (num_averaged + 1)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """`get_ema_avg_fn` for many tensors, in place: a ``multi_avg_fn`` for `AveragedModel`.

    Raises
    ------
    ValueError
        If ``decay`` is not from 0 to 1.
    """
    _require_share(decay)

    def average(averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Any) -> None:
        _move_all(averaged, current, 1.0 - decay)

    return average


def get_swa_multi_avg_fn() -> MultiAverage:
    """`get_swa_avg_fn` for many tensors, in place: a ``multi_avg_fn`` for `AveragedModel`."""

    def average(averaged: Sequence[Tensor], current: Sequence[Tensor], num_averaged: Any) -> None:
        _move_all(averaged, current, 1.0 / (int(num_averaged) + 1))

    return average


def _require_share(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"decay must be from 0 to 1, got {decay}")


def _move_all(averaged: Sequence[Tensor], current: Sequence[Tensor], rest: float) -> None:
    for average, value in zip(averaged, current, strict=True):
        if is_floating(average.dtype):
            move_average(average._data, value._data, rest)
            average._written()
        else:  # counts: what is behind the decimal point is dropped
            _write(average, average * (1.0 - rest) + value * rest)


def _write(target: Tensor, value: Tensor) -> None:
    K.cast(value._data, target.dtype, out=target._data)
    target._written()


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of that model's.

    Parameters
    ----------
    model : Module
        What to copy.
    device : str or Device, optional
        Where to keep the copy.
    avg_fn : callable, optional
        Gives the new average from the average, the model's value, and the number of models in the average.
    multi_avg_fn : callable, optional
        Changes a list of averages in place, by a list of values and the number; only one of the two may be given. The
        lists have the tensors of one dtype and device. Equal shares unless one of the two is given.
    use_buffers : bool
        Average the buffers as well; otherwise they are those of the last model.

    Attributes
    ----------
    module : Module
        The copy.
    n_averaged : Tensor
        How many models are in the average, as an int64 buffer.

    Raises
    ------
    ValueError
        If both functions are given.

    Notes
    -----
    Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, 2018. Where the buffers are not
    averaged, `update_bn` makes the running statistics of batch norms fit the averaged weights.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> from tensorgrad.optim.swa_utils import AveragedModel
    >>> model = tg.nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     model.weight.data = tg.full((1, 1), value)
    ...     averaged.update_parameters(model)
    >>> averaged.module.weight.item(), averaged.n_averaged.item()
    (3.0, 3)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: only one of avg_fn and multi_avg_fn may be given")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module.to(device)
        self.register_buffer("n_averaged", zeros((), dtype=int64, device=device or "cpu"))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model gives."""
        return self.module(*args, **kwargs)

    @replayed
    def update_parameters(self, model: Module) -> None:
        """Take a model into the average; the first one is copied.

        Parameters
        ----------
        model : Module
            With the same parameters and buffers as the copy.
        """
        own: list[Tensor] = list(self.module.parameters())
        others: list[Tensor] = list(model.parameters())
        buffers, other_buffers = list(self.module.buffers()), list(model.buffers())
        if self.use_buffers:
            own, others = own + buffers, others + other_buffers
        with no_grad():
            pairs = [(a.detach(), b.detach().to(a.device)) for a, b in zip(own, others, strict=True)]
            if self.n_averaged.item() == 0:
                for average, value in pairs:
                    _write(average, value)
            elif self.avg_fn is not None:
                for average, value in pairs:
                    _write(average, self.avg_fn(average, value, self.n_averaged.to(average.device)))
            else:
                function = self.multi_avg_fn or get_swa_multi_avg_fn()
                for averages, values in _by_kind(pairs):
                    function(averages, values, self.n_averaged.to(averages[0].device))
            if not self.use_buffers:
                for kept, newest in zip(buffers, other_buffers, strict=True):
                    _write(kept, newest.detach().to(kept.device))
            self.n_averaged += 1


def _by_kind(pairs: Iterable[tuple[Tensor, Tensor]]) -> list[tuple[list[Tensor], list[Tensor]]]:
    """The pairs as two lists for each dtype and device."""
    kinds: dict[Any, tuple[list[Tensor], list[Tensor]]] = {}
    for average, value in pairs:
        averages, values = kinds.setdefault((average.dtype, average.device), ([], []))
        averages.append(average)
        values.append(value)
    return list(kinds.values())


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Make the running statistics of a model's batch norms anew, as plain averages over the batches of ``loader``.

    Parameters
    ----------
    loader : iterable
        Of inputs, or of tuples or lists that begin with the input.
    model : Module
        Its mode and its batch norms' momenta are as before afterwards.
    device : str or Device, optional
        Where to move the inputs.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Sequential(tg.nn.BatchNorm1d(1))
    >>> tg.optim.swa_utils.update_bn([tg.tensor([[1.0], [3.0]]), tg.tensor([[3.0], [5.0]])], model)
    >>> model[0].running_mean
    tensor([3.])
    """
    layers = [m for m in model.modules() if isinstance(m, (BatchNorm1d, BatchNorm2d, BatchNorm3d))]
    if not layers:
        return
    training, momenta = model.training, [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    model.train()
    try:
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device))
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the groups' rates to ``swa_lr`` in ``anneal_epochs`` epochs, and no further.

    With a share p of the epochs, the rate is ``swa_lr * a + lr * (1 - a)``, where a is p or ``(1 - cos(pi * p)) / 2``.

    Parameters
    ----------
    optimizer : Optimizer
    swa_lr : float or list of float
        The last rate, for all groups or one for each.
    anneal_epochs : int
    anneal_strategy : {"cos", "linear"}
    last_epoch : int

    Raises
    ------
    ValueError
        If an option is out of its range.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> optimizer = tg.optim.SGD([tg.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = tg.optim.swa_utils.SWALR(optimizer, 0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += scheduler.get_last_lr()
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [1.0, 0.75, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must be an int of at least 0, got {anneal_epochs}")
        rates = one_for_each(self, optimizer, "swa_lr", swa_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs = anneal_epochs
        self._anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The rates for the next epoch, from the current ones: another schedule may have been at work until here."""
        epoch, epochs = self._step_count - 1, max(1, self.anneal_epochs)
        if self.anneal_epochs == 0:
            epoch = max(1, epoch)
        before, now = (self._share(max(0.0, min(1.0, n / epochs))) for n in (epoch - 1, epoch))
        rates = []
        for group in self.optimizer.param_groups:
            end = group["swa_lr"]
            start = end if before == 1 else (rate_number(group) - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates

    def _share(self, p: float) -> float:
        return p if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * p)) / 2
