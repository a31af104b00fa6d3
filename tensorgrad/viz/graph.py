"""The graph of a computation: its steps with their values and gradients, and a drawing of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..autograd import grad as gradients_of
from ..tape import Branch, Leaf, Node
from ..tensor import Tensor
from .drawing import draw
from .recording import Recording

__all__ = ["Graph", "Step", "graph"]

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"


@dataclass
class Step:
    """One tensor of a computation and the op that made it.

    Attributes
    ----------
    label : str
        The op as a formula would have it (``×``, ``+1``, ``exp``), or the name of an input.
    name : str
        The name that the tensor was given; empty if none.
    value, grad : Tensor or None
        What the tensor is, if known, and the gradient of the output with respect to it.
    parents : list of int
        Positions, in `Graph.steps`, of the op's operands; empty for an input.
    shape : tuple of int
    """

    label: str
    name: str
    value: Tensor | None
    grad: Tensor | None
    parents: list[int]
    shape: tuple[int, ...]


class Graph:
    """A computation as `graph` found it. Notebooks show it as a picture.

    Attributes
    ----------
    steps : list of Step
        In the order of computation, the output last.
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps

    @property
    def svg(self) -> str:
        """The picture as the text of an SVG file, from left to right: values above the wires, gradients below."""
        return draw(self.steps)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture into an ``.svg`` file."""
        if not os.fspath(path).endswith(".svg"):
            raise ValueError(f"save: the picture is an .svg file, got {os.fspath(path)!r}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.svg)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<graph of {len(self.steps)} tensors>"


def graph(
    output: Tensor,
    names: Mapping[Tensor, str] | None = None,
    recording: Recording | None = None,
    *,
    gradients: bool = True,
) -> Graph:
    """The computation that led to ``output``, with its gradients; no tensor's ``grad`` is touched.

    Parameters
    ----------
    output : Tensor
        A scalar, unless ``gradients=False``. What its ops saved is still there: draw before calling `backward`, or
        call that with ``retain_graph=True``.
    names : dict, optional
        Names of tensors, inputs or results: ``{x: "x"}``.
    recording : Recording, optional
        From a `record` block around the computation: tells the values between inputs and output, and the numbers in
        labels such as ``+1``.
    gradients : bool
        Whether to compute the gradients.

    Raises
    ------
    RuntimeError
        If ``output`` needs no gradient, is not a scalar, or was already gone back through.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor(2.0, requires_grad=True)
    >>> picture = tg.viz.graph(tg.exp(w * 3.0), {w: "w"})
    >>> [step.label for step in picture.steps]
    ['w', '×', 'exp']
    >>> picture.svg.startswith("<svg")
    True
    """
    if output._node is None:
        raise RuntimeError("graph: this tensor does not require a gradient, so nothing was recorded that led to it")
    nodes = _nodes_before(output._node)
    position = {node: i for i, node in enumerate(nodes)}
    named = {x._node: name for x, name in (names or {}).items() if x._node is not None}
    found: dict[Node, Tensor | None] = {}
    if gradients:
        # Tensors that stand for the nodes; an op with several results has a gradient per result only.
        wanted = [node for node in nodes if node.op is None or node.op.outputs == 1]
        stand_ins = [Tensor(output._data, node) for node in wanted]
        found = dict(zip(wanted, gradients_of(output, stand_ins, retain_graph=True), strict=True))
    steps = []
    for node in nodes:
        constants = recording.constants.get(node) if recording is not None else None
        name = named.get(node, "")
        steps.append(
            Step(
                label=_label(node, constants) or name or "input",
                name=name,
                value=_value(node, output, recording),
                grad=found.get(node),
                parents=[position[p] for p in node.parents if p is not None],
                shape=output.shape if node is output._node else _shape(node),
            )
        )
    return Graph(steps)


def _nodes_before(root: Node) -> list[Node]:
    """Every node that leads to ``root``, in the order of computation."""
    seen, stack = {root}, [root]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.time)


def _shape(node: Node) -> tuple[int, ...]:
    return node.shape if node.op is None or node.op.outputs == 1 else ()


def _value(node: Node, output: Tensor, recording: Recording | None) -> Tensor | None:
    if node is output._node:
        return output.detach()
    if isinstance(node, Leaf):
        leaf = node.tensor()
        return None if leaf is None else leaf.detach()
    if recording is None or node not in recording.values:
        return None
    return Tensor(recording.values[node])


_SYMBOLS = {
    "add": "+",
    "subtract": MINUS,
    "multiply": TIMES,
    "divide": "÷",
    "negative": f"{TIMES}{MINUS}1",
    "pow": "^",
    "matmul": "@",
}
_WITH_NUMBER = {  # op: label with the number first, label with the number second
    "add": ("+{}", "+{}"),
    "subtract": ("{}" + MINUS + "x", MINUS + "{}"),
    "multiply": (TIMES + "{}", TIMES + "{}"),
    "divide": ("{}/x", "÷{}"),
    "pow": ("{}^x", "x^{}"),
    "maximum": ("max {}", "max {}"),
    "minimum": ("min {}", "min {}"),
}


def _label(node: Node, constants: tuple[Any, ...] | None) -> str:
    """What stands in the node of an op; empty for an input."""
    if isinstance(node, Leaf):
        return ""
    if isinstance(node, Branch):
        return f"[{node.index}]"
    if constants is not None and node.name in _WITH_NUMBER:
        for which, number in enumerate(constants[:2]):
            if number is not None:
                return _WITH_NUMBER[node.name][which].format(f"{number:.4g}".replace("-", MINUS))
    return _SYMBOLS.get(node.name, node.name)
