"""Files of ops that are loaded when one of their functions is first used, so that importing the package stays cheap.

`tensorgrad.__init__` takes functions from here, `methods.py` methods.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from ..boundary import explain, explained
from ..tensor import Tensor

__all__ = ["FUNCTIONS", "METHOD_FILES", "late_function", "late_method"]

_FILES = {
    "aliases": """
        absolute addbmm addmm addmv addr amax amin arccos arccosh arcsin arcsinh arctan arctan2 arctanh around
        asanyarray asarray_chkfinite ascontiguousarray baddbmm bitwise_not bmm broadcast_tensors cat clamp concatenate
        conjugate copy degrees div dot eq expand fix ge ger gt invert le left_shift lt mm mod movedim mul mv narrow ne
        neg numel permute power radians ravel repeat_interleave right_shift rint std_mean sub swapdims take_along_dim
        transpose true_divide unbind unflatten unsqueeze var_mean
    """,
    "calculus": """
        cumulative_trapezoid gradient interp trapezoid
    """,
    "complex_forms": """
        complex conj_physical is_complex iscomplex iscomplexobj isreal isrealobj polar real_if_close resolve_conj sgn
        sort_complex view_as_complex view_as_real
    """,
    "cumulative": """
        cummax cummin cumprod cumsum cumulative_prod cumulative_sum diff ediff1d logcumsumexp
    """,
    "description": """
        broadcast_shapes get_device is_conj is_floating_point is_inference is_neg is_nonzero is_same_size is_signed
        is_tensor resolve_neg
    """,
    "diagonals": """
        diag diag_embed diag_indices diagflat fill_diagonal fliplr flipud rot90 tri
    """,
    "distance": """
        cdist dist renorm
    """,
    "histogram": """
        bincount histc histogram histogram2d histogram_bin_edges histogramdd
    """,
    "inplace_functions": """
        abs_ acos_ acosh_ addmv_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ as_strided_ asin_ asinh_ atan_
        atanh_ ceil_ clamp_ clamp_max_ clamp_min_ clip_ conj_physical_ cos_ cosh_ deg2rad_ detach_ erf_ erfc_ exp2_
        exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ i0_ index_put_ lcm_ ldexp_ log10_ log1p_ log2_ log_ logit_ nan_to_num_
        neg_ negative_ rad2deg_ reciprocal_ relu_ resize_as_ round_ rsqrt_ sigmoid_ sin_ sinc_ sinh_ sqrt_ square_ tan_
        tanh_ trunc_ xlogy_ zero_
    """,
    "joining": """
        append array_split atleast_1d atleast_2d atleast_3d block block_diag cartesian_prod column_stack
        combinations delete dsplit dstack hsplit hstack insert resize row_stack tensor_split trim_zeros vsplit vstack
    """,
    "matrix_aliases": """
        chain_matmul cholesky cholesky_inverse cholesky_solve cross det geqrf inverse logdet lu_solve matrix_exp
        matrix_power matvec norm pinverse slogdet vander vdot vecmat
    """,
    "masked_writes": """
        copyto place putmask
    """,
    "nan_reduction": """
        nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmin nanprod nanstd nansum nanvar
    """,
    "numbers": """
        addcdiv addcmul allclose array_equal array_equiv cbrt deg2rad divmod fabs float_power fmax fmin fmod frac
        frexp gcd heaviside isclose isneginf isposinf lcm ldexp lerp logaddexp2 modf nan_to_num rad2deg spacing
    """,
    "orders": """
        aminmax argpartition lexsort msort partition ravel_multi_index tril_indices triu_indices unravel_index
    """,
    "padding": """
        pad
    """,
    "placement": """
        choose compress diagonal_scatter extract index_add index_copy index_fill index_put index_reduce index_select
        masked_scatter masked_select piecewise put scatter_reduce select select_scatter slice_scatter
    """,
    "pytorch_functions": """
        adjoint clamp_max clamp_min detach fill from_file from_numpy hardshrink nonzero_static prelu rsub
        scalar_tensor segment_reduce split_with_sizes sum_to_size t trapz
    """,
    "pytorch_matrices": """
        frobenius_norm lu lu_unpack norm_except_dim nuclear_norm orgqr ormqr pca_lowrank qr svd svd_lowrank
        triangular_solve
    """,
    "quantiles": """
        kthvalue median mode nanmedian nanpercentile nanquantile percentile quantile
    """,
    "ranges": """
        fromfunction geomspace identity indices logspace
    """,
    "search": """
        argwhere bucketize digitize flatnonzero isin nonzero searchsorted
    """,
    "bits": """
        bitwise_count packbits unpackbits
    """,
    "grids": """
        apply_along_axis apply_over_axes c_ diag_indices_from einsum_path index_exp ix_ mask_indices mgrid ndim ogrid
        r_ rollaxis s_ shape size tril_indices_from triu_indices_from
    """,
    "polynomials": """
        poly polyadd polyder polydiv polyfit polyint polymul polysub polyval roots
    """,
    "signal": """
        bartlett bartlett_window blackman blackman_window convolve correlate hamming hamming_window hann_window hanning
        kaiser kaiser_window unwrap
    """,
    "sets": """
        intersect1d setdiff1d setxor1d union1d unique unique_all unique_consecutive unique_counts unique_inverse
        unique_values
    """,
    "short_time": """
        istft stft
    """,
    "special": """
        digamma erfinv i0 igamma igammac lgamma logit mvlgamma polygamma sinc xlogy
    """,
    "statistics": """
        average corrcoef cov ptp
    """,
    "strided": """
        as_strided as_strided_scatter empty_permuted empty_strided
    """,
    "windows": """
        sliding_window_view unfold
    """,
}

_OF_TENSORS_ALONE = {
    "description": """
        data_ptr dim_order element_size equal is_set_to new_tensor split type where
    """,
    "random_methods": """
        bernoulli bernoulli_ cauchy_ exponential_ geometric_ log_normal_ random_
    """,
    "replacing": """
        apply_ as_strided_ detach_ map2_ map_ resize_ resize_as_ set_
    """,
    "strided": """
        new_empty_strided storage_offset stride
    """,
}

METHOD_FILES = {name: file for file, names in _OF_TENSORS_ALONE.items() for name in names.split()}
"""In which file each method is that is no function of the namespace, or another one there."""

FUNCTIONS = {name: file for file, names in _FILES.items() for name in names.split()}
"""In which file each function is."""


@functools.cache
def late_function(name: str) -> Any:
    """A function, from its file; its errors name it and what it was given."""
    functions = {name: getattr(importlib.import_module(f".{FUNCTIONS[name]}", __package__), name)}
    explain(functions, functions, __name__.partition(".")[0])
    return functions[name]


def _method_of_a_file(name: str) -> Any:
    return explained(getattr(importlib.import_module(f".{METHOD_FILES[name]}", __package__), name))


def late_method(name: str) -> Callable[..., Any]:
    """What stands for a method until it is called for the first time."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        function = _method_of_a_file(name) if name in METHOD_FILES else late_function(name)
        setattr(Tensor, name, function)
        return function(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    home = f"ops.{METHOD_FILES[name]}." if name in METHOD_FILES else ""
    method.__doc__ = f"See `tensorgrad.{home}{name}`."
    return method
