"""`fit` and `evaluate`."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterable
from typing import Any

from ..backend import resolve_device
from ..tape import no_grad
from ..tensor import Tensor
from .history import History
from .measure import Loss, Measurements, Metrics
from .progress import SECONDS_IN_LOG, described, progress_bar
from .whole import SteadyStep, modes_kept

__all__ = ["evaluate", "fit"]


def fit(
    model: Any,
    loader: Iterable[Any],
    loss: Loss,
    optimizer: Any,
    epochs: int,
    validation: Iterable[Any] | None = None,
    metrics: Metrics | None = None,
    device: Any = None,
    progress: bool | None = True,
    scheduler: Any = None,
) -> History:
    """Train a model: per batch ``loss(model(*inputs), target).backward()`` and a step of the optimizer.

    Parameters
    ----------
    model : Module
    loader : iterable
        Yields batches ``(*inputs, target)``; each iteration over it is an epoch.
    loss : callable
        ``loss(output, target)``, a scalar: the mean over the batch, or the sum if ``loss.reduction == "sum"``.
    optimizer : Optimizer
        Over the model's parameters.
    epochs : int
    validation : iterable, optional
        Batches to `evaluate` the model on after each epoch.
    metrics : dict of callable, optional
        Further things to measure: ``metric(output, target)`` is a scalar, the mean over the batch. Accuracy is measured
        without being asked for where the targets are class indices (class axis 1).
    device : str or Device, optional
        Where to move the model and every batch. By default nothing is moved.
    progress : bool or None
        Whether to show one tqdm bar per epoch, with loss, accuracy and samples per second, on standard error. None:
        only on a terminal. In a log file a bar is one line per epoch, or one per ten seconds.
    scheduler : LRScheduler, optional
        Steps after each epoch. If its ``step`` takes a value, as that of ``ReduceLROnPlateau`` does, it is given the
        validation loss, or the training loss without one.

    Returns
    -------
    History
        On KeyboardInterrupt too, then with ``interrupted=True``. Ctrl-C never divides a step of the optimizer, so the
        parameters are those after a whole number of steps.

    Raises
    ------
    FloatingPointError
        If the loss is not finite; the message names the epoch and the step.
    TypeError, ValueError
        If a batch is not a tuple ``(*inputs, target)``, the loss not a scalar, the loader empty or ``epochs`` negative.

    Notes
    -----
    Every module is in the mode, training or evaluation, that it was in before.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.linspace(-1, 1, 32).reshape(32, 1)
    >>> loader = tg.data.DataLoader(tg.data.TensorDataset(x, 3 * x - 1), batch_size=8, shuffle=True)
    >>> model = tg.nn.Linear(1, 1)
    >>> optimizer = tg.optim.SGD(model.parameters(), lr=0.3)
    >>> history = tg.train.fit(model, loader, tg.nn.MSELoss(), optimizer, epochs=20, progress=False)
    >>> history.train_loss[-1] < 1e-3
    True
    """
    if not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"fit: epochs must be a non-negative integer, got {epochs!r}")
    place = None if device is None else resolve_device(device)
    if place is not None:
        model.to(place)
    watches_loss = scheduler is not None and any(
        p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        for p in inspect.signature(scheduler.step).parameters.values()
    )
    history = History()
    with modes_kept(model), SteadyStep() as steady:
        try:
            for epoch in range(1, epochs + 1):
                with progress_bar(loader, f"epoch {epoch}/{epochs}", progress) as bar:
                    model.train()
                    measured = _train_epoch(model, loader, loss, optimizer, metrics, place, bar, steady, epoch)
                    means = measured.means()
                    validated = {} if validation is None else evaluate(model, validation, loss, metrics, place)
                    if bar is not None:
                        bar.set_postfix_str(described(measured, validated), refresh=False)
                with steady:
                    history.epochs.append(epoch)
                    history.append("train", means)
                    history.append("validation", validated)
                    history.samples_per_second.append(measured.samples_per_second)
                    if scheduler is not None:
                        scheduler.step(*([validated.get("loss", means["loss"])] if watches_loss else []))
        except KeyboardInterrupt:
            history.interrupted = True
    return history


def evaluate(
    model: Any, loader: Iterable[Any], loss: Loss, metrics: Metrics | None = None, device: Any = None
) -> dict[str, float]:
    """Mean loss, accuracy and metrics of a model in evaluation mode, without recording gradients.

    Parameters are those of `fit`; the model is not moved.

    Returns
    -------
    dict of float
        ``"loss"``, ``"accuracy"`` where the targets are class indices, and each metric by its name.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> logits, target = tg.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]]), tg.tensor([0, 1, 1])
    >>> loader = tg.data.DataLoader(tg.data.TensorDataset(logits, target), batch_size=2)
    >>> measured = tg.train.evaluate(tg.nn.Identity(), loader, tg.nn.CrossEntropyLoss())
    >>> round(measured["accuracy"], 4)
    0.6667
    """
    place = None if device is None else resolve_device(device)
    measured = Measurements(loss, metrics)
    with modes_kept(model), no_grad():
        model.eval()
        for batch in loader:
            inputs, target = _parts(batch, place)
            output = model(*inputs)
            measured.add(loss(output, target), output, target)
        measured.read()
    return measured.means()


def _train_epoch(
    model: Any,
    loader: Iterable[Any],
    loss: Loss,
    optimizer: Any,
    metrics: Metrics | None,
    device: Any,
    bar: Any,
    steady: SteadyStep,
    epoch: int,
) -> Measurements:
    """One pass over the batches."""
    measured = Measurements(loss, metrics)
    interval = SECONDS_IN_LOG if bar is None else bar.mininterval
    shown = time.perf_counter()

    def read() -> None:
        first = measured.read()
        if first is not None:
            step, value = first
            raise FloatingPointError(
                f"fit: the loss is {value} at epoch {epoch}, step {step}; look at that batch for values that are not "
                "finite, lower the learning rate, or clip the gradients"
            )
        if bar is not None:
            bar.set_postfix_str(described(measured), refresh=False)
            bar.update(measured.steps - bar.n)

    for batch in loader:
        inputs, target = _parts(batch, device)
        output = model(*inputs)
        value = loss(output, target)
        if value.size != 1:
            raise ValueError(f'fit: the loss must be a scalar, got shape {value.shape}; use reduction="mean" or "sum"')
        optimizer.zero_grad()
        value.backward()
        with steady:
            optimizer.step()
        measured.add(value, output, target)
        if measured.full or time.perf_counter() - shown >= interval:
            read()
            shown = time.perf_counter()
    read()
    return measured


def _parts(batch: Any, device: Any) -> tuple[list[Tensor], Tensor]:
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
