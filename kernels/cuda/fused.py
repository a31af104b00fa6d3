"""Kernels generated from chains of elementwise instructions: every operand is read once, every result written once.

What one instruction hands to the next stays in a register; half types compute in float32 and are rounded after every
instruction, as they are when each is a launch of its own. Sums over all elements of what a chain computes are taken
along: each block leaves its share, a second launch adds them up. Operands have an element for every result, one for
all, or a row that repeats.
"""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import cupy
import numpy as np

from .module import aligned, blocks, c_name, header, is_half, launch
from .pointwise import pointwise_parts

if TYPE_CHECKING:
    from ..registry import Kernel

__all__ = [
    "INSTANTIATIONS",
    "FusedChain",
    "Operation",
    "Sum",
    "Value",
    "compile_together",
    "is_fusible",
    "used_operands",
]

INSTANTIATIONS = {"fused": [f"finish_sum<{t}>" for t in ("float", "double")]}

_THREADS = 256
_SUM_BLOCKS = 1024  # at most, where sums are taken: the same on every device, so that the order of adding is too
_WIDEST = 8  # elements of a pack; more would cost registers
_HALF_HEADERS = {"__half": "#include <cuda_fp16.h>\n", "__nv_bfloat16": "#include <cuda_bf16.h>\n"}
_NOT_FINITE = {"inf": "0x7f800000", "-inf": "0xff800000", "nan": "0x7fc00000"}


class Value(NamedTuple):
    """Something that a chain reads or computes, by its number."""

    number: int


class Operation(NamedTuple):
    """One instruction of a chain; ``operands`` in the order of the signature, values or Python numbers."""

    kernel: Kernel
    operands: tuple[Any, ...]
    result: int


class Sum(NamedTuple):
    """The sum over all elements of a value, or their mean."""

    value: int
    mean: bool


def is_fusible(kernel: Kernel, dtypes: Sequence[Any]) -> bool:
    """Whether an elementwise kernel can be part of a chain on operands and a result of these dtypes."""
    if kernel.name == "nextafter" and any(is_half(d) for d in dtypes):  # the next float32 is another number
        return False
    return all(d.kind in "biuf" or is_half(d) for d in dtypes)


class FusedChain:
    """One generated kernel.

    Parameters
    ----------
    size : int
        Number of elements.
    dtypes : sequence of dtype
        Of every value, by number.
    inputs : sequence of (int, int)
        Values that are read from memory, and the number of elements there: ``size``, 1, or a row that repeats.
    operations : sequence of Operation
        In order.
    outputs : sequence of int
        Values that are written to memory.
    sums : sequence of Sum
        Of float32 or float64 values.
    """

    def __init__(
        self,
        size: int,
        dtypes: Sequence[Any],
        inputs: Sequence[tuple[int, int]],
        operations: Sequence[Operation],
        outputs: Sequence[int],
        sums: Sequence[Sum] = (),
    ) -> None:
        self.size = size
        self._dtypes = dtypes
        self._inputs = inputs
        self._operations = operations
        self._outputs = outputs
        self._sums = sums
        moved = [dtypes[n] for n, length in inputs if length == size] + [dtypes[n] for n in outputs]
        self._width = min(16 // max([d.itemsize for d in moved] or [4]), _WIDEST)
        self._index = "unsigned int" if size < 1 << 31 else "unsigned long long"

    # --------------------------------------------------------------------------------------------------------- source
    def source(self, whole: bool = True) -> tuple[str, str]:
        """The kernel's name and its text.

        Parameters
        ----------
        whole : bool
            Whether every array starts at a multiple of the size of a pack, and rows are made of whole packs.
        """
        types = {c_name(d) for d in self._dtypes}
        parts = [text for name, text in _HALF_HEADERS.items() if name in types]
        body = self._element() + self._kernel(self._width if whole else 1)
        name = f"tg_chain_{hashlib.sha256(body.encode()).hexdigest()[:16]}"
        return name, "".join(parts) + body.replace("NAME", name)

    def _compute(self, number: int) -> str:
        dtype = self._dtypes[number]
        return "float" if is_half(dtype) else c_name(dtype)

    def _element(self) -> str:
        """The function of one element."""
        parameters = [f"const {self._compute(n)} v{n}" for n, _ in self._inputs]
        parameters += [f"{c_name(self._dtypes[n])}& out{j}" for j, n in enumerate(self._outputs)]
        parameters += [f"{self._compute(s.value)}& sum{j}" for j, s in enumerate(self._sums)]
        lines = [self._operation(operation) for operation in self._operations]
        for j, n in enumerate(self._outputs):
            lines.append(f"    out{j} = static_cast<{c_name(self._dtypes[n])}>(v{n});")
        lines += [f"    sum{j} += v{s.value};" for j, s in enumerate(self._sums)]
        head = f"__device__ __forceinline__ void NAME_element({', '.join(parameters)})"
        return "\n".join([f"{head} {{", *lines, "}\n"])

    def _operation(self, operation: Operation) -> str:
        kernel, result = operation.kernel, operation.result
        of_numbers = [
            self._dtypes[value.number]
            for name, value in zip(_names(kernel), operation.operands, strict=False)
            if isinstance(value, Value) and name != "condition"
        ]
        dtype = of_numbers[0] if of_numbers else self._dtypes[result]
        lines, operands, constants = [], [], []
        for i, parameter in enumerate(kernel.signature.split(",")):
            name, _, default = (part.strip() for part in parameter.partition("="))
            value = operation.operands[i] if i < len(operation.operands) else None
            if default:
                chosen = default if value is None else str(value)
                constants.append(f"constexpr bool {name} = {chosen.lower()};")
                continue
            if name not in used_operands(kernel):
                continue
            text = f"v{value.number}" if isinstance(value, Value) else _literal(value, dtype)
            if name == "condition":
                lines.append(f"const bool condition = static_cast<bool>({text});")
            else:
                operands.append(name)
                lines.append(f"const auto in_{name} = {text};")
        conditions = "condition" if "condition" in _names(kernel) else ""
        kind = "bool" if kernel.rule.__name__ == "boolean" else "C"
        if kernel.name == "cast" or is_half(self._dtypes[result]):
            kind = c_name(self._dtypes[result])  # rounded to it, as if it had been stored: captured or not is the same
        _, _, code = pointwise_parts(" ".join(operands), kernel.expression or "", kind, " ".join(constants), conditions)
        lines = [f"using T = {c_name(dtype)};", *lines, f"auto& out_value = v{result};", *code.split("\n")]
        inner = "\n".join(f"        {line}" for line in lines)
        return f"    {self._compute(result)} v{result};\n    {{  // {kernel.name}\n{inner}\n    }}"

    def _kernel(self, width: int) -> str:
        """The function that moves the elements."""
        parameters = [f"const {c_name(self._dtypes[n])}* x{i}" for i, (n, _) in enumerate(self._inputs)]
        parameters += [f"{c_name(self._dtypes[n])}* y{j}" for j, n in enumerate(self._outputs)]
        parameters += [f"{self._compute(s.value)}* partial{j}" for j, s in enumerate(self._sums)]
        rows = [i for i, (_, length) in enumerate(self._inputs) if length not in (1, self.size)]
        parameters += [f"const {self._index} row{i}" for i in rows] + [f"const {self._index} size"]
        kinds = ["one" if length == 1 else "row" if length != self.size else "all" for _, length in self._inputs]
        if self.size == 1:
            kinds = ["all"] * len(kinds)
        lines = [
            f"{self._compute(n)} one{i} = static_cast<{self._compute(n)}>(x{i}[0]);"
            for i, (n, _) in enumerate(self._inputs)
            if kinds[i] == "one"
        ]
        lines += [f"{self._compute(s.value)} sum{j} = 0;" for j, s in enumerate(self._sums)]
        lines += [
            f"using I = {self._index};",
            "const I first = blockIdx.x * I(blockDim.x) + threadIdx.x, stride = gridDim.x * I(blockDim.x);",
        ]
        if width > 1:
            lines += [f"const I packs = size / {width};", "for (I pack = first; pack < packs; pack += stride) {"]
            lines += [f"    const I at = pack * {width};"]
            lines += [f"    {line}" for line in self._pack(kinds, width)]
            lines.append("}")
        start = f"packs * {width} + first" if width > 1 else "first"
        lines.append(f"for (I i = {start}; i < size; i += stride) {{")
        places = {"one": "one{0}", "row": "x{0}[i % row{0}]", "all": "x{0}[i]"}
        single = [places[kind].format(i) for i, kind in enumerate(kinds)]
        lines.append(f"    {self._call(single, [f'y{j}[i]' for j in range(len(self._outputs))])}")
        lines.append("}")
        for j in range(len(self._sums)):
            lines.append(f"sum{j} = block_sum(sum{j});")
            lines.append(f"if (threadIdx.x == 0) partial{j}[blockIdx.x] = sum{j};")
        body = "\n".join(f"    {line}" for line in lines)
        head = f'extern "C" __global__ void __launch_bounds__({_THREADS}) NAME({", ".join(parameters)})'
        return f"{head} {{\n{body}\n}}\n"

    def _pack(self, kinds: list[str], width: int) -> list[str]:
        """What is done with a pack of every operand."""
        lines = []
        for i, kind in enumerate(kinds):
            if kind == "all":
                lines.append(f"const auto p{i} = load_pack<{width}>(x{i}, at);")
            elif kind == "row" and self._inputs[i][1] % width == 0:
                lines.append(f"const auto p{i} = load_pack<{width}>(x{i}, at % row{i});")
            elif kind == "row":
                lines.append(f"const auto p{i} = repeated_pack<{width}>(x{i}, at % row{i}, row{i});")
        lines += [f"Pack<{c_name(self._dtypes[n])}, {width}> q{j};" for j, n in enumerate(self._outputs)]
        lines.append("#pragma unroll")
        operands = [f"one{i}" if kind == "one" else f"p{i}.at[k]" for i, kind in enumerate(kinds)]
        results = [f"q{j}.at[k]" for j in range(len(self._outputs))]
        lines.append(f"for (int k = 0; k < {width}; ++k) {self._call(operands, results)}")
        lines += [f"store_pack<{width}>(y{j}, at, q{j});" for j in range(len(self._outputs))]
        return lines

    def _call(self, operands: list[str], results: list[str]) -> str:
        values = [
            f"static_cast<{self._compute(n)}>({text})"
            for (n, _), text in zip(self._inputs, operands, strict=True)
        ]  # fmt: skip
        return f"NAME_element({', '.join([*values, *results, *(f'sum{j}' for j in range(len(self._sums)))])});"

    # --------------------------------------------------------------------------------------------------------- launch
    def is_whole(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> bool:
        """Whether these arrays can be moved in packs."""
        moved = [a for a, (_, length) in zip(inputs, self._inputs, strict=True) if self._in_packs(length)]
        return all(aligned((a,), self._width * a.itemsize) for a in (*moved, *outputs))

    def _in_packs(self, length: int) -> bool:
        return length == self.size or (length > 1 and length % self._width == 0)

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any], results: Sequence[Any]) -> Callable[[], None]:
        """What launches the kernel on these arrays; ``results`` are the 0-d arrays of the sums."""
        whole = self.is_whole(inputs, outputs)
        function = compile_together([self.source(whole)])[0]
        width = self._width if whole else 1
        limit = _SUM_BLOCKS if self._sums else 2**31 - 1
        grid = blocks(max(self.size // width, 1), _THREADS, limit)
        partial = [cupy.empty(grid, self._dtypes[s.value]) for s in self._sums]
        number = np.uint32 if self._index == "unsigned int" else np.uint64
        rows = [number(length) for _, length in self._inputs if length not in (1, self.size)]
        arguments = (*inputs, *outputs, *partial, *rows, number(self.size))
        finishing = []
        for share, y, s in zip(partial, results, self._sums, strict=True):
            divisor = share.dtype.type(self.size if s.mean else 1)
            finishing.append((f"finish_sum<{c_name(share.dtype)}>", (share, np.int32(grid), y, divisor)))

        def run() -> None:
            function((grid,), (_THREADS,), arguments)
            for name, values in finishing:
                launch("fused", name, (1,), (_THREADS,), values)

        return run


def used_operands(kernel: Kernel) -> set[str]:
    """The operands that a kernel's expression needs; some are there for the other backend's sake."""
    return set(re.findall(r"\w+", kernel.expression or "")) & set(_names(kernel))


def _names(kernel: Kernel) -> list[str]:
    return [parameter.split("=")[0].strip() for parameter in kernel.signature.split(",")]


def _literal(value: Any, dtype: Any) -> str:
    """A Python number as a C++ one, rounded to ``dtype`` as an operand of that dtype would be."""
    if dtype.kind == "b":
        return str(bool(value)).lower()
    if dtype.kind in "iu":
        number = int(value)
        if number == -(2**63):
            return f"({number + 1}LL - 1)"
        return f"{number}{'ULL' if number >= 2**63 else 'LL'}"
    with np.errstate(over="ignore"):
        real = float(np.asarray(value).astype(dtype))
    return repr(real) if math.isfinite(real) else f"__int_as_float({_NOT_FINITE[str(real)]})"


_functions: dict[str, Any] = {}
_lock = threading.Lock()


def compile_together(sources: Sequence[tuple[str, str]]) -> list[Any]:
    """The kernels of some sources by name and text; those that are new are one compilation."""
    with _lock:
        new = {name: text for name, text in sources if name not in _functions}
        if new:
            code = header("functions") + header("fused") + "".join(new.values())
            module = cupy.RawModule(code=code, options=("-std=c++17",))
            _functions.update({name: module.get_function(name) for name in new})
        return [_functions[name] for name, _ in sources]
