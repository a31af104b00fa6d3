"""The picture of a plan as SVG text: a row per step, time going down, beside who has which bytes of the arena."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .explain import Plan, StepInfo

__all__ = ["draw"]

_MARGIN = 16.0
_ROW = 15.0  # height of a row; less where there are very many
_TALLEST = 12000.0  # what all rows of a plan may take together
_READABLE = 9.0  # height of a row from which on it is named
_LABELS = 300.0  # width of the names
_TRAFFIC = 90.0  # width of the longest bar of bytes moved
_ARENA = 420.0  # width of all bytes of the arena
_GAP = 14.0
_HEAD = 62.0  # height of the lines above the rows
_CHARACTERS = 46  # of a name that fit
_COLORS = ("#8ecae6", "#95d5b2", "#ffd166", "#cdb4db", "#f4a6a0", "#b8c0ff")  # neighbours in time differ
_STYLE = (
    "text{font-family:ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:11px;fill:#24292f}"
    ".title{font-size:14px;font-weight:600}.note{fill:#57606a}.number{fill:#8c959f;text-anchor:end}"
    ".launch{fill:#57606a}.chain{fill:#1a7f37}.call{fill:#cf222e}.line{stroke:#d8dee4;stroke-width:1}"
    ".buffer{stroke:#24292f;stroke-width:.5}"
)


def draw(plans: Sequence[Plan]) -> str:
    """The SVG of plans, one below the other."""
    width = 2 * _MARGIN + _LABELS + _TRAFFIC + _ARENA + 3 * _GAP
    parts: list[str] = []
    y = _MARGIN
    for plan in plans:
        drawn, height = _plan(plan)
        parts += [f'<g transform="translate({_MARGIN:.0f} {y:.1f})">', *drawn, "</g>"]
        y += height + 2 * _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{y:.0f}" '
        f'viewBox="0 0 {width:.0f} {y:.0f}">'
    )
    return "\n".join(
        [head, f"<style>{_STYLE}</style>", '<rect width="100%" height="100%" fill="#ffffff"/>', *parts, "</svg>\n"]
    )


def _plan(plan: Plan) -> tuple[list[str], float]:
    """The elements of one plan, and how high they are."""
    from .explain import sized

    count = max(len(plan.steps), 1)
    row = min(_ROW, _TALLEST / count)
    left, middle = _LABELS + _GAP, _LABELS + _TRAFFIC + 2 * _GAP
    bottom = _HEAD + row * count
    summary = (
        f"{plan.recorded} launches recorded, {plan.count('launch', 'chain')} run; "
        f"{sized(plan.bytes_recorded)} of memory traffic recorded, {sized(plan.bytes_planned)} planned"
    )
    memory = f"temporaries: {sized(plan.arena_bytes)}, without sharing {sized(plan.unshared_bytes)}"
    parts = [
        f'<text class="title" x="0" y="12">{escape(plan.title)}</text>',
        f'<text class="note" x="0" y="30">{escape(summary)}</text>',
        f'<text class="note" x="0" y="{_HEAD - 8:.1f}">step</text>',
        f'<text class="note" x="{left:.1f}" y="{_HEAD - 8:.1f}">bytes moved</text>',
        f'<text class="note" x="{middle:.1f}" y="{_HEAD - 8:.1f}">{escape(memory)}</text>',
        f'<path class="line" d="M0 {_HEAD:.1f}H{middle + _ARENA:.1f}M{middle:.1f} {_HEAD:.1f}V{bottom:.1f}"/>',
    ]
    most = max((step.nbytes for step in plan.steps), default=0) or 1
    for i, step in enumerate(plan.steps):
        y = _HEAD + i * row
        kind = step.kind if step.kind in ("chain", "call") else "launch"
        if step.nbytes:
            length = max(_TRAFFIC * step.nbytes / most, 0.5)
            parts.append(
                f'<rect class="{kind}" x="{left:.1f}" y="{y + 0.2 * row:.2f}" width="{length:.1f}" '
                f'height="{0.6 * row:.2f}"><title>{escape(sized(step.nbytes))}</title></rect>'
            )
        if row >= _READABLE:
            parts.append(f'<text class="number" x="24" y="{y + 0.75 * row:.1f}">{i}</text>')
            parts.append(f'<text class="{kind}" x="32" y="{y + 0.75 * row:.1f}">{escape(_label(step))}</text>')
    scale = _ARENA / (plan.arena_bytes or 1)
    for i, life in enumerate(sorted(plan.lifetimes, key=lambda life: (life.first, life.offset))):
        note = f"{sized(life.nbytes)} at byte {life.offset}, steps {life.first} to {life.last}"
        parts.append(
            f'<rect class="buffer" x="{middle + scale * life.offset:.2f}" y="{_HEAD + row * life.first:.2f}" '
            f'width="{max(scale * life.nbytes, 0.5):.2f}" height="{row * (life.last - life.first + 1):.2f}" '
            f'fill="{_COLORS[i % len(_COLORS)]}"><title>{escape(note)}</title></rect>'
        )
    return parts, bottom


def _label(step: StepInfo) -> str:
    """The name of a step and as much of the rest as there is room for."""
    text = " ".join(filter(None, (step.name if step.kind == "launch" else f"{step.kind} {step.name}", step.details)))
    return text if len(text) <= _CHARACTERS else f"{text[: _CHARACTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
