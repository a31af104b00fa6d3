"""How much of the memory bandwidth each fused kernel reaches, against a device-to-device copy measured here."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["run"]

_ELEMENTS = 1 << 26  # of an operand: many times the second-level cache
_ROUNDS = 20
_COLUMNS = (1024, 32768)  # of the rows that are normalised: a layer's width, a vocabulary

Case = tuple[str, Callable[[], Any], int]


def _random(shape: tuple[int, ...], dtype: str) -> Any:
    import tensorgrad as tg

    return tg.randn(*shape, device="cuda").astype(tg.bfloat16 if dtype == "bfloat16" else dtype)._data


def _cases(elements: int, dtype: str, columns: int, steps: bool) -> Iterator[Case]:
    """``(name, launch, bytes that must move at least)`` of every fused kernel."""
    import tensorgrad as tg
    from tensorgrad import kernels as K

    shape = (elements // columns, columns)
    x, g, y = (_random(shape, dtype) for _ in range(3))
    bias = _random((columns,), dtype)
    target = tg.randint(0, columns, (shape[0],), device="cuda")._data
    n = x.nbytes
    yield "bias_activation gelu", lambda: K.bias_activation(x, bias, "gelu"), 2 * n
    yield "bias_activation_backward gelu", lambda: K.bias_activation_backward(g, x, bias, "gelu"), 3 * n
    yield "gelu_backward", lambda: K.gelu_backward(g, x, y), 3 * n
    yield "softmax", lambda: K.softmax(x, -1), 2 * n
    yield "softmax_backward", lambda: K.softmax_backward(g, y, -1), 3 * n
    yield "log_softmax", lambda: K.log_softmax(x, -1), 2 * n
    yield "log_softmax_backward", lambda: K.log_softmax_backward(g, y, -1), 3 * n
    loss, lse = K.cross_entropy(x, target)
    yield "cross_entropy", lambda: K.cross_entropy(x, target), n
    yield "cross_entropy_backward", lambda: K.cross_entropy_backward(loss, x, target, lse), 2 * n
    chances = K.softmax(y, -1)
    loss2, lse2 = K.soft_cross_entropy(x, chances)
    yield "soft_cross_entropy", lambda: K.soft_cross_entropy(x, chances), 2 * n
    yield "soft_cross_entropy_backward", lambda: K.soft_cross_entropy_backward(loss2, x, chances, lse2), 3 * n
    chain, moved = _chain(x, g, bias)
    yield "generated chain of add, gelu, multiply", chain, moved
    yield "dropout", lambda: K.dropout(x, 0.1, 0, 0), 2 * n
    yield "sum of rows", lambda: K.sum(x, -1), n
    yield "sum of columns", lambda: K.sum(x, 0), n
    _, mean, rstd = K.layer_norm(x, bias, bias)
    yield "layer_norm", lambda: K.layer_norm(x, bias, bias), 2 * n
    yield "layer_norm_backward", lambda: K.layer_norm_backward(g, x, mean, rstd, bias, 1, True, True), 3 * n
    _, means, variances = K.batch_norm(x, bias, bias)
    yield "batch_norm", lambda: K.batch_norm(x, bias, bias), 3 * n
    yield "batch_norm_with", lambda: K.batch_norm_with(x, means, variances, bias, bias), 2 * n
    yield "batch_norm_backward", lambda: K.batch_norm_backward(g, x, means, variances, bias), 5 * n
    if steps:
        yield from _steps(elements, dtype)


def _chain(x: Any, g: Any, bias: Any) -> tuple[Callable[[], Any], int]:
    """``gelu(x + bias) * g`` as `tg.jit` generates it, and the bytes that it moves."""
    from tensorgrad.kernels.cuda.fused import FusedChain, Operation, Value

    from tensorgrad import kernels as K

    operations = [
        Operation(K.add, (Value(0), Value(1)), 3),
        Operation(K.gelu, (Value(3),), 4),
        Operation(K.multiply, (Value(4), Value(2)), 5),
    ]
    chain = FusedChain(x.size, [x.dtype] * 6, [(0, x.size), (1, bias.size), (2, x.size)], operations, [5])
    return chain.bind([x, bias, g], [K.copy(x)], []), 3 * x.nbytes


def _steps(elements: int, dtype: str) -> Iterator[Case]:
    """Optimizers over a list of parameters."""
    from tensorgrad import kernels as K

    def many(kind: str) -> list[Any]:
        return [_random((elements // 16,), kind) for _ in range(8)]

    params, grads, buffers, m, v = (many(dtype) for _ in range(5))
    steps = [_random((1,), "float32").reshape(()) for _ in params]
    for step in steps:
        step.fill(0)
    size = sum(p.nbytes for p in params)
    yield (
        "sgd_step with momentum",
        lambda: K.sgd_step(params, grads, buffers, 0.0, 0.9, 0.0, 0.0, False, False, False),
        5 * size,
    )
    yield "global_norm", lambda: K.global_norm(grads), size
    yield "scale", lambda: K.scale(grads, 1.0), 2 * size
    yield (
        "adam_step",
        lambda: K.adam_step(params, grads, m, v, None, steps, 0.0, 0.9, 0.999, 1e-8, 0.0, True, False),
        7 * size,
    )


def _seconds(launch: Callable[[], Any], rounds: int) -> float:
    """Median time of a launch by the device's clock."""
    import tensorgrad as tg

    for _ in range(3):
        launch()
    times = []
    for _ in range(rounds):
        start, end = tg.cuda.Event(enable_timing=True), tg.cuda.Event(enable_timing=True)
        start.record()
        launch()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return statistics.median(times)


def run(entry: dict[str, Any], save: Callable[[], None], emulate: bool) -> None:
    """Measure the copy, then every kernel; one that fails costs its own row only."""
    import tensorgrad as tg
    from tensorgrad import kernels as K

    elements, rounds, widths = (1 << 10, 1, (16,)) if emulate else (_ELEMENTS, _ROUNDS, _COLUMNS)
    source = _random((elements,), "float32")
    target = _random((elements,), "float32")
    copy = 2 * source.nbytes / _seconds(lambda: K.copy(source, out=target), rounds)
    entry["copy_bytes_per_second"] = None if emulate else copy
    if not emulate:
        entry["notes"].append(f"copy on the device: {copy / 1e9:.0f} GB/s, reading and writing counted")
    failed = []
    for dtype in ("float32", "bfloat16"):
        for columns in widths:
            for name, launch, moved in _made(
                _cases(elements, dtype, columns, columns == widths[0]), failed, f"{dtype} {columns}"
            ):
                row: dict[str, Any] = {"kernel": name, "dtype": dtype, "columns": columns}
                try:
                    rate = moved / _seconds(launch, rounds)
                    row |= {"ran": True} if emulate else {"GB/s": rate / 1e9, "share of copy": rate / copy}
                except Exception as error:
                    row["failed"] = f"{type(error).__name__}: {str(error)[:200]}"
                    failed.append(f"{name} {dtype} {columns}: {row['failed']}")
                entry["rows"].append(row)
                save()
            tg.cuda.empty_cache()
    entry["notes"].append(
        "bytes counted are those that must move: every operand read once, every result written once; batch norm, whose "
        "statistics come first, reads its input twice"
    )
    if failed:
        entry["error"] = "\n".join(failed)


def _made(cases: Iterator[Case], failed: list[str], what: str) -> Iterator[Case]:
    """The cases up to one that cannot even be set up."""
    try:
        yield from cases
    except Exception as error:
        failed.append(f"{what}: {type(error).__name__}: {error}")
