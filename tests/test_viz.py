"""Graphs: their steps, values, gradients, layout and picture; curves."""

from __future__ import annotations

import contextlib
import itertools
import re
import sys
import threading
import xml.etree.ElementTree as ET

import pytest

import tensorgrad as tg
from tensorgrad import kernels as K
from tensorgrad.tensor import Tensor
from tensorgrad.train import History
from tensorgrad.viz.curves import _panels as panels_of
from tensorgrad.viz.layout import arrange

TIMES, MINUS = "\N{MULTIPLICATION SIGN}", "\N{MINUS SIGN}"
SVG = "{http://www.w3.org/2000/svg}"


def leaf(value, device="cpu"):
    return tg.tensor(value, device=device, requires_grad=True)


def table(graph):
    return {s.label: (s.value and s.value.item(), s.grad and round(s.grad.item(), 4)) for s in graph.steps}


class TestGraph:
    def test_steps_with_values_and_gradients(self, device):
        x, y = leaf(3.0, device), leaf(-2.0, device)
        with tg.viz.record() as recording:
            z = tg.maximum(x * y, 1.0) + x / 2
        graph = tg.viz.graph(z, {x: "x", y: "y"}, recording)
        assert table(graph) == {
            "x": (3, 0.5), "y": (-2, 0), TIMES: (-6, 0), "max 1": (1, 1), "÷2": (1.5, 1), "+": (2.5, 1),
        }  # fmt: skip
        labels = [s.label for s in graph.steps]
        assert [[labels[p] for p in s.parents] for s in graph.steps if s.label in ("+", TIMES)] == [
            ["x", "y"],
            ["max 1", "÷2"],
        ]
        assert labels[-1] == "+"
        assert x.grad is None
        z.backward()  # the graph is still there
        assert x.grad.item() == 0.5

    def test_gradients_agree_with_backward(self, device):
        x = leaf([[1.0, 2.0], [3.0, -1.0]], device)
        with tg.viz.record() as recording:
            h = tg.tanh(x @ x)
            y = (h * h.T).sum()
        graph = tg.viz.graph(y, {h: "h"}, recording)
        h.retain_grad()
        y.backward()
        by_name = {s.name or s.label: s for s in graph.steps}
        for name, tensor in (("h", h), ("input", x)):
            assert by_name[name].grad.tolist() == tensor.grad.tolist()
            assert by_name[name].value.tolist() == tensor.tolist()
        assert by_name["swapaxes" if "swapaxes" in by_name else "permute_dims"].value.tolist() == h.T.tolist()

    def test_labels(self):
        x = leaf(4.0)
        with tg.viz.record() as recording:
            results = [1 / x, 3 - x, x - 3, x * -2, -x, x**2.5, x + 0.001, tg.exp(x), x.reshape(1).sum()]
        labels = [tg.viz.graph(y, {}, recording).steps[-1].label for y in results]
        assert labels == [
            "1/x",
            f"3{MINUS}x",
            f"{MINUS}3",
            f"{TIMES}{MINUS}2",
            f"{TIMES}{MINUS}1",
            "x^2.5",
            "+0.001",
            "exp",
            "sum",
        ]

    def test_without_a_recording(self):
        x = leaf(2.0)
        graph = tg.viz.graph(tg.exp(x * x) * 1.0)
        assert [(s.label, s.value is None) for s in graph.steps] == [
            ("input", False), (TIMES, True), ("exp", True), (TIMES, False),
        ]  # fmt: skip
        assert all(s.grad is not None for s in graph.steps)

    def test_one_tensor_used_often(self):
        x = leaf(3.0)
        graph = tg.viz.graph(x * x * x, {x: "x"})
        assert [s.parents for s in graph.steps] == [[], [0, 0], [1, 0]]
        assert graph.steps[0].grad.item() == 27

    def test_op_with_several_results(self):
        x = leaf([1.0, 2.0, 3.0])
        a, _, c = tg.unstack(x)
        graph = tg.viz.graph(a * c)
        assert graph.steps[0].grad.tolist() == [3, 0, 1]
        assert graph.svg.startswith("<svg")

    def test_no_gradients_wanted(self):
        x = leaf([1.0, 2.0])
        graph = tg.viz.graph(x * 2, gradients=False)
        assert [s.grad for s in graph.steps] == [None, None]
        ET.fromstring(graph.svg)

    def test_errors(self):
        with pytest.raises(RuntimeError, match="does not require a gradient"):
            tg.viz.graph(tg.ones(1))
        with pytest.raises(RuntimeError, match="scalar"):
            tg.viz.graph(leaf([1.0, 2.0]) * 2)
        y = leaf(2.0) * leaf(3.0)
        y.backward()
        with pytest.raises(RuntimeError, match="retain_graph=True"):
            tg.viz.graph(y)

    def test_deep(self):
        y = leaf(1.0)
        for _ in range(2000):
            y = y + 1.0
        assert len(tg.viz.graph(y).steps) == 2001


class TestRecording:
    def test_nothing_is_left_behind(self):
        before = Tensor.__init__
        with contextlib.suppress(ZeroDivisionError), tg.viz.record():
            assert Tensor.__init__ is not before
            assert K.registry._hooks
            raise ZeroDivisionError
        assert Tensor.__init__ is before
        assert not K.registry._hooks

    def test_nested_blocks_and_other_threads(self):
        x = leaf(2.0)
        with tg.viz.record() as outer:
            y = x * 2
            with tg.viz.record() as inner:
                z = x * 3
            thread = threading.Thread(target=lambda: x * 5)
            thread.start()
            thread.join()
        assert [v.item() for v in outer.values.values()] == [4, 6]
        assert [v.item() for v in inner.values.values()] == [6]
        assert (y._node in outer.values, z._node in inner.values) == (True, True)


class TestPicture:
    def circuit(self):
        x, y = leaf(3.0), leaf(-2.0)
        with tg.viz.record() as recording:
            z = tg.exp(x * y) + 1
        return tg.viz.graph(z, {x: "x<0>", y: "y", z: "z"}, recording)

    def test_numbers_and_names(self):
        root = ET.fromstring(self.circuit().svg)
        texts = {kind: [e.text for e in root.iter(f"{SVG}text") if e.get("class") == kind] for kind in (
            "number value", "number grad", "label", "input", "output",
        )}  # fmt: skip
        assert texts == {
            "number value": ["3.00", "-2.00", "-6.00", "0.0025", "1.00"],
            "number grad": ["-0.005", "0.01", "0.0025", "1.00", "1.00"],
            "label": [TIMES, "exp", "+1"],
            "input": ["x<0>", "y"],
            "output": ["z"],
        }

    def test_value_above_gradient_below_their_wire(self):
        root = ET.fromstring(self.circuit().svg)
        texts = list(root.iter(f"{SVG}text"))
        above = [(float(e.get("x")), float(e.get("y"))) for e in texts if e.get("class") == "number value"]
        below = [(float(e.get("x")), float(e.get("y"))) for e in texts if e.get("class") == "number grad"]
        straight = [re.fullmatch(r"M([\d.]+) ([\d.]+)H([\d.]+)", e.get("d")) for e in root.iter(f"{SVG}path")]
        wires = [tuple(map(float, m.groups())) for m in straight if m]
        assert len(above) == len(below) == len(wires) == 5
        for (ax, ay), (bx, by), (left, y, right) in zip(above, below, wires, strict=True):
            assert left < ax == bx < right
            assert ay < y < by

    def test_everything_is_inside(self):
        root = ET.fromstring(self.circuit().svg)
        width, height = float(root.get("width")), float(root.get("height"))
        for e in root.iter():
            assert 0 <= float(e.get("x", 0)) <= width
            assert 0 <= float(e.get("y", 0)) <= height

    def test_save(self, tmp_path):
        graph = self.circuit()
        graph.save(tmp_path / "a.svg")
        assert (tmp_path / "a.svg").read_text(encoding="utf-8") == graph.svg == graph._repr_svg_()
        with pytest.raises(ValueError, match=r"\.svg file"):
            graph.save(tmp_path / "a.png")

    def test_tensors_show_shape_and_length_of_the_gradient(self):
        x = leaf([[3.0, 0.0, 4.0]])
        with tg.viz.record() as recording:
            h = x * 1.0
            y = (h * h).sum() / 2
        svg = tg.viz.graph(y, {h: "h"}, recording).svg
        assert f"h: 1{TIMES}3" in svg
        assert "‖g‖ 5.00" in svg


class TestLayout:
    def test_layers(self):
        # 0, 1 -> 2 ; 3 -> (2, 0); 4 has an input of its own, which stands right before it
        layout = arrange([[], [], [0, 1], [2, 0], [], [3, 4]])
        assert layout.layer == [0, 0, 1, 2, 2, 3]
        assert list(layout.waypoints) == [(0, 3)]

    def test_neighbours_keep_their_distance(self):
        parents = [[], [], [], [], [0, 1], [1, 2], [2, 3], [0, 3], [4, 5, 6, 7]]
        layout = arrange(parents)
        for layer in set(layout.layer):
            heights = sorted(h for h, n in zip(layout.height, layout.layer, strict=True) if n == layer)
            assert all(b - a > 40 for a, b in itertools.pairwise(heights))
        assert min(layout.height) >= 0

    def test_a_chain_is_straight(self):
        layout = arrange([[], [], [0, 1], [2], [3], [4]])
        assert len(set(layout.height[2:])) == 1

    def test_tree_without_crossings(self):
        layout = arrange([[], [], [], [], [0, 1], [2, 3], [4, 5]])
        assert layout.height[:4] == sorted(layout.height[:4])

    def test_one_node(self):
        assert arrange([[]]).layer == [0]


class Net(tg.nn.Module):
    """Two layers that call no other, one at two places, and ops of the model's own."""

    def __init__(self):
        super().__init__()
        self.first = tg.nn.Linear(3, 4)
        self.norm = tg.nn.BatchNorm1d(4)
        self.body = tg.nn.Sequential(tg.nn.Linear(4, 4), tg.nn.Tanh())
        self.gain = tg.nn.Parameter(tg.ones(4))

    def forward(self, x, y):
        h = self.norm(self.first(x))
        return self.body(h) * self.gain + y


class TestModules:
    def steps(self, **options):
        return tg.viz.graph(Net(), inputs=(tg.ones(2, 3), tg.ones(2, 4)), **options).steps

    def test_layers_are_steps(self):
        steps = self.steps()
        assert {(s.label, s.module) for s in steps} == {
            ("x", ""), ("y", ""), ("gain", ""), ("Linear", "first"), ("BatchNorm1d", "norm"), ("Linear", "body.0"),
            ("Tanh", "body.1"), (TIMES, ""), ("+", ""),
        }  # fmt: skip
        by_name = {s.module or s.label: s for s in steps}
        labels = [s.module or s.label for s in steps]
        takes = {name: [labels[p] for p in s.parents] for name, s in by_name.items()}
        assert takes == {
            "x": [], "y": [], "gain": [], "first": ["x"], "norm": ["first"], "body.0": ["norm"], "body.1": ["body.0"],
            TIMES: ["body.1", "gain"], "+": [TIMES, "y"],
        }  # fmt: skip
        assert by_name["first"].shape == (2, 4)
        assert labels[-1] == "+"

    def test_depth(self):
        assert [s.module for s in self.steps(depth=1) if s.module] == ["first", "norm", "body"]
        model = self.steps(depth=0)
        assert [(s.label, s.parents) for s in model] == [("x", []), ("y", []), ("Net", [0, 1])]
        with pytest.raises(ValueError, match="depth"):
            self.steps(depth=-1)

    def test_large_models_stay_readable(self):
        blocks = [tg.nn.Sequential(*[tg.nn.Tanh() for _ in range(8)]) for _ in range(12)]
        steps = tg.viz.graph(tg.nn.Sequential(*blocks), inputs=tg.ones(2)).steps
        assert [s.label for s in steps] == ["input"] + 12 * ["Sequential"]
        assert [s.parents for s in steps] == [[], *([i] for i in range(12))]
        steps = tg.viz.graph(tg.nn.Sequential(*blocks[:3]), inputs=tg.ones(2)).steps
        assert [s.label for s in steps] == ["input"] + 24 * ["Tanh"]

    def test_a_layer_that_is_called_twice_is_two_steps(self):
        layer = tg.nn.Linear(2, 2)
        steps = tg.viz.graph(tg.nn.Sequential(layer, tg.nn.Tanh(), layer), inputs=tg.ones(1, 2)).steps
        assert [(s.label, s.module, s.parents) for s in steps] == [
            ("input", "", []), ("Linear", "0", [0]), ("Tanh", "1", [1]), ("Linear", "2", [2]),
        ]  # fmt: skip

    def test_a_single_layer_shows_its_ops(self):
        steps = tg.viz.graph(tg.nn.Linear(2, 2), inputs=tg.ones(1, 2)).steps
        assert {"input", "weight", "bias"} <= {s.label for s in steps}

    def test_several_results(self):
        steps = tg.viz.graph(tg.nn.Sequential(tg.nn.Identity(), tg.nn.LSTM(2, 3)), inputs=tg.ones(4, 1, 2)).steps
        assert [s.label for s in steps] == ["input", "LSTM"]

    def test_the_model_is_as_it_was(self):
        model = Net()
        mean, before = model.norm.running_mean, tg.random.get_rng_state()
        x = tg.ones(2, 3)
        tg.viz.graph(model, inputs=(x, tg.ones(2, 4)))
        assert model.norm.running_mean is mean
        assert mean.tolist() == [0.0] * 4
        assert model.training
        assert (tg.random.get_rng_state() == before).all()
        assert all(p.grad is None for p in model.parameters())
        assert not x.requires_grad

    def test_a_tensor_recorded_with_its_modules(self):
        model, x = Net(), leaf([[1.0, 2.0, 3.0], [0.0, 1.0, 5.0]])
        with tg.viz.record() as recording:
            y = model(x, tg.ones(2, 4)).sum()
        graph = tg.viz.graph(y, {x: "x"}, recording, depth=1)
        assert [s.module for s in graph.steps if s.module] == ["first", "norm", "body"]
        assert all(s.grad is not None for s in graph.steps)
        assert len(tg.viz.graph(y, {x: "x"}, recording).steps) > len(graph.steps)

    def test_picture(self):
        graph = tg.viz.graph(Net(), inputs=(tg.ones(2, 3), tg.ones(2, 4)))
        root = ET.fromstring(graph._repr_svg_())
        assert [e.get("class") for e in root.iter(f"{SVG}rect")].count("op module") == 4
        titles = [e.text for e in root.iter(f"{SVG}title")]
        assert "body.0 (2, 4)" in titles
        assert "+ (2, 4)" in titles

    def test_errors(self):
        with pytest.raises(TypeError, match="to draw a Net, pass what to call it with"):
            tg.viz.graph(Net())
        with pytest.raises(TypeError, match="inputs are for a module"):
            tg.viz.graph(leaf(1.0) * 2, inputs=tg.ones(1))
        with tg.viz.record() as recording, pytest.raises(TypeError, match="a recording belongs to a tensor"):
            tg.viz.graph(Net(), {}, recording, inputs=tg.ones(1))
        with pytest.raises(RuntimeError, match="nothing that Identity returns"):
            tg.viz.graph(tg.nn.Identity(), inputs=tg.ones(2, dtype=tg.int64))


class TestCurves:
    def test_metrics_have_panels(self):
        history = History(epochs=[1], train_loss=[2.0], metrics={"train_f1": [0.5], "validation_f1": [0.4]})
        assert panels_of(history, "loss") == {"loss": {"train": [2.0]}, "f1": {"train": [0.5], "validation": [0.4]}}

    def test_history(self, tmp_path):
        history = History(epochs=[1, 2], train_loss=[2.0, 1.0], validation_loss=[2.0, 1.5], train_accuracy=[0.5, 0.9])
        tg.viz.curves(history, tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
        history.plot(tmp_path / "b.png")
        assert (tmp_path / "b.png").stat().st_size > 5000

    def test_dict(self, tmp_path):
        tg.viz.curves({"sgd": [3.0, 2.0], "adam": [3.0, 0.1]}, tmp_path / "a.svg", log=True, xlabel="step")
        assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")

    def test_no_global_state(self, tmp_path):
        import matplotlib

        backend = dict.__getitem__(matplotlib.rcParams, "backend")
        pyplot = "matplotlib.pyplot" in sys.modules
        tg.viz.curves({"loss": [1.0]}, tmp_path / "a.png")
        assert dict.__getitem__(matplotlib.rcParams, "backend") is backend
        assert ("matplotlib.pyplot" in sys.modules) == pyplot

    def test_errors(self, tmp_path, monkeypatch):
        for nothing in ({}, {"loss": []}, History()):
            with pytest.raises(ValueError, match="nothing to draw"):
                tg.viz.curves(nothing, tmp_path / "a.png")
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(ImportError, match="pip install"):
            tg.viz.curves({"loss": [1.0]}, tmp_path / "a.png")
