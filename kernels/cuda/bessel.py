"""Bessel functions of orders 0 and 1 on CUDA."""

from __future__ import annotations

from .special import special

__all__ = ["i0", "i0e", "i1", "i1e", "j0", "j1", "k0", "k0e", "k1", "k1e", "y0", "y1"]

i0, i0e, i1, i1e = special("i0"), special("i0e"), special("i1"), special("i1e")
k0, k0e, k1, k1e = special("k0"), special("k0e"), special("k1"), special("k1e")
j0, j1, y0, y1 = special("j0"), special("j1"), special("y0"), special("y1")
