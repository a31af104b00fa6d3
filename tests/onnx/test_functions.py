"""Functions of tensors as graphs, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

from .runtime import check

F = tg.nn.functional
X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
Y = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
Z = np.random.default_rng(2).standard_normal((3, 4, 5, 6)).astype(np.float32)
PLACES = np.array([[0, 2], [1, 0]])


def t(array):
    return tg.tensor(array, device="cpu")


I = t(PLACES)  # noqa: E741


def written(x):
    y = x * 0.0
    y[:, 1] = x[:, 0]
    y[0] = x[1]
    y[t(np.array([0, 2]))] = 1.0
    y[x > 1] = 0.5
    y += 1
    return y


FUNCTIONS = [
    ("slices", lambda x: (x[1:, ::2], x[-1], x[..., -2:], x[::-1], x[2:0:-1, None], x[:, None, 1], x[5:]), (X,)),
    ("integer arrays", lambda x: (x[I], x[:, I], x[:, I, 1:, I], x[:, I, I[0]], x[1, :, I], x[1:, None, I, 1:]), (Z,)),
    ("index inputs", lambda x, i: (x[i], x[i, i + 1], x[None, i, :, None]), (X, np.array([-1, 0, 2]))),
    ("constant mask", lambda x: x[t(np.array([True, False, True]))], (X,)),
    ("writes", written, (X,)),
    ("rounding", lambda x: [f(3 * x) for f in (tg.trunc, tg.round, tg.floor, tg.ceil, tg.sign)], (X,)),
    ("roots", lambda x: [f(tg.abs(x)) for f in (tg.log1p, tg.log2, tg.log10, tg.rsqrt, tg.sqrt, tg.reciprocal)], (X,)),
    ("exponentials", lambda x: [f(x) for f in (tg.exp, tg.expm1, tg.exp2, tg.square, tg.erf, tg.erfc)], (X,)),
    ("angles", lambda x: [f(x / 4) for f in (tg.sin, tg.cos, tg.tan, tg.asin, tg.acos, tg.atan)], (X,)),
    ("hyperbolic", lambda x: [f(x / 4) for f in (tg.sinh, tg.cosh, tg.tanh, tg.asinh, tg.atanh)], (X,)),
    ("two", lambda x, y: [f(x, y) for f in (tg.atan2, tg.hypot, tg.logaddexp, tg.copysign, tg.maximum)], (X, Y)),
    ("arithmetic", lambda x, y: (x // y, x % y, tg.abs(x) ** y, x / y, 2 / x, 3 - x, x - 3, -x), (X, Y)),
    (
        "comparisons",
        lambda x, y: (x < y, x <= y, x == y, x != y, (x < y) & (x < 1), (x < y) ^ (x > 1), ~(x > y)),
        (X, Y),
    ),
    (
        "integers",
        lambda a, b: (a // b, a % b, a & b, a | b, a ^ b, ~a, a / b, abs(a)),
        (np.array([5, -5, 7]), np.array([3, 3, -2])),
    ),
    (
        "choices",
        lambda x: (tg.where(x > 0, x, 0.0), tg.clip(x, -0.5, 0.5), tg.clip(x, 0.1), x.masked_fill(x > 0, 3.0)),
        (X,),
    ),
    (
        "not finite",
        lambda x: (tg.isfinite(x), tg.isinf(x), tg.isnan(x), tg.logsumexp(x, axis=1)),
        (np.array([[1, np.inf], [-np.inf, -np.inf]], np.float32),),
    ),
    ("casts", lambda x: (x.astype(tg.int64), x.astype(tg.bool), x.astype(tg.float64) * 2, x.astype(tg.float16)), (X,)),
    (
        "sums",
        lambda x: (x.sum(axis=0, keepdims=True), x.mean(), x.std(axis=0, correction=1), x.var(), x.prod(axis=1)),
        (X,),
    ),
    (
        "extrema",
        lambda x: (x.max(axis=1), x.min(), x.argmax(axis=1), x.argmin(), tg.any(x > 0, axis=0), tg.all(x > -9)),
        (X,),
    ),
    (
        "order",
        lambda x: (tg.sort(x, axis=0), tg.argsort(x, descending=True), tg.topk(x, 2), tg.topk(x, 2, sorted=False)),
        (X,),
    ),
    (
        "parts",
        lambda x: (tg.split(x, 2, axis=1), tg.chunk(x, 3, axis=1), tg.unstack(x), tg.diagonal(x), tg.tril(x)),
        (X,),
    ),
    (
        "matrices of diagonals",
        lambda x: tuple(tg.diag_embed(x, k) for k in (-1, 0, 2)),
        (X,),
    ),
    (
        "joins",
        lambda x: (
            tg.stack([x, x + 1], axis=1),
            tg.concat([x, x]),
            tg.roll(x, 1),
            tg.repeat(x, 2, axis=0),
            tg.tile(x, (2, 2)),
            tg.stack([x, x * 2], axis=1),
        ),
        (X,),
    ),
    (
        "products",
        lambda x, y: (tg.einsum("ij,kj->ik", x, y), tg.kron(x, y), tg.tensordot(x, y, axes=2), x @ y.T, x[0] @ y[0]),
        (X, Y),
    ),
    (
        "along an axis",
        lambda x: (tg.gather(x, 1, I), tg.scatter(x, 1, I, 9.0), tg.scatter_add(x, 1, I, tg.ones(2, 2, device="cpu"))),
        (X,),
    ),
    (
        "windows",
        lambda x: (
            F.max_pool2d(x, 2, return_indices=True),
            F.avg_pool2d(x, 3, 2, 1, True, False),
            F.max_pool2d(x, 2, 3, 1, ceil_mode=True),
        ),
        (Z,),
    ),
    (
        "pictures",
        lambda x: (
            F.interpolate(x, scale_factor=2),
            F.interpolate(x, size=(7, 8), mode="bicubic"),
            F.pad(x, (1, 2, 0, 1), "reflect"),
        ),
        (Z,),
    ),
    ("sampling", lambda x, g: F.grid_sample(x, g, align_corners=False), (Z, np.tanh(Z[:, :3, :, :2]))),
    (
        "running",
        lambda x: (tg.cumulative_sum(x, axis=1), tg.cumprod(x, axis=0), tg.logcumsumexp(x, axis=1)),
        (X,),
    ),
    (
        "search",
        lambda x, y: (tg.searchsorted(x, y), tg.searchsorted(x, y, side="right"), tg.isin(y, x)),
        (np.array([1.0, 2, 3], np.float32), np.array([[2, 2.5], [0, 9]], np.float32)),
    ),
    ("frames", lambda x: (tg.pad(x, 1), tg.pad(x, ((1, 0), (2, 3)), mode="reflect"), x.unfold(1, 2, 1)), (X,)),
    ("norms", lambda x: [tg.linalg.vector_norm(x, ord=o, axis=1) for o in (0, 1, 2, 3, float("inf"))], (X,)),
    ("rare", lambda x, y: [f(x, y) for f in (tg.fmax, tg.fmod, tg.heaviside, tg.logaddexp2)] + [tg.cbrt(x)], (X, Y)),
    ("missing", lambda x: (tg.nanmax(x, axis=1), tg.nanmin(x), tg.signbit(x), tg.linalg.det(x[:, :3])), (X,)),
    (
        "attention",
        lambda q: (
            F.scaled_dot_product_attention(q, q, q, is_causal=True),
            F.scaled_dot_product_attention(q, q, q, q[..., :5] > 0),
        ),
        (Z,),
    ),
]


@pytest.mark.parametrize(("function", "arrays"), [f[1:] for f in FUNCTIONS], ids=[f[0] for f in FUNCTIONS])
def test_function(function, arrays):
    check(function, tuple(t(a) for a in arrays))


def test_results_are_flattened_and_named():
    proto = check(lambda x: {"a": x, "b": [x + 1, (x * 2,)]}, t(X))
    assert [y.name for y in proto.graph.output] == ["a", "b_0", "b_1_0"]
    proto = tg.onnx.export(lambda x, pair, *rest: x + pair["u"] + rest[0], (t(X), {"u": t(Y), "k": 3}, t(Y)))
    assert [x.name for x in proto.graph.input] == ["x", "pair_u", "rest_2"]


def view_write(x):
    y = x * 1
    part = y[0]
    part += 1
    return y


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: tg.nextafter(x, x + 1), r"nextafter at .*test_functions\.py:\d+ in <lambda>: has no form in ONNX"),
        (lambda x: x * float(x.sum()), "read by Python"),
        (lambda x: x if (x > 0).all() else -x, "read by Python"),
        (lambda x: x[x > 0], "whose shape depends on their values"),
        (lambda x: x + tg.randn(4, device="cpu"), "random numbers are drawn"),
        (view_write, "another tensor is a view"),
        (lambda x: 3, "returns no tensor"),
    ],
)
def test_what_cannot_be_exported_is_refused(function, message):
    with pytest.raises(tg.onnx.ExportError, match=message):
        tg.onnx.export(function, t(X))


def test_the_layer_is_named():
    class Odd(tg.nn.Module):
        def forward(self, x):
            return tg.nextafter(x, x + 1)

    with pytest.raises(tg.onnx.ExportError, match=r"in the layer '1' \(Odd\)"):
        tg.onnx.export(tg.nn.Sequential(tg.nn.Identity(), Odd()), t(X))
