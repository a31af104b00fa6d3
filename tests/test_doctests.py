"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import tensorgrad as tg


def _modules() -> list[str]:
    names = ["tensorgrad"]
    names += [m.name for m in pkgutil.walk_packages(tg.__path__, "tensorgrad.", onerror=lambda name: None)]
    names += [
        m.name for m in pkgutil.walk_packages(tg.kernels.__path__, "tensorgrad.kernels.", onerror=lambda name: None)
    ]
    return sorted({n for n in names if ".kernels.cuda" not in n})


@pytest.mark.parametrize("name", _modules())
def test_examples(name, tmp_path, monkeypatch):
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] == "tensorgrad":
            raise
        pytest.skip(f"needs {error.name}")
    monkeypatch.chdir(tmp_path)
    state = tg.random.default_generator.get_state() if hasattr(tg.random, "default_generator") else None
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    report: list[str] = []
    with np.printoptions(legacy=False):
        for test in finder.find(module, name, extraglobs={}):
            runner.run(test, out=report.append)
    if state is not None:
        tg.random.default_generator.set_state(state)
    assert runner.failures == 0, "".join(report)


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(
        bool(test.examples)
        for name in ("tensor", "testing", "autograd", "tape")
        for test in finder.find(importlib.import_module(f"tensorgrad.{name}"))
    )
    assert found >= 5
