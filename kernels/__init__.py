"""The instruction set: every array-level function, NumPy and CUDA side by side.

This page declares each instruction once: name, parameters, shape and dtype rule and, where it is elementwise, the value
of one element as a CUDA C++ expression. ``kernels/cpu/<family>.py`` and ``kernels/cuda/<family>.py`` implement it under
the same name with the same parameters; `registry.Kernel` launches whichever fits the arrays.

Conventions
-----------
- All floating operands of one launch share one dtype; a Python scalar takes the dtype of the arrays. Promotion happens
  above, in ``tensorgrad/ops``.
- Every kernel that returns an array also takes ``out=``; in-place kernels take the written array first.
- ``axis`` of a reduction is None, an int or a tuple of ints, already within range.
- Random kernels are pure functions of ``(seed, offset)``: the same numbers on both backends.
"""

from __future__ import annotations

from . import matrix_rules, rules
from .registry import Kernel, add_hook, ieee_semantics, is_observed, remove_hook

# ------------------------------------------------------------------------------------------------------- elementwise
negative = Kernel("negative", "elementwise", "x", rules.same, "-x")
absolute = Kernel("absolute", "elementwise", "x", rules.same, "abs(x)")
sign = Kernel("sign", "elementwise", "x", rules.same, "sign(x)")
square = Kernel("square", "elementwise", "x", rules.same, "x * x")
reciprocal = Kernel("reciprocal", "elementwise", "x", rules.same, "1 / x")
sqrt = Kernel("sqrt", "elementwise", "x", rules.same, "sqrt(x)")
cbrt = Kernel("cbrt", "elementwise", "x", rules.same, "cbrt(x)")
rsqrt = Kernel("rsqrt", "elementwise", "x", rules.same, "rsqrt(x)")
exp = Kernel("exp", "elementwise", "x", rules.same, "exp(x)")
exp2 = Kernel("exp2", "elementwise", "x", rules.same, "exp2(x)")
expm1 = Kernel("expm1", "elementwise", "x", rules.same, "expm1(x)")
log = Kernel("log", "elementwise", "x", rules.same, "log(x)")
log2 = Kernel("log2", "elementwise", "x", rules.same, "log2(x)")
log10 = Kernel("log10", "elementwise", "x", rules.same, "log10(x)")
log1p = Kernel("log1p", "elementwise", "x", rules.same, "log1p(x)")
sin = Kernel("sin", "elementwise", "x", rules.same, "sin(x)")
cos = Kernel("cos", "elementwise", "x", rules.same, "cos(x)")
tan = Kernel("tan", "elementwise", "x", rules.same, "tan(x)")
asin = Kernel("asin", "elementwise", "x", rules.same, "asin(x)")
acos = Kernel("acos", "elementwise", "x", rules.same, "acos(x)")
atan = Kernel("atan", "elementwise", "x", rules.same, "atan(x)")
sinh = Kernel("sinh", "elementwise", "x", rules.same, "sinh(x)")
cosh = Kernel("cosh", "elementwise", "x", rules.same, "cosh(x)")
tanh = Kernel("tanh", "elementwise", "x", rules.same, "tanh(x)")
asinh = Kernel("asinh", "elementwise", "x", rules.same, "asinh(x)")
acosh = Kernel("acosh", "elementwise", "x", rules.same, "acosh(x)")
atanh = Kernel("atanh", "elementwise", "x", rules.same, "atanh(x)")
erf = Kernel("erf", "elementwise", "x", rules.same, "erf(x)")
erfc = Kernel("erfc", "elementwise", "x", rules.same, "erfc(x)")
floor = Kernel("floor", "elementwise", "x", rules.same, "floor(x)")
ceil = Kernel("ceil", "elementwise", "x", rules.same, "ceil(x)")
trunc = Kernel("trunc", "elementwise", "x", rules.same, "trunc(x)")
round = Kernel("round", "elementwise", "x", rules.same, "rint(x)")
bitwise_invert = Kernel("bitwise_invert", "elementwise", "x", rules.same, "invert(x)")
isnan = Kernel("isnan", "elementwise", "x", rules.boolean, "isnan(x)")
isinf = Kernel("isinf", "elementwise", "x", rules.boolean, "isinf(x)")
isfinite = Kernel("isfinite", "elementwise", "x", rules.boolean, "isfinite(x)")
conj = Kernel("conj", "elementwise", "x", rules.same)
imag = Kernel("imag", "elementwise", "x", rules.real_part)
join_parts = Kernel("join_parts", "elementwise", "real, imag", rules.complex_number)
signbit = Kernel("signbit", "elementwise", "x", rules.boolean, "signbit(x)")
logical_not = Kernel("logical_not", "elementwise", "x", rules.boolean, "!x")

add = Kernel("add", "elementwise", "x1, x2", rules.same, "x1 + x2")
subtract = Kernel("subtract", "elementwise", "x1, x2", rules.same, "x1 - x2")
multiply = Kernel("multiply", "elementwise", "x1, x2", rules.same, "x1 * x2")
divide = Kernel("divide", "elementwise", "x1, x2", rules.same, "x1 / x2")
# the gradient of y = z / x with respect to x
divisor_gradient = Kernel("divisor_gradient", "elementwise", "g, x, y", rules.same, "-(g * y) / x")
floor_divide = Kernel("floor_divide", "elementwise", "x1, x2", rules.same, "floor_divide(x1, x2)")
remainder = Kernel("remainder", "elementwise", "x1, x2", rules.same, "remainder(x1, x2)")
power = Kernel("power", "elementwise", "x1, x2", rules.same, "pow(x1, x2)")
maximum = Kernel("maximum", "elementwise", "x1, x2", rules.same, "maximum(x1, x2)")
minimum = Kernel("minimum", "elementwise", "x1, x2", rules.same, "minimum(x1, x2)")
atan2 = Kernel("atan2", "elementwise", "x1, x2", rules.same, "atan2(x1, x2)")
hypot = Kernel("hypot", "elementwise", "x1, x2", rules.same, "hypot(x1, x2)")
copysign = Kernel("copysign", "elementwise", "x1, x2", rules.same, "copysign(x1, x2)")
nextafter = Kernel("nextafter", "elementwise", "x1, x2", rules.same, "nextafter(x1, x2)")
logaddexp = Kernel("logaddexp", "elementwise", "x1, x2", rules.same, "logaddexp(x1, x2)")
logaddexp2 = Kernel("logaddexp2", "elementwise", "x1, x2", rules.same, "logaddexp2(x1, x2)")
fmax = Kernel("fmax", "elementwise", "x1, x2", rules.same, "fmax(x1, x2)")
fmin = Kernel("fmin", "elementwise", "x1, x2", rules.same, "fmin(x1, x2)")
fmod = Kernel("fmod", "elementwise", "x1, x2", rules.same, "fmod(x1, x2)")
heaviside = Kernel("heaviside", "elementwise", "x1, x2", rules.same, "heaviside(x1, x2)")
gcd = Kernel("gcd", "elementwise", "x1, x2", rules.same, "gcd(x1, x2)")
lcm = Kernel("lcm", "elementwise", "x1, x2", rules.same, "lcm(x1, x2)")
bitwise_and = Kernel("bitwise_and", "elementwise", "x1, x2", rules.same, "x1 & x2")
bitwise_or = Kernel("bitwise_or", "elementwise", "x1, x2", rules.same, "x1 | x2")
bitwise_xor = Kernel("bitwise_xor", "elementwise", "x1, x2", rules.same, "x1 ^ x2")
bitwise_left_shift = Kernel("bitwise_left_shift", "elementwise", "x1, x2", rules.same, "shift_left(x1, x2)")
bitwise_right_shift = Kernel("bitwise_right_shift", "elementwise", "x1, x2", rules.same, "shift_right(x1, x2)")
equal = Kernel("equal", "elementwise", "x1, x2", rules.boolean, "x1 == x2")
not_equal = Kernel("not_equal", "elementwise", "x1, x2", rules.boolean, "x1 != x2")
less = Kernel("less", "elementwise", "x1, x2", rules.boolean, "x1 < x2")
less_equal = Kernel("less_equal", "elementwise", "x1, x2", rules.boolean, "x1 <= x2")
greater = Kernel("greater", "elementwise", "x1, x2", rules.boolean, "x1 > x2")
greater_equal = Kernel("greater_equal", "elementwise", "x1, x2", rules.boolean, "x1 >= x2")
logical_and = Kernel("logical_and", "elementwise", "x1, x2", rules.boolean, "x1 && x2")
logical_or = Kernel("logical_or", "elementwise", "x1, x2", rules.boolean, "x1 || x2")
logical_xor = Kernel("logical_xor", "elementwise", "x1, x2", rules.boolean, "!x1 != !x2")

frexp = Kernel("frexp", "elementwise", "x", lambda x: [(x.shape, x.dtype), rules.whole(x)])
# quotient, rounded down, and rest; the part after the point and the whole part, the latter with the sign of x
divmod = Kernel("divmod", "elementwise", "x1, x2", rules.two_alike)
modf = Kernel("modf", "elementwise", "x", rules.two_alike)
ldexp = Kernel("ldexp", "elementwise", "x, exponent", rules.first_broadcast)
spacing = Kernel("spacing", "elementwise", "x", rules.same)
where = Kernel("where", "elementwise", "condition, x1, x2", rules.condition_first, "condition ? x1 : x2")
clip = Kernel("clip", "elementwise", "x, low, high", rules.same, "minimum(maximum(x, low), high)")

# -------------------------------------------------------------------------------------------------------- activation
sigmoid = Kernel("sigmoid", "activation", "x", rules.same, "sigmoid(x)")
sigmoid_backward = Kernel("sigmoid_backward", "activation", "g, y", rules.same, "g * (y * (1 - y))")
tanh_backward = Kernel("tanh_backward", "activation", "g, y", rules.same, "g * (1 - y * y)")
relu = Kernel("relu", "activation", "x", rules.same, "maximum(x, 0)")
relu_backward = Kernel("relu_backward", "activation", "g, y", rules.same, "y <= 0 ? 0 : g")
silu = Kernel("silu", "activation", "x", rules.same, "silu(x)")
silu_backward = Kernel("silu_backward", "activation", "g, x", rules.same, "silu_backward(g, x)")
gelu = Kernel("gelu", "activation", "x, tanh=False", rules.same, "tanh ? gelu_tanh(x) : gelu(x)")
gelu_backward = Kernel(
    "gelu_backward",
    "activation",
    "g, x, y, tanh=False",
    rules.same,
    "tanh ? gelu_tanh_backward(g, x) : gelu_backward(g, x)",
)
# activation is "relu", "gelu", "gelu_tanh", "silu", "tanh" or "sigmoid"; bias is added along the last axis
bias_activation = Kernel("bias_activation", "activation", "x, bias, activation", rules.first_operand)
bias_activation_backward = Kernel(
    "bias_activation_backward", "activation", "g, x, bias, activation", rules.first_operand
)

# --------------------------------------------------------------------------------------------------------- reduction
sum = Kernel("sum", "reduction", "x, axis=None, keepdims=False", rules.reduced)
prod = Kernel("prod", "reduction", "x, axis=None, keepdims=False", rules.reduced)
mean = Kernel("mean", "reduction", "x, axis=None, keepdims=False", rules.reduced)
var = Kernel("var", "reduction", "x, axis=None, keepdims=False, correction=0.0", rules.reduced)
std = Kernel("std", "reduction", "x, axis=None, keepdims=False, correction=0.0", rules.reduced)
max = Kernel("max", "reduction", "x, axis=None, keepdims=False", rules.reduced)
min = Kernel("min", "reduction", "x, axis=None, keepdims=False", rules.reduced)
logsumexp = Kernel("logsumexp", "reduction", "x, axis=None, keepdims=False", rules.reduced)
any = Kernel("any", "reduction", "x, axis=None, keepdims=False", rules.reduced_boolean)
all = Kernel("all", "reduction", "x, axis=None, keepdims=False", rules.reduced_boolean)
nanmax = Kernel("nanmax", "reduction", "x, axis=None, keepdims=False", rules.reduced)
nanmin = Kernel("nanmin", "reduction", "x, axis=None, keepdims=False", rules.reduced)
nanvar = Kernel("nanvar", "reduction", "x, axis=None, keepdims=False, correction=0.0", rules.reduced)
argmax = Kernel("argmax", "reduction", "x, axis=None, keepdims=False", rules.reduced_index)
argmin = Kernel("argmin", "reduction", "x, axis=None, keepdims=False", rules.reduced_index)
vector_norm = Kernel("vector_norm", "reduction", "x, axis=None, keepdims=False, ord=2.0", rules.reduced_size)

# ------------------------------------------------------------------------------------------------------------ matmul
matmul = Kernel("matmul", "matmul", "x1, x2", rules.matrix_product)
linear = Kernel("linear", "matmul", "x, weight, bias=None", rules.linear_product)

# ----------------------------------------------------------------------------------------------------- decomposition
# of the matrices on the last two axes
cholesky = Kernel("cholesky", "decomposition", "x, upper=False, check=True", matrix_rules.factor_and_info)
lu_factor = Kernel("lu_factor", "decomposition", "x", matrix_rules.lu_factors)
pivots_to_permutation = Kernel("pivots_to_permutation", "decomposition", "pivots, rows", matrix_rules.permutations)
qr = Kernel("qr", "decomposition", "x, complete=False", matrix_rules.orthogonal_and_triangular)
qr_raw = Kernel("qr_raw", "decomposition", "x", matrix_rules.reflectors)
eigh = Kernel("eigh", "decomposition", "x, upper=False", matrix_rules.eigenpairs)
eigvalsh = Kernel("eigvalsh", "decomposition", "x, upper=False", matrix_rules.eigenvalues)
eig = Kernel("eig", "decomposition", "x", matrix_rules.eigenpairs_general)
eigvals = Kernel("eigvals", "decomposition", "x", matrix_rules.eigenvalues_general)
svd = Kernel("svd", "decomposition", "x, full=False", matrix_rules.singular_vectors)
svdvals = Kernel("svdvals", "decomposition", "x", matrix_rules.singular_values)

# ----------------------------------------------------------------------------------------------------------- solving
inv = Kernel("inv", "solving", "x, check=True", matrix_rules.factor_and_info)
solve = Kernel("solve", "solving", "a, b, check=True", matrix_rules.solution_and_info)
solve_triangular = Kernel("solve_triangular", "solving", "a, b, upper=False, unit=False", matrix_rules.solution)
det = Kernel("det", "solving", "x", matrix_rules.invertible)
slogdet = Kernel("slogdet", "solving", "x", matrix_rules.sign_and_logarithm)
cofactor = Kernel("cofactor", "solving", "x", rules.first_operand)
cofactor_slope = Kernel("cofactor_slope", "solving", "h, x", rules.first_operand)
# numbers per matrix have one more axis of size 1
pinv = Kernel("pinv", "solving", "x, rtol, atol=0.0, hermitian=False", matrix_rules.transposed)
truncation_slope = Kernel("truncation_slope", "solving", "z, x, rtol, atol=0.0", rules.first_operand)
truncation_curvature = Kernel("truncation_curvature", "solving", "x, rtol, atol=0.0", rules.first_operand)
lstsq = Kernel("lstsq", "solving", "a, b, rtol", matrix_rules.least_squares)
cross = Kernel("cross", "solving", "x1, x2, axis=-1", matrix_rules.crossed)
matrix_exp = Kernel("matrix_exp", "solving", "x", rules.first_operand)
independent = Kernel("independent", "solving", "v", rules.first_operand)
# quotients of gradients of eigenvectors and singular vectors; op is whose
over_gaps = Kernel("over_gaps", "solving", 'm, w, scale, valued=True, phase=False, op="eigh"', rules.first_operand)
over_values = Kernel("over_values", "solving", 'm, d, scale, op="svd"', rules.first_operand)

# ------------------------------------------------------------------------------------------------------------ memory
copy = Kernel("copy", "memory", "x", rules.first_operand)
cast = Kernel("cast", "memory", "x, dtype", rules.cast_to)
fill = Kernel("fill", "memory", "out, value", rules.in_place)
assign = Kernel("assign", "memory", "out, x", rules.in_place)
arange = Kernel("arange", "memory", "out, start, step", rules.in_place)
triangle = Kernel("triangle", "memory", "x, k=0, upper=False", rules.first_operand)
triangle_indices = Kernel("triangle_indices", "memory", "out, rows, columns, k=0, upper=False", rules.in_place)
repeat = Kernel("repeat", "memory", "x, count, axis", rules.repeated_slices)
concat = Kernel("concat", "memory", "arrays, axis", rules.arrays_joined)

# ---------------------------------------------------------------------------------------------------------- indexing
getitem = Kernel("getitem", "indexing", "x, index", rules.indexed)
setitem = Kernel("setitem", "indexing", "out, index, value", rules.in_place)
scatter_add = Kernel("scatter_add", "indexing", "out, index, value", rules.in_place)
take = Kernel("take", "indexing", "x, indices, axis", rules.taken)
take_add = Kernel("take_add", "indexing", "out, indices, value, axis", rules.in_place)
take_along_axis = Kernel("take_along_axis", "indexing", "x, indices, axis", rules.taken_along_axis)
put_along_axis = Kernel("put_along_axis", "indexing", "out, indices, value, axis", rules.in_place)
add_along_axis = Kernel("add_along_axis", "indexing", "out, indices, value, axis", rules.in_place)

# operation is "prod", "amax" or "amin"
reduce_along_axis = Kernel("reduce_along_axis", "indexing", "out, indices, value, axis, operation", rules.in_place)
# x of indices from 0 to below size; the sums of the weights, or how often each occurs
bincount = Kernel("bincount", "indexing", "x, size, weights=None", rules.counted)

# ----------------------------------------------------------------------------------------------------------- softmax
softmax = Kernel("softmax", "softmax", "x, axis=-1", rules.first_operand)
softmax_backward = Kernel("softmax_backward", "softmax", "g, y, axis=-1", rules.first_operand)
log_softmax = Kernel("log_softmax", "softmax", "x, axis=-1", rules.first_operand)
log_softmax_backward = Kernel("log_softmax_backward", "softmax", "g, y, axis=-1", rules.first_operand)

# -------------------------------------------------------------------------------------------------------------- norm
# layer_norm is over the last `axes` axes, and RMS norm where not `centered`; with `affine` its gradient is a triple
layer_norm = Kernel(
    "layer_norm", "norm", "x, weight=None, bias=None, axes=1, eps=1e-5, centered=True", rules.rows_normalized
)
layer_norm_backward = Kernel(
    "layer_norm_backward",
    "norm",
    "g, x, mean, rstd, weight=None, axes=1, centered=True, affine=False",
    rules.rows_normalized_backward,
)
batch_norm = Kernel("batch_norm", "norm", "x, weight=None, bias=None, eps=1e-5", rules.channels_normalized)
batch_norm_backward = Kernel(
    "batch_norm_backward", "norm", "g, x, mean, var, weight=None, eps=1e-5", rules.channels_normalized_backward
)
batch_norm_with = Kernel(
    "batch_norm_with", "norm", "x, mean, var, weight=None, bias=None, eps=1e-5", rules.first_operand
)

# -------------------------------------------------------------------------------------------------------------- conv
# x (N, C, ...), weight (O, C / groups, ...); stride, padding and dilation are tuples, one entry per spatial axis
conv = Kernel("conv", "conv", "x, weight, bias, stride, padding, dilation, groups", rules.convolved)
conv_input_gradient = Kernel(
    "conv_input_gradient", "conv", "g, weight, size, stride, padding, dilation, groups", rules.convolved_input
)
conv_weight_gradient = Kernel(
    "conv_weight_gradient", "conv", "g, x, kernel_size, stride, padding, dilation, groups", rules.convolved_weight
)

# -------------------------------------------------------------------------------------------------------------- pool
max_pool = Kernel("max_pool", "pool", "x, kernel, stride, padding, dilation, ceil_mode=False", rules.pooled)
max_pool_values = Kernel(
    "max_pool_values",
    "pool",
    "x, kernel, stride, padding, dilation, ceil_mode=False",
    lambda *args, **params: rules.pooled(*args, **params)[0],
)
max_pool_backward = Kernel(
    "max_pool_backward",
    "pool",
    "g, indices, size, kernel, stride, padding, dilation",
    lambda g, indices, size, *_, **__: ((*g.shape[:2], *size), g.dtype),
)
avg_pool = Kernel(
    "avg_pool",
    "pool",
    "x, kernel, stride, padding, ceil_mode=False, count_include_pad=True, divisor_override=None",
    rules.pooled_average,
)
avg_pool_backward = Kernel(
    "avg_pool_backward",
    "pool",
    "g, size, kernel, stride, padding, ceil_mode=False, count_include_pad=True, divisor_override=None",
    lambda g, size, *_, **__: ((*g.shape[:2], *size), g.dtype),
)

# -------------------------------------------------------------------------------------------------------------- loss
# logits (N, C, ...); target (N, ...) of class indices, or (N, C, ...) of probabilities for the soft_ pair
cross_entropy = Kernel(
    "cross_entropy",
    "loss",
    "logits, target, weight=None, ignore_index=-100, label_smoothing=0.0",
    rules.class_losses,
)
cross_entropy_backward = Kernel(
    "cross_entropy_backward",
    "loss",
    "g, logits, target, lse, weight=None, ignore_index=-100, label_smoothing=0.0",
    lambda g, logits, *_, **__: (logits.shape, logits.dtype),
)
# what the mean of the losses divides by, a 0-d array of the dtype of the logits
target_weight = Kernel(
    "target_weight",
    "loss",
    "logits, target, weight=None, ignore_index=-100",
    lambda logits, *_, **__: ((), logits.dtype),
)
soft_cross_entropy = Kernel(
    "soft_cross_entropy", "loss", "logits, target, weight=None, label_smoothing=0.0", rules.class_losses
)
soft_cross_entropy_backward = Kernel(
    "soft_cross_entropy_backward",
    "loss",
    "g, logits, target, lse, weight=None, label_smoothing=0.0",
    lambda g, logits, *_, **__: (logits.shape, logits.dtype),
)

# --------------------------------------------------------------------------------------------------------- attention
attention = Kernel(
    "attention",
    "attention",
    "q, k, v, mask=None, causal=False, scale=1.0, p=0.0, seed=0, offset=0",
    rules.attended,
)
attention_backward = Kernel(
    "attention_backward",
    "attention",
    "g, q, k, v, y, lse, mask=None, causal=False, scale=1.0, p=0.0, seed=0, offset=0",
    rules.attended_backward,
)

# --------------------------------------------------------------------------------------------------------- recurrent
# x (T, N, I) or, with batch_first, (N, T, I); with `keep` there is one more result, which the gradient needs
lstm = Kernel(
    "lstm",
    "recurrent",
    "x, h, c, weight_ih, weight_hh, bias_ih=None, bias_hh=None, batch_first=False, reverse=False, keep=True",
    rules.lstm_states,
)
lstm_backward = Kernel(
    "lstm_backward",
    "recurrent_gradient",
    "g, gc, kept, weight_hh, batch_first=False, reverse=False",
    lambda g, gc, kept, weight_hh, batch_first=False, *_: rules.sums_of_gates(g, weight_hh, batch_first, 2),
)
# wanted tells for each operand of lstm whether there is a result, its gradient
lstm_gradients = Kernel(
    "lstm_gradients",
    "recurrent_gradient",
    "g, gc, x, h, y, kept, weight_ih, weight_hh, wanted, batch_first=False, reverse=False",
    lambda g, gc, x, h, y, kept, weight_ih, weight_hh, wanted, batch_first=False, reverse=False: (
        rules.operand_gradients(x, (h, h), weight_ih, weight_hh, wanted)
    ),
)
gru = Kernel(
    "gru",
    "recurrent",
    "x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None, batch_first=False, reverse=False, keep=True",
    rules.gru_states,
)
gru_backward = Kernel(
    "gru_backward",
    "recurrent_gradient",
    "g, kept, weight_hh, batch_first=False, reverse=False",
    lambda g, kept, weight_hh, batch_first=False, reverse=False: [
        ((*g.shape[:2], weight_hh.shape[0]), g.dtype),
        *rules.sums_of_gates(g, weight_hh, batch_first, 1),
    ],
)
gru_gradients = Kernel(
    "gru_gradients",
    "recurrent_gradient",
    "g, x, h, y, kept, weight_ih, weight_hh, wanted, batch_first=False, reverse=False",
    lambda g, x, h, y, kept, weight_ih, weight_hh, wanted, batch_first=False, reverse=False: rules.operand_gradients(
        x, (h,), weight_ih, weight_hh, wanted
    ),
)
# nonlinearity is "tanh" or "relu"
rnn = Kernel(
    "rnn",
    "recurrent",
    'x, h, weight_ih, weight_hh, bias_ih=None, bias_hh=None, nonlinearity="tanh", batch_first=False, reverse=False',
    lambda x, h, *_, **__: ((*x.shape[:2], h.shape[1]), x.dtype),
)
rnn_backward = Kernel(
    "rnn_backward",
    "recurrent_gradient",
    'g, y, weight_hh, nonlinearity="tanh", batch_first=False, reverse=False',
    lambda g, y, weight_hh, nonlinearity="tanh", batch_first=False, reverse=False: rules.sums_of_gates(
        g, weight_hh, batch_first, 1
    ),
)
rnn_gradients = Kernel(
    "rnn_gradients",
    "recurrent_gradient",
    'g, x, h, y, weight_ih, weight_hh, wanted, nonlinearity="tanh", batch_first=False, reverse=False',
    lambda g, x, h, y, weight_ih, weight_hh, wanted, nonlinearity="tanh", batch_first=False, reverse=False: (
        rules.operand_gradients(x, (h,), weight_ih, weight_hh, wanted)
    ),
)

# --------------------------------------------------------------------------------------------------------- selection
argsort = Kernel("argsort", "selection", "x, axis=-1, descending=False, stable=True", rules.sorted_index)
lexsort = Kernel("lexsort", "selection", "arrays, axis", rules.joint_order)
sort = Kernel("sort", "selection", "x, axis=-1, descending=False", rules.first_operand)
partition = Kernel("partition", "selection", "x, kth, axis=-1", rules.first_operand)
argpartition = Kernel("argpartition", "selection", "x, kth, axis=-1", rules.first_as_index)
# ranks counted from 0: a tuple, or an array with the axes of x, of which `axis` says how many
ranked_indices = Kernel("ranked_indices", "selection", "x, ranks, axis=-1", rules.ranked)
# of the rows on the last axis; parts is a tuple of numbers from 0 to 1
quantiles = Kernel("quantiles", "selection", "x, parts, method, skip_nan=False", rules.parted)
topk_indices = Kernel("topk_indices", "selection", "x, k, axis=-1, largest=True, sorted=True", rules.chosen_index)

# ------------------------------------------------------------------------------------------------- special functions
# elementwise, but too long for a chain: each is computed on its own, on the CPU in float64
gammaln = Kernel("gammaln", "gamma", "x", rules.same)
digamma = Kernel("digamma", "gamma", "x", rules.same)
polygamma = Kernel("polygamma", "gamma", "x, n", rules.first_operand)
zeta = Kernel("zeta", "gamma", "x1, x2", rules.same)
gammainc = Kernel("gammainc", "gamma", "x1, x2", rules.same)
gammaincc = Kernel("gammaincc", "gamma", "x1, x2", rules.same)
i0 = Kernel("i0", "bessel", "x", rules.same)
i0e = Kernel("i0e", "bessel", "x", rules.same)
i1 = Kernel("i1", "bessel", "x", rules.same)
i1e = Kernel("i1e", "bessel", "x", rules.same)
j0 = Kernel("j0", "bessel", "x", rules.same)
j1 = Kernel("j1", "bessel", "x", rules.same)
k0 = Kernel("k0", "bessel", "x", rules.same)
k0e = Kernel("k0e", "bessel", "x", rules.same)
k1 = Kernel("k1", "bessel", "x", rules.same)
k1e = Kernel("k1e", "bessel", "x", rules.same)
y0 = Kernel("y0", "bessel", "x", rules.same)
y1 = Kernel("y1", "bessel", "x", rules.same)
erfinv = Kernel("erfinv", "normal", "x", rules.same)
erfcx = Kernel("erfcx", "normal", "x", rules.same)
ndtr = Kernel("ndtr", "normal", "x", rules.same)
ndtri = Kernel("ndtri", "normal", "x", rules.same)
log_ndtr = Kernel("log_ndtr", "normal", "x", rules.same)

# -------------------------------------------------------------------------------------------------------------- scan
cumsum = Kernel("cumsum", "scan", "x, axis, reverse=False", rules.first_operand)
cumprod = Kernel("cumprod", "scan", "x, axis", rules.first_operand)
logcumsumexp = Kernel("logcumsumexp", "scan", "x, axis", rules.first_operand)
cummax_indices = Kernel("cummax_indices", "scan", "x, axis, largest=True", rules.first_as_index)

# ------------------------------------------------------------------------------------------------------------ signal
convolve = Kernel("convolve", "signal", "x, w, start, size", rules.convolved_line)

# ------------------------------------------------------------------------------------------------------------ search
nonzero = Kernel("nonzero", "search", "x", rules.by_values)
unique = Kernel(
    "unique", "search", "x, index=False, inverse=False, counts=False, equal_nan=False, axis=None", rules.by_values
)
searchsorted = Kernel("searchsorted", "search", "x, values, right=False", rules.second_as_index)
# which of the intervals between edges, equal ones from low to high, each number is in; how many there are for none
interval_indices = Kernel("interval_indices", "search", "x, edges, low, high", rules.first_as_index)
interp = Kernel("interp", "search", "x, xp, fp, left=None, right=None", rules.first_operand)
# operation is "union", "intersection", "difference" or "exclusive"; of arrays of one axis
set_values = Kernel("set_values", "search", "x1, x2, operation", rules.by_values)
# bincount of as many indices as there are values, and `least` at least
counts = Kernel("counts", "search", "x, weights=None, least=0", rules.by_values)
bitwise_count = Kernel("bitwise_count", "search", "x", rules.first_as_octets)
isin = Kernel("isin", "search", "x, values", rules.first_as_boolean)
repeated_indices = Kernel("repeated_indices", "search", "repeats, total", rules.repeated)

# -------------------------------------------------------------------------------------------------------------- bits
packbits = Kernel("packbits", "bits", "x, axis, big=True", rules.packed)
unpackbits = Kernel("unpackbits", "bits", "x, axis, count, big=True", rules.unpacked)

# --------------------------------------------------------------------------------------------------------------- fft
# norm is "backward", "forward" or "ortho"
fft = Kernel("fft", "fft", "x, axes, inverse, norm", rules.first_operand)
rfft = Kernel("rfft", "fft", "x, axis, norm", rules.half_spectrum)
irfft = Kernel("irfft", "fft", "x, size, axis, norm", rules.real_signal)

# ------------------------------------------------------------------------------------------------------------ random
random_bits = Kernel("random_bits", "random", "out, seed, offset", rules.in_place)
uniform = Kernel("uniform", "random", "out, low, high, seed, offset", rules.in_place)
normal = Kernel("normal", "random", "out, mean, std, seed, offset", rules.in_place)
bernoulli = Kernel("bernoulli", "random", "out, p, seed, offset", rules.in_place)
integers = Kernel("integers", "random", "out, low, high, seed, offset", rules.in_place)
permutation = Kernel("permutation", "random", "out, seed, offset", rules.in_place)
dropout = Kernel("dropout", "random", "x, p, seed, offset", rules.first_operand)
poisson = Kernel("poisson", "counts", "out, rates, seed, offset", rules.in_place)
binomial = Kernel("binomial", "counts", "out, counts, chances, seed, offset", rules.in_place)

# --------------------------------------------------------------------------------------------------------- optimizer
# lists of arrays, one entry per parameter; every list but grads is updated in place
sgd_step = Kernel(
    "sgd_step",
    "optimizer",
    "params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize, first_step",
    rules.in_place,
)
adam_step = Kernel(
    "adam_step",
    "optimizer",
    "params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps, lr, beta1, beta2, eps, weight_decay, "
    "decoupled_weight_decay, maximize",
    rules.in_place,
)
global_norm = Kernel("global_norm", "optimizer", "arrays, p=2.0", rules.norm_of_all)
scale = Kernel("scale", "optimizer", "arrays, factor", rules.in_place)

INSTRUCTIONS: dict[str, Kernel] = {k: v for k, v in globals().copy().items() if isinstance(v, Kernel)}

__all__ = ["INSTRUCTIONS", "Kernel", "add_hook", "ieee_semantics", "is_observed", "remove_hook", *INSTRUCTIONS]
