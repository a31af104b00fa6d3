"""Every layer and loss that ONNX can express, against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg

from ..reference.cases import LAYERS, LOSSES
from ..reference.evaluate import Library, built, fill
from .runtime import check

REFUSED = {
    "AdaptiveLogSoftmaxWithLoss": "read by Python",  # which samples go to which cluster
}


class Float32(Library):
    nn = tg.nn

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        array = np.asarray(array)
        return tg.tensor(array.astype(np.float32) if array.dtype.kind == "f" else array, device="cpu")

    def placed(self, module: Any) -> Any:
        return module.to("float32").to("cpu")

    def array(self, tensor: Any) -> Any:
        return tensor.detach().numpy()


def cases() -> list[Any]:
    """Of every kind, the first and the last line of the table."""
    chosen = {}
    for case in (*LAYERS, *LOSSES):
        if hasattr(tg.nn, case.kind) and case.kind not in ("Embedding", "EmbeddingBag", "CTCLoss"):
            chosen.setdefault(case.kind, [case, case])[1] = case
    return list(dict.fromkeys(case.name for pair in chosen.values() for case in pair))


BY_NAME = {case.name: case for case in (*LAYERS, *LOSSES)}


@pytest.mark.parametrize("name", cases())
def test_layer(name):
    case, lib = BY_NAME[name], Float32()
    module = lib.placed(built(case.what, name, lib))
    fill(module, name, lib)
    inputs = tuple(built(x, f"{name}:{i}", lib, []) for i, x in enumerate(case.inputs))
    keywords = {k: built(x, f"{name}:{k}", lib, []) for k, x in case.keywords.items()}
    if case.kind in REFUSED:
        with pytest.raises(tg.onnx.ExportError, match=REFUSED[case.kind]):
            tg.onnx.export(module, inputs, kwargs=keywords)
    else:
        check(module, inputs, kwargs=keywords)


def test_embeddings():
    nn = tg.nn
    i, j = tg.tensor([[0, 2], [1, 4]], device="cpu"), tg.tensor([[3, 2], [1, 4], [0, 0]], device="cpu")
    check(nn.Embedding(5, 3, padding_idx=2, device="cpu"), i, j, dynamic_axes={"input": {0: "batch"}})
    for mode in ("sum", "mean", "max"):
        check(nn.EmbeddingBag(5, 3, mode=mode, device="cpu"), i, j, dynamic_axes={"input": {0: "batch"}})
    with pytest.raises(tg.onnx.ExportError, match="outside of tensor operations"):
        tg.onnx.export(nn.Embedding(5, 3, max_norm=0.1, device="cpu"), i)


def test_ctc_loss():
    log_p = tg.log_softmax(tg.randn(6, 2, 4, device="cpu"), axis=-1)
    target = tg.tensor([[1, 2, 2], [3, 1, 0]], device="cpu")
    lengths = tg.tensor([6, 4], device="cpu"), tg.tensor([3, 2], device="cpu")
    check(tg.nn.CTCLoss(reduction="none"), (log_p, target, *lengths))


def test_dropout_and_batch_norm_are_exported_as_in_eval_mode_and_left_as_they_were():
    nn = tg.nn
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.BatchNorm1d(6), nn.Sequential(nn.Dropout(0.1))).to("cpu")
    model[3].eval()
    before = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    proto = tg.onnx.export(model, tg.randn(3, 4, device="cpu"))
    assert model.training
    assert model[1].training
    assert not model[3].training
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), before[name])
    assert {w.name for w in proto.graph.initializer} >= {"0.weight", "0.bias", "2.running_mean", "2.running_var"}
    check(model, tg.randn(3, 4, device="cpu"))
    assert "BatchNormalization" in {node.op_type for node in proto.graph.node}
    check(nn.BatchNorm2d(3, affine=False, device="cpu"), tg.randn(2, 3, 4, 5, device="cpu"))
