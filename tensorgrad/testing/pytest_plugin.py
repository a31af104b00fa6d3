"""A pytest plugin: the fixture ``device`` and the option ``--device``.

In a ``conftest.py``: ``pytest_plugins = ["tensorgrad.testing.pytest_plugin"]``. A test that takes ``device`` runs once
for each device; on a machine without a GPU those of CUDA are skipped, unless ``--device cuda`` asks for them.
"""

from __future__ import annotations

import pytest

from ..backend import cuda_is_available, resolve_device

__all__ = ["device", "pytest_addoption", "pytest_generate_tests"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--device``."""
    parser.getgroup("tensorgrad").addoption(
        "--device",
        action="append",
        metavar="DEVICE",
        help="run tests that take `device` on this one only: cpu, cuda, cuda:1; may be given several times",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each device of a test that takes ``device``."""
    if "device" not in metafunc.fixturenames:
        return
    named = [str(mark.args[0]).split(",") for mark in metafunc.definition.iter_markers("parametrize")]
    if not any("device" in [name.strip() for name in names] for names in named):
        metafunc.parametrize("device", metafunc.config.getoption("--device") or ["cpu", "cuda"], indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> str:
    """The name of a device to run on."""
    name = str(request.param)
    if name.startswith("cuda") and not request.config.getoption("--device") and not cuda_is_available():
        pytest.skip("there is no GPU that CuPy sees")
    resolve_device(name)  # one error for a device that was asked for and is not there
    return name
