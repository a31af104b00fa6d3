"""Axes of any size, files, and what is done for the program around an export."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

import tensorgrad as tg

from .runtime import check, compare, kinds, session

nn = tg.nn


def randn(*shape):
    return tg.randn(*shape, device="cpu")


def axes(proto):
    return [[d.dim_param or d.dim_value for d in x.type.tensor_type.shape.dim] for x in proto.graph.output]


class Decoder(nn.Module):
    """Positions, a causal mask and heads: sizes that are computed from others."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(11, 8), nn.Embedding(12, 8)
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)

    def forward(self, tokens):
        length = tokens.shape[1]
        x = self.token(tokens) + self.place(tg.arange(length, device=tokens.device))
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=tokens.device)
        return self.layers(x, mask, is_causal=True).mean(axis=1), x.reshape(-1, 8)


def test_batch_and_time_may_vary():
    tokens = [tg.randint(0, 11, shape, device="cpu") for shape in ((1, 5), (3, 2), (2, 12))]
    proto = check(Decoder().to("cpu"), *tokens, dynamic_axes={"tokens": {0: "batch", 1: "time"}})
    assert axes(proto)[0] == ["batch", 8]


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_are_onnx_layers(kind):
    model = getattr(nn, kind)(4, 5, 2, batch_first=True, bidirectional=True).to("cpu")
    dynamic = {"input": {0: "batch", 1: "time"}}
    proto = check(model, randn(2, 3, 4), randn(3, 7, 4), dynamic_axes=dynamic)
    assert kinds(proto).count(kind) == 4
    state = randn(4, 2, 5)
    check(model, (randn(2, 3, 4), (state, state + 1) if kind == "LSTM" else state))


def test_height_and_width_may_vary():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU6(), nn.Upsample(scale_factor=2),
        nn.ConvTranspose2d(4, 4, 2, stride=2), nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    ).to("cpu")  # fmt: skip
    dynamic = {"input": {0: "batch", 2: "height", 3: "width"}}
    check(model, randn(1, 3, 8, 8), randn(2, 3, 12, 10), randn(1, 3, 5, 9), dynamic_axes=dynamic, rtol=1e-4)


def test_sizes_are_not_mistaken_for_each_other():
    """Three sizes that start equal or as neighbours."""
    check(
        lambda x: (x.reshape(-1), x.reshape(x.shape[0], -1), tg.concat([x, x, x[:, :, :1]], axis=2).reshape(-1, 1)),
        randn(2, 2, 3), randn(5, 3, 2), randn(2, 7, 4), dynamic_axes={"x": {0: "a", 1: "b", 2: "c"}},
    )  # fmt: skip


def test_what_changes_with_a_size_is_refused():
    with pytest.raises(tg.onnx.ExportError, match="changes with the sizes of the dynamic axes"):
        tg.onnx.export(lambda x: tg.stack([row * 2 for row in x]), randn(2, 3), dynamic_axes={"x": [0]})
    with pytest.raises(tg.onnx.ExportError, match="does not run with other sizes"):
        tg.onnx.export(nn.Linear(3, 2).to("cpu"), randn(2, 3), dynamic_axes={"input": [1]})
    with pytest.raises(tg.onnx.ExportError, match="ceil_mode"):
        tg.onnx.export(nn.MaxPool1d(2, ceil_mode=True), randn(1, 2, 5), dynamic_axes={"input": [2]})


def test_names_and_axes_are_checked():
    layer = nn.Linear(3, 2).to("cpu")
    proto = tg.onnx.export(layer, randn(2, 3), input_names=["x"], output_names=["y"], dynamic_axes={"x": [0]})
    assert (proto.graph.input[0].name, proto.graph.output[0].name) == ("x", "y")
    assert axes(proto) == [["x_dim0", 2]]
    for options, message in (
        ({"input_names": ["a", "b"]}, "input_names must be 1 different names"),
        ({"output_names": ["weight"]}, "name inputs or parameters already"),
        ({"dynamic_axes": {"input": {5: "n"}}}, "no axis 5"),
        ({"dynamic_axes": {"nothing": {0: "n"}}}, "nothing"),
        ({"opset_version": 11}, "opset_version must be between 18"),
        ({"external_data": True}, "external_data needs a path"),
    ):
        with pytest.raises(ValueError, match=message):
            tg.onnx.export(layer, randn(2, 3), **options)


@pytest.mark.parametrize("opset", [18, 21, 23])
def test_operator_sets(opset):
    model = nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.GELU("tanh"), nn.LayerNorm(4)).to("cpu")
    proto = check(model, randn(2, 4), opset_version=opset)
    assert proto.opset_import[0].version == opset
    assert ("Gelu" in kinds(proto)) == (opset >= 20)


def test_files(tmp_path):
    model, x = nn.Linear(30, 20).to("cpu"), randn(2, 30)
    path = tmp_path / "model.onnx"
    tg.onnx.export(model, x, path, external_data=True)
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "model.onnx.data"]
    compare(session(str(path)), model, x)
    whole = path.read_bytes()
    with pytest.raises(tg.onnx.ExportError):
        tg.onnx.export(lambda x: tg.nextafter(x, x), x, path)
    assert path.read_bytes() == whole
    tg.onnx.export(model, x, path)
    compare(session(onnx.load(path)), model, x)


def test_half_types():
    check(nn.Linear(3, 2).to("cpu", "float16"), randn(2, 3).astype(tg.float16), rtol=2e-3)
    proto = tg.onnx.export(nn.Linear(3, 2).to("cpu", tg.bfloat16), randn(2, 3).astype(tg.bfloat16))
    assert proto.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16


def test_on_any_device(device):
    model = nn.Sequential(nn.Conv1d(2, 3, 2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.Linear(3, 2)).to(device)
    x = tg.tensor(np.arange(6, dtype=np.float32).reshape(1, 2, 3), device=device)
    check(model, x)


def test_shared_and_unused_parameters():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head, self.spare = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False), nn.Linear(9, 9)
            self.head.weight = self.embedding.weight

        def forward(self, i):
            return self.head(self.embedding(i))

    proto = check(Tied().to("cpu"), tg.tensor([1, 4], device="cpu"))
    assert [w.name for w in proto.graph.initializer] == ["embedding.weight"]


def test_without_onnx():
    code = (
        "import sys; sys.modules['onnx'] = None; import tensorgrad as tg\n"
        "try: tg.onnx.export(tg.nn.Linear(1, 1), tg.ones(1, 1))\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'tensorgrad-cupy[onnx]'" in done.stdout


def test_weights_that_one_file_cannot_hold(tmp_path, monkeypatch):
    from tensorgrad.onnx import exporting

    monkeypatch.setattr(exporting, "LIMIT", 2000)
    model, x = nn.Linear(30, 20).to("cpu"), randn(2, 30)
    with pytest.raises(tg.onnx.ExportError, match="one ONNX file holds 2"):
        tg.onnx.export(model, x)
    with pytest.raises(tg.onnx.ExportError, match="external_data=True"):
        tg.onnx.export(model, x, tmp_path / "model.onnx", external_data=False)
    tg.onnx.export(model, x, tmp_path / "model.onnx")
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "model.onnx.data"]
    compare(session(str(tmp_path / "model.onnx")), model, x)
