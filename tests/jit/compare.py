"""Whether a replay gave what eager mode gives: to the bit on the CPU; on CUDA fused kernels round less often."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["assert_same", "to_the_bit"]

to_the_bit = True
"""Set for each test by its device (`tests/jit/conftest.py`)."""

_RELATIVE = 2e-6


def assert_same(found: Any, expected: Any, err_msg: str = "") -> None:
    """Assert that two arrays, or nested lists of numbers, are the same in that sense."""
    found, expected = np.asarray(found), np.asarray(expected)
    if to_the_bit or expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, expected, err_msg=err_msg)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    relative = 2e-3 if expected.dtype.itemsize == 2 else _RELATIVE
    np.testing.assert_allclose(found, expected, rtol=relative, atol=relative * finite.max(initial=1.0), err_msg=err_msg)
