"""The graph of a computation: its steps with their values and gradients, and a drawing of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..autograd import grad as gradients_of
from ..nn.module import Module
from ..tape import Branch, Leaf, Node
from ..tensor import Tensor
from .drawing import draw
from .folding import Group, folded
from .recording import Recording
from .tracing import traced

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
    module : str
        For the call of a layer that is drawn as one step: its dotted name; else empty.
    """

    label: str
    name: str
    value: Tensor | None
    grad: Tensor | None
    parents: list[int]
    shape: tuple[int, ...]
    module: str = ""


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
    output: Tensor | Module,
    names: Mapping[Tensor, str] | None = None,
    recording: Recording | None = None,
    *,
    gradients: bool = True,
    inputs: Any = None,
    depth: int | None = None,
) -> Graph:
    """The computation that led to a tensor, with its gradients, or the one that a module does.

    No tensor's ``grad`` is touched, and a module is as before: its mode, buffers and the random state.

    Parameters
    ----------
    output : Tensor or Module
        A scalar tensor, unless ``gradients=False``. What its ops saved is still there: draw before calling `backward`,
        or call that with ``retain_graph=True``.
    names : dict, optional
        Names of tensors, inputs or results: ``{x: "x"}``. Those of a module's parameters and inputs are known.
    recording : Recording, optional
        From a `record` block around the computation: tells the values between inputs and output, the numbers in
        labels such as ``+1``, and which layers were called.
    gradients : bool
        Whether to compute the gradients of a tensor; a module's are not shown.
    inputs : Tensor or tuple, optional
        What to call the module with.
    depth : int, optional
        Draw calls of modules that are nested deeper than this as parts of the one around them: with 1, each layer that
        the outermost module calls is one step. By default, for a module, so deep that the picture stays readable, with
        each layer that calls no other as one step; for a tensor, all ops.

    Raises
    ------
    RuntimeError
        If ``output`` needs no gradient, is not a scalar, or was already gone back through.
    TypeError
        If a module comes without inputs.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> w = tg.tensor(2.0, requires_grad=True)
    >>> picture = tg.viz.graph(tg.exp(w * 3.0), {w: "w"})
    >>> [step.label for step in picture.steps]
    ['w', '×', 'exp']
    >>> picture.svg.startswith("<svg")
    True
    >>> model = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.ReLU())
    >>> [step.label for step in tg.viz.graph(model, inputs=tg.ones(1, 2)).steps]
    ['input', 'Linear', 'ReLU']
    """
    if depth is not None and depth < 0:
        raise ValueError(f"graph: depth must not be negative, got {depth}")
    if isinstance(output, Module):
        if recording is not None:
            raise TypeError("graph: a recording belongs to a tensor; a module is called with inputs= and recorded then")
        if inputs is None:
            raise TypeError(f"graph: to draw a {type(output).__name__}, pass what to call it with: inputs=x or (x, y)")
        roots, known, recording = traced(output, inputs)
        names, gradients = {**known, **(names or {})}, False
    else:
        if inputs is not None:
            raise TypeError("graph: inputs are for a module; a tensor knows what it was computed from")
        if output._node is None:
            raise RuntimeError("graph: this tensor does not require a gradient, so nothing was recorded that led to it")
        roots = [output]
    nodes = _nodes_before([root._node for root in roots if root._node is not None])
    found: dict[Node, Tensor | None] = {}
    if gradients:
        # Tensors that stand for the nodes; an op with several results has a gradient per result only.
        wanted = [node for node in nodes if node.op is None or node.op.outputs == 1]
        stand_ins = [Tensor(roots[0]._data, node) for node in wanted]
        found = dict(zip(wanted, gradients_of(roots[0], stand_ins, retain_graph=True), strict=True))
    calls = recording.calls if recording is not None else {}
    if depth is None and not isinstance(output, Module):
        groups = [Group([node]) for node in nodes]
    else:
        groups = folded(nodes, calls, depth)
    position = {node: i for i, group in enumerate(groups) for node in group.nodes}
    named = {x._node: name for x, name in (names or {}).items() if x._node is not None}
    results = {root._node: root for root in roots}
    steps = []
    for i, group in enumerate(groups):
        node = group.nodes[-1]  # what is folded shows its last result
        constants = recording.constants.get(node) if recording is not None else None
        name = named.get(node, "")
        call = group.call
        steps.append(
            Step(
                label=(_label(node, constants) or name or "input") if call is None else type(call.module).__name__,
                name=name,
                value=_value(node, results, recording),
                grad=found.get(node),
                parents=_parents(group, i, position),
                shape=results[node].shape if node in results else _shape(node),
                module="" if call is None else call.path,
            )
        )
    return Graph(steps)


def _parents(group: Group, own: int, position: Mapping[Node, int]) -> list[int]:
    """The steps that a step takes; those of several nodes once each."""
    parents = [position[p] for node in group.nodes for p in node.parents if p is not None and p in position]
    return parents if len(group.nodes) == 1 else [p for p in dict.fromkeys(parents) if p != own]


def _nodes_before(roots: list[Node]) -> list[Node]:
    """Every node that leads to one of the roots, in the order of computation."""
    seen, stack = set(roots), list(roots)
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.time)


def _shape(node: Node) -> tuple[int, ...]:
    return node.shape if node.op is None or node.op.outputs == 1 else ()


def _value(node: Node, results: Mapping[Any, Tensor], recording: Recording | None) -> Tensor | None:
    if node in results:
        return results[node].detach()
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
