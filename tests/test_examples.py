"""The programs in examples/, run as a user would, and the numbers that they promise."""

from __future__ import annotations

import importlib.util
import itertools
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import tensorgrad as tg

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The programs write into the current directory."""
    monkeypatch.chdir(tmp_path)
    yield
    tg.set_default_device(None)


def test_backprop_circuit(device, capsys):
    circuit = example("backprop_circuit").main(["--device", device])
    minus = "\N{MINUS SIGN}"
    times = "\N{MULTIPLICATION SIGN}"
    found = [(s.label, round(s.value.item(), 2), round(s.grad.item(), 2)) for s in reversed(circuit.steps)]
    assert found == [
        ("1/x", 0.73, 1.0),
        ("+1", 1.37, -0.53),
        ("exp", 0.37, -0.53),
        (f"{times}{minus}1", -1.0, -0.2),
        ("+", 1.0, 0.2),
        ("+", 4.0, 0.2),
        (times, 6.0, 0.2),
        (times, -2.0, 0.2),
        ("w2", -3.0, 0.2),
        ("x1", -2.0, -0.59),
        ("w1", -3.0, -0.39),
        ("x0", -1.0, 0.39),
        ("w0", 2.0, -0.2),
    ]
    out = capsys.readouterr().out
    assert "1/x     0.73      1.00" in out
    assert "df/dw = (-0.20, -0.39, 0.20)" in out
    assert "df/dx = (0.39, -0.59)" in out
    texts = [e.text for e in ET.parse("backprop_circuit.svg").iter("{http://www.w3.org/2000/svg}text")]
    for text in ("w0", "x1", "exp", "1.37", "-0.53", "-0.20", "0.20", "f"):
        assert text in texts


def test_cross_entropy(device, capsys):
    losses = example("cross_entropy").main(["--device", device, "--steps", "30"])
    out = capsys.readouterr().out
    assert "-log(0.9) = 0.105" in out
    assert "-log(0.1) = 2.303" in out
    assert "0.105 + 0.105 + 2.303 = 2.513" in out
    assert losses[0] == pytest.approx(60 * math.log(3), rel=1e-5)
    assert all(after < before for before, after in itertools.pairwise(losses))
    assert losses[-1] < losses[0] / 4
    assert Path("cross_entropy.png").read_bytes().startswith(b"\x89PNG")


def test_digits(capsys):
    accuracy = example("train_digits").main(["--device", "cpu"])
    assert accuracy >= 0.97
    out = capsys.readouterr().out
    assert f"test accuracy: {accuracy:.2%} on cpu" in out
    assert Path("digits_curves.png").read_bytes().startswith(b"\x89PNG")
    weights = tg.load("digits_weights.safetensors")
    assert [tuple(w.shape) for n, w in sorted(weights.items()) if n.endswith("weight")] == [
        (256, 64), (128, 256), (10, 128),
    ]  # fmt: skip


def test_digits_on_the_device(device):
    accuracy = example("train_digits").main(["--device", device, "--epochs", "1", "--output", "short"])
    assert accuracy > 0.5
    assert Path("short_weights.safetensors").exists()


@pytest.mark.parametrize("name", ["backprop_circuit", "cross_entropy", "train_digits"])
def test_as_a_program(name):
    run = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / f"{name}.py", "--help"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert f"python examples/{name}.py" in run.stdout


def test_every_example_is_tested():
    assert {p.stem for p in EXAMPLES.glob("*.py")} == {"backprop_circuit", "cross_entropy", "train_digits"}
