"""The engine: from a loss back to the leaves, node by node.

Backpropagation is one loop. The node made last is taken first, so all of its consumers have already been visited and
its gradient is complete. Its op's rules turn that gradient into the gradients of its operands, which are added up where
several consumers send one.
"""

from __future__ import annotations

import threading
from heapq import heappop, heappush
from typing import Any

from . import capture, tape
from . import kernels as K
from .anomaly import add_note, check_gradient
from .backend import device_of, empty, is_array, is_sole_view
from .dtypes import is_differentiable
from .kernels.batched.array import LEVELS, BatchedArray
from .samples import shared_gradient
from .saved import PackedValues
from .tape import Branch, Leaf, Node, grad_mode, on_arrays, users_code, visiting
from .tensor import Tensor

__all__ = ["conjugated", "gradients_of", "propagate", "run_after"]

_add = K.add.launch
_WORTH_REUSING = 1 << 15  # elements; smaller gradients stay in cache
_accumulating = threading.Lock()  # two threads may reach one leaf


def propagate(
    start: list[tuple[Node, Any]], keep: bool, create_graph: bool, wanted: list[Node] | None, stop: bool = False
) -> list[Any]:
    """Walk back from ``start``; fill the leaves, or return the gradients of the ``wanted`` nodes and ``stop`` there."""
    recording = grad_mode.set(create_graph)
    arrays = on_arrays.set(not create_graph)
    outer = visiting.get()
    try:
        with K.ieee_semantics():
            if tape.hooks_gather:
                return _gathering(start, keep, create_graph, wanted, stop)
            return _walk(start, keep, create_graph, wanted, stop)
    except Exception as error:
        if tape.trace_forward is not None:
            add_note(error, visiting.get())
        raise
    finally:
        if visiting.get() is not outer:
            visiting.set(outer)
        grad_mode.reset(recording)
        on_arrays.reset(arrays)


def gradients_of(start: list[tuple[Node, Any]], wanted: list[Node], create_graph: bool = False) -> list[Any]:
    """The gradients of some nodes, or None, from those that arrive at others; the graph is kept.

    They are arrays, or tensors if the gradients are to be recorded, and conjugated as they travel. What is behind the
    wanted nodes is left alone, and so are their hooks: somebody else goes on from there.
    """
    return propagate(start, True, create_graph, wanted, stop=True)


def _gathering(*args: Any) -> list[Any]:
    """A walk with, at its end, the hooks that wait for several gradients."""
    gathered: dict[Any, Any] = {}
    token = tape.walk.set(gathered)
    try:
        found = _walk(*args)
    finally:
        tape.walk.reset(token)
    with users_code():
        for hook, grads in gathered.items():
            hook.finish(grads)
    return found


def _walk(
    start: list[tuple[Node, Any]], keep: bool, create_graph: bool, wanted: list[Node] | None, stop: bool
) -> list[Any]:
    pending: dict[Node, Any] = {}  # gradients on their way; of a node with branches, its results' gradients by index
    owned: set[Node] = set()  # nodes whose pending gradient is the engine's own buffer, free to be added into
    heap: list[tuple[int, Node]] = []  # the pending nodes by time, latest first
    leaves: dict[Any, Any] = {}  # where the walk ends: their gradients wait for it to be over
    needed = None if wanted is None else _ancestry(start, wanted)
    found: dict[Node, Any] = {}
    tracing = tape.trace_forward is not None
    observed = K.is_observed() or tracing
    recorder = capture.recording() if observed else None
    batched = bool(LEVELS)
    reusing = not (create_graph or observed)  # a recorder wants a result in memory of its own

    for node, g in start:
        into = leaves if isinstance(node, Leaf) else pending
        if node in into:
            into[node] = _plus(into[node], g, False, False)
        else:
            into[node] = g
            if into is pending:
                heappush(heap, (-node.time, node))

    # Most nodes of a deep graph lead to one that is next in line: that one stays out of the heap.
    ahead: Node | None = None
    ahead_g: Any = None
    ahead_mine = False
    while True:
        if ahead is not None and (not heap or ahead.time > -heap[0][0]):
            node, g, mine = ahead, ahead_g, ahead_mine
        else:
            if ahead is not None:
                pending[ahead] = ahead_g
                if ahead_mine:
                    owned.add(ahead)
                heappush(heap, (-ahead.time, ahead))
            if not heap:
                break
            node = heappop(heap)[1]
            g = pending.pop(node)
            mine = node in owned
        ahead = None
        if observed:
            visiting.set(node)
        if stop and needed is not None and needed.get(node):
            found[node] = g
            continue
        if recorder is not None:
            recorder.reached(node)
        if node.hooks is not None:
            g, mine = _run_hooks(node, g, create_graph), False
        if needed is not None:
            if needed.get(node):
                found[node], mine = g, False
            if not any(p in needed for p in node.parents if p is not None):
                continue
        if recorder is not None:
            recorder.went_through(node)
        op = node.op
        if op is None:
            assert isinstance(node, Branch)
            _send_to_branching(node, g, pending, heap)
            continue
        saved = node.saved
        if saved is None:
            raise RuntimeError(
                f"backward: what {op.name} saved was freed by an earlier backward; "
                "pass retain_graph=True to the earlier one to go through the graph twice"
            )
        if saved.__class__ is PackedValues:
            saved = saved.values(op.joint)
        elif op.saves_out and node.storage is not None and node.storage.written_at > node.time:
            raise _overwritten(op.name, node.shape, "its result")
        if op.outputs > 1:
            g = _all_outputs(node, g, create_graph)

        gradients = _joint(node, op, g, saved, create_graph) if op.joint else None
        # The last rule may write its result over the gradient, if nobody else has that.
        last = -1
        if op.overwriting is not None and mine and reusing and g.size >= _WORTH_REUSING:
            last = max([i for i, p in enumerate(node.parents) if p is not None and (needed is None or p in needed)])
        position = -1
        for target in node.parents:
            parent = target
            position += 1
            if parent is None or (needed is not None and parent not in needed):
                continue
            if gradients is not None:
                part = gradients[position]
            else:
                values = saved[position]
                if create_graph:
                    part = op.rules[position](g, *_as_tensors(node, op.codes[position], values))
                elif position == last:
                    part = _overwriting(node, op.overwriting[position], op.rules[position], g, values)
                elif not values:
                    part = op.rules[position](g)
                elif len(values) == 1:
                    value = values[0]
                    if isinstance(value, Tensor):
                        storage = value._storage
                        if storage is not None and storage.written_at > node.time:
                            raise _overwritten(op.name, value.shape, "an operand")
                        value = value._data
                    part = op.rules[position](g, value)
                else:
                    part = op.rules[position](g, *_as_arrays(node, values))
            if part is None:
                continue
            if batched:
                part = shared_gradient(part, parent)
            if tracing:
                check_gradient(node, part)
            if op.broadcasts and part.shape != parent.shape:
                part = _sum_to(part, parent.shape)

            # A rule's result is a buffer of its own unless it is the incoming gradient or a view of something.
            if part is g:
                fresh = mine and (position == last or len(node.parents) == 1)
            else:
                fresh = not create_graph and not op.shares_gradients and (part.base is None or is_sole_view(part))
            if not fresh:
                last = -1  # others may see the gradient through this part
            if parent is ahead:
                ahead_g, ahead_mine = _plus(ahead_g, part, ahead_mine, fresh), True
            elif parent.__class__ is Leaf:
                if parent in leaves:
                    leaves[parent] = _plus(leaves[parent], part, parent in owned, fresh)
                    owned.add(parent)
                else:
                    leaves[parent] = part
                    if fresh:
                        owned.add(parent)
            elif parent in pending:
                pending[parent] = _plus(pending[parent], part, parent in owned, fresh)
                owned.add(parent)
            else:
                if ahead is None:
                    ahead, ahead_g, ahead_mine = parent, part, fresh
                    continue
                if parent.time > ahead.time:
                    ahead, parent = parent, ahead
                    ahead_g, part = part, ahead_g
                    ahead_mine, fresh = fresh, ahead_mine
                pending[parent] = part
                if fresh:
                    owned.add(parent)
                heappush(heap, (-parent.time, parent))
        if op.saves_arrays and not keep:
            node.saved = None

    for leaf, total in leaves.items():
        g, mine = total, leaf in owned
        if observed:
            visiting.set(leaf)
        if recorder is not None and not stop:
            recorder.reached(leaf)
        if leaf.hooks is not None and not stop:
            g, mine = _run_hooks(leaf, g, create_graph), False
        if needed is not None:
            found[leaf] = g
        else:
            assert isinstance(leaf, Leaf)
            if g.dtype.kind == "c":
                g, mine = conjugated(g), True
            _accumulate(leaf, g, create_graph, mine)
            if leaf.after is not None:
                run_after(leaf)
    return [] if wanted is None else [found.get(node) for node in wanted]


def _overwriting(node: Node, kernel: Any, rule: Any, g: Any, values: tuple[Any, ...]) -> Any:
    """What a rule gives, in the buffer of ``g`` if ``kernel`` is the rule and its operands are as simple as that."""
    arrays = _as_arrays(node, values)
    if kernel is None or not all(getattr(a, "dtype", None) == g.dtype for a in arrays):
        return rule(g, *arrays)
    return kernel(g, *arrays, g)


def _plus(total: Any, part: Any, mine: bool, fresh: bool) -> Any:
    """Two gradients of one node added up, in the buffer of one of them that is the engine's."""
    if isinstance(total, Tensor):
        return total + part
    if isinstance(part, BatchedArray) or isinstance(total, BatchedArray):
        return _add(total, part)  # of two arrays of which one has fewer samples, neither can hold the sum
    return _add(total, part, total if mine else part if fresh else None)


def _ancestry(start: list[tuple[Node, Any]], wanted: list[Node]) -> dict[Node, bool]:
    """The nodes between the roots and the wanted ones; True for the wanted ones themselves."""
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [node for node, _ in start]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            order.append(node)
            stack.extend(p for p in node.parents if p is not None)
    order.sort(key=lambda node: node.time)
    targets = set(wanted)
    needed: dict[Node, bool] = {}
    for node in order:  # operands first
        if node in targets:
            needed[node] = True
        elif any(p in needed for p in node.parents if p is not None):
            needed[node] = False
    return needed


def _as_arrays(node: Node, values: tuple[Any, ...]) -> list[Any]:
    """Saved values as plain arrays, checked against overwriting."""
    plain = []
    for value in values:
        if isinstance(value, Tensor):
            storage = value._storage
            if storage is not None and storage.written_at > node.time:
                raise _overwritten(node.name, value.shape, "an operand")
            plain.append(value._data)
        elif value.__class__ is tuple and value and isinstance(value[0], Tensor):  # the results of an op with several
            plain.append(tuple(_as_arrays(node, value)))
        else:
            plain.append(value)
    return plain


def _as_tensors(node: Node, codes: tuple[int, ...], values: tuple[Any, ...]) -> list[Any]:
    """Saved values as tensors, the result with its place in the graph."""
    _as_arrays(node, values)
    out = node.op.out_code
    made: list[Any] = []
    for code, value in zip(codes, values, strict=True):
        if code == out and node.op.outputs > 1:
            made.append(tuple([Tensor(y._data, Branch(node, i, y.shape, y.dtype)) for i, y in enumerate(value)]))
        elif isinstance(value, Tensor) or not is_array(value):
            made.append(value)
        else:
            made.append(Tensor(value, node if code == out else None))
    return made


def _joint(node: Node, op: Any, g: Any, saved: tuple[Any, ...], create_graph: bool) -> Any:
    needs = tuple(p is not None for p in node.parents)
    values = _as_tensors(node, op.codes[0], saved) if create_graph else _as_arrays(node, saved)
    return op.rules[0](g, needs, *values)


def _send_to_branching(node: Branch, g: Any, pending: dict[Node, Any], heap: list[tuple[int, Node]]) -> None:
    """Put the gradient of one result where the op's node will find it."""
    parent = node.parents[0]
    assert parent is not None
    if parent not in pending:
        pending[parent] = {}
        heappush(heap, (-parent.time, parent))
    parts = pending[parent]
    parts[node.index] = _plus(parts[node.index], g, False, False) if node.index in parts else g


def _all_outputs(node: Node, parts: dict[int, Any], create_graph: bool) -> tuple[Any, ...]:
    """The gradients of all results of an op that has several; zeros, or None, for those that nothing came back from."""
    if not node.op.fills:
        return tuple([parts.get(index) for index in range(len(node.shape))])
    one = next(iter(parts.values()))
    device = one.device if isinstance(one, Tensor) else device_of(one)
    gradients = []
    for index, (shape, dtype) in enumerate(node.shape):
        g = parts.get(index)
        if g is None and is_differentiable(dtype):
            zeros = empty(shape, dtype, device)
            K.fill(zeros, 0)
            g = Tensor(zeros) if create_graph else zeros
        gradients.append(g)
    return tuple(gradients)


def conjugated(g: Any) -> Any:
    """A gradient as users know it from one as it travels, and the reverse; see ``ops/complex_parts.py``."""
    if g is None or g.dtype.kind != "c":
        return g
    return g.conj() if isinstance(g, Tensor) else K.conj(g)


def _run_hooks(node: Node, g: Any, create_graph: bool) -> Any:
    """Let the tensor's hooks see, and replace, its complete gradient."""
    g = conjugated(g)
    with users_code():
        for hook in node.hooks or ():
            given = g if create_graph else Tensor(g)
            answer = hook(given)
            if answer is None:
                continue
            if not isinstance(answer, Tensor) or answer.shape != node.shape:
                raise ValueError(f"hook: expected a gradient of shape {node.shape}, got {answer!r:.80}")
            g = answer if create_graph else answer._data
    return conjugated(g)


def run_after(leaf: Leaf) -> None:
    """Let hooks see a tensor that has its gradient."""
    x = leaf.tensor()
    with users_code():
        for hook in leaf.after or ():
            if x is not None:
                hook(x)


def _accumulate(leaf: Leaf, g: Any, create_graph: bool, mine: bool) -> None:
    """Add a complete gradient into its leaf; a buffer that somebody else may hold is copied first."""
    x = leaf.tensor()
    if x is None:
        return
    if LEVELS:
        g = shared_gradient(g, leaf, ())
        if not create_graph and (
            isinstance(g, BatchedArray) or (x.grad is not None and isinstance(x.grad._data, BatchedArray))
        ):
            x.grad = Tensor(K.copy(g) if x.grad is None else K.add(x.grad._data, g))
            return
    with _accumulating:
        if create_graph:
            x.grad = g if x.grad is None else x.grad + g
        elif x.grad is None:
            x.grad = Tensor(g if mine else K.copy(g))
        elif x.grad._node is None:
            _add(x.grad._data, g, x.grad._data)
            x.grad._written()
        else:
            x.grad = Tensor(K.add(x.grad._data, g))


def _sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum a gradient over the axes along which its input was broadcast."""
    lead = g.ndim - len(shape)
    axes = (*range(lead), *(i + lead for i, n in enumerate(shape) if n == 1 and g.shape[i + lead] != 1))
    if isinstance(g, Tensor):
        return g.sum(axis=axes, keepdims=True).reshape(shape)
    if len(axes) == lead:
        return K.sum(g, axes)
    return K.sum(g, axes, True).reshape(shape)


def _overwritten(op: str, shape: tuple[int, ...], what: str) -> RuntimeError:
    return RuntimeError(
        f"backward: {op} needs {what} (shape {shape}) as it was in the forward, but it has since been overwritten in "
        "place; compute a new tensor there, or .clone() before writing"
    )
