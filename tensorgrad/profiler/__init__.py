"""Where the time of a program goes: every launch of a kernel, with the layer that asked for it.

>>> import tensorgrad as tg
>>> model = tg.nn.Sequential(tg.nn.Linear(4, 8), tg.nn.ReLU(), tg.nn.Linear(8, 2))
>>> with tg.profiler.profile() as prof:
...     model(tg.ones(16, 4)).sum().backward()
>>> [entry.calls for entry in prof.key_averages("kernel") if entry.kernel == "linear"]
[2]
>>> sorted({entry.module for entry in prof.key_averages("module")})
['', 'Sequential.0', 'Sequential.1', 'Sequential.2']
"""

from __future__ import annotations

from .hook import profile
from .launches import Entry, Launch

__all__ = ["Entry", "Launch", "profile"]
