"""The profiler: what it counts and times, by kernel, shapes and module, in threads, under jit, and its trace."""

from __future__ import annotations

import contextlib
import json
import math
import threading
import time

import numpy as np
import pytest
from tensorgrad.kernels import costs

import tensorgrad as tg
from tensorgrad import kernels as K
from tensorgrad.nn import calls
from tensorgrad.tensor import Tensor


def network(device="cpu"):
    tg.manual_seed(0)
    return tg.nn.Sequential(tg.nn.Linear(4, 8), tg.nn.ReLU(), tg.nn.Linear(8, 2)).to(device)


def entries(prof, by):
    keys = (by,) if isinstance(by, str) else by
    return {tuple(getattr(e, k) for k in keys) if len(keys) > 1 else getattr(e, by): e for e in prof.key_averages(by)}


class TestCounting:
    def test_calls_bytes_and_arithmetic(self, device):
        x, y = tg.ones(8, 16, device=device), tg.ones(16, 4, device=device)
        with tg.profiler.profile() as prof:
            for _ in range(3):
                x @ y
            x + x
        found = entries(prof, "kernel")
        assert {name: e.calls for name, e in found.items()} == {"matmul": 3, "add": 1}
        assert found["matmul"].bytes == 3 * 4 * (8 * 16 + 16 * 4 + 8 * 4)
        assert found["matmul"].flops == 3 * 2 * 8 * 16 * 4
        assert (found["add"].bytes, found["add"].flops) == (4 * 2 * 8 * 16, 0)  # one operand, twice, and the result
        assert {e.device for e in prof.key_averages("device")} == {str(x.device)}
        assert sum(e.share for e in found.values()) == pytest.approx(1.0)
        assert found["matmul"].average == found["matmul"].seconds / 3

    def test_by_shapes(self):
        with tg.profiler.profile() as prof:
            tg.ones(2, 3) + tg.ones(3)
            tg.concat([tg.ones(2), tg.ones(2)])
        shapes = {e.shapes for e in prof.key_averages(("kernel", "shapes"))}
        assert {"(2, 3) (3,)", "list of 2"} <= shapes

    def test_broadcast_operands_count_once_in_memory(self):
        x = np.broadcast_to(np.ones((1, 5), np.float32), (7, 5))
        assert costs.bytes_moved((x,), {}, None) == 4 * 5
        assert costs.bytes_written((x,), {}, (x, np.ones(3))) == 24

    def test_times_are_those_of_the_kernels(self, monkeypatch):
        slow, plain = 0.02, K.tanh.large

        def sleeping(*args):
            time.sleep(slow)
            return plain(*args)

        monkeypatch.setattr(K.tanh, "large", sleeping)
        x = tg.ones(3)
        with tg.profiler.profile() as prof:
            time.sleep(slow)
            tg.tanh(tg.exp(x))
        found = entries(prof, "kernel")
        assert slow <= found["tanh"].seconds < 10 * slow
        assert found["exp"].seconds < slow / 2
        assert slow <= found["tanh"].host
        starts = {launch.kernel: launch.start for launch in prof.launches}
        assert slow <= starts["exp"] < starts["tanh"]

    def test_a_launch_within_a_launch_counts_once(self, monkeypatch):
        plain = K.tanh.large

        def nested(x):
            time.sleep(0.01)
            K.exp(x)
            return plain(x)

        def sleeping(x):
            time.sleep(0.03)
            return np.exp(x)

        monkeypatch.setattr(K.tanh, "large", nested)
        monkeypatch.setattr(K.exp, "large", sleeping)
        with tg.profiler.profile() as prof:
            tg.tanh(tg.ones(3))
        launches = {launch.kernel: launch for launch in prof.launches}
        outer, inner = launches["tanh"], launches["exp"]
        assert outer.total > inner.total >= 0.03
        assert outer.seconds == pytest.approx(outer.total - inner.total)

    def test_arithmetic_of_layers(self):
        """Against the textbook's formulas."""
        tg.manual_seed(0)
        cases = [
            (tg.nn.Linear(5, 7), (3, 5), 3 * 5 * 7),
            (tg.nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2), (2, 4, 8, 9), 2 * 6 * 4 * 5 * 2 * 3 * 2),
            (tg.nn.ConvTranspose2d(4, 6, 3), (2, 4, 5, 5), 2 * 4 * 25 * 6 * 9),
            (tg.nn.LSTM(5, 6), (7, 2, 5), 7 * 2 * 4 * 6 * (5 + 6)),
            (tg.nn.GRU(5, 6), (7, 2, 5), 7 * 2 * 3 * 6 * (5 + 6)),
            (tg.nn.RNN(5, 6), (7, 2, 5), 7 * 2 * 6 * (5 + 6)),
        ]
        for layer, shape, expected in cases:
            with tg.profiler.profile() as prof:
                layer(tg.ones(shape))
            assert sum(e.flops for e in prof.key_averages()) == 2 * expected, layer
        q = tg.ones(2, 3, 5, 4)
        with tg.profiler.profile() as prof:
            tg.nn.functional.scaled_dot_product_attention(q, q, q)
        assert sum(e.flops for e in prof.key_averages()) == 2 * 2 * 3 * 5 * 5 * (4 + 4)

    def test_arithmetic_of_a_backward_is_twice_the_forward(self):
        for layer, shape in ((tg.nn.Conv2d(3, 4, 3, padding=1), (2, 3, 6, 6)), (tg.nn.Linear(5, 7), (3, 5))):
            x = tg.ones(shape, requires_grad=True)
            with tg.profiler.profile() as prof:
                layer(x).sum().backward()
            phases = entries(prof, "phase")
            assert phases["backward"].flops == 2 * phases["forward"].flops > 0


class TestModules:
    def test_forward_and_backward(self, device):
        model, x = network(device), tg.ones(16, 4, device=device)
        with tg.profiler.profile() as prof:
            model(x).sum().backward()
        found = entries(prof, ("module", "phase", "kernel"))
        assert found["Sequential.0", "forward", "linear"].calls == 1
        assert found["Sequential.2", "forward", "linear"].calls == 1
        assert found["Sequential.1", "forward", "relu"].calls == 1
        assert found["Sequential.1", "backward", "relu_backward"].calls == 1
        assert found["Sequential.0", "backward", "matmul"].calls >= 1
        assert found["Sequential.2", "backward", "matmul"].calls >= 2  # of the input and of the weight
        assert found["", "other", "sum"].calls == 1

    def test_names(self):
        class Net(tg.nn.Module):
            def __init__(self):
                super().__init__()
                self.blocks = tg.nn.ModuleList([tg.nn.Tanh(), tg.nn.Sigmoid()])
                self.again = self.blocks[0]

            def forward(self, x):
                for block in self.blocks:
                    x = block(x)
                return tg.nn.ReLU()(x) + 1

        x, first, second = tg.ones(2), Net(), Net()
        with tg.profiler.profile() as prof:
            first(x)
            second(x)
        modules = {e.kernel: e.module for e in prof.key_averages(("kernel", "module")) if "#" not in e.module}
        assert modules == {
            "tanh": "Net.blocks.0", "sigmoid": "Net.blocks.1", "relu": "Net.ReLU", "add": "Net",
        }  # fmt: skip
        assert "Net#2.blocks.0" in entries(prof, "module")

    def test_a_module_at_two_places(self):
        layer, x = tg.nn.Tanh(), tg.ones(2)
        with tg.profiler.profile() as prof:
            tg.nn.Sequential(layer, tg.nn.ReLU(), layer)(x)
        assert set(entries(prof, "module")) == {"Sequential.0", "Sequential.1", "Sequential.2"}

    def test_double_backward(self):
        layer, x = tg.nn.Tanh(), tg.ones(3, requires_grad=True)
        with tg.profiler.profile() as prof:
            (g,) = tg.autograd.grad(layer(x).sum(), x, create_graph=True)
            (g * g).sum().backward()
        found = entries(prof, ("module", "phase"))
        assert found["Tanh", "forward"].calls == 1
        assert found["Tanh", "backward"].calls >= 3
        assert x.grad is not None

    def test_a_forward_computed_again_by_checkpoint(self):
        model, x = network(), tg.ones(3, 4, requires_grad=True)
        with tg.profiler.profile() as prof:
            tg.autograd.checkpoint(model, x).sum().backward()
        found = entries(prof, ("module", "phase", "kernel"))
        assert found["Sequential.0", "forward", "linear"].calls == 2
        assert ("Sequential.1", "backward", "relu_backward") in found


class TestWhatItWatches:
    def test_captured_functions(self, device):
        model, x = network(device), tg.ones(5, 4, device=device)
        step = tg.jit(lambda x: model(x).sum())
        expected = [step(x).item() for _ in range(3)][-1]
        with tg.profiler.profile() as prof:
            assert step(x).item() == pytest.approx(expected)
        assert entries(prof, ("module", "kernel"))["Sequential.0", "linear"].calls == 1
        assert step(x).item() == pytest.approx(expected)

    def test_other_threads(self):
        model = network()

        def work():
            for _ in range(20):
                model(tg.ones(3, 4)).sum().backward()

        threads = [threading.Thread(target=work, name="worker") for _ in range(3)]
        with tg.profiler.profile() as prof:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert entries(prof, ("module", "kernel"))["Sequential.0", "linear"].calls == 60
        assert entries(prof, ("module", "kernel"))["Sequential.1", "relu_backward"].calls == 60
        assert {e.thread for e in prof.key_averages("thread")} <= {"worker", "worker#2", "worker#3"}

    def test_two_at_once(self):
        with tg.profiler.profile() as outer:
            tg.exp(tg.ones(2))
            with tg.profiler.profile() as inner:
                tg.exp(tg.ones(2))
        assert (entries(outer, "kernel")["exp"].calls, entries(inner, "kernel")["exp"].calls) == (2, 1)

    def test_asked_while_it_runs(self, device):
        x = tg.ones(2, device=device)
        with tg.profiler.profile() as prof:
            tg.exp(x)
            assert entries(prof, "kernel")["exp"].calls == 1
            tg.exp(x)
        assert entries(prof, "kernel")["exp"].calls == 2

    def test_nothing_is_left_behind(self):
        init = Tensor.__init__
        with contextlib.suppress(ZeroDivisionError), tg.profiler.profile() as prof:
            assert tg.nn.Module._hooked
            raise ZeroDivisionError
        assert Tensor.__init__ is init
        assert not K.registry._hooks
        assert not calls.are_watched()
        assert not tg.nn.Module._hooked
        tg.exp(tg.ones(2))
        assert prof.launches == []

    def test_a_kernel_that_fails(self):
        with tg.profiler.profile() as prof:
            with pytest.raises(ValueError, match="broadcast"):
                tg.ones(2) + tg.ones(3)
            tg.ones(2) + tg.ones(2)
        assert entries(prof, "kernel")["add"].calls == 1

    def test_recording_while_a_profile_begins_and_ends(self):
        """The flag that makes modules report stays up as long as somebody needs it."""
        model = network()

        def step(x):
            with tg.profiler.profile():
                pass
            assert tg.nn.Module._hooked
            return model(x)

        assert tg.jit(step)(tg.ones(2, 4)).shape == (2, 2)
        assert not tg.nn.Module._hooked

    @pytest.mark.parametrize("device", ["cuda"], indirect=True)
    def test_launches_on_cuda_do_not_wait(self, device, monkeypatch):
        import cupy

        x = tg.ones(4, device=device)
        x + x
        with tg.profiler.profile() as prof:
            x + x  # the first one of a device waits, to bring the clocks together
            waits = []
            plain = cupy.cuda.Event.synchronize
            monkeypatch.setattr(cupy.cuda.Event, "synchronize", lambda event: (waits.append(event), plain(event)))
            x + x
            assert waits == []
        assert all(math.isfinite(launch.total) and launch.total >= 0 for launch in prof.launches)
        assert waits


class TestTables:
    def profile(self):
        with tg.profiler.profile() as prof:
            model = network()
            model(tg.ones(16, 4)).sum().backward()
        return prof

    def test_table(self):
        prof = self.profile()
        lines = prof.table(sort_by="calls", limit=3).splitlines()
        assert lines[0].split()[-1] == "kernel"
        calls = [int(line.split()[2]) for line in lines[2:5]]
        assert calls == sorted((e.calls for e in prof.key_averages()), reverse=True)[:3]
        assert lines[5] == f"and {len(prof.key_averages()) - 3} more with {lines[5].split()[-4]} of the time"
        assert lines[6].startswith(f"{len(prof.launches)} launches")
        everything = prof.table(("module", "phase"), limit=None)
        assert "more with" not in everything
        assert "Sequential.1  backward" in everything

    def test_sorting(self):
        prof = self.profile()
        by_flops = prof.table(sort_by="flops").splitlines()[2:]
        assert by_flops[0].split()[-1] in ("linear", "matmul")
        seconds = [e.seconds for e in prof.key_averages("shapes")]
        assert seconds == sorted(seconds, reverse=True)

    def test_empty(self):
        with tg.profiler.profile() as prof:
            pass
        assert prof.key_averages() == []
        assert "0 launches" in prof.table()

    def test_errors(self):
        prof = self.profile()
        with pytest.raises(ValueError, match=r"cannot group by \['layer'\]; there is kernel, shapes"):
            prof.key_averages("layer")
        with pytest.raises(ValueError, match="nothing"):
            prof.key_averages(())
        with pytest.raises(ValueError, match="cannot sort by 'name'; there is time"):
            prof.table(sort_by="name")
        with pytest.raises(ValueError, match="limit"):
            prof.table(limit=-1)
        with pytest.raises(RuntimeError, match="one block"):
            prof.__enter__()


class TestTrace:
    def test_events(self, device, tmp_path):
        model, x = network(device), tg.ones(16, 4, device=device)
        with tg.profiler.profile() as prof:
            model(x).sum().backward()
        prof.export_chrome_trace(tmp_path / "trace.json")
        trace = json.loads((tmp_path / "trace.json").read_text())
        named = {(e["name"], e["args"]["name"]) for e in trace["traceEvents"] if e["ph"] == "M"}
        assert named == {("process_name", str(x.device)), ("thread_name", threading.current_thread().name)}
        events = [e for e in trace["traceEvents"] if e["ph"] == "X"]
        assert len(events) == len(prof.launches)
        first = next(e for e in events if e["name"] == "linear")
        assert (first["args"]["module"], first["cat"]) == ("Sequential.0", "forward")
        assert first["args"]["shapes"] == "(16, 4) (8, 4) (8,)"
        assert all(isinstance(e[k], (int, float)) and e[k] >= 0 for e in events for k in ("ts", "dur", "pid", "tid"))
        assert [e["ts"] for e in events] == sorted(e["ts"] for e in events)

    def test_events_of_one_thread_nest(self, tmp_path):
        with tg.profiler.profile() as prof:
            model = network()
            model(tg.ones(16, 4)).sum().backward()
        prof.export_chrome_trace(tmp_path / "trace.json")
        events = [e for e in json.loads((tmp_path / "trace.json").read_text())["traceEvents"] if e["ph"] == "X"]
        open_until = []
        for e in events:
            while open_until and open_until[-1] <= e["ts"] + 0.002:
                open_until.pop()
            end = e["ts"] + e["dur"]
            assert not open_until or end <= open_until[-1] + 0.002
            open_until.append(end)
