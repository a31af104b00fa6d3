"""`backward` and `grad`, which start the engine, and what else PyTorch has in ``torch.autograd``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import function, graph
from . import kernels as K
from .anomaly import detect_anomaly, set_detect_anomaly
from .backend import empty
from .checkpoint import checkpoint
from .engine import conjugated, propagate, run_after
from .function import Function
from .graph import GradientEdge
from .tape import Leaf, Node, enable_grad, inference_mode, no_grad, set_grad_enabled
from .tensor import Tensor

__all__ = [
    "Function", "backward", "checkpoint", "detect_anomaly", "enable_grad", "function", "grad", "graph",
    "inference_mode", "no_grad", "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip

_fill = K.fill.launch


def backward(
    tensors: Tensor | Sequence[Tensor],
    grads: Tensor | Sequence[Tensor | None] | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Add the gradient of ``sum(tensor * grad)`` with respect to every leaf into the leaf's ``grad``.

    Parameters
    ----------
    tensors : Tensor or sequence of Tensor
        The roots.
    grads : Tensor or sequence, optional
        For each root, the gradient of some scalar with respect to it. One for a scalar root.
    retain_graph : bool, optional
        Keep what the ops saved for another backward. By default what ``create_graph`` is.
    create_graph : bool
        Record the gradients so that they can be differentiated.
    inputs : sequence of Tensor, optional
        Accumulate into these only.
    """
    if isinstance(tensors, Tensor) and not isinstance(grads, (list, tuple)):
        start = [_start_of(tensors, grads, create_graph, "backward")]
    else:
        roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
        start = _start(roots, _listed(grads, len(roots)), create_graph, "backward")
    keep = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        propagate(start, keep, create_graph, None)
        return
    wanted = _nodes_of(inputs, "backward")
    for x, g in zip(inputs, map(conjugated, propagate(start, keep, create_graph, wanted)), strict=True):
        if g is not None:
            gradient = g if create_graph else Tensor(K.copy(g))
            x.grad = gradient if x.grad is None else x.grad + gradient
            if isinstance(x._node, Leaf) and x._node.after is not None:
                run_after(x._node)


def grad(
    outputs: Tensor | GradientEdge | Sequence[Tensor | GradientEdge],
    inputs: Tensor | GradientEdge | Sequence[Tensor | GradientEdge],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` with respect to ``inputs``; no ``grad`` attribute is touched.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
        Or places in the graph, as `graph.get_gradient_edge` gives them.
    grad_outputs : Tensor or sequence, optional
        For each output, the gradient of some scalar with respect to it. One for a scalar output.
    retain_graph : bool, optional
        Keep what the ops saved for another backward. By default what ``create_graph`` is.
    create_graph : bool
        Record the gradients so that they can be differentiated.
    allow_unused : bool
        Give None for an input that the outputs do not depend on, instead of raising.
    is_grads_batched : bool
        ``grad_outputs`` have one more axis in front, and so have the gradients: one backward for many of them.
    materialize_grads : bool
        Give zeros for an input that the outputs do not depend on.

    Returns
    -------
    tuple of Tensor
        One gradient per input, of its shape.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> (first,) = tg.autograd.grad(x**3, x, create_graph=True)
    >>> (second,) = tg.autograd.grad(first, x)
    >>> first.item(), second.item()
    (27.0, 18.0)
    """
    roots: list[Any] = [outputs] if isinstance(outputs, (Tensor, GradientEdge)) else list(outputs)
    variables: list[Any] = [inputs] if isinstance(inputs, (Tensor, GradientEdge)) else list(inputs)
    if materialize_grads:
        if allow_unused is False:
            raise ValueError("grad: materialize_grads=True gives zeros where allow_unused=False would raise")
        allow_unused = True
    if is_grads_batched:
        found = _batched_grad(roots, variables, grad_outputs, retain_graph, create_graph, bool(allow_unused))
    else:
        found = _grad(roots, variables, grad_outputs, retain_graph, create_graph, bool(allow_unused))
    if not materialize_grads:
        return found
    if any(isinstance(x, GradientEdge) for x in variables):
        raise ValueError("grad: materialize_grads takes tensors for inputs, an edge does not know its dtype")
    lead = _listed(grad_outputs, len(roots))[0].shape[:1] if is_grads_batched else ()
    return tuple(_zeros_for(x, lead) if g is None else g for x, g in zip(variables, found, strict=True))


def _zeros_for(x: Tensor, lead: tuple[int, ...]) -> Tensor:
    zeros = empty((*lead, *x.shape), x.dtype, x.device)
    _fill(zeros, 0)
    return Tensor(zeros)


def _batched_grad(
    roots: list[Tensor],
    variables: list[Tensor],
    cotangents: Any,
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool,
) -> tuple[Tensor | None, ...]:
    """The gradients for each of many cotangents."""
    from .func.vectorized import vmap

    places: list[int] = []

    def one(*given: Tensor) -> list[Tensor]:
        found = _grad(roots, variables, given, True, create_graph, allow_unused)
        places[:] = [i for i, g in enumerate(found) if g is not None]
        return [g for g in found if g is not None]

    given = _listed(cotangents, len(roots))
    if any(not isinstance(g, Tensor) or not g.ndim for g in given):
        raise ValueError("grad: is_grads_batched needs a tensor with an axis more than its output for each output")
    made = iter(vmap(one)(*given))
    if not (create_graph if retain_graph is None else retain_graph):
        _free([y._node for y in roots if y._node is not None])
    return tuple(next(made) if i in places else None for i in range(len(variables)))


def _free(nodes: list[Node]) -> None:
    """Drop what a graph saved."""
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        if node.op is not None and node.op.saves_arrays:
            node.saved = None
        new = {p for p in node.parents if p is not None} - seen
        seen |= new
        nodes.extend(new)


def _grad(
    roots: list[Tensor],
    variables: list[Tensor],
    cotangents: Any,
    retain_graph: bool | None,
    create_graph: bool,
    allow_unused: bool,
) -> tuple[Tensor | None, ...]:
    start = _start(roots, _listed(cotangents, len(roots)), create_graph, "grad")
    wanted = _nodes_of(variables, "grad")
    found = propagate(start, create_graph if retain_graph is None else retain_graph, create_graph, wanted)
    found = [conjugated(g) for g in found]
    missing = [i for i, g in enumerate(found) if g is None]
    if missing and not allow_unused:
        raise RuntimeError(
            f"grad: the outputs do not depend on input {missing[0]} (shape {wanted[missing[0]].shape}); "
            "pass allow_unused=True to get None for it"
        )
    return tuple(g if g is None or isinstance(g, Tensor) else Tensor(g) for g in found)


def _listed(cotangents: Any, count: int) -> list[Any]:
    """One gradient per root."""
    if cotangents is None:
        return [None] * count
    return list(cotangents) if isinstance(cotangents, (list, tuple)) else [cotangents]


def _start(
    roots: Sequence[Tensor], cotangents: Sequence[Tensor | None], create_graph: bool, name: str
) -> list[tuple[Node, Any]]:
    """The roots' nodes with their gradients, checked: arrays, or tensors if the gradients are to be recorded."""
    if len(roots) != len(cotangents):
        raise ValueError(f"{name}: {len(roots)} outputs need as many gradients, got {len(cotangents)}")
    return [_start_of(y, g, create_graph, name) for y, g in zip(roots, cotangents, strict=True)]


def _start_of(y: Tensor, g: Any, create_graph: bool, name: str) -> tuple[Node, Any]:
    """One root's node with its gradient."""
    if isinstance(y, GradientEdge):
        return _start_of_edge(y.node, g, create_graph, name)
    if not isinstance(y, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {type(y).__name__}")
    node = y._node
    if node is None:
        raise RuntimeError(
            f"{name}: this tensor (shape {y.shape}, dtype {y.dtype}) does not require a gradient: none of the "
            "tensors that it was made from does, or it was made under no_grad"
        )
    if g is None:
        if y.size != 1:
            raise RuntimeError(
                f"{name}: a gradient can be made up for a scalar only, this tensor has shape {y.shape}; reduce it "
                "(for example .sum()) or pass a gradient of its shape"
            )
        if y.dtype.kind == "c":
            raise RuntimeError(
                f"{name}: a gradient can be made up for a real scalar only, this one is {y.dtype}; take its real part "
                "or its absolute value, or pass a gradient"
            )
        one = empty(y.shape, y.dtype, y.device)
        _fill(one, 1)
        return node, Tensor(one) if create_graph else one
    if not isinstance(g, Tensor):
        raise TypeError(f"{name}: the gradient must be a Tensor, got {type(g).__name__}")
    if g.shape != y.shape:
        raise ValueError(f"{name}: the gradient has shape {g.shape}, the tensor has shape {y.shape}")
    if g.dtype != y.dtype:
        raise TypeError(f"{name}: the gradient has dtype {g.dtype}, the tensor has dtype {y.dtype}")
    if g.device != y.device:
        raise ValueError(f"{name}: the gradient is on {g.device}, the tensor is on {y.device}; use .to({y.device!s})")
    return node, conjugated(g if create_graph else g._data)


def _start_of_edge(node: Node, g: Any, create_graph: bool, name: str) -> tuple[Node, Any]:
    if not isinstance(g, Tensor) or g.shape != node.shape:
        given = f"of shape {g.shape}" if isinstance(g, Tensor) else f"{g!r:.80}"
        raise RuntimeError(f"{name}: an edge of shape {node.shape} needs a gradient of that shape, got {given}")
    return node, conjugated(g if create_graph else g._data)


def _nodes_of(inputs: Sequence[Any], name: str) -> list[Node]:
    nodes = [x._node if isinstance(x, Tensor) else x.node if isinstance(x, GradientEdge) else None for x in inputs]
    if None in nodes:
        raise RuntimeError(f"{name}: input {nodes.index(None)} does not require a gradient")
    return nodes  # type: ignore[return-value]


Tensor._differentiate = staticmethod(backward)


def __getattr__(name: str) -> Any:
    """`functional` is made of transformations that are made of this; the checks are made of those."""
    if name == "functional":
        from . import functional

        return functional
    if name in ("gradcheck", "gradgradcheck"):
        from . import testing

        return getattr(testing, name)
    raise AttributeError(f"module 'tensorgrad.autograd' has no attribute {name!r}")
