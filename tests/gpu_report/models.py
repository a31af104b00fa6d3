"""The models whose training is timed, written once in the names that tensorgrad and PyTorch share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

__all__ = ["MODELS", "Model"]

Batch = tuple[Any, Any]  # NumPy arrays


@dataclass(frozen=True)
class Model:
    """One row of the report.

    Attributes
    ----------
    title : str
    needs : tuple of str
        Names under ``nn`` without which the model cannot be built.
    build : callable
        ``build(framework, tiny)`` is the module; ``tiny`` asks for a size that an emulator bears.
    batch : callable
        ``batch(rng, tiny)`` is ``(inputs, target)``.
    dtype : str
        Of the weights and the inputs.
    autocast : str, optional
        The half type that forward pass and loss are run in, with weights in ``dtype``.
    """

    title: str
    needs: tuple[str, ...]
    build: Callable[[Any, bool], Any]
    batch: Callable[[np.random.Generator, bool], Batch]
    dtype: str = "float32"
    autocast: str | None = None

    @property
    def precision(self) -> str:
        """What the report calls it."""
        return f"{self.autocast} (autocast)" if self.autocast else self.dtype


# --------------------------------------------------------------------------------------------------------------- MLPs
def _mlp(sizes: tuple[int, ...], activation: str) -> Callable[[Any, bool], Any]:
    def build(framework: Any, tiny: bool) -> Any:
        layers: list[Any] = []
        for fan_in, fan_out in pairwise((8, 6, 4) if tiny else sizes):
            layers += [framework.nn.Linear(fan_in, fan_out), getattr(framework.nn, activation)()]
        return framework.nn.Sequential(*layers[:-1])

    return build


def _vectors(rows: int, features: int, classes: int) -> Callable[[np.random.Generator, bool], Batch]:
    def batch(rng: np.random.Generator, tiny: bool) -> Batch:
        n, width, count = (4, 8, 4) if tiny else (rows, features, classes)
        return rng.standard_normal((n, width)).astype(np.float32), rng.integers(0, count, n)

    return batch


# --------------------------------------------------------------------------------------------------------- ResNet-18
def _resnet(framework: Any, tiny: bool) -> Any:
    """He et al., Deep Residual Learning for Image Recognition, 2015: 18 layers, 11.7 million weights."""
    nn = framework.nn

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.relu = nn.ReLU()
            same = stride == 1 and inputs == outputs
            self.downsample = (
                nn.Identity()
                if same
                else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            )

        def forward(self, x: Any) -> Any:
            y = self.relu(self.bn1(self.conv1(x)))
            return self.relu(self.bn2(self.conv2(y)) + self.downsample(x))

    widths = (4, 8) if tiny else (64, 128, 256, 512)
    layers: list[Any] = [
        nn.Conv2d(3, widths[0], 7, 2, 3, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = widths[0]
    for i, width in enumerate(widths):
        layers += [Block(inputs, width, 1 if i == 0 else 2), Block(width, width, 1)]
        inputs = width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10 if tiny else 1000)]
    return nn.Sequential(*layers)


def _images(rng: np.random.Generator, tiny: bool) -> Batch:
    n, size, classes = (2, 16, 10) if tiny else (64, 224, 1000)
    return rng.standard_normal((n, 3, size, size)).astype(np.float32), rng.integers(0, classes, n)


# -------------------------------------------------------------------------------------------------------------- GPT-2
def _gpt(framework: Any, tiny: bool) -> Any:
    """Radford et al., Language Models are Unsupervised Multitask Learners, 2019: 124 million weights."""
    nn, functional = framework.nn, framework.nn.functional
    width, heads, depth, vocabulary, context = (8, 2, 1, 16, 8) if tiny else (768, 12, 12, 50304, 1024)

    class Block(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.c_fc, self.c_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            n, t, _ = x.shape
            mixed = self.c_attn(self.ln_1(x)).reshape(n, t, 3, heads, width // heads)
            parts = framework.moveaxis(mixed, 2, 0)
            q, k, v = (framework.swapaxes(parts[i], 1, 2) for i in range(3))
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.c_proj(framework.swapaxes(y, 1, 2).reshape(n, t, width))
            return x + self.c_out(functional.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))

    class GPT(nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
            self.h = nn.ModuleList([Block() for _ in range(depth)])
            self.ln_f = nn.LayerNorm(width)
            self.lm_head = nn.Linear(width, vocabulary, bias=False)
            self.lm_head.weight = self.wte.weight

        def forward(self, tokens: Any) -> Any:
            positions = framework.arange(tokens.shape[1], device=tokens.device)
            x = self.wte(tokens) + self.wpe(positions)
            for block in self.h:
                x = block(x)
            return self.lm_head(self.ln_f(x)).reshape(-1, vocabulary)

    return GPT()


def _text(rng: np.random.Generator, tiny: bool) -> Batch:
    n, context, vocabulary = (2, 8, 16) if tiny else (8, 1024, 50257)
    tokens = rng.integers(0, vocabulary, (n, context + 1))
    return tokens[:, :-1].copy(), tokens[:, 1:].reshape(-1).copy()


_CONVOLUTION = ("Conv2d", "BatchNorm2d", "MaxPool2d", "AdaptiveAvgPool2d")
_TRANSFORMER = ("Embedding", "LayerNorm", "ModuleList", "functional.scaled_dot_product_attention")
_MLP = _mlp((784, 256, 128, 10), "ReLU"), _vectors(64, 784, 10)
_LARGE = _mlp((1024, 2048, 2048, 1000), "GELU"), _vectors(256, 1024, 1000)

MODELS = (
    Model("MLP 784-256-128-10, batch 64", (), *_MLP),
    Model("MLP 1024-2048-2048-1000, batch 256", (), *_LARGE),
    Model("MLP 1024-2048-2048-1000, batch 256", (), *_LARGE, "bfloat16"),
    Model("ResNet-18, batch 64, 224x224", _CONVOLUTION, _resnet, _images),
    Model("ResNet-18, batch 64, 224x224", _CONVOLUTION, _resnet, _images, autocast="bfloat16"),
    Model("GPT-2 124M, batch 8, context 1024", _TRANSFORMER, _gpt, _text),
    Model("GPT-2 124M, batch 8, context 1024", _TRANSFORMER, _gpt, _text, autocast="bfloat16"),
)
