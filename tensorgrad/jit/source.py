"""Generated Python functions: what a program, a chain of it or the way into it comes down to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Writer"]


class Writer:
    """Source text in the making: lines, and names for the objects that they speak of."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self._by_id: dict[int, str] = {}

    def name(self, value: Any) -> str:
        """The name of an object."""
        found = self._by_id.get(id(value))
        if found is None:
            found = self._by_id[id(value)] = f"k{len(self._by_id)}"
            self.names[found] = value
        return found

    def function(self, head: str) -> Callable[..., Any]:
        """The lines as the body of a function."""
        source = f"{head}:\n    " + "\n    ".join(self.lines) + "\n"
        exec(compile(source, "<tensorgrad.jit>", "exec"), self.names)
        return self.names[head.split("(", maxsplit=1)[0].rsplit(maxsplit=1)[-1]]  # type: ignore[no-any-return]
