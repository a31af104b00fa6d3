"""A convolutional network that reads handwritten digits: 1,797 real scans of 8 by 8 pixels.

    python examples/digits_convnet.py
    python examples/digits_convnet.py --device cuda --seed 1

Prints the accuracy on 360 scans that had no part in anything before, 98.9% to 99.4% with the seeds 0 to 4, and draws
the curves of the training beside the scans that were misread.
"""

from __future__ import annotations

import argparse

from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import tensorgrad as tg
from tensorgrad import nn


def convnet() -> nn.Sequential:
    def convolution(channels_in: int, channels_out: int) -> list[nn.Module]:
        # No bias: the normalisation subtracts the mean of every channel, and has a bias of its own.
        return [
            nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *convolution(1, 32),  # (batch, 32, 8, 8)
        *convolution(32, 32),
        nn.MaxPool2d(2),  # (batch, 32, 4, 4)
        *convolution(32, 64),
        nn.MaxPool2d(2),  # (batch, 64, 2, 2)
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(256, 10),
    )


def main(argv: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights, the order of the samples, dropout")
    parser.add_argument("--output", default="digits_convnet.png", help="where to draw the curves and the mistakes")
    args = parser.parse_args(argv)
    tg.manual_seed(args.seed)

    # Images as convolutions want them: (sample, channel, row, column), from 0 to 1.
    scans = load_digits()
    images = tg.tensor(scans.images[:, None] / 16, dtype=tg.float32, device=args.device)
    digits = tg.tensor(scans.target, dtype=tg.int64, device=args.device)
    dataset = tg.data.TensorDataset(images, digits)
    # Three parts, the same whatever the seed: to learn from, to choose by (layers, learning rate, when to stop), and to
    # measure with, at the end. A network chosen by the last part would look better there than on new scans.
    split = tg.random.Generator().manual_seed(0)
    known, test = tg.data.random_split(dataset, [1437, 360], split)
    train, validation = tg.data.random_split(known, [1197, 240], split)

    model = convnet().to(args.device)
    loss = nn.CrossEntropyLoss()
    optimizer = tg.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    history = tg.train.fit(
        model,
        tg.data.DataLoader(train, batch_size=32, shuffle=True),
        loss,
        optimizer,
        args.epochs,
        validation=tg.data.DataLoader(validation, batch_size=240),
        scheduler=tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs),
    )

    model.eval()  # no dropout, and the mean and variance that the normalisation has gathered
    images, digits = next(iter(tg.data.DataLoader(test, batch_size=360)))
    with tg.no_grad():
        read = model(images).argmax(1)
    accuracy = (read == digits).mean(dtype=tg.float32).item()
    print(f"test accuracy: {accuracy:.2%}")

    wrong = read != digits
    draw(history, images[wrong], digits[wrong], read[wrong], args.output)
    print(f"the curves, and the scans that were misread: {args.output}")
    return accuracy


def draw(history: tg.train.History, images: tg.Tensor, digits: tg.Tensor, read: tg.Tensor, path: str) -> None:
    figure = Figure(figsize=(9, 3.6), dpi=150, layout="constrained")
    left, right = figure.subfigures(1, 2)
    axes = left.subplots()
    axes.plot(history.epochs, history.train_accuracy, label="training")
    axes.plot(history.epochs, history.validation_accuracy, label="validation")
    axes.set(xlabel="epoch", ylabel="accuracy", ylim=(0.9, 1.005))
    axes.grid(alpha=0.25)
    axes.legend()
    for place, image, digit, answer in zip(right.subplots(3, 4).flat, images.cpu(), digits, read, strict=False):
        place.imshow(image[0].numpy(), cmap="gray_r")
        place.set_title(f"{digit.item()}, not {answer.item()}", fontsize=8)
    for place in right.axes:
        place.set_axis_off()
    figure.savefig(path)


if __name__ == "__main__":
    main()
