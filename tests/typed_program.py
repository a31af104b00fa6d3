"""What a user may write under ``mypy --strict``; tests/test_packaging.py has it checked, nothing runs it."""

from __future__ import annotations

import tensorgrad as tg
import tensorgrad.nn.functional as F
from tensorgrad import Tensor, nn, optim
from tensorgrad.func import grad, vmap
from tensorgrad.nn import Linear
from tensorgrad.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = tg.nn.Linear(4, 8)
        self.last = Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(tg.nn.functional.relu(self.first(x)))
        return y


def square(x: Tensor) -> Tensor:
    return (x * x).sum()


def train(where: tg.device) -> float:
    tg.manual_seed(0)
    model = nn.Sequential(Net(), nn.ReLU(), nn.Flatten())
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    average = optim.Adam([nn.Parameter(tg.ones(3))])
    schedule = StepLR(optimizer, 1)
    x, y = tg.ones(2, 4, device=where), tg.zeros((2, 3), dtype=tg.float32)
    for a, b in tg.data.DataLoader(tg.data.TensorDataset(x, y), batch_size=2):
        with tg.amp.autocast("cpu"):
            loss: Tensor = F.mse_loss(model(a), b)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.step()
        schedule.step()
    number: float = loss.item()
    return number


def compute(x: Tensor) -> list[Tensor]:
    fine = tg.testing.gradcheck(square, (tg.ones(2, dtype=tg.float64, requires_grad=True),))
    values, indices = tg.topk(x, 2)
    _, singular, _ = tg.linalg.svd(x)
    with tg.no_grad():
        fixed: Tensor = x + 1
    with tg.autograd.graph.save_on_cpu():
        (slope,) = tg.grad(square(x), (x,))
    tg.save({"x": x, "fine": tg.asarray(fine, dtype=tg.bool)}, "file")
    return [
        values, indices, singular, fixed, slope, vmap(square)(x), tg.func.vmap(square)(x), grad(square)(x),
        tg.fft.rfft(x), tg.linalg.solve(tg.eye(3), tg.ones(3)), tg.special.erf(x), tg.jit(square)(x),
        tg.quantile(x, 0.5), tg.concat([x, tg.full((1, 4), tg.pi)]), tg.where(x > 0, x, -x)[:, 0],
        tg.random.normal(0, 1, (2, 2)), tg.einsum("ij,ij->i", x, x), tg.mm(x, x.T).reshape(-1), tg.amax(x, 0),
        tg.exp(tg.sum(x)), tg.softmax(x, 0), tg.split(x, 2)[0], tg.as_strided(x, (2,), (1,)),
    ]  # fmt: skip
