"""``cupy.ReductionKernel``: map every element, combine along axes, map the result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .dispatch import check_device
from .elementwise import (
    array_argument,
    dtype_of,
    indent,
    launch,
    parse_parameters,
    resolve_types,
    scalar_argument,
    type_definitions,
    type_name,
)
from .kernels import RawModule
from .ndarray import ndarray


class ReductionKernel:
    """A reduction over axes of broadcast arrays; see ``cupy.ReductionKernel``."""

    def __init__(
        self,
        in_params: str,
        out_params: str,
        map_expr: str,
        reduce_expr: str,
        post_map_expr: str,
        identity: Any,
        name: str = "reduce_kernel",
        reduce_type: str | None = None,
        reduce_dims: bool = True,
        preamble: str = "",
        options: tuple[str, ...] = (),
    ) -> None:
        self.in_params = parse_parameters(in_params, const=True)
        self.out_params = parse_parameters(out_params, const=False)
        if len(self.out_params) != 1:
            raise ValueError("ReductionKernel does not support other than one output")
        self.map_expr, self.reduce_expr = map_expr, reduce_expr
        self.post_map_expr = post_map_expr
        self.identity = "" if identity is None else str(identity)
        self.name = self.__name__ = name
        self.reduce_type = reduce_type or self.out_params[0].type
        self.preamble = preamble
        self.options = options
        self._modules: dict[str, RawModule] = {}

    def __call__(
        self,
        *args: Any,
        out: ndarray | None = None,
        axis: int | tuple[int, ...] | None = None,
        keepdims: bool = False,
        stream: Any = None,
    ) -> ndarray:
        """Launch the kernel; the output is made unless it is given."""
        nin = len(self.in_params)
        if len(args) == nin + 1 and out is None:
            *args, out = args  # type: ignore[assignment]
        if len(args) != nin:
            raise TypeError(f"Wrong number of arguments for {self.name!r}")
        if any(isinstance(arg, np.ndarray) for arg in args):
            raise TypeError(f"Unsupported type {np.ndarray}")
        check_device([arg for arg in (*args, out) if isinstance(arg, ndarray)])
        looped = [
            arg.shape
            for parameter, arg in zip(self.in_params, args, strict=True)
            if isinstance(arg, ndarray) and not parameter.raw
        ]
        shape = np.broadcast_shapes(*looped)
        axes = _normalize_axes(axis, len(shape))
        kept = tuple(d for d in range(len(shape)) if d not in axes)
        out_shape = tuple(shape[d] for d in kept)
        full_shape = tuple(1 if d in axes else n for d, n in enumerate(shape))
        parameters = (*self.in_params, *self.out_params)
        types = resolve_types(parameters, (*args, out))
        wanted = full_shape if keepdims else out_shape
        if out is None:
            out = ndarray(wanted, dtype_of(self.out_params[0], types))
        elif out.shape != wanted:
            raise ValueError(f"Out shape is mismatched: {out.shape}, not {wanted}")
        reduced = math.prod(shape[d] for d in axes)
        if not self.identity and reduced == 0:
            raise ValueError(f"zero-size array to reduction operation {self.name} which has no identity")
        if out.size:
            self._launch(args, out, shape, (*kept, *axes), out_shape, reduced, types, stream)
        return out

    def _launch(
        self,
        args: Sequence[Any],
        out: ndarray,
        shape: tuple[int, ...],
        order: tuple[int, ...],
        out_shape: tuple[int, ...],
        reduced: int,
        types: dict[str, np.dtype[Any]],
        stream: Any,
    ) -> None:
        passed: list[Any] = []
        declared, loaded = [], []
        for parameter, arg in zip(self.in_params, args, strict=True):
            ctype = type_name(dtype_of(parameter, types))
            if not isinstance(arg, ndarray):
                passed.append(scalar_argument(arg, dtype_of(parameter, types)))
                declared.append(f"const {ctype} {parameter.name}")
                continue
            name = parameter.name if parameter.raw else f"_raw_{parameter.name}"
            declared.append(f"const emulator::Array<const {ctype}> {name}")
            if parameter.raw:
                passed.append(array_argument(arg._values))
                continue
            # The reduced axes go last, so that a row of the loop is one result.
            values = np.broadcast_to(arg._values, shape).transpose(order)
            passed.append(array_argument(values))
            loaded.append(f"            const {ctype} &{parameter.name} = {name}[i];\n")
        (result,) = self.out_params
        ctype = type_name(dtype_of(result, types))
        passed.append(array_argument(out._values.reshape(out_shape)))
        passed += [np.int64(out.size), np.int64(reduced)]
        declared += [f"const emulator::Array<{ctype}> _raw_{result.name}",
                     "const long long _out_size", "const long long _reduced"]  # fmt: skip
        code = (
            f'#include "array_view.h"\n{type_definitions(types)}{self.preamble}\n'
            f"typedef {self._reduce_type(types)} _type_reduce;\n"
            f'extern "C" __global__ void {self.name}({", ".join(declared)}) {{\n'
            "    for (long long _j = blockIdx.x * blockDim.x + threadIdx.x; _j < _out_size;"
            " _j += gridDim.x * blockDim.x) {\n"
            f"        _type_reduce a = _type_reduce({self.identity});\n"
            f"        bool _started = {'true' if self.identity else 'false'};\n"
            "        for (long long _k = 0; _k < _reduced; ++_k) {\n"
            "            const long long i = _j * _reduced + _k;\n"
            f"{''.join(loaded)}"
            f"            const _type_reduce b = static_cast<_type_reduce>({self.map_expr});\n"
            f"            a = _started ? static_cast<_type_reduce>({self.reduce_expr}) : b;\n"
            "            _started = true;\n        }\n"
            f"        {ctype} &{result.name} = _raw_{result.name}[_j];\n"
            f"{indent(self.post_map_expr)};\n    }}\n}}\n"
        )
        module = self._modules.setdefault(code, RawModule(code=code, options=self.options))
        parameters = (*self.in_params, result)
        launch(module.get_function(self.name), passed, (*args, out), parameters, stream, out.size)

    def _reduce_type(self, types: dict[str, np.dtype[Any]]) -> str:
        if len(self.reduce_type) == 1:
            return type_name(types[self.reduce_type])
        return self.reduce_type


def _normalize_axes(axis: int | tuple[int, ...] | None, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    for one in axes:
        if not -ndim <= one < ndim:
            raise np.exceptions.AxisError(int(one), ndim)
    return tuple(sorted({int(one) % ndim for one in axes}))
