"""``tg.jit``: record a function of tensors once, plan it, replay it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..capture import CaptureError

if TYPE_CHECKING:
    from .compiled import Jit

__all__ = ["CaptureError", "jit"]


def jit(function: Callable[..., Any]) -> Jit:
    """Capture a function of tensors: record what it does once, then replay that without Python in between.

    The first call with arguments of a kind (shapes, dtypes and devices of tensors; values of everything else) runs the
    function as it is and records its kernel launches. They are then planned: launches without effect are dropped,
    chains of elementwise launches run block by block so that what they pass on stays in cache, and temporaries share
    one piece of memory. Later calls with arguments of that kind replay the plan. Whole training steps can be captured:
    gradients, the optimizer's step with its changing learning rate, random numbers, clipping and mixed precision are
    right at each replay.

    Parameters
    ----------
    function : callable
        Takes and returns tensors, in nested tuples, lists and dicts where wanted, and what is not a tensor, which
        must be hashable and is part of the kind of a call. May be a `nn.Module` or a method. Can be used as a
        decorator.

    Returns
    -------
    Jit
        The captured function; ``.explain()`` says what its program is.

    Raises
    ------
    CaptureError
        At the call that records, naming the line, if the function does what a replay cannot do: read a value
        (``.item()``, ``if x > 0``), compute a shape from data (``x[mask]``), keep a tensor for its next call in an
        attribute, or give a tensor from outside other memory.

    Notes
    -----
    What the function computes in Python, and not with tensors, it computes while it is recorded, once. What it reads
    around itself is watched: closures and globals, those of the functions and methods that it calls too, the
    attributes of objects, classes and modules, lists and dicts of up to 256 entries. If something in there changes, the
    function is recorded again; if it changes a number itself, as a counter, each call runs the function. What it prints
    or appends to a list happens at the first call only.

    Under `tg.autograd.detect_anomaly`, and under hooks on kernel launches, the function runs as it is.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> model = tg.nn.Linear(3, 2)
    >>> optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    >>> @tg.jit
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = tg.nn.functional.cross_entropy(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = tg.ones(4, 3), tg.tensor([0, 1, 0, 1])
    >>> first, second = step(x, y), step(x, y)
    >>> bool(second < first)
    True
    """
    from .compiled import Jit  # the machinery is loaded by who uses it

    return Jit(function)
