"""What the samples of products leave out: errors, dtypes, the order of contraction."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.ops.product import _next_pair

from .samples import values

WRONG = [
    ("ij,jk", [(2, 3)], "names 2 operands, got 1"),
    ("i1", [(2, 3)], "'1' in 'i1' is not a letter"),
    ("i.j", [(2, 3)], "is not a letter"),
    ("......", [(2,)], "is not a letter"),
    ("ij->i->j", [(2, 3)], "is not a letter"),
    ("ij", [(2, 3, 4)], r"names 2 axes, operand 0 has shape \(2, 3, 4\)"),
    ("...ijk", [(2, 3)], r"names 3 axes, operand 0 has shape \(2, 3\)"),
    ("ij->k", [(2, 3)], "no operand .* has the output's axis 'k'"),
    ("ij->ii", [(2, 3)], "names an axis twice"),
    ("ii", [(2, 3)], r"axis 'i' of 'ii' is 2 and 3 long, shapes \(2, 3\)"),
    ("ii", [(1, 3)], "axis 'i' of 'ii' is 1 and 3 long"),
    ("ij,jk", [(2, 3), (4, 5)], r"axis 'j' of 'ij,jk' is 3 and 4 long, shapes \(2, 3\), \(4, 5\)"),
    ("...,...", [(2,), (3,)], "axis -1 of '...' of '...,...' is 2 and 3 long"),
    ("...i->i", [(2, 3)], "lacks the '...'"),
]


@pytest.mark.parametrize(("subscripts", "shapes", "message"), WRONG, ids=lambda x: str(x)[:20])
def test_errors_of_einsum(subscripts, shapes, message):
    with pytest.raises(ValueError, match=f"einsum: .*{message}"):
        tg.einsum(subscripts, *(tg.ones(s) for s in shapes))


def test_errors():
    x, y = tg.ones(2, 3), tg.ones(4)
    with pytest.raises(ValueError, match="einsum: needs at least one operand"):
        tg.einsum("i")
    with pytest.raises(TypeError, match="einsum: the subscripts come first"):
        tg.einsum(x, "ij")
    with pytest.raises(ValueError, match=r"tensordot: cannot sum over 3 axes of shapes \(2, 3\) and \(2, 3\)"):
        tg.tensordot(x, x, axes=3)
    with pytest.raises(ValueError, match=r"tensordot: axes \(1,\) of shape \(2, 3\) and \(0,\) of shape \(4,\)"):
        tg.tensordot(x, y, axes=1)
    with pytest.raises(ValueError, match=r"tensordot: axes .* differ in number"):
        tg.tensordot(x, x, axes=((0, 1), (0,)))
    with pytest.raises(ValueError, match="inner: the last axes"):
        tg.inner(x, y)
    with pytest.raises(ValueError, match="vecdot: shapes"):
        tg.vecdot(x, y)
    with pytest.raises(ValueError, match="vecdot: shapes"):
        tg.vecdot(x, tg.ones(3, 3))
    with pytest.raises(IndexError, match="vecdot: axis 1 is out of range"):
        tg.vecdot(x, y, axis=1)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "complex128", "float32", "float16"])
@pytest.mark.parametrize("subscripts", ["ij,jk", "ij->i", "ii", "ij,ij->ij", "ij,jk,kl->i"])
def test_dtype_stays(subscripts, dtype, device):
    x = np.array([[1, 2], [3, 4]]).astype(dtype)
    count = subscripts.split("->")[0].count(",") + 1
    found = tg.einsum(subscripts, *[tg.tensor(x, device=device)] * count)
    np.testing.assert_array_equal(found.cpu().numpy(), np.einsum(subscripts, *[x] * count), strict=True)


def test_operands_promote(device):
    x, y = tg.ones(2, 3, dtype=tg.float32, device=device), tg.ones(3, dtype=tg.float64, device=device)
    assert tg.einsum("ij,j", x, y).dtype == tg.float64
    assert tg.tensordot(x, y, axes=1).dtype == tg.float64
    assert tg.einsum("ij,", x, 2.0).dtype == tg.float32
    assert tg.kron(x, x.astype(tg.int32)).dtype == tg.float32


def test_mixed_precision(device):
    x = tg.ones(2, 2, device=device)
    with tg.amp.autocast(str(device), dtype=tg.float16):
        assert tg.einsum("ij,jk,kl->il", x, x, x).dtype == tg.float16


def test_small_products_come_first():
    sizes = {"a": 100, "b": 100, "c": 2}
    assert _next_pair([("a", "b"), ("b", "a"), ("a", "c")], ("c",), sizes) == (0, 1)
    assert _next_pair([("a", "b"), ("b", "c"), ("c",)], ("a",), sizes) != (0, 2)
    # a long chain whose operands together have far more elements than fit anywhere
    factors = [values(2, 2, seed=i) for i in range(26)]
    letters = "abcdefghijklmnopqrstuvwxyzA"
    chain = ",".join(letters[i : i + 2] for i in range(26)) + "->aA"
    found = tg.einsum(chain, *map(tg.tensor, factors)).numpy()
    np.testing.assert_allclose(found, np.linalg.multi_dot(factors), rtol=1e-10)


def test_methods(device):
    x, y = tg.tensor(values(2, 3), device=device), tg.tensor(values(2, 3, seed=1), device=device)
    for name in ("inner", "outer", "kron"):
        tg.testing.assert_close(getattr(x, name)(y), getattr(tg, name)(x, y))
