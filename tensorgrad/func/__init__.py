"""Derivatives of functions: `grad(f)` is a function, as in JAX and ``torch.func``.

Each transformation calls the function on variables of its own in place of the arguments and walks back from the
result. Arguments need not require gradients and none of theirs is touched. Transformations nest; where arguments, or
tensors that the function refers to, require gradients, the results can be differentiated by them as any other.

An argument is a tensor, or a tuple, list or dict of such; so is a result.

>>> import tensorgrad as tg
>>> cube = lambda x: x**3
>>> tg.func.grad(cube)(tg.tensor(2.0)), tg.func.grad(tg.func.grad(cube))(tg.tensor(2.0))
(tensor(12.), tensor(12.))
"""

from __future__ import annotations

from .derivatives import grad, hvp, jvp, value_and_grad, vjp
from .jacobians import hessian, jacfwd, jacobian, jacrev
from .vectorized import vmap

__all__ = ["grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "value_and_grad", "vjp", "vmap"]
