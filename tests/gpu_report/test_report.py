"""The report program works: sections stand alone, failures are told, and without a GPU it says so."""

from __future__ import annotations

import json
import types

import pytest

from tests.gpu_report import __main__ as program
from tests.gpu_report import page, world
from tests.test_backend import HIDE_CUPY


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    status = program.main(["--out", str(folder), "--emulate"])
    report = json.loads((folder / "report.json").read_text())
    assert status == 0, {name: entry.get("error") for name, entry in report["sections"].items()}
    return report, (folder / "report.md").read_text()


def test_every_section_has_a_result(emulated):
    report, text = emulated
    assert list(report["sections"]) == list(program.SECTIONS)
    for entry in report["sections"].values():
        assert entry["ok"]
        assert entry["rows"]
        assert f"## {entry['title']}" in text
    assert report["setting"]["date"] in text
    assert "Emulated" in text


def test_every_fused_kernel_is_measured(emulated):
    from tensorgrad.kernels import INSTRUCTIONS

    fused = {name for name, k in INSTRUCTIONS.items() if k.family in ("softmax", "norm", "loss", "optimizer")}
    fused |= {"bias_activation", "bias_activation_backward", "dropout"}
    fused.discard("target_weight")  # reads the targets alone, which are few
    rows = emulated[0]["sections"]["bandwidth"]["rows"]
    measured = {row["kernel"].split()[0] for row in rows}
    assert not fused - measured
    assert {row["dtype"] for row in rows} == {"float32", "bfloat16"}


def test_emulation_says_nothing_about_speed(emulated):
    report, text = emulated
    assert "GB/s" not in text
    assert report["sections"]["bandwidth"]["copy_bytes_per_second"] is None
    for row in report["sections"]["training"]["rows"]:
        assert not isinstance(row.get("tensorgrad"), float)


def test_training_runs_what_is_built(emulated):
    for row in emulated[0]["sections"]["training"]["rows"]:
        assert row.get("ran") or row["tensorgrad"].startswith("not built yet: ")
        assert "failed" not in row


def test_training_covers_convolution_and_attention_in_both_precisions(emulated):
    rows = {(row["model"].split()[0], row["dtype"]): row for row in emulated[0]["sections"]["training"]["rows"]}
    for model, instruction in (("ResNet-18,", "conv_weight_gradient: "), ("GPT-2", "attention_backward: ")):
        for precision in ("float32", "bfloat16 (autocast)"):
            assert instruction in rows[model, precision]["computed by"]


def test_no_gpu(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(world, "_PROBE", HIDE_CUPY + world._PROBE)
    assert program.main(["--out", str(tmp_path / "x")]) == 3
    error = capsys.readouterr().err
    assert "CuPy, which is not installed" in error
    assert "--emulate" in error
    assert not (tmp_path / "x").exists()


def test_no_folder(capsys):
    assert program.main([]) == 2
    assert "--out" in capsys.readouterr().err


def test_a_failing_section_loses_no_other(monkeypatch, capsys, tmp_path):
    def run(name, emulate):
        if name == "bandwidth":
            return {"ok": False, "seconds": 1, "error": "it broke | badly", "rows": [{"kernel": "a|b"}]}
        return {"ok": True, "seconds": 1, "rows": [{"what": name}], "setting": {"date": "today"}}

    monkeypatch.setattr(program, "_run", run)
    assert program.main(["--out", str(tmp_path), "--emulate"]) == 1
    text = (tmp_path / "report.md").read_text()
    for name in program.SECTIONS:
        assert name == "bandwidth" or f"| {name} |" in text
    assert "it broke | badly" in text
    assert "a\\|b" in text
    said = capsys.readouterr().out
    assert said.rstrip().endswith("it broke | badly"), "what failed is printed last"


def test_a_section_that_raises_keeps_what_it_has(monkeypatch, tmp_path):
    def run(entry, save, emulate):
        entry["rows"].append({"done": 1})
        save()
        raise ZeroDivisionError("here")

    monkeypatch.setattr(program, "setting", lambda emulate: {"date": "today"})
    monkeypatch.setitem(__import__("sys").modules, "tests.gpu_report.suite", types.SimpleNamespace(run=run))
    assert program._run_here("suite", tmp_path / "r.json", False) == 0
    entry = json.loads((tmp_path / "r.json").read_text())
    assert not entry["ok"]
    assert entry["rows"] == [{"done": 1}]
    assert "ZeroDivisionError: here" in entry["error"]


def test_a_section_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setitem(program.SECTIONS, "agreement", (0.01, "hangs"))
    entry = program._run("agreement", True)
    assert not entry["ok"]
    assert "took longer than 0.01 s" in entry["error"]


def test_all_sections_fit_in_eight_minutes():
    assert sum(seconds for seconds, _ in program.SECTIONS.values()) < 470


def test_page_without_a_setting():
    assert "date unknown" in page.page({"emulated": False, "sections": {}})
