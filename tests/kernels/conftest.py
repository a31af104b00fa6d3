"""What several tests of the kernels need."""

from __future__ import annotations

from typing import Any

import pytest
from tensorgrad.kernels.cpu import blocked


@pytest.fixture
def many_threads(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Four threads for anything of four blocks, whatever the machine."""
    before = blocked.get_num_threads()
    monkeypatch.setattr(blocked, "_THREAD_BLOCK", 1000)
    monkeypatch.setattr(blocked, "_THREAD_WORK", 1)
    blocked.set_num_threads(4)
    yield
    blocked.set_num_threads(before)
