"""Make the reference vectors of all cases with PyTorch: ``python -m tests.reference.make_vectors``.

What is written to ``vectors/`` is kept in the repository; PyTorch is needed for nothing else here.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from .cases import LAYERS, LOSSES, OPTIMIZERS, SCHEDULERS
from .evaluate import Library, packed, run_module, run_optimizer, run_scheduler

VECTORS = Path(__file__).parent / "vectors"


class PyTorch(Library):
    nn = torch.nn
    optim = torch.optim
    grad = staticmethod(torch.autograd.grad)

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        return torch.tensor(array, requires_grad=requires_grad)

    def placed(self, module: Any) -> Any:
        return module.to(torch.float64)

    def array(self, tensor: Any) -> Any:
        return tensor.detach().numpy(force=True)


def main() -> None:
    torch.set_default_dtype(torch.float64)  # also of what NAdam and ASGD keep as numbers
    # Muon rounds to bfloat16 for the sake of speed, which is not in its definition.
    torch.Tensor.bfloat16 = lambda self: self.clone()  # type: ignore[method-assign, assignment]
    lib = PyTorch()
    without_second = []
    for file, cases in (("layers", LAYERS), ("losses", LOSSES)):
        vectors = {}
        for case in cases:
            assert case.name not in vectors, f"twice: {case.name}"
            try:
                first, second = run_module(case, lib)
            except Exception as error:
                raise RuntimeError(f"PyTorch does not take {case.name}") from error
            vectors[case.name] = packed(first)
            try:
                vectors[f"{case.name} second"] = packed(second())
            except RuntimeError as error:
                without_second.append(f"{case.name}: {str(error).splitlines()[0]}")
        write(file, vectors)
    write("optimizers", {f"{what!r} {second}": packed(run_optimizer(what, second, lib)) for what, second in OPTIMIZERS})
    write("schedulers", {repr(what): packed(run_scheduler(what, metrics, lib)) for what, metrics in SCHEDULERS})
    print("PyTorch has no second order of:", *without_second, sep="\n  ")


def write(file: str, vectors: dict[str, Any]) -> None:
    """All vectors one after the other, their names, and where each begins."""
    path = VECTORS / f"{file}.npz"
    values = np.concatenate(list(vectors.values()))
    planes = values.view(np.uint8).reshape(-1, 8).T  # bytes of one significance lie together: half the file
    np.savez_compressed(
        path,
        planes=np.ascontiguousarray(planes),
        names=np.frombuffer("\n".join(vectors).encode(), np.uint8),
        ends=np.cumsum([len(v) for v in vectors.values()]),
        torch=np.array(torch.__version__),
    )
    print(f"{path.name}: {len(vectors)} vectors, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):  # which has a second order
        warnings.simplefilter("ignore")
        main()
