"""Connectionist temporal classification: labels whose places in a longer sequence are not known."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...creation import tensor
from ...errors import ArgumentError
from ...ops.alignment import alignment_scan
from ...ops.elementwise import equal, exp, less, logical_and, maximum, not_equal, where
from ...ops.indexing import take_along_axis
from ...ops.memory import arange, full_like, zeros
from ...ops.reduction import logsumexp
from ...ops.shape import broadcast_to, concat, stack
from ...tensor import Tensor
from .reduction import reduced

__all__ = ["ctc_loss"]

_IMPOSSIBLE = -math.inf


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """``-log`` of the probability of a sequence of labels, summed over all ways to place it in the input.

    A way emits one class per step; with repetitions merged and then blanks dropped it must read as the labels.

    Parameters
    ----------
    log_probs : Tensor
        Logarithms of the probabilities of the classes at each step, as `log_softmax` makes them: shape (T, N, C), or
        (T, C) for one sample.
    targets : Tensor
        Labels: shape (N, S), or those of all samples one behind the other. The blank must not be among them.
    input_lengths, target_lengths : Tensor or sequence of int
        How many steps and how many labels of each sample count, shape (N,).
    blank : int
        The class that stands for no label.
    reduction : {"mean", "sum", "none"}
        The mean is over the samples, of the loss per label.
    zero_infinity : bool
        Make losses 0, with their gradients, where the input is too short for its labels.

    Returns
    -------
    Tensor
        0-d, or shape (N,) without reduction.

    Notes
    -----
    Graves et al., Connectionist Temporal Classification, 2006. Samples and labels are computed together, one step after
    the other. As in PyTorch, the gradient is that of a `log_softmax` below: ``exp(log_probs)`` less how probable it is,
    given the labels, that a class is emitted. It differs from the derivative of the formula by ``exp(log_probs)``,
    which the gradient of `log_softmax` takes out again.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> log_probs = tg.log(tg.tensor([[0.5, 0.5], [0.5, 0.5]]))  # two steps, the classes blank and 1
    >>> loss = tg.nn.functional.ctc_loss(log_probs, tg.tensor([1]), [2], [1], reduction="sum")
    >>> round(float(tg.exp(-loss).item()), 4)  # (1, blank), (blank, 1) and (1, 1)
    0.75
    """
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs.expand_dims(1)
    if log_probs.ndim != 3 or log_probs.dtype.kind not in "fV":
        raise ArgumentError(
            f"ctc_loss: expected floating log_probs of shape (T, N, C) or (T, C), got {log_probs.dtype} of shape "
            f"{log_probs.shape}"
        )
    steps, samples, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise ArgumentError(f"ctc_loss: blank must be one of {classes} classes, got {blank}")
    if steps < 1:
        raise ArgumentError(f"ctc_loss: log_probs of shape {log_probs.shape} have no steps")
    if targets.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: targets must be integers, got {targets.dtype}")
    inputs = _lengths("input_lengths", input_lengths, samples, steps, log_probs)
    longest = targets.shape[1] if targets.ndim == 2 else targets.shape[0] if single and targets.ndim == 1 else None
    counts = _lengths("target_lengths", target_lengths, samples, longest, log_probs)
    labels = _in_rows(targets, target_lengths, counts, samples, longest, blank)
    losses = _alignment_losses(log_probs, labels, inputs, counts, blank)
    if zero_infinity:
        losses = where(equal(losses, math.inf), 0.0, losses)
    if reduction == "mean":
        losses = losses / maximum(counts, 1).astype(losses.dtype)
    y = reduced("ctc_loss", losses, reduction)
    return y.reshape(()) if single else y


def _lengths(name: str, given: Tensor | Sequence[int], samples: int, limit: int | None, like: Tensor) -> Tensor:
    """One length per sample, where the log-probabilities are."""
    if isinstance(given, Tensor):
        lengths = given.reshape(1) if samples == 1 and given.ndim == 0 else given
    else:
        listed = [int(n) for n in given]
        if listed and (min(listed) < 0 or (limit is not None and max(listed) > limit)):
            raise ArgumentError(f"ctc_loss: {name} must be from 0 to {limit}, got {listed}")
        lengths = tensor(listed, "int64", like.device)
    if lengths.shape != (samples,) or lengths.dtype.kind not in "iu":
        raise ArgumentError(
            f"ctc_loss: {name} must be integers of shape ({samples},), got {lengths.dtype} of shape {lengths.shape}"
        )
    return lengths.to(like.device).astype("int64")


def _in_rows(
    targets: Tensor, given: Tensor | Sequence[int], counts: Tensor, samples: int, longest: int | None, blank: int
) -> Tensor:
    """The labels as (N, S), filled up with blanks."""
    if longest is not None:
        rows = targets.reshape(samples, longest) if targets.size == samples * longest else targets
        if rows.shape != (samples, longest):
            raise ArgumentError(f"ctc_loss: {samples} samples do not fit targets of shape {targets.shape}")
        counted = less(arange(longest, device=targets.device), counts.expand_dims(1))
        return where(counted, rows.astype("int64"), blank)  # type: ignore[no-any-return]
    if targets.ndim != 1:
        raise ArgumentError(f"ctc_loss: targets must have shape (N, S) or be labels in a row, got {targets.shape}")
    sizes = given.tolist() if isinstance(given, Tensor) else [int(n) for n in given]
    if sum(sizes) != targets.shape[0]:
        raise ArgumentError(
            f"ctc_loss: target_lengths add up to {sum(sizes)}, but there are {targets.shape[0]} targets in a row"
        )
    longest, start, rows_of = max(sizes, default=0), 0, []
    for size in sizes:
        row = targets[start : start + size].astype("int64")
        rows_of.append(concat([row, full_like(targets[:1], blank, dtype="int64").repeat(longest - size)], 0))
        start += size
    return stack(rows_of, axis=0)  # type: ignore[no-any-return]


def _alignment_losses(log_probs: Tensor, labels: Tensor, inputs: Tensor, counts: Tensor, blank: int) -> Tensor:
    """The loss of each sample, by the forward variables of Graves et al.

    A state is a label or one of the blanks before, between and behind them. ``alpha[n, s]`` is the logarithm of the
    probability of all ways that have come to state s.
    """
    samples, longest = labels.shape
    steps = log_probs.shape[0]
    blanks = full_like(labels, blank)
    states = concat(
        [stack([blanks, labels], axis=-1).reshape(samples, 2 * longest), full_like(counts, blank).expand_dims(1)], 1
    )
    number = states.shape[1]
    emitted = take_along_axis(log_probs, broadcast_to(states, (steps, samples, number)), axis=-1)
    # the blank between two labels may be passed over unless they are equal
    skips = logical_and(not_equal(states[:, 2:], blank), not_equal(states[:, 2:], states[:, :-2]))
    closed = zeros((samples, number - skips.shape[1]), dtype="bool", device=labels.device)
    skips = concat([closed, skips], 1)
    barriers = where(skips, full_like(emitted[0].detach(), 0), _IMPOSSIBLE)
    reached = alignment_scan(emitted, barriers)
    last = reached[maximum(inputs - 1, 0), arange(samples, device=labels.device)]  # (N, states)
    ends = stack([2 * counts, maximum(2 * counts - 1, 0)], axis=1)
    final = take_along_axis(last, ends, axis=1)
    final = where(equal(counts, 0).expand_dims(1) & tensor([False, True], device=labels.device), _IMPOSSIBLE, final)
    total = logsumexp(final, axis=1)
    # of an input without steps only the empty sequence can be read
    empty = where(equal(counts, 0), full_like(total.detach(), 0), _IMPOSSIBLE)
    log_likelihood: Tensor = where(equal(inputs, 0), empty, total)
    counted = less(arange(steps, device=labels.device).expand_dims(1), inputs)
    mass = where(counted, exp(log_probs).sum(-1), 0.0).sum(0)  # the number of steps, as the classes add up to 1
    losses: Tensor = mass - mass.detach() - log_likelihood
    return losses
