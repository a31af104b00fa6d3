"""Ops: each is a forward and its gradient, defined in the file of its family.

To add one: write its definition (see ``definition.py``) with its vector-Jacobian products, put its name into the
``__all__`` of its file and, if it should be a method, into `METHODS` of ``methods.py``. If it needs an instruction that
the kernels lack, declare it in ``kernels/__init__.py`` and write it in ``kernels/cpu`` and ``kernels/cuda``. The
gradient tests find it by its definition and ask for sample inputs.
"""

from __future__ import annotations

from . import methods
from .definition import OPS

__all__ = ["OPS"]
