"""Padding and packing, and recurrent layers over packed sequences: each sequence alone is the reference."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import autograd, nn
from tensorgrad.nn.utils import rnn

LENGTHS = [2, 5, 1, 2]


def sequences(device: str, *features: int, grad: bool = False) -> list[tg.Tensor]:
    random = np.random.default_rng(0)
    return [tg.tensor(random.normal(size=(n, *features)), device=device, requires_grad=grad) for n in LENGTHS]


def values(x: tg.Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


# ------------------------------------------------------------------------------------------------------------- padding
@pytest.mark.parametrize("features", [(), (3,), (2, 2)])
@pytest.mark.parametrize("side", ["right", "left"])
def test_pad_sequence(side, features, device):
    given = sequences(device, *features)
    for batch_first in (True, False):
        padded = values(rnn.pad_sequence(given, batch_first, 0.5, side))
        padded = padded if batch_first else padded.swapaxes(0, 1)
        assert padded.shape == (4, 5, *features)
        for row, x in zip(padded, given, strict=True):
            n = x.shape[0]
            there, filled = (row[:n], row[n:]) if side == "right" else (row[5 - n :], row[: 5 - n])
            np.testing.assert_array_equal(there, values(x))
            assert (filled == 0.5).all()


def test_pad_sequence_of_one_length(device):
    x = tg.ones(3, 2, device=device)
    assert rnn.pad_sequence([x, x]).shape == (3, 2, 2)


@pytest.mark.parametrize("batch_first", [True, False])
def test_unpad_sequence(batch_first, device):
    given = sequences(device, 3)
    padded = rnn.pad_sequence(given, batch_first)
    for lengths in (LENGTHS, tg.tensor(LENGTHS)):
        for x, y in zip(rnn.unpad_sequence(padded, lengths, batch_first), given, strict=True):
            np.testing.assert_array_equal(values(x), values(y))


# ------------------------------------------------------------------------------------------------------------- packing
def test_packed_order(device):
    """By hand: the longest first, step after step."""
    x = tg.tensor([[1, 2, 0, 0], [3, 4, 5, 6], [7, 0, 0, 0]], device=device)
    packed = rnn.pack_padded_sequence(x, [2, 4, 1], True, enforce_sorted=False)
    assert packed.data.tolist() == [3, 1, 7, 4, 2, 5, 6]
    assert packed.batch_sizes.tolist() == [3, 2, 1, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    assert packed.unsorted_indices.tolist() == [1, 0, 2]
    assert packed.batch_sizes.device.type == "cpu"
    assert packed.data.device.type == device
    ordered = rnn.pack_padded_sequence(x[[1, 0, 2]].T, tg.tensor([4, 2, 1]))
    assert ordered.data.tolist() == packed.data.tolist()
    assert ordered.sorted_indices is None
    assert ordered.unsorted_indices is None


@pytest.mark.parametrize("batch_first", [True, False])
def test_pad_packed_undoes_pack_padded(batch_first, device):
    given = sequences(device, 3)
    padded = rnn.pad_sequence(given, batch_first, 7.0)
    packed = rnn.pack_padded_sequence(padded, LENGTHS, batch_first, enforce_sorted=False)
    again, lengths = rnn.pad_packed_sequence(packed, batch_first, 7.0)
    np.testing.assert_array_equal(values(again), values(padded))
    assert lengths.tolist() == LENGTHS
    longer, _ = rnn.pad_packed_sequence(packed, batch_first, 7.0, total_length=8)
    longer = values(longer) if batch_first else values(longer).swapaxes(0, 1)
    assert longer.shape == (4, 8, 3)
    assert (longer[:, 5:] == 7).all()
    for x, y in zip(rnn.unpack_sequence(rnn.pack_sequence(given, False)), given, strict=True):
        np.testing.assert_array_equal(values(x), values(y))


def test_gradients_pass_through_padding_and_packing(device):
    given = sequences(device, 2, grad=True)
    padded, _ = rnn.pad_packed_sequence(rnn.pack_sequence(given, False), padding_value=3.0)
    found = autograd.grad((padded**2).sum(), given)
    for g, x in zip(found, given, strict=True):
        np.testing.assert_allclose(values(g), 2 * values(x))


def test_a_packed_sequence_moves_and_converts(device):
    packed = rnn.pack_sequence(sequences("cpu", 2), False).to(device)
    assert packed.data.device.type == packed.sorted_indices.device.type == device
    assert packed.float().data.dtype == tg.float32
    assert packed.half().data.dtype == tg.float16
    assert packed.half().double().data.dtype == tg.float64
    assert packed.cpu().data.device.type == "cpu"
    data, batch_sizes, sorted_indices, unsorted_indices = packed
    other = rnn.PackedSequence(data, batch_sizes, sorted_indices)
    assert other.unsorted_indices.tolist() == unsorted_indices.tolist()


def test_errors():
    x = tg.ones(3, 2, 4)
    for lengths, match in (
        ([3, 0], "between 1 and 3, got"),
        ([4, 1], "between 1 and 3"),
        ([2, 3], "must descend"),
        ([3], "2 sequences and 1 lengths"),
    ):
        with pytest.raises(ValueError, match=match):
            rnn.pack_padded_sequence(x, lengths)
    with pytest.raises(TypeError, match="list of integers"):
        rnn.pack_padded_sequence(x, [2.5, 1.0])
    with pytest.raises(ValueError, match="at least one sequence"):
        rnn.pack_padded_sequence(tg.ones(0, 2, 4), [])
    packed = rnn.pack_padded_sequence(x, [3, 2])
    with pytest.raises(ValueError, match="total_length must be at least the longest length 3, got 2"):
        rnn.pad_packed_sequence(packed, total_length=2)
    with pytest.raises(ValueError, match="first axis only"):
        rnn.pad_sequence([tg.ones(2, 3), tg.ones(2, 4)])
    with pytest.raises(ValueError, match="got none"):
        rnn.pad_sequence([])
    with pytest.raises(ValueError, match="'right' or 'left'"):
        rnn.pad_sequence([tg.ones(2)], padding_side="both")
    with pytest.raises(ValueError, match="at least two axes"):
        rnn.unpad_sequence(tg.ones(2), [1])
    with pytest.raises(ValueError, match="batch_sizes must be given"):
        rnn.PackedSequence(x)
    with pytest.raises(ValueError, match="expected packed data of shape"):
        nn.GRU(3, 4)(packed)
    with pytest.raises(ValueError, match=r"needs h_0 of shape \(1, 2, 4\)"):
        nn.GRU(4, 4)(packed, tg.ones(1, 3, 4))


# -------------------------------------------------------------------------------------------------------------- layers
@pytest.mark.parametrize(("kind", "options"), [("RNN", {}), ("GRU", {}), ("LSTM", {}), ("LSTM", {"proj_size": 2})])
@pytest.mark.parametrize("form", [{}, {"num_layers": 2, "bidirectional": True}])
@pytest.mark.parametrize("given", [True, False])
def test_each_sequence_as_if_it_were_alone(kind, options, form, given, device):
    layer = getattr(nn, kind)(3, 4, dtype=tg.float64, device=device, **options, **form)
    alone = sequences(device, 3, grad=True)
    together = [x.detach() for x in alone]
    for x in together:
        x.requires_grad = True
    depth = layer.num_layers * (1 + layer.bidirectional)
    sizes = (options.get("proj_size", 4), 4)[: 2 if kind == "LSTM" else 1]
    firsts = [tg.tensor(np.random.default_rng(n).normal(size=(depth, 4, n)), device=device) for n in sizes]

    def run(x, firsts):
        y, last = layer(x, (tuple(firsts) if kind == "LSTM" else firsts[0]) if given else None)
        return y, last if kind == "LSTM" else (last,)

    packed, last = run(rnn.pack_sequence(together, enforce_sorted=False), firsts)
    assert isinstance(packed, rnn.PackedSequence)
    total, wanted = 0, 0
    for n, (x, y) in enumerate(zip(alone, rnn.unpack_sequence(packed), strict=True)):
        reference, states = run(x, [first[:, n] for first in firsts])
        np.testing.assert_allclose(values(y), values(reference), rtol=1e-12, atol=1e-14)
        for one, other in zip(last, states, strict=True):
            np.testing.assert_allclose(values(one[:, n]), values(other), rtol=1e-12, atol=1e-14)
        total = total + (y**2).sum()
        wanted = wanted + (reference**2).sum() + sum((s**2).sum() for s in states)
    total = total + sum((s**2).sum() for s in last)
    parameters = list(layer.parameters())
    found = autograd.grad(total, [*together, *parameters])
    for g, reference in zip(found, autograd.grad(wanted, [*alone, *parameters]), strict=True):
        np.testing.assert_allclose(values(g), values(reference), rtol=1e-10, atol=1e-12)


def test_packed_sequences_are_refused_under_jit():
    """How many sequences go on at each step is read from the tensor of batch sizes."""
    from tensorgrad.capture import CaptureError

    layer = tg.nn.GRU(3, 4)
    packed = tg.nn.utils.rnn.pack_padded_sequence(tg.randn(5, 2, 3), [5, 3])
    with pytest.raises(CaptureError, match="read by Python"):
        tg.jit(lambda p: layer(p)[0].data)(packed)
    pack = tg.jit(lambda x: tg.nn.utils.rnn.pack_padded_sequence(x, [5, 3]).data)
    for _ in range(2):  # lengths that are Python's do not change from call to call
        x = tg.randn(5, 2, 3)
        assert pack(x).tolist() == tg.nn.utils.rnn.pack_padded_sequence(x, [5, 3]).data.tolist()
