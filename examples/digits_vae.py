"""A variational autoencoder that draws digits, having seen 1,437 real scans of 8 by 8 pixels.

    python examples/digits_vae.py
    python examples/digits_vae.py --device cuda --epochs 300

The encoder describes a scan by a few numbers z, of which it gives a mean and a variance; the decoder draws a digit from
them. They are trained together to make the scans as likely as possible (Kingma and Welling, 2013):

    -log p(scan) <= -log p(scan | z), how badly the drawing fits + KL(q(z | scan) || N(0, 1)), how unusual z is

Since the z of all scans together come to look like draws from N(0, 1), draws from N(0, 1) give new digits.

Prints this bound on 360 scans that it never saw, 23.8 nats per scan (27.1 for drawing the average of all scans), and
draws a grid of samples.
"""

from __future__ import annotations

import argparse

from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from tqdm import tqdm

import tensorgrad as tg
from tensorgrad import nn
from tensorgrad.nn.functional import binary_cross_entropy, binary_cross_entropy_with_logits


class VAE(nn.Module):
    def __init__(self, latent: int, width: int = 256) -> None:
        super().__init__()
        self.latent = latent
        self.encoder = nn.Sequential(
            nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 64)
        )

    def bound(self, scans: tg.Tensor) -> tg.Tensor:
        """The bound above, in nats per scan; the brightness of a pixel is taken as the probability of ink."""
        mean, log_variance = self.encoder(scans).chunk(2, axis=1)
        # A draw from N(mean, variance), written so that gradients reach the mean and the variance.
        z = mean + tg.exp(0.5 * log_variance) * tg.random.randn_like(mean)
        misfit = binary_cross_entropy_with_logits(self.decoder(z), scans, reduction="sum")
        divergence = 0.5 * (mean**2 + tg.exp(log_variance) - log_variance - 1).sum()
        return (misfit + divergence) / scans.shape[0]

    @tg.no_grad()
    def draw(self, count: int) -> tg.Tensor:
        """New digits, (count, 8, 8)."""
        z = tg.randn(count, self.latent, device=self.decoder[0].weight.device)
        return tg.sigmoid(self.decoder(z)).reshape(count, 8, 8)


def main(argv: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--latent", type=int, default=8, help="how many numbers describe a digit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="digits_vae.png", help="where to draw the samples and the curves")
    args = parser.parse_args(argv)
    tg.manual_seed(args.seed)

    scans = tg.tensor(load_digits().data / 16, dtype=tg.float32, device=args.device)
    train, test = tg.data.random_split(tg.data.TensorDataset(scans), [1437, 360], tg.random.Generator().manual_seed(0))
    loader = tg.data.DataLoader(train, batch_size=64, shuffle=True)
    (unseen,) = next(iter(tg.data.DataLoader(test, batch_size=360)))

    model = VAE(args.latent).to(args.device)
    optimizer = tg.optim.Adam(model.parameters(), lr=2e-3)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs)

    def measure() -> float:
        with tg.no_grad():
            return sum(model.bound(unseen).item() for _ in range(10)) / 10  # the mean over ten draws of z

    curves: dict[str, list[float]] = {"training": [], "test": []}
    with tqdm(range(args.epochs), desc="training", mininterval=0.5) as bar:
        for _ in bar:
            bounds = []
            for (batch,) in loader:
                bound = model.bound(batch)
                optimizer.zero_grad()
                bound.backward()
                optimizer.step()
                bounds.append(bound.detach())
            schedule.step()
            curves["training"].append(tg.stack(bounds).mean().item())
            curves["test"].append(measure())
            bar.set_postfix({name: f"{values[-1]:.2f}" for name, values in curves.items()})

    average = tg.broadcast_to(scans.mean(axis=0), (360, 64))
    guess = binary_cross_entropy(average, unseen, reduction="sum").item() / 360
    measured = measure()
    print(f"drawing the average of all scans: {guess:.2f} nats per scan")
    print(f"the model, on unseen scans:       {measured:.2f} nats per scan")

    picture(unseen[:100].reshape(100, 8, 8), model.draw(100), curves, args.output)
    print(f"real scans, drawn ones and the curves: {args.output}")
    return measured


def picture(real: tg.Tensor, drawn: tg.Tensor, curves: dict[str, list[float]], path: str) -> None:
    def grid(digits: tg.Tensor) -> tg.Tensor:
        """Digits side by side, ten in a row, as one image."""
        rows = len(digits) // 10
        framed = nn.functional.pad(digits, (1, 1, 1, 1)).reshape(rows, 10, 10, 10)
        return framed.swapaxes(1, 2).reshape(10 * rows, 100)

    figure = Figure(figsize=(12, 3.8), dpi=150, layout="constrained")
    panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.3))
    for axes, title, digits in zip(panels, ("real", "drawn by the model"), (real, drawn), strict=False):
        axes.imshow(grid(digits).cpu().numpy(), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(title)
        axes.set_axis_off()
    for name, values in curves.items():
        panels[2].plot(range(1, len(values) + 1), values, label=name)
    panels[2].set(xlabel="epoch", ylabel="bound, nats per scan")
    panels[2].grid(alpha=0.25)
    panels[2].legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
