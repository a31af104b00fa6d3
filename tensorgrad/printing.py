"""How tensors are written: as NumPy writes its arrays, unless `set_printoptions` says otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import integer

__all__ = ["rendered", "set_printoptions"]

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "max_line_width": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "max_line_width": 80},
}
_options: dict[str, Any] = {}
_scientific: bool | None = None


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Say how tensors are written from here on; what is left out stays as it is, at first as NumPy's options say.

    Parameters
    ----------
    precision : int, optional
        Digits after the point.
    threshold : float, optional
        From how many elements on only the first and last ones of each axis are written.
    edgeitems : int, optional
        How many those are.
    linewidth : int, optional
        Characters per line.
    profile : {"default", "short", "full"}, optional
        Options to start from: NumPy's; few digits; all elements.
    sci_mode : bool, optional
        Write numbers with or without an exponent; by default as NumPy finds shorter. A profile puts this back.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.set_printoptions(precision=2)
    >>> tg.tensor([1 / 3])
    tensor([0.33])
    >>> tg.set_printoptions(profile="default")
    >>> tg.tensor([1 / 3])
    tensor([0.33333334])
    """
    global _options, _scientific
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: profile must be one of {', '.join(_PROFILES)}, got {profile!r}")
    counts = {"precision": precision, "edgeitems": edgeitems, "linewidth": linewidth}
    counts = {name: n if n is None else integer(n, name, "set_printoptions") for name, n in counts.items()}
    given: dict[str, Any] = {"threshold": threshold, **counts}
    for name, value in given.items():
        if value is not None and not value >= 0:
            raise ValueError(f"set_printoptions: {name} must be at least 0, got {value}")
    given["max_line_width"] = given.pop("linewidth")
    if profile is not None:
        _scientific = None
    start = _options if profile is None else _PROFILES[profile]
    _options = {**start, **{name: value for name, value in given.items() if value is not None}}
    if sci_mode is not None:
        _scientific = bool(sci_mode)


def rendered(array: Any, prefix: str) -> str:
    """The elements of a NumPy array, in brackets, to stand after some characters."""
    options = dict(_options)
    if _scientific is True:
        digits = options.get("precision", np.get_printoptions()["precision"])
        options["formatter"] = {"float_kind": _exponential(digits), "complex_kind": _exponential(digits)}
    elif _scientific is False:
        options["suppress_small"] = True
    return np.array2string(array, separator=", ", prefix=prefix, **options)


def _exponential(digits: int) -> Callable[[Any], str]:
    def written(value: Any) -> str:
        if isinstance(value, (complex, np.complexfloating)):
            return f"{value.real:.{digits}e}{value.imag:+.{digits}e}j"
        return f"{value:.{digits}e}"

    return written
