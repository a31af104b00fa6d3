"""Character GPTs: pre-norm transformer decoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .text import VOCABULARY, characters
from .workload import Network

__all__ = ["NETWORKS"]


def _gpt(layers: int, width: int, heads: int, length: int) -> Callable[[Any], Any]:
    """Radford et al., Language models are unsupervised multitask learners, 2019, without dropout."""

    def build(framework: Any) -> Any:
        nn = framework.nn
        attend = nn.functional.scaled_dot_product_attention

        class Block(nn.Module):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                super().__init__()
                self.norm1 = nn.LayerNorm(width)
                self.qkv = nn.Linear(width, 3 * width)
                self.out = nn.Linear(width, width)
                self.norm2 = nn.LayerNorm(width)
                self.up = nn.Linear(width, 4 * width)
                self.gelu = nn.GELU()
                self.down = nn.Linear(4 * width, width)

            def attention(self, x: Any) -> Any:
                split = (x.shape[0], x.shape[1], heads, width // heads)
                q, k, v = (part.reshape(split).swapaxes(1, 2) for part in self.qkv(x).chunk(3, axis=2))
                return self.out(attend(q, k, v, is_causal=True).swapaxes(1, 2).reshape(x.shape))

            def forward(self, x: Any) -> Any:
                x = x + self.attention(self.norm1(x))
                return x + self.down(self.gelu(self.up(self.norm2(x))))

        class GPT(nn.Module):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                super().__init__()
                self.token = nn.Embedding(VOCABULARY, width)
                self.position = nn.Embedding(length, width)
                self.blocks = nn.Sequential(*(Block() for _ in range(layers)))
                self.norm = nn.LayerNorm(width)
                self.head = nn.Linear(width, VOCABULARY, bias=False)

            def forward(self, tokens: Any) -> Any:
                x = self.token(tokens) + self.position(framework.arange(tokens.shape[1]))
                return self.head(self.norm(self.blocks(x)))

        return GPT()

    return build


def _adamw(framework: Any, parameters: Any) -> Any:
    return framework.optim.AdamW(parameters, lr=1e-3)


NETWORKS = {
    "gpt-small": Network(
        "GPT 4 layers x 128, 4 heads, block 64", "AdamW", _gpt(4, 128, 4, 64), _adamw, characters(64), 12
    ),
    "gpt-large": Network(
        "GPT 6 layers x 384, 6 heads, block 256", "AdamW", _gpt(6, 384, 6, 256), _adamw, characters(256), 8
    ),
}
