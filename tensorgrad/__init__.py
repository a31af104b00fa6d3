"""tensorgrad: a GPU tensor library with reverse-mode autograd, on CuPy, with NumPy on the CPU.

The house, from the ground up; each floor uses only the floors below it:

- ``kernels/``: the instruction set, array-level functions for NumPy and CUDA side by side, behind one launch point.
- ``backend.py``, ``dtypes.py``, ``generator.py``, ``cuda/``: devices, how dtypes combine, the random stream, streams.
- ``tape.py``, ``tensor.py``, ``autograd.py``: the Tensor, what a computation leaves behind, and the walk back.
- ``ops/``: an op is a forward and its gradient, defined once.
- ``nn/``, ``optim/``, ``amp.py``: modules, losses, optimizers, mixed precision; they know nothing of devices.
- ``data/``, ``train/``, ``io.py``, ``viz/``, ``onnx/``, ``profiler/``: what surrounds a training run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .autograd import checkpoint, grad
from .backend import Device as device
from .backend import get_default_device, set_default_device
from .creation import as_tensor, asarray, tensor
from .dtypes import bool_ as bool
from .dtypes import (
    complex64,
    complex128,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    result_type,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .jit import jit
from .ops.activation import relu, sigmoid
from .ops.arrangement import chunk, diagonal, meshgrid, repeat, roll, split, tile, trace, tril, triu
from .ops.complex_parts import conj, imag, real
from .ops.elementwise import (
    abs,
    acos,
    acosh,
    add,
    angle,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    ceil,
    clip,
    copysign,
    cos,
    cosh,
    divide,
    equal,
    erf,
    erfc,
    exp,
    exp2,
    expm1,
    floor,
    floor_divide,
    greater,
    greater_equal,
    hypot,
    isfinite,
    isinf,
    isnan,
    less,
    less_equal,
    log,
    log1p,
    log2,
    log10,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    masked_fill,
    maximum,
    minimum,
    multiply,
    negative,
    nextafter,
    not_equal,
    positive,
    pow,
    reciprocal,
    remainder,
    round,
    rsqrt,
    sign,
    signbit,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
    trunc,
    where,
)
from .ops.indexing import gather, put_along_axis, scatter, scatter_add, take, take_along_axis
from .ops.late import FUNCTIONS, late_function
from .ops.matmul import matmul
from .ops.memory import (
    arange,
    astype,
    clone,
    empty,
    empty_like,
    eye,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    zeros,
    zeros_like,
)
from .ops.product import einsum, inner, kron, outer, tensordot, vecdot
from .ops.reduction import all, any, argmax, argmin, count_nonzero, logsumexp, max, mean, min, prod, std, sum, var
from .ops.selection import argsort, sort, topk
from .ops.shape import (
    broadcast_arrays,
    broadcast_to,
    concat,
    expand_dims,
    flatten,
    flip,
    matrix_transpose,
    moveaxis,
    permute_dims,
    reshape,
    squeeze,
    stack,
    swapaxes,
    unstack,
)
from .ops.softmax import log_softmax, logaddexp, softmax
from .tape import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .tensor import Tensor

if TYPE_CHECKING:
    from . import amp as amp
    from . import autograd as autograd
    from . import backends as backends
    from . import cuda as cuda
    from . import data as data
    from . import fft as fft
    from . import func as func
    from . import io as io
    from . import linalg as linalg
    from . import nn as nn
    from . import onnx as onnx
    from . import optim as optim
    from . import profiler as profiler
    from . import random as random
    from . import testing as testing
    from . import train as train
    from . import viz as viz
    from .ops.aliases import (
        absolute as absolute,
    )  # fmt: skip
    from .ops.aliases import (
        addbmm as addbmm,
    )
    from .ops.aliases import (
        addmm as addmm,
    )
    from .ops.aliases import (
        addmv as addmv,
    )
    from .ops.aliases import (
        addr as addr,
    )
    from .ops.aliases import (
        amax as amax,
    )
    from .ops.aliases import (
        amin as amin,
    )
    from .ops.aliases import (
        arccos as arccos,
    )
    from .ops.aliases import (
        arccosh as arccosh,
    )
    from .ops.aliases import (
        arcsin as arcsin,
    )
    from .ops.aliases import (
        arcsinh as arcsinh,
    )
    from .ops.aliases import (
        arctan as arctan,
    )
    from .ops.aliases import (
        arctan2 as arctan2,
    )
    from .ops.aliases import (
        arctanh as arctanh,
    )
    from .ops.aliases import (
        around as around,
    )
    from .ops.aliases import (
        baddbmm as baddbmm,
    )
    from .ops.aliases import (
        bitwise_not as bitwise_not,
    )
    from .ops.aliases import (
        bmm as bmm,
    )
    from .ops.aliases import (
        broadcast_tensors as broadcast_tensors,
    )
    from .ops.aliases import (
        cat as cat,
    )
    from .ops.aliases import (
        clamp as clamp,
    )
    from .ops.aliases import (
        concatenate as concatenate,
    )
    from .ops.aliases import (
        copy as copy,
    )
    from .ops.aliases import (
        degrees as degrees,
    )
    from .ops.aliases import (
        div as div,
    )
    from .ops.aliases import (
        dot as dot,
    )
    from .ops.aliases import (
        eq as eq,
    )
    from .ops.aliases import (
        expand as expand,
    )
    from .ops.aliases import (
        fix as fix,
    )
    from .ops.aliases import (
        ge as ge,
    )
    from .ops.aliases import (
        ger as ger,
    )
    from .ops.aliases import (
        gt as gt,
    )
    from .ops.aliases import (
        invert as invert,
    )
    from .ops.aliases import (
        le as le,
    )
    from .ops.aliases import (
        left_shift as left_shift,
    )
    from .ops.aliases import (
        lt as lt,
    )
    from .ops.aliases import (
        mm as mm,
    )
    from .ops.aliases import (
        mod as mod,
    )
    from .ops.aliases import (
        movedim as movedim,
    )
    from .ops.aliases import (
        mul as mul,
    )
    from .ops.aliases import (
        mv as mv,
    )
    from .ops.aliases import (
        narrow as narrow,
    )
    from .ops.aliases import (
        ne as ne,
    )
    from .ops.aliases import (
        neg as neg,
    )
    from .ops.aliases import (
        numel as numel,
    )
    from .ops.aliases import (
        permute as permute,
    )
    from .ops.aliases import (
        power as power,
    )
    from .ops.aliases import (
        radians as radians,
    )
    from .ops.aliases import (
        ravel as ravel,
    )
    from .ops.aliases import (
        repeat_interleave as repeat_interleave,
    )
    from .ops.aliases import (
        right_shift as right_shift,
    )
    from .ops.aliases import (
        rint as rint,
    )
    from .ops.aliases import (
        std_mean as std_mean,
    )
    from .ops.aliases import (
        sub as sub,
    )
    from .ops.aliases import (
        swapdims as swapdims,
    )
    from .ops.aliases import (
        take_along_dim as take_along_dim,
    )
    from .ops.aliases import (
        transpose as transpose,
    )
    from .ops.aliases import (
        true_divide as true_divide,
    )
    from .ops.aliases import (
        unbind as unbind,
    )
    from .ops.aliases import (
        unflatten as unflatten,
    )
    from .ops.aliases import (
        unsqueeze as unsqueeze,
    )
    from .ops.aliases import (
        var_mean as var_mean,
    )
    from .ops.calculus import (
        cumulative_trapezoid as cumulative_trapezoid,
    )  # fmt: skip
    from .ops.calculus import (
        gradient as gradient,
    )
    from .ops.calculus import (
        interp as interp,
    )
    from .ops.calculus import (
        trapezoid as trapezoid,
    )
    from .ops.cumulative import (
        cummax as cummax,
    )  # fmt: skip
    from .ops.cumulative import (
        cummin as cummin,
    )
    from .ops.cumulative import (
        cumprod as cumprod,
    )
    from .ops.cumulative import (
        cumsum as cumsum,
    )
    from .ops.cumulative import (
        cumulative_prod as cumulative_prod,
    )
    from .ops.cumulative import (
        cumulative_sum as cumulative_sum,
    )
    from .ops.cumulative import (
        diff as diff,
    )
    from .ops.cumulative import (
        ediff1d as ediff1d,
    )
    from .ops.cumulative import (
        logcumsumexp as logcumsumexp,
    )
    from .ops.diagonals import (
        diag as diag,
    )  # fmt: skip
    from .ops.diagonals import (
        diag_embed as diag_embed,
    )
    from .ops.diagonals import (
        diag_indices as diag_indices,
    )
    from .ops.diagonals import (
        diagflat as diagflat,
    )
    from .ops.diagonals import (
        fill_diagonal as fill_diagonal,
    )
    from .ops.diagonals import (
        fliplr as fliplr,
    )
    from .ops.diagonals import (
        flipud as flipud,
    )
    from .ops.diagonals import (
        rot90 as rot90,
    )
    from .ops.diagonals import (
        tri as tri,
    )
    from .ops.distance import (
        cdist as cdist,
    )  # fmt: skip
    from .ops.distance import (
        dist as dist,
    )
    from .ops.distance import (
        renorm as renorm,
    )
    from .ops.histogram import (
        bincount as bincount,
    )  # fmt: skip
    from .ops.histogram import (
        histc as histc,
    )
    from .ops.histogram import (
        histogram as histogram,
    )
    from .ops.histogram import (
        histogram2d as histogram2d,
    )
    from .ops.histogram import (
        histogram_bin_edges as histogram_bin_edges,
    )
    from .ops.histogram import (
        histogramdd as histogramdd,
    )
    from .ops.joining import (
        append as append,
    )  # fmt: skip
    from .ops.joining import (
        array_split as array_split,
    )
    from .ops.joining import (
        atleast_1d as atleast_1d,
    )
    from .ops.joining import (
        atleast_2d as atleast_2d,
    )
    from .ops.joining import (
        atleast_3d as atleast_3d,
    )
    from .ops.joining import (
        block as block,
    )
    from .ops.joining import (
        block_diag as block_diag,
    )
    from .ops.joining import (
        cartesian_prod as cartesian_prod,
    )
    from .ops.joining import (
        column_stack as column_stack,
    )
    from .ops.joining import (
        combinations as combinations,
    )
    from .ops.joining import (
        delete as delete,
    )
    from .ops.joining import (
        dsplit as dsplit,
    )
    from .ops.joining import (
        dstack as dstack,
    )
    from .ops.joining import (
        hsplit as hsplit,
    )
    from .ops.joining import (
        hstack as hstack,
    )
    from .ops.joining import (
        insert as insert,
    )
    from .ops.joining import (
        resize as resize,
    )
    from .ops.joining import (
        tensor_split as tensor_split,
    )
    from .ops.joining import (
        trim_zeros as trim_zeros,
    )
    from .ops.joining import (
        vsplit as vsplit,
    )
    from .ops.joining import (
        vstack as vstack,
    )
    from .ops.nan_reduction import (
        nanargmax as nanargmax,
    )  # fmt: skip
    from .ops.nan_reduction import (
        nanargmin as nanargmin,
    )
    from .ops.nan_reduction import (
        nancumprod as nancumprod,
    )
    from .ops.nan_reduction import (
        nancumsum as nancumsum,
    )
    from .ops.nan_reduction import (
        nanmax as nanmax,
    )
    from .ops.nan_reduction import (
        nanmean as nanmean,
    )
    from .ops.nan_reduction import (
        nanmin as nanmin,
    )
    from .ops.nan_reduction import (
        nanprod as nanprod,
    )
    from .ops.nan_reduction import (
        nanstd as nanstd,
    )
    from .ops.nan_reduction import (
        nansum as nansum,
    )
    from .ops.nan_reduction import (
        nanvar as nanvar,
    )
    from .ops.numbers import (
        addcdiv as addcdiv,
    )  # fmt: skip
    from .ops.numbers import (
        addcmul as addcmul,
    )
    from .ops.numbers import (
        allclose as allclose,
    )
    from .ops.numbers import (
        array_equal as array_equal,
    )
    from .ops.numbers import (
        array_equiv as array_equiv,
    )
    from .ops.numbers import (
        cbrt as cbrt,
    )
    from .ops.numbers import (
        deg2rad as deg2rad,
    )
    from .ops.numbers import (
        divmod as divmod,
    )
    from .ops.numbers import (
        fabs as fabs,
    )
    from .ops.numbers import (
        float_power as float_power,
    )
    from .ops.numbers import (
        fmax as fmax,
    )
    from .ops.numbers import (
        fmin as fmin,
    )
    from .ops.numbers import (
        fmod as fmod,
    )
    from .ops.numbers import (
        frac as frac,
    )
    from .ops.numbers import (
        frexp as frexp,
    )
    from .ops.numbers import (
        gcd as gcd,
    )
    from .ops.numbers import (
        heaviside as heaviside,
    )
    from .ops.numbers import (
        isclose as isclose,
    )
    from .ops.numbers import (
        isneginf as isneginf,
    )
    from .ops.numbers import (
        isposinf as isposinf,
    )
    from .ops.numbers import (
        lcm as lcm,
    )
    from .ops.numbers import (
        ldexp as ldexp,
    )
    from .ops.numbers import (
        lerp as lerp,
    )
    from .ops.numbers import (
        logaddexp2 as logaddexp2,
    )
    from .ops.numbers import (
        modf as modf,
    )
    from .ops.numbers import (
        nan_to_num as nan_to_num,
    )
    from .ops.numbers import (
        rad2deg as rad2deg,
    )
    from .ops.numbers import (
        spacing as spacing,
    )
    from .ops.orders import (
        aminmax as aminmax,
    )  # fmt: skip
    from .ops.orders import (
        argpartition as argpartition,
    )
    from .ops.orders import (
        lexsort as lexsort,
    )
    from .ops.orders import (
        msort as msort,
    )
    from .ops.orders import (
        partition as partition,
    )
    from .ops.orders import (
        ravel_multi_index as ravel_multi_index,
    )
    from .ops.orders import (
        tril_indices as tril_indices,
    )
    from .ops.orders import (
        triu_indices as triu_indices,
    )
    from .ops.orders import (
        unravel_index as unravel_index,
    )
    from .ops.padding import (
        pad as pad,
    )  # fmt: skip
    from .ops.placement import (
        choose as choose,
    )  # fmt: skip
    from .ops.placement import (
        compress as compress,
    )
    from .ops.placement import (
        diagonal_scatter as diagonal_scatter,
    )
    from .ops.placement import (
        extract as extract,
    )
    from .ops.placement import (
        index_add as index_add,
    )
    from .ops.placement import (
        index_copy as index_copy,
    )
    from .ops.placement import (
        index_fill as index_fill,
    )
    from .ops.placement import (
        index_put as index_put,
    )
    from .ops.placement import (
        index_reduce as index_reduce,
    )
    from .ops.placement import (
        index_select as index_select,
    )
    from .ops.placement import (
        masked_scatter as masked_scatter,
    )
    from .ops.placement import (
        masked_select as masked_select,
    )
    from .ops.placement import (
        piecewise as piecewise,
    )
    from .ops.placement import (
        put as put,
    )
    from .ops.placement import (
        scatter_reduce as scatter_reduce,
    )
    from .ops.placement import (
        select as select,
    )
    from .ops.placement import (
        select_scatter as select_scatter,
    )
    from .ops.placement import (
        slice_scatter as slice_scatter,
    )
    from .ops.ranges import (
        fromfunction as fromfunction,
    )  # fmt: skip
    from .ops.ranges import (
        geomspace as geomspace,
    )
    from .ops.ranges import (
        identity as identity,
    )
    from .ops.ranges import (
        indices as indices,
    )
    from .ops.ranges import (
        logspace as logspace,
    )
    from .ops.search import (
        argwhere as argwhere,
    )  # fmt: skip
    from .ops.search import (
        bucketize as bucketize,
    )
    from .ops.search import (
        digitize as digitize,
    )
    from .ops.search import (
        flatnonzero as flatnonzero,
    )
    from .ops.search import (
        isin as isin,
    )
    from .ops.search import (
        nonzero as nonzero,
    )
    from .ops.search import (
        searchsorted as searchsorted,
    )
    from .ops.sets import (
        intersect1d as intersect1d,
    )  # fmt: skip
    from .ops.sets import (
        setdiff1d as setdiff1d,
    )
    from .ops.sets import (
        setxor1d as setxor1d,
    )
    from .ops.sets import (
        union1d as union1d,
    )
    from .ops.sets import (
        unique as unique,
    )
    from .ops.sets import (
        unique_all as unique_all,
    )
    from .ops.sets import (
        unique_consecutive as unique_consecutive,
    )
    from .ops.sets import (
        unique_counts as unique_counts,
    )
    from .ops.sets import (
        unique_inverse as unique_inverse,
    )
    from .ops.sets import (
        unique_values as unique_values,
    )
    from .ops.statistics import (
        average as average,
    )  # fmt: skip
    from .ops.statistics import (
        corrcoef as corrcoef,
    )
    from .ops.statistics import (
        cov as cov,
    )
    from .ops.statistics import (
        kthvalue as kthvalue,
    )
    from .ops.statistics import (
        median as median,
    )
    from .ops.statistics import (
        mode as mode,
    )
    from .ops.statistics import (
        nanmedian as nanmedian,
    )
    from .ops.statistics import (
        nanpercentile as nanpercentile,
    )
    from .ops.statistics import (
        nanquantile as nanquantile,
    )
    from .ops.statistics import (
        percentile as percentile,
    )
    from .ops.statistics import (
        ptp as ptp,
    )
    from .ops.statistics import (
        quantile as quantile,
    )
    from .ops.windows import (
        sliding_window_view as sliding_window_view,
    )  # fmt: skip
    from .ops.windows import (
        unfold as unfold,
    )

__version__ = "0.1.0"

pi = 3.141592653589793
e = 2.718281828459045
inf = float("inf")
nan = float("nan")
newaxis = None

# Loaded when first used, so that importing the package stays cheap.
_SUBMODULES = (
    "amp", "autograd", "backends", "cuda", "data", "fft", "func", "io", "linalg", "nn", "onnx", "optim", "profiler",
    "random", "testing", "train", "viz",
)  # fmt: skip
_ELSEWHERE = {
    "manual_seed": "random",
    "rand": "random",
    "randn": "random",
    "randint": "random",
    "randperm": "random",
    "save": "io",
    "load": "io",
}


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in FUNCTIONS:
        globals()[name] = function = late_function(name)
        return function
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f".{_ELSEWHERE[name]}", __name__), name)
    if name == "bfloat16":
        from .dtypes import bfloat16

        return bfloat16()
    raise AttributeError(f"module 'tensorgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_ELSEWHERE, *FUNCTIONS, "bfloat16"})
