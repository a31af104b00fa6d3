"""The table of ``docs/gradients.md``: what is verified of every public function.

A public function is verified by the ops that it leaves on the tape. Which orders an op has is read off its definition
and the samples on which the tests of this folder compare it with differences; the table says no more than they check.

    python -m tests.ops.gradient_table          writes the page
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import tensorgrad as tg
from tensorgrad.ops.definition import OPS

from .samples import SAMPLES, Sample

PAGE = Path(__file__).parents[2] / "docs" / "gradients.md"
NAMESPACES = {"": tg, "linalg.": tg.linalg, "fft.": tg.fft, "nn.functional.": tg.nn.functional}

SHAPED_BY_VALUES = {"bincount", "bincount_weighted", "counts", "nonzero", "repeated_indices", "set_values", "unique"}
"""Ops whose results have a shape that differs from sample to sample."""

FUNCTIONS = """## Public functions

With the ops that their samples leave on the tape, and what is checked of those samples.

| function | ops | first | second | forward | vmap | CPU | CUDA |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

OTHERS = "The other public functions are no ops of their own: they make tensors, or compute with the ops above."

HEAD = """# Gradients

What has a gradient, and what of it is verified. This page is made by `python -m tests.ops.gradient_table` from the
definitions of the ops and their samples; a test makes it again and fails if it differs.

An op is checked against central differences in float64: `first` order (with and without a graph of the gradient) and
`second` order. `forward` mode, `tg.func.jvp`, is compared with differences in one direction. `vmap` is compared with
a loop over samples, gradients included. Every check runs on the CPU, and on
CUDA through the same rules (on the emulator where there is no GPU).

A cell says `yes` if the check runs on at least one sample of the op, `-` if the op has no derivative of that order.

| op | differentiable inputs | first | second | forward | vmap | CPU | CUDA |
| --- | ---: | --- | --- | --- | --- | --- | --- |
"""


def marks(samples: list[Sample]) -> str:
    """What the tests check of some samples, as the cells of a line."""
    first = any(sample.variables for sample in samples)
    second = any(sample.variables and sample.twice for sample in samples)
    mapped = any(sample.inputs and sample.op not in SHAPED_BY_VALUES for sample in samples)
    cells = [first, second, second, mapped, bool(samples), bool(samples)]
    return " | ".join("yes" if cell else "-" for cell in cells)


def row(name: str, samples: list[Sample]) -> str:
    """One op's line."""
    op = OPS[name]
    rules = sum(rule is not None for rule in op.rules)
    return f"| `{name}` | {'joint' if op.joint and rules else rules} | {marks(samples)} |"


def public_functions() -> dict[str, Any]:
    """The public functions by name."""
    found: dict[str, Any] = {}
    for prefix, namespace in NAMESPACES.items():
        for name in getattr(namespace, "__all__", dir(namespace)):
            value = getattr(namespace, name)
            if not name.startswith("_") and callable(value) and not inspect.isclass(value):
                found[prefix + name] = value
    return found


def called(sample: Sample, functions: dict[str, Any]) -> list[str]:
    """The public functions that a sample calls by name."""
    direct = [name for name, function in functions.items() if function is sample.call]
    code = getattr(sample.call, "__code__", None)
    if direct or code is None:
        return direct
    names = [name for name in code.co_names if name != "detach"]  # the method, which has no gradient
    prefix = next((p for p in NAMESPACES if p and p.strip(".").split(".")[-1] in names), "")
    return [prefix + name for name in names if prefix + name in functions]


def page() -> str:
    """The whole page."""
    functions = public_functions()
    samples_of: dict[str, list[Sample]] = {}
    for group in SAMPLES.values():
        for sample in group:
            for name in called(sample, functions):
                samples_of.setdefault(name, []).append(sample)
    lines = [row(name, SAMPLES.get(name, [])) for name in sorted(OPS)]
    tested = [
        f"| `tg.{name}` | {', '.join(sorted({f'`{s.op}`' for s in group}))} | {marks(group)} |"
        for name, group in sorted(samples_of.items())
    ]
    others = [f"`tg.{name}`" for name in sorted(functions) if name not in samples_of]
    return "\n".join(
        [HEAD.rstrip(), *lines, "", FUNCTIONS.rstrip(), *tested, "", OTHERS, "", ", ".join(others) + ".", ""]
    )


if __name__ == "__main__":
    PAGE.write_text(page())
