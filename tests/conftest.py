"""The one device fixture, and the options that choose what CUDA means in this run.

A test that takes ``device`` runs on the CPU and on CUDA; one that does not runs once. CUDA is a real GPU if CuPy sees
one, the emulator of ``tests/cuda_emulator`` if ``--emulate-cuda`` is given, and otherwise those tests are skipped.
``--only-device cuda`` leaves out everything that ``--only-device cpu`` runs, so that two runs cover each test once.
``--jit`` also captures and replays whatever module of the library a test calls, and compares (``tests/jit/mode.py``).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

_cuda_is_missing: str | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tensorgrad")
    group.addoption("--emulate-cuda", action="store_true", help="without a GPU, run the CUDA tests on the emulator")
    group.addoption("--jit", action="store_true", help="compare every call of a module with a captured one")
    group.addoption(
        "--only-device", choices=["cpu", "cuda"], help="run the tests of one device; those without one count as cpu"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Decide what CUDA is before any test module imports CuPy."""
    global _cuda_is_missing
    installed = "cupy" in sys.modules or importlib.util.find_spec("cupy") is not None
    if installed and _succeeds("import cupy, sys; sys.exit(not cupy.cuda.is_available())"):
        return
    if config.getoption("--emulate-cuda"):
        from tests.cuda_emulator import cublas, install

        install()
        from tensorgrad.kernels.cuda import gemm

        gemm.substitute(cublas)  # the one library that kernels call directly
        return
    why = "CuPy sees no GPU" if installed else "CuPy is not installed"
    _cuda_is_missing = f"{why}; use --emulate-cuda to run the CUDA tests on the CPU"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Turn the mode of ``--jit`` on."""
    if session.config.getoption("--jit"):
        from tests.jit import mode

        mode.install()


def why_no_cuda() -> str | None:
    """Why this run has no CUDA device; None if it has one."""
    return _cuda_is_missing


def _succeeds(program: str) -> bool:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    only = config.getoption("--only-device")
    if only is None:
        return
    keep = [item for item in items if _device_of(item) == only]
    config.hook.pytest_deselected(items=[item for item in items if _device_of(item) != only])
    items[:] = keep


def _device_of(item: pytest.Item) -> str:
    return item.callspec.params.get("device", "cpu") if hasattr(item, "callspec") else "cpu"


@pytest.fixture(params=["cpu", "cuda"])
def device(request: pytest.FixtureRequest) -> str:
    """The name of a device to run on."""
    missing = why_no_cuda()
    if request.param == "cuda" and missing is not None:
        pytest.skip(missing)
    return request.param


@pytest.fixture(autouse=True)
def _same_numbers_in_every_run() -> None:
    from tensorgrad import manual_seed  # not before CUDA is decided

    manual_seed(0)
