"""`nn.summary`: what its rows say, what its table looks like, and that the model is as it was."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import kernels as K
from tensorgrad import nn
from tensorgrad.nn import calls


class Shared(nn.Module):
    """One layer at two places, a layer made on the fly, two inputs, a result of three tensors."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.b = nn.Sequential(self.a, nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.lstm = nn.LSTM(4, 3)
        self.unused = nn.Linear(2, 2)
        self.seen = 0

    def forward(self, x, y):
        self.seen += 1
        return self.lstm(nn.ReLU()(self.b(self.a(x) + y))[None])


def test_rows(device):
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)).to(device)
    found = nn.summary(model, tg.ones(5, 3, 6, 6, device=device))
    assert [(row.path, row.kind, row.outputs, row.calls) for row in found.rows] == [
        ("", "Sequential", ((5, 10),), 1),
        ("0", "Conv2d", ((5, 8, 6, 6),), 1),
        ("1", "ReLU", ((5, 8, 6, 6),), 1),
        ("2", "Flatten", ((5, 288),), 1),
        ("3", "Linear", ((5, 10),), 1),
    ]
    assert [row.parameters for row in found.rows] == [224 + 2890, 224, 0, 0, 2890]
    conv, linear = 5 * 8 * 36 * 27, 5 * 288 * 10
    assert [row.multiply_adds for row in found.rows] == [conv + linear, conv, 0, 0, linear]
    assert found.total.flops == 2 * (conv + linear)
    image = 4 * 5 * 8 * 36
    assert [row.activation_bytes for row in found.rows[1:]] == [image, image, 0, 4 * 50]
    assert found.total.activation_bytes == 2 * image + 4 * 50
    assert found.total.parameter_bytes == 4 * (224 + 2890)
    assert found.input_bytes == 4 * 5 * 3 * 36


def test_shared_modules_several_inputs_and_layers_on_the_fly():
    found = nn.summary(Shared(), tg.ones(3, 4), y=tg.ones(3, 4))
    assert [(row.path, row.calls, row.shared) for row in found.rows] == [
        ("", 1, False), ("a", 1, False), ("b", 1, False), ("b.0", 1, True), ("b.1", 1, False), ("b.2", 1, False),
        ("lstm", 1, False), ("unused", 0, False), ("ReLU", 1, False),
    ]  # fmt: skip
    assert found["lstm"].outputs == ((1, 3, 3), (1, 3, 3), (1, 3, 3))
    assert found.total.parameters == 20 + 8 + 4 * 3 * (4 + 3 + 2) + 6
    assert found["b"].parameters == 28
    assert found["unused"].outputs == ()
    assert found.input_bytes == 2 * 4 * 12
    assert found.buffer_bytes == 4 * 8 + 8


def test_containers_that_are_not_called_add_up_what_is_below():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    found = nn.summary(model, tg.ones(2, 5, 8))
    assert found["layers"].calls == 0
    assert found["layers"].multiply_adds == found["layers.0"].multiply_adds + found["layers.1"].multiply_adds > 0
    attention = found["layers.0.self_attn"].multiply_adds
    assert attention == 2 * 5 * (8 * 24 + 8 * 8) + 2 * 2 * 5 * 5 * (4 + 4)


def test_frozen_and_tied_parameters():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    model[1].weight = model[0].weight
    assert nn.summary(model, tg.zeros(3, dtype=tg.int64)).total.parameters == 24
    model[0].weight.requires_grad = False
    assert nn.summary(model, tg.zeros(3, dtype=tg.int64)).total.trainable == 0


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_as_it_was(training):
    tg.manual_seed(3)
    model = Shared().train(training)
    x = tg.randn(3, 4)
    state = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    tensors = dict(model.named_buffers())
    before = tg.random.get_rng_state()
    found = nn.summary(model, x, x)
    assert (tg.random.get_rng_state() == before).all()
    assert model.seen == 0
    assert all(module.training is training for module in model.modules())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state[name])
    assert all(tensors[name] is buffer for name, buffer in model.named_buffers())
    assert all(p.grad is None for p in model.parameters())
    kept = 4 * 12 if training else 0  # dropout makes a tensor in training only
    assert found["b.2"].activation_bytes == kept
    model(x, x)
    changed = not np.array_equal(model.b[1].running_mean.numpy(), state["b.1.running_mean"])
    assert changed is training


def test_a_graph_that_saved_buffers_stays_valid():
    model = nn.BatchNorm1d(4).eval()
    y = model(tg.ones(3, 4, requires_grad=True)).sum()
    nn.summary(model.train(), tg.ones(3, 4))
    y.backward()


def test_after_an_error():
    model = Shared()
    buffers = dict(model.named_buffers())
    with pytest.raises(ValueError, match="last axis of the input"):
        nn.summary(model, tg.ones(3, 5), tg.ones(3, 4))
    assert not K.registry._hooks
    assert not calls.are_watched()
    assert all(buffers[name] is b for name, b in model.named_buffers())
    with pytest.raises(TypeError, match="expected a Module, got function"):
        nn.summary(lambda x: x, tg.ones(1))


def test_table():
    text = str(nn.summary(Shared(), tg.ones(3, 4), tg.ones(3, 4)))
    lines = text.splitlines()
    assert [line[:24].rstrip() for line in lines[2:11]] == [
        "Shared",
        "├─ a: Linear",
        "├─ b: Sequential",
        "│  ├─ 0: Linear (shared)",
        "│  ├─ 1: BatchNorm1d",
        "│  └─ 2: Dropout",
        "├─ lstm: LSTM",
        "├─ unused: Linear",
        "└─ ReLU: ReLU",
    ]
    assert lines[-3].startswith("parameters: 142 (142 trainable), 568 B; buffers: 40 B")
    assert all(len(line) <= len(lines[1]) for line in lines[:12])


def test_depth_of_the_table():
    found = nn.summary(Shared(), tg.ones(3, 4), tg.ones(3, 4))
    assert "BatchNorm1d" not in found.table(depth=1)
    assert "└─ ReLU" in found.table(depth=1)
    assert found.table(depth=0).splitlines()[2].startswith("Shared")
    assert "LSTM" not in found.table(depth=0)
    with pytest.raises(ValueError, match="negative"):
        found.table(depth=-1)


def test_layers_that_are_called_again():
    layer = nn.Linear(4, 4)

    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            for _ in range(3):
                x = self.layer(x)
            return x

    found = nn.summary(Again(), tg.ones(2, 4))
    assert (found["layer"].calls, found["layer"].multiply_adds) == (3, 3 * 32)
    assert "layer: Linear x3" in str(found)
