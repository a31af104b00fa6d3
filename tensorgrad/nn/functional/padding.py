"""Padding the last axes: with a constant, or with what stands at the border or on the other side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import ArgumentError
from ...ops.memory import full
from ...ops.shape import broadcast_to, concat, flip
from ...tensor import Tensor

__all__ = ["pad"]


def _part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _constant(x: Tensor, axis: int, count: int, value: float) -> Tensor:
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    filled: Tensor = full(shape, value, dtype=x.dtype, device=x.device)
    return filled


def _reflected(x: Tensor, axis: int, left: int, right: int) -> tuple[Tensor, Tensor]:
    n = x.shape[axis]
    return flip(_part(x, axis, 1, left + 1), axis), flip(_part(x, axis, n - 1 - right, n - 1), axis)


def _replicated(x: Tensor, axis: int, left: int, right: int) -> tuple[Tensor, Tensor]:
    n = x.shape[axis]

    def spread(edge: Tensor, count: int) -> Tensor:
        y: Tensor = broadcast_to(edge, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
        return y

    return spread(_part(x, axis, 0, 1), left), spread(_part(x, axis, n - 1, n), right)


def _wrapped(x: Tensor, axis: int, left: int, right: int) -> tuple[Tensor, Tensor]:
    n = x.shape[axis]
    return _part(x, axis, n - left, n), _part(x, axis, 0, right)


# What stands left and right of an axis, and how much at most for a size n.
_MODES: dict[str, tuple[Callable[[Tensor, int, int, int], tuple[Tensor, Tensor]], Callable[[int, int], bool]]] = {
    "reflect": (_reflected, lambda count, n: count < n),
    "replicate": (_replicated, lambda count, n: n > 0),
    "circular": (_wrapped, lambda count, n: count <= n),
}


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """The input with elements added, or for negative numbers taken away, on both sides of its last axes.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        ``(left, right)`` of the last axis, then of the one before, and so on.
    mode : {"constant", "reflect", "replicate", "circular"}
        What is added: ``value``; the mirror image without the border itself; the border; the other side. The last three
        take 1 to 3 pairs, for inputs with one or two axes more than pairs.
    value : float, optional
        The constant, 0 unless given.

    Returns
    -------
    Tensor

    Raises
    ------
    ValueError
        If there are not two numbers per axis, or more is asked for than the axis has.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([[1.0, 2.0, 3.0]])
    >>> tg.nn.functional.pad(x, (1, 2))
    tensor([[0., 1., 2., 3., 0., 0.]])
    >>> tg.nn.functional.pad(x, (1, 2), mode="reflect")
    tensor([[2., 1., 2., 3., 2., 1.]])
    """
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad) - 1, 2)]
    if len(pad) % 2 or len(pairs) > input.ndim:
        raise ArgumentError(
            f"pad: expected (left, right) of at most {input.ndim} axes of shape {input.shape}, got {tuple(pad)}"
        )
    if mode != "constant":
        if mode not in _MODES:
            raise ArgumentError(f'pad: mode must be "constant" or one of {", ".join(_MODES)}, got {mode!r}')
        if value is not None and value != 0:
            raise ArgumentError(f"pad: mode {mode!r} takes no value, got {value}")
        if not 1 <= len(pairs) <= 3 or input.ndim - len(pairs) not in (1, 2):
            raise ArgumentError(
                f"pad: mode {mode!r} takes 1 to 3 pairs for inputs with one or two axes more, got {tuple(pad)} for "
                f"shape {input.shape}"
            )
    y = input
    for i, (left, right) in enumerate(pairs):
        axis = input.ndim - 1 - i
        if not left and not right:
            continue
        n = y.shape[axis]
        if n + left + right < 0:
            raise ArgumentError(f"pad: {(left, right)} takes more than the {n} elements of axis {axis} away")
        cropped = _part(y, axis, max(-left, 0), n - max(-right, 0)) if left < 0 or right < 0 else y
        if mode == "constant":
            sides = [_constant(y, axis, max(count, 0), value or 0.0) for count in (left, right)]
        else:
            between, fits = _MODES[mode]
            # What is taken away does not come round on the other side, but is still mirrored: PyTorch's choice.
            source = cropped if mode == "circular" else y
            n = source.shape[axis]
            if not (fits(left, n) and fits(right, n)):
                raise ArgumentError(f"pad: {(left, right)} is too much for mode {mode!r}: axis {axis} has {n} elements")
            sides = list(between(source, axis, max(left, 0), max(right, 0)))
        y = cropped
        if left > 0 or right > 0:
            parts = [sides[0]] * (left > 0) + [y] + [sides[1]] * (right > 0)
            y = concat(parts, axis)
    return y if y is not input else input.clone()
