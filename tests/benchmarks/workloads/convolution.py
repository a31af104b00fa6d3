"""Convolution networks: LeNet-5 on small grey pictures, and a VGG with batch norm on small coloured ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .workload import Network

__all__ = ["NETWORKS"]


def _lenet(framework: Any) -> Any:
    """LeCun et al., Gradient-based learning applied to document recognition, 1998; with ReLU and maximum pooling."""
    nn = framework.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def _vgg(framework: Any) -> Any:
    """Simonyan and Zisserman, Very deep convolutional networks, 2014; with batch norm, six convolutions deep."""
    nn = framework.nn
    layers: list[Any] = []
    channels = 3
    for width in (64, 64, "pool", 128, 128, "pool", 256, 256, "pool"):
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 4 * 4, 10))


def _pictures(channels: int, side: int) -> Callable[[np.random.Generator, int], tuple[Any, Any]]:
    """Noise over one of ten patterns."""
    patterns = np.random.default_rng(1).standard_normal((10, channels, side, side))

    def batch(rng: np.random.Generator, size: int) -> tuple[Any, Any]:
        target = rng.integers(0, 10, size)
        inputs = patterns[target] + rng.standard_normal((size, channels, side, side))
        return inputs.astype(np.float32), target

    return batch


def _sgd(framework: Any, parameters: Any) -> Any:
    return framework.optim.SGD(parameters, lr=1e-3, momentum=0.9)


NETWORKS = {
    "lenet": Network("LeNet 28x28", "SGD with momentum", _lenet, _sgd, _pictures(1, 28), 64),
    "vgg": Network("VGG with batch norm 32x32", "SGD with momentum", _vgg, _sgd, _pictures(3, 32), 32),
}
