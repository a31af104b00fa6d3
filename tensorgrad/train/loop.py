"""`fit` and `evaluate`."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Any

from ..backend import resolve_device
from ..tape import no_grad
from .callbacks import Callback
from .checkpoint import Checkpoint
from .history import History
from .measure import Loss, Measurements, Metrics
from .progress import described, interval_of, progress_bar
from .run import Run
from .step import Stepper, parts_of
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
    *,
    callbacks: Sequence[Callback] = (),
    accumulate: int = 1,
    clip_grad_norm: float | None = None,
    clip_grad_value: float | None = None,
    amp: Any = None,
    scaler: Any = None,
    resume: bool = False,
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
    callbacks : sequence of Callback
        Told of the beginning and end of epochs and steps, in this order, a `Checkpoint` after all others.
    accumulate : int
        Batches per step of the optimizer, whose gradient is that of their mean loss (of the sum, if the loss is one). A
        last step of an epoch has what is left.
    clip_grad_norm, clip_grad_value : float, optional
        Bound the norm of all gradients together, or each of their elements, before the step.
    amp : dtype or bool, optional
        Compute the model and the loss under `tensorgrad.amp.autocast` with this half type, or the device's own if True.
    scaler : GradScaler, optional
        Scales the loss; one is made if ``amp`` is float16.
    resume : bool
        Go on from the latest checkpoint of the `Checkpoint` among the callbacks, if it has one, to the same bits as if
        the run had never stopped; give it the same arguments. ``epochs`` counts from the beginning of the first run.

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
        If a batch is not a tuple ``(*inputs, target)``, the loss not a scalar, the loader empty, or an option out
        of range; if ``resume`` is set without a `Checkpoint`, or not set and its directory has checkpoints already.

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
    stepper = Stepper(model, optimizer, loss, place, accumulate, clip_grad_norm, clip_grad_value, amp, scaler)
    ordered = sorted(callbacks, key=lambda callback: isinstance(callback, Checkpoint))  # the state of all is in it
    run = Run(ordered, epochs, model=model, optimizer=optimizer, loader=loader, scheduler=scheduler,
              scaler=stepper.scaler, validation=validation)  # fmt: skip
    with modes_kept(model), SteadyStep() as steady:
        try:
            _begin(run, resume)
            first = run.epoch if run.batches else run.epoch + 1
            for epoch in range(first, epochs + 1):
                if run.stopped is not None:
                    break
                with progress_bar(loader, f"epoch {epoch}/{epochs}", progress) as bar:
                    _set_epoch(loader, epoch)
                    run.epoch = epoch
                    model.train()
                    run.call("on_epoch_start")
                    measured = _train_epoch(run, stepper, metrics, bar, steady)
                    means = measured.means()
                    with stepper.autocast():
                        validated = {} if validation is None else evaluate(model, validation, loss, metrics, place)
                    if bar is not None:
                        bar.set_postfix_str(described(measured, validated), refresh=False)
                with steady:
                    run.measured, run.batches = None, 0
                    run.history.epochs.append(epoch)
                    run.history.append("train", means)
                    run.history.append("validation", validated)
                    run.history.samples_per_second.append(measured.samples_per_second)
                    if scheduler is not None:
                        watched = [validated.get("loss", means["loss"])] if _watches_loss(scheduler) else []
                        scheduler.step(*watched)
                    run.call("on_epoch_end")
        except KeyboardInterrupt:
            run.history.interrupted = True
        finally:
            run.call("on_fit_end")
    return run.history


def _begin(run: Run, resume: bool) -> None:
    """Tell the callbacks, and go to the latest checkpoint if that is wanted and there is one."""
    run.call("on_fit_start")
    checkpoints = [callback for callback in run.callbacks if isinstance(callback, Checkpoint)]
    if resume:
        if not checkpoints:
            raise ValueError("fit: resume=True needs a Checkpoint among the callbacks")
        checkpoints[0].restore(run=run)
        return
    for checkpoint in checkpoints:
        if checkpoint.paths():
            raise ValueError(
                f"fit: {str(checkpoint.directory)!r} has the checkpoints of another run; go on with it by resume=True, "
                "or give this run a directory of its own"
            )


def _watches_loss(scheduler: Any) -> bool:
    """Whether a schedule's ``step`` takes a value."""
    return any(
        p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        for p in inspect.signature(scheduler.step).parameters.values()
    )


def _set_epoch(loader: Any, epoch: int) -> None:
    """Let the sampler of one of several processes choose the order of the epoch."""
    sampler: Any = getattr(loader, "sampler", None)
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch - 1)


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
            inputs, target = parts_of(batch, place)
            output = model(*inputs)
            measured.add(loss(output, target), output, target)
        measured.read()
    return measured.means()


def _train_epoch(run: Run, stepper: Stepper, metrics: Metrics | None, bar: Any, steady: SteadyStep) -> Measurements:
    """One pass over the batches, or what is left of one that is resumed."""
    measured = run.measured = Measurements(stepper.loss, metrics)
    batches = run.loader
    if run.resumed is not None:
        measured.resume(run.resumed)
        run.resumed = None
        if not hasattr(batches, "load_state_dict"):  # it does not know its position itself
            batches = itertools.islice(batches, run.batches, None)
    interval = interval_of(bar)
    shown = time.perf_counter()

    def read() -> None:
        measured.read_finite(run.epoch)
        if bar is not None:
            bar.set_postfix_str(described(measured), refresh=False)
            bar.update(measured.steps - bar.n)

    stepper.start(run.loader, run.batches)
    for batch in batches:
        value, output, target = stepper.backward(batch)
        # What a checkpoint says of a batch, it says after its step: both are done, or neither.
        with steady:
            stepped = stepper.step()
            measured.add(value, output, target)
            run.batches += 1
            if stepped:
                run.step += 1
                run.loss = value
                run.call("on_step_end")
        if measured.full or time.perf_counter() - shown >= interval:
            read()
            shown = time.perf_counter()
    with steady:
        if stepper.step(last=True):
            run.step += 1
            run.call("on_step_end")
    read()
    return measured
