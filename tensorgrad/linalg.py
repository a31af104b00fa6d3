"""Linear algebra on the matrices of the last two axes; the other axes are a batch.

The array API standard's ``linalg`` extension, and what NumPy and PyTorch have beside it. Everything real, floating or
complex is differentiable to any order, except what says that it is not.

>>> import tensorgrad as tg
>>> x = tg.tensor([[2.0, 1.0], [1.0, 3.0]], requires_grad=True)
>>> tg.linalg.slogdet(x).logabsdet.backward()
>>> x.grad
tensor([[ 0.6, -0.2],
        [-0.2,  0.4]])
"""

from __future__ import annotations

from .boundary import explain as _explain
from .ops.factorization import (
    cholesky,
    cholesky_ex,
    geqrf,
    householder_product,
    lu,
    lu_factor,
    lu_factor_ex,
    qr,
)
from .ops.linear_system import (
    cholesky_inverse,
    cholesky_solve,
    det,
    inv,
    inv_ex,
    logdet,
    lu_solve,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from .ops.matmul import matmul
from .ops.matrices import LinAlgError
from .ops.matrix_function import (
    cross,
    diagonal,
    expm,
    matrix_exp,
    matrix_power,
    multi_dot,
    outer,
    trace,
    vander,
)
from .ops.matrix_norm import cond, matrix_norm, norm, vector_norm
from .ops.product import tensordot, vecdot
from .ops.shape import matrix_transpose
from .ops.spectrum import eig, eigh, eigvals, eigvalsh, lstsq, matrix_rank, pinv, svd, svdvals

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cholesky_inverse",
    "cholesky_solve",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "expm",
    "geqrf",
    "householder_product",
    "inv",
    "inv_ex",
    "logdet",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vander",
    "vecdot",
    "vector_norm",
]

_explain(globals(), __all__, __name__)
