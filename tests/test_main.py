"""``python -m tensorgrad`` answers what it can and says why it cannot answer the rest."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from tensorgrad import __main__ as program
from tensorgrad.cuda import diagnosis
from tests.test_backend import HIDE_CUPY, run


def fake_cupy(monkeypatch, *, runtime=13000, driver=13000, gpus=1, nvrtc=True, wheels=("cupy-cuda13x",), cudnn=92000):
    """A CuPy with these versions in place of whatever is installed."""

    def raising(error):
        def function(*_):
            raise error

        return function

    cupy = types.ModuleType("cupy")
    cupy.__spec__ = ModuleSpec("cupy", None)
    cupy.__version__ = "14.2.0"
    properties = {"name": b"Some GPU", "major": 9, "minor": 0}
    cupy.cuda = types.SimpleNamespace(
        is_available=lambda: gpus > 0,
        runtime=types.SimpleNamespace(
            runtimeGetVersion=lambda: runtime,
            driverGetVersion=(lambda: driver) if driver is not None else raising(RuntimeError("no driver at all")),
            getDeviceCount=lambda: gpus,
            getDeviceProperties=lambda index: properties,
        ),
    )
    compiler = types.ModuleType("cupy.cuda.nvrtc")
    compiler.getVersion = (lambda: (13, 1)) if nvrtc else raising(RuntimeError("libnvrtc.so.13 not found"))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupy.cuda.nvrtc", compiler)
    monkeypatch.setattr(diagnosis, "cupy_distributions", lambda: list(wheels))
    monkeypatch.setattr(diagnosis, "_cudnn_library", (lambda: cudnn) if cudnn else raising(OSError("no libcudnn")))
    monkeypatch.setattr(diagnosis, "require_cuda", lambda: cupy)
    monkeypatch.setattr(diagnosis, "mem_get_info", lambda index: (1 << 34, 1 << 36))
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *_: cupy.__spec__ if name == "cudnn" and cudnn else find(name, *_)
    )
    return cupy


def test_the_command_without_a_gpu():
    done = run(HIDE_CUPY + "import runpy; runpy.run_module('tensorgrad', run_name='__main__')")
    assert done.returncode == 0, done.stderr
    for word in ("tensorgrad ", "Python ", "NumPy ", "BLAS ", " threads", "cuDNN frontend ", "nvmath-python", "mpi4py"):
        assert word in done.stdout, word
    assert 'CuPy is not installed: pip install "tensorgrad-cupy[cuda13]"' in done.stdout


def test_the_command_itself():
    done = subprocess.run([sys.executable, "-m", "tensorgrad"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("versions\n")


def test_everything_fits(monkeypatch):
    fake_cupy(monkeypatch)
    assert diagnosis.problems() == []
    text = program.report()
    assert "CUDA runtime    13.0" in text
    assert "up to CUDA 13.0" in text
    assert "cuDNN           9.20.0" in text
    assert "cuda:0  Some GPU, 64.0 GiB (16.0 free), compute capability 9.0" in text
    assert "matmul       cuBLAS (library)" in text
    for operation in ("convolution", "attention  "):
        assert re.search(rf"{operation}  (own kernel \(|cuDNN |float32: own kernel \()", text), text


@pytest.mark.parametrize(
    ("world", "said"),
    [
        ({"driver": 12040}, r"built for CUDA 13\.0, the driver supports up to CUDA 12\.4.*580.*\[cuda12\]"),
        ({"runtime": 12080}, r"cupy-cuda13x runs with the libraries of CUDA 12.*\[cuda13\]"),
        ({"wheels": ("cupy-cuda12x", "cupy-cuda13x")}, r"more than one CuPy.*uninstall -y cupy-cuda12x cupy-cuda13x"),
        ({"nvrtc": False}, r"NVRTC.*libnvrtc\.so\.13 not found.*pip install"),
        ({"cudnn": 0}, r"cuDNN is incomplete \(its Python frontend and the library missing\): pip install"),
        ({"driver": None}, r"no NVIDIA driver: install one"),
        ({"driver": 0}, r"no NVIDIA driver: install one"),
        ({"gpus": 0}, r"no GPU is visible: check nvidia-smi"),
    ],
)
def test_problems(monkeypatch, world, said):
    fake_cupy(monkeypatch, **world)
    found = diagnosis.problems()
    assert len(found) == 1, found
    assert re.search(said, found[0]), found
    assert found[0] in program.report()


def test_cupy_that_cannot_be_imported(monkeypatch):
    fake_cupy(monkeypatch)
    monkeypatch.setattr(diagnosis, "cupy", lambda: (_ for _ in ()).throw(ImportError("libcudart.so.13: cannot open")))
    (found,) = diagnosis.problems()
    assert "cannot be imported (ImportError: libcudart.so.13" in found
    assert "pip uninstall -y cupy-cuda13x" in found
    assert "failed: ImportError: libcudart.so.13" in program.report()


@pytest.mark.parametrize("error", [RuntimeError("broken"), OSError(), SystemExit("gone"), KeyError("x")])
def test_a_failing_question_spoils_no_other(monkeypatch, error):
    """Whatever is asked raises: the report still has every other line."""

    def failing(*_):
        raise error

    whole = program.report()
    for owner, name in (
        (program, "_blas"),
        (diagnosis, "cupy"),
        (diagnosis, "device_lines"),
        (diagnosis, "implementations"),
        (diagnosis, "cuda_versions"),
        (diagnosis, "problems"),
        (program.platform, "python_version"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            text = program.report()
            assert program.main() == 0
        assert type(error).__name__ in text or "not installed" in text, name
        assert "NumPy " in text
        assert "missing or not fitting together" in text
    assert program.report() == whole


def test_answer():
    assert diagnosis.answer(lambda: 3) == "3"
    assert diagnosis.answer(lambda: diagnosis.installed("no_such_module_at_all")) == "not installed"
    assert diagnosis.answer(lambda: 1 / 0) == "failed: ZeroDivisionError: division by zero"
