"""An LSTM that writes Python, having read the source of the standard library from the beginning to the end.

    python examples/char_lstm.py
    python examples/char_lstm.py --device cuda --steps 20000 --width 512 --layers 2

A GPT sees a window of text; an LSTM sees one character at a time and remembers. The text is cut into a few long strips
that are read side by side. What the network remembers at the end of a piece it starts the next one with, so it can use
what stands further back than gradients go (Williams and Zipser: truncated backpropagation through time).

Prints the loss on text that it never saw, in nats per character, and what it writes if it is given ``def ``. Guessing
by how frequent each character is costs 3.15; all steps get to 1.43, ``--steps 150``, a look at it, to 1.96.
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

Memory = tuple[tg.Tensor, tg.Tensor]  # the hidden state and the cell state, each (layers, batch, width)


class CharLSTM(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers, self.width = layers, width
        self.character = nn.Embedding(CHARACTERS, width)
        self.lstm = nn.LSTM(width, width, num_layers=layers, batch_first=True)
        self.head = nn.Linear(width, CHARACTERS)

    def nothing(self, batch: int) -> Memory:
        """The memory of one that has read nothing yet."""
        h, c = (tg.zeros(self.layers, batch, self.width, device=self.head.weight.device) for _ in range(2))
        return h, c

    def forward(self, tokens: tg.Tensor, memory: Memory) -> tuple[tg.Tensor, Memory]:
        """Logits (batch, length, CHARACTERS) of what follows each of the tokens, and the memory after the last."""
        states, memory = self.lstm(self.character(tokens), memory)
        return self.head(states), memory

    @tg.no_grad()
    def write(self, prompt: str, count: int, temperature: float = 0.8) -> str:
        """The prompt, continued by so many characters; a low temperature prefers what is likely."""
        tokens, memory = list(prompt.encode("ascii")), self.nothing(1)
        unread = tokens
        for _ in range(count):
            logits, memory = self(tg.tensor([unread], device=self.head.weight.device), memory)
            following = tg.random.multinomial(tg.softmax(logits[0, -1] / temperature, axis=-1), 1)
            unread = following.tolist()  # all that came before is remembered
            tokens += unread
        return bytes(tokens).decode("ascii")


def source_text() -> bytes:
    """The modules of the standard library, one after the other; what is not ASCII is left out."""
    library = Path(sysconfig.get_paths()["stdlib"])
    text = "".join(path.read_text(encoding="utf-8", errors="ignore") for path in sorted(library.glob("*.py")))
    return text.encode("ascii", errors="ignore")


def main(argv: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=32, help="strips of text that are read side by side")
    parser.add_argument("--length", type=int, default=64, help="characters per step, through which gradients go back")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--write", type=int, default=400, help="characters to write at the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="char_lstm.png", help="where to draw the loss")
    args = parser.parse_args(argv)
    tg.set_default_device(args.device)
    tg.manual_seed(args.seed)

    text = tg.tensor(np.frombuffer(source_text(), np.uint8).astype(np.int64))
    train, test = text[: -len(text) // 10], text[-len(text) // 10 :]  # the modules at the end of the alphabet

    def strips(part: tg.Tensor, count: int) -> tg.Tensor:
        """The text as so many rows of equal length."""
        length = len(part) // count
        return part[: count * length].reshape(count, length)

    model = CharLSTM(args.width, args.layers)
    optimizer = tg.optim.Adam(model.parameters(), lr=args.lr)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.steps)

    def loss_of(x: tg.Tensor, y: tg.Tensor, memory: Memory) -> tuple[tg.Tensor, Memory]:
        logits, memory = model(x, memory)
        return F.cross_entropy(logits.flatten(0, 1), y.flatten()), memory  # classes are on axis 1

    # Recorded at the first call, from then on replayed without Python in between: on the GPU as one CUDA graph.
    @tg.jit
    def step(x: tg.Tensor, y: tg.Tensor, memory: Memory) -> tuple[tg.Tensor, Memory]:
        optimizer.zero_grad()
        loss, (h, c) = loss_of(x, y, memory)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # a gradient through many characters can explode
        optimizer.step()
        return loss, (h.detach(), c.detach())  # the memory goes on, the gradients do not

    losses = []
    rows = strips(train, args.batch)
    place, memory = 0, model.nothing(args.batch)
    started = time.perf_counter()
    with tqdm(range(args.steps), desc="training", mininterval=0.5) as bar:
        for n in bar:
            if place + args.length + 1 > rows.shape[1]:  # all is read: once more
                place, memory = 0, model.nothing(args.batch)
            piece = rows[:, place : place + args.length + 1]
            loss, memory = step(piece[:, :-1], piece[:, 1:], memory)
            place += args.length
            schedule.step()
            if (n + 1) % EVERY == 0 or n + 1 == args.steps:
                losses.append(loss.item())
                bar.set_postfix(loss=f"{losses[-1]:.3f}")
    seconds = time.perf_counter() - started
    print(f"{args.steps * args.batch * args.length / seconds:,.0f} tokens per second")

    pieces = strips(test, 64)[:, :1001]
    with tg.no_grad():
        measured = loss_of(pieces[:, :-1], pieces[:, 1:], model.nothing(64))[0].item()
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
