"""The Tensor's operators and methods: which op each of them is."""

from __future__ import annotations

from typing import Any

from .. import kernels as K
from .. import random
from ..tensor import Tensor
from . import (
    activation,
    arrangement,
    complex_parts,
    elementwise,
    indexing,
    inplace,
    matmul,
    memory,
    product,
    reduction,
    selection,
    shape,
    softmax,
)
from .late import METHOD_FILES, late_method
from .pytorch_methods import PYTORCH_METHODS

__all__ = ["METHODS"]


def _reflected(op: Any) -> Any:
    def method(self: Tensor, other: Any) -> Any:
        return op(other, self)

    return method


_BINARY = {
    "add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply, "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide, "mod": elementwise.remainder, "pow": elementwise.pow,
    "matmul": matmul.matmul, "and": elementwise.bitwise_and, "or": elementwise.bitwise_or,
    "xor": elementwise.bitwise_xor, "lshift": elementwise.bitwise_left_shift, "rshift": elementwise.bitwise_right_shift,
}  # fmt: skip
_KERNELS = {
    "add": K.add, "sub": K.subtract, "mul": K.multiply, "truediv": K.divide, "floordiv": K.floor_divide,
    "mod": K.remainder, "pow": K.power, "and": K.bitwise_and, "or": K.bitwise_or, "xor": K.bitwise_xor,
    "lshift": K.bitwise_left_shift, "rshift": K.bitwise_right_shift, "matmul": K.matmul,
}  # fmt: skip
_COMPARISONS = {
    "eq": elementwise.equal, "ne": elementwise.not_equal, "lt": elementwise.less, "le": elementwise.less_equal,
    "gt": elementwise.greater, "ge": elementwise.greater_equal,
}  # fmt: skip

METHODS: dict[str, Any] = {
    "conj": complex_parts.conj, "angle": elementwise.angle,
    "abs": elementwise.abs, "sqrt": elementwise.sqrt, "rsqrt": elementwise.rsqrt, "exp": elementwise.exp,
    "log": elementwise.log, "log2": elementwise.log2, "log10": elementwise.log10, "log1p": elementwise.log1p,
    "expm1": elementwise.expm1, "sin": elementwise.sin, "cos": elementwise.cos, "tan": elementwise.tan,
    "tanh": elementwise.tanh, "erf": elementwise.erf, "square": elementwise.square, "sign": elementwise.sign,
    "reciprocal": elementwise.reciprocal, "floor": elementwise.floor, "ceil": elementwise.ceil,
    "round": elementwise.round, "trunc": elementwise.trunc, "clip": elementwise.clip, "clamp": elementwise.clip,
    "bitwise_left_shift": elementwise.bitwise_left_shift, "bitwise_right_shift": elementwise.bitwise_right_shift,
    "maximum": elementwise.maximum, "minimum": elementwise.minimum, "masked_fill": elementwise.masked_fill,
    "isnan": elementwise.isnan, "isinf": elementwise.isinf, "isfinite": elementwise.isfinite,
    "relu": activation.relu, "sigmoid": activation.sigmoid, "softmax": softmax.softmax,
    "log_softmax": softmax.log_softmax,
    "sum": reduction.sum, "prod": reduction.prod, "mean": reduction.mean, "var": reduction.var, "std": reduction.std,
    "max": reduction.max, "min": reduction.min, "any": reduction.any, "all": reduction.all,
    "count_nonzero": reduction.count_nonzero, "logaddexp": softmax.logaddexp, "multinomial": random.multinomial,
    "argmax": reduction.argmax, "argmin": reduction.argmin, "logsumexp": reduction.logsumexp,
    "reshape": shape.reshape, "view": shape.reshape, "flatten": shape.flatten, "squeeze": shape.squeeze,
    "expand_dims": shape.expand_dims, "unsqueeze": shape.expand_dims, "swapaxes": shape.swapaxes,
    "broadcast_to": shape.broadcast_to, "flip": shape.flip, "moveaxis": shape.moveaxis,
    "astype": memory.astype, "clone": memory.clone, "matmul": matmul.matmul, "take": indexing.take,
    "argsort": selection.argsort, "sort": selection.sort, "topk": selection.topk,
    "gather": indexing.gather, "scatter": indexing.scatter, "scatter_add": indexing.scatter_add,
    "inner": product.inner, "outer": product.outer, "kron": product.kron,
    "repeat": arrangement.repeat, "roll": arrangement.roll, "tile": arrangement.tile,
    "chunk": arrangement.chunk, "tril": arrangement.tril, "triu": arrangement.triu,
    "diagonal": arrangement.diagonal, "trace": arrangement.trace,
}  # fmt: skip


_LATE = """
    addbmm addcdiv addcmul addmv addr adjoint allclose amax amin aminmax argwhere as_strided as_strided_scatter
    baddbmm bincount bucketize cbrt cholesky cholesky_inverse cholesky_solve clamp_max clamp_min compress
    conj_physical corrcoef cov cross cummax cummin cumprod cumsum deg2rad det diag diag_embed diagflat
    diagonal_scatter diff digamma dist dsplit erfinv fliplr flipud float_power fmax fmin fmod frac frexp gcd geqrf
    get_device hardshrink heaviside histc histogram hsplit i0 igamma igammac index_add index_copy index_fill
    index_put index_reduce index_select inverse is_complex is_conj is_floating_point is_inference is_neg is_nonzero
    is_same_size is_signed isclose isneginf isposinf isreal istft kthvalue lcm ldexp lerp lgamma logaddexp2
    logcumsumexp logdet logit lu lu_solve masked_scatter masked_select matrix_exp matrix_power median mode msort
    mvlgamma nan_to_num nanmean nanmedian nanquantile nansum nonzero nonzero_static norm orgqr ormqr pinverse prelu
    ptp put qr quantile rad2deg renorm repeat_interleave resolve_conj resolve_neg rot90 scatter_reduce
    select_scatter sgn sinc slice_scatter slogdet split_with_sizes stft sum_to_size svd take_along_dim tensor_split
    triangular_solve unfold unique unique_consecutive vdot vsplit xlogy
""".split()  # noqa: SIM905
METHODS |= {name: late_method(name) for name in (*_LATE, *METHOD_FILES)}


def _attach() -> None:
    """Give the Tensor its operators and methods."""
    for name, op in _BINARY.items():
        setattr(Tensor, f"__{name}__", op)
        setattr(Tensor, f"__r{name}__", _reflected(op))
        setattr(Tensor, f"__i{name}__", inplace.in_place(f"i{name}", op, _KERNELS[name]))
    for name, op in _COMPARISONS.items():
        setattr(Tensor, f"__{name}__", op)
    for name, method in (PYTORCH_METHODS | METHODS).items():
        setattr(Tensor, name, method)
    Tensor.__neg__ = elementwise.negative  # type: ignore[method-assign]
    Tensor.__pos__ = elementwise.positive  # type: ignore[method-assign]
    Tensor.__abs__ = elementwise.abs  # type: ignore[method-assign]
    Tensor.__invert__ = elementwise.bitwise_invert  # type: ignore[method-assign]
    Tensor.__getitem__ = indexing.getitem  # type: ignore[method-assign]
    Tensor.__setitem__ = indexing.setitem  # type: ignore[method-assign, assignment]
    Tensor.real = _writable(complex_parts.real)  # type: ignore[assignment, method-assign]
    Tensor.imag = _writable(complex_parts.imag)  # type: ignore[assignment, method-assign]
    Tensor.T = property(_transposed)  # type: ignore[assignment, method-assign]
    Tensor.mT = property(shape.matrix_transpose)  # type: ignore[assignment, method-assign]
    Tensor.mH = property(_adjoint)  # type: ignore[assignment, method-assign]
    Tensor.H = property(_conjugate_transposed)  # type: ignore[assignment, method-assign]
    Tensor.transpose = _transpose  # type: ignore[method-assign, assignment]
    Tensor.permute = _permute  # type: ignore[method-assign, assignment]


def _writable(part: Any) -> property:
    """A part of complex numbers as an attribute that can be written."""

    def write(x: Tensor, value: Any) -> None:
        complex_parts.write_part(x, part, value)

    return property(part, write)


def _transposed(x: Tensor) -> Any:
    """The two axes of a matrix exchanged."""
    if x.ndim != 2:
        raise ValueError(f"T: needs 2 axes, got shape {x.shape}; use .mT or permute_dims")
    return shape.swapaxes(x, 0, 1)


def _conjugate_transposed(x: Tensor) -> Any:
    """The two axes of a matrix exchanged and the elements conjugated; a number as it is."""
    if x.ndim not in (0, 2):
        raise ValueError(f"H: needs a matrix, got shape {x.shape}; use .mH")
    return _adjoint(x) if x.ndim else x


def _adjoint(x: Tensor) -> Any:
    """The last two axes exchanged and the elements conjugated."""
    return complex_parts.conj(shape.matrix_transpose(x))


def _transpose(x: Tensor, *axes: Any) -> Tensor:
    """``transpose(a, b)`` exchanges two axes, as in PyTorch; ``transpose()`` reverses all."""
    if len(axes) == 2:
        return shape.swapaxes(x, *axes)  # type: ignore[no-any-return]
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    return shape.permute_dims(x, order or tuple(reversed(range(x.ndim))))  # type: ignore[no-any-return]


def _permute(x: Tensor, *axes: Any) -> Tensor:
    """The axes in another order."""
    return shape.permute_dims(x, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)  # type: ignore[no-any-return]


_attach()
