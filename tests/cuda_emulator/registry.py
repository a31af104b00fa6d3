"""Which addresses are memory of a device: Python's record, which the kernels' checker follows."""

from __future__ import annotations

from collections.abc import Callable

ANY_DEVICE = -1  # page-locked host memory, which kernels of all devices may use
POISON = 0xFF  # a byte of what is not written yet: a NaN in every floating point format, -1 as an integer

Listener = Callable[[int, int, int], None]


class Registry:
    """The live allocations of all devices, by address; the kernels' checker follows along."""

    def __init__(self) -> None:
        self.live: dict[int, tuple[int, int]] = {}
        self._register: Listener | None = None
        self._unregister: Callable[[int], None] | None = None

    def follow(self, register: Listener, unregister: Callable[[int], None]) -> None:
        """Tell a listener of all allocations, those that are and those that come."""
        self._register, self._unregister = register, unregister
        for ptr, (size, device) in self.live.items():
            register(ptr, size, device)

    def add(self, ptr: int, size: int, device: int) -> None:
        """Note an allocation."""
        self.live[ptr] = size, device
        if self._register is not None:
            self._register(ptr, size, device)

    def remove(self, ptr: int) -> None:
        """Forget an allocation."""
        if self.live.pop(ptr, None) is not None and self._unregister is not None:
            self._unregister(ptr)


registry = Registry()
