"""Time per training step beside PyTorch, eager and compiled, in one process, from the same weights and data."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .models import MODELS, Model

__all__ = ["run"]

_ROUNDS, _SECONDS = 5, 0.5  # rounds in turn, and how long each takes about
_BUDGET = 110.0  # seconds for all models; what comes later is left out
_COMPARED = 10  # steps from the common start whose losses are compared

Step = Callable[[], Any]


def run(entry: dict[str, Any], save: Callable[[], None], emulate: bool) -> None:
    """Every model in turn; one that fails costs its own row only."""
    import tensorgrad as tg

    torch = _torch() if not emulate else None
    if torch is None:
        entry["notes"].append("PyTorch with CUDA is not installed: tensorgrad alone")
    entry["notes"].append("median milliseconds per step (forward, backward, AdamW), the frameworks taking turns")
    entry["notes"].append("tensorgrad jit is tg.jit of the whole step; graphs says what one step of it launches")
    end = time.monotonic() + _BUDGET
    failed = []
    for model in MODELS:
        row: dict[str, Any] = {"model": model.title, "dtype": model.precision}
        entry["rows"].append(row)
        lacking = [name for name in model.needs if not _has(tg.nn, name)]
        if lacking:
            row["tensorgrad"] = f"not built yet: {', '.join(lacking)}"
        elif time.monotonic() > end:
            row["tensorgrad"] = "left out: no time left"
        else:
            try:
                _compare(model, row, tg, torch, emulate, end)
            except Exception as error:
                row["failed"] = f"{type(error).__name__}: {str(error)[:300]}"
                failed.append(f"{model.title} {model.precision}: {row['failed']}")
        save()
        tg.cuda.empty_cache()
        if torch is not None:
            torch.cuda.empty_cache()
    entry["notes"] += _refused()
    if failed:
        entry["error"] = "\n".join(failed)


def _torch() -> Any:
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    return torch if torch.cuda.is_available() else None


def _has(owner: Any, name: str) -> bool:
    try:
        functools.reduce(getattr, name.split("."), owner)
    except AttributeError:
        return False
    return True


def _forget_who_computed() -> None:
    from tensorgrad.kernels.cuda import attention, conv

    for family in (attention, conv):
        family.computed_by.clear()


def _who_computed() -> str:
    """Convolution and attention of the last steps: cuDNN or the own kernels."""
    from tensorgrad.kernels.cuda import attention, conv

    used = {**conv.computed_by, **attention.computed_by}
    return ", ".join(f"{name}: {who}" for name, who in used.items())


def _refused() -> list[str]:
    """What cuDNN was asked for and does not compute, with its reasons."""
    from tensorgrad.kernels.cuda import cudnn

    return [f"cuDNN refused {name}: {reason}" for name, reason in cudnn.refusals().items()]


def _step(framework: Any, model: Model, module: Any, batch: tuple[Any, Any]) -> Step:
    optimizer = framework.optim.AdamW(module.parameters(), lr=1e-4)
    cross_entropy = framework.nn.functional.cross_entropy
    inputs, target = batch

    def precision() -> Any:
        if model.autocast is None:
            return contextlib.nullcontext()
        return framework.amp.autocast("cuda", dtype=getattr(framework, model.autocast))

    def step() -> Any:
        optimizer.zero_grad()
        with precision():
            loss = cross_entropy(module(inputs), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _built(framework: Any, model: Model, tiny: bool, weights: dict[str, Any] | None) -> tuple[Any, tuple[Any, Any]]:
    """The module and a batch on the GPU; from ``weights`` as NumPy arrays, if given."""
    inputs, target = model.batch(np.random.default_rng(0), tiny)
    module = model.build(framework, tiny)
    if weights is not None:
        module.load_state_dict({name: framework.tensor(array) for name, array in weights.items()})
    dtype = getattr(framework, model.dtype)
    module = module.to("cuda").to(dtype)
    x, y = framework.tensor(inputs, device="cuda"), framework.tensor(target, device="cuda")
    return module, (x.to(dtype) if inputs.dtype.kind == "f" else x, y)


def _compare(model: Model, row: dict[str, Any], tg: Any, torch: Any, emulate: bool, end: float) -> None:
    tg.manual_seed(0)
    module, batch = _built(tg, model, emulate, None)
    weights = {name: value.detach().to(tg.float32).cpu().numpy() for name, value in module.state_dict().items()}
    steps: dict[str, Step] = {"tensorgrad": _step(tg, model, module, batch)}
    other, batch = _built(tg, model, emulate, weights)
    steps["tensorgrad jit"] = captured = tg.jit(_step(tg, model, other, batch))
    if torch is not None:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        steps["torch"] = _step(torch, model, *_built(torch, model, emulate, weights))
        compiled, batch = _built(torch, model, emulate, weights)
        compiled.compile()
        steps["torch.compile"] = _step(torch, model, compiled, batch)
    losses: dict[str, list[float]] = {}
    _forget_who_computed()
    for name in list(steps):
        try:
            tg.cuda.reset_peak_memory_stats()
            losses[name] = [float(steps[name]().item()) for _ in range(3 if emulate else _COMPARED)]
        except Exception as error:  # a compiler that is missing, say: its own cell only
            row[name] = f"{type(error).__name__}: {str(error)[:120]}"
            if name == "tensorgrad":
                raise
            del steps[name]
        if name == "tensorgrad":
            row["peak MiB"] = tg.cuda.max_memory_allocated() / 2**20
            row["computed by"] = _who_computed()
        if name == "tensorgrad jit":
            row["graphs"] = captured._last.replay.summary
    first = losses["tensorgrad"]
    if not all(np.isfinite(first)):
        raise FloatingPointError(f"the losses are not finite: {first}")
    row["ran"] = True
    if "tensorgrad jit" in losses:
        pairs = zip(first, losses["tensorgrad jit"], strict=True)
        row["largest loss difference of jit"] = max(abs(a - b) for a, b in pairs)
    if emulate:
        return
    waits = {name: torch.cuda.synchronize if name.startswith("torch") else tg.cuda.synchronize for name in steps}
    times = _times(steps, waits, end)
    for name, median in times.items():
        row[name] = median * 1e3
    if "torch" in times:
        row["of torch"] = times["tensorgrad"] / times["torch"]
        row["largest loss difference"] = max(abs(a - b) for a, b in zip(first, losses["torch"], strict=True))
        if "tensorgrad jit" in times:
            row["jit of torch"] = times["tensorgrad jit"] / times["torch"]
    if "torch.compile" in times:
        row["of torch.compile"] = times["tensorgrad"] / times["torch.compile"]
        if "tensorgrad jit" in times:
            row["jit of torch.compile"] = times["tensorgrad jit"] / times["torch.compile"]


def _times(steps: dict[str, Step], waits: dict[str, Callable[[], Any]], end: float) -> dict[str, float]:
    """Median over the rounds of the seconds per step."""
    counts = {}
    for name, step in steps.items():
        seconds = _lap(step, waits[name], 3)
        counts[name] = max(3, int(_SECONDS / seconds))
    laps: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(_ROUNDS):
        if turn and time.monotonic() > end:
            break
        for name in list(steps) if turn % 2 == 0 else reversed(list(steps)):
            laps[name].append(_lap(steps[name], waits[name], counts[name]))
    return {name: statistics.median(values) for name, values in laps.items()}


def _lap(step: Step, wait: Callable[[], Any], count: int) -> float:
    wait()
    start = time.perf_counter()
    for _ in range(count):
        step()
    wait()
    return (time.perf_counter() - start) / count
