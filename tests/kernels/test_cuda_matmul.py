"""Matrix products on CUDA against NumPy's, with cuBLAS replaced by the emulator's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels.cpu import matmul as cpu

from tests import cuda_emulator
from tests.kernels.test_cuda_agreement import FLOATS, agree, array, assert_close, to_device


@pytest.fixture(autouse=True)
def library() -> Iterator[list[dict[str, Any]]]:
    """The calls that reach cuBLAS."""
    cuda_emulator.install()
    from tensorgrad.kernels.cuda import gemm

    calls: list[dict[str, Any]] = []
    names = (
        "transa transb m n k alpha A_ptr A_type lda strideA B_ptr B_type ldb strideB "
        "beta C_ptr C_type ldc strideC batch"
    )

    class Recording:
        @staticmethod
        def gemm_strided_batched_ex(*args: Any) -> None:
            calls.append(dict(zip(names.split(), args, strict=False)) | {"compute_type": args[-1]})
            cuda_emulator.cublas.gemm_strided_batched_ex(*args)

    before = gemm.substitute(Recording())
    yield calls
    gemm.substitute(before)


SHAPES = [
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (3, 4, 5)),
    ((2, 3, 4), (4,)),
    ((4,), (2, 4, 5)),
    ((3, 4), (2, 4, 5)),
    ((1, 4), (4, 1)),
    ((3, 1), (1, 5)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
    ((2, 0, 4), (4, 5)),
    ((2, 3, 1, 4), (2, 3, 4, 1)),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    agree("matmul", array(a), array(b, seed=1))


@pytest.mark.parametrize("dtype", [*FLOATS, "complex64", "complex128", "int32", "bool", "uint8"])
def test_dtypes(dtype: str) -> None:
    bounds = {"rtol": 5e-2, "atol": 5e-2} if dtype in ("float16", "bfloat16") else None
    agree("matmul", array((2, 3, 4), dtype), array((2, 4, 5), dtype, 1), bounds=bounds)
    agree("matmul", array((3, 4), dtype), array((4, 5), dtype, 1), bounds=bounds)


def test_transposed_views_are_not_copied(library: list[dict[str, Any]]) -> None:
    from tensorgrad.kernels.cuda import matmul

    cupy = cuda_emulator.install()
    x, y = to_device((array((2, 6, 4)), array((2, 6, 5), seed=1)))
    for a, b, out in (
        (x.swapaxes(1, 2), y, None),
        (x.swapaxes(1, 2), y, cupy.empty((2, 5, 4), "f4").swapaxes(1, 2)),
        (y.swapaxes(1, 2), x, None),
    ):
        before = len(library)
        result = matmul.matmul(a, b, out=out)
        (call,) = library[before:]
        assert {call["A_ptr"], call["B_ptr"]} == {a.data.ptr, b.data.ptr}
        assert call["batch"] == 2
        assert_close(result, np.matmul(a.get(), b.get()))


def test_a_stack_times_a_matrix_is_one_product(library: list[dict[str, Any]]) -> None:
    agree("matmul", array((3, 4, 6)), array((6, 5)))
    assert library[0]["batch"] == 1
    assert library[0]["n"] == 12


def test_heads_of_attention_are_read_in_place(library: list[dict[str, Any]]) -> None:
    from tensorgrad.kernels.cuda import matmul

    q, k = to_device((array((3, 5, 2, 4)), array((3, 5, 2, 4), seed=1)))
    q, k = q.transpose(0, 2, 1, 3), k.transpose(0, 2, 3, 1)
    result = matmul.matmul(q, k)
    assert len(library) == 2
    assert all(call["batch"] == 3 for call in library)
    assert_close(result, np.matmul(q.get(), k.get()))


def test_many_separate_batches_are_copied_rather_than_looped(library: list[dict[str, Any]]) -> None:
    from tensorgrad.kernels.cuda import matmul

    q = to_device(array((18, 3, 17, 4))).transpose(0, 2, 1, 3)
    result = matmul.matmul(q, q.swapaxes(2, 3))
    assert len(library) == 1
    assert_close(result, np.matmul(q.get(), q.swapaxes(2, 3).get()))


def test_broadcast_batches_have_stride_zero(library: list[dict[str, Any]]) -> None:
    agree("matmul", array((1, 3, 4)), array((6, 4, 5), seed=1))
    assert library[0]["strideB"] == 0  # the row-major first operand is cuBLAS's second


def test_accumulation() -> None:
    from tensorgrad.kernels.cuda import matmul

    a, b, c = array((3, 4)), array((4, 5), seed=1), array((3, 5), seed=2)
    on_device = to_device(c)
    matmul.accumulate(on_device, *to_device((a, b)))
    assert_close(on_device, c + a @ b)


def test_tf32_is_a_switch(library: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorgrad.kernels import switches
    from tensorgrad.kernels.cuda import gemm, matmul

    x = to_device(array((3, 3)))
    matmul.matmul(x, x)
    monkeypatch.setattr(switches, "allow_tf32", True)
    matmul.matmul(x, x)
    matmul.matmul(x.astype("f8"), x.astype("f8"))
    kinds = [call["compute_type"] for call in library]
    assert kinds == [gemm.COMPUTE_32F, gemm.COMPUTE_32F_FAST_TF32, gemm.COMPUTE_64F]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
def test_linear(shape: tuple[int, ...], dtype: str) -> None:
    bounds = {"rtol": 1e-2, "atol": 1e-2} if dtype == "float16" else None
    weight, bias = array((5, 4), dtype, 1), array((5,), dtype, 2)
    agree("linear", array(shape, dtype), weight, bounds=bounds)
    agree("linear", array(shape, dtype), weight, bias, bounds=bounds)


def test_shapes_that_do_not_agree_are_named() -> None:
    from tensorgrad.kernels.cuda import matmul

    with pytest.raises(ValueError, match=r"matmul: shapes \(2, 3\) and \(4, 5\) do not agree: 3 != 4"):
        matmul.matmul(*to_device((array((2, 3)), array((4, 5)))))
    assert cpu.matmul(array((2, 3)), array((3, 5))).shape == (2, 5)
