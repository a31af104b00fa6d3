"""Convolution kernels beyond the samples: large enough for panels, threads, tiles and parts; cuDNN's plans."""

from __future__ import annotations

import types

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS as K
from tensorgrad.kernels.cpu import blocked, narrow, narrow_gradient, plain
from tensorgrad.kernels.cpu import conv as cpu

from .test_cuda_agreement import array, to_device, to_host

SHAPES = {
    # images, (input, output channels), size, kernel, stride, padding, dilation, groups
    "lenet": (5, (1, 6), (12, 12), (5, 5), (1, 1), (2, 2), (1, 1), 1),
    "unpadded": (7, (2, 3), (9, 10), (5, 4), (1, 1), (0, 0), (1, 1), 1),
    "hardly padded": (3, (3, 5), (6, 7), (4, 5), (1, 1), (1, 0), (1, 1), 1),
    "vgg": (2, (16, 24), (9, 10), (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "strided": (3, (9, 12), (11, 7), (3, 2), (2, 3), (1, 0), (1, 2), 1),
    "one by one": (3, (16, 9), (6, 5), (1, 1), (1, 1), (0, 0), (1, 1), 1),
    "grouped": (2, (16, 32), (7,), (3,), (2,), (1,), (1,), 2),
    "depthwise": (3, (10, 10), (8, 7), (3, 3), (1, 1), (1, 1), (1, 1), 10),
    "volume": (2, (3, 8), (4, 5, 6), (2, 3, 2), (1, 2, 1), (1, 0, 1), (1, 1, 2), 1),
}


def operands(name, dtype="float64"):
    images, (inputs, outputs), size, kernel, stride, padding, dilation, groups = SHAPES[name]
    how = (stride, padding, dilation, groups)
    x = array((images, inputs, *size), dtype)
    w = array((outputs, inputs // groups, *kernel), dtype, seed=1)
    b = array((outputs,), dtype, seed=2)
    (shape, _) = K["conv"].rule(x, w, b, *how)
    return x, w, b, array(shape, dtype, seed=3), how


def by_offsets(x, w, b, stride, padding, dilation, groups):
    """One product per offset of the kernel, in float64."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    rows = zip(x.shape[2:], w.shape[2:], stride, dilation, strict=True)
    out = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in rows]
    x = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    y = np.zeros((x.shape[0], groups, w.shape[0] // groups, *out))
    w = w.reshape(groups, -1, *w.shape[1:])
    for k in np.ndindex(*w.shape[3:]):
        cut = tuple(
            slice(j * d, j * d + (o - 1) * s + 1, s) for j, d, o, s in zip(k, dilation, out, stride, strict=True)
        )
        y += np.einsum("ngc...,goc->ngo...", x[(..., *cut)], w[(..., *k)])
    return y.reshape(y.shape[0], -1, *out) + b.reshape(-1, *(1,) * len(out))


@pytest.mark.parametrize("way", ["plain", "narrow", "general"])
@pytest.mark.parametrize("panel", [1, 700, 1 << 18])
@pytest.mark.parametrize("name", SHAPES)
def test_panels_of_any_size(name, panel, way, monkeypatch):
    monkeypatch.setattr(cpu, "_PANEL", panel)
    monkeypatch.setattr(plain, "_PANEL", panel)
    monkeypatch.setattr(plain, "_COLUMNS", 1)
    monkeypatch.setattr(narrow, "_PANEL", panel)
    monkeypatch.setattr(narrow, "_SMALL", 10 * panel)
    monkeypatch.setattr(narrow_gradient, "_TERMS", panel)
    monkeypatch.setattr(plain, "_ENOUGH", 0)
    for other in {"plain": (), "narrow": (plain,), "general": (plain, narrow)}[way]:
        monkeypatch.setattr(other, "suits", lambda *_: False)
    x, w, b, g, how = operands(name)
    y = cpu.conv(x, w, b, *how)
    np.testing.assert_allclose(y, by_offsets(x, w, b, *how), rtol=1e-11, atol=1e-11)
    # <g, conv(x, w)> is linear in x and in w: the gradients are its transposes
    total = (g * (y - b.reshape(-1, *(1,) * (y.ndim - 2)))).sum()
    dx = cpu.conv_input_gradient(g, w, x.shape[2:], *how)
    dw = cpu.conv_weight_gradient(g, x, w.shape[2:], *how)
    np.testing.assert_allclose([(dx * x).sum(), (dw * w).sum()], total, rtol=1e-10)


@pytest.mark.parametrize("padding", [(0, 0), (1, 2), (3, 0)])
@pytest.mark.parametrize("images", [1, 7])
def test_gradient_by_an_input_much_larger_than_the_output(images, padding, monkeypatch):
    w = array((3, 2, 5, 4), "float64")
    g = array((images, 3, 6 + 2 * padding[0] - 4, 5 + 2 * padding[1] - 3), "float64", seed=1)
    assert not narrow_gradient.suits(w.shape, (20, 20), (2, 2))
    how = ((6, 5), (1, 1), padding, (1, 1), 1)
    monkeypatch.setattr(narrow_gradient, "suits", lambda *_: False)
    wanted = cpu.conv_input_gradient(g, w, *how)
    monkeypatch.setattr(narrow_gradient, "suits", lambda *_: True)
    monkeypatch.setattr(narrow_gradient, "_TERMS", 2000)
    np.testing.assert_allclose(cpu.conv_input_gradient(g, w, *how), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 3, 20])
@pytest.mark.parametrize("padding", [(0, 0), (1, 2), (6, 5)])
def test_rows_of_few_images_that_threads_share(padding, rows, monkeypatch):
    x, w, b = array((2, 3, 7, 8), "float64"), array((4, 3, 4, 3), "float64", seed=1), array((4,), "float64", seed=2)
    monkeypatch.setattr(plain, "_ENOUGH", 0)
    monkeypatch.setattr(plain, "_PANEL", 1)
    monkeypatch.setattr(plain, "_COLUMNS", rows * (8 + 2 * padding[1] - 2))  # as many rows in a block
    monkeypatch.setattr(blocked, "_THREAD_WORK", 1)
    before = blocked.get_num_threads()
    how = ((1, 1), padding, (1, 1), 1)
    try:
        for threads in (1, 3):
            blocked.set_num_threads(threads)
            for images in (1, 2):
                wanted = by_offsets(x[:images], w, b, *how)
                np.testing.assert_allclose(cpu.conv(x[:images], w, b, *how), wanted, rtol=1e-12, atol=1e-12)
    finally:
        blocked.set_num_threads(before)


@pytest.mark.parametrize("height", range(1, 10))
def test_rows_made_together_divide_those_of_the_output(height):
    plan = narrow._plan((6, 1, 5, 5), (height, 8), (2, 2))
    assert plan.out == (height, 8)
    assert height % plan.rows == 0
    x, w = array((2, 1, height, 8), "float64"), array((6, 1, 5, 5), "float64", seed=1)
    how = ((1, 1), (2, 2), (1, 1), 1)
    np.testing.assert_allclose(cpu.conv(x, w, None, *how), by_offsets(x, w, np.zeros(6), *how), rtol=1e-12, atol=1e-12)


def test_float64_keeps_its_digits_where_float32_goes_by_winograd(monkeypatch):
    x, w = array((4, 32, 16, 16), "float64"), array((32, 32, 3, 3), "float64", seed=1)
    how = ((1, 1), (1, 1), (1, 1), 1)
    wanted = by_offsets(x, w, np.zeros(32), *how)
    calls = []
    transformed = cpu.winograd.conv
    monkeypatch.setattr(cpu.winograd, "conv", lambda *args: calls.append(args) or transformed(*args))
    largest = np.abs(wanted).max()
    assert np.abs(cpu.conv(x, w, None, *how) - wanted).max() < 1e-14 * largest
    assert not calls
    single = cpu.conv(x.astype(np.float32), w.astype(np.float32), None, *how)
    assert np.abs(single - wanted).max() < 5e-6 * largest
    assert len(calls) == 1


def test_threads_change_nothing_but_the_order_of_sums(monkeypatch):
    x, w, b, g, how = operands("lenet")
    one = [cpu.conv(x, w, b, *how), cpu.conv_weight_gradient(g, x, w.shape[2:], *how)]
    monkeypatch.setattr(blocked, "_THREAD_WORK", 1)
    monkeypatch.setattr(blocked, "_THREAD_BLOCK", 1)
    before = blocked.get_num_threads()
    blocked.set_num_threads(3)
    try:
        several = [cpu.conv(x, w, b, *how), cpu.conv_weight_gradient(g, x, w.shape[2:], *how)]
        again = [cpu.conv(x, w, b, *how), cpu.conv_weight_gradient(g, x, w.shape[2:], *how)]
    finally:
        blocked.set_num_threads(before)
    for first, second, third in zip(one, several, again, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(second, third)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("name", SHAPES)
def test_cuda_agrees(name, dtype, device):
    if device == "cpu":
        return
    x, w, b, g, how = operands(name, dtype)
    limit = {"float32": 1e-4, "float64": 1e-11, "float16": 2e-2, "bfloat16": 2e-1}[dtype]
    for kernel, args in (
        ("conv", (x, w, b, *how)),
        ("conv_input_gradient", (g, w, x.shape[2:], *how)),
        ("conv_weight_gradient", (g, x, w.shape[2:], *how)),
    ):
        wanted = K[kernel].cpu(*args)
        found = to_host(K[kernel].cuda(*to_device(args)))
        again = to_host(K[kernel].cuda(*to_device(args)))
        np.testing.assert_array_equal(found, again)
        np.testing.assert_allclose(
            found.astype(np.float64), wanted.astype(np.float64), rtol=limit, atol=limit, err_msg=kernel
        )


def test_the_weight_gradient_in_parts(device):
    if device == "cpu":
        return
    x, w = array((4, 8, 20, 20)), array((8, 8, 3, 3), seed=1)
    how = ((1, 1), (1, 1), (1, 1), 1)
    g = array((4, 8, 20, 20), seed=2)
    found = to_host(K["conv_weight_gradient"].cuda(*to_device((g, x)), w.shape[2:], *how))
    np.testing.assert_allclose(found, cpu.conv_weight_gradient(g, x, (3, 3), *how), rtol=1e-4, atol=2e-3)


class _NotSupported(Exception):  # noqa: N818 - cuDNN's
    """What the frontend raises, which is no RuntimeError."""


class _Graph:
    """What `cudnn_conv` calls of a cuDNN graph, computed by the kernels for the CPU."""

    executed = 0

    def __init__(self, **_):
        self.shapes, self.unwanted = [], []

    def tensor(self, dim, stride, data_type, name):
        made = _Tensor()
        made.set_dim(dim).set_stride(stride)
        self.shapes.append(made)
        return made

    def _operation(self, name, first, second, how):
        made = _Tensor()
        self.call = (name, first, second, made, tuple(map(tuple, (how["stride"], how["padding"], how["dilation"]))))
        return made

    def conv_fprop(self, image, weight, **how):
        return self._operation("conv", image, weight, how)

    def conv_dgrad(self, loss, filter, **how):
        return self._operation("conv_input_gradient", loss, filter, how)

    def conv_wgrad(self, loss, image, **how):
        return self._operation("conv_weight_gradient", loss, image, how)

    def validate(self):
        if len(self.call[3].dim) > 4:
            raise _NotSupported("no engine")

    def build_operation_graph(self):
        pass

    check_support = build_plans = build_operation_graph

    def create_execution_plans(self, modes):
        assert modes == ["A", "FALLBACK"]

    def deselect_numeric_notes(self, notes):
        assert notes[0] == "NONDETERMINISTIC"

    def get_workspace_size(self):
        return 0

    def execute(self, pointers, workspace, handle):
        type(self).executed += 1
        name, first, second, made, how = self.call
        a, b, y = (_view(pointers[t], t) for t in (first, second, made))
        if name == "conv":
            y[...] = cpu.conv(a, b, None, *how, a.shape[1] // b.shape[1])
        elif name == "conv_input_gradient":
            y[...] = cpu.conv_input_gradient(a, b, y.shape[2:], *how, y.shape[1] // b.shape[1])
        else:
            y[...] = cpu.conv_weight_gradient(a, b, y.shape[2:], *how, b.shape[1] // y.shape[1])


class _Tensor:
    def set_dim(self, dim):
        self.dim = tuple(dim)
        return self

    def set_stride(self, stride):
        self.stride = stride
        return self

    def set_output(self, _):
        return self

    set_data_type = set_output


def _view(pointer, tensor):
    import ctypes

    span = 1 + sum((n - 1) * s for n, s in zip(tensor.dim, tensor.stride, strict=True))
    flat = np.ctypeslib.as_array((ctypes.c_float * span).from_address(pointer))
    return np.lib.stride_tricks.as_strided(flat, tensor.dim, [4 * s for s in tensor.stride])


@pytest.mark.parametrize("tf32", [False, True])
def test_cudnn_is_used_where_it_has_a_plan(tf32, device, monkeypatch, request):
    """With a stand-in for the library: what is asked of it, that plans are kept, and that its refusal is no error."""
    if device == "cpu":
        return
    from tensorgrad.kernels import switches
    from tensorgrad.kernels.cuda import conv, cudnn

    names = types.SimpleNamespace(
        __version__="1.28.0",
        backend_version=lambda: 92000,
        cudnnGraphNotSupportedError=_NotSupported,
        pygraph=_Graph,
        create_handle=lambda: "handle",
        set_stream=lambda handle, stream: None,
        data_type=types.SimpleNamespace(FLOAT=0, HALF=1, BFLOAT16=2),
        heur_mode=types.SimpleNamespace(A="A", FALLBACK="FALLBACK"),
        numerical_note=types.SimpleNamespace(
            **{note: note for note in ("NONDETERMINISTIC", "TENSOR_CORE", "DOWN_CONVERT_INPUTS")}
        ),
    )
    cudnn.substitute(names)
    request.addfinalizer(lambda: cudnn.substitute(None))
    monkeypatch.setattr(switches, "cudnn_allow_tf32", tf32)
    for name in SHAPES:
        x, w, b, g, how = operands(name, "float32")
        for kernel, args in (
            ("conv", (x, w, b, *how)),
            ("conv_input_gradient", (g, w, x.shape[2:], *how)),
            ("conv_weight_gradient", (g, x, w.shape[2:], *how)),
        ):
            for _ in range(2):
                found = to_host(K[kernel].cuda(*to_device(args)))
                np.testing.assert_allclose(
                    found, K[kernel].cpu(*args), rtol=1e-4, atol=1e-4, err_msg=f"{name} {kernel}"
                )
            assert conv.computed_by[kernel] == ("own" if x.ndim == 5 else "cudnn")
    assert len(cudnn._plans) == 3 * len(SHAPES)
    assert set(cudnn.refusals().values()) == {"_NotSupported: no engine"}
    assert (conv.choice("float32"), conv.choice("float64")) == ("cudnn", "own")
    monkeypatch.setattr(switches, "cudnn_enabled", False)
    assert conv.choice("float32") == "own"
    conv.conv(*to_device(operands("lenet", "float32")[:3]), *operands("lenet")[4])
    assert conv.computed_by["conv"] == "own"
