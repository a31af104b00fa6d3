"""docs/numpy.md says what does not exist here of NumPy; everything else does."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "numpy.md").read_text()
# of other versions of NumPy than the page is written for
ELSEWHEN = {"float96", "complex192", "in1d", "trapz", "row_stack", "product", "chararray"}


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.4.0", reason="the page is of NumPy 2.4")
def test_names():
    _, _, rest = PAGE.partition("Not here:")
    bullets = re.findall(r"^- ((?:`\w+`,\s+)*`\w+`)\. ", rest, re.MULTILINE)
    absent = {name for line in bullets for name in re.findall(r"`(\w+)`", line)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {name for name in dir(np) if not name.startswith("_")} - ELSEWHEN
    assert absent - ELSEWHEN == {name for name in theirs if not hasattr(tg, name)}
    for ours, other in ((tg.linalg, np.linalg), (tg.fft, np.fft)):
        assert [name for name in other.__all__ if not hasattr(ours, name)] == []
