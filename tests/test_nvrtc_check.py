"""The NVRTC check: it compiles what is right and fails on what is not."""

from __future__ import annotations

import pytest

from tests import nvrtc_check


def test_every_source_is_declared():
    """No CUDA source is left out of the check."""
    programs = nvrtc_check.programs()
    folder = nvrtc_check._ROOT / "kernels" / "cuda"
    for path in folder.glob("*.cu"):
        assert any(path.stem in program.label for program in programs), f"{path.name} is never compiled"


@pytest.mark.slow  # the compiler is installed by the stages of .ci/run after the fast tests
def test_a_planted_syntax_error_is_found():
    try:
        compiler = nvrtc_check.Nvrtc()
    except SystemExit as missing:
        pytest.skip(str(missing))
    good = nvrtc_check.Program("good", "template <class T> __global__ void k(T* x) { x[0] = 1; }", ("k<float>",))
    bad = nvrtc_check.Program("bad", "template <class T> __global__ void k(T* x) { x[0] = 1 }", ("k<float>",))
    assert compiler.compile(good, 90)[0]
    ok, log = compiler.compile(bad, 90)
    assert not ok
    assert "expected a" in log
