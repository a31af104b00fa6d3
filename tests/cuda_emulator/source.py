"""Prepares CUDA source for the host compiler: includes, shared arrays, and the kernels in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

_COMMENT_OR_STRING = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'""", re.DOTALL)
_QUOTED_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"[^\n]*$', re.MULTILINE)
_EXTERN_SHARED = re.compile(
    r"\bextern\s+(?:__shared__\s+(?P<align>__align__\s*\([^()]*\)|alignas\s*\([^()]*\))?"
    r"|(?P<align2>__align__\s*\([^()]*\)|alignas\s*\([^()]*\))\s*__shared__)\s*"
    r"(?P<type>[^;\[\]]*?[\s*&>])(?P<align3>__align__\s*\([^()]*\)\s*)?"
    r"(?P<name>[A-Za-z_]\w*)\s*\[\s*\]\s*;"
)
# A `__device__` declaration that meets `;`, `=`, `[` or `{` before any parenthesis is a variable.
_DEVICE_VARIABLE = re.compile(r"\b__device__\b(?=(?:(?!\boperator\b)[^(){};=])*[;=\[{])")
_CONSTANT_CONST = re.compile(
    r"\b__(?:constant|device)__\b(?=[^;=\[{()]*\bconst(?:expr)?\b)|"
    r"(?<=\bconst )__(?:constant|device)__\b|(?<=\bconstexpr )__(?:constant|device)__\b"
)
_KERNEL = re.compile(
    r"(?P<template>template\s*<[^;{}()]*>\s*)?(?:extern\s+\"C\"\s*)?(?:static\s+|inline\s+)*"
    r"__global__\s+(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(?:static\s+|inline\s+)*"
    r"void\s+(?:__launch_bounds__\s*\((?:[^()]|\([^()]*\))*\)\s*)?(?P<name>[A-Za-z_]\w*)\s*\("
)
_MACRO_DEFINITION = re.compile(r"^[ \t]*#[ \t]*define\b(?:[^\n]*\\\n)*[^\n]*$", re.MULTILINE)


def expand_includes(source: str, directories: Iterable[Path], name: str = "kernel.cu") -> str:
    """Replace ``#include "file"`` by the file's text where a directory has it.

    The text of every header is then part of what is hashed for the cache, and shared arrays in
    headers are rewritten like those in the source. Each file is taken once.
    """
    seen: set[Path] = set()

    def expand(text: str, label: str, own: tuple[Path, ...]) -> str:
        def replace(match: re.Match[str]) -> str:
            for directory in (*own, *directories):
                path = (directory / match[1]).resolve()
                if not path.is_file():
                    continue
                if path in seen:
                    return ""
                seen.add(path)
                line = text.count("\n", 0, match.end()) + 2
                body = expand(path.read_text(), path.name, (path.parent,))
                return f'#line 1 "{path.name}"\n{body}\n#line {line} "{label}"'
            return match[0]

        return _QUOTED_INCLUDE.sub(replace, text)

    return re.sub(r"^[ \t]*#[ \t]*pragma[ \t]+once\b", "", expand(source, name, ()), flags=re.M)


def rewrite(source: str) -> str:
    """Rewrite what macros cannot express, keeping every line where it is.

    ``extern __shared__ T name[];`` becomes a pointer into the dynamic shared memory, and variables
    marked ``__device__`` are told apart from functions so that they can live outside of the
    section which holds the shared variables.
    """

    def dynamic_shared(match: re.Match[str]) -> str:
        lines = "\n" * match[0].count("\n")
        return f"EMULATOR_DYNAMIC_SHARED({match['name']}, {match['type'].strip()});{lines}"

    source = _EXTERN_SHARED.sub(dynamic_shared, source)
    source = re.sub(r"\bstatic\s+__shared__\b", "__shared__", source)
    source = _CONSTANT_CONST.sub("", source)
    return _DEVICE_VARIABLE.sub("EMULATOR_DEVICE_VARIABLE", source)


def blank_comments(source: str) -> str:
    """Return the source without comments; strings stay, lines keep their numbers."""

    def blank(match: re.Match[str]) -> str:
        text = match[0]
        if text[0] in "\"'":
            return text
        return "\n" * text.count("\n") + " "

    return _COMMENT_OR_STRING.sub(blank, source)


def find_kernels(source: str) -> list[str]:
    """Return the names of the kernels that are neither templates nor made by macros."""
    text = _MACRO_DEFINITION.sub("", blank_comments(source))
    names = [match["name"] for match in _KERNEL.finditer(text) if not match["template"]]
    return list(dict.fromkeys(names))
