"""What belongs to a host thread: its current device, streams and allocators."""

from __future__ import annotations

import threading
from typing import Any

DEVICE_COUNT = 2


class ThreadState(threading.local):
    """The current device, and per device the stack of current streams."""

    def __init__(self) -> None:
        self.device = 0
        self.streams: dict[int, list[Any]] = {}
        self.allocator: Any = None


thread_state = ThreadState()
