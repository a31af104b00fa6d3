"""Modules without the work of drawing their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ...tape import no_grad
from .. import init
from ..module import Module

__all__ = ["skip_init"]

_M = TypeVar("_M", bound=Module)
