"""Write down the names of PyTorch that docs/pytorch.md is compared with: ``python -m tests.reference.make_names``."""

from __future__ import annotations

import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import torch

NAMES = Path(__file__).parent / "vectors" / "pytorch_names.json"
MODULES = (
    "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "nn.utils.parametrize", "nn.utils.parametrizations",
    "optim", "optim.lr_scheduler", "optim.swa_utils", "utils.data", "func", "autograd", "autograd.function",
    "autograd.graph", "autograd.functional",
)  # fmt: skip
CLASSES = ("nn.Module", "optim.Optimizer")
# what a module only uses itself
INNER = {
    "Tensor", "DType", "OpaqueBase", "PackedSequence_", "assert_int_or_pair", "bind", "boolean_dispatch",
    "copy_method_params",
    "factory_kwargs", "handle_torch_function", "has_torch_function", "has_torch_function_unary",
    "has_torch_function_variadic", "is_opaque_reference_type", "is_traceable_wrapper_subclass", "deepcopy",
    "get_swap_module_params_on_conversion", "BroadcastingList1", "BroadcastingList2", "BroadcastingList3",
    "swap_in_optimizer_params_and_state",
}  # fmt: skip


def public(module: Any) -> list[str]:
    """Names of the classes and functions that a module offers."""
    listed = set(getattr(module, "__all__", ())) if module is not torch.nn else set()
    found = []
    for name in dir(module):
        value = getattr(module, name)
        home = getattr(value, "__module__", None) or "torch"
        if name.startswith("_") or name in INNER or inspect.ismodule(value) or not callable(value):
            continue
        if name in listed or (not listed and home.startswith("torch")):
            found.append(name)
    return found


def main() -> None:
    names: dict[str, list[str]] = {}
    for path in MODULES:
        names[path] = public(importlib.import_module(f"torch.{path}"))
    for path in CLASSES:
        owner, _, name = path.rpartition(".")
        cls = getattr(importlib.import_module(f"torch.{owner}"), name)
        names[path] = [n for n in dir(cls) if not n.startswith("_")]
    NAMES.write_text(json.dumps({"version": torch.__version__.split("+")[0], "names": names}, indent=1) + "\n")
    print(f"{NAMES.name}: {sum(map(len, names.values()))} names")


if __name__ == "__main__":
    main()
