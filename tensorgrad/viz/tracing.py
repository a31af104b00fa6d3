"""Calling a module to see what it does."""

from __future__ import annotations

import inspect
from typing import Any

from ..dtypes import is_differentiable
from ..nn.module import Module
from ..nn.summary import preserved, tensors_in
from ..tape import enable_grad
from ..tensor import Tensor
from .recording import Recording, record

__all__ = ["traced"]


def traced(model: Module, inputs: Any) -> tuple[list[Tensor], dict[Tensor, str], Recording]:
    """Call a module without a trace in it; its results, the names of its inputs and parameters, and the recording.

    Raises
    ------
    RuntimeError
        If no result depends on an input or a parameter by ops that have gradients.
    """
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    stand_ins = [_on_tape(x) for x in given]
    with preserved(model), enable_grad(), record() as recording:
        result = model(*stand_ins)
    roots = [x for x in tensors_in(result) if x._node is not None]
    if not roots:
        raise RuntimeError(
            f"graph: nothing that {type(model).__name__} returns depends on its inputs or parameters "
            "by ops with gradients"
        )
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    arguments = list(inspect.signature(model.forward).parameters)
    for i, x in enumerate(stand_ins):
        if isinstance(x, Tensor):
            names[x] = arguments[i] if i < len(arguments) else f"input {i}"
    return roots, names, recording


def _on_tape(x: Any) -> Any:
    """An argument that the tape remembers, if it can."""
    if not isinstance(x, Tensor) or not is_differentiable(x.dtype):
        return x
    y = x.detach()
    y.requires_grad = True
    return y
