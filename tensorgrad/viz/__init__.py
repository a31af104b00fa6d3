"""Pictures: the graph of a computation or of a model, with values and gradients on its wires, and curves of a training.

>>> import tensorgrad as tg
>>> x = tg.tensor(3.0, requires_grad=True)
>>> with tg.viz.record() as recording:
...     y = x * x + 1
>>> for step in tg.viz.graph(y, {x: "x"}, recording).steps:
...     print(step.label, step.value, step.grad)
x tensor(3.) tensor(6.)
× tensor(9.) tensor(1.)
+1 tensor(10.) tensor(1.)
"""

from __future__ import annotations

from .curves import curves
from .graph import Graph, Step, graph
from .recording import Recording, record

__all__ = ["Graph", "Recording", "Step", "curves", "graph", "record"]
