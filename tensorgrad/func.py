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

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any
from weakref import WeakSet

from . import autograd
from .dtypes import is_differentiable, is_floating
from .ops.memory import clone, zeros, zeros_like
from .ops.shape import reshape, stack
from .tape import Leaf, enable_grad, is_grad_enabled
from .tensor import Tensor
from .vmap import vmap

__all__ = ["grad", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "value_and_grad", "vjp", "vmap"]

Argnums = int | tuple[int, ...]

_SPENT: WeakSet[Leaf] = WeakSet()
"""Variables of calls whose function has returned: nobody differentiates by them but the call itself."""


def grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that computes the gradient of ``f``.

    Parameters
    ----------
    f : callable
        Returns a real tensor without axes.
    argnums : int or tuple of int
        Which positional arguments to differentiate by.
    has_aux : bool
        Whether ``f`` returns ``(result, something else)``; then so does the gradient.

    Returns
    -------
    callable
        Takes what ``f`` takes; returns the gradient, of the argument's structure, or a tuple of them for a tuple
        ``argnums``. It is zero where the result does not depend on the argument.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> loss = lambda p, x: ((p["w"] * x).sum() + p["b"]) ** 2
    >>> tg.func.grad(loss)({"w": tg.ones(2), "b": tg.tensor(1.0)}, tg.tensor([1.0, 2.0]))
    {'w': tensor([ 8., 16.]), 'b': tensor(8.)}
    """
    both = _value_and_grad("grad", f, argnums, has_aux)

    @wraps(f)
    def gradient(*args: Any, **options: Any) -> Any:
        value, found = both(*args, **options)
        return (found, value[1]) if has_aux else found

    return gradient


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, but the function returns ``(result, gradient)``; ``((result, aux), gradient)`` with ``has_aux``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.value_and_grad(lambda x: (x**2).sum())(tg.tensor([1.0, 2.0]))
    (tensor(5.), tensor([2., 4.]))
    """
    return _value_and_grad("value_and_grad", f, argnums, has_aux)


def _value_and_grad(name: str, f: Callable[..., Any], argnums: Argnums, has_aux: bool) -> Callable[..., Any]:
    @wraps(f)
    def both(*args: Any, **options: Any) -> Any:
        call = _Call(name, f, args, argnums, options, has_aux)
        y = call.output
        if not isinstance(y, Tensor):
            raise TypeError(f"{name}: the function must return a tensor, got {type(y).__name__}{call.hint}")
        if y.shape != () or not is_floating(y.dtype):
            raise ValueError(
                f"{name}: the function must return a real floating tensor without axes, got shape {y.shape}, dtype "
                f"{y.dtype}; use vjp, jacrev or jacfwd for others"
            )
        found = call.pull([None], keep=False)
        value = (call.result(y), call.result(call.aux)) if has_aux else call.result(y)
        return value, call.as_arguments(found)

    return both


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``f(*primals)`` and the function that multiplies a vector with its Jacobian from the left.

    Returns
    -------
    output
        Of ``f``.
    vjp_fn : callable
        Takes a cotangent of the output's structure, any number of times; returns the gradient of ``sum(output *
        cotangent)`` with respect to the primal, or a tuple of them if there are several primals.
    aux
        What else ``f`` returned; only with ``has_aux``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> y, vjp_fn = tg.func.vjp(lambda x: x**2, tg.tensor([1.0, 2.0]))
    >>> y, vjp_fn(tg.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    call = _Call("vjp", f, primals, _all_of("vjp", primals), {}, has_aux)

    def vjp_fn(cotangents: Any) -> Any:
        found = call.as_arguments(call.pull(_like("vjp", "cotangent", cotangents, call.output), keep=True))
        return found[0] if len(primals) == 1 else found

    output = call.result(call.output)
    return (output, vjp_fn, call.result(call.aux)) if has_aux else (output, vjp_fn)


def jvp(f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """``f(*primals)`` and the product of its Jacobian with ``tangents``, the derivative in their direction.

    It is computed as the derivative of `vjp` with respect to the cotangent, in which that is linear; so what ``f`` does
    must be twice differentiable.

    Parameters
    ----------
    f : callable
    primals, tangents : tuple
        As many as ``f`` takes arguments, of equal shapes and dtypes.

    Returns
    -------
    output, tangent
        Of one structure.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> tg.func.jvp(lambda x: x**2, (x,), (tg.tensor([1.0, 0.0]),))
    (tensor([1., 4.]), tensor([2., 0.]))
    """
    argnums = _all_of("jvp", primals)
    directions = _like("jvp", "tangent", tangents, primals)
    call = _Call("jvp", f, primals, argnums, {})
    pushed = call.push(directions, keep=False)
    return call.result(call.output), _rebuilt(call.output, iter(pushed))


def jacrev(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes the Jacobian of ``f``, row by row: one backward per element of the output.

    Parameters
    ----------
    f : callable
    argnums : int or tuple of int
        Which positional arguments to differentiate by.

    Returns
    -------
    callable
        Takes what ``f`` takes; returns, for every tensor of the output and in it for every tensor of the argument,
        the derivatives: shape ``(*output.shape, *argument.shape)``. Complex ones are those of a holomorphic function.

    Raises
    ------
    TypeError
        If of an output and an argument only one is complex: differentiate real and imaginary parts by themselves.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.jacrev(lambda x: x**2)(tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(f)
    def jacobian_of(*args: Any, **options: Any) -> Any:
        call = _Call("jacrev", f, args, argnums, options)
        outputs = list(_leaves(call.output))
        blocks = []
        for k, y in enumerate(outputs):
            rows: list[list[Any]] = []
            for one in _basis(y):
                rows.append(call.pull([one if i == k else zeros_like(z) for i, z in enumerate(outputs)], keep=True))
            _check_holomorphic("jacrev", y, call.variables)
            blocks.append([_block(y, x, [row[i].conj() for row in rows], 0) for i, x in enumerate(call.variables)])
        return _rebuilt(call.output, (call.as_arguments(block) for block in blocks))

    return jacobian_of


jacobian = jacrev


def jacfwd(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """As `jacrev`, but column by column: one `jvp` per element of the argument, better for long outputs.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.jacfwd(lambda x: x**2)(tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @wraps(f)
    def jacobian_of(*args: Any, **options: Any) -> Any:
        call = _Call("jacfwd", f, args, argnums, options)
        outputs = list(_leaves(call.output))
        blocks: list[list[Any]] = [[] for _ in outputs]
        for k, x in enumerate(call.variables):
            columns: list[list[Any]] = []
            for one in _basis(x):
                directions = [one if i == k else zeros_like(v) for i, v in enumerate(call.variables)]
                columns.append(call.push(directions, keep=True))
            for j, y in enumerate(outputs):
                _check_holomorphic("jacfwd", y, [x])
                blocks[j].append(_block(y, x, [column[j] for column in columns], -1))
        return _rebuilt(call.output, (call.as_arguments(block) for block in blocks))

    return jacobian_of


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that computes the second derivatives of ``f``: the Jacobian of its Jacobian.

    For an output without axes and one tensor their shape is ``(*argument.shape, *argument.shape)``.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tg.func.hessian(lambda x: x[0] ** 2 * x[1])(tg.tensor([3.0, 5.0]))
    tensor([[10.,  6.],
            [ 6.,  0.]])
    """
    return jacrev(jacrev(f, argnums), argnums)


def hvp(f: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """The product of the second derivatives of ``f`` with ``tangents``, without making the matrix.

    Parameters
    ----------
    f : callable
        Returns a real tensor without axes.
    primals, tangents : tuple
        As many as ``f`` takes arguments, of equal shapes and dtypes.

    Returns
    -------
    tuple
        One product per primal, of its structure.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> tg.func.hvp(lambda x: (x**3).sum(), (x,), (tg.tensor([1.0, 10.0]),))
    (tensor([  6., 120.]),)
    """
    argnums = _all_of("hvp", primals)
    directions = _like("hvp", "tangent", tangents, primals)
    first = _value_and_grad("hvp", f, argnums, False)
    # The Hessian is symmetric: its product with a vector is the vector's with it.
    call = _Call("hvp", lambda *x: first(*x)[1], primals, argnums, {})
    result: tuple[Any, ...] = call.as_arguments(call.pull(directions, keep=False))
    return result


class _Call:
    """One call of a function on variables of its own, and the ways back from what it returned."""

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        argnums: Argnums,
        options: dict[str, Any],
        has_aux: bool = False,
    ) -> None:
        self.outside = is_grad_enabled()  # whether what we return is to be differentiable
        self.argnums = argnums
        places = [argnums] if isinstance(argnums, int) else list(argnums)
        for i in places:
            if not -len(args) <= i < len(args):
                raise IndexError(f"{name}: argnums {argnums} is out of range for {len(args)} positional arguments")
        places = [i % len(args) for i in places]
        self.chosen = [args[i] for i in places]
        with enable_grad():
            chosen = zip(places, self.chosen, strict=True)
            passed = [self._variable(name, i, x) for i, tree in chosen for x in _leaves(tree)]
            self.variables = [Tensor(x._data, x._node) for x in passed]  # they stay where they are if f writes into its
            given = list(args)
            supply = iter(passed)
            for i, x in zip(places, self.chosen, strict=True):
                given[i] = _rebuilt(x, supply)
            try:
                result = f(*given, **options)
            finally:
                _SPENT.update(x._node for x in self.variables if isinstance(x._node, Leaf))
        self.aux = None
        self.hint = ""
        if has_aux:
            if not isinstance(result, (tuple, list)) or len(result) != 2:
                raise TypeError(f"{name}: with has_aux the function must return a pair, got {type(result).__name__}")
            result, self.aux = result
        elif isinstance(result, (tuple, list)):
            self.hint = "; pass has_aux=True if it returns (result, something else)"
        self.output = result
        if name not in ("grad", "value_and_grad"):
            for y in _leaves(result):
                if not isinstance(y, Tensor):
                    raise TypeError(f"{name}: the function must return tensors, got {type(y).__name__}")

    def _variable(self, name: str, i: int, x: Any) -> Tensor:
        """A tensor in the place of ``x`` to differentiate by, behind ``x`` in the graph that it belongs to."""
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: argument {i} must be made of tensors, got {type(x).__name__}")
        if not is_differentiable(x.dtype):
            raise TypeError(f"{name}: argument {i} has dtype {x.dtype}, only floating ones have gradients")
        if x._node is not None and self.outside:
            copy: Tensor = clone(x)
            return copy
        return x.detach().requires_grad_()

    def pull(self, cotangents: Sequence[Tensor | None], keep: bool) -> list[Tensor]:
        """The gradients of the variables."""
        pairs = zip(_leaves(self.output), cotangents, strict=True)
        roots = [(y, g) for y, g in pairs if y._node is not None]
        tracked = self.outside and any(self._matters(x) for pair in roots for x in pair)
        found = self._gradients(roots, self.variables, keep, tracked)
        return [self.result(g) for g in found]

    def push(self, tangents: Sequence[Tensor], keep: bool) -> list[Tensor]:
        """The derivatives of the outputs: `pull` is linear in the cotangents, so it is pulled back in turn."""
        outputs = list(_leaves(self.output))
        linear = [(y, zeros_like(y).requires_grad_()) for y in outputs if y._node is not None]
        _SPENT.update(g._node for _, g in linear if isinstance(g._node, Leaf))
        with enable_grad():
            pulled = self._gradients(linear, self.variables, True, True)
        roots = [(g, t) for g, t in zip(pulled, tangents, strict=True) if g._node is not None]
        tracked = self.outside and any(self._matters(x) for pair in roots for x in pair)
        found = iter(self._gradients(roots, [g for _, g in linear], keep, tracked))
        return [zeros_like(y) if y._node is None else self.result(next(found)) for y in outputs]

    @staticmethod
    def _gradients(
        roots: Sequence[tuple[Tensor, Tensor | None]], variables: Sequence[Tensor], keep: bool, tracked: bool
    ) -> list[Tensor]:
        """What the engine finds, with zeros where there is no way from the roots to a variable."""
        if not roots:
            return [zeros_like(x) for x in variables]
        ys, gs = zip(*roots, strict=True)
        found = autograd.grad(ys, variables, gs, keep or tracked, tracked, allow_unused=True)
        return [zeros_like(x) if g is None else g for x, g in zip(variables, found, strict=True)]

    @staticmethod
    def _matters(x: Tensor | None) -> bool:
        """Whether a tensor depends on a leaf of the caller's, or on a variable of a call that this one is part of."""
        stack = [] if x is None or x._node is None else [x._node]
        seen = set(stack)
        while stack:
            node = stack.pop()
            if isinstance(node, Leaf) and node not in _SPENT:
                return True
            new = {parent for parent in node.parents if parent is not None} - seen
            seen |= new
            stack.extend(new)
        return False

    def result(self, tree: Any) -> Any:
        """A tree as the caller gets it: tensors that only spent variables make differentiable no longer are."""

        def settled(x: Any) -> Any:
            if not isinstance(x, Tensor) or x._node is None or (self.outside and self._matters(x)):
                return x
            return x.detach()

        return _rebuilt(tree, map(settled, _leaves(tree)))

    def as_arguments(self, values: Sequence[Any]) -> Any:
        """One value per variable, in the structure of the arguments that they stand for."""
        supply = iter(values)
        trees = tuple(_rebuilt(x, supply) for x in self.chosen)
        return trees[0] if isinstance(self.argnums, int) else trees


def _leaves(tree: Any) -> Iterator[Any]:
    """What a structure of tuples, lists and dicts holds, from left to right."""
    if isinstance(tree, (tuple, list, dict)):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(part)
    else:
        yield tree


def _rebuilt(tree: Any, supply: Iterator[Any]) -> Any:
    """The same structure with other contents."""
    if isinstance(tree, dict):
        return {key: _rebuilt(part, supply) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):
        parts = [_rebuilt(part, supply) for part in tree]
        if isinstance(tree, list):
            return parts
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return next(supply)


def _all_of(name: str, primals: Any) -> tuple[int, ...]:
    """The places of all primals."""
    if not isinstance(primals, tuple) or not primals:
        raise TypeError(f"{name}: the primals must be a tuple of at least one, got {type(primals).__name__}")
    return tuple(range(len(primals)))


def _matched(name: str, what: str, tree: Any, like: Any) -> Iterator[tuple[Any, Any]]:
    """The contents of ``tree`` with those of ``like``, whose structure it must have, in the order of ``like``."""
    if isinstance(like, dict):
        fits = isinstance(tree, dict) and tree.keys() == like.keys()
        parts = [(tree[key], part) for key, part in like.items()] if fits else []
    elif isinstance(like, (tuple, list)):
        fits = isinstance(tree, (tuple, list)) and len(tree) == len(like)
        parts = list(zip(tree, like, strict=True)) if fits else []
    else:
        fits = isinstance(tree, Tensor)
        parts = []
        yield tree, like
    if not fits:
        raise TypeError(
            f"{name}: a {what} has the structure of what it belongs to; for {like!r:.80} there is {tree!r:.80}"
        )
    for pair in parts:
        yield from _matched(name, what, *pair)


def _like(name: str, what: str, tree: Any, like: Any) -> list[Tensor]:
    """The tensors of a cotangent or tangent, checked against what they belong to."""
    pairs = list(_matched(name, what, tree, like))
    for i, (t, x) in enumerate(pairs):
        if isinstance(x, Tensor) and (t.shape, t.dtype, t.device) != (x.shape, x.dtype, x.device):
            raise ValueError(
                f"{name}: {what} {i} has shape {t.shape}, dtype {t.dtype} and is on {t.device}, it belongs to a tensor "
                f"of shape {x.shape}, dtype {x.dtype} on {x.device}"
            )
    return [t for t, _ in pairs]


def _check_holomorphic(name: str, y: Tensor, variables: Sequence[Tensor]) -> None:
    for x in variables:
        if (y.dtype.kind == "c") != (x.dtype.kind == "c"):
            raise TypeError(
                f"{name}: the derivatives of {y.dtype} by {x.dtype} are not complex numbers; differentiate real and "
                "imaginary parts by themselves"
            )


def _basis(x: Tensor) -> Iterator[Tensor]:
    """The tensors of the shape of ``x`` that are 1 at one element and 0 elsewhere."""
    for i in range(x.size):
        one = zeros(x.size, dtype=x.dtype, device=x.device)
        one[i] = 1
        yield reshape(one, x.shape)


def _block(y: Tensor, x: Tensor, slices: list[Tensor], axis: int) -> Tensor:
    """The derivatives of ``y`` by ``x`` from their rows (axis 0) or columns (axis -1)."""
    shape = (*y.shape, *x.shape)
    made: Tensor = reshape(stack(slices, axis=axis), shape) if slices else zeros(shape, dtype=x.dtype, device=x.device)
    return made
