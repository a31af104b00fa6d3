"""The normal distribution and what is made of the error function, on CUDA."""

from __future__ import annotations

from .special import special

__all__ = ["erfcx", "erfinv", "log_ndtr", "ndtr", "ndtri"]

ndtr = special("ndtr")
ndtri = special("ndtri")
log_ndtr = special("log_ndtr")
erfinv = special("erfinv")
erfcx = special("erfcx")
