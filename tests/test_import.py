"""What importing the package does, and what it must not do to the program that imports it."""

from __future__ import annotations

import json

from .test_backend import run

PROBE = """
import json, sys, threading
import numpy as np
import random

sys.modules.pop("tensorgrad", None)
np.random.seed(0), random.seed(0)
before = {
    "threads": threading.active_count(),
    "numpy": np.random.get_state()[1].tolist(),
    "python": hash(random.getstate()),
    "errors": np.geterr(),
    "print": np.get_printoptions() | {"formatter": None},
    "filters": len(__import__("warnings").filters),
    "modules": set(sys.modules),
}
import tensorgrad
after = {
    "threads": threading.active_count(),
    "numpy": np.random.get_state()[1].tolist(),
    "python": hash(random.getstate()),
    "errors": np.geterr(),
    "print": np.get_printoptions() | {"formatter": None},
    "filters": len(__import__("warnings").filters),
}
print(json.dumps({
    "changed": [k for k in after if after[k] != before[k]],
    "loaded": sorted(set(sys.modules) - before["modules"]),
}))
"""


def probe(**environment):
    done = run(PROBE, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_changes_nothing():
    assert probe()["changed"] == []


def test_loads_nothing_heavy():
    loaded = {name.split(".")[0] for name in probe()["loaded"]}
    third_party = loaded & {
        "cupy", "torch", "matplotlib", "tqdm", "scipy", "sklearn", "safetensors", "ml_dtypes", "mpi4py", "asyncio",
        "multiprocessing", "urllib", "http", "ssl", "sqlite3", "unittest", "pdb", "cffi", "numba", "jax",
    }  # fmt: skip
    assert not third_party


def test_loads_no_submodule_that_is_not_needed_yet():
    loaded = set(probe()["loaded"])
    for name in (
        "nn",
        "optim",
        "data",
        "train",
        "io",
        "viz",
        "profiler",
        "testing",
        "jit.compiled",
        "distributed",
        "func",
        "linalg",
        "fft",
        "kernels.cuda",
    ):
        assert f"tensorgrad.{name}" not in loaded, name


def test_does_not_load_numpys_lazy_parts():
    """``numpy.testing`` and friends cost more than this whole package."""
    assert not {n for n in probe()["loaded"] if n.startswith(("numpy.testing", "numpy.f2py", "numpy.distutils"))}


def test_asking_for_the_gpu_in_the_environment_does_not_load_cupy():
    assert not {n for n in probe(TENSORGRAD_DEVICE="cuda")["loaded"] if n.split(".")[0] == "cupy"}


def test_training_step_starts_no_thread_unless_arrays_are_large():
    done = run(
        """
        import threading, tensorgrad as tg
        x = tg.ones(8, 8, requires_grad=True)
        tg.softmax(tg.relu(x @ x), axis=1).sum().backward()
        print(threading.active_count())
        """
    )
    assert done.stdout.strip() == "1", done.stderr


def test_submodules_load_when_used():
    done = run(
        """
        import tensorgrad as tg, sys
        assert "tensorgrad.testing" not in sys.modules
        tg.testing.assert_close(tg.ones(1), [1.0])
        assert "tensorgrad.testing" in sys.modules
        """
    )
    assert done.returncode == 0, done.stderr
    done = run("import tensorgrad as tg; tg.nonsense")
    assert "module 'tensorgrad' has no attribute 'nonsense'" in done.stderr


def test_public_names_exist():
    done = run(
        """
        import tensorgrad as tg
        lazy = {*tg._SUBMODULES, *tg._ELSEWHERE, "bfloat16"}
        for name in dir(tg):
            name in lazy or getattr(tg, name)
        """
    )
    assert done.returncode == 0, done.stderr


def test_namespace_does_not_leak_modules():
    """Users who type ``tg.`` see functions, not what this package imports."""
    done = run(
        """
        import json, types
        import tensorgrad as tg
        modules = {n: v.__name__ for n, v in vars(tg).items() if isinstance(v, types.ModuleType)}
        print(json.dumps([n for n, name in modules.items() if name.split(".")[0] != "tensorgrad"]))
        """
    )
    assert set(json.loads(done.stdout)) <= {"importlib"}
