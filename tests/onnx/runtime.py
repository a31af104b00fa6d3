"""What ONNX Runtime makes of an exported model, beside what the model itself makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime

import tensorgrad as tg
from tensorgrad.nn.summary import tensors_in


def session(model: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    source = model if isinstance(model, str) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def check(model: Any, *calls: Any, rtol: float = 2e-5, **options: Any) -> onnx.ModelProto:
    """Export with the first call's arguments and compare all calls' results."""
    first = calls[0] if isinstance(calls[0], tuple) else (calls[0],)
    proto = tg.onnx.export(model, first, **options)
    compare(session(proto), model, *calls, rtol=rtol, **options.get("kwargs", {}))
    return proto


def compare(runtime: Any, model: Any, *calls: Any, rtol: float = 2e-5, **keywords: Any) -> None:
    for call in calls:
        args = call if isinstance(call, tuple) else (call,)
        arrays = [x.cpu().numpy() for x in tensors_in((args, keywords))]
        results = runtime.run(None, {i.name: x for i, x in zip(runtime.get_inputs(), arrays, strict=True)})
        with tg.no_grad():
            if isinstance(model, tg.nn.Module):
                model.eval()
            wanted = [y.detach().cpu().numpy() for y in tensors_in(model(*args, **keywords))]
        assert [(y.shape, y.dtype) for y in results] == [(y.shape, y.dtype) for y in wanted]
        for y, z in zip(results, wanted, strict=True):
            np.testing.assert_allclose(y, z, rtol=rtol, atol=rtol)


def kinds(proto: Any) -> list[str]:
    return [node.op_type for node in proto.graph.node]
