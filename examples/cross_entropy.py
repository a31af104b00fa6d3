"""Cross-entropy, and gradient descent that drives it down.

A classifier gives each class a probability. Its loss on a sample is minus the logarithm of the probability that it gave
to the true class: small if it was sure and right, large if it was sure and wrong. Over a data set the losses add up:

    L(w) = sum over samples i of  -log p(i, y_i)

Gradient descent moves the weights a little against the slope, again and again:

    w <- w - lr * dL/dw

    python examples/cross_entropy.py
"""

from __future__ import annotations

import argparse

from matplotlib.figure import Figure

import tensorgrad as tg
from tensorgrad.nn.functional import cross_entropy


def main(argv: list[str] | None = None) -> list[float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--output", default="cross_entropy.png", help="where to draw the loss")
    args = parser.parse_args(argv)
    tg.set_default_device(args.device)

    # One sample: the loss only looks at the probability of the true class.
    right, wrong = -tg.log(tg.tensor(0.9)), -tg.log(tg.tensor(0.1))
    print(f"true class at 90%:  -log(0.9) = {right.item():.3f}")
    print(f"true class at 10%:  -log(0.1) = {wrong.item():.3f}, {wrong.item() / right.item():.0f} times as much")

    # Several samples: the sum. cross_entropy takes logits; of log-probabilities the softmax is the probabilities.
    logits = tg.log(tg.tensor([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1]]))
    labels = tg.tensor([0, 1, 1])  # the third sample is the one that the classifier gets wrong
    total = cross_entropy(logits, labels, reduction="sum")
    print(f"two right, one wrong: {right.item():.3f} + {right.item():.3f} + {wrong.item():.3f} = {total.item():.3f}")

    # Sixty points of three classes around three centers, and a linear classifier that knows nothing yet.
    generator = tg.random.Generator().manual_seed(0)
    centers = tg.tensor([[0.0, 2.0], [-2.0, -1.0], [2.0, -1.0]])
    y = tg.arange(60) % 3
    x = centers[y] + tg.random.randn(60, 2, generator=generator)
    w = tg.zeros(3, 2, requires_grad=True)
    b = tg.zeros(3, requires_grad=True)

    losses = []
    for step in range(args.steps + 1):
        loss = cross_entropy(x @ w.T + b, y, reduction="sum")
        losses.append(loss.item())
        if step in (0, 1, 10) or step == args.steps:
            print(f"step {step:>3}: L = {losses[-1]:7.3f}")
        loss.backward()
        with tg.no_grad():  # the update itself is not to be differentiated
            w -= args.lr * w.grad
            b -= args.lr * b.grad
        w.grad = b.grad = None

    accuracy = ((x @ w.T + b).argmax(1) == y).mean(dtype=tg.float32).item()
    print(f"accuracy: {accuracy:.0%}")
    draw(losses, args.output)
    print(f"The loss of one sample, and of all of them during the descent: {args.output}")
    return losses


def draw(losses: list[float], path: str) -> None:
    figure = Figure(figsize=(9, 3.6), dpi=150, layout="constrained")
    one, all_of_them = figure.subplots(1, 2)

    p = tg.linspace(0.01, 1, 200, device="cpu")
    one.plot(p.numpy(), (-tg.log(p)).numpy())
    for probability, value, place in ((0.9, 0.105, (0.62, 1.2)), (0.1, 2.303, (0.25, 3.0))):
        one.plot(probability, value, "o", color="tab:red")
        text = f"$-$log({probability}) = {value}"
        one.annotate(text, (probability, value), place, arrowprops={"arrowstyle": "-", "color": "gray"})
    one.set(title="one sample", xlabel="probability of the true class", ylabel="loss", xlim=(0, 1.02))

    all_of_them.plot(losses)
    all_of_them.set(title="all samples, during gradient descent", xlabel="step", ylabel="L(w)", ylim=(0, None))
    for axes in (one, all_of_them):
        axes.grid(alpha=0.25)
    figure.savefig(path)


if __name__ == "__main__":
    main()
