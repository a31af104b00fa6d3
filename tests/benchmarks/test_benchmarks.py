"""The benchmark program works: workloads run and learn, statistics are right, failures and pages are told."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import tensorgrad as tg
from tests.benchmarks import __main__ as program
from tests.benchmarks import table, timing
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.limits import Limits
from tests.benchmarks.profiling import profiled
from tests.benchmarks.workloads import WORKLOADS

_SMALL = ["mlp-small", "mlp-medium", "lenet", "lstm", "chain-tiny"]
_SLOW = ["mlp-large", "vgg", "gpt-small", "gpt-large"]


def _losses(name, steps, framework=tg, contender="tensorgrad"):
    task = WORKLOADS[name].make(framework)
    step = CONTENDERS[contender].prepare(framework, task)
    return [step(*task.batches[0]).detach().numpy() for _ in range(steps)]


@pytest.mark.parametrize("name", [*_SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in _SLOW)])
def test_training_lowers_the_loss_on_one_batch(name):
    losses = _losses(name, 6)
    assert np.isfinite(losses).all()
    if WORKLOADS[name].make(tg).update is not None:
        assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", [name for name in WORKLOADS if name.endswith("-inference")])
def test_inference_is_without_a_tape_and_repeatable(name):
    task = WORKLOADS[name].make(tg)
    output = CONTENDERS["tensorgrad"].prepare(tg, task)(*task.batches[0])
    assert not output.requires_grad
    assert output.shape[0] == 1
    np.testing.assert_array_equal(output.numpy(), _losses(name, 1)[0])


@pytest.mark.parametrize("name", _SMALL)
def test_frameworks_agree(name):
    torch = pytest.importorskip("torch")
    assert timing.difference(_losses(name, 4), _losses(name, 4, torch, "torch")) < 1e-5


def test_every_network_is_trained_and_used():
    trained = {name for name in WORKLOADS if not name.endswith("-inference") and not name.startswith("chain-")}
    assert {f"{name}-inference" for name in trained} == {name for name in WORKLOADS if name.endswith("-inference")}


def test_figures_are_medians_of_the_ratios_within_rounds():
    own = timing._Record([2.0, 2.0, 9.0], [2.0, 9.0, 4.0], [np.float32(1)], [7.0], 5.0)
    reference = timing._Record([1.0], [1.0, 3.0, 4.0], [np.float32(2)], [1.0])
    figures = timing._figures(own, reference, 1e6)
    assert (figures.ratio, figures.lowest, figures.highest) == (2.0, 1.0, 3.0)
    assert figures.time == 2e6
    assert figures.start == 5.0
    assert figures.difference == 0.5
    assert figures.memory == 5.0


def test_no_ratio_to_a_reference_that_failed():
    own = timing._Record([2.0], [2.0], [np.float32(1)], [2.0])
    assert timing._figures(own, timing._Record(failed="broken"), 1.0).ratio is None
    assert timing._figures(timing._Record(failed="broken"), own, 1.0).failed == "broken"


def test_a_nan_is_an_infinite_difference():
    assert timing.difference([np.array(math.nan)], [np.array(1.0)]) == math.inf
    assert timing.difference([np.array([1.0, 2.0])], [np.array([1.5, 4.0])]) == 0.5


def test_profile_counts_launches():
    seen, count, alone = profiled("mlp-small", steps=3)
    assert (count, alone > 0) == (3, True)
    assert {entry.kernel: entry.calls for entry in seen.key_averages()}["sgd_step"] == 3
    assert all(entry.seconds >= 0 for entry in seen.key_averages(("kernel", "shapes")))


@pytest.fixture
def results():
    def figures(ratio):
        return timing.Figures(time=1500.0, ratio=ratio, lowest=ratio, highest=ratio, difference=1e-6, memory=3.4)

    rows = {"tensorgrad": figures(0.5), "tensorgrad-jit": timing.Figures(failed="no jit here"), "torch": figures(1.0)}
    return [timing.Comparison("mlp-small", "an MLP", rows)]


def test_markdown_holds_ratios_and_reasons(results):
    text = table.markdown(results, {"threads": 2}, Limits({"numpy": 123.0}, {"numpy": 45.0}))
    assert "| an MLP | 1.50 ms, **0.50** |  | 1.50 ms | 1e-06 |" in text
    assert "tg.jit has no figures for any row: no jit here." in text
    assert "123 GFLOP/s (numpy)" in text
    assert "45 GB/s (numpy)" in text


def test_page_keeps_what_is_outside_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- figures: start -->\nold\n<!-- figures: end -->\nafter\n")
    table.write_markdown(page, "new")
    assert page.read_text() == "before\n<!-- figures: start -->\n\nnew\n\n<!-- figures: end -->\nafter\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="to write between"):
        table.write_markdown(page, "new")
    assert page.read_text() == "no markers"


def test_disagreement_is_noticed(results):
    assert table.agree(results)
    results[0].figures["tensorgrad"].difference = 0.1
    assert not table.agree(results)


@pytest.mark.slow
def test_program_measures_and_writes(tmp_path, monkeypatch, capsys):
    for variable in (*program._POOLS, "TORCHINDUCTOR_CACHE_DIR", "TORCHINDUCTOR_COMPILE_THREADS"):
        monkeypatch.setenv(variable, "")  # and puts back what was there
    written, page = tmp_path / "figures.json", tmp_path / "page.md"
    arguments = ["--quick", "--workload", "mlp-small", "--contender", "tensorgrad", "--rounds", "1"]
    assert program.main([*arguments, "--json", str(written), "--markdown", str(page)]) == 0
    (result,) = json.loads(written.read_text())["results"]
    assert result["figures"]["tensorgrad"]["failed"] is None
    assert result["figures"]["tensorgrad"]["time"] > 0
    assert result["title"] in page.read_text()
    assert result["title"] in capsys.readouterr().out


def test_unknown_workload_is_refused(capsys):
    with pytest.raises(SystemExit):
        program.main(["--workload", "nonsense"])
    assert "nonsense" in capsys.readouterr().err
