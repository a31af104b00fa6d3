"""One seed, one program, two devices: the same initial weights, dropout masks and, within rounding, losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["run"]

_TOLERANCE = 1e-3  # relative, of the loss after a whole run in float32; products are summed in another order


def _train(device: str, steps: int, width: int) -> tuple[list[float], Any, Any]:
    """Losses, a dropout mask, and the weights at the start."""
    import tensorgrad as tg
    from tensorgrad import nn

    tg.manual_seed(0)
    tg.set_default_device(device)
    try:
        model = nn.Sequential(
            nn.Linear(32, width), nn.GELU(), nn.Dropout(0.2), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
        )
        assert str(model[0].weight.device).split(":")[0] == device, "the model is not on the default device"
        first = model[0].weight.detach().cpu().numpy().copy()
        mask = (nn.Dropout(0.5)(tg.ones(1000)) > 0).cpu().numpy()
        inputs, target = tg.randn(256, 32), tg.randint(0, 10, (256,))
        optimizer = tg.optim.AdamW(model.parameters(), lr=1e-3)
        loader = tg.data.DataLoader(tg.data.TensorDataset(inputs, target), batch_size=64, shuffle=True)
        losses: list[Any] = []
        while len(losses) < steps:
            for x, y in loader:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        return [float(loss.item()) for loss in losses[:steps]], mask, first
    finally:
        tg.set_default_device(None)


def run(entry: dict[str, Any], save: Callable[[], None], emulate: bool) -> None:
    """Compare the two runs."""
    steps, width = (4, 16) if emulate else (200, 256)
    cpu, cpu_mask, cpu_weights = _train("cpu", steps, width)
    gpu, gpu_mask, gpu_weights = _train("cuda", steps, width)
    difference = float(max(abs(a - b) / max(abs(a), 1e-6) for a, b in zip(cpu, gpu, strict=True)))
    weights = bool(np.array_equal(cpu_weights, gpu_weights))
    close = bool(np.allclose(cpu_weights, gpu_weights, rtol=1e-6, atol=1e-7))
    masks = bool(np.array_equal(cpu_mask, gpu_mask))
    entry["rows"] = [
        {"what": "initial weights, equal to the bit", "result": weights},
        {"what": "initial weights, within 1e-6", "result": close},
        {"what": "dropout masks, equal", "result": masks},
        {"what": f"losses of {steps} steps, largest relative difference", "result": difference},
        {"what": "last loss on the CPU", "result": cpu[-1]},
        {"what": "last loss on the GPU", "result": gpu[-1]},
    ]
    entry["losses"] = {"cpu": cpu, "cuda": gpu}
    if not (masks and close and difference < _TOLERANCE):
        entry["error"] = f"the devices disagree: masks {masks}, weights {close}, losses differ by {difference:.2e}"
    save()
