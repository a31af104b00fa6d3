"""The inverse of the normal distribution function, on the host."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import kernels as K

__all__ = ["normal_quantile"]

Array = np.ndarray[Any, np.dtype[Any]]


def normal_quantile(p: Array) -> Array:
    """The number below which a standard normal variable is with probability ``p``, in float64.

    Notes
    -----
    Relative error about 1e-16. M. J. Wichura, Algorithm AS 241: The percentage points of the normal distribution, 1988.

    Examples
    --------
    >>> import numpy as np
    >>> bool(np.isclose(normal_quantile(np.array(0.975)), 1.959963984540054))
    True
    """
    z: Array = K.ndtri(np.asarray(p, np.float64))
    return z
