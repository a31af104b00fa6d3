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

# ruff: isort: off
# "a as a" tells type checkers that users may take a from here.
from .autograd import checkpoint as checkpoint, grad as grad
from .backend import Device as _device
from .backend import get_default_device as get_default_device, set_default_device as set_default_device
from .creation import (
    array as array, as_tensor as as_tensor, asarray as asarray, from_dlpack as from_dlpack, frombuffer as frombuffer,
    fromiter as fromiter, tensor as tensor,
)  # fmt: skip
from .dtypes import bool_ as _bool
from .dtypes import (
    complex64 as complex64, complex128 as complex128, float16 as float16, float32 as float32, float64 as float64,
    get_default_dtype as get_default_dtype, int8 as int8, int16 as int16, int32 as int32, int64 as int64,
    promote_types as promote_types, result_type as result_type, set_default_dtype as set_default_dtype, uint8 as uint8,
    uint16 as uint16, uint32 as uint32, uint64 as uint64,
)  # fmt: skip
from .jit import jit as jit
from .ops.activation import relu as relu, sigmoid as sigmoid
from .ops.arrangement import (
    chunk as chunk, diagonal as diagonal, meshgrid as meshgrid, repeat as repeat, roll as roll, split as split,
    tile as tile, trace as trace, tril as tril, triu as triu,
)  # fmt: skip
from .ops.complex_parts import conj as conj, imag as imag, real as real
from .ops.elementwise import *
from .ops.indexing import (
    gather as gather, put_along_axis as put_along_axis, scatter as scatter, scatter_add as scatter_add, take as take,
    take_along_axis as take_along_axis,
)  # fmt: skip
from .ops.late import FUNCTIONS as _FUNCTIONS
from .ops.late import late_function as _late_function
from .ops.matmul import matmul as matmul
from .ops.memory import *
from .ops.product import *
from .ops.reduction import (
    all as all, any as any, argmax as argmax, argmin as argmin, count_nonzero as count_nonzero, logsumexp as logsumexp,
    max as max, mean as mean, min as min, prod as prod, std as std, sum as sum, var as var,
)  # fmt: skip
from .ops.selection import argsort as argsort, sort as sort, topk as topk
from .ops.shape import *
from .ops.softmax import log_softmax as log_softmax, logaddexp as logaddexp, softmax as softmax
from .tape import (
    enable_grad as enable_grad, inference_mode as inference_mode, is_grad_enabled as is_grad_enabled,
    no_grad as no_grad, set_grad_enabled as set_grad_enabled,
)  # fmt: skip
from .tensor import Tensor as Tensor

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
        broadcast_shapes as broadcast_shapes, get_device as get_device, is_conj as is_conj,
        is_floating_point as is_floating_point, is_inference as is_inference, is_neg as is_neg,
        is_nonzero as is_nonzero, is_same_size as is_same_size, is_signed as is_signed, is_tensor as is_tensor,
        resolve_neg as resolve_neg,
    )  # fmt: skip
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
    from .ops.strided import (
        as_strided as as_strided, as_strided_scatter as as_strided_scatter, empty_permuted as empty_permuted,
        empty_strided as empty_strided,
    )  # fmt: skip
    from .ops.windows import *

__version__ = "0.1.0"
__array_api_version__ = "2024.12"

device = _device
bool = _bool

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
    if name in _FUNCTIONS:
        globals()[name] = function = _late_function(name)
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
    return sorted({*globals(), *_SUBMODULES, *_ELSEWHERE, *_DTYPES, *_FUNCTIONS, "bfloat16"})
