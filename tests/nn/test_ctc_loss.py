"""CTC against the sum over all ways, written out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn, testing
from tensorgrad.nn import functional as F


def loss_of(probabilities: np.ndarray, labels: list[int], blank: int) -> float:
    """Minus the logarithm of the probability of all ways that read as the labels."""
    total = 0.0
    for way in itertools.product(range(probabilities.shape[1]), repeat=len(probabilities)):
        merged = [c for i, c in enumerate(way) if (i == 0 or c != way[i - 1]) and c != blank]
        if merged == labels:
            total += np.prod([p[c] for p, c in zip(probabilities, way, strict=True)])
    with np.errstate(divide="ignore"):
        return float(-np.log(total))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


LABELS = {0: [[1, 2], [2, 2], [], [3]], 2: [[0, 1], [1, 1], [], [3]]}
STEPS, COUNTS = [5, 4, 3, 1], [2, 2, 0, 1]


def rows(blank: int) -> np.ndarray:
    """The labels filled up with what must not matter."""
    return np.array([[*labels, 7, 7][:2] for labels in LABELS[blank]])


@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values(reduction, blank, device):
    logits = np.random.default_rng(0).normal(size=(5, 4, 4))
    each = [loss_of(softmax(logits[:n, i]), LABELS[blank][i], blank) for i, n in enumerate(STEPS)]
    expected = {"none": each, "sum": sum(each), "mean": np.mean(np.array(each) / np.maximum(COUNTS, 1))}[reduction]
    log_probs = tg.log_softmax(tg.tensor(logits, device=device), axis=-1)
    in_row = np.concatenate(LABELS[blank]).astype(int)
    for targets in (rows(blank), in_row):
        for lengths in ((STEPS, COUNTS), (tg.tensor(STEPS, device=device), tg.tensor(COUNTS, device=device))):
            loss = nn.CTCLoss(blank, reduction)(log_probs, tg.tensor(targets, device=device), *lengths)
            np.testing.assert_allclose(loss.cpu().numpy(), expected, rtol=1e-10)


def test_one_sample(device):
    logits = np.random.default_rng(1).normal(size=(4, 3))
    log_probs = tg.log_softmax(tg.tensor(logits, device=device), axis=-1)
    loss = F.ctc_loss(log_probs, tg.tensor([1, 1], device=device), [4], [2], reduction="none")
    assert loss.shape == ()
    np.testing.assert_allclose(loss.item(), loss_of(softmax(logits), [1, 1], 0), rtol=1e-10)


def test_gradients(device):
    logits = tg.tensor(np.random.default_rng(2).normal(size=(4, 2, 3)), device=device, requires_grad=True)

    def loss(x):
        return F.ctc_loss(tg.log_softmax(x, axis=-1), tg.tensor([[1, 2], [1, 1]], device=device), [4, 3], [2, 2])

    assert testing.gradcheck(loss, logits)
    assert testing.gradgradcheck(loss, logits)


def test_the_gradient_is_that_of_a_softmax_below(device):
    """As in PyTorch: it is the same at the log-probabilities and below the log_softmax that made them."""
    logits = tg.tensor(np.random.default_rng(2).normal(size=(4, 2, 3)), device=device, requires_grad=True)
    leaf = tg.log_softmax(logits, axis=-1).detach()
    leaf.requires_grad = True
    for log_probs in (tg.log_softmax(logits, axis=-1), leaf):
        targets = tg.tensor([[1, 2], [1, 1]], device=device)
        F.ctc_loss(log_probs, targets, [4, 3], [2, 2], reduction="sum").backward()
    np.testing.assert_allclose(leaf.grad.cpu().numpy(), logits.grad.cpu().numpy(), atol=1e-14)
    assert not leaf.grad[3, 1].any().item()


def test_impossible_alignments(device):
    logits = tg.tensor(np.random.default_rng(3).normal(size=(2, 2, 3)), device=device, requires_grad=True)
    log_probs = tg.log_softmax(logits, axis=-1)
    targets, lengths = tg.tensor([[1, 1], [1, 2]], device=device), ([2, 2], [2, 2])
    losses = F.ctc_loss(log_probs, targets, *lengths, reduction="none")
    assert np.isinf(losses.detach().cpu().numpy()).tolist() == [True, False]
    F.ctc_loss(log_probs, targets, *lengths, reduction="sum", zero_infinity=True).backward()
    gradient = logits.grad.cpu().numpy()
    assert not gradient[:, 0].any()
    assert gradient[:, 1].any()


def test_no_steps(device):
    log_probs = tg.log_softmax(tg.ones(2, 2, 3, device=device), axis=-1)
    losses = F.ctc_loss(log_probs, tg.tensor([[1], [1]], device=device), [0, 0], [0, 1], reduction="none")
    assert losses.tolist() == [0.0, float("inf")]


def test_improbable_labels_do_not_underflow(device):
    """What is lost among the more probable ways in float32, were the sums not in logarithms."""
    logits = np.zeros((60, 1, 3), np.float32)
    logits[..., 0] = 40.0
    loss = F.ctc_loss(
        tg.log_softmax(tg.tensor(logits, device=device), axis=-1),
        tg.tensor([[1, 2] * 5], device=device),
        [60],
        [10],
        reduction="sum",
    )
    # the labels stand at 10 of 60 places, between blanks or not; each costs 40
    assert 400 - 60 * np.log(2) < loss.item() < 400


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"blank": 3}, "blank"),
        ({"reduction": "other"}, "reduction"),
        ({"input_lengths": [5, 4]}, "input_lengths"),
        ({"target_lengths": [3, 1]}, "target_lengths"),
        ({"target_lengths": [1]}, "target_lengths"),
        ({"targets": tg.tensor([1, 1, 1])}, "add up to 4"),
        ({"targets": tg.tensor([[1, 1, 1]])}, "targets"),
    ],
)
def test_what_it_refuses(change, match):
    options = {"input_lengths": [4, 4], "target_lengths": [2, 2], "targets": tg.tensor([[1, 2], [1, 1]])}
    with pytest.raises(ValueError, match=match):
        F.ctc_loss(tg.zeros(4, 2, 3), **{**options, **change})
