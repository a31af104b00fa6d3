"""With which arguments the benchmark of the namespaces calls their functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["ARGUMENTS", "Data", "candidates"]


class Data:
    """Arrays to call functions with, as those of one library: vectors of ``n`` elements, matrices of as many."""

    def __init__(self, n: int, made: Callable[[Any], Any]) -> None:
        rng = np.random.default_rng(0)
        self.n, self.side = n, int(n**0.5)
        x, y = (rng.uniform(0.1, 0.9, n).astype(np.float32) for _ in range(2))
        matrix = rng.uniform(0.1, 0.9, (self.side, self.side)).astype(np.float32)
        # for what takes the cube of it: 4 by 4, or 128 by 128 where there are many elements
        few = min(self.side, 128)
        small = rng.uniform(0.1, 0.9, (few, few)).astype(np.float32) + few * np.eye(few, dtype=np.float32)
        self.few = few
        self.x, self.y = made(x), made(y)
        self.holed = made(np.where(x < 0.2, np.nan, x).astype(np.float32))
        self.signal = made((x + 1j * y).astype(np.complex64))
        self.mask = made(x > 0.5)
        self.whole, self.other = (made(rng.integers(1, 30, n)) for _ in range(2))
        self.octets = made(rng.integers(0, 256, n).astype(np.uint8))
        self.places = made(rng.integers(0, n, n))
        self.ascending = made(np.sort(x))
        self.vectors = made(rng.uniform(0.1, 0.9, (max(n // 3, 1), 3)).astype(np.float32))
        self.matrix, self.small = made(matrix), made(small)
        self.definite = made(small @ small.T)
        self.columns = made(small[:, : few // 2].copy())
        self.cube = made(rng.uniform(0.1, 0.9, (4, n // 16, 4)).astype(np.float32))
        self.rows = made(rng.integers(0, self.side, (1, self.side)))
        self.square = made((np.eye(16) * 4 + rng.uniform(0, 1, (16, 16))).reshape(4, 4, 4, 4).astype(np.float32))
        self.right = made(rng.uniform(0, 1, (4, 4)).astype(np.float32))


def candidates(d: Data) -> Iterator[tuple[Any, ...]]:
    """Arguments to try where none are given below, from simple to rare."""
    yield (d.x,)
    yield (d.x, d.y)
    yield (d.matrix,)
    yield (d.whole,)
    yield (d.whole, d.other)
    yield (d.matrix, d.matrix)
    yield (d.x, 2)
    yield (d.x, 0.5)
    yield (d.mask, d.x, d.y)
    yield (d.mask, d.x)
    yield (d.x, d.x, d.y)
    yield (d.x, 0.2, 0.8)
    yield ([d.x, d.y],)
    yield (d.x, d.places)
    yield (d.matrix, (1, 0))
    yield (d.matrix, 0, 1)


ARGUMENTS: dict[str, dict[str, Callable[[Data], tuple[Any, ...]]]] = {
    "tensorgrad": {
        "arange": lambda d: (d.n,),
        "array_equal": lambda d: (d.x, d.x),
        "asarray": lambda d: (d.x,),
        "astype": lambda d: (d.x, np.float64),
        "bartlett": lambda d: (d.n,),
        "blackman": lambda d: (d.n,),
        "convolve": lambda d: (d.x, d.x[:16]),
        "correlate": lambda d: (d.x, d.x[:16]),
        "einsum_path": lambda d: ("ij,j", d.matrix, d.matrix[0]),
        "hamming": lambda d: (d.n,),
        "hanning": lambda d: (d.n,),
        "ix_": lambda d: (d.places, d.places),
        "kaiser": lambda d: (d.n, 5.0),
        "matvec": lambda d: (d.matrix, d.matrix[0]),
        "packbits": lambda d: (d.mask,),
        "poly": lambda d: (d.right[0],),
        "polydiv": lambda d: (d.x[:16], d.x[:4]),
        "polyfit": lambda d: (d.ascending, d.y, 2),
        "polymul": lambda d: (d.x, d.x[:4]),
        "polyval": lambda d: (d.right[0], d.x),
        "roots": lambda d: (d.right[0],),
        "unpackbits": lambda d: (d.octets,),
        "vecmat": lambda d: (d.matrix[0], d.matrix),
        "block": lambda d: ([[d.matrix, d.matrix], [d.matrix, d.matrix]],),
        "broadcast_arrays": lambda d: (d.matrix, d.matrix[0]),
        "broadcast_shapes": lambda d: ((4, 1), (1, 4)),
        "broadcast_to": lambda d: (d.x, (2, d.n)),
        "can_cast": lambda d: (np.float32, np.float64),
        "choose": lambda d: (d.whole % 2, [d.x, d.y]),
        "clip": lambda d: (d.x, 0.2, 0.8),
        "conj": lambda d: (d.signal,),
        "copy": lambda d: (d.x,),
        "cross": lambda d: (d.vectors, d.vectors),
        "diag": lambda d: (d.matrix,),
        "diagflat": lambda d: (d.matrix[0],),
        "diag_indices": lambda d: (d.n,),
        "digitize": lambda d: (d.x, d.ascending[::4]),
        "dot": lambda d: (d.matrix, d.matrix),
        "dsplit": lambda d: (d.cube, 2),
        "einsum": lambda d: ("ij,j", d.matrix, d.matrix[0]),
        "empty": lambda d: (d.n,),
        "empty_like": lambda d: (d.x,),
        "eye": lambda d: (d.side,),
        "fill_diagonal": lambda d: (d.matrix, 0.5),
        "full": lambda d: ((d.n,), 0.5),
        "geomspace": lambda d: (1.0, 2.0, d.n),
        "histogram2d": lambda d: (d.x, d.y),
        "histogramdd": lambda d: (d.vectors,),
        "identity": lambda d: (d.side,),
        "imag": lambda d: (d.signal,),
        "indices": lambda d: ((d.side, d.side),),
        "interp": lambda d: (d.x, d.ascending, d.y),
        "intersect1d": lambda d: (d.whole, d.places),
        "isdtype": lambda d: (np.dtype(np.float32), "real floating"),
        "isin": lambda d: (d.whole, d.other),
        "kron": lambda d: (d.small[:4, :4], d.matrix),
        "lexsort": lambda d: ([d.whole, d.other],),
        "linspace": lambda d: (0.0, 1.0, d.n),
        "logspace": lambda d: (0.0, 1.0, d.n),
        "matmul": lambda d: (d.matrix, d.matrix),
        "nancumprod": lambda d: (d.holed,),
        "nancumsum": lambda d: (d.holed,),
        "nanargmax": lambda d: (d.holed,),
        "nanargmin": lambda d: (d.holed,),
        "nanmax": lambda d: (d.holed,),
        "nanmean": lambda d: (d.holed,),
        "nanmedian": lambda d: (d.holed,),
        "nanmin": lambda d: (d.holed,),
        "nanpercentile": lambda d: (d.holed, 30.0),
        "nanprod": lambda d: (d.holed,),
        "nanquantile": lambda d: (d.holed, 0.3),
        "nanstd": lambda d: (d.holed,),
        "nansum": lambda d: (d.holed,),
        "nanvar": lambda d: (d.holed,),
        "nan_to_num": lambda d: (d.holed,),
        "ones": lambda d: (d.n,),
        "outer": lambda d: (d.matrix[0], d.matrix[1]),
        "pad": lambda d: (d.matrix, 1),
        "percentile": lambda d: (d.x, 30.0),
        "promote_types": lambda d: (np.float32, np.float64),
        "partition": lambda d: (d.x, d.n // 2),
        "argpartition": lambda d: (d.x, d.n // 2),
        "delete": lambda d: (d.x, d.n // 2),
        "put": lambda d: (d.x, d.places, 0.5),
        "put_along_axis": lambda d: (d.matrix, d.rows, 0.5, 0),
        "quantile": lambda d: (d.x, 0.3),
        "ravel_multi_index": lambda d: ((d.places, d.places), (d.n, d.n)),
        "real": lambda d: (d.signal,),
        "repeat": lambda d: (d.x, 2),
        "reshape": lambda d: (d.matrix, (-1,)),
        "result_type": lambda d: (d.x, d.whole),
        "row_stack": lambda d: ([d.x, d.y],),
        "searchsorted": lambda d: (d.ascending, d.x),
        "select": lambda d: ([d.mask], [d.x]),
        "split": lambda d: (d.x, 2),
        "array_split": lambda d: (d.x, 2),
        "hsplit": lambda d: (d.matrix, 2),
        "vsplit": lambda d: (d.matrix, 2),
        "stack": lambda d: ([d.x, d.y],),
        "hstack": lambda d: ([d.x, d.y],),
        "vstack": lambda d: ([d.x, d.y],),
        "dstack": lambda d: ([d.x, d.y],),
        "column_stack": lambda d: ([d.x, d.y],),
        "concat": lambda d: ([d.x, d.y],),
        "concatenate": lambda d: ([d.x, d.y],),
        "take": lambda d: (d.x, d.places),
        "take_along_axis": lambda d: (d.matrix, d.rows, 0),
        "tensordot": lambda d: (d.matrix, d.matrix, 1),
        "tile": lambda d: (d.x, 2),
        "tri": lambda d: (d.side,),
        "tril_indices": lambda d: (d.side,),
        "triu_indices": lambda d: (d.side,),
        "unique": lambda d: (d.whole,),
        "unique_all": lambda d: (d.whole,),
        "unique_counts": lambda d: (d.whole,),
        "unique_inverse": lambda d: (d.whole,),
        "unique_values": lambda d: (d.whole,),
        "unravel_index": lambda d: (d.places, (d.n, d.n)),
        "unstack": lambda d: (d.cube,),
        "vander": lambda d: (d.x, 4),
        "zeros": lambda d: (d.n,),
    },
    "linalg": {
        "cholesky": lambda d: (d.definite,),
        "cond": lambda d: (d.small,),
        "cross": lambda d: (d.vectors, d.vectors),
        "det": lambda d: (d.small,),
        "eig": lambda d: (d.small,),
        "eigh": lambda d: (d.definite,),
        "eigvals": lambda d: (d.small,),
        "eigvalsh": lambda d: (d.definite,),
        "inv": lambda d: (d.small,),
        "lstsq": lambda d: (d.columns, d.small[0]),
        "matrix_power": lambda d: (d.small, 3),
        "matrix_rank": lambda d: (d.small,),
        "multi_dot": lambda d: ([d.small, d.small, d.columns],),
        "norm": lambda d: (d.matrix,),
        "outer": lambda d: (d.matrix[0], d.matrix[1]),
        "pinv": lambda d: (d.small,),
        "qr": lambda d: (d.small,),
        "slogdet": lambda d: (d.small,),
        "solve": lambda d: (d.small, d.columns),
        "svd": lambda d: (d.small,),
        "svdvals": lambda d: (d.small,),
        "tensordot": lambda d: (d.matrix, d.matrix),
        "tensorinv": lambda d: (d.square,),
        "tensorsolve": lambda d: (d.square, d.right),
        "vecdot": lambda d: (d.matrix, d.matrix),
    },
    "fft": {
        "fft": lambda d: (d.signal,),
        "ifft": lambda d: (d.signal,),
        "irfft": lambda d: (d.signal,),
        "hfft": lambda d: (d.signal,),
        "fftfreq": lambda d: (d.n,),
        "rfftfreq": lambda d: (d.n,),
    },
    "special": {
        "log_softmax": lambda d: (d.matrix, -1),
        "softmax": lambda d: (d.matrix, -1),
        "multigammaln": lambda d: (d.x + 2.0, 2),
        "polygamma": lambda d: (1, d.x),
        "zeta": lambda d: (d.x + 2.0, d.y),
    },
}
