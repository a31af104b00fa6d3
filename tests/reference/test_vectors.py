"""Every layer, loss, optimizer and schedule against the vectors that PyTorch made for it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg

from .cases import EXEMPT, LAYERS, LOSSES, OPTIMIZERS, SCHEDULERS
from .evaluate import Library, run_module, run_optimizer, run_scheduler, unpacked
from .specs import Case


class Tensorgrad(Library):
    nn = tg.nn
    optim = tg.optim
    grad = staticmethod(tg.autograd.grad)

    def __init__(self, device: str) -> None:
        self.device = device

    def tensor(self, array: Any, requires_grad: bool = False) -> Any:
        return tg.tensor(array, device=self.device, requires_grad=requires_grad)

    def placed(self, module: Any) -> Any:
        return module.to("float64").to(self.device)

    def array(self, tensor: Any) -> Any:
        return tensor.detach().cpu().numpy()


@functools.cache
def stored(file: str) -> dict[str, Any]:
    """The vectors of a file by name."""
    with np.load(Path(__file__).parent / "vectors" / f"{file}.npz") as data:
        values = np.ascontiguousarray(data["planes"].T).view(np.float64).ravel()
        names = data["names"].tobytes().decode().split("\n")
        return dict(zip(names, np.split(values, data["ends"][:-1]), strict=True))


def compare(results: list[Any], vector: Any) -> None:
    expected = unpacked(vector)
    assert [x.shape for x in results] == [x.shape for x in expected]
    for i, (x, y) in enumerate(zip(results, expected, strict=True)):
        scale = np.abs(y).max(initial=0.0) if np.isfinite(y).all() else 0.0
        np.testing.assert_allclose(x, y, rtol=1e-7, atol=max(1e-10, 1e-9 * scale), err_msg=f"array {i}")


def present(cases: list[Case]) -> list[Case]:
    return [case for case in cases if hasattr(tg.nn, case.kind)]


def check_module(file: str, case: Case, device: str) -> None:
    first, second = run_module(case, Tensorgrad(device))
    compare(first, stored(file)[case.name])
    of_second_order = stored(file).get(f"{case.name} second")
    if of_second_order is not None:
        compare(second(), of_second_order)


@pytest.mark.parametrize("case", present(LAYERS), ids=lambda case: case.name)
def test_layer(case, device):
    check_module("layers", case, device)


@pytest.mark.parametrize("case", present(LOSSES), ids=lambda case: case.name)
def test_loss(case, device):
    check_module("losses", case, device)


@pytest.mark.parametrize(("what", "second"), OPTIMIZERS, ids=repr)
def test_optimizer(what, second, device):
    compare(run_optimizer(what, second, Tensorgrad(device)), stored("optimizers")[f"{what!r} {second}"])


@pytest.mark.parametrize(("what", "metrics"), SCHEDULERS, ids=repr)
def test_scheduler(what, metrics, device):
    compare(run_scheduler(what, metrics, Tensorgrad(device)), stored("schedulers")[repr(what)])


def classes(module: Any, base: type) -> set[str]:
    """The public classes of a module that are of a kind."""
    values = {name: getattr(module, name) for name in module.__all__}
    return {name for name, value in values.items() if isinstance(value, type) and issubclass(value, base)}


def test_the_table_is_complete():
    schedulers = classes(tg.optim.lr_scheduler, tg.optim.lr_scheduler.LRScheduler)
    schedulers |= classes(tg.optim.swa_utils, tg.optim.lr_scheduler.LRScheduler)
    for public, table in (
        (classes(tg.nn, tg.nn.Module), {case.kind for case in LAYERS + LOSSES}),
        (classes(tg.optim, tg.optim.Optimizer), {what.kind for what, _ in OPTIMIZERS}),
        (schedulers, {what.kind for what, _ in SCHEDULERS}),
    ):
        assert public - table - set(EXEMPT) == set(), "write a case for these in cases.py"
        assert table & set(EXEMPT) == set()


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("layers", [case.name for case in LAYERS]),
        ("losses", [case.name for case in LOSSES]),
        ("optimizers", [f"{what!r} {second}" for what, second in OPTIMIZERS]),
        ("schedulers", [repr(what) for what, _ in SCHEDULERS]),
    ],
)
def test_the_vectors_are_those_of_the_table(file, names):
    assert len(set(names)) == len(names)
    assert {name.removesuffix(" second") for name in stored(file)} == set(names), "run make_vectors.py"
