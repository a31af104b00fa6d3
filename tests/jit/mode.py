"""The mode that ``pytest --jit`` turns on: whatever module of the library a test calls is also captured and replayed.

The results, the buffers that the call changes, the random numbers that it draws and the gradients of its results must
be those of the plain call. Modules that tests define count their own calls, so those are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from tensorgrad.kernels import registry
from tensorgrad.kernels.cpu.blas import one_thread

import tensorgrad as tg
from tensorgrad import generator, nn
from tensorgrad.capture import CaptureError
from tensorgrad.jit.passes import SMALLEST
from tensorgrad.jit.signature import flatten
from tensorgrad.tape import grad_mode

__all__ = ["compared", "install"]

_plain = nn.Module.__call__
_busy = False
compared: dict[str, int] = {}
"""How often modules of a class were compared."""


def install() -> None:
    """Turn the mode on, for the rest of the process."""
    nn.Module.__call__ = _checked  # type: ignore[method-assign]
    one_thread.used = True  # from the first walk of several threads on, products are split, and round otherwise


def _checked(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    global _busy
    if _busy or registry._hooks or generator._draws.get() or not _is_the_librarys(module):
        return _plain(module, *args, **kwargs)
    _busy = True
    try:
        return _compared(module, args, kwargs)
    finally:
        _busy = False


def _is_the_librarys(module: nn.Module) -> bool:
    modules = list(module.modules())
    return all(type(m).__module__.startswith("tensorgrad.") and not m._hooked for m in modules)


def _compared(module: nn.Module, args: Any, kwargs: Any) -> Any:
    given: list[Any] = []
    flatten((args, kwargs), given)
    tensors = [x for x in given if isinstance(x, tg.Tensor)]
    watched = [*tensors, *module.buffers()]
    before = [_array(x) for x in watched]
    random = tg.random.get_rng_state()
    expected = _plain(module, *args, **kwargs)
    after = [_array(x) for x in watched], tg.random.get_rng_state()
    kept = all(map(_equal, before, after[0]))
    if not kept and any(x._node is not None for x in tensors):
        return expected  # a differentiable argument was overwritten: that cannot be undone
    results: list[Any] = []
    flatten(expected, results)
    captured = tg.jit(module)
    try:
        for _ in range(2):
            _put_back(watched, before)
            tg.random.set_rng_state(random)
            found: list[Any] = []
            flatten(captured(*args, **kwargs), found)
    except CaptureError:  # says that it cannot: then there is nothing to compare
        _put_back(watched, after[0])
        tg.random.set_rng_state(after[1])
        return expected
    name = type(module).__name__
    compared[name] = compared.get(name, 0) + 1
    for a, b in zip(results, found, strict=True):
        _same(_array(b), _array(a), name)
        assert a.requires_grad == b.requires_grad, name
    for a, b in zip(after[0], map(_array, watched), strict=True):
        _same(b, a, f"what {name} writes")
    np.testing.assert_array_equal(tg.random.get_rng_state(), after[1], err_msg=name)
    _same_gradients(results, found, [*tensors, *module.parameters()], name)
    return expected


def _same_gradients(results: list[Any], found: list[Any], sources: list[Any], name: str) -> None:
    places = [i for i, y in enumerate(results) if y.requires_grad and y.grad_fn is not None]
    wanted = [x for x in {id(x): x for x in sources}.values() if x.requires_grad]
    if not places or not wanted or not grad_mode.get():
        return
    gradients = []
    for outputs in (results, found):
        chosen = [outputs[i] for i in places]
        seeds = [tg.ones_like(y) for y in chosen]
        with _without_hooks(wanted):
            gradients.append(tg.autograd.grad(chosen, wanted, seeds, retain_graph=True, allow_unused=True))
    for a, b in zip(*gradients, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            _same(_array(b), _array(a), f"gradient of {name}")


@contextmanager
def _without_hooks(tensors: list[Any]) -> Iterator[None]:
    hooks = [x._node.hooks for x in tensors]
    for x in tensors:
        x._node.hooks = None
    try:
        yield
    finally:
        for x, held in zip(tensors, hooks, strict=True):
            x._node.hooks = held


def _put_back(tensors: list[Any], arrays: list[Any]) -> None:
    for x, array in zip(tensors, arrays, strict=True):
        if not _equal(_array(x), array):
            x._data[...] = tg.tensor(array, device=x.device)._data


def _equal(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")


def _array(x: Any) -> Any:
    array = x.detach().cpu()
    return array.astype(tg.float32).numpy().copy() if array.dtype.kind == "V" else array.numpy().copy()


def _same(found: Any, expected: Any, name: str) -> None:
    # A chain may add up in another order; and a transformer knows a causal mask by its values, unseen by a capture.
    reordered = expected.size >= SMALLEST or "Transformer" in name
    if expected.dtype.kind in "fc" and reordered:
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * scale, err_msg=name)
    else:
        np.testing.assert_array_equal(found, expected, err_msg=name)
