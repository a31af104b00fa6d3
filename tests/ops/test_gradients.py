"""First and second derivatives of every op, on the samples that its family declares."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorgrad import Tensor, autograd, testing
from tensorgrad.backend import to_numpy
from tensorgrad.ops.definition import OPS

from . import gradient_table
from .samples import DIFFERENTIABLE, LAYOUTS, SAMPLES, Sample, per_op, place

differentiable = per_op(lambda sample: bool(sample.variables))
TOLERANCES = {"float16": 1e-2, "float32": 2e-5, "bfloat16": 8e-2}


def results(sample: Sample, inputs: list[Any]) -> list[Tensor]:
    made = sample.call(*inputs)
    return list(made) if isinstance(made, tuple) else [made]


def cotangents(outputs: list[Tensor], layout: str = "contiguous") -> list[Tensor]:
    random = np.random.default_rng(3)
    return [place(random.uniform(0.5, 1.5, y.shape), str(y.device), y.dtype, layout) for y in outputs]


def gradients(sample: Sample, inputs: list[Tensor], layout: str = "contiguous", **options: Any) -> list[Tensor]:
    outputs = results(sample, inputs)
    variables = [inputs[i] for i in sample.variables]
    return list(autograd.grad(outputs, variables, cotangents(outputs, layout), **options))


def arrays(tensors: list[Tensor]) -> list[np.ndarray]:
    return [to_numpy(t._data) for t in tensors]


def test_every_op_has_samples():
    missing = sorted(set(OPS) - set(SAMPLES))
    assert not missing, f"declare sample inputs of {missing} in tests/ops/samples"
    assert not sorted(set(SAMPLES) - set(OPS)), "samples of ops that do not exist"


def test_every_differentiable_op_has_differentiable_samples():
    differentiable = {name for name, op in OPS.items() if any(rule is not None for rule in op.rules)}
    tested = {
        sample.op for sample in DIFFERENTIABLE if all(n for i in sample.variables for n in sample.inputs[i].shape)
    }
    # cast is differentiated between dtypes in test_memory.py: differences need float64 on both sides
    assert differentiable - tested <= {"cast"}


def test_the_page_of_gradients_is_what_the_samples_check():
    assert gradient_table.PAGE.read_text() == gradient_table.page(), "run python -m tests.ops.gradient_table"


def test_every_input_with_a_rule_is_differentiated():
    for name, op in OPS.items():
        if op.joint:
            continue
        most = max((len(sample.variables) for sample in SAMPLES.get(name, [])), default=0)
        assert most >= sum(rule is not None for rule in op.rules) or name == "cast", name


@differentiable
def test_sample_reaches_its_op(sample, device):
    inputs = sample.tensors(device)
    names, stack = set(), [y._node for y in results(sample, inputs) if y._node is not None]
    while stack:
        node = stack.pop()
        if node.op is not None:
            names.add(node.name)
        stack.extend(parent for parent in node.parents if parent is not None)
    assert sample.op in names


@differentiable
def test_first_order(sample, device):
    testing.gradcheck(lambda *x: results(sample, x), sample.tensors(device), atol=1e-6, rtol=1e-5)


@differentiable
def test_arrays_and_tensors_agree_exactly(sample, device):
    raw = gradients(sample, sample.tensors(device))
    recorded = gradients(sample, sample.tensors(device), create_graph=True)
    for first, second in zip(arrays(raw), arrays(recorded), strict=True):
        np.testing.assert_array_equal(first, second, strict=True)


@per_op(lambda sample: bool(sample.variables) and sample.twice)
def test_second_order(sample, device):
    testing.gradgradcheck(lambda *x: results(sample, x), sample.tensors(device), atol=1e-5, rtol=1e-4)


@per_op(lambda sample: bool(sample.variables) and sample.twice and all(x.size for x in sample.inputs))
def test_forward_mode(sample, device):
    if device != "cpu":
        pytest.skip("it is a gradient of the gradient, whose rules know no device")
    testing.gradcheck(
        lambda *x: results(sample, x), sample.tensors(device), atol=1e-6, rtol=1e-5, check_backward_ad=False,
        check_forward_ad=True,
    )  # fmt: skip


@differentiable
def test_layout_does_not_matter(sample, device):
    wanted = arrays(gradients(sample, sample.tensors(device)))
    for layout in LAYOUTS:
        for found in (
            gradients(sample, sample.tensors(device, layout=layout)),
            gradients(sample, sample.tensors(device), layout=layout),
            gradients(sample, sample.tensors(device, layout=layout), layout=layout, create_graph=True),
        ):
            for first, second in zip(arrays(found), wanted, strict=True):
                np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12, err_msg=layout, strict=True)


@differentiable
def test_backward_twice_adds_up_and_aliases_nothing(sample, device):
    inputs = sample.tensors(device)
    before = [to_numpy(x._data).copy() for x in inputs]
    outputs = results(sample, inputs)
    given = cotangents(outputs)
    values = [to_numpy(t._data).copy() for t in (*outputs, *given)]
    autograd.backward(outputs, given, retain_graph=True)
    variables = [inputs[i] for i in sample.variables]
    first = [to_numpy(x.grad._data).copy() for x in variables]
    autograd.backward(outputs, given)
    for x, g in zip(variables, first, strict=True):
        assert x.grad.shape == x.shape
        assert x.grad.dtype == x.dtype
        assert x.grad.device == x.device
        np.testing.assert_array_equal(to_numpy(x.grad._data), 2 * g)
    for x, value in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(to_numpy(x._data), value)
    for y, value in zip((*outputs, *given), values, strict=True):
        np.testing.assert_array_equal(to_numpy(y._data), value)
    owned = [x.grad._data for x in variables]
    others = [t._data for t in (*inputs, *outputs, *given)]
    for i, g in enumerate(owned):
        assert not any(_overlap(g, other) for other in (*owned[:i], *owned[i + 1 :], *others))


def _overlap(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return type(first) is type(second) and np.shares_memory(first, second)
    return bool(first.size) and bool(second.size) and first.data.ptr == second.data.ptr


def check_dtype(sample: Sample, device: str, dtype: str) -> None:
    inputs = sample.tensors(device, dtype)
    found = gradients(sample, inputs)
    exact = [
        place(to_numpy(t._data).astype(np.float64), device, grad=True) if t.requires_grad else t.astype(s.dtype)
        for t, s in zip(inputs, sample.inputs, strict=True)
    ]
    wanted = gradients(sample, exact)
    tolerance = TOLERANCES[dtype] * sample.slack
    for x, g, w in zip([inputs[i] for i in sample.variables], found, arrays(wanted), strict=True):
        assert g.dtype == x.dtype
        scale = np.abs(w).max(initial=1)
        np.testing.assert_allclose(to_numpy(g._data).astype(np.float64), w, rtol=tolerance, atol=tolerance * scale)


@differentiable
def test_float32(sample, device):
    check_dtype(sample, device, "float32")


@per_op(lambda sample: bool(sample.variables) and sample.halves)
def test_float16(sample, device):
    check_dtype(sample, device, "float16")


@per_op(lambda sample: bool(sample.variables) and sample.halves)
def test_bfloat16(sample, device):
    pytest.importorskip("ml_dtypes")
    check_dtype(sample, device, "bfloat16")
