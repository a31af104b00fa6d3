"""tensorgrad: a GPU tensor library with reverse-mode autograd, on CuPy, with NumPy on the CPU.

The house, from the ground up; each floor uses only the floors below it:

- ``kernels/``: the instruction set, array-level functions for NumPy and CUDA side by side, behind one launch point.
- ``backend.py``, ``dtypes.py``, ``generator.py``, ``cuda/``: devices, how dtypes combine, the random stream, streams.
- ``tape.py``, ``tensor.py``, ``engine.py``, ``autograd.py``: the Tensor, what a computation leaves, and the walk back.
- ``ops/``: an op is a forward and its gradient, defined once; ``linalg.py``, ``fft.py`` and ``special.py`` name some.
- ``nn/``, ``optim/``, ``amp.py``: modules, losses, optimizers, mixed precision; they know nothing of devices.
- ``data/``, ``train/``, ``io.py``, ``viz/``, ``onnx/``, ``profiler/``: what surrounds a training run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .autograd import checkpoint, grad
from .backend import Device as device
from .backend import get_default_device, set_default_device
from .creation import array, as_tensor, asarray, from_dlpack, frombuffer, fromiter, tensor
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
from .tape import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
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
    from . import special as special
    from . import testing as testing
    from . import train as train
    from . import viz as viz
    from .inspection import *
    from .ops.aliases import *
    from .ops.bits import *
    from .ops.calculus import *
    from .ops.complex_forms import *
    from .ops.cumulative import *
    from .ops.description import (
        broadcast_shapes,
        get_device,
        is_conj,
        is_floating_point,
        is_inference,
        is_neg,
        is_nonzero,
        is_same_size,
        is_signed,
        is_tensor,
        resolve_neg,
    )
    from .ops.diagonals import *
    from .ops.distance import *
    from .ops.grids import *
    from .ops.histogram import *
    from .ops.inplace_functions import *
    from .ops.joining import *
    from .ops.masked_writes import *
    from .ops.matrix_aliases import *
    from .ops.nan_reduction import *
    from .ops.numbers import *
    from .ops.orders import *
    from .ops.padding import *
    from .ops.placement import *
    from .ops.polynomials import *
    from .ops.pytorch_functions import *
    from .ops.pytorch_matrices import *
    from .ops.quantiles import *
    from .ops.ranges import *
    from .ops.search import *
    from .ops.sets import *
    from .ops.short_time import *
    from .ops.signal import *
    from .ops.special import *
    from .ops.statistics import *
    from .ops.strided import as_strided, as_strided_scatter, empty_permuted, empty_strided
    from .ops.windows import *

__version__ = "0.1.0"
__array_api_version__ = "2024.12"

pi = 3.141592653589793
e = 2.718281828459045
euler_gamma = 0.5772156649015329
inf = float("inf")
nan = float("nan")
newaxis = None

# Loaded when first used, so that importing the package stays cheap.
_SUBMODULES = (
    "amp", "autograd", "backends", "cuda", "data", "fft", "func", "io", "linalg", "nn", "onnx", "optim", "profiler",
    "random", "special", "testing", "train", "viz",
)  # fmt: skip
_HOMES = {
    "distributions": "binomial poisson",
    "func": "vmap",
    "inspection": "__array_namespace_info__ can_cast finfo iinfo isdtype",
    "io": "load save",
    "nn.functional": "cosine_similarity one_hot pairwise_distance pdist",
    "printing": "set_printoptions",
    "random": """
        bernoulli get_rng_state manual_seed multinomial normal rand rand_like randint randint_like randn randn_like
        randperm set_rng_state
    """,
    "settings": """
        get_float32_matmul_precision get_num_threads initial_seed is_anomaly_check_nan_enabled is_anomaly_enabled
        is_inference_mode_enabled seed set_anomaly_enabled set_float32_matmul_precision set_num_threads
    """,
}
_ELSEWHERE = {name: home for home, names in _HOMES.items() for name in names.split()}
_DTYPES = {  # other names of dtypes
    "cdouble": "complex128", "cfloat": "complex64", "csingle": "complex64", "double": "float64", "half": "float16",
    "long": "int64", "short": "int16", "single": "float32",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f".{name}", __name__)
    if name in FUNCTIONS:
        globals()[name] = function = late_function(name)
        return function
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f".{_ELSEWHERE[name]}", __name__), name)
    if name in _DTYPES:
        return globals()[_DTYPES[name]]
    if name == "bfloat16":
        from .dtypes import bfloat16

        return bfloat16()
    raise AttributeError(f"module 'tensorgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES, *_ELSEWHERE, *_DTYPES, *FUNCTIONS, "bfloat16"})
