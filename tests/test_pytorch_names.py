"""docs/pytorch.md says what exists here of PyTorch and what does not; it must be so, for all of its names."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).resolve().parent.parent
_PAGE = (_ROOT / "docs" / "pytorch.md").read_text()
_STORED = json.loads((_ROOT / "tests" / "reference" / "vectors" / "pytorch_names.json").read_text())
_SECTION = re.compile(r"^## `torch\.?([\w.]*)`, here `tg\.?([\w.]*)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SECTIONS = {theirs: (ours, text) for theirs, ours, text in _SECTION.findall(_PAGE)}


def found(path: str) -> Any:
    """A module or class of the package."""
    owner, _, name = path.rpartition(".")
    if name[:1].isupper():
        return getattr(found(owner), name)
    if owner == "autograd":  # its parts are modules of other names
        return getattr(importlib.import_module("tensorgrad.autograd"), name)
    return importlib.import_module(f"tensorgrad.{path}" if path else "tensorgrad")


def named(text: str) -> list[str]:
    return re.findall(r"`([A-Za-z]\w*)`", text)


def test_every_part_has_its_section():
    assert list(SECTIONS) == list(_STORED["names"])
    assert _STORED["version"] in _PAGE


@pytest.mark.parametrize("part", SECTIONS)
def test_names_are_where_they_belong(part):
    ours, text = SECTIONS[part]
    here, _, rest = text.partition("Not here:")
    owner, names = found(ours), _STORED["names"][part]
    assert named(here) == [name for name in names if hasattr(owner, name)]
    bullets = re.findall(r"^- ((?:`\w+`,\s+)*`\w+`)\. ", rest, re.MULTILINE)
    assert sorted(n for line in bullets for n in named(line)) == [name for name in names if not hasattr(owner, name)]
