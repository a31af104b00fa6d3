"""``cupy.ElementwiseKernel``: a kernel from an expression over one element of each argument."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dispatch import check_device
from .errors import EmulatorError
from .execution import execute
from .kernels import RawModule
from .ndarray import ndarray
from .state import thread_state

MAX_DIMENSIONS = 12
_THREADS = 64
_KEYWORDS = {"raw", "const"}
_TYPE_NAMES = {
    "?": "bool",
    "b": "signed char",
    "B": "unsigned char",
    "h": "short",
    "H": "unsigned short",
    "i": "int",
    "I": "unsigned int",
    "l": "long long",
    "L": "unsigned long long",
    "q": "long long",
    "Q": "unsigned long long",
    "e": "float16",
    "f": "float",
    "d": "double",
}


@dataclass(frozen=True)
class ParameterInfo:
    """One parameter of a kernel's declaration."""

    name: str
    type: str
    raw: bool
    const: bool

    @property
    def is_placeholder(self) -> bool:
        """Whether the type is a letter that stands for any dtype."""
        return len(self.type) == 1


def parse_parameters(declaration: str, const: bool) -> tuple[ParameterInfo, ...]:
    """Return the parameters of a declaration such as ``"raw T x, float32 alpha"``."""
    parameters = []
    for part in declaration.split(","):
        words = part.split()
        if not words:
            continue
        if len(words) < 2:
            raise Exception(f"Syntax error: {part}")
        keywords, (ctype, name) = words[:-2], words[-2:]
        if not _KEYWORDS.issuperset(keywords):
            raise Exception(f'Unknown keyword "{keywords[0]}"')
        if name in {"i", "n"} or name.startswith("_"):
            raise ValueError(f"Can not use '{name}' as a parameter name")
        parameters.append(ParameterInfo(name, ctype, "raw" in keywords, const))
    return tuple(parameters)


def type_name(dtype: np.dtype[Any]) -> str:
    """Return the C name of a dtype as kernels spell it."""
    if dtype.name == "bfloat16":
        return "bfloat16"
    if dtype.char not in _TYPE_NAMES:
        raise EmulatorError(f"kernels of {dtype} arrays are not emulated")
    return _TYPE_NAMES[dtype.char]


def to_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype of a type name in a declaration."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def resolve_types(parameters: Sequence[ParameterInfo], args: Sequence[Any]) -> dict[str, np.dtype[Any]]:
    """Return the dtype of each placeholder, decided by arrays before NumPy scalars before Python's.

    Raises
    ------
    TypeError
        If two arguments disagree, or an array is not of the dtype that is declared.
    """
    types: dict[str, np.dtype[Any]] = {}
    for parameter, arg in zip(parameters, args, strict=True):
        if not isinstance(arg, (ndarray, np.generic)):
            continue
        if parameter.is_placeholder:
            if types.setdefault(parameter.type, arg.dtype) != arg.dtype:
                raise TypeError(
                    f"Type is mismatched. {parameter.name} {arg.dtype} {types[parameter.type]} {parameter.type}"
                )
        elif isinstance(arg, ndarray) and arg.dtype != to_dtype(parameter.type):
            raise TypeError(f"Type is mismatched. {parameter.name} {arg.dtype} {to_dtype(parameter.type)}")
    for parameter, arg in zip(parameters, args, strict=True):
        if parameter.is_placeholder and arg is not None:
            types.setdefault(parameter.type, arg.dtype if isinstance(arg, ndarray) else np.asarray(arg).dtype)
    return types


def dtype_of(parameter: ParameterInfo, types: dict[str, np.dtype[Any]]) -> np.dtype[Any]:
    """Return the dtype of a parameter."""
    if not parameter.is_placeholder:
        return to_dtype(parameter.type)
    if parameter.type not in types:
        raise ValueError(f"the type {parameter.type} of {parameter.name} is undecided")
    return types[parameter.type]


def array_argument(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array as kernels take it, ``emulator::Array`` in array_view.h, by value."""
    if values.ndim > MAX_DIMENSIONS:
        raise EmulatorError(f"kernels take arrays of up to {MAX_DIMENSIONS} dimensions")
    words = np.zeros(3 + 2 * MAX_DIMENSIONS, np.int64)
    words[0] = values.ctypes.data
    words[1], words[2] = values.ndim, values.size
    words[3 : 3 + values.ndim] = values.shape
    words[3 + MAX_DIMENSIONS : 3 + MAX_DIMENSIONS + values.ndim] = values.strides
    return words.view(np.dtype((np.void, words.nbytes)))


def scalar_argument(value: Any, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return a scalar as a kernel takes it, converted to the parameter's dtype."""
    data = np.asarray(value).astype(dtype)
    return data.reshape(1).view(np.uint16) if dtype.itemsize == 2 else data.reshape(1)


def indent(text: str) -> str:
    """Return code indented for the body of a generated loop."""
    return re.sub(r"(?m)^", "        ", text)


def type_definitions(types: dict[str, np.dtype[Any]]) -> str:
    """Return the placeholders as C types."""
    return "".join(f"typedef {type_name(dtype)} {name};\n" for name, dtype in sorted(types.items()))


class ElementwiseKernel:
    """A kernel over the elements of broadcast arrays; see ``cupy.ElementwiseKernel``."""

    def __init__(
        self,
        in_params: str,
        out_params: str,
        operation: str,
        name: str = "kernel",
        reduce_dims: bool = True,
        preamble: str = "",
        no_return: bool = False,
        return_tuple: bool = False,
        loop_prep: str = "",
        after_loop: str = "",
        options: tuple[str, ...] = (),
        **kwargs: Any,
    ) -> None:
        if kwargs:
            raise TypeError(f"Wrong arguments {kwargs}")
        self.in_params = parse_parameters(in_params, const=True)
        self.out_params = parse_parameters(out_params, const=False)
        self.params = self.in_params + self.out_params
        self.nin, self.nout = len(self.in_params), len(self.out_params)
        self.nargs = self.nin + self.nout
        self.operation, self.preamble = operation, preamble
        self.loop_prep, self.after_loop = loop_prep, after_loop
        self.name = self.__name__ = name
        self.no_return, self.return_tuple = no_return, return_tuple
        self.options = options
        self._modules: dict[str, RawModule] = {}

    def __call__(self, *args: Any, size: int | None = None, stream: Any = None, block_size: int = 128) -> Any:
        """Launch the kernel; the outputs are made unless they are given."""
        if len(args) not in (self.nin, self.nargs):
            raise TypeError(f"Wrong number of arguments for {self.name!r}")
        for arg in args:
            if isinstance(arg, np.ndarray):
                raise TypeError(f"Unsupported type {type(arg)}")
        given_outputs = list(args[self.nin :])
        if not all(isinstance(output, ndarray) for output in given_outputs):
            raise TypeError("Output arguments must be cupy.ndarray")
        types = resolve_types(self.params[: len(args)], args)
        check_device([arg for arg in args if isinstance(arg, ndarray)])
        shape = self._loop_shape(args, size)
        outputs = given_outputs or [self._new_output(p, shape, types, size) for p in self.out_params]
        for parameter, output in zip(self.out_params, outputs, strict=True):
            if not parameter.raw and output.shape != shape:
                raise ValueError("Out shape is mismatched")
        if np.prod(shape, dtype=int):
            self._launch([*args[: self.nin], *outputs], shape, types, stream)
        if self.no_return:
            return None
        return tuple(outputs) if self.nout != 1 or self.return_tuple else outputs[0]

    def _loop_shape(self, args: Sequence[Any], size: int | None) -> tuple[int, ...]:
        looped = [
            arg.shape
            for parameter, arg in zip(self.params, args, strict=False)
            if isinstance(arg, ndarray) and not parameter.raw
        ]
        if size is not None:
            if looped:
                raise ValueError("Specified 'size' can be used only if all of the ndarray are 'raw'.")
            return (size,)
        if not looped:
            raise ValueError("Loop size is undecided.")
        return np.broadcast_shapes(*looped)

    def _new_output(
        self,
        parameter: ParameterInfo,
        shape: tuple[int, ...],
        types: dict[str, np.dtype[Any]],
        size: int | None,
    ) -> ndarray:
        if parameter.raw and size is None:
            raise ValueError("Output array size is Undecided")
        return ndarray(shape, dtype_of(parameter, types))

    def _launch(
        self,
        args: list[Any],
        shape: tuple[int, ...],
        types: dict[str, np.dtype[Any]],
        stream: Any,
    ) -> None:
        passed: list[Any] = []
        declared, loaded = [], []
        for parameter, arg in zip(self.params, args, strict=True):
            ctype = type_name(dtype_of(parameter, types))
            const = "const " if parameter.const else ""
            if not isinstance(arg, ndarray):
                passed.append(scalar_argument(arg, dtype_of(parameter, types)))
                declared.append(f"const {ctype} {parameter.name}")
            elif parameter.raw:
                passed.append(array_argument(arg._values))
                declared.append(f"const emulator::Array<{const}{ctype}> {parameter.name}")
            else:
                passed.append(array_argument(np.broadcast_to(arg._values, shape)))
                declared.append(f"const emulator::Array<{const}{ctype}> _raw_{parameter.name}")
                loaded.append(f"        {const}{ctype} &{parameter.name} = _raw_{parameter.name}[i];\n")
        indexer = np.broadcast_to(np.int8(0), shape)
        passed += [array_argument(indexer), np.int64(indexer.size)]
        declared += ["const emulator::Array<const signed char> _loop", "const long long n"]
        code = (
            f'#include "array_view.h"\n{type_definitions(types)}{self.preamble}\n'
            f'extern "C" __global__ void {self.name}({", ".join(declared)}) {{\n'
            f"    emulator::Indexer _ind(_loop);\n    {self.loop_prep};\n"
            f"    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n;"
            f" i += gridDim.x * blockDim.x) {{\n        _ind.set(i);\n"
            f"{''.join(loaded)}{indent(self.operation)};\n    }}\n    {self.after_loop};\n}}\n"
        )
        module = self._modules.setdefault(code, RawModule(code=code, options=self.options))
        launch(module.get_function(self.name), passed, args, self.params, stream, indexer.size)


def launch(
    kernel: Any,
    passed: list[Any],
    args: Sequence[Any],
    parameters: Sequence[ParameterInfo],
    stream: Any,
    size: int,
) -> None:
    """Enqueue a generated kernel on arrays that it was given by value."""
    regions = [
        arg.region(writes=not parameter.const)
        for parameter, arg in zip(parameters, args, strict=True)
        if isinstance(arg, ndarray)
    ]
    grid, block = (1, 1, 1), (min(size, _THREADS), 1, 1)
    start = kernel.bind(grid, block, passed, thread_state.device)
    execute(f"kernel {kernel.name}", start, regions, stream=stream)


rsqrt = ElementwiseKernel("T x", "T y", "y = rsqrt(x)", "cupyx_rsqrt")
