"""Calls of modules as single steps of a graph, so that the graph of a large model stays readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..nn.calls import Call
from ..tape import Leaf, Node

__all__ = ["Group", "folded"]

_READABLE = 60  # steps


@dataclass
class Group:
    """Nodes that are drawn as one step, in the order of computation.

    Attributes
    ----------
    nodes : list of Node
    call : Call or None
        Whose nodes they are; None for a node that stands for itself.
    """

    nodes: list[Node]
    call: Call | None = None


def folded(nodes: Sequence[Node], calls: Mapping[Node, Call], depth: int | None) -> list[Group]:
    """Group nodes by the calls that made them.

    A call ends before what comes after it in its thread begins, so a folded graph has no cycles. Parameters of a folded
    call are left out.

    Parameters
    ----------
    nodes : sequence of Node
        In the order of computation.
    calls : mapping
        Of each node the innermost call.
    depth : int or None
        Of the deepest calls that have steps of their own; None for as deep as is readable.
    """
    if depth is not None:
        return _at_depth(nodes, calls, depth)
    deepest = max((len(_chain(call)) - 1 for call in calls.values()), default=0)
    for level in range(deepest, 1, -1):
        groups = _at_depth(nodes, calls, level)
        if len(groups) <= _READABLE:
            return groups
    return _at_depth(nodes, calls, 1)


def _chain(call: Call) -> list[Call]:
    """The calls around a call, the outermost first, and the call."""
    chain = [call]
    while chain[-1].parent is not None:
        chain.append(chain[-1].parent)
    return chain[::-1]


def _at_depth(nodes: Sequence[Node], calls: Mapping[Node, Call], depth: int) -> list[Group]:
    callers = {caller for call in calls.values() for caller in _chain(call)[:-1]}
    groups: list[Group] = []
    of_call: dict[Call, Group] = {}
    inside: set[Node] = set()  # the folded nodes
    for node in nodes:
        call = calls.get(node)
        target = None
        if call is not None:
            chain = _chain(call)
            if len(chain) > depth:
                target = chain[depth]
            elif call not in callers and call.parent is not None:  # a layer that calls no other; a model's own ops stay
                target = call
        if target is None:
            groups.append(Group([node]))
        elif target in of_call:
            of_call[target].nodes.append(node)
        else:
            of_call[target] = Group([node], target)
            groups.append(of_call[target])
        if target is not None:
            inside.add(node)
    consumers: dict[Node, list[Node]] = {}
    for node in nodes:
        for parent in node.parents:
            if parent is not None:
                consumers.setdefault(parent, []).append(node)
    owned = {id(p) for call in of_call for p in call.root.parameters()}

    def hidden(node: Node) -> bool:
        tensor = node.tensor() if isinstance(node, Leaf) else None
        return tensor is not None and id(tensor) in owned and all(c in inside for c in consumers.get(node, []))

    kept = [group for group in groups if not hidden(group.nodes[0])]
    return sorted(kept, key=lambda group: group.nodes[-1].time)
