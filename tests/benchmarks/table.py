"""The table: as text while it is measured, and as a part of a Markdown page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .contenders import CONTENDERS, REFERENCE
from .limits import Limits
from .timing import Comparison, Figures

__all__ = ["TOLERANCE", "agree", "heading", "markdown", "row", "write_markdown"]

TOLERANCE = 1e-3
"""By which results in the first steps may differ, relative to the largest element."""

_START, _END = "<!-- figures: start -->", "<!-- figures: end -->"


def agree(results: list[Comparison]) -> bool:
    """Whether all contenders that ran came to the same results."""
    return all((f.difference or 0.0) <= TOLERANCE for result in results for f in result.figures.values())


# ------------------------------------------------------------------------------------------------------------- as text
def heading(contenders: list[str]) -> str:
    """Above the rows."""
    return f"{'':<58}" + "".join(f"{CONTENDERS[name].title:>27}" for name in contenders) + f"{'diff':>8}"


def row(result: Comparison) -> str:
    """Time, ratio and its range for each contender, the largest difference, and on further lines what failed."""
    cells = [f"{_text(figures):>27}" for figures in result.figures.values()]
    lines = [f"{result.title:<58}" + "".join(cells) + f"{_worst(result):>8}"]
    lines += [f"    {CONTENDERS[name].title}: {f.failed}" for name, f in result.figures.items() if f.failed]
    return "\n".join(lines)


def _text(figures: Figures) -> str:
    if figures.failed is not None:
        return "-"
    if figures.ratio is None:
        return duration(figures.time)
    return f"{duration(figures.time)} {figures.ratio:.2f} ({figures.lowest:.2f}-{figures.highest:.2f})"


def duration(microseconds: float) -> str:
    """With three digits or so, in a unit that fits."""
    if microseconds < 1000:
        return f"{microseconds:.2f} us" if microseconds < 100 else f"{microseconds:.0f} us"
    return f"{microseconds / 1000:.2f} ms" if microseconds < 100_000 else f"{microseconds / 1000:.0f} ms"


def _worst(result: Comparison) -> str:
    differences = [f.difference for f in result.figures.values() if f.difference is not None]
    return f"{max(differences):.0e}" if differences else ""


# --------------------------------------------------------------------------------------------------------- as Markdown
def markdown(results: list[Comparison], setting: dict[str, Any], limits: Limits) -> str:
    """Setting, limits, times, memory and start-up, and the reasons for what is missing."""
    contenders = list(results[0].figures)
    compiled = [name for name in contenders if CONTENDERS[name].compiled]
    parts = [
        "; ".join(f"{key} {value}" for key, value in setting.items()) + ".",
        "Limits of the machine in the same run: "
        + "; ".join(
            f"{what} {', '.join(f'{value:.0f} {unit} ({library})' for library, value in values.items())}"
            for what, unit, values in (
                ("float32 matrix product", "GFLOP/s", limits.sgemm),
                ("copy", "GB/s", limits.copy),
            )
        )
        + ".",
        _markdown_table(
            ["time per step, ratio to PyTorch", *(CONTENDERS[name].title for name in contenders), "difference"],
            [[r.title, *(_cell(name, f) for name, f in r.figures.items()), _worst(r)] for r in results],
        ),
        _markdown_table(
            [
                "peak memory in MiB; start-up in seconds",
                *(CONTENDERS[name].title for name in contenders),
                *(f"start-up of {CONTENDERS[name].title}" for name in compiled),
            ],
            [
                [
                    r.title,
                    *(f"{f.memory:.0f}" if f.failed is None else "" for f in r.figures.values()),
                    *(f"{r.figures[name].start:.2f}" if r.figures[name].failed is None else "" for name in compiled),
                ]
                for r in results
            ],
        ),
        *_reasons(results),
    ]
    return "\n\n".join(parts)


def _cell(name: str, figures: Figures) -> str:
    if figures.failed is not None:
        return ""
    if figures.ratio is None or name == REFERENCE:
        return duration(figures.time)
    return f"{duration(figures.time)}, **{figures.ratio:.2f}**"


def _markdown_table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _reasons(results: list[Comparison]) -> list[str]:
    """One line for each reason, with the rows that it left empty."""
    rows: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for name, figures in result.figures.items():
            if figures.failed is not None:
                rows.setdefault((name, figures.failed), []).append(result.workload)
    return [
        f"{CONTENDERS[name].title} has no figures for {'any row' if len(left) == len(results) else ', '.join(left)}: "
        f"{reason}."
        for (name, reason), left in rows.items()
    ]


def write_markdown(path: Path, text: str) -> None:
    """Put ``text`` between the two markers of a page; where there is no page, it is made of them alone."""
    page = path.read_text() if path.exists() else f"{_START}\n{_END}\n"
    before, start, rest = page.partition(_START)
    _, end, after = rest.partition(_END)
    if not (start and end):
        raise ValueError(f"{path} has no lines {_START} and {_END} to write between")
    path.write_text(f"{before}{_START}\n\n{text}\n\n{_END}{after}")
