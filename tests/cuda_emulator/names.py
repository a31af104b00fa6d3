"""The names of CuPy 14's main namespace that the emulator computes with NumPy."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Universal functions.
UFUNCS = _names("""
    abs absolute acos acosh add arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh
    bitwise_and bitwise_count bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift
    bitwise_xor cbrt ceil conj conjugate copysign cos cosh deg2rad degrees divide divmod equal exp exp2 expm1
    fabs float_power floor floor_divide fmax fmin fmod frexp gcd greater greater_equal heaviside hypot invert
    isfinite isinf isnan lcm ldexp left_shift less less_equal log log10 log1p log2 logaddexp logaddexp2
    logical_and logical_not logical_or logical_xor matmul maximum minimum mod modf multiply negative nextafter
    not_equal positive pow power rad2deg radians reciprocal remainder right_shift rint sign signbit sin sinh
    sqrt square subtract tan tanh true_divide trunc vecdot
""")

# Functions that take device arrays and return new ones or views.
FUNCTIONS = _names("""
    all allclose amax amin angle any append apply_along_axis arange argmax argmin argpartition argsort argwhere
    around array_equal array_equiv array_split astype atleast_1d atleast_2d atleast_3d average bartlett bincount
    blackman broadcast_arrays broadcast_to choose clip column_stack compress concat concatenate convolve copy
    corrcoef correlate count_nonzero cov cross cumprod cumsum cumulative_prod cumulative_sum delete diag
    diagflat diagonal diff digitize dot dsplit dstack einsum expand_dims extract eye fix flatnonzero flip fliplr
    flipud gradient hamming hanning histogram hsplit hstack i0 identity imag indices inner interp intersect1d
    isclose iscomplex isin isneginf isposinf isreal ix_ kaiser kron lexsort linspace logspace matrix_transpose
    max mean median meshgrid min moveaxis nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean
    nanmedian nanmin nanprod nanstd nansum nanvar nonzero outer packbits pad partition percentile permute_dims
    piecewise prod ptp quantile ravel ravel_multi_index real repeat reshape resize roll rollaxis rot90 round
    searchsorted select setdiff1d setxor1d sinc sort split squeeze stack std sum swapaxes take take_along_axis
    tensordot tile trace transpose trapezoid tri tril tril_indices trim_zeros triu triu_indices union1d unique
    unique_all unique_counts unique_inverse unique_values unpackbits unravel_index unwrap vander var vdot vsplit
    vstack where
""")

# Functions that change their first argument.
IN_PLACE = _names("""
    fill_diagonal place put put_along_axis putmask
""")

# What CuPy takes over from NumPy: dtypes, constants, and functions of dtypes and shapes.
PLAIN = _names("""
    bool bool_ broadcast_shapes byte cdouble common_type complex128 complex64 complexfloating csingle double
    dtype e euler_gamma finfo float16 float32 float64 floating generic get_printoptions half iinfo index_exp
    inexact inf int16 int32 int64 int8 int_ intc integer intp iscomplexobj isdtype isfortran isrealobj isscalar
    issubdtype iterable long longlong min_scalar_type mintypecode nan ndim ndindex newaxis number pi
    printoptions promote_types s_ set_printoptions shape short signedinteger single size typename ubyte uint
    uint16 uint32 uint64 uint8 uintc uintp ulong ulonglong unsignedinteger ushort
""")

# Functions whose result has a shape that depends on data: they wait for the device.
SYNCHRONIZING = _names("""
    argwhere array_equiv bincount compress delete extract flatnonzero histogram intersect1d isin nonzero
    piecewise setdiff1d setxor1d trim_zeros union1d unique unique_all unique_counts unique_inverse unique_values
""")

# Functions that end in a wait for their own stream, as Thrust's sorts do.
SORTING = _names("""
    argpartition argsort lexsort partition sort
""")

# Functions that call cuBLAS.
CUBLAS = _names("""
    dot einsum inner matmul tensordot vdot
""")

# ``cupy.linalg``.
LINALG = _names("""
    cholesky cond cross det diagonal eig eigh eigvals eigvalsh inv lstsq matmul matrix_norm matrix_power
    matrix_rank matrix_transpose multi_dot norm outer pinv qr slogdet solve svd svdvals tensordot tensorinv
    tensorsolve trace vecdot vector_norm
""")

# ``cupy.fft``.
FFT = _names("""
    fft fft2 fftfreq fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2 rfftfreq
    rfftn
""")

# ``cupyx.scipy.special``.
SPECIAL = _names("""
    beta betaln digamma entr erf erfc erfcinv erfcx erfinv exp1 exp10 exp2 expit expm1 gamma gammainc gammaincc
    gammaln i0 i0e i1 i1e j0 j1 log1p log_expit log_ndtr logit logsumexp ndtr ndtri poch polygamma psi rgamma
    sinc softmax xlog1py xlogy y0 y1 zeta
""")
