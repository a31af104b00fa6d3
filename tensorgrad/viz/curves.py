"""The curves of a training run as a picture."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["curves"]


def curves(
    history: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    xlabel: str = "epoch",
    ylabel: str = "loss",
    log: bool = False,
) -> Any:
    """Draw curves over the epochs as a figure, and into a file, a PNG or what else matplotlib writes by its suffix.

    Parameters
    ----------
    history : History or dict
        A `tensorgrad.train.History`, drawn as one panel of losses and, if there are any, one of accuracies and one
        of each metric; or lists of numbers by name, drawn into one panel.
    path : str or path-like, optional
    xlabel, ylabel : str
        What the axes of a single panel say.
    log : bool
        Logarithmic axis for losses, or for the single panel.

    Returns
    -------
    matplotlib.figure.Figure
        A notebook shows it.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    ImportError
        If matplotlib is missing.
    """
    try:
        # Not pyplot: that would keep the figure, and a choice of windowing system, for the whole program.
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator, PercentFormatter
    except ImportError:
        raise ImportError('curves need matplotlib: pip install "tensorgrad-cupy[examples]"') from None

    panels = _panels(history, ylabel)
    if not panels:
        raise ValueError("curves: there is nothing to draw")

    shown: Any = type("Shown", (Figure,), {"_repr_png_": _png})  # a notebook asks for that
    figure = shown(figsize=(5.2 * len(panels), 3.6), dpi=150, layout="constrained")
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for label, values in lines.items():
            marker = "o" if len(values) < 3 else None
            axes.plot(range(1, len(values) + 1), values, label=label, linewidth=1.8, marker=marker)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if title == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        elif log and title in ("loss", ylabel):
            axes.set_yscale("log")
        axes.legend(frameon=False)
    if path is not None:
        figure.savefig(path)
    return figure


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _panels(history: Any, ylabel: str) -> dict[str, dict[str, Sequence[float]]]:
    """Curves by panel and label."""
    if isinstance(history, Mapping):
        lines: dict[str, Sequence[float]] = {str(name): list(values) for name, values in history.items() if len(values)}
        return {ylabel: lines} if lines else {}
    columns = history.columns()
    panels: dict[str, dict[str, Sequence[float]]] = {}
    metrics = [name.partition("_") for name in columns if name.startswith(("train_", "validation_"))]
    for quantity in dict.fromkeys(["loss", "accuracy", *(quantity for _, _, quantity in metrics)]):
        for part in ("train", "validation"):
            if f"{part}_{quantity}" in columns:
                panels.setdefault(quantity, {})[part] = columns[f"{part}_{quantity}"]
    return panels
