"""A GPT that writes Python, one character after the other, having read the source of the standard library.

    python examples/char_gpt.py
    python examples/char_gpt.py --device cuda --steps 20000 --layers 6 --width 384 --heads 6 --context 256

Prints the loss on text that it never saw, in nats per character, and what it writes if it is given ``def ``. Guessing
by how frequent each character is costs 3.15; all steps get to 1.42, ``--steps 60``, a look at it, to 2.65.
"""

from __future__ import annotations

import argparse
import sysconfig
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn import functional as F

CHARACTERS = 128  # a token is the ASCII code of a character: there is no vocabulary to build
EVERY = 50  # steps between two looks at the loss; each look waits for the device


class Block(nn.Module):
    """Attention mixes what the characters know, the rest thinks about each on its own; both add to what is there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        batch, length, width = x.shape
        # Queries, keys and values, each (batch, heads, length, width of a head).
        qkv = self.qkv(self.norm1(x)).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = tg.unstack(tg.permute_dims(qkv, (2, 0, 3, 1, 4)))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # nobody looks ahead
        x = x + self.out(mixed.swapaxes(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, context: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.context = context
        self.character = nn.Embedding(CHARACTERS, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, CHARACTERS, bias=False)
        for embedding in (self.character, self.position):
            nn.init.normal_(embedding.weight, std=0.02)  # small, so that the first guesses are about equally likely

    def forward(self, tokens: tg.Tensor) -> tg.Tensor:
        """Logits (batch, length, CHARACTERS) of what follows each of the tokens (batch, length)."""
        positions = tg.arange(tokens.shape[1], device=tokens.device)
        x = self.character(tokens) + self.position(positions)
        return self.head(self.norm(self.blocks(x)))

    @tg.no_grad()
    def write(self, prompt: str, count: int, temperature: float = 0.8) -> str:
        """The prompt, continued by so many characters; a low temperature prefers what is likely."""
        tokens = tg.tensor([list(prompt.encode("ascii"))], device=self.head.weight.device)
        for _ in range(count):
            logits = self(tokens[:, -self.context :])[:, -1]
            following = tg.random.multinomial(tg.softmax(logits / temperature, axis=-1), 1)
            tokens = tg.concat([tokens, following], axis=1)
        return bytes(tokens[0].tolist()).decode("ascii")


def source_text() -> bytes:
    """The modules of the standard library, one after the other; what is not ASCII is left out."""
    library = Path(sysconfig.get_paths()["stdlib"])
    text = "".join(path.read_text(encoding="utf-8", errors="ignore") for path in sorted(library.glob("*.py")))
    return text.encode("ascii", errors="ignore")


def main(argv: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=32, help="pieces of text per step")
    parser.add_argument("--context", type=int, default=64, help="characters that the model sees at once")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--write", type=int, default=400, help="characters to write at the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="char_gpt.png", help="where to draw the loss")
    args = parser.parse_args(argv)
    tg.set_default_device(args.device)
    tg.manual_seed(args.seed)

    text = tg.tensor(np.frombuffer(source_text(), np.uint8).astype(np.int64))
    train, test = text[: -len(text) // 10], text[-len(text) // 10 :]  # the modules at the end of the alphabet
    windows = tg.arange(args.context + 1)

    def batch(part: tg.Tensor, size: int) -> tuple[tg.Tensor, tg.Tensor]:
        """Pieces of text from random places, and the same one character later: what is to be predicted."""
        pieces = part[tg.randint(0, len(part) - args.context, (size, 1)) + windows]
        return pieces[:, :-1], pieces[:, 1:]

    model = GPT(args.context, args.width, args.heads, args.layers)
    optimizer = tg.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98))
    # The learning rate goes up during the first tenth of the steps, then down along a cosine.
    schedule = tg.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.lr, total_steps=args.steps, pct_start=0.1, cycle_momentum=False
    )

    def loss_of(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        return F.cross_entropy(model(x).flatten(0, 1), y.flatten())  # classes are on axis 1

    # Recorded at the first call, from then on replayed without Python in between: on the GPU as one CUDA graph.
    @tg.jit
    def step(x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    losses = []
    started = time.perf_counter()
    with tqdm(range(args.steps), desc="training", mininterval=0.5) as bar:
        for n in bar:
            loss = step(*batch(train, args.batch))
            schedule.step()
            if (n + 1) % EVERY == 0 or n + 1 == args.steps:
                losses.append(loss.item())
                bar.set_postfix(loss=f"{losses[-1]:.3f}")
    seconds = time.perf_counter() - started
    print(f"{args.steps * args.batch * args.context / seconds:,.0f} tokens per second")

    with tg.no_grad():
        measured = sum(loss_of(*batch(test, 64)).item() for _ in range(10)) / 10
    counts = np.bincount(text.cpu().numpy(), minlength=CHARACTERS)
    frequencies = counts[counts > 0] / len(text)
    print(f"guessing by how frequent each character is: {-(frequencies @ np.log(frequencies)):.2f} nats per character")
    print(f"the model, on text that it never saw:       {measured:.2f} nats per character\n")
    print(model.write("def ", args.write))

    tg.viz.curves({"loss": losses}, args.output, xlabel=f"{EVERY} steps", ylabel="nats per character")
    print(f"\nthe loss while training: {args.output}")
    return measured


if __name__ == "__main__":
    main()
