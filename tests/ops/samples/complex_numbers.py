"""Functions of complex numbers, which are made of two real inputs so that the derivatives are those by real numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgrad as tg
from tensorgrad.ops.complex_parts import imag_part, join_parts, real_part

from . import add, values


def _add(op: str, label: str, call: Callable[..., Any], *shapes: tuple[int, ...], reference: Any, **more: Any) -> None:
    """A sample whose complex operands, of the given shapes, are off the branch cuts and away from 0."""
    parts = []
    for i, shape in enumerate(shapes):
        parts += [values(*shape, low=0.3, high=1.4, seed=2 * i), values(*shape, low=-1.2, high=1.2, seed=2 * i + 1)]

    def paired(numbers: tuple[Any, ...], join: Callable[[Any, Any], Any]) -> list[Any]:
        return [join(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]

    add(
        op,
        f"complex {label}".strip(),
        lambda *numbers: call(*paired(numbers, join_parts)),
        *parts,
        reference=lambda *numbers: reference(*paired(numbers, lambda x, y: x + 1j * y)),
        halves=False,
        slack=20.0,
        **more,
    )


_UNARY = {
    "abs": np.abs, "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan,
    "atanh": np.arctanh, "cos": np.cos, "cosh": np.cosh, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1,
    "log": np.log, "log10": np.log10, "log1p": np.log1p, "log2": np.log2, "negative": np.negative,
    "reciprocal": np.reciprocal, "sin": np.sin, "sinh": np.sinh, "sqrt": np.sqrt, "square": np.square, "tan": np.tan,
    "tanh": np.tanh,
}  # fmt: skip

for _name, _reference in _UNARY.items():
    _add(_name, "", getattr(tg, _name), (2, 3), reference=_reference)
_add("rsqrt", "", tg.rsqrt, (2, 3), reference=lambda z: 1 / np.sqrt(z))
_add("divide", "sign", tg.sign, (2, 3), reference=lambda z: z / np.abs(z))
_add("conj", "", tg.conj, (2, 3), reference=np.conj)
_add("conj", "scalar", tg.conj, (), reference=np.conj)
_add("imag", "", tg.imag, (2, 3), reference=np.imag)
_add("imag_copy", "", imag_part, (2, 3), reference=np.imag)
_add("real", "", tg.real, (2, 3), reference=np.real)
_add("cast", "real part", real_part, (2, 3), reference=np.real)
_add("view_as_real", "", tg.view_as_real, (2, 3), reference=lambda z: np.stack([z.real, z.imag], -1))
_add(
    "view_as_real",
    "strided",
    lambda z: tg.view_as_real(z.T[::2]),
    (2, 3),
    reference=lambda z: np.stack([z.real, z.imag], -1)[:, ::2].swapaxes(0, 1),
)
add(
    "view_as_complex",
    "",
    lambda x: tg.view_as_complex(x.contiguous()),
    values(2, 3, 2),
    reference=lambda x: x[..., 0] + 1j * x[..., 1],
    halves=False,
)
_add("angle", "", tg.angle, (2, 3), reference=np.angle)
_add(
    "join_parts",
    "broadcast",
    lambda z: join_parts(z.real, z.imag[:1]),
    (2, 3),
    reference=lambda z: z.real + 1j * z.imag[:1],
)
_add("add", "", tg.add, (2, 3), (3,), reference=np.add)
_add("subtract", "", tg.subtract, (2, 3), (2, 1), reference=np.subtract)
_add("multiply", "", tg.multiply, (2, 3), (3,), reference=np.multiply)
_add("multiply", "by a real one", lambda z: z * z.imag, (2, 3), reference=lambda z: z * z.imag)
_add("multiply", "by a number", lambda z: z * (2 - 1j), (2, 3), reference=lambda z: z * (2 - 1j))
_add("divide", "", tg.divide, (2, 3), (3,), reference=np.divide)
_add("divide", "a real one", lambda z: z.real / z, (2, 3), reference=lambda z: z.real / z)
_add("pow", "", tg.pow, (2, 3), (3,), reference=np.power)
_add("pow", "of a number", lambda z: (2 + 1j) ** z, (2, 3), reference=lambda z: (2 + 1j) ** z)
_add(
    "where",
    "",
    lambda z, w: tg.where(z.real > 0.8, z, w),
    (2, 3),
    (2, 3),
    reference=lambda z, w: np.where(z.real > 0.8, z, w),
)
_add("sum", "", lambda z: tg.sum(z, axis=1), (2, 3), reference=lambda z: z.sum(1))
_add("mean", "", lambda z: tg.mean(z, axis=0), (2, 3), reference=lambda z: z.mean(0))
_add("prod", "", lambda z: tg.prod(z, axis=1), (2, 3), reference=lambda z: z.prod(1))
_add("add", "var", lambda z: tg.var(z, axis=1, correction=1), (2, 3), reference=lambda z: z.var(1, ddof=1))
_add("sqrt", "std", lambda z: tg.std(z, axis=1), (2, 3), reference=lambda z: z.std(1))
_add("log", "logsumexp", lambda z: tg.logsumexp(z, axis=1), (2, 3), reference=lambda z: np.log(np.exp(z).sum(1)))
_add("matmul", "", tg.matmul, (2, 3), (3, 2), reference=np.matmul)
_add("matmul", "vecdot", tg.vecdot, (2, 3), (2, 3), reference=np.vecdot)
_add("matmul", "einsum", lambda z, w: tg.einsum("ij,kj->ik", z, w), (2, 3), (2, 3), reference=lambda z, w: z @ w.T)
_add("concat", "", lambda z, w: tg.concat([z, w]), (2, 3), (1, 3), reference=lambda z, w: np.concatenate([z, w]))
_add("getitem", "", lambda z: z[:, ::-1], (2, 3), reference=lambda z: z[:, ::-1])
_add(
    "take",
    "",
    lambda z: tg.take(z, tg.tensor([0, 2, 0], device=z.device), axis=1),
    (2, 3),
    reference=lambda z: z[:, [0, 2, 0]],
)
_add("reshape", "", lambda z: z.reshape(3, 2), (2, 3), reference=lambda z: z.reshape(3, 2))
_add("cumsum", "", lambda z: tg.cumulative_sum(z, axis=1), (2, 3), reference=lambda z: z.cumsum(1))
_add("cumprod", "", lambda z: tg.cumulative_prod(z, axis=1), (2, 3), reference=lambda z: z.cumprod(1))
_add("broadcast_to", "", lambda z: tg.broadcast_to(z, (2, 3)), (3,), reference=lambda z: np.broadcast_to(z, (2, 3)))
_add("clone", "", tg.clone, (2, 3), reference=np.copy)
_add("permute_dims", "adjoint", lambda z: z.mH, (2, 3), reference=lambda z: z.conj().T)
_add("sigmoid", "", tg.sigmoid, (2, 3), reference=lambda z: 1 / (1 + np.exp(-z)))
_add("silu", "", tg.nn.functional.silu, (2, 3), reference=lambda z: z / (1 + np.exp(-z)))
