"""Attention through a stand-in for cuDNN, which records the graph and computes it with NumPy on the device's memory."""

from __future__ import annotations

import ctypes
import types
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS, switches
from tensorgrad.kernels.cpu import attention as cpu

from tests import cuda_emulator
from tests.kernels.test_cuda_agreement import array, assert_close, dtype_of, to_device
from tests.kernels.test_cuda_cudnn import Unsupported, adapter, library

__all__ = ["adapter"]  # a fixture

_TYPES = {0: "float32", 1: "float16", 2: "bfloat16"}
_BOUNDS = {"rtol": 3e-2, "atol": 3e-2}


class Tensor:
    """A tensor of a graph."""

    def __init__(self) -> None:
        self.dim: tuple[int, ...] = ()
        self.stride: list[int] = []
        self.data_type, self.output = -1, False

    def set_dim(self, dim: list[int]) -> Tensor:
        self.dim = tuple(dim)
        return self

    def set_stride(self, stride: list[int]) -> Tensor:
        self.stride = stride
        return self

    def set_data_type(self, data_type: int) -> Tensor:
        self.data_type = data_type
        return self

    def set_output(self, output: bool) -> Tensor:
        self.output = output
        return self

    def view(self, pointer: int) -> Any:
        dtype = dtype_of(_TYPES[self.data_type])
        span = 1 + sum((n - 1) * s for n, s in zip(self.dim, self.stride, strict=True))
        memory = (ctypes.c_char * (span * dtype.itemsize)).from_address(pointer)
        flat = np.frombuffer(memory, np.uint8).view(dtype)
        return np.lib.stride_tricks.as_strided(flat, self.dim, [dtype.itemsize * s for s in self.stride])


class Graph:
    """What `cudnn_attention` calls, with what cuDNN demands."""

    made: list[Graph]

    def __init__(self, **_: Any) -> None:
        type(self).made.append(self)
        self.runs = 0

    def tensor(self, dim: list[int], stride: list[int], data_type: int, name: str) -> Tensor:
        assert name in ("q", "k", "v", "o", "dO", "stats")
        return Tensor().set_dim(dim).set_stride(stride).set_data_type(data_type)

    def sdpa(self, *, q: Tensor, k: Tensor, v: Tensor, generate_stats: bool, **options: Any) -> list[Tensor]:
        assert generate_stats
        self.options, self.read, self.written = options, [q, k, v], [Tensor(), Tensor()]
        self.stats = self.written[1]
        return self.written

    def sdpa_backward(
        self, *, q: Tensor, k: Tensor, v: Tensor, o: Tensor, dO: Tensor, stats: Tensor, **options: Any
    ) -> list[Tensor]:
        assert options.pop("use_deterministic_algorithm")
        assert o.stride == dO.stride
        self.options, self.read, self.stats = options, [q, k, v, o, dO, stats], stats
        self.written = [Tensor() for _ in range(3)]
        return self.written

    def validate(self) -> None:
        batch, heads, rows, _ = self.read[0].dim
        if rows == self.read[1].dim[2] == 1:
            raise Unsupported("s_q = s_kv = 1 is not supported.")
        assert self.stats.dim == (batch, heads, rows, 1)
        assert list(self.stats.stride) == [heads * rows, rows, 1, 1]
        assert self.stats.data_type == 0
        for tensor in (*self.read, *self.written):
            if tensor is not self.stats:
                assert tensor.stride[-1] == 1
                assert all(s > 0 and s % 8 == 0 for s in tensor.stride[:-1])
        assert all(tensor.output for tensor in self.written)

    def build_operation_graph(self) -> None:
        pass

    check_support = build_plans = build_operation_graph

    def create_execution_plans(self, modes: list[str]) -> None:
        assert modes == ["A", "FALLBACK"]

    def get_workspace_size(self) -> int:
        return 0

    def execute(self, pointers: Any, workspace: int, handle: Any) -> None:
        self.runs += 1
        assert all(pointers[t] % 16 == 0 for t in (*self.read, *self.written))
        arrays = [t.view(pointers[t]) for t in self.read]
        results = [t.view(pointers[t]) for t in self.written]
        scale = self.options["attn_scale"]
        causal = "diagonal_band_right_bound" in self.options
        if causal:
            assert self.options["diagonal_alignment"] == "TOP_LEFT"
            assert self.options["diagonal_band_right_bound"] == 0
        wide = [a.astype(np.float32) for a in arrays]
        if len(arrays) == 3:
            y, lse = cpu.attention(*wide, None, causal, scale)
            results[0][...], results[1][...] = y, lse[..., None]
            return
        q, k, v, y, g, lse = wide
        for made, x in zip(
            results, cpu.attention_backward(g, q, k, v, y, lse[..., 0], None, causal, scale), strict=True
        ):
            made[...] = x


@pytest.fixture
def graphs(adapter: Any) -> Any:
    """The graphs that were made."""
    cuda_emulator.install()
    made: list[Graph] = []
    adapter.substitute(
        library(
            pygraph=type("Made", (Graph,), {"made": made}),
            diagonal_alignment=types.SimpleNamespace(TOP_LEFT="TOP_LEFT"),
        )
    )
    return made


def operands(shape: tuple[int, ...], dtype: str) -> Any:
    batch, heads, queries, keys, width, value_width = shape
    q, g = array((batch, heads, queries, width), dtype), array((batch, heads, queries, value_width), dtype, 1)
    return q, array((batch, heads, keys, width), dtype, 2), array((batch, heads, keys, value_width), dtype, 3), g


def as_projected(x: Any) -> Any:
    """On the device as a projection leaves it: the heads of a position side by side, between others."""
    cupy = cuda_emulator.install()
    batch, heads, rows, width = x.shape
    wide = cupy.zeros((batch, rows, 3, heads, width), x.dtype)
    view = wide[:, :, 1].swapaxes(1, 2)
    view[...] = cupy.asarray(x)
    return view


def awkward(x: Any) -> Any:
    """On the device as cuDNN cannot read it: the columns apart."""
    cupy = cuda_emulator.install()
    wide = cupy.zeros((*x.shape, 2), x.dtype)
    wide[..., 0] = cupy.asarray(x)
    return wide[..., 0]


def shifted(x: Any) -> Any:
    """On the device, starting between two multiples of 16 bytes."""
    cupy = cuda_emulator.install()
    flat = cupy.zeros(x.size + 1, x.dtype)
    flat[1:] = cupy.asarray(x).reshape(-1)
    return flat[1:].reshape(x.shape)


@pytest.mark.parametrize("place", [to_device, as_projected, awkward, shifted])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7, 16, 8), (1, 1, 9, 9, 8, 8), (3, 2, 1, 4, 8, 8)])
def test_it_computes(graphs: list[Graph], shape: tuple[int, ...], dtype: str, causal: bool, place: Any) -> None:
    from tensorgrad.kernels.cuda import attention

    q, k, v, g = operands(shape, dtype)
    params = {"causal": causal, "scale": shape[4] ** -0.5}
    y, lse = INSTRUCTIONS["attention"].cpu(q, k, v, None, **params)
    wanted = INSTRUCTIONS["attention_backward"].cpu(g, q, k, v, y, lse, None, **params)
    on_device = [place(x) for x in (q, k, v)]
    for _ in range(2):
        found, level = attention.attention(*on_device, **params)
        assert_close(found, y, **_BOUNDS)
        assert_close(level, lse, **_BOUNDS)
        gradients = attention.attention_backward(place(g), *on_device, found, level, **params)
        for have, want in zip(gradients, wanted, strict=True):
            assert_close(have, want, **_BOUNDS)
    assert attention.computed_by == {"attention": "cudnn", "attention_backward": "cudnn"}
    assert [graph.runs for graph in graphs] == [2, 2]
    empty = to_device(tuple(map(np.zeros_like, (y, lse))))
    returned = attention.attention(*on_device, **params, out=empty)
    assert returned[0] is empty[0]
    assert_close(empty[0], y, **_BOUNDS)
    if place is as_projected and shape[1] > 1 and shape[2] > 1:
        assert graphs[0].read[0].stride[1] == shape[4], "read where it lies"
        assert found.swapaxes(1, 2).flags.c_contiguous, "the order of the query"


def test_either_computes_the_gradient_of_the_other(graphs: list[Graph], monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorgrad.kernels.cuda import attention

    q, k, v, g = operands((1, 2, 6, 6, 8, 8), "float16")
    wanted = INSTRUCTIONS["attention_backward"].cpu(g, q, k, v, *INSTRUCTIONS["attention"].cpu(q, k, v))
    q, k, v, g = to_device((q, k, v, g))
    for enabled in (True, False):
        monkeypatch.setattr(switches, "cudnn_enabled", enabled)
        made = attention.attention(q, k, v)
        monkeypatch.setattr(switches, "cudnn_enabled", not enabled)
        gradients = attention.attention_backward(g, q, k, v, *made)
        assert list(attention.computed_by.values()) == (["cudnn", "own"] if enabled else ["own", "cudnn"])
        for have, want in zip(gradients, wanted, strict=True):
            assert_close(have, want, rtol=5e-2, atol=5e-2)


@pytest.mark.parametrize(
    ("shape", "dtype", "other"),
    [
        ((1, 2, 5, 7, 8, 8), "float32", {}),
        ((1, 2, 5, 7, 12, 8), "float16", {}),
        ((1, 2, 5, 7, 8, 8), "float16", {"mask": True}),
        ((1, 2, 5, 7, 8, 8), "float16", {"p": 0.5, "seed": 3}),
        ((1, 2, 1, 1, 8, 8), "float16", {}),  # the graph is refused
        ((1, 2, 0, 3, 8, 8), "float16", {}),
        ((1, 2, 3, 0, 8, 8), "float16", {}),
    ],
)
def test_the_own_kernel_computes_the_rest(
    graphs: list[Graph], shape: tuple[int, ...], dtype: str, other: dict[str, Any]
) -> None:
    from tensorgrad.kernels.cuda import attention

    q, k, v, g = operands(shape, dtype)
    params = {"mask": None, "scale": 0.3, **other}
    if params["mask"]:
        params["mask"] = array((5, 7), dtype)
    y, lse = INSTRUCTIONS["attention"].cpu(q, k, v, **params)
    wanted = INSTRUCTIONS["attention_backward"].cpu(g, q, k, v, y, lse, **params)
    params["mask"] = to_device(params["mask"])
    q, k, v, g = to_device((q, k, v, g))
    for _ in range(2):
        made = attention.attention(q, k, v, **params)
        assert_close(made[0], y, rtol=5e-2, atol=5e-2)
        for have, want in zip(attention.attention_backward(g, q, k, v, *made, **params), wanted, strict=True):
            assert_close(have, want, rtol=5e-2, atol=5e-2)
    assert attention.computed_by == {"attention": "own", "attention_backward": "own"}
    assert not any(graph.runs for graph in graphs)
    assert len(graphs) == (2 if shape[2:4] == (1, 1) else 0), "a refusal is kept"


def test_choice(graphs: list[Graph], monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorgrad.kernels.cuda import attention

    assert attention.choice("float16", 64) == attention.choice(np.float16, 64, 128) == "cudnn"
    for given in (("float32", 64), ("float16", 60), ("float16", 64, 60), ("float16", 64, 64, True)):
        assert attention.choice(*given) == "own"
    assert attention.choice("float16", 64, p=0.1) == "own"
    monkeypatch.setattr(switches, "cudnn_enabled", False)
    assert attention.choice("float16", 64) == "own"
