"""The house's rules, read off the sources: a floor imports only floors below it, and devices live in two places."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import tensorgrad.kernels

import tensorgrad

PACKAGE = Path(tensorgrad.__file__).parent
KERNELS = Path(tensorgrad.kernels.__file__).parent
EXAMPLES = PACKAGE.parent / "examples"

FLOORS = [
    ("kernels",),
    ("dtypes", "errors", "backend", "conversion", "inspection", "exchange", "capture", "generator", "cuda", "backends"),
    (
        "tape",
        "tensor",
        "boundary",
        "tensor_methods",
        "inplace_methods",
        "creation",
        "function",
        "graph",
        "anomaly",
        "engine",
        "autograd",
        "checkpoint",
        "random",
        "distributions",
        "printing",
        "settings",
        "births",
        "samples",
        "saved",
    ),
    ("ops", "linalg", "fft", "special", "func", "functional", "einsum"),
    ("jit",),
    ("nn", "optim", "amp"),
    ("data", "train", "io", "viz", "distributed", "testing", "profiler", "onnx"),
    ("examples", "__main__"),
]  # fmt: skip
HEIGHT = {name: height for height, names in enumerate(FLOORS) for name in names}

# Imports inside functions that reach up, each with its reason. Nothing else may.
UPWARD = {
    ("autograd", "functional"): "PyTorch has it there; it is imported when asked for",
    ("autograd", "testing"): "PyTorch has gradcheck there; it is imported when asked for",
    ("func", "nn"): "PyTorch has there what makes functions of modules; it is imported when asked for",
    ("autograd", "func"): "gradients for many cotangents are a vmap over the engine",
    ("function", "ops"): "a custom function with a rule for vmap leaves and enters the batch by ops",
    ("tensor", "ops"): "a copy to another device is an op; methods are attached by ops, this one is called by to()",
    ("tensor", "tensorgrad"): "__array_namespace__ returns the package",
}


def modules() -> Iterator[tuple[str, Path]]:
    """Every source with the name of the part of the house that it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if path == PACKAGE / "__init__.py" or parts[0] == "kernels":
            continue
        yield parts[0], path
    for path in sorted(KERNELS.rglob("*.py")):
        yield "kernels", path
    for path in sorted(EXAMPLES.rglob("*.py")):
        yield "examples", path


def imports(path: Path) -> Iterator[tuple[str, bool, int]]:
    """(absolute dotted name, whether at the top of the module, line) of every import but those for type checkers."""
    root = KERNELS if path.is_relative_to(KERNELS) else PACKAGE if path.is_relative_to(PACKAGE) else path.parent
    prefix = {KERNELS: ("tensorgrad", "kernels"), PACKAGE: ("tensorgrad",)}.get(root, ())
    package = (*prefix, *path.relative_to(root).parts[:-1])

    def walk(nodes: list[ast.stmt], top: bool) -> Iterator[tuple[str, bool, int]]:
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from walk(node.orelse, top)
            elif isinstance(node, ast.Import):
                yield from ((alias.name, top, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                module = ".".join([*base, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield f"{module}.{alias.name}", top, node.lineno
            else:
                inner = top and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
                for field in ("body", "orelse", "finalbody", "handlers"):
                    yield from walk(getattr(node, field, []), inner)

    yield from walk(ast.parse(path.read_text()).body, True)


ALL = list(modules())


def part_of(name: str) -> str | None:
    """The part of the house that an import names."""
    pieces = name.split(".")
    if pieces[0] != "tensorgrad":
        return None
    return pieces[1] if len(pieces) > 1 and pieces[1] in HEIGHT else "tensorgrad"


def test_every_module_has_a_floor():
    assert {part for part, _ in ALL} <= set(HEIGHT), "give the new module a floor in FLOORS"


def test_imports_are_found():
    """The parser of this test sees what it is meant to see."""
    found = {part_of(name) for name, *_ in imports(PACKAGE / "tensor.py")}
    assert {"kernels", "backend", "dtypes", "tape", "ops"} <= found
    nested = [name for name, top, _ in imports(PACKAGE / "tensor.py") if not top]
    assert any(name.startswith("tensorgrad.ops") for name in nested)
    assert ("numpy", True) in {(name, top) for name, top, _ in imports(KERNELS / "cpu" / "elementwise.py")}


def test_no_floor_imports_a_higher_one():
    wrong, used = [], set()
    for part, path in ALL:
        for name, top, line in imports(path):
            target = part_of(name)
            if target in (None, part) or part in ("examples", "__main__"):
                continue
            if target != "tensorgrad" and HEIGHT[target] <= HEIGHT[part]:
                if (part, target) in UPWARD and not top:
                    used.add((part, target))
                continue
            used.add((part, target))
            if top or (part, target) not in UPWARD:
                wrong.append(f"{path.name}:{line} ({part}) imports {name}")
    assert not wrong, "\n".join(wrong)
    assert used >= set(UPWARD), f"no longer needed: {set(UPWARD) - used}"


def test_cupy_is_imported_by_the_backend_and_the_cuda_kernels_only():
    wrong = []
    for _part, path in ALL:
        for name, top, line in imports(path):
            if name.split(".")[0] in ("cupy", "cupyx", "cupy_backends"):
                allowed = path.is_relative_to(KERNELS / "cuda") or (path == PACKAGE / "backend.py" and not top)
                if not allowed:
                    wrong.append(f"{path}:{line}")
    assert not wrong, wrong


def test_heavy_imports_are_made_where_they_are_needed():
    heavy = {
        "tensorboard",
        "tensorboardX",
        "torch",
        "matplotlib",
        "tqdm",
        "sklearn",
        "safetensors",
        "scipy",
        "ml_dtypes",
        "mpi4py",
        "cudnn",
        "nvmath",
    }
    wrong = [
        f"{path.name}:{line} imports {name}"
        for part, path in ALL
        if part != "examples" and not path.is_relative_to(KERNELS / "cuda")
        for name, top, line in imports(path)
        if top and name.split(".")[0] in heavy
    ]
    assert not wrong, wrong


DEVICE_WORDS = {"cpu", "cuda"}


def _device_branches(tree: ast.AST) -> Iterator[int]:
    """Lines that compare a device, or its type, with a device's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            names = [o.value for o in operands if isinstance(o, ast.Constant) and isinstance(o.value, str)]
            if any(n.split(":")[0] in DEVICE_WORDS for n in names):
                yield node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("is_available"):
            yield node.lineno


# Where, outside of backend.py and kernels/, a device is looked at, and why that is no branch on what work is done.
LOOKS = {
    "testing/pytest_plugin.py": "tests of a device that is not there are skipped",
    "amp.py": "the half type that autocast takes by default differs between devices, as PyTorch's does",
    "tensor.py": "conversions that exist on one side only (numpy, __cuda_array_interface__, repr)",
    "creation.py": "as_tensor shares memory that is where it is wanted",
    "ops/indexing.py": "an index that is a 0-d tensor in host memory is read as a number, which costs nothing there",
}


def test_nobody_else_branches_on_a_device():
    looks = {}
    for part, path in ALL:
        if part in ("kernels", "backend", "cuda", "__main__", "examples"):  # tg.cuda is there to ask about CUDA
            continue
        lines = list(_device_branches(ast.parse(path.read_text())))
        if lines:
            looks[path.relative_to(PACKAGE).as_posix()] = lines
    assert not set(looks) - set(LOOKS), {name: looks[name] for name in set(looks) - set(LOOKS)}


@pytest.mark.parametrize("source", ["if x.device.type == 'cpu': pass", "y = device != 'cuda:0'", "cuda.is_available()"])
def test_device_branches_are_found(source):
    assert list(_device_branches(ast.parse(source)))


def test_names_of_files():
    for _, path in ALL:
        assert path.stem not in ("utils", "util", "helpers", "misc", "common"), path
