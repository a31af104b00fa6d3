"""Where the nodes of a graph go: layers from left to right, wires that cross little and bend little.

The layered method of Sugiyama, Tagawa and Toda (Methods for visual understanding of hierarchical system structures,
1981): put every node into a layer after those of its operands, cut long wires into pieces with a waypoint in each layer
that they pass, then sweep over the layers, drawing every point towards the mean height of its neighbours.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

__all__ = ["Layout", "arrange"]

_ROW = 62.0  # distance of neighbours within a layer
_SWEEPS = 16


class Layout:
    """Layers and heights.

    Attributes
    ----------
    layer : list of int
        Of each node.
    height : list of float
        Of each node; the smallest is 0.
    waypoints : dict
        For a wire ``(source, target)`` that passes layers: their ``(layer, height)`` on the way.
    """

    def __init__(
        self, layer: list[int], height: list[float], waypoints: dict[tuple[int, int], list[tuple[int, float]]]
    ):
        self.layer = layer
        self.height = height
        self.waypoints = waypoints


def arrange(parents: Sequence[Sequence[int]]) -> Layout:
    """Place the nodes of an acyclic graph.

    Parameters
    ----------
    parents : sequence of sequence of int
        For each node its operands, which come before it.

    Examples
    --------
    >>> layout = arrange([[], [], [0, 1], [2, 0]])  # x, y, x * y, x * y + x
    >>> layout.layer, list(layout.waypoints)
    ([0, 0, 1, 2], [(0, 3)])
    """
    count = len(parents)
    layer = _layers(parents)
    level = list(layer)  # of the nodes, then of the waypoints
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    chains: dict[tuple[int, int], list[int]] = {}
    for target, sources in enumerate(parents):
        for source in dict.fromkeys(sources):
            chain = [source]
            for between in range(layer[source] + 1, layer[target]):
                chain.append(len(level))
                level.append(between)
                before.append([])
                after.append([])
            chain.append(target)
            for a, b in itertools.pairwise(chain):
                after[a].append(b)
                before[b].append(a)
            chains[source, target] = chain[1:-1]

    reading = _reading_order(parents)
    reading += [reading[target] for (_, target), chain in chains.items() for _ in chain]
    columns: list[list[int]] = [[] for _ in range(max(level, default=0) + 1)]
    for point in sorted(range(len(level)), key=lambda p: reading[p]):
        columns[level[point]].append(point)
    height = [0.0] * len(level)
    for column in columns:
        for row, point in enumerate(column):
            height[point] = row * _ROW

    for sweep in range(_SWEEPS):  # the last one goes forward, after which a chain without branches is straight
        neighbours = before if sweep % 2 else after
        for column in columns if sweep % 2 else reversed(columns):
            wanted = {p: _mean([height[n] for n in neighbours[p]], height[p]) for p in column}
            if sweep < _SWEEPS // 2:  # later the order stays, and only the distances settle
                column.sort(key=lambda p: wanted[p])
            for point, y in zip(column, _spaced([wanted[p] for p in column]), strict=True):
                height[point] = y

    top = min(height, default=0.0)
    height = [y - top for y in height]
    waypoints = {wire: [(level[p], height[p]) for p in chain] for wire, chain in chains.items() if chain}
    return Layout(layer, height[:count], waypoints)


def _mean(heights: Sequence[float], otherwise: float) -> float:
    return sum(heights) / len(heights) if heights else otherwise


def _layers(parents: Sequence[Sequence[int]]) -> list[int]:
    """The longest way from an input; inputs stand right before their first consumer."""
    layer = [0] * len(parents)
    consumer: dict[int, int] = {}
    for i, sources in enumerate(parents):
        if sources:
            layer[i] = 1 + max(layer[s] for s in sources)
            for s in sources:
                consumer[s] = min(consumer.get(s, layer[i]), layer[i])
    return [consumer.get(i, 1) - 1 if not sources else layer[i] for i, sources in enumerate(parents)]


def _reading_order(parents: Sequence[Sequence[int]]) -> list[int]:
    """The order in which a depth-first walk from the last node, operands from first to last, leaves the nodes."""
    order = [-1] * len(parents)
    count = 0
    for root in range(len(parents) - 1, -1, -1):
        stack = [(root, False)]
        while stack:
            node, done = stack.pop()
            if order[node] >= 0:
                continue
            if done:
                order[node] = count
                count += 1
            else:
                stack.append((node, True))
                stack.extend((p, False) for p in reversed(parents[node]))
    return order


def _spaced(wanted: Sequence[float]) -> list[float]:
    """The heights closest to the wanted ones, in least squares, that keep the order and a row's distance.

    Isotonic regression by pooling: neighbours that would come too close form a block around the mean of their wishes.
    """
    blocks: list[tuple[float, int]] = []  # mean of (wanted - own row), size
    for row, y in enumerate(wanted):
        mean, size = y - row * _ROW, 1
        while blocks and blocks[-1][0] > mean:
            other, n = blocks.pop()
            mean, size = (mean * size + other * n) / (size + n), size + n
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    return [mean + row * _ROW for row, mean in enumerate(flat)]
