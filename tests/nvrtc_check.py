"""Compile all CUDA code with NVRTC, for every supported architecture, without a GPU or a driver.

``python -m tests.nvrtc_check [--arch 90] [--verbose]``. Needs the wheels ``nvidia-cuda-nvrtc`` (the compiler) and
``nvidia-cuda-runtime`` (its headers, among them ``cuda_fp16.h``), both for CUDA 13; they need no GPU. The Python files
in ``kernels/cuda`` declare what they instantiate in ``INSTANTIATIONS`` and ``EXPRESSIONS``; they are read without CuPy.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import ctypes
import functools
import importlib.util
import math
import os
import re
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ARCHITECTURES = (75, 80, 86, 89, 90, 100, 120)
MAX_REGISTERS = 128  # more leave room for one block of 512 threads per multiprocessor
_ROOT = Path(__file__).resolve().parent.parent
_OPTIONS = ("-std=c++17", "-ftz=true", "--ptxas-options=-v", "-DCUPY_CACHE_KEY=0")
_PER_PROGRAM = 40  # instantiations: more at once cost memory, fewer parse the headers more often
_INSTALL = "pip install nvidia-cuda-nvrtc nvidia-cuda-runtime"


class Program(NamedTuple):
    """One compilation: a source, the instantiations to make, and what to call it in the report."""

    label: str
    source: str
    expressions: tuple[str, ...]


class Result(NamedTuple):
    """What came of a compilation."""

    label: str
    arch: int
    ok: bool
    log: str
    kernels: int
    registers: int
    spilled: list[str]
    seconds: float


def _wheel_file(pattern: str) -> Path | None:
    for entry in sys.path:
        found = sorted(Path(entry or ".").glob(f"nvidia/{pattern}"))
        if found:
            return found[-1]
    return None


class Nvrtc:
    """NVRTC from its wheel, through ctypes."""

    def __init__(self) -> None:
        library = _wheel_file("cu13/lib/libnvrtc.so.13") or _wheel_file("cuda_nvrtc/lib/libnvrtc.so.12")
        header = _wheel_file("cu13/include/cuda_fp16.h") or _wheel_file("cuda_runtime/include/cuda_fp16.h")
        missing = [name for name, path in (("libnvrtc", library), ("cuda_fp16.h", header)) if path is None]
        if library is None or header is None:
            raise SystemExit(f"nvrtc_check: {' and '.join(missing)} not found; {_INSTALL}")
        self.include = str(header.parent)
        self.path = library
        self._lib = ctypes.CDLL(str(library))
        self._lib.nvrtcGetErrorString.restype = ctypes.c_char_p

    def version(self) -> tuple[int, int]:
        """Version of the compiler."""
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._lib.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        return major.value, minor.value

    def compile(self, program: Program, arch: int) -> tuple[bool, str]:
        """Compile to machine code of one architecture; returns success and the compiler's log."""
        handle = ctypes.c_void_p()
        lib = self._lib
        source, name = program.source.encode(), f"{program.label}.cu".encode()
        lib.nvrtcCreateProgram(ctypes.byref(handle), source, name, 0, None, None)
        try:
            for expression in program.expressions:
                lib.nvrtcAddNameExpression(handle, expression.encode())
            options = [*_OPTIONS, f"-arch=sm_{arch}", f"-I{self.include}"]
            pointers = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            status = lib.nvrtcCompileProgram(handle, len(options), pointers)
            size = ctypes.c_size_t()
            lib.nvrtcGetProgramLogSize(handle, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            lib.nvrtcGetProgramLog(handle, log)
        finally:
            lib.nvrtcDestroyProgram(ctypes.byref(handle))
        return status == 0, log.value.decode(errors="replace")


def _load_without_cupy() -> dict[str, Any]:
    """The modules of kernels/cuda, imported with a stand-in for CuPy: only their declarations are read."""

    class Anything(types.ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return Anything(name)

        def __call__(self, *_: Any, **__: Any) -> Any:
            return Anything("result")

    package = "_nvrtc_check_kernels"
    folder = _ROOT / "kernels" / "cuda"
    loaded: dict[str, Any] = {}
    saved = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ("cupy", "cupyx")}
    for name in saved:
        del sys.modules[name]
    stand_ins = ("cupy", "cupyx", "cupyx.scipy", "cupyx.scipy.linalg")
    sys.modules |= {name: Anything(name) for name in stand_ins}
    try:
        for name, where in ((package, folder.parent), (f"{package}.cuda", folder)):
            module = types.ModuleType(name)
            module.__path__ = [str(where)]
            sys.modules[name] = module
        for path in sorted(folder.glob("*.py")):
            if path.stem != "__init__":
                loaded[path.stem] = importlib.import_module(f"{package}.cuda.{path.stem}")
    finally:
        for name in stand_ins:
            del sys.modules[name]
        sys.modules.update(saved)
        for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
            del sys.modules[name]
    return loaded


_TYPES = {
    "__half": "#include <cuda_fp16.h>\n",
    "__nv_bfloat16": "#include <cuda_bf16.h>\n",
}
_INTEGER_ONLY = re.compile(r"shift_|[&|^~]|%")
_WHOLE_ONLY = re.compile(r"shift_|gcd|lcm")
_REAL_ONLY = re.compile(r"erf|exp|log|cbrt|gamma|gelu|silu|sigmoid|sqrt|tanh|0\.5|/ ")


def _pointwise_kernel(pointwise: Any, name: str, type_name: str, definition: tuple[Any, ...]) -> str:
    """What CuPy makes of an ElementwiseKernel, reduced to contiguous arrays."""
    return _elementwise_kernel(name, type_name, pointwise.pointwise_parts(*definition))


def _elementwise_kernel(name: str, type_name: str, parts: tuple[str, str, str]) -> str:
    inputs, output, operation = parts
    operands = [parameter.split() for parameter in (*inputs.split(", "), output)]
    pointers = ", ".join(f"{kind}* {operand}_pointer" for kind, operand in operands).replace("T*", f"{type_name}*")
    references = "\n".join(f"    {kind}& {operand} = {operand}_pointer[i];" for kind, operand in operands)
    suffix = re.sub(r"\W+", "_", type_name)
    return (
        f'extern "C" __global__ void {name}_{suffix}({pointers}) {{\n    using T = {type_name};\n'
        f"    const size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x;\n{references}\n{operation}\n}}\n"
    )


def _pointwise_programs(modules: dict[str, Any]) -> Iterator[Program]:
    pointwise, module = modules["pointwise"], modules["module"]
    definitions = {n: d for m in modules.values() for n, d in getattr(m, "EXPRESSIONS", {}).items()}
    for type_name in module.REALS:
        kernels = []
        for name, definition in definitions.items():
            is_float = type_name in module.FLOATS
            calls = definition[1]
            if (not is_float and _REAL_ONLY.search(calls)) or (
                _WHOLE_ONLY.search(calls) and type_name not in module.INTEGERS
            ):
                continue
            kernels.append(_pointwise_kernel(pointwise, name, type_name, definition))
        source = _TYPES.get(type_name, "") + module.header("functions") + "".join(kernels)
        yield Program(f"elementwise<{type_name}>", source, ())


_INSTRUCTION = re.compile(
    r'Kernel\(\s*"(\w+)",\s*"(?:elementwise|activation)",\s*"([^"]+)",\s*rules\.(\w+),\s*"([^"]+)",?\s*\)'
)


def _table() -> list[tuple[str, str, str, str]]:
    """Name, signature, rule and expression of every elementwise instruction."""
    return _INSTRUCTION.findall((_ROOT / "kernels" / "__init__.py").read_text())


def _table_programs(modules: dict[str, Any]) -> Iterator[Program]:
    """The instruction table's own expressions, which `tg.jit` fuses, for the types that kernels compute in."""
    pointwise, module = modules["pointwise"], modules["module"]
    for type_name in ("float", "double", "int"):
        kernels = []
        for name, signature, rule, expression in _table():
            real_only = re.search(
                r"(sqrt|cbrt|gamma|exp|log|sin|cos|tan|erf|gelu|silu|sigmoid|hypot|copysign|nextafter|1 -)", expression
            )
            integer_only = re.search(r"(~|<<|>>|gcd|lcm| & | \| | \^ |shift_|invert)", expression)
            if (type_name == "int" and real_only) or (type_name != "int" and integer_only):
                continue
            used = set(re.findall(r"\w+", expression))  # an operand may be there for the CPU alone
            operands = [p for p in (part.strip() for part in signature.split(",")) if p.split("=")[0] in used]
            constants = "".join(f"constexpr bool {p.split('=')[0]} = false;" for p in operands if "=" in p)
            plain = " ".join(p for p in operands if "=" not in p and p != "condition")
            conditions = "condition" if "condition" in operands else ""
            result = "bool" if rule == "boolean" else "T"
            definition = (plain, expression, result, constants, conditions)
            kernels.append(_pointwise_kernel(pointwise, f"table_{name}", type_name, definition))
        yield Program(f"table<{type_name}>", module.header("functions") + "".join(kernels), ())


def _special_programs(modules: dict[str, Any]) -> Iterator[Program]:
    """The special functions, a few to a program: what they share is long."""
    module, special = modules["module"], modules["special"]
    definitions = {**special.SPECIAL}
    for n in (1, 2, 7):
        definitions[f"polygamma_{n}"] = ("x", modules["gamma"].polygamma_expression(n))
    names = sorted(definitions)
    for type_name in module.FLOATS:
        for start in range(0, len(names), 10):
            kernels = [
                _elementwise_kernel(f"special_{name}", type_name, special.special_parts(*definitions[name]))
                for name in names[start : start + 10]
            ]
            source = _TYPES.get(type_name, "") + special.special_preamble() + "".join(kernels)
            yield Program(f"special<{type_name}>", source, ())


def _chain_programs(modules: dict[str, Any]) -> Iterator[Program]:
    """Chains as `tg.jit` has them: repeated rows, numbers, comparisons, sums; in packs and one by one."""
    fused, module = modules["fused"], modules["module"]
    table = {
        name: types.SimpleNamespace(
            name=name, signature=signature, expression=expression, rule=types.SimpleNamespace(__name__=rule)
        )
        for name, signature, rule, expression in _table()
    }
    v = fused.Value
    real = [
        ("add", (v(0), v(1)), 3), ("gelu", (v(3),), 4), ("greater", (v(4), 0.25), 5), ("where", (v(5), v(4), v(0)), 6),
        ("gelu_backward", (v(2), v(6), v(4), True), 7), ("multiply", (v(7), v(2)), 8),
        ("maximum", (v(8), -math.inf), 9),
    ]  # fmt: skip
    whole = [
        ("add", (v(0), v(1)), 3), ("bitwise_left_shift", (v(3), 2), 4), ("less", (v(4), 7), 5),
        ("where", (v(5), v(4), v(0)), 6), ("bitwise_invert", (v(6),), 7), ("floor_divide", (v(7), v(2)), 8),
        ("minimum", (v(8), 100), 9),
    ]  # fmt: skip
    dtypes = {c: d for d, c in module._BY_DTYPE.items()}
    for type_name in (*module.FLOATS, *module.INTEGERS):
        if type_name not in dtypes:  # bfloat16 is an optional dtype of NumPy
            continue
        dtype, is_real = dtypes[type_name], type_name in module.FLOATS
        kernels = []
        for size in (1 << 20, 1 << 32):
            values = [dtype] * 5 + [np.dtype(bool)] + [dtype] * 4
            steps = [fused.Operation(table[name], args, n) for name, args, n in (real if is_real else whole)]
            sums = [fused.Sum(9, False), fused.Sum(4, True)] if dtype.char in "fd" else []
            inputs = [(0, size), (1, 1 << 10), (2, 1)]
            chain = fused.FusedChain(size, values, inputs, steps, [9, 5, 4], sums)
            kernels += [chain.source(packs)[1] for packs in (True, False)]
        source = _TYPES.get(type_name, "") + module.header("functions") + module.header("fused") + "".join(kernels)
        yield Program(f"chain<{type_name}>", source, ())


def programs() -> list[Program]:
    """Everything to compile."""
    modules = _load_without_cupy()
    wanted: dict[str, dict[str, None]] = {}
    for module in modules.values():
        for stem, expressions in getattr(module, "INSTANTIATIONS", {}).items():
            wanted.setdefault(stem, {}).update(dict.fromkeys(expressions))
    sources = {path.stem for path in (_ROOT / "kernels" / "cuda").glob("*.cu")}
    if sources - set(wanted):
        raise SystemExit(f"nvrtc_check: no INSTANTIATIONS for {sorted(sources - set(wanted))}")
    result = []
    for stem, expressions in sorted(wanted.items()):
        names = list(expressions)
        for start in range(0, len(names), _PER_PROGRAM):
            result.append(Program(stem, modules["module"].source(stem), tuple(names[start : start + _PER_PROGRAM])))
    return [
        *result,
        *_pointwise_programs(modules),
        *_table_programs(modules),
        *_special_programs(modules),
        *_chain_programs(modules),
    ]


_COMPILED = re.compile(r"Compiling entry function '(\w+)'")
_SPILL = re.compile(r"(\d+) bytes spill stores")
_REGISTERS = re.compile(r"Used (\d+) registers")


@functools.cache
def _compiler() -> Nvrtc:
    return Nvrtc()


def _checked(item: tuple[Program, int]) -> Result:
    program, arch = item
    start = time.perf_counter()
    ok, log = _compiler().compile(program, arch)
    names = _COMPILED.findall(log)
    spills = [int(n) for n in _SPILL.findall(log)]
    registers = [int(n) for n in _REGISTERS.findall(log)]
    spilled = [f"{name}: {spill} bytes" for name, spill in zip(names, spills, strict=False) if spill]
    spilled += [line for line in log.splitlines() if "unroll" in line or "warning" in line.lower()]
    return Result(
        program.label, arch, ok, log, len(names), max(registers, default=0), spilled, time.perf_counter() - start
    )


def main(arguments: list[str] | None = None) -> int:
    """Compile, report, and return the process's exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", type=int, action="append", help="compute capability, such as 90; default: all")
    parser.add_argument("--only", help="labels that contain this")
    parser.add_argument("--verbose", action="store_true", help="print the compiler's log, with registers per kernel")
    options = parser.parse_args(arguments)
    work = [(p, a) for a in options.arch or ARCHITECTURES for p in programs() if (options.only or "") in p.label]
    print(f"NVRTC {'.'.join(map(str, _compiler().version()))}: {len(work)} compilations", flush=True)
    results = []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(_checked, work):
            results.append(result)
            if options.verbose or not result.ok:
                print(result.log)
            state = "ok" if result.ok and not result.spilled else "FAILED"
            print(
                f"{state:6} sm_{result.arch} {result.label:24} {result.kernels:4} kernels, at most {result.registers} "
                f"registers, {result.seconds:.1f} s",
                flush=True,
            )
            for line in result.spilled:
                print("      ", line)
    bad = [r for r in results if not r.ok or r.spilled]
    print(f"{sum(r.kernels for r in results)} kernels, {len(bad)} compilations with errors, spills or warnings")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
