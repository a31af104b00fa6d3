"""A training step's kernels are recorded by stream capture and replayed: none of them waits for, or asks, the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tensorgrad.kernels import INSTRUCTIONS

from tests import cuda_emulator
from tests.kernels.test_cuda_agreement import array, to_device


def run(name: str, *args: Any, **params: Any) -> Any:
    """Launch on CUDA."""
    return INSTRUCTIONS[name].cuda(*args, **params)


def step(tokens: Any, target: Any, table: Any, weight: Any, bias: Any, state: dict[str, Any]) -> Any:
    """Embedding, linear layer, cross-entropy, their gradients and Adam."""
    cupy = cuda_emulator.install()
    x = run("take", table, tokens, 0)
    z = run("linear", x, weight, bias)
    y = run("bias_activation", z, bias, "gelu")
    loss, lse = run("cross_entropy", y, target)
    total = run("mean", loss)
    g = run("divide", cupy.ones_like(loss), float(loss.size))
    g = run("cross_entropy_backward", g, y, target, lse)
    g = run("bias_activation_backward", g, z, bias, "gelu")
    d_bias = run("sum", g, 0)
    d_weight = run("matmul", g.T, x)
    d_x = run("matmul", g, weight)
    d_table = cupy.zeros_like(table)
    run("take_add", d_table, tokens, d_x, 0)
    run("logsumexp", run("softmax", run("concat", [y, z], 1)), 1)
    run("assign", state["copy"], run("where", run("greater", d_x, 0.0), d_x, 0.0))
    grads = [d_table, d_weight, d_bias]
    moments = (state["m"], state["v"])
    run(
        "adam_step",
        [table, weight, bias],
        grads,
        *moments,
        None,
        state["steps"],
        state["lr"],
        0.9,
        0.99,
        1e-8,
        0.1,
        True,
        False,
    )
    return total


@pytest.fixture
def cublas() -> Any:
    cuda_emulator.install()
    from tensorgrad.kernels.cuda import gemm

    before = gemm.substitute(cuda_emulator.cublas)
    yield
    gemm.substitute(before)


def inputs() -> tuple[list[Any], dict[str, Any]]:
    rng = np.random.default_rng(0)
    table, weight, bias = array((9, 4)), array((5, 4), seed=1), array((5,), seed=2)
    arrays = to_device([rng.integers(0, 9, 40), rng.integers(0, 5, 40), table, weight, bias])
    cupy = cuda_emulator.install()
    state = {name: [cupy.zeros_like(a) for a in arrays[2:]] for name in ("m", "v")}
    steps = [cupy.zeros((), "f4") for _ in range(3)]
    return arrays, {**state, "steps": steps, "lr": cupy.asarray(np.float32(0.01)), "copy": cupy.zeros((40, 4), "f4")}


@pytest.mark.usefixtures("cublas")
def test_replay_equals_eager() -> None:
    cupy = cuda_emulator.install()
    eager, eager_state = inputs()
    losses = [float(step(*eager, eager_state).get()) for _ in range(4)]
    assert losses[3] < losses[0]

    captured, state = inputs()
    stream = cupy.cuda.Stream(non_blocking=True)
    pool = cupy.cuda.MemoryPool()
    cupy.cuda.Device().synchronize()
    with stream, cupy.cuda.using_allocator(pool.malloc):
        replayed = [float(step(*captured, state).get())]  # compiles
        stream.begin_capture()
        total = step(*captured, state)
        graph = stream.end_capture()
        for _ in range(3):
            graph.launch()
            stream.synchronize()
            replayed.append(float(total.get()))
    assert replayed == losses
    for a, b in zip(eager, captured, strict=True):
        np.testing.assert_array_equal(a.get(), b.get())
