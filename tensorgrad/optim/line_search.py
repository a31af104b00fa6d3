"""Line search: how far to go in a direction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..tensor import Tensor

__all__ = ["Point", "strong_wolfe"]

_DECREASE = 1e-4  # of the linear prediction of the loss: what a step must reach at least
_CURVATURE = 0.9  # of the slope at the start: what a step must leave at most


class Point(NamedTuple):
    """A place on the line, in multiples of the direction, with the loss there, its gradient, and its slope."""

    at: float
    loss: float
    gradient: Tensor
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, step: float, longest: float, tolerance: float, limit: int
) -> tuple[Point, int]:
    """A point with enough less loss and a small enough slope, after Nocedal and Wright.

    First the step is made larger until a bracket holds such a point, then the bracket is made smaller; the next place
    is where a cubic through both ends has its minimum.

    Parameters
    ----------
    evaluate : callable
        Gives the point at a place.
    start : Point
        At 0, with a negative slope.
    step : float
        Where to look first.
    longest : float
        The largest element of the direction: a bracket in which no parameter moves by ``tolerance`` is not divided.
    tolerance : float
    limit : int
        How many points to evaluate after the first.

    Returns
    -------
    Point, int
        The point, or the best one found, and how many were evaluated.

    Notes
    -----
    Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.5 and 3.6, with the safeguards of Schmidt's minFunc.
    """

    def insufficient(point: Point) -> bool:
        return point.loss > start.loss + _DECREASE * point.at * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -_CURVATURE * start.slope

    previous, new = start, evaluate(step)
    rounds = 0
    while True:
        if rounds >= limit:
            bracket = [start, new]
            break
        if insufficient(new) or (rounds > 1 and new.loss >= previous.loss):
            bracket = [previous, new]
            break
        if flat(new):
            return new, rounds + 1
        if new.slope >= 0:
            bracket = [previous, new]
            break
        step = _cubic_minimum(previous, new, new.at + 0.01 * (new.at - previous.at), new.at * 10)
        previous, new = new, evaluate(step)
        rounds += 1

    best = 0 if bracket[0].loss <= bracket[1].loss else 1
    stalled = False
    while rounds < limit:
        left, right = sorted(point.at for point in bracket)
        if (right - left) * longest < tolerance:
            break
        step = _cubic_minimum(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        near_an_end = min(right - step, step - left) < margin
        if near_an_end and (stalled or not left < step < right):
            step = right - margin if right - step < step - left else left + margin
            near_an_end = False
        stalled = near_an_end
        new = evaluate(step)
        rounds += 1
        if insufficient(new) or new.loss >= bracket[best].loss:
            bracket[1 - best] = new
            best = 0 if bracket[0].loss <= bracket[1].loss else 1
            continue
        if not flat(new) and new.slope * (bracket[1 - best].at - bracket[best].at) >= 0:
            bracket[1 - best] = bracket[best]
        bracket[best] = new
        if flat(new):
            break
    return bracket[best], rounds + 1


def _cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic with the losses and slopes of two points is least, between bounds; their middle if nowhere."""
    if a.at > b.at:
        a, b = b, a
    middle = (low + high) / 2
    if a.at == b.at:
        return middle
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.at - b.at)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < math.inf:
        return middle
    d2 = math.sqrt(square)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return middle
    return min(max(b.at - (b.at - a.at) * ((b.slope + d2 - d1) / divisor), low), high)
