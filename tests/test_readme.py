"""The README keeps its promises: two commands, an example that runs, files that exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_README = (_ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", _README, re.MULTILINE | re.DOTALL)


def test_starts_with_two_commands_of_one_line():
    first, second = _blocks("sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert "examples/train_digits.py" in first
    assert 'pytest -m "not slow"' in second
    assert (_ROOT / "examples" / "train_digits.py").exists()


def test_example_runs_and_learns(capsys):
    program = _blocks("python")[0]
    assert len([line for line in program.splitlines() if line.strip()]) == 10
    names = {"__name__": "readme"}
    exec(compile(program, "<the example>", "exec"), names)
    accuracy = float(capsys.readouterr().out.split()[-1])
    assert accuracy > 0.95
    captured = _blocks("python")[1]
    weight = names["model"][0].weight
    before = weight.detach().numpy().copy()
    exec(compile(captured, "<the captured example>", "exec"), names)
    first, second = (float(word) for word in re.findall(r"\d+\.\d+", capsys.readouterr().out)[:2])
    assert 0 < first < 1
    assert first != second
    assert (weight.detach().numpy() != before).any()


def test_named_extras_exist():
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {extra for group in re.findall(r'"\.\[([\w,-]+)\]"', _README) for extra in group.split(",")}
    assert named
    assert named <= set(extras)


def test_named_files_exist():
    named = re.findall(r"`((?:tensorgrad|kernels|tests|examples)/[\w./-]+)`", _README)
    assert named
    assert [name for name in named if not (_ROOT / name).exists()] == []
