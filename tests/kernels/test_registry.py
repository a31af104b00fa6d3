"""The instruction set: both backends implement exactly what is declared, and do what the declarations say."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import registry, rules

import tensorgrad as tg
from tensorgrad import kernels as K
from tensorgrad.backend import device_of, is_array, to_numpy

from ..ops.samples import LAYOUTS, place

HERE = Path(K.__file__).parent
FAMILIES = sorted({kernel.family for kernel in K.INSTRUCTIONS.values()})
IN_PLACE = {name for name, kernel in K.INSTRUCTIONS.items() if kernel.rule is rules.in_place}
WITHOUT_OUT = IN_PLACE | {name for name, kernel in K.INSTRUCTIONS.items() if kernel.rule is rules.by_values}


def declared(kernel: K.Kernel) -> list[tuple[str, Any]]:
    """Names and defaults of a kernel's parameters, ``out`` included."""
    arguments = ast.parse(f"def f({kernel.signature}): ...").body[0].args
    names = [a.arg for a in arguments.args]
    defaults = [...] * (len(names) - len(arguments.defaults)) + [ast.literal_eval(d) for d in arguments.defaults]
    pairs = list(zip(names, defaults, strict=True))
    return pairs if kernel.name in WITHOUT_OUT else [*pairs, ("out", None)]


# --------------------------------------------------------------------------------------------------------- declarations
def test_declarations():
    assert len(K.INSTRUCTIONS) > 90
    for name, kernel in K.INSTRUCTIONS.items():
        assert kernel.name == name
        assert getattr(K, name) is kernel
        assert name in K.__all__
        assert f"<kernel {name}(" in repr(kernel)
        assert kernel.elementwise == (kernel.expression is not None)
    assert {"add", "relu", "cross_entropy", "adam_step", "getitem", "permutation"} <= set(K.INSTRUCTIONS)


def test_rules_take_what_their_kernels_take():
    for kernel in K.INSTRUCTIONS.values():
        signature = inspect.signature(kernel.rule)
        signature.bind(*(None for _ in declared(kernel)[: len(declared(kernel)) - (kernel.name not in WITHOUT_OUT)]))


# operands that only spare the CPU a computation: to read them would cost a GPU more than it saves
SPARED = {"gelu_backward": {"y"}}


def test_expressions_name_their_parameters_only():
    for kernel in K.INSTRUCTIONS.values():
        if kernel.expression is None:
            continue
        names = {n for n, _ in declared(kernel)}
        words = set("".join(c if c.isalnum() or c == "_" else " " for c in kernel.expression).split())
        assert names - {"out"} - SPARED.get(kernel.name, set()) <= words, f"{kernel.name}: {kernel.expression}"


@pytest.mark.parametrize("name", K.INSTRUCTIONS)
def test_numpy_implementation(name):
    kernel = K.INSTRUCTIONS[name]
    function = kernel.cpu
    wanted = declared(kernel)
    if isinstance(function, np.ufunc):
        assert function.nin == len(wanted) - 1
        assert function.nout == 1
        return
    parameters = [
        (p.name, ... if p.default is p.empty else p.default) for p in inspect.signature(function).parameters.values()
    ]
    assert parameters == wanted


def _definitions(path: Path) -> dict[str, ast.FunctionDef]:
    tree = ast.parse(path.read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def _assigned(path: Path) -> set[str]:
    """Names that a module binds at its top in any way that the parser can see."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                found |= {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("name", K.INSTRUCTIONS)
def test_cuda_implementation(name):
    """Read from the source, so that it holds on machines without CuPy."""
    kernel = K.INSTRUCTIONS[name]
    path = HERE / "cuda" / f"{kernel.family}.py"
    definition = _definitions(path).get(name)
    if definition is None:
        # made by a loop or a factory: then the module says so by name, and on CUDA the test below calls it
        assert name in _assigned(path) or name in path.read_text(), f"{name} is not in {path.name}"
        return
    arguments = definition.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    defaults = [...] * (len(names) - len(arguments.defaults)) + [ast.literal_eval(d) for d in arguments.defaults]
    assert list(zip(names, defaults, strict=True)) == declared(kernel)
    assert not arguments.kwonlyargs


def test_cuda_implementations_are_callable(device):
    if device == "cuda":
        for kernel in K.INSTRUCTIONS.values():
            assert callable(kernel.cuda), kernel.name


@pytest.mark.parametrize("backend", ["cpu", "cuda"])
@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_but_instructions_is_public(backend, family):
    """``__all__`` of an implementation names instructions of its family, or what its own backend shares."""
    path = HERE / backend / f"{family}.py"
    tree = ast.parse(path.read_text())
    public = next(
        (
            ast.literal_eval(n.value)
            for n in tree.body
            if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
        ),
        [],
    )
    others = {name for name, kernel in K.INSTRUCTIONS.items() if kernel.family != family}
    # the file of elementwise functions takes erf and erfc from where activation finds them
    assert not set(public) & others


def test_same_files_on_both_sides():
    for family in FAMILIES:
        assert (HERE / "cpu" / f"{family}.py").exists(), family
        assert (HERE / "cuda" / f"{family}.py").exists(), family


# -------------------------------------------------------------------------------------------------------------- samples
@dataclass
class Case:
    """Arguments of a launch, made anew for each one: ``arguments(device, dtype)``."""

    arguments: Callable[[str, str], tuple[Any, ...]]
    dtypes: tuple[str, ...] = ("float32", "float64", "float16")


def _random(*shape: int, low: float = 0.2, high: float = 0.9, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def _holed(*shape: int) -> np.ndarray:
    """With NaNs, more of them from row to row."""
    x = _random(*shape)
    for k, row in enumerate(x):
        row[:k] = np.nan
    return x


def _complex(*shape: int) -> np.ndarray:
    return _random(*shape) + 1j * _random(*shape, seed=1)


def array(values: Any, device: str, dtype: Any = None) -> Any:
    return tg.tensor(np.asarray(values), dtype, device)._data


INTEGER = ("int64", "int32", "uint8", "bool")
CASES: dict[str, list[Case]] = {}


def case(name: str, arguments: Callable[[str, str], tuple[Any, ...]], dtypes: tuple[str, ...] | None = None) -> None:
    CASES.setdefault(name, []).append(Case(arguments) if dtypes is None else Case(arguments, dtypes))


for _name, _kernel in K.INSTRUCTIONS.items():
    if _kernel.family in ("elementwise", "activation") and _kernel.elementwise:
        _count = len([n for n, d in declared(_kernel) if d is ...])
        if _name in ("where", "clip", *SPARED):
            continue
        _kinds = (
            ("int64", "int32", "uint8")
            if _name.startswith("bitwise") or _name in ("gcd", "lcm")
            else ("float32", "float64", "float16")
        )
        _shift = 1.2 if _name == "acosh" else 0.0
        for _shape in ((2, 3), (), (0, 3)):

            def _arguments(d, t, n=_count, s=_shape, up=_shift, scale=1 if "float" in _kinds[0] else 9):
                return tuple(array((_random(*s, seed=i) + up) * scale, d, t) for i in range(n))

            case(_name, _arguments, _kinds)
        if _count == 2 and _kernel.family == "elementwise":

            def _broadcast(d, t, up=_shift, scale=1 if "float" in _kinds[0] else 9):
                return array((_random(2, 1) + up) * scale, d, t), array((_random(1, 3) + up) * scale, d, t)

            case(_name, _broadcast, _kinds)
            if not _name.startswith("bitwise") and _name not in ("gcd", "lcm"):
                case(_name, lambda d, t: (array(_random(2, 3), d, t), 2))
for _name in (
    "add",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "equal",
    "less",
    "floor_divide",
    "remainder",
    "power",
    "fmax",
    "fmin",
    "fmod",
):
    case(_name, lambda d, t: (array([7, 2, 1], d, t), array([2, 2, 1], d, t)), ("int64", "int32", "uint8"))
for _name in ("frexp", "modf", "spacing"):
    case(_name, lambda d, t: (array(_random(2, 3) * 9, d, t),))
    case(_name, lambda d, t: (array(-_random() * 9, d, t),))
for _dtypes in (("float32", "float64", "float16"), ("int64", "int32", "uint8")):
    case("divmod", lambda d, t: (array(_random(2, 3) * 9, d, t), array(_random(3) * 2 + 1, d, t)), _dtypes)
case("divmod", lambda d, t: (array([-7.5, np.inf, 3.0], d, t), array([2.0, 2.0, -np.inf], d, t)))
case("ldexp", lambda d, t: (array(_random(2, 3), d, t), array([3, -2, 0], d, "int64")))
for _axis in (0, -1):
    for _big in (True, False):
        case(
            "packbits",
            lambda d, t, a=_axis, b=_big: (array(_random(3, 19) > 0.5, d, t), a, b),
            ("bool", "int32", "uint8"),
        )
        for _count in (5, 16, 20):
            _octets = np.arange(12).reshape(3, 4) * 21
            case("unpackbits", lambda d, t, a=_axis, b=_big, n=_count, x=_octets: (array(x, d, t), a, n, b), ("uint8",))
for _name in ("negative", "absolute", "sign", "square", "isnan", "isfinite", "round", "floor"):
    case(_name, lambda d, t: (array([3, 0, 2], d, t),), ("int64", "int32"))
for _name in (
    "logical_and",
    "logical_or",
    "logical_xor",
    "equal",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "maximum",
):
    case(_name, lambda d, t: (array([True, False], d), array([True, True], d)), ("bool",))


def _gelu_backward(shape: tuple[int, ...], tanh: bool) -> Callable[[str, str], tuple[Any, ...]]:
    """With the result that belongs to the input, which one backend reads and the other finds again."""

    def arguments(d: str, t: str) -> tuple[Any, ...]:
        g, x = (array(_random(*shape, seed=i), d, t) for i in range(2))
        return g, x, K.gelu(x, tanh), tanh

    return arguments


case("gelu", lambda d, t: (array(_random(3), d, t), True))
for _shape in ((2, 3), (), (0, 3)):
    for _tanh in (False, True):
        case("gelu_backward", _gelu_backward(_shape, _tanh))
case("where", lambda d, t: (array([[True], [False]], d), array(_random(3), d, t), array(_random(2, 3), d, t)))
case("where", lambda d, t: (array([True, False], d), array([1, 2], d, t), array([3, 4], d, t)), INTEGER)
case("clip", lambda d, t: (array(_random(2, 3), d, t), 0.4, 0.6))
case("clip", lambda d, t: (array([1, 5, 9], d, t), 2, 6), ("int64", "int32"))
for _activation in ("relu", "gelu", "gelu_tanh", "silu", "tanh", "sigmoid"):
    for _shape in ((4, 3), (3,), (2, 2, 3), (0, 3)):
        case(
            "bias_activation",
            lambda d, t, a=_activation, s=_shape: (array(_random(*s), d, t), array(_random(3), d, t), a),
        )
        case(
            "bias_activation_backward",
            lambda d, t, a=_activation, s=_shape: (
                array(_random(*s), d, t),
                array(_random(*s), d, t),
                array(_random(3), d, t),
                a,
            ),
        )

for _name, _kernel in K.INSTRUCTIONS.items():
    if _kernel.family in ("gamma", "bessel", "normal"):
        for _shape in ((2, 3), (), (0, 3)):
            _count = 2 if _name in ("zeta", "gammainc", "gammaincc") else 1

            def _values(d, t, s=_shape, n=_count, up=1.0 if _name == "zeta" else 0.0):
                return tuple(array(_random(*s, seed=i) + up * (i == 0), d, t) for i in range(n))

            if _name == "polygamma":
                case(_name, lambda d, t, v=_values: (*v(d, t), 3))
            else:
                case(_name, _values)
    if _kernel.family == "reduction":
        _axes = (None, 0, -1) if _name.startswith("arg") else (None, 0, -1, (0, 2), (), (0, 1, 2))
        for _axis in _axes:
            for _keep in (False, True):
                case(_name, lambda d, t, a=_axis, k=_keep: (array(_random(2, 3, 4), d, t), a, k))
        case(_name, lambda d, t: (array(_random(), d, t),))
        if _name not in ("var", "std", "mean", "logsumexp", "vector_norm"):
            case(_name, lambda d, t: (array([[1, 2], [1, 0]], d, t), 0), ("int64", "int32"))
        if not _name.startswith(("arg", "max", "min", "nanm")):
            case(_name, lambda d, t: (array(np.zeros((2, 0)), d, t), 1))
        case(_name, lambda d, t: (array(np.zeros((0, 3)), d, t), 1))
case("var", lambda d, t: (array(_random(2, 3), d, t), 1, False, 1.0))
for _order in (0.0, 0.5, 1.0, 3.0, float("inf"), -float("inf"), -1.0):
    for _axis in (None, 1, (0, 2)):
        case("vector_norm", lambda d, t, o=_order, a=_axis: (array(_random(2, 3, 4), d, t), a, True, o))
for _order in (0.0, 1.0, 2.0, 3.0):
    case("vector_norm", lambda d, t, o=_order: (array(_random(2, 3) - 0.5j, d, t), -1, False, o), ("complex64",))
case("vector_norm", lambda d, t: (array(_random(70, 1500), d, t), None), ("float32", "float64"))
case("vector_norm", lambda d, t: (array(_random(70, 150), d, t), -1), ("float32", "float64"))
case("std", lambda d, t: (array(_random(2, 3), d, t), 0, True, 1.0))

for _first, _second in (
    ((2, 3), (3, 4)),
    ((2, 2, 3), (3, 2)),
    ((2, 2, 3), (2, 3, 1)),
    ((3, 1, 2, 3), (2, 3, 2)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 2)),
):
    case("matmul", lambda d, t, a=_first, b=_second: (array(_random(*a), d, t), array(_random(*b), d, t)))
case("linear", lambda d, t: (array(_random(2, 3), d, t), array(_random(4, 3), d, t)))
case("linear", lambda d, t: (array(_random(2, 2, 3), d, t), array(_random(4, 3), d, t), array(_random(4), d, t)))

EVERY = ("float32", "float64", "float16", "int64", "uint8", "bool")
for _shape in ((2, 3), (), (0, 2)):
    case("copy", lambda d, t, s=_shape: (array(_random(*s) * 3, d, t),), EVERY)
    for _to in ("float32", "float16", "int64", "bool", "complex64"):
        case("cast", lambda d, t, s=_shape, to=_to: (array(_random(*s) * 3, d, t), np.dtype(to)), EVERY)
    case("fill", lambda d, t, s=_shape: (array(_random(*s), d, t), 1), EVERY)
    case("assign", lambda d, t, s=_shape: (array(_random(*s), d, t), array(_random(*s, seed=1), d, t)), EVERY)
for _k in (-1, 0, 1):
    for _upper in (False, True):
        case("triangle", lambda d, t, k=_k, u=_upper: (array(_random(2, 3, 4) * 3, d, t), k, u), EVERY)
case("assign", lambda d, t: (array(_random(2, 3), d, t), array(_random(3), d, "float64")), ("float32", "float16"))
case("arange", lambda d, t: (array(np.zeros(5), d, t), 2, 3), ("float32", "float64", "int64", "int32"))
case("concat", lambda d, t: ([array(_random(2, 3), d, t), array(_random(1, 3), d, t)], 0), EVERY)
case("concat", lambda d, t: ([array(_random(2, 3), d, t), array(_random(2, 0), d, t)], 1), EVERY)

_ROWS, _MASK = np.array([2, 0, 2]), np.array([True, False, True])
for _index in (
    (_ROWS,),
    (_MASK,),
    (slice(None), np.array([[0, 1]])),
    (_ROWS, slice(None, None, 2)),
    (_ROWS, _ROWS),
    (_ROWS, None, 1),
    (..., _ROWS),
    (-1, _ROWS),
):

    def _on(d, index=_index):
        return tuple(array(i, d) if isinstance(i, np.ndarray) else i for i in index)

    _shape = np.zeros((3, 4))[_index].shape
    case("getitem", lambda d, t, on=_on: (array(_random(3, 4), d, t), on(d)), EVERY)
    case(
        "setitem", lambda d, t, on=_on, s=_shape: (array(_random(3, 4), d, t), on(d), array(np.full(s, 2), d, t)), EVERY
    )
    case("scatter_add", lambda d, t, on=_on, s=_shape: (array(_random(3, 4), d, t), on(d), array(_random(*s), d, t)))
case("setitem", lambda d, t: (array(_random(3, 4), d, t), (slice(1, None), 2), array(_random(2), d, t)))
for _axis in (0, 1, -1):
    case("take", lambda d, t, a=_axis: (array(_random(3, 4), d, t), array([2, 0, -1], d), a), EVERY)
    case("take", lambda d, t, a=_axis: (array(_random(3, 4), d, t), array([[2, 0]], d, "int32"), a))
case("take_add", lambda d, t: (array(_random(3, 4), d, t), array([2, 0, 2], d), array(_random(3, 4), d, t), 0))
case("take_along_axis", lambda d, t: (array(_random(3, 4), d, t), array([[0, 1], [2, 3], [-1, 0]], d), 1), EVERY)
for _name in ("put_along_axis", "add_along_axis"):
    case(
        _name,
        lambda d, t: (array(_random(3, 4), d, t), array([[0, 1], [2, 3], [3, 0]], d), array(_random(3, 2), d, t), 1),
    )

for _axis in (-1, 0, 1):
    for _name in ("softmax", "log_softmax"):
        case(_name, lambda d, t, a=_axis: (array(_random(2, 3, 4), d, t), a))
        case(
            f"{_name}_backward",
            lambda d, t, a=_axis: (array(_random(2, 3, 4), d, t), array(_random(2, 3, 4, seed=1), d, t), a),
        )
for _trail in ((), (2,)):
    for _more in ((), (None, 1, 0.2)):
        _shape = (4, 3, *_trail)
        _target = np.arange(4 * len(_trail or (0,)) * (2 if _trail else 1)).reshape(4, *_trail) % 3

        def _logits(d, t, s=_shape, seed=0):
            return array(_random(*s, seed=seed), d, t)

        def _indices(d, y=_target):
            return array(y, d)

        def _samples(d, t, s=(4, *_trail), seed=3):
            return array(_random(*s, seed=seed), d, t)

        case("cross_entropy", lambda d, t, m=_more, z=_logits, y=_indices: (z(d, t), y(d), *m))
        case(
            "cross_entropy_backward",
            lambda d, t, m=_more, z=_logits, y=_indices, g=_samples: (g(d, t), z(d, t), y(d), g(d, t, seed=4), *m),
        )
        _soft = (None, 0.2) if _more else ()
        case("target_weight", lambda d, t, m=_more[:2], z=_logits, y=_indices: (z(d, t), y(d), *m))
        case("soft_cross_entropy", lambda d, t, m=_soft, z=_logits: (z(d, t), z(d, t, seed=5), *m))
        case(
            "soft_cross_entropy_backward",
            lambda d, t, m=_soft, z=_logits, g=_samples: (g(d, t), z(d, t), z(d, t, seed=5), g(d, t, seed=4), *m),
        )

for _size, _kernel, _stride, _padding, _dilation, _groups in (
    ((5,), (3,), (2,), (1,), (1,), 1),
    ((4, 5), (2, 3), (1, 2), (1, 0), (2, 1), 2),
    ((3, 2, 3), (1, 2, 2), (1, 1, 1), (0, 1, 0), (1, 1, 1), 1),
):
    _how = (_stride, _padding, _dilation, _groups)
    _made = rules.convolved(np.zeros((2, 4, *_size)), np.zeros((2, 4 // _groups, *_kernel)), None, *_how)[0]

    def _image(d, t, n=_size):
        return array(_random(2, 4, *n), d, t)

    def _weights(d, t, k=_kernel, g=_groups):
        return array(_random(2, 4 // g, *k, seed=1), d, t)

    def _slopes(d, t, s=_made):
        return array(_random(*s, seed=2), d, t)

    for _bias in (True, False):
        case(
            "conv",
            lambda d, t, x=_image, w=_weights, o=_how, b=_bias: (
                x(d, t), w(d, t), array(_random(2, seed=3), d, t) if b else None, *o
            ),
        )  # fmt: skip
    case("conv_input_gradient", lambda d, t, g=_slopes, w=_weights, o=_how, n=_size: (g(d, t), w(d, t), n, *o))
    case("conv_weight_gradient", lambda d, t, g=_slopes, x=_image, o=_how, k=_kernel: (g(d, t), x(d, t), k, *o))

for _size, _kernel, _stride, _padding, _dilation, _ceil in (
    ((5,), (2,), (2,), (0,), (1,), True),
    ((4, 5), (3, 2), (1, 2), (1, 1), (1, 2), False),
    ((3, 2, 3), (1, 2, 2), (1, 1, 2), (0, 1, 0), (1, 1, 1), True),
):
    _how = (_kernel, _stride, _padding, _dilation)

    def _planes(d, t, n=_size):
        return array(_random(2, 2, *n), d, t)

    _found = K.max_pool(_planes("cpu", "float64"), *_how, _ceil)[1]
    case("max_pool", lambda d, t, x=_planes, o=_how, c=_ceil: (x(d, t), *o, c))
    case("max_pool_values", lambda d, t, x=_planes, o=_how, c=_ceil: (x(d, t), *o, c))
    case(
        "max_pool_backward",
        lambda d, t, i=_found, o=_how, n=_size: (array(_random(*i.shape), d, t), array(i, d), n, *o),
    )
    for _more in ((), (False,), (True, 3)):
        _average = (_kernel, _stride, _padding, _ceil, *_more)
        _made = rules.pooled_average(_planes("cpu", "float64"), *_average)[0]
        case("avg_pool", lambda d, t, x=_planes, o=_average: (x(d, t), *o))
        case("avg_pool_backward", lambda d, t, s=_made, o=_average, n=_size: (array(_random(*s), d, t), n, *o))

for _affine in (False, True):
    for _centered in (True, False):
        case(
            "layer_norm_backward",
            lambda d, t, a=_affine, c=_centered: (
                array(_random(2, 3, 4), d, t),
                array(_random(2, 3, 4, seed=1), d, t),
                array(_random(2, 1, 1), d, "float64" if t == "float64" else "float32"),
                array(_random(2, 1, 1, seed=1), d, "float64" if t == "float64" else "float32"),
                array(_random(3, 4), d, t),
                2,
                c,
                a,
            ),
        )
        case("layer_norm", lambda d, t, c=_centered: (array(_random(2, 3, 4), d, t), None, None, 1, 1e-2, c))
case("layer_norm", lambda d, t: (array(_random(5, 4), d, t), array(_random(4), d, t), array(_random(4), d, t)))
for _shape in ((5, 3), (2, 3, 4, 2)):
    case("batch_norm", lambda d, t, s=_shape: (array(_random(*s), d, t), array(_random(3), d, t)))
    case(
        "batch_norm_with",
        lambda d, t, s=_shape: (
            array(_random(*s), d, t),
            array(_random(3), d, "float64" if t == "float64" else "float32"),
            array(np.abs(_random(3, seed=1)), d, "float64" if t == "float64" else "float32"),
            array(_random(3, seed=2), d, t),
        ),
    )
    case(
        "batch_norm_backward",
        lambda d, t, s=_shape: (
            array(_random(*s), d, t),
            array(_random(*s, seed=1), d, t),
            array(_random(3), d, "float64" if t == "float64" else "float32"),
            array(_random(3, seed=1), d, "float64" if t == "float64" else "float32"),
        ),
    )
for _more in ((), (None, True, 0.5), (None, False, 1.0, 0.5, 3, 4)):
    case(
        "attention",
        lambda d, t, m=_more: (*(array(_random(1, 2, n, 4, seed=n), d, t) for n in (3, 5, 5)), *m),
    )
    case(
        "attention_backward",
        lambda d, t, m=_more: (
            *(array(_random(1, 2, n, 4, seed=n), d, t) for n in (3, 3, 5, 5, 3)),
            array(_random(1, 2, 3) + 1, d, "float64" if t == "float64" else "float32"),
            *m,
        ),
    )
for _name, _gates in (("lstm", 4), ("gru", 3), ("rnn", 1)):
    for _first, _reverse in ((False, False), (True, True)):
        _how = (*(("relu",) if _name == "rnn" else ()), _first, _reverse)
        _steps = (2, 3) if _first else (3, 2)

        def _layer(d, t, g=_gates, s=_steps):
            shapes = [(*s, 5), *[(2, 4)] * (2 if g == 4 else 1), (4 * g, 5), (4 * g, 4), (4 * g,), (4 * g,)]
            return tuple(array(_random(*shape, seed=i), d, t) for i, shape in enumerate(shapes))

        def _backward(d, t, name=_name, layer=_layer, s=_steps, how=_how):
            g, given = array(_random(*s, 4, seed=8), d, t), layer(d, t)
            kept = results(K.INSTRUCTIONS[name](*layer("cpu", t), *how))[-1]  # the devices get the same numbers
            if name == "lstm":
                return g, given[1], array(kept, d), given[4], *how
            return (g, array(kept, d), given[3], *how) if name == "gru" else (g, g, given[3], *how)

        def _gradients(d, t, wanted, name=_name, layer=_layer, s=_steps, how=_how):
            g, given = array(_random(*s, 4, seed=8), d, t), layer(d, t)
            made = [array(a, d) for a in results(K.INSTRUCTIONS[name](*layer("cpu", t), *how))]
            y, kept = made[0], made[-1]
            weights = given[-4:-2]
            if name == "lstm":
                return g, given[1], *given[:2], y, kept, *weights, wanted, *how
            return g, *given[:2], y, *((kept,) if name == "gru" else ()), *weights, wanted, *how

        for _more in ((), (False,)) if _name != "rnn" else ((),):
            case(_name, lambda d, t, layer=_layer, o=(*_how, *_more): (*layer(d, t), *o))
        case(f"{_name}_backward", _backward)
        for _all in (True, False):
            _wanted = tuple(_all or k % 2 == 0 for k in range(7 if _name == "lstm" else 6))
            case(f"{_name}_gradients", lambda d, t, w=_wanted, gradients=_gradients: gradients(d, t, w))
for _axis in (0, 1, -1):
    case("argsort", lambda d, t, a=_axis: (array(_random(3, 4), d, t), a, True), ("float32", "float16", "int64"))
    case("topk_indices", lambda d, t, a=_axis: (array(_random(3, 4), d, t), 2, a, False, False))

for _axis in (0, 1, -1):
    for _name in ("cumsum", "cumprod", "logcumsumexp", "cummax_indices"):
        _kinds = ("float32", "float64", "float16") if _name == "logcumsumexp" else ("float32", "float16", "int64")
        case(_name, lambda d, t, a=_axis: (array(_random(3, 4) * 3, d, t), a), _kinds)
    case("cumsum", lambda d, t, a=_axis: (array(_random(2, 3, 4), d, t), a, True))
    case("cummax_indices", lambda d, t, a=_axis: (array(_random(2, 3, 4), d, t), a, False))
for _start, _size in ((0, 8), (-2, 5), (3, 9)):
    case(
        "convolve",
        lambda d, t, s=_start, n=_size: (array(_random(2, 5), d, t), array(_random(4), d, t), s, n),
        ("float32", "float16", "int64", "complex128"),
    )
for _right in (False, True):
    for _rows in ((6,), (2, 6)):
        case(
            "searchsorted",
            lambda d, t, r=_right, s=_rows: (
                array(np.sort(_random(*s) * 9), d, t), array(_random(2, 5, seed=1) * 9, d, t), r
            ),
            ("float32", "float16", "int32"),
        )  # fmt: skip
for _operation in ("prod", "amax", "amin"):

    def _combined(d, t, o=_operation):
        value = array(_random(3, 2) * (2 if o == "amax" else 0.5), d, t)
        return array(_random(3, 4), d, t), array([[0, 1], [2, 2], [2, 0]], d), value, 1, o

    case("reduce_along_axis", _combined)
case("bincount", lambda d, t: (array([1, 3, 1], d, t), 5), ("int64", "int32"))
case("bincount", lambda d, t: (array([1, 3, 1], d), 4, array(_random(3), d, t)))
for _axis in (None, 0, (0, 2)):
    case("nanvar", lambda d, t, a=_axis: (array(np.stack([_holed(3, 4)] * 2), d, t), a, a is None, 1.0))
case("triangle_indices", lambda d, t: (array(np.zeros((2, 9)), d, "int64"), 4, 3, 0, False), ("int64",))
case("triangle_indices", lambda d, t: (array(np.zeros((2, 9)), d, "int64"), 3, 4, 0, True), ("int64",))
case("triangle_indices", lambda d, t: (array(np.zeros((2, 9)), d, "int64"), 5, 3, -1, True), ("int64",))
for _axis in (0, -1):
    case("repeat", lambda d, t, a=_axis: (array(_random(2, 3), d, t), 3, a))
    case(
        "lexsort", lambda d, t, a=_axis: ([array([[1, 0, 1], [1, 1, 0]], d, t), array([[2, 2, 1], [0, 2, 1]], d, t)], a)
    )
for _dtype, _least in (("int8", -128), ("int64", -(2**63)), ("uint8", 0), ("uint64", 2**64 - 1), ("int32", -(2**31))):
    case("bitwise_count", lambda d, t, low=_least: (array(np.array([1, 7, 100, low], t), d),), (_dtype,))
case("interp", lambda d, t: (array(_random(3, 4), d, t), array([0.3, 0.5, 0.8], d, t), array([1.0, 3.0, 2.0], d, t)))
case(
    "interp", lambda d, t: (array(_random(3), d, t), array([0.4, 0.4, 0.6], d, t), array([1, 3, 2.0], d, t), -1.0, 9.0)
)
for _operation in ("union", "intersection", "difference", "exclusive"):
    case("set_values", lambda d, t, o=_operation: (array([3, 1, 2, 3], d, t), array([5, 2, 3], d, t), o))
    case(
        "set_values",
        lambda d, t, o=_operation: (array([3, np.nan, 2, 3], d, t), array([np.nan, 5, 2], d, t), o),
        ("float32",),
    )
case("counts", lambda d, t: (array([1, 3, 1], d, "int64"), None, 6), ("int64",))
case("counts", lambda d, t: (array([1, 3, 1], d, "int64"), array(_random(3), d, t)), ("float32", "float64"))
for _method in ("linear", "median", "nearest", "averaged_inverted_cdf"):
    for _skip in (False, True):
        case(
            "quantiles",
            lambda d, t, m=_method, s=_skip: (array(_holed(3, 7), d, t), (0.3, 0.5), m, s),
            ("float32", "float64", "float16"),
        )
case("quantiles", lambda d, t: (array(_random(2, 3, 5), d, t), (0.0, 1.0), "hazen"), ("float32",))
for _axis in (0, -1):
    case("ranked_indices", lambda d, t, a=_axis: (array(_random(3, 4), d, t), (2, 0), a))
case("ranked_indices", lambda d, t: (array(_random(3, 4), d, t), array([[2, 0, 1, 1]], d), 0))
for _axis in (0, -1):
    for _down in (False, True):
        case(
            "sort",
            lambda d, t, a=_axis, f=_down: (array(_random(3, 4) * 9, d, t), a, f),
            ("float32", "float16", "int64"),
        )
case("sort", lambda d, t: (array(np.zeros((0, 3)), d, t), 1))
case("partition", lambda d, t: (array([[3, 1], [1, 3]], d, t), (0,), 1))
case("argpartition", lambda d, t: (array([[3, 1], [1, 3]], d, t), (0, 1), 0))
case(
    "interval_indices",
    lambda d, t: (array([[0, 1], [3, 9]], d, t), array([0, 1, 2, 3], d, t), 0.0, 3.0),
    ("float32", "float64"),
)
case("isin", lambda d, t: (array([[1, 2], [3, 0]], d, t), array([3, 1], d, t)), EVERY)
case("repeated_indices", lambda d, t: (array([2, 0, 1], d, t), 3), ("int64", "int32"))
case("nonzero", lambda d, t: (array([[0, 1], [2, 0]], d, t),), EVERY)
for _flags in ((), (True, True, True), (False, True, False, True), (True, False, True, False, 0)):
    case("unique", lambda d, t, f=_flags: (array([[3, 1], [2, 1], [3, 1]], d, t), *f), EVERY)

REAL, COMPLEX = ("float32", "float64"), ("complex64", "complex128")
for _shape in ((2, 3), (), (0, 3)):
    for _name in ("conj", "imag"):
        case(_name, lambda d, t, s=_shape: (array(_complex(*s), d, t),), COMPLEX)
    case("join_parts", lambda d, t, s=_shape: (array(_random(*s), d, t), array(_random(*s, seed=1), d, t)), REAL)
for _shape in ((4,), (2, 5), (3, 1)):
    for _norm in ("backward", "forward", "ortho"):
        for _way in (False, True):
            case(
                "fft", lambda d, t, s=_shape, w=_way, n=_norm: (array(_complex(*s), d, t), (len(s) - 1,), w, n), COMPLEX
            )
        case("rfft", lambda d, t, s=_shape, n=_norm: (array(_random(*s), d, t), len(s) - 1, n), REAL)
        for _size in (6, 7):
            case(
                "irfft",
                lambda d, t, s=_shape, k=_size, n=_norm: (array(_complex(*s[:-1], 4), d, t), k, len(s) - 1, n),
                COMPLEX,
            )
case("fft", lambda d, t: (array(_complex(2, 3, 4), d, t), (0, 2), False, "backward"), COMPLEX)

case("random_bits", lambda d, t: (array(np.zeros(7), d, t), 1, 0), ("uint32", "uint64"))
case("uniform", lambda d, t: (array(np.zeros((3, 3)), d, t), -1.0, 2.0, 1, 0))
case("normal", lambda d, t: (array(np.zeros(9), d, t), 1.0, 2.0, 1, 0))
case("bernoulli", lambda d, t: (array(np.zeros(9), d, t), 0.5, 1, 0), ("float32", "bool"))
case("integers", lambda d, t: (array(np.zeros(9), d, t), -5, 5, 1, 0), ("int64", "int32"))
case("permutation", lambda d, t: (array(np.zeros(9), d, t), 1, 0), ("int64",))
_RATES = np.array([0.0, 0.5, 20.0, 1e6])
case("poisson", lambda d, t: (array(np.zeros(4), d, t), array(_RATES, d, t), 1, 0))
case(
    "binomial", lambda d, t: (array(np.zeros(4), d, t), array(np.array([0.0, 9, 99, 1e4]), d, t), array(_P, d, t), 1, 0)
)
_P = np.array([0.5, 0.25, 0.75, 1.0])
for _p in (0.0, 0.5, 1.0):
    case("dropout", lambda d, t, p=_p: (array(_random(5, 3), d, t), p, 1, 0))
ELSEWHERE = {kernel.name for kernel in K.INSTRUCTIONS.values() if kernel.family in ("optimizer",)}


def launches(device: str, name: str):
    for one in CASES[name]:
        for dtype in one.dtypes:
            yield dtype, one.arguments(device, dtype)


def results(made: Any) -> list[Any]:
    return list(made) if isinstance(made, (tuple, list)) else [made]


def specs(kernel: K.Kernel, arguments: tuple[Any, ...]) -> list[tuple[tuple[int, ...], Any]]:
    given = kernel.rule(*arguments)
    return given if isinstance(given, list) else [given]


def inputs(arguments: tuple[Any, ...]) -> list[Any]:
    return [
        a
        for argument in arguments
        for a in (argument if isinstance(argument, (list, tuple)) else [argument])
        if is_array(a)
    ]


def tolerance(dtype: Any) -> float:
    return {2: 4e-3, 4: 2e-5}.get(np.dtype(dtype).itemsize, 1e-11)


# -------------------------------------------------------------------------------------------------- every instruction
def test_every_instruction_has_a_case():
    missing = set(K.INSTRUCTIONS) - set(CASES) - ELSEWHERE
    # instructions of a family that has a test file of its own may have their cases there
    missing = {
        name for name in missing if not (Path(__file__).parent / f"test_{K.INSTRUCTIONS[name].family}.py").exists()
    }
    assert not missing


RETURNING = [name for name in K.INSTRUCTIONS if name in CASES and name not in IN_PLACE]
FORESEEN = [name for name in RETURNING if name not in WITHOUT_OUT]
WRITING = [name for name in K.INSTRUCTIONS if name in CASES and name in IN_PLACE]


@pytest.mark.parametrize("name", FORESEEN)
def test_results_are_what_the_rule_says(name, device):
    kernel = K.INSTRUCTIONS[name]
    for dtype, arguments in launches(device, name):
        before = [to_numpy(a).copy() for a in inputs(arguments)]
        made = results(kernel(*arguments))
        for y, (shape, kind) in zip(made, specs(kernel, arguments), strict=True):
            assert is_array(y), f"{name}({dtype}) returned {type(y)}"
            assert device_of(y) == device
            assert y.shape == shape, (dtype, [a.shape for a in inputs(arguments)])
            assert y.dtype == kind, dtype
            assert not any(_overlap(y, a) for a in inputs(arguments))
        for a, value in zip(inputs(arguments), before, strict=True):
            np.testing.assert_array_equal(to_numpy(a), value)


def _overlap(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return np.shares_memory(first, second)
    return bool(first.size and second.size) and first.data.ptr == second.data.ptr


@pytest.mark.parametrize("name", RETURNING)
def test_devices_agree(name, device):
    if device == "cpu":
        return
    kernel = K.INSTRUCTIONS[name]
    for one in CASES[name]:
        for dtype in one.dtypes:
            there, here = (results(kernel(*one.arguments(d, dtype))) for d in (device, "cpu"))
            for found, wanted in zip(there, here, strict=True):
                limit = tolerance(dtype)
                np.testing.assert_allclose(_wide(to_numpy(found)), _wide(wanted), rtol=limit, atol=limit, err_msg=dtype)


def _wide(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.kind in "biuc" else x.astype(np.float64)


@pytest.mark.parametrize("name", FORESEEN)
def test_out_is_honoured(name, device):
    kernel = K.INSTRUCTIONS[name]
    for dtype, arguments in launches(device, name):
        spec = kernel.rule(*arguments)
        if isinstance(spec, list):
            outs = tuple(array(np.zeros(shape), device, kind) for shape, kind in spec)
            _check_out(kernel, arguments, outs, dtype)
            continue
        shape, kind = spec
        for layout in ("contiguous", *LAYOUTS):
            _check_out(kernel, arguments, place(np.full(shape, 1), device, kind, layout)._data, f"{dtype} {layout}")


def _check_out(kernel: K.Kernel, arguments: tuple[Any, ...], out: Any, what: str) -> None:
    wanted = results(kernel(*arguments))
    returned = kernel(*arguments, out=out)
    assert returned is out or all(a is b for a, b in zip(results(returned), results(out), strict=True)), what
    for y, reference in zip(results(out), wanted, strict=True):
        limit = tolerance(reference.dtype) / 10
        np.testing.assert_allclose(_wide(to_numpy(y)), _wide(to_numpy(reference)), rtol=limit, atol=limit, err_msg=what)


@pytest.mark.parametrize("name", [n for n in RETURNING if K.INSTRUCTIONS[n].rule is rules.same])
def test_out_may_be_an_operand(name, device):
    """Elementwise instructions write over what they read, which capture relies on."""
    kernel = K.INSTRUCTIONS[name]
    for dtype, arguments in launches(device, name):
        for i in range(len(arguments)):
            fresh = [a.copy() if is_array(a) else a for a in arguments]
            if not is_array(fresh[i]) or fresh[i].shape != kernel.rule(*arguments)[0]:
                continue
            wanted = to_numpy(kernel(*arguments))
            kernel(*fresh, out=fresh[i])
            limit = tolerance(dtype) / 10
            np.testing.assert_allclose(
                _wide(to_numpy(fresh[i])), _wide(wanted), rtol=limit, atol=limit, err_msg=f"{dtype} {i}"
            )


@pytest.mark.parametrize("name", WRITING)
def test_in_place_kernels_write_their_first_argument_only(name, device):
    kernel = K.INSTRUCTIONS[name]
    for dtype, arguments in launches(device, name):
        assert kernel.rule(*arguments) is None
        target, others = arguments[0], inputs(arguments[1:])
        original, before = to_numpy(target).copy(), [to_numpy(a).copy() for a in others]
        assert kernel(*arguments) is None
        for a, value in zip(others, before, strict=True):
            np.testing.assert_array_equal(to_numpy(a), value)
        if original.size and name not in ("setitem", "fill", "assign", "put_along_axis", "bernoulli"):
            assert not np.array_equal(to_numpy(target), original), dtype
        for layout in LAYOUTS:
            view = place(original, device, target.dtype, layout)._data
            kernel(view, *arguments[1:])
            np.testing.assert_allclose(_wide(to_numpy(view)), _wide(to_numpy(target)), rtol=1e-6, err_msg=layout)


# --------------------------------------------------------------------------------------------------------------- launch
class TestHooks:
    def test_see_every_launch(self, device):
        seen = []

        def hook(kernel, args, params, run):
            seen.append((kernel.name, len(args), sorted(params)))
            return run()

        x = tg.ones(2, 2, device=device, requires_grad=True)
        array = x._data
        K.add_hook(hook)
        try:
            K.add(array, 1.0)
            K.add(array, 1.0, out=array)
            K.sum.launch(array)
            K.concat([array, array], 0)
            K.subtract(2.0, array)
            tg.exp(x).sum().backward()
        finally:
            K.remove_hook(hook)
        K.add(array, 1.0)
        assert seen[:5] == [("add", 2, []), ("add", 2, ["out"]), ("sum", 1, []), ("concat", 2, []), ("subtract", 2, [])]
        assert {"exp", "multiply", "fill"} <= {name for name, *_ in seen[5:]}
        assert "add" not in [name for name, *_ in seen[5:]]

    def test_nest_and_replace(self):
        order = []

        def outer(kernel, args, params, run):
            order.append("outer")
            return run() * 10

        def inner(kernel, args, params, run):
            order.append("inner")
            return run()

        x = np.ones(2)
        K.add_hook(inner)
        K.add_hook(outer)
        try:
            y = K.add(x, x)
        finally:
            K.remove_hook(outer)
            K.remove_hook(inner)
        assert order == ["outer", "inner"]
        assert y.tolist() == [20, 20]
        assert K.add(x, x).tolist() == [2, 2]
        assert registry._hooks == ()


class TestLaunch:
    def test_zero_dimensional_results_are_arrays(self, device):
        x = array([1.0, 2.0], device)
        scalar = array(1.5, device)
        for y in (
            K.sum(x),
            K.add(scalar, scalar),
            K.exp(scalar),
            K.max(x),
            K.argmax(x),
            K.equal(scalar, 1.5),
            K.any(x),
            K.cast(scalar, np.dtype("float32")),
            K.take(x, array(1, device), 0),
            K.getitem(x, (array(1, device),)),
            K.subtract(2.0, scalar),
        ):
            assert is_array(y)
            assert y.shape == ()

    def test_ieee_semantics(self, device):
        x = array([0.0, -1.0, np.inf], device)
        assert np.isinf(to_numpy(K.divide(1.0, x))[0])
        assert np.isnan(to_numpy(K.log(x))[1])
        assert np.isnan(to_numpy(K.subtract(x, x))[2])
        assert to_numpy(K.exp(array([1e4], device)))[0] == np.inf

    def test_warnings_of_the_caller_are_left_alone(self):
        with np.errstate(all="raise"):
            K.divide(np.ones(1), np.zeros(1))
            K.divide(np.ones(1), np.zeros(1), out=np.zeros(1))
            with K.ieee_semantics():
                np.divide(np.ones(1), np.zeros(1))
            assert set(np.geterr().values()) == {"raise"}
            with pytest.raises(FloatingPointError):
                np.divide(np.ones(1), np.zeros(1))

    def test_errors_name_the_kernel_and_its_operands(self, device):
        x, y = array(_random(2, 3), device), array(_random(4), device)
        with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(4,\) cannot be broadcast"):
            K.add(x, y)
        with pytest.raises(ValueError, match=r"add: shapes \(2, 3\) and \(4,\)"):
            K.add(x, y, out=x)
        with pytest.raises((TypeError, ValueError), match=r"bitwise_and.*float64"):
            K.bitwise_and(x, x)
        with pytest.raises(TypeError, match=r"exp: .*int64"):
            K.exp(x, out=array([1, 2], device))
        assert set(np.geterr().values()) != {"ignore"}

    def test_mixed_devices(self, device):
        if device == "cuda":
            x, y = array([1.0], "cuda"), array([1.0], "cpu")
            for arguments in ((x, y), (y, x)):
                with pytest.raises((TypeError, ValueError), match=r"add: operands are on different.*\.to\("):
                    K.add(*arguments)

    def test_cuda_is_not_imported_for_cpu_arrays(self):
        fresh = registry.Kernel("add", "elementwise", "x1, x2", rules.same, "x1 + x2")
        fresh(np.ones(1), np.ones(1))
        assert fresh._cuda is None
