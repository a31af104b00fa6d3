"""What an export raises."""

from __future__ import annotations

__all__ = ["ExportError"]


class ExportError(RuntimeError):
    """A model computes something that ONNX, or a graph without Python in it, cannot express."""
