"""`explain`: what it counts, and what its text and picture show."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn

SVG = "{http://www.w3.org/2000/svg}"


def training_step() -> tuple[Any, nn.Module]:
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2))
    optimizer = tg.optim.Adam(model.parameters(), lr=0.1)

    @tg.jit
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    step(tg.ones(5, 3))
    return step, model


class TestPlan:
    def test_a_chain(self):
        """Three elementwise launches and a sum read one array and write a number."""
        captured = tg.jit(lambda x: (tg.tanh(x) * 2 + x).mean())
        captured(tg.ones(1000, 100))
        (plan,) = captured.explain().plans
        array = 4 * 1000 * 100
        assert (plan.recorded, plan.dropped) == (4, 0)
        assert plan.bytes_recorded == 2 * array + 2 * array + 3 * array + array + 4
        assert plan.bytes_planned == array + 4
        assert (plan.arena_bytes, plan.lifetimes) == (0, [])
        assert plan.peak_bytes == 4
        (step,) = plan.steps
        assert (step.kind, step.name, step.nbytes) == ("chain", "on (1000, 100)", array + 4)
        assert step.details == "tanh, multiply, add, mean -> ()"

    def test_buffers_in_one_memory(self):
        """In a row of small launches two temporaries are alive at a time, whatever their number."""

        def function(x: Any) -> Any:
            for _ in range(10):
                x = tg.sin(x)
            return x

        captured = tg.jit(function)
        captured(tg.ones(1000))
        (plan,) = captured.explain().plans
        assert len(plan.lifetimes) == 9  # the last result is the caller's
        assert plan.unshared_bytes >= 9 * 4000
        assert 2 * 4000 <= plan.arena_bytes < 2 * 4100
        assert plan.peak_bytes == plan.arena_bytes + 4000
        assert [(life.first, life.last) for life in plan.lifetimes] == [(i, i + 1) for i in range(9)]
        for a in plan.lifetimes:
            for b in plan.lifetimes:
                together = a is not b and a.first <= b.last and b.first <= a.last
                assert not together or a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset

    def test_dead_launches(self):
        def function(x: Any) -> Any:
            tg.exp(tg.sin(x))
            return x + 1

        captured = tg.jit(function)
        captured(tg.ones(3))
        (plan,) = captured.explain().plans
        assert (plan.recorded, plan.dropped) == (3, 2)
        assert [step.name for step in plan.steps] == ["add"]
        assert plan.bytes_recorded > plan.bytes_planned == 24

    def test_a_training_step(self):
        step, model = training_step()
        (plan,) = step.explain().plans
        assert plan.host_calls == ["Adam.step"]
        assert plan.count("draw") == 1
        assert plan.count("grad") == len(list(model.parameters()))
        assert plan.peak_bytes >= plan.arena_bytes + sum(p.nbytes for p in model.parameters())
        assert plan.steps[-1].kind == "call"

    def test_numbers_that_are_asked_for_anew(self):
        w = tg.ones(2, requires_grad=True)
        scaler = tg.amp.GradScaler("cpu")
        captured = tg.jit(lambda: scaler.scale(w.sum()).backward())
        captured()
        (plan,) = captured.explain().plans
        assert plan.count("number") == 1
        assert "1 number asked for anew" in str(plan)

    def test_the_gradient_of_results(self):
        w = tg.ones(3, requires_grad=True)
        captured = tg.jit(lambda x: tg.exp(w * x))
        captured(tg.ones(3))
        forward, backward = captured.explain().plans
        assert forward.title == "jit(<lambda>) for (3,) float32"
        assert backward.title == "its gradient"
        assert {step.name for step in backward.steps} <= {"multiply"}

    def test_every_model(self):
        """Plans never move more than what was recorded by more than the launches that were taken apart."""
        from .models import MODELS

        for name in ("mlp-wide", "vgg-chains", "gpt", "lstm"):
            trained = MODELS[name]
            model = trained.build()

            def step(x: Any, y: Any, model: Any = model, trained: Any = trained) -> Any:
                loss = trained.loss(model(x), y)
                loss.backward()
                return loss

            captured = tg.jit(step)
            captured(*(tg.tensor(array) for array in trained.batch(np.random.default_rng(0))))
            (plan,) = captured.explain().plans
            assert plan.bytes_planned < 1.3 * plan.bytes_recorded, name
            assert plan.arena_bytes < plan.unshared_bytes, name
            assert max(life.offset + life.nbytes for life in plan.lifetimes) <= plan.arena_bytes, name
            ET.fromstring(captured.explain().svg)


class TestWhich:
    def test_all_of_them_or_one(self):
        captured = tg.jit(lambda x: x * 2)
        for n in (2, 3, 4):
            captured(tg.ones(n))
        assert [plan.title for plan in captured.explain().plans] == [
            f"jit(<lambda>) for ({n},) float32" for n in (2, 3, 4)
        ]
        (plan,) = captured.explain(1).plans
        assert "(3,)" in plan.title
        (plan,) = captured.explain(-1).plans
        assert "(4,)" in plan.title
        with pytest.raises(IndexError, match="has 3 programs, there is none with index 3"):
            captured.explain(3)

    def test_before_any_call(self):
        @tg.jit
        def named(x: Any) -> Any:
            return x

        with pytest.raises(RuntimeError, match=r"explain: .*named was not captured yet; call it"):
            named.explain()

    def test_no_arguments(self):
        captured = tg.jit(lambda: tg.zeros(2))
        captured()
        assert captured.explain().plans[0].title == "jit(<lambda>) for no arguments"


class TestText:
    def test_has_a_line_per_step(self):
        step, _ = training_step()
        text = str(step.explain())
        (plan,) = step.explain().plans
        assert repr(step.explain()) == text
        numbers = re.findall(r"^  +(\d+)  \S", text, re.MULTILINE)
        assert numbers == [str(i) for i in range(len(plan.steps))]
        assert "1 call: Adam.step, 1 draw of random numbers" in text
        assert "call Adam.step" in text
        assert all(len(line) <= 120 for line in text.splitlines() if "->" not in line)

    def test_one_part_per_program(self):
        captured = tg.jit(lambda x: x * 2)
        captured(tg.ones(2)), captured(tg.ones(3))
        assert str(captured.explain()).count("jit(<lambda>) for") == 2


class TestPicture:
    def test_buffers_are_rectangles(self):
        step, _ = training_step()
        explanation = step.explain()
        (plan,) = explanation.plans
        root = ET.fromstring(explanation.svg)
        rects = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "buffer"]
        assert len(rects) == len(plan.lifetimes)
        for a in rects:
            for b in rects:
                if a is not b:
                    assert not _overlap(a, b), "two buffers have the same bytes at the same time"
        texts = [t.text for t in root.iter(f"{SVG}text")]
        assert plan.title in texts
        assert any(t.startswith("call Adam.step") for t in texts)
        assert explanation._repr_svg_() == explanation.svg

    def test_names_are_escaped(self):
        captured = tg.jit(lambda x: x * 2)
        captured(tg.ones(2))
        assert "jit(&lt;lambda&gt;)" in captured.explain().svg

    def test_very_many_steps(self):
        """Rows get thin, and lose their names, before the picture gets taller than a screen can scroll."""

        def function(x: Any) -> Any:
            for _ in range(2000):
                x = x + 1
            return x

        captured = tg.jit(function)
        captured(tg.ones(2))
        root = ET.fromstring(captured.explain().svg)
        assert float(root.get("height")) < 12500
        assert len(list(root.iter(f"{SVG}text"))) < 10

    def test_save(self, tmp_path):
        step, _ = training_step()
        explanation = step.explain()
        explanation.save(tmp_path / "plan.svg")
        assert (tmp_path / "plan.svg").read_text(encoding="utf-8") == explanation.svg
        explanation.save(str(tmp_path / "plan.txt"))
        assert (tmp_path / "plan.txt").read_text(encoding="utf-8") == f"{explanation}\n"
        with pytest.raises(ValueError, match=r"\.svg or a \.txt file, got .*plan\.png"):
            explanation.save(tmp_path / "plan.png")


def _overlap(a: Any, b: Any) -> bool:
    (x, y, w, h), (u, v, s, t) = ([float(r.get(k)) for k in ("x", "y", "width", "height")] for r in (a, b))
    slack = 0.03  # coordinates are rounded
    return x + slack < u + s and u + slack < x + w and y + slack < v + t and v + slack < y + h
