"""Optimizers and learning rate schedules, with PyTorch's names, options and state dicts.

To add an optimizer: write a subclass of `Optimizer` in a file of its own, with `check` for its options and `update` for
the arithmetic of one step, and export it here.
"""

from __future__ import annotations

from . import lr_scheduler
from .adam import Adam, AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
