"""Methods that write their result into the tensor itself: for ``x.exp()`` there is ``x.exp_()``, and so on.

All of `OVERWRITING` follow from the method without the underscore. The result must have the tensor's shape and a dtype
that it can hold; see `inplace.fitted`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import kernels as K
from .. import random
from ..tape import grad_mode
from ..tensor import Tensor
from . import elementwise, indexing, shape
from .inplace import in_place, keeps_dtype, overwrite, take_shape
from .late import late_function

__all__ = ["INPLACE_METHODS", "OVERWRITING"]

Method = Callable[..., Any]

_REAL = frozenset((bool, int, float))

OVERWRITING = """
    abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr arccos arccosh arcsin arcsinh arctan arctan2
    arctanh asin asinh atan atan2 atanh baddbmm bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min clip conj_physical copysign cos cosh cumprod cumsum
    deg2rad digamma div divide eq erf erfc erfinv exp exp2 expm1 fix float_power floor floor_divide fmod frac gcd ge
    greater greater_equal gt heaviside hypot i0 igamma igammac index_add index_copy index_fill index_put index_reduce
    lcm ldexp le lerp less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor logit
    lt masked_fill masked_scatter mul multiply mvlgamma nan_to_num ne neg negative nextafter not_equal polygamma pow
    put rad2deg reciprocal relu remainder renorm round rsqrt scatter scatter_add scatter_reduce sgn sigmoid sign sin
    sinc sinh sqrt square sub subtract tan tanh tril triu true_divide trunc xlogy
""".split()  # noqa: SIM905
"""The methods that have such a form."""

_DIRECT: dict[str, tuple[Method, Any]] = {
    "add": (elementwise.add, K.add), "sub": (elementwise.subtract, K.subtract),
    "subtract": (elementwise.subtract, K.subtract), "mul": (elementwise.multiply, K.multiply),
    "multiply": (elementwise.multiply, K.multiply), "div": (elementwise.divide, K.divide),
    "divide": (elementwise.divide, K.divide), "true_divide": (elementwise.divide, K.divide),
    "pow": (elementwise.pow, K.power), "remainder": (elementwise.remainder, K.remainder),
}  # fmt: skip
# what a kernel computes in place


def _named(name: str, method: Method, doc: str) -> Method:
    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    return method


def _overwriting(name: str) -> Method:
    full = f"{name}_"

    def method(x: Tensor, *args: Any, **options: Any) -> Tensor:
        return overwrite(x, full, getattr(Tensor, name), args, options)

    if name in _DIRECT:
        op, kernel = _DIRECT[name]
        indirect, direct = method, in_place(full, op, kernel)

        def method(x: Tensor, *args: Any, **options: Any) -> Tensor:
            y = args[0] if len(args) == 1 and not options else None
            whole = not isinstance(y, Tensor) or y.dtype == x.dtype  # a wider dtype is rounded once, at the end
            if y is not None and whole and keeps_dtype(x, y, op):
                try:
                    return direct(x, y)  # type: ignore[no-any-return]
                except ValueError:
                    pass  # shapes do not fit: the other way says how
            return indirect(x, *args, **options)

    return _named(full, method, f"`{name}`, written into the tensor itself, which is returned.")


def _reshaping(name: str, op: Method) -> Method:
    def method(x: Tensor, *args: Any) -> Tensor:
        return take_shape(x, name, op, *args)

    return _named(name, method, f"Become the view of itself that `{name[:-1]}` gives.")


def _t(x: Tensor) -> Any:
    return x.t()


def copy_(x: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Take the values of another tensor, cast to this dtype, moved to this device and broadcast to this shape."""
    source = src
    if isinstance(src, Tensor):
        off_tape = x._node is None and src._node is None
        if off_tape and src.shape == x.shape and src.dtype == x.dtype and src.device == x.device:
            K.assign(x._data, src._data)
            x._written()
            return x
        source = src.to(x.device, non_blocking=non_blocking).to(x.dtype)
    indexing.setitem(x, ..., source)
    return x


def fill_(x: Tensor, value: Any) -> Tensor:
    """Take one value everywhere."""
    if value.__class__ in _REAL and x._data.dtype.kind in "fc" and (x._node is None or not grad_mode.get()):
        K.fill(x._data, value)
        x._written()
        return x
    indexing.setitem(x, ..., value)
    return x


def zero_(x: Tensor) -> Tensor:
    """Become zero everywhere."""
    return fill_(x, 0)


def fill_diagonal_(x: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Take a number on the main diagonal."""
    late_function("fill_diagonal")(x, fill_value, wrap)
    return x


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Take numbers from the normal distribution."""
    return copy_(x, random.normal(mean, std, x.shape, dtype=x.dtype, device=x.device, generator=generator))


def uniform_(x: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Tensor:
    """Take numbers from the uniform distribution on ``[from_, to)``."""
    return copy_(x, random.uniform(from_, to, x.shape, dtype=x.dtype, device=x.device, generator=generator))


INPLACE_METHODS: dict[str, Method] = {
    **{f"{name}_": _overwriting(name) for name in OVERWRITING},
    "squeeze_": _reshaping("squeeze_", shape.squeeze),
    "unsqueeze_": _reshaping("unsqueeze_", shape.expand_dims),
    "swapaxes_": _reshaping("swapaxes_", shape.swapaxes),
    "swapdims_": _reshaping("swapdims_", shape.swapaxes),
    "transpose_": _reshaping("transpose_", shape.swapaxes),
    "t_": _reshaping("t_", _t),
    **{
        function.__name__: function
        for function in (copy_, fill_, fill_diagonal_, zero_, normal_, uniform_)
    },
}  # fmt: skip
