"""The adapter of cuDNN: what it says of what is installed, and which plans it keeps."""

from __future__ import annotations

import sys
import threading
import types
from typing import Any

import pytest
from tensorgrad.kernels import switches

from tensorgrad.cuda import diagnosis
from tests import cuda_emulator


class Unsupported(Exception):  # noqa: N818 - cuDNN's
    """What the frontend raises; it is no RuntimeError."""


class Graph:
    """Does nothing; says what was asked of it."""

    made: list[Graph]

    def __init__(self, **given: Any) -> None:
        self.given, self.runs = given, []
        type(self).made.append(self)

    def __getattr__(self, name: str) -> Any:
        return lambda *args: setattr(self, f"_{name}", args)

    def get_workspace_size(self) -> int:
        return 0

    def execute(self, pointers: Any, workspace: int, handle: Any) -> None:
        self.runs.append((pointers, workspace, handle))


def library(**other: Any) -> Any:
    """A stand-in for the module ``cudnn``."""
    streams: list[Any] = []
    return types.SimpleNamespace(
        **{
            "__version__": "1.28.0",
            "backend_version": lambda: 92000,
            "cudnnGraphNotSupportedError": Unsupported,
            "create_handle": object,
            "set_stream": lambda handle, stream: streams.append((handle, stream)),
            "streams": streams,
            "pygraph": type("Made", (Graph,), {"made": []}),
            "data_type": types.SimpleNamespace(FLOAT=0, HALF=1, BFLOAT16=2),
            "heur_mode": types.SimpleNamespace(A="A", FALLBACK="FALLBACK"),
            "numerical_note": types.SimpleNamespace(NONDETERMINISTIC="ND"),
        }
        | other
    )


@pytest.fixture
def adapter() -> Any:
    from tensorgrad.kernels.cuda import cudnn

    yield cudnn
    cudnn.substitute(None)


def failing(error: Exception) -> Any:
    def function(*_: Any) -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (library(), None),
        (library(__version__="1.27.1"), None),
        (library(__version__="1.29.0"), "nvidia-cudnn-frontend 1.29.0 is installed, >=1.27,<1.29 is needed"),
        (library(__version__="0.9"), "nvidia-cudnn-frontend 0.9 is installed, >=1.27,<1.29 is needed"),
        (types.SimpleNamespace(), "nvidia-cudnn-frontend of an unknown version is installed, >=1.27,<1.29 is needed"),
        (library(backend_version=failing(RuntimeError("no symbol"))), "the library libcudnn is not found"),
    ],
)
def test_available(adapter: Any, monkeypatch: pytest.MonkeyPatch, module: Any, reason: str | None) -> None:
    monkeypatch.setitem(sys.modules, "cudnn", module)
    adapter.substitute(None)
    assert adapter.available() == reason
    adapter.substitute(module)
    assert adapter.available() == reason
    if reason is None:
        assert adapter.version() == "9.20.0"
        monkeypatch.setattr(switches, "cudnn_enabled", False)
        assert adapter.available() == "switched off by backends.cudnn.enabled"
    with pytest.raises(RuntimeError, match="cuDNN: "):
        adapter.version() if reason else adapter._library()


def test_not_installed(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cudnn", None)
    monkeypatch.setattr(
        adapter.importlib, "import_module", failing(ModuleNotFoundError("No module named 'cudnn'", name="cudnn"))
    )
    adapter.substitute(None)
    assert adapter.available() == "nvidia-cudnn-frontend is not installed"
    monkeypatch.setattr(adapter.importlib, "import_module", failing(ImportError("libstdc++.so.6: too old")))
    adapter.substitute(None)
    assert adapter.available() == "it cannot be imported: libstdc++.so.6: too old"


def test_what_it_takes(adapter: Any) -> None:
    adapter.substitute(library())
    assert [adapter.conv_refusal(d) is None for d in ("float16", "bfloat16", "float32", "float64")] == [True] * 3 + [
        False
    ]
    takes = adapter.attention_refusal
    assert takes("bfloat16", 64, 128) is None
    assert takes("float16", 8, 8) is None
    assert "float32" in takes("float32", 64, 64)
    assert "mask" in takes("float16", 64, 64, masked=True)
    assert "probabilities" in takes("float16", 64, 64, dropped=True)
    for width in (0, 4, 60, 264):
        assert "multiple of 8" in takes("float16", width, 64)
        assert "multiple of 8" in takes("float16", 64, width)


def test_the_diagnosis_asks(adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter.substitute(library())
    found = diagnosis.implementations()
    assert found["convolution"] == "cuDNN 9.20.0 (library)"
    assert (
        found["attention"] == "float32: own kernel (cuDNN has no attention in float32); "
        "bfloat16, float16: cuDNN 9.20.0 (library)"
    )
    monkeypatch.setattr(switches, "cudnn_enabled", False)
    said = "own kernel (switched off by backends.cudnn.enabled)"
    found = diagnosis.implementations()
    assert (found["convolution"], found["attention"]) == (said, said)


def test_a_plan_is_built_once_and_run_on_the_current_stream(adapter: Any) -> None:
    cupy = cuda_emulator.install()
    names = library()
    adapter.substitute(names)
    x = cupy.zeros(3, "f2")
    described = []

    def describe(graph: Any, cudnn: Any) -> tuple[str]:
        described.append(cudnn)
        return ("x",)

    stream = cupy.cuda.Stream(non_blocking=True)
    assert adapter.execute(("op", 1), describe, (x,), "float16", ("NONDETERMINISTIC",))
    with stream:
        assert adapter.execute(("op", 1), describe, (x,), "float16", ("NONDETERMINISTIC",))
    assert described == [names]
    (graph,) = names.pygraph.made
    assert graph.given["io_data_type"] == 1
    assert graph.given["compute_data_type"] == graph.given["intermediate_data_type"] == 0
    assert graph._deselect_numeric_notes == (["ND"],)
    assert [run[0] for run in graph.runs] == [{"x": x.data.ptr}] * 2
    assert len({id(handle) for handle, _ in names.streams}) == 1
    assert names.streams[-1][1] == stream.ptr
    thread = threading.Thread(target=adapter.execute, args=(("op", 1), describe, (x,), "float16"))
    thread.start()
    thread.join()
    assert len({id(handle) for handle, _ in names.streams}) == 2, "a handle for each thread"
    assert len(graph.runs) == 3


@pytest.mark.parametrize("error", [Unsupported("no engine"), RuntimeError("x"), ValueError("x"), TypeError("x")])
def test_a_refusal_is_remembered_with_its_reason(adapter: Any, error: Exception) -> None:
    cuda_emulator.install()
    names = library()
    adapter.substitute(names)
    asked = []

    def describe(graph: Any, cudnn: Any) -> Any:
        asked.append(graph)
        raise error

    for _ in range(2):
        assert not adapter.execute(("op", 1), describe, (), "float16")
    assert len(asked) == 1
    assert adapter.refused(("op", 1))
    assert not adapter.refused(("op", 2))
    assert adapter.refusals() == {"op": f"{type(error).__name__}: {error}"}
