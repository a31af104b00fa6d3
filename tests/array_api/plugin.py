"""A pytest plugin that chooses the device on which the suite makes its arrays, before the suite imports tensorgrad."""

from __future__ import annotations

import os

if os.environ.get("TENSORGRAD_EMULATE_CUDA"):
    from tests.cuda_emulator import cublas, install

    install()
    from tensorgrad.kernels.cuda import gemm

    gemm.substitute(cublas)
