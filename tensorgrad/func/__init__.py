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

from typing import Any

from .derivatives import grad, grad_and_value, hvp, jvp, linearize, value_and_grad, vjp
from .jacobians import hessian, jacfwd, jacobian, jacrev
from .vectorized import vmap

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "linearize",
    "replace_all_batch_norm_modules_", "stack_module_state", "value_and_grad", "vjp", "vmap",
]  # fmt: skip

_OF_MODULES = ("functional_call", "replace_all_batch_norm_modules_", "stack_module_state")


def __getattr__(name: str) -> Any:
    """What takes modules is made where they are, a floor up."""
    if name in _OF_MODULES:
        from ..nn.utils import stateless

        return getattr(stateless, name)
    raise AttributeError(f"module 'tensorgrad.func' has no attribute {name!r}")
