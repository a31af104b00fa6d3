"""Write down the names of PyTorch that docs/pytorch.md is compared with: ``python -m tests.reference.make_names``."""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import json
from pathlib import Path
from typing import Any

import torch

NAMES = Path(__file__).parent / "vectors" / "pytorch_names.json"
MODULES = (
    "", "nn", "nn.functional", "nn.init", "nn.utils", "nn.utils.rnn", "nn.utils.parametrize",
    "nn.utils.parametrizations",
    "optim", "optim.lr_scheduler", "optim.swa_utils", "utils.data", "func", "autograd", "autograd.function",
    "autograd.graph", "autograd.functional",
)  # fmt: skip
CLASSES = ("Tensor", "nn.Module", "optim.Optimizer")
# what of the main namespace and the Tensor is no user's: kernels by library, forms for compilers, sparse and
# quantised tensors, devices of others, tools
INTERNAL = """
    *_autocast_* *_copy *_forward *_nesting *_quantized *_sparse* *autocast_enabled *sparse_* affine_grid_generator
    as_subclass batch_norm_?* ccol_indices choose_qparams_optimized classproperty clear_autocast_cache coalesce
    col_indices compiled_with_* constant_pad_nd conv_tbc convolution crow_indices cudnn_* dequantize dsmm
    embedding_renorm_ fake_quantize_* fbgemm_* fork fused_* get_autocast_* get_device_module get_file_path
    grad_dtype grid_sampler* hash_tensor hsmm hspmm import_ir_* indices init_num_threads int_repr ipu is_coalesced
    is_distributed is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_quantized is_storage is_vulkan*
    is_warn_* is_xla is_xpu max_pool1d_with_indices merge_type_* miopen_* mkldnn_* module_load mtia native_* parse_*
    prepare_* profiler_* q_* qscheme quantize* reinforce row_indices saddmm set_autocast_* set_warn_always
    slice_inverse smm spmm sspaddmm sym_* thread_safe_generator to_dense to_mkldnn to_sparse* typename unify_*
    unsafe_* values wait xpu
""".split()  # noqa: SIM905
FUNCTIONS = {"enable_grad", "inference_mode", "no_grad", "set_grad_enabled"}  # classes that are used as such
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


def internal(name: str) -> bool:
    """Whether a name is one of `INTERNAL`."""
    return name != "index_copy" and any(fnmatch.fnmatchcase(name, pattern) for pattern in INTERNAL)


def functions() -> list[str]:
    """Names of the functions of the main namespace."""
    return [
        name
        for name in dir(torch)
        if not name.startswith("_")
        and callable(getattr(torch, name))
        and (not inspect.isclass(getattr(torch, name)) or name in FUNCTIONS)
        and not internal(name)
    ]


def main() -> None:
    names: dict[str, list[str]] = {}
    for path in MODULES:
        names[path] = public(importlib.import_module(f"torch.{path}")) if path else functions()
    for path in CLASSES:
        owner, _, name = path.rpartition(".")
        cls = getattr(importlib.import_module(f"torch.{owner}" if owner else "torch"), name)
        names[path] = [n for n in dir(cls) if not n.startswith("_") and not (path == "Tensor" and internal(n))]
    NAMES.write_text(json.dumps({"version": torch.__version__.split("+")[0], "names": names}, indent=1) + "\n")
    print(f"{NAMES.name}: {sum(map(len, names.values()))} names")


if __name__ == "__main__":
    main()
