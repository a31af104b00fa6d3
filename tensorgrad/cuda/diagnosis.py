"""What is installed for CUDA and what does not fit together; for ``python -m tensorgrad``.

Every question stands alone: one that fails says so in its answer and spoils no other.
"""

from __future__ import annotations

import ast
import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..backend import require_cuda
from .memory import mem_get_info

__all__ = ["Missing", "answer", "cuda_versions", "device_lines", "implementations", "installed", "problems"]

_DRIVERS = {13: 580, 12: 525}  # the oldest driver for each major version of CUDA


class Missing(Exception):  # noqa: N818 - an answer, not a failure
    """What is asked about is not here."""


def answer(question: Callable[[], Any]) -> str:
    """What ``question()`` answers, or why it has no answer; never raises."""
    try:
        return str(question())
    except Missing as missing:
        return str(missing) or "not installed"
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines() or ["no message"]
        return f"failed: {type(error).__name__}: {lines[0]}"


def installed(module: str, *distributions: str) -> str:
    """The version of an optional package, which is imported."""
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise Missing("not installed")
    importlib.import_module(module)
    for name in distributions:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return str(getattr(importlib.import_module(module), "__version__", "installed, version unknown"))


def cupy_distributions() -> list[str]:
    """Names of the CuPy distributions that are installed; there should be one."""
    names = {str(d.metadata["Name"]).lower() for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return sorted(n for n in names if n == "cupy" or n.startswith("cupy-cuda") or n.startswith("cupy-rocm"))


def cupy() -> Any:
    """CuPy, whether or not it sees a GPU."""
    if importlib.util.find_spec("cupy") is None:
        raise Missing("not installed")
    return importlib.import_module("cupy")


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def runtime_version() -> int:
    """The CUDA runtime that CuPy uses, such as 13000."""
    return int(cupy().cuda.runtime.runtimeGetVersion())


def driver_version() -> int:
    """The newest CUDA that the driver supports, such as 13000."""
    number = int(cupy().cuda.runtime.driverGetVersion())
    if not number:
        raise Missing("no driver")
    return number


def nvrtc_version() -> str:
    """The compiler that kernels go through."""
    major, minor = importlib.import_module("cupy.cuda.nvrtc").getVersion()
    return f"{major}.{minor}"


def _cudnn_library() -> int:
    """Version of the library itself; of a wheel's, or of the system's."""
    pathfinder = importlib.import_module("cuda.pathfinder")
    library = ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cudnn").abs_path)
    library.cudnnGetVersion.restype = ctypes.c_size_t
    return int(library.cudnnGetVersion())


def cudnn_backend() -> str:
    """Version of cuDNN."""
    cupy()
    number = _cudnn_library()
    return f"{number // 10000}.{number % 10000 // 100}.{number % 100}"


def cuda_versions() -> dict[str, str]:
    """The answers about CUDA, by what they are about."""
    return {
        "CuPy": answer(lambda: f"{cupy().__version__} ({', '.join(cupy_distributions()) or 'not from a wheel'})"),
        "CUDA runtime": answer(lambda: _version(runtime_version())),
        "CUDA driver": answer(lambda: f"up to CUDA {_version(driver_version())}"),
        "NVRTC": answer(lambda: cupy() and nvrtc_version()),
        "cuDNN frontend": answer(lambda: installed("cudnn", "nvidia-cudnn-frontend")),
        "cuDNN": answer(cudnn_backend),
        "nvmath-python": answer(lambda: installed("nvmath", "nvmath-python")),
    }


def _device(index: int) -> str:
    properties = require_cuda().cuda.runtime.getDeviceProperties(index)
    name = properties["name"]
    name = name.decode() if isinstance(name, bytes) else name
    free, total = mem_get_info(index)
    capability = f"{properties['major']}.{properties['minor']}"
    return f"{name}, {total / 2**30:.1f} GiB ({free / 2**30:.1f} free), compute capability {capability}"


def device_lines() -> dict[str, str]:
    """Name, memory and compute capability of every GPU."""
    try:
        count = int(require_cuda().cuda.runtime.getDeviceCount())
    except Exception as error:
        return {"none": str(error)}
    return {f"cuda:{i}": answer(functools.partial(_device, i)) for i in range(count)}


_LIBRARIES = {"gemm": "cuBLAS", "nvmath": "cuBLASLt"}  # by the module that a kernel's file imports


def _computed_by(prefix: str) -> str:
    """The library, or own kernel, behind the first instruction whose name starts so."""
    from ..kernels import INSTRUCTIONS

    families = [kernel.family for name, kernel in INSTRUCTIONS.items() if name.startswith(prefix)]
    if not families:
        raise Missing("not built yet")
    spec = importlib.util.find_spec(f"tensorgrad.kernels.cuda.{families[0]}")
    if spec is None or spec.origin is None:
        raise Missing("no CUDA implementation")
    nodes = ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    used = [library for module, library in _LIBRARIES.items() if any(module in name for name in named)]
    return f"{used[0]} (library)" if used else "own kernel"


_HEAD = 64  # columns of the attention heads that are asked about
_ASKED = ("float32", "bfloat16", "float16")


def _by_cudnn(refusal: Callable[[str], str | None]) -> str:
    """By dtype, cuDNN with its version or the own kernel with the reason, dtypes of one answer together."""
    from ..kernels.cuda import cudnn

    dtypes: dict[str, list[str]] = {}
    for dtype in _ASKED:
        reason = refusal(dtype)
        said = f"own kernel ({reason})" if reason else f"cuDNN {cudnn.version()} (library)"
        dtypes.setdefault(said, []).append(dtype)
    if len(dtypes) == 1:
        return next(iter(dtypes))
    return "; ".join(f"{', '.join(names)}: {said}" for said, names in dtypes.items())


def _convolution() -> str:
    from ..kernels.cuda import cudnn

    return _by_cudnn(cudnn.conv_refusal)


def _attention() -> str:
    from ..kernels.cuda import cudnn

    return _by_cudnn(lambda dtype: cudnn.attention_refusal(dtype, _HEAD, _HEAD))


def implementations() -> dict[str, str]:
    """What computes the heavy operations on a GPU."""
    return {
        "matmul": answer(functools.partial(_computed_by, "matmul")),
        "convolution": answer(_convolution),
        "attention": answer(_attention),
    }


def problems() -> list[str]:
    """What is missing or does not fit together, each with the command that mends it."""
    found: list[str] = []
    for check in (_no_cupy, _two_cupys, _no_driver, _pairing, _wheel_pairing, _no_nvrtc, _no_cudnn):
        try:
            text = check()
        except Missing:
            continue
        except (Exception, SystemExit) as error:
            subject = check.__name__.strip("_").replace("_", " ")
            text = f"{subject}: could not be checked ({type(error).__name__}: {error})"
        if text:
            found.append(text)
            if check is _no_cupy:
                break
    return found


def _no_cupy() -> str | None:
    try:
        cupy()
    except Missing:
        return 'CuPy is not installed: pip install "tensorgrad-cupy[cuda13]" (or [cuda12] for a driver older than 580)'
    except (Exception, SystemExit) as error:
        names = " ".join(cupy_distributions()) or "cupy"
        return (
            f"CuPy cannot be imported ({type(error).__name__}: {str(error).strip()[:200]}): "
            f"pip uninstall -y {names} && "
            'pip install "tensorgrad-cupy[cuda13]" (or [cuda12])'
        )
    return None


def _two_cupys() -> str | None:
    names = cupy_distributions()
    if len(names) < 2:
        return None
    return (
        f"more than one CuPy is installed ({', '.join(names)}), which overwrite each other: "
        f"pip uninstall -y {' '.join(names)} && {_reinstall()}"
    )


def _extra() -> str:
    """The extra that fits the driver."""
    try:
        return "cuda13" if driver_version() >= 13000 else "cuda12"
    except Exception:
        return "cuda13"


def _reinstall() -> str:
    return f'pip install "tensorgrad-cupy[{_extra()}]"'


def _no_driver() -> str | None:
    try:
        driver_version()
    except Exception:
        versions = ", ".join(f"{driver} or newer for CUDA {major}" for major, driver in _DRIVERS.items())
        return f"no NVIDIA driver: install one from https://www.nvidia.com/drivers ({versions})"
    try:
        count = int(cupy().cuda.runtime.getDeviceCount())
    except RuntimeError:  # CUDA's way to say that there is none
        count = 0
    if not count:
        return "the driver is there but no GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES"
    return None


def _pairing() -> str | None:
    try:
        driver, runtime = driver_version(), runtime_version()
    except Exception as error:
        raise Missing from error
    if runtime // 1000 <= driver // 1000:
        return None
    needed = _DRIVERS.get(runtime // 1000, "newer")
    return (
        f"CuPy is built for CUDA {_version(runtime)}, the driver supports up to CUDA {_version(driver)}: "
        f"install driver {needed} or newer, or: "
        f"pip uninstall -y {' '.join(cupy_distributions()) or 'cupy'} && {_reinstall()}"
    )


def _wheel_pairing() -> str | None:
    """A wheel for one CUDA with libraries of another."""
    names = [n for n in cupy_distributions() if n.startswith("cupy-cuda") and n.endswith("x")]
    if len(names) != 1:
        return None
    wheel = int(names[0].removeprefix("cupy-cuda").removesuffix("x"))
    try:
        runtime = runtime_version() // 1000
    except Exception as error:
        raise Missing from error
    if wheel == runtime:
        return None
    return f"{names[0]} runs with the libraries of CUDA {runtime}: pip uninstall -y {names[0]} && " + _reinstall()


def _no_nvrtc() -> str | None:
    try:
        nvrtc_version()
    except Exception as error:
        return f"NVRTC, which compiles the kernels, cannot be loaded ({str(error).strip()[:120]}): " + _reinstall()
    return None


def _no_cudnn() -> str | None:
    lacking = []
    if importlib.util.find_spec("cudnn") is None:
        lacking.append("its Python frontend")
    try:
        _cudnn_library()
    except Exception:
        lacking.append("the library")
    if not lacking:
        return None
    return f"cuDNN is incomplete ({' and '.join(lacking)} missing): " + _reinstall()
