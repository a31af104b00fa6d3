"""Writing models as ONNX, which other runtimes read: `export`.

A model is run once while `tracing` writes down which op made what from what; `alignment` makes one graph of runs with
different sizes, so that axes may vary; for each op, a function in the ``export_*`` files adds its nodes to a `graph`.

To make an op exportable, write such a function, decorated with the op's name, in the file of its family.
"""

from __future__ import annotations

from .errors import ExportError
from .exporting import export

__all__ = ["ExportError", "export"]
