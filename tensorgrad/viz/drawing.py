"""A graph as SVG text. Every result leaves its node on a short straight wire, which carries the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from .layout import arrange

__all__ = ["draw"]

_MARGIN = 24.0
_RADIUS = 19.0
_GAP = 46.0  # between the straight wires of one layer and the nodes of the next: room for the bends
_CHARACTER = 7.3  # width, at the size of the numbers
_HALF_LETTER = 4.6  # from the middle of a line of text down to its baseline
_STYLE = (
    "text{font-family:ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px;fill:#24292f}"
    ".op{fill:#f6f8fa;stroke:#57606a;stroke-width:1.4}.op.module{fill:#ddf4ff;stroke:#0969da}.wire{fill:none;stroke:#8c959f;stroke-width:1.5}"
    ".label{text-anchor:middle}.input{text-anchor:end;font-size:15px;font-style:italic}"
    ".output{font-size:15px;font-style:italic}"
    ".number{text-anchor:middle}.number.value{fill:#1a7f37}.number.grad{fill:#cf222e}.arrow{fill:#8c959f}"
)


def draw(steps: Sequence[Any]) -> str:
    """The SVG of `tensorgrad.viz.Step` s, each of whose parents comes before it."""
    layout = arrange([step.parents for step in steps])
    last = len(steps) - 1
    above = [_above(step, named=step.parents and i != last) for i, step in enumerate(steps)]
    below = [_below(step) for step in steps]
    halves = [_half_width(step) for step in steps]
    wires = [18 + _CHARACTER * max(len(a), len(b), 3) for a, b in zip(above, below, strict=True)]

    layers = range(max(layout.layer, default=0) + 1)
    members = [[i for i, n in enumerate(layout.layer) if n == layer] for layer in layers]
    center, start, end = [], [], []  # of each layer: its nodes' middle, and where the straight wires begin and end
    x = _MARGIN
    for layer in layers:
        inputs = [2 * halves[i] for i in members[layer] if not steps[i].parents]
        half = max((halves[i] for i in members[layer] if steps[i].parents), default=0.0)
        left = max(max(inputs, default=0.0) - half, half)
        center.append(x + left)
        start.append(x + left + half)
        end.append(start[-1] + max((wires[i] for i in members[layer]), default=0.0))
        x = end[-1] + _GAP
    y = [_MARGIN + _RADIUS + h for h in layout.height]

    result = steps[last].name if steps[last].parents else ""
    width = end[layout.layer[last]] + _MARGIN + 14 + 9 * len(result)
    lows = [*layout.height, *(h for way in layout.waypoints.values() for _, h in way)]
    height = 2 * _MARGIN + 2 * _RADIUS + max(lows, default=0.0)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">',
        f"<style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for i, step in enumerate(steps):
        middle = center[layout.layer[i]]
        ways = []
        for source in step.parents:
            way = [(end[layout.layer[source]], y[source])]
            for layer, h in layout.waypoints.get((source, i), []):
                way += [(center[layer], _MARGIN + _RADIUS + h), (end[layer], _MARGIN + _RADIUS + h)]
            ways.append(way)
        ways.sort(key=lambda way: way[-1][1])
        for rank, way in enumerate(ways):
            dx, dy = _arrival(rank, len(ways), halves[i])
            parts.append(f'<path class="wire" d="{_curve([*way, (middle - dx, y[i] + dy)])}"/>')
    for i, step in enumerate(steps):
        layer = layout.layer[i]
        left = center[layer] + halves[i] if step.parents else start[layer]
        right = end[layer]
        middle = (left + right) / 2
        parts.append(f'<path class="wire" d="M{left:.1f} {y[i]:.1f}H{right:.1f}"/>')
        parts.append(f'<text class="number value" x="{middle:.1f}" y="{y[i] - 7:.1f}">{escape(above[i])}</text>')
        parts.append(f'<text class="number grad" x="{middle:.1f}" y="{y[i] + 17:.1f}">{escape(below[i])}</text>')
        if not step.parents:
            parts.append(
                f'<text class="input" x="{left - 6:.1f}" y="{y[i] + _HALF_LETTER:.1f}">{escape(step.label)}</text>'
            )
            continue
        kind = "op module" if step.module else "op"
        parts.append(
            f"<g><title>{escape(_title(step))}</title>"
            f'<rect class="{kind}" x="{center[layer] - halves[i]:.1f}" y="{y[i] - _RADIUS:.1f}" '
            f'width="{2 * halves[i]:.1f}" height="{2 * _RADIUS:.1f}" rx="{_RADIUS:.1f}"/>'
            f'<text class="label" x="{center[layer]:.1f}" y="{y[i] + _HALF_LETTER:.1f}">{escape(step.label)}</text></g>'
        )
    tip, level = end[layout.layer[last]], y[last]
    parts.append(f'<path class="arrow" d="M{tip + 7:.1f} {level:.1f}l-9 -4.5v9z"/>')
    parts.append(f'<text class="output" x="{tip + 14:.1f}" y="{level + _HALF_LETTER:.1f}">{escape(result)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _half_width(step: Any) -> float:
    """Of the pill around an op's label, or of an input's name."""
    if step.parents:
        return max(_RADIUS, 10 + _CHARACTER * len(step.label) / 2)
    return 5 + 8.6 * len(step.label) / 2


def _arrival(rank: int, count: int, half: float) -> tuple[float, float]:
    """Where the wire that comes in as the rank-th from above meets the left end of the pill, from its middle."""
    angle = math.radians(70) * ((rank + 0.5) / count - 0.5) if count > 1 else 0.0
    return half - _RADIUS * (1 - math.cos(angle)), _RADIUS * math.sin(angle)


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """A path through points that leaves and reaches each of them horizontally."""
    (x, y), *rest = points
    path = [f"M{x:.1f} {y:.1f}"]
    for next_x, next_y in rest:
        bend = (x + next_x) / 2
        path.append(f"C{bend:.1f} {y:.1f} {bend:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}")
        x, y = next_x, next_y
    return "".join(path)


def _title(step: Any) -> str:
    """What the mouse shows over a node: the layer, or the op, and the shape of its result."""
    return f"{step.module or step.label} {step.shape}"


def _is_scalar(step: Any) -> bool:
    return bool(math.prod(step.shape) == 1)


def _above(step: Any, named: bool) -> str:
    """The value of a scalar, the shape of a larger tensor; with the name of a result in the middle of the graph."""
    if _is_scalar(step):
        text = "" if step.value is None else _rounded(step.value.item())
    else:
        text = "\N{MULTIPLICATION SIGN}".join(str(n) for n in step.shape)
    return (" = " if _is_scalar(step) else ": ").join(filter(None, (step.name, text))) if named else text


def _below(step: Any) -> str:
    """The gradient of a scalar, the length of a larger one."""
    if step.grad is None:
        return ""
    if _is_scalar(step):
        return _rounded(step.grad.item())
    return f"‖g‖ {_rounded(math.sqrt((abs(step.grad) ** 2).sum().item()))}"


def _rounded(number: Any) -> str:
    """Two decimals, or two digits for a number that they would not show."""
    if isinstance(number, complex):
        return f"{number:.2g}"
    return f"{number:.2f}" if number == 0 or 0.005 <= abs(number) < 10000 else f"{number:.2g}"
