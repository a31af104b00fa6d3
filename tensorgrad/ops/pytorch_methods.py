"""Methods that PyTorch's Tensor has under names of its own, so that the forward of a model made there runs here.

What NumPy and PyTorch name alike but mean differently (``size``, ``split``, ``repeat``, ``max`` with an axis) is
NumPy's, as everywhere in this library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..errors import axis_index, integer, integers
from ..tensor import Tensor
from . import elementwise, indexing, matmul, memory, product, shape
from .definition import lift
from .late import late_function
from .overwriting import INPLACE_METHODS

__all__ = ["PYTORCH_METHODS", "addmm", "bmm", "div", "expand", "mm", "mv", "narrow", "numel", "unflatten", "weighted"]

Method = Callable[..., Any]


def _method(name: str, function: Method, doc: str) -> Method:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


# --------------------------------------------------------------------------------------------------------------- dtypes
def _conversion(name: str, dtype: str) -> Method:
    return _method(name, lambda x: x.to(dtype), f"The tensor as ``{dtype}``; itself if it is.")


def type_as(x: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype and on the device of another."""
    return x.to(other)


# --------------------------------------------------------------------------------------------------------------- shapes
def contiguous(x: Tensor) -> Any:
    """The tensor in C order: itself if it is so in memory, else a copy."""
    return x if is_contiguous(x) else memory.clone(x)


def is_contiguous(x: Tensor) -> bool:
    """Whether the elements follow each other in memory in C order."""
    return bool(x._data.flags.c_contiguous)


def numel(x: Any) -> int:
    """How many elements there are."""
    return int(lift(x).size)


def dim(x: Tensor) -> int:
    """How many axes there are."""
    return x.ndim


def expand(x: Any, *sizes: Any) -> Any:
    """A view in which axes of size 1 are repeated without a copy; -1 leaves a size, further sizes come in front.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.ones(3, 1).expand(2, -1, 4).shape
    (2, 3, 4)
    """
    x = lift(x)
    wanted = list(sizes[0] if len(sizes) == 1 and not hasattr(sizes[0], "__index__") else sizes)
    front = len(wanted) - x.ndim
    if front < 0 or any(n == -1 for n in wanted[:front]):
        raise ValueError(f"expand: shape {x.shape} cannot become {tuple(wanted)}")
    return shape.broadcast_to(x, [x.shape[i - front] if n == -1 else n for i, n in enumerate(wanted)])


def expand_as(x: Tensor, other: Tensor) -> Any:
    """The tensor broadcast to the shape of another."""
    return shape.broadcast_to(x, other.shape)


def reshape_as(x: Tensor, other: Tensor) -> Any:
    """The elements in the shape of another tensor."""
    return shape.reshape(x, other.shape)


def t(x: Tensor) -> Any:
    """The two axes of a matrix exchanged; a vector or a number as it is."""
    if x.ndim > 2:
        raise ValueError(f"t: needs at most 2 axes, got shape {x.shape}; use .mT or permute_dims")
    return shape.swapaxes(x, 0, 1) if x.ndim == 2 else x


def narrow(x: Any, dim: int, start: int, length: int) -> Any:
    """The view of ``length`` entries of an axis from ``start`` on; a negative start counts from the end."""
    x = lift(x)
    axis = axis_index("narrow", dim, x.ndim)
    begin, length = integer(start, "start", "narrow"), integer(length, "length", "narrow")
    begin += x.shape[axis] if begin < 0 else 0
    if not 0 <= begin <= begin + length <= x.shape[axis]:
        raise IndexError(f"narrow: {length} entries from {start} on do not lie in axis {dim} of shape {x.shape}")
    return indexing.getitem(x, (*(slice(None),) * axis, slice(begin, begin + length)))


def select(x: Tensor, dim: int, index: int) -> Any:
    """The view at one index of an axis, which is gone."""
    return indexing.getitem(x, (*(slice(None),) * axis_index("select", dim, x.ndim), integer(index, "index", "select")))


def unbind(x: Tensor, dim: int = 0) -> tuple[Any, ...]:
    """The views at every index of an axis."""
    return shape.unstack(x, axis=dim)


def unflatten(x: Any, dim: int, sizes: Any) -> Any:
    """An axis as several, of the given sizes; one may be -1."""
    x = lift(x)
    axis = axis_index("unflatten", dim, x.ndim)
    sizes = integers(sizes, "sizes", "unflatten")
    fixed = math.prod(n for n in sizes if n != -1)
    count = x.shape[axis]
    if not sizes or sizes.count(-1) > 1 or (fixed != count if -1 not in sizes else not fixed or count % fixed):
        raise ValueError(f"unflatten: axis {dim} of shape {x.shape} cannot become axes of sizes {sizes}")
    parts = [count // fixed if n == -1 else n for n in sizes]
    return shape.reshape(x, (*x.shape[:axis], *parts, *x.shape[axis + 1 :]))


# --------------------------------------------------------------------------------------------------------- arithmetic
def add(x: Tensor, other: Any, *, alpha: Any = 1) -> Any:
    """``x + alpha * other``."""
    return elementwise.add(x, other if alpha == 1 else other * alpha)


def sub(x: Tensor, other: Any, *, alpha: Any = 1) -> Any:
    """``x - alpha * other``."""
    return elementwise.subtract(x, other if alpha == 1 else other * alpha)


def div(x: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """``x / other``, rounded towards zero (``"trunc"``) or down (``"floor"``) if asked.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.div(tg.tensor([-7, 7]), 2, rounding_mode="trunc")
    tensor([-3,  3])
    """
    x = lift(x)
    if rounding_mode == "floor":
        return elementwise.floor_divide(x, other)
    if rounding_mode not in (None, "trunc"):
        raise ValueError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    quotient = elementwise.divide(x, other)
    if rounding_mode is None:
        return quotient
    return elementwise.trunc(quotient).astype(dtypes.result_type(x, other), copy=False)


def _product(name: str, first: int, second: int, x: Any, other: Any) -> Any:
    x, other = lift(x), lift(other)
    if (x.ndim, other.ndim) != (first, second):
        raise ValueError(f"{name}: needs {first} and {second} axes, got shapes {x.shape} and {other.shape}")
    if first == 3 and len(x) != len(other):  # matmul would broadcast
        raise ValueError(f"{name}: stacks of shapes {x.shape} and {other.shape} differ in length")
    return matmul.matmul(x, other)


def mm(x: Any, other: Any) -> Any:
    """The product of two matrices."""
    return _product("mm", 2, 2, x, other)


def bmm(x: Any, other: Any) -> Any:
    """The products of two stacks of matrices, shapes (N, A, B) and (N, B, C)."""
    return _product("bmm", 3, 3, x, other)


def mv(x: Any, other: Any) -> Any:
    """The product of a matrix and a vector."""
    return _product("mv", 2, 1, x, other)


def dot(x: Tensor, other: Tensor) -> Any:
    """The sum of the products of the elements of two vectors of one length."""
    return _product("dot", 1, 1, x, other)


def weighted(x: Any, y: Any, beta: Any, alpha: Any) -> Any:
    """``beta * x + alpha * y``; for beta 0 whatever ``x`` holds, NaN also, as in PyTorch."""
    y = y if alpha == 1 else elementwise.multiply(y, alpha)
    if beta == 0:
        return y
    return elementwise.add(x if beta == 1 else elementwise.multiply(x, beta), y)


def addmm(x: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * x + alpha * (mat1 @ mat2)``; for beta 0 whatever ``x`` holds."""
    return weighted(x, mm(mat1, mat2), beta, alpha)


# ------------------------------------------------------------------------------------------------------- new tensors
def _fresh(x: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    place = {"dtype": x.dtype, "device": x.device}
    return {**options, **{name: value for name, value in place.items() if options.get(name) is None}}


def new_empty(x: Tensor, *size: Any, **options: Any) -> Any:
    """Arbitrary content, of the dtype and device of ``x`` unless told otherwise."""
    return memory.empty(*size, **_fresh(x, options))


def new_zeros(x: Tensor, *size: Any, **options: Any) -> Any:
    """Zeros, of the dtype and device of ``x`` unless told otherwise."""
    return memory.zeros(*size, **_fresh(x, options))


def new_ones(x: Tensor, *size: Any, **options: Any) -> Any:
    """Ones, of the dtype and device of ``x`` unless told otherwise."""
    return memory.ones(*size, **_fresh(x, options))


def new_full(x: Tensor, size: Any, fill_value: Any, **options: Any) -> Any:
    """``fill_value`` everywhere, of the dtype and device of ``x`` unless told otherwise."""
    return memory.full(size, fill_value, **_fresh(x, options))


_NUMBERS = {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "cfloat": "complex64",
    "cdouble": "complex128", "long": "int64", "int": "int32", "short": "int16", "char": "int8", "byte": "uint8",
    "bool": "bool",
}  # fmt: skip
_SAME: dict[str, Method] = {
    "absolute": elementwise.abs, "neg": elementwise.negative, "negative": elementwise.negative,
    "positive": elementwise.positive, "mul": elementwise.multiply, "multiply": elementwise.multiply,
    "subtract": sub, "divide": div, "true_divide": elementwise.divide, "floor_divide": elementwise.floor_divide,
    "remainder": elementwise.remainder, "pow": elementwise.pow, "fix": elementwise.trunc,
    "eq": elementwise.equal, "ne": elementwise.not_equal, "lt": elementwise.less, "le": elementwise.less_equal,
    "gt": elementwise.greater, "ge": elementwise.greater_equal, "greater": elementwise.greater,
    "greater_equal": elementwise.greater_equal, "less": elementwise.less, "less_equal": elementwise.less_equal,
    "not_equal": elementwise.not_equal, "logical_and": elementwise.logical_and, "logical_or": elementwise.logical_or,
    "logical_xor": elementwise.logical_xor, "logical_not": elementwise.logical_not,
    "bitwise_and": elementwise.bitwise_and, "bitwise_or": elementwise.bitwise_or,
    "bitwise_xor": elementwise.bitwise_xor, "bitwise_not": elementwise.bitwise_invert,
    "acos": elementwise.acos, "arccos": elementwise.acos, "acosh": elementwise.acosh, "arccosh": elementwise.acosh,
    "asin": elementwise.asin, "arcsin": elementwise.asin, "asinh": elementwise.asinh, "arcsinh": elementwise.asinh,
    "atan": elementwise.atan, "arctan": elementwise.atan, "atanh": elementwise.atanh, "arctanh": elementwise.atanh,
    "atan2": elementwise.atan2, "arctan2": elementwise.atan2, "sinh": elementwise.sinh, "cosh": elementwise.cosh,
    "exp2": elementwise.exp2, "erfc": elementwise.erfc, "hypot": elementwise.hypot, "copysign": elementwise.copysign,
    "nextafter": elementwise.nextafter, "signbit": elementwise.signbit,
    "movedim": shape.moveaxis, "swapdims": shape.swapaxes, "ravel": shape.flatten, "view_as": reshape_as,
    "ndimension": dim, "nelement": numel, "ger": product.outer,
}  # fmt: skip


def polygamma(x: Tensor, n: int) -> Any:
    """The n-th derivative of the digamma function."""
    return late_function("polygamma")(n, x)


PYTORCH_METHODS: dict[str, Method] = {
    **{name: _conversion(name, dtype) for name, dtype in _NUMBERS.items()},
    **_SAME,
    **INPLACE_METHODS,
    **{
        function.__name__: function
        for function in (
            type_as, contiguous, is_contiguous, numel, dim, expand, expand_as, reshape_as, t, narrow, select, unbind,
            unflatten, add, sub, div, mm, bmm, mv, dot, addmm, new_empty, new_zeros, new_ones, new_full, polygamma,
        )
    },
}  # fmt: skip
