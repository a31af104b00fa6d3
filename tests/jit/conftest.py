"""How exactly a test of this folder compares depends on its device."""

from __future__ import annotations

import pytest
from tensorgrad.kernels.cpu.blas import one_thread

from . import compare


@pytest.fixture(autouse=True)
def _exactness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    monkeypatch.setattr(compare, "to_the_bit", params.get("device", "cpu") == "cpu")
    monkeypatch.setattr(one_thread, "used", True)  # from the first walk of several threads on, products are split
