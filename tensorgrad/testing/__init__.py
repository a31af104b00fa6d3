"""For tests: gradients against finite differences, comparisons that say where two results differ, a pytest plugin.

A library built on tensorgrad writes ``pytest_plugins = ["tensorgrad.testing.pytest_plugin"]`` into its ``conftest.py``:
its tests that take ``device`` then run on every device there is.
"""

from __future__ import annotations

from .comparison import assert_close
from .gradcheck import GradcheckError, gradcheck, gradgradcheck

__all__ = ["GradcheckError", "assert_close", "gradcheck", "gradgradcheck"]
