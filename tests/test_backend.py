"""Devices: names, defaults, and what is said when CUDA is missing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import backend


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with this one's import path."""
    variables = {k: v for k, v in os.environ.items() if k != "TENSORGRAD_DEVICE"}
    path = os.pathsep.join(p for p in sys.path if p)
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        env={**variables, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


HIDE_CUPY = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        return None
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "cupy" else find_spec(name, *rest)
"""
NO_GPU = """
import sys, types
from importlib.machinery import ModuleSpec
cupy = types.ModuleType("cupy")
cupy.__spec__ = ModuleSpec("cupy", None)
cupy.cuda = types.SimpleNamespace(is_available=lambda: False)
sys.modules["cupy"] = cupy
"""


def test_names():
    device = tg.zeros(1).device
    assert str(device) == "cpu"
    assert repr(device) == "device('cpu')"
    assert device == "cpu"
    assert device != "cuda"
    assert device == backend.CPU
    assert device != 3
    assert hash(device) == hash(backend.Device("cpu"))
    assert backend.Device("cuda", 1) == "cuda:1"
    assert backend.Device("cuda", 1) != "cuda"
    assert backend.Device("cuda", 0) == "cuda"
    assert str(backend.Device("cuda", 0)) == "cuda:0"
    assert tg.zeros(1, device=backend.CPU).device == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "CPU", "cpu:1", "", 3])
def test_unknown_device(name):
    with pytest.raises(ValueError, match=r"unknown device .*'cpu', 'cuda' and 'cuda:<index>'"):
        tg.zeros(1, device=name)


def test_device_that_is_not_there(device):
    if device == "cuda":
        with pytest.raises(ValueError, match=r"unknown device 'cuda:99': this machine has \d+ CUDA device"):
            tg.zeros(1, device="cuda:99")


def test_default_device(device):
    try:
        tg.set_default_device(device)
        assert tg.get_default_device() == device
        for x in (tg.zeros(2), tg.tensor([1.0]), tg.arange(3), tg.as_tensor(np.zeros(2)), tg.eye(2)):
            assert x.device == device
        assert tg.zeros(2, device="cpu").device == "cpu"
        assert tg.tensor(tg.zeros(2, device="cpu")).device == "cpu"
        assert (tg.zeros(2, device="cpu") + 1.0).device == "cpu"
    finally:
        tg.set_default_device(None)
    assert tg.zeros(2).device == "cpu"


def test_environment_variable():
    done = run("import tensorgrad as tg; print(tg.get_default_device())", TENSORGRAD_DEVICE="cpu")
    assert done.stdout.strip() == "cpu", done.stderr
    done = run("import tensorgrad as tg; tg.zeros(1)", TENSORGRAD_DEVICE="tpu")
    assert "unknown device 'tpu'" in done.stderr


def test_environment_variable_is_read_when_needed():
    done = run(HIDE_CUPY + "import tensorgrad as tg; print(tg.zeros(1, device='cpu').device)", TENSORGRAD_DEVICE="cuda")
    assert done.stdout.strip() == "cpu", done.stderr


@pytest.mark.parametrize(
    "use",
    [
        "tg.zeros(1, device='cuda')",
        "tg.zeros(1).cuda()",
        "tg.set_default_device('cuda:0')",
        "tg.tensor([1]).to('cuda')",
    ],
)
def test_cuda_without_cupy(use):
    done = run(HIDE_CUPY + f"import tensorgrad as tg\n{use}")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: device 'cuda' needs CuPy, which is not installed")
    assert 'pip install "tensorgrad-cupy[cuda13]"' in last
    assert "[cuda12]" in last


def test_cuda_without_gpu():
    done = run(NO_GPU + "import tensorgrad as tg\ntg.zeros(1, device='cuda')")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: device 'cuda' needs an NVIDIA GPU and its driver")
    assert "CuPy is installed" in last
    assert "nvidia-smi" in last


def test_is_available():
    assert run(HIDE_CUPY + "import tensorgrad as tg; print(tg.cuda.is_available())").stdout.strip() == "False"
    assert run(NO_GPU + "import tensorgrad as tg; print(tg.cuda.is_available())").stdout.strip() == "False"


def test_cuda_is_available(device):
    if device == "cuda":
        assert tg.cuda.is_available()
        assert tg.zeros(1, device="cuda").device == "cuda:0"


def test_arrays_of_the_backends(device):
    x = tg.ones(2, 3, device=device)
    assert backend.is_array(x._data)
    assert not backend.is_array(x)
    assert not backend.is_array([1.0])
    assert not backend.is_array(np.float64(1))
    assert backend.device_of(x._data) == device
    assert isinstance(backend.to_numpy(x._data), np.ndarray)
    assert backend.to_device(x._data, x.device) is x._data
    view = backend.broadcast_view(x._data, (4, 2, 3))
    assert view.shape == (4, 2, 3)
    assert view.strides[0] == 0
