"""Functions on lists of parameters, and on sequences of several lengths.

Clipping gradients, all parameters as one vector; padding and packing in ``rnn``.
"""

from __future__ import annotations

from . import rnn
from .clip_grad import clip_grad_norm_, clip_grad_value_
from .convert_parameters import parameters_to_vector, vector_to_parameters

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "rnn", "vector_to_parameters"]
