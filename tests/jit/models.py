"""The models that the suite, the benchmarks and the examples train, at sizes of a test.

`MODELS` is the one list: each is a module with its loss, optimizer and batches, trained captured and not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import tensorgrad as tg
from tensorgrad import nn

from .compare import assert_same

__all__ = ["MODELS", "Trained", "run", "same_everywhere"]

F = nn.functional
VOCABULARY = 17


@dataclass(frozen=True)
class Trained:
    """A model with what it is trained on.

    Attributes
    ----------
    build : callable
        Gives the module.
    batch : callable
        ``batch(rng)`` is the inputs and the targets, NumPy arrays.
    loss : callable
        ``loss(outputs, target)``.
    optimizer : callable
        ``optimizer(parameters)``.
    """

    build: Callable[[], Any]
    batch: Callable[[np.random.Generator], tuple[Any, ...]]
    loss: Callable[[Any, Any], Any] = F.cross_entropy
    optimizer: Callable[[Any], Any] = lambda parameters: tg.optim.SGD(parameters, lr=0.05, momentum=0.9)


# ------------------------------------------------------------------------------------------------------------- batches
def vectors(features: int, classes: int, size: int = 8) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Vectors and classes."""
    return lambda rng: (
        rng.standard_normal((size, features)).astype(np.float32),
        rng.integers(0, classes, size),
    )


def numbers(features: int, results: int, size: int = 8) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Vectors and vectors."""
    return lambda rng: (
        rng.standard_normal((size, features)).astype(np.float32),
        rng.standard_normal((size, results)).astype(np.float32),
    )


def pictures(channels: int, side: int, size: int = 4) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Pictures and classes."""
    return lambda rng: (
        rng.standard_normal((size, channels, side, side)).astype(np.float32),
        rng.integers(0, 10, size),
    )


def characters(length: int, size: int = 3) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Characters and those that come next."""

    def batch(rng: np.random.Generator) -> tuple[Any, ...]:
        text = rng.integers(0, VOCABULARY, (size, length + 1))
        return np.ascontiguousarray(text[:, :-1]), np.ascontiguousarray(text[:, 1:])

    return batch


# -------------------------------------------------------------------------------------------------------------- models
class Recurrent(nn.Module):
    """Characters through a recurrent layer to the scores of the next ones."""

    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        self.layer = kind(12, 10, batch_first=True, **options)
        self.head = nn.Linear(10 * (2 if options.get("bidirectional") else 1), VOCABULARY)

    def forward(self, tokens: Any) -> Any:
        states, _ = self.layer(self.embedding(tokens))
        return self.head(states)


class Block(nn.Module):
    """Pre-norm decoder block."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def attention(self, x: Any) -> Any:
        split = (x.shape[0], x.shape[1], self.heads, x.shape[2] // self.heads)
        q, k, v = (part.reshape(split).swapaxes(1, 2) for part in self.qkv(x).chunk(3, axis=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.swapaxes(1, 2).reshape(x.shape))

    def forward(self, x: Any) -> Any:
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))


class GPT(nn.Module):
    """Character GPT."""

    def __init__(self, layers: int = 2, width: int = 16, heads: int = 2, length: int = 9, dropout: float = 0.0) -> None:
        super().__init__()
        self.token = nn.Embedding(VOCABULARY, width)
        self.position = nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, VOCABULARY, bias=False)

    def forward(self, tokens: Any) -> Any:
        x = self.token(tokens) + self.position(tg.arange(tokens.shape[1], device=tokens.device))
        return self.head(self.norm(self.blocks(x)))


class Tied(nn.Module):
    """One weight as embedding and as head."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        self.head = nn.Linear(12, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Any) -> Any:
        return self.head(tg.tanh(self.embedding(tokens)))


class Residual(nn.Module):
    """Convolution with a shortcut and group norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.norm = nn.GroupNorm(2, 8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Any) -> Any:
        x = F.relu(self.stem(x))
        x = x + self.second(F.silu(self.norm(self.first(x))))
        return self.head(x.mean(axis=(2, 3)))


def _per_token(outputs: Any, target: Any) -> Any:
    return F.cross_entropy(outputs.reshape(-1, outputs.shape[-1]), target.reshape(-1))


def _lenet() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24, 20), nn.ReLU(), nn.Linear(20, 10),
    )  # fmt: skip


def _vgg() -> Any:
    layers: list[Any] = []
    for before, after in ((3, 8), (8, 12)):
        layers += [
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.AvgPool2d(2),
        ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(48, 10))


def _digits() -> Any:
    """That of ``examples/train_digits.py``."""
    return nn.Sequential(
        nn.Dropout(0.15), nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 128), nn.ReLU(),
        nn.Dropout(0.3), nn.Linear(128, 10),
    )  # fmt: skip


def _autoencoder() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, stride=2, padding=1), nn.LeakyReLU(), nn.ConvTranspose2d(6, 1, 2, stride=2), nn.Sigmoid()
    )


def _encoder() -> Any:
    layer = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.1, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(80, 10))


def _adam(parameters: Any) -> Any:
    return tg.optim.Adam(parameters, lr=1e-2)


def _adamw(parameters: Any) -> Any:
    return tg.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1)


def _small(*layers: Any) -> Callable[[], Any]:
    return lambda: nn.Sequential(*(layer() for layer in layers))


MODELS: dict[str, Trained] = {
    "line": Trained(lambda: nn.Linear(1, 1), numbers(1, 1), F.mse_loss),
    "mlp": Trained(
        _small(lambda: nn.Linear(12, 16), nn.ReLU, lambda: nn.Linear(16, 5)), vectors(12, 5),
        optimizer=lambda p: tg.optim.SGD(p, lr=0.1),
    ),
    "mlp-gelu-adamw": Trained(
        _small(lambda: nn.Linear(12, 16), nn.GELU, lambda: nn.Linear(16, 5)), vectors(12, 5), optimizer=_adamw
    ),
    "mlp-wide": Trained(  # above the size from which launches are gathered into chains
        _small(lambda: nn.Linear(20, 600), nn.GELU, lambda: nn.Linear(600, 700), nn.Tanh, lambda: nn.Linear(700, 5)),
        vectors(20, 5, 64), optimizer=_adam,
    ),
    "mlp-rmsprop": Trained(
        _small(lambda: nn.Linear(6, 9), nn.SiLU, lambda: nn.RMSNorm(9), lambda: nn.Linear(9, 2)), numbers(6, 2),
        F.smooth_l1_loss, lambda p: tg.optim.RMSprop(p, lr=1e-2, momentum=0.5),
    ),
    "digits": Trained(_digits, vectors(64, 10, 16), optimizer=_adamw),
    "lenet": Trained(_lenet, pictures(1, 18)),
    "vgg": Trained(_vgg, pictures(3, 8)),
    "vgg-chains": Trained(_vgg, pictures(3, 8, 72)),
    "residual": Trained(Residual, pictures(3, 6), optimizer=_adam),
    "autoencoder": Trained(_autoencoder, lambda rng: (rng.random((2, 1, 8, 8), np.float32),) * 2, F.mse_loss, _adam),
    "batch-norm-1d": Trained(
        _small(lambda: nn.Linear(6, 9), lambda: nn.BatchNorm1d(9), nn.ELU, lambda: nn.Linear(9, 3)), vectors(6, 3)
    ),
    "rnn": Trained(lambda: Recurrent(nn.RNN), characters(6), _per_token),
    "lstm": Trained(lambda: Recurrent(nn.LSTM), characters(6), _per_token, _adam),
    "lstm-deep": Trained(
        lambda: Recurrent(nn.LSTM, num_layers=2, bidirectional=True, dropout=0.2), characters(5), _per_token, _adam
    ),
    "gru": Trained(lambda: Recurrent(nn.GRU), characters(6), _per_token, _adamw),
    "gpt": Trained(GPT, characters(9), _per_token, _adamw),
    "gpt-dropout": Trained(lambda: GPT(dropout=0.2), characters(9), _per_token, _adamw),
    "encoder": Trained(
        _encoder, lambda rng: (rng.standard_normal((3, 5, 16)).astype(np.float32), rng.integers(0, 10, 3)),
        optimizer=_adam,
    ),
    "tied": Trained(Tied, characters(5), _per_token),
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------- comparisons
def run(trained: Trained, device: str, captured: bool, steps: int = 4) -> dict[str, Any]:
    """Train for some steps; everything that is left of it, as arrays by name."""
    tg.manual_seed(0)
    model = trained.build().to(device)
    optimizer = trained.optimizer(model.parameters())
    calls: list[int] = []

    def step(x: Any, y: Any) -> Any:
        calls.append(1)
        optimizer.zero_grad()
        loss = trained.loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    call = tg.jit(step) if captured else step
    rng = np.random.default_rng(0)
    left: dict[str, Any] = {}
    for i in range(steps):
        x, y = (tg.tensor(array, device=device) for array in trained.batch(rng))
        left[f"loss {i}"] = call(x, y).detach().cpu().numpy().copy()
    assert len(calls) == (1 if captured else steps), "the step was not replayed"
    left |= {name: x.detach().cpu().numpy().copy() for name, x in model.state_dict().items()}
    left |= {f"gradient of {name}": p.grad.cpu().numpy().copy() for name, p in model.named_parameters()}
    for i, state in optimizer.state_dict()["state"].items():
        left |= {f"{key} {i}": v.cpu().numpy().copy() for key, v in state.items() if isinstance(v, tg.Tensor)}
    left["next random number"] = tg.rand(1, device=device).cpu().numpy()
    return left


def same_everywhere(eager: dict[str, Any], replayed: dict[str, Any]) -> None:
    """Assert that two runs left the same."""
    assert eager.keys() == replayed.keys()
    for name, expected in eager.items():
        assert_same(replayed[name], expected, name)
