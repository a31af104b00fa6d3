"""``tg.cuda``: devices, streams, copies beside the computation, memory; and a training step that asks nothing back."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from tensorgrad.kernels import add_hook, remove_hook

import tensorgrad as tg
from tensorgrad import backend, nn
from tensorgrad.cuda import transfer
from tests import cuda_emulator
from tests.conftest import why_no_cuda
from tests.test_backend import HIDE_CUPY, run


@pytest.fixture(params=["cuda"])
def device(request):
    """CUDA only: these tests count what the emulator counts, or need its two devices."""
    missing = why_no_cuda()
    if missing is not None:
        pytest.skip(missing)
    return request.param


@pytest.fixture
def emulated(device):
    import cupy

    if getattr(cupy, "__file__", None) is not None:
        pytest.skip("needs the emulator")
    gc.collect()
    yield cupy
    gc.collect()
    tg.cuda.synchronize()


class TestDevices:
    def test_count_and_names(self, emulated):
        assert tg.cuda.device_count() == 2
        assert tg.cuda.get_device_name() == tg.cuda.get_device_name("cuda:1") == "tensorgrad CUDA emulator"
        assert tg.cuda.get_device_capability(1) == (9, 0)

    def test_current_device(self, emulated):
        assert tg.cuda.current_device() == 0
        with tg.cuda.device(1):
            assert tg.cuda.current_device() == 1
            assert tg.zeros(1, device="cuda").device == "cuda:1"
            with tg.cuda.device(None), tg.cuda.device(-1), tg.cuda.device("cuda:0"):
                assert tg.cuda.current_device() == 0
            assert tg.cuda.current_device() == 1
        assert tg.cuda.current_device() == 0
        try:
            tg.cuda.set_device("cuda:1")
            assert tg.cuda.current_device() == 1
            seen = []
            thread = threading.Thread(target=lambda: seen.append(tg.cuda.current_device()))
            thread.start()
            thread.join()
            assert seen == [0], "the current device belongs to the thread"
        finally:
            tg.cuda.set_device(0)

    def test_names_of_devices_are_checked(self, emulated):
        with pytest.raises(ValueError, match="this machine has 2 CUDA device"):
            tg.cuda.set_device(7)
        with pytest.raises(ValueError, match="expected a CUDA device, got 'cpu'"):
            tg.cuda.synchronize("cpu")

    def test_work_runs_where_its_arrays_are(self, emulated):
        """The emulator refuses work on another device's memory, and allocates on the current device."""
        x = tg.tensor(np.arange(12.0, dtype="f4").reshape(3, 4), device="cuda:1", requires_grad=True)
        w = tg.ones(4, 3, device="cuda:1", requires_grad=True)
        y = tg.softmax((x.T.reshape(3, 4) @ w)[1:, :2] * 2 + tg.ones(2, device="cuda:1"), axis=1)
        loss = (y * y).sum() + tg.broadcast_to(x[0], (2, 4)).mean() + tg.concat([x, x]).sum()
        loss.backward()
        assert {t.device for t in (y, loss, x.grad, w.grad)} == {tg.device("cuda", 1)}
        assert tg.cuda.current_device() == 0
        x2 = tg.tensor(x.detach().cpu().numpy(), requires_grad=True)
        w2 = tg.ones(4, 3, requires_grad=True)
        y2 = tg.softmax((x2.T.reshape(3, 4) @ w2)[1:, :2] * 2 + tg.ones(2), axis=1)
        ((y2 * y2).sum() + tg.broadcast_to(x2[0], (2, 4)).mean() + tg.concat([x2, x2]).sum()).backward()
        np.testing.assert_allclose(x.grad.cpu().numpy(), x2.grad.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(w.grad.cpu().numpy(), w2.grad.numpy(), rtol=1e-5, atol=1e-6)

    def test_training_on_the_second_device(self, emulated):
        losses = {}
        for place in ("cpu", "cuda:1"):
            tg.manual_seed(3)
            losses[place] = [float(loss) for loss in training(place, steps=3)[0]]
        np.testing.assert_allclose(losses["cpu"], losses["cuda:1"], rtol=1e-5)

    @pytest.mark.parametrize("combine", [lambda a, b: a + b, lambda a, b: tg.concat([a, b]), lambda a, b: a @ b.T])
    def test_devices_are_not_mixed(self, emulated, combine):
        a, b = tg.ones(2, 3, device="cuda:0"), tg.ones(2, 3, device="cuda:1")
        with pytest.raises(ValueError, match=r"different devices \(cuda:0, cuda:1\); move one of them with \.to\("):
            combine(a, b)

    def test_copies_between_devices(self, emulated):
        x = tg.ones(3, device="cuda:0", requires_grad=True)
        y = x.to("cuda:1") * 2
        assert y.device == "cuda:1"
        y.sum().backward()
        assert x.grad.device == "cuda:0"
        assert x.grad.tolist() == [2, 2, 2]

    def test_copies_between_devices_are_ordered_on_streams(self, emulated):
        here, there = tg.cuda.Stream(0), tg.cuda.Stream(1)
        with tg.cuda.stream(here):
            x = tg.ones(3, device="cuda:0") * 3
            with tg.cuda.stream(there):
                assert tg.cuda.current_device() == 1
                y = x.to("cuda:1") + 1
            x *= 0  # ordered after the copy, or the emulator raises
            assert x.tolist() == [0, 0, 0]
            with tg.cuda.stream(there):
                assert y.tolist() == [4, 4, 4]


class TestStreams:
    def test_work_goes_to_the_current_stream(self, emulated):
        assert tg.cuda.current_stream() == tg.cuda.default_stream()
        side = tg.cuda.Stream()
        with tg.cuda.stream(side):
            assert tg.cuda.current_stream() == side != tg.cuda.default_stream()
            assert emulated.cuda.get_current_stream().ptr == side.cuda_stream
            x = tg.ones(4, device="cuda") + 1
        assert tg.cuda.current_stream() == tg.cuda.default_stream()
        with pytest.raises(cuda_emulator.EmulatorError, match="no event"):
            x + 1
        tg.cuda.current_stream().wait_stream(side)
        assert (x + 1).tolist() == [3] * 4

    def test_a_stream_of_another_device(self, emulated):
        with tg.cuda.stream(tg.cuda.Stream(1)):
            assert tg.ones(1, device="cuda").device == "cuda:1"
        assert tg.cuda.current_device() == 0

    def test_events(self, emulated):
        side = tg.cuda.Stream()
        with tg.cuda.stream(side):
            x = tg.ones(4, device="cuda") + 1
            event = side.record_event()
        event.wait()
        y = x + 1
        assert y.device == "cuda"
        assert event.query()
        assert side.query()
        event.synchronize()
        side.synchronize()
        assert tg.cuda.Event().query(), "an event that was never recorded is no reason to wait"

    def test_elapsed_time(self, emulated):
        start, end = tg.cuda.Event(enable_timing=True), tg.cuda.Event(enable_timing=True)
        with pytest.raises(RuntimeError, match="must have been recorded"):
            start.elapsed_time(end)
        start.record()
        tg.ones(4, device="cuda")
        end.record()
        end.synchronize()
        assert start.elapsed_time(end) >= 0
        with pytest.raises(RuntimeError, match="enable_timing=True"):
            start.elapsed_time(tg.cuda.Event())

    def test_each_thread_has_its_own(self, emulated):
        seen = []

        def look():
            seen.append(tg.cuda.current_stream() == tg.cuda.default_stream())

        with tg.cuda.stream(tg.cuda.Stream()):
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
        assert seen == [True]

    @pytest.mark.parametrize("wait", ["stream", "event", "device"])
    def test_waiting_reports_what_kernels_found(self, emulated, wait):
        take = tg.take(tg.ones(3, device="cuda"), tg.tensor([5], device="cuda"), axis=0)
        assert take.shape == (1,)
        event = tg.cuda.current_stream().record_event()
        waits = {"stream": tg.cuda.current_stream(), "event": event, "device": tg.cuda}
        with pytest.raises(IndexError, match="index 5"):
            waits[wait].synchronize()


class TestCopies:
    def test_pin_memory(self, emulated):
        x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert not x.is_pinned()
        y = x.pin_memory()
        assert y.is_pinned()
        assert y[1].is_pinned()
        assert y.pin_memory() is y
        assert y.tolist() == x.tolist()
        assert tg.zeros(0).pin_memory().shape == (0,)
        on_device = x.to("cuda")
        assert not on_device.is_pinned()
        with pytest.raises(RuntimeError, match="only tensors in host memory can be pinned, this one is on cuda:0"):
            on_device.pin_memory()

    def test_to_device_runs_beside_the_host(self, emulated):
        x = tg.tensor(np.arange(6.0).reshape(2, 3)).pin_memory()
        with cuda_emulator.count() as counts:
            y = x.to("cuda", non_blocking=True)
            z = y + 1  # ordered after the copy by an event, or the emulator raises
        assert (counts.synchronizations, counts.host_to_device) == (0, 1)
        assert z.tolist() == (x + 1).tolist()

    def test_to_device_does_not_wait_for_the_computation(self, emulated):
        """The copy's stream knows nothing of work on the computing stream."""
        from tests.cuda_emulator.streams import current_queue

        x = tg.tensor([1.0, 2.0]).pin_memory()
        kept = x.to("cuda", non_blocking=True)  # memory that came back waits for its readers; none comes back below
        tg.ones(3, device="cuda").exp()
        x.to("cuda", non_blocking=True)
        assert kept.size
        lane = transfer._lanes.by_device[0].stream.queue
        assert lane.clock.get(current_queue().id, 0) < current_queue().clock[current_queue().id]

    def test_source_must_not_change_during_the_copy(self, emulated):
        x = tg.tensor([1.0, 2.0]).pin_memory()
        x.to("cuda", non_blocking=True)
        before = x.numpy().copy()
        x.numpy()[0] = 5
        with pytest.raises(cuda_emulator.EmulatorError, match="changed while it was being copied"):
            tg.cuda.synchronize()
        x.numpy()[:] = before

    def test_blocking_copy_of_pinned_memory_waits(self, emulated):
        x = tg.tensor([1.0, 2.0]).pin_memory()
        y = x.to("cuda")
        x.numpy()[0] = 5
        tg.cuda.synchronize()
        assert y.tolist() == [1, 2]

    def test_source_stays_alive_until_copied(self, emulated):
        import weakref

        x = tg.tensor([1.0, 2.0]).pin_memory()
        source = weakref.ref(x.numpy().base if x.numpy().base is not None else x.numpy())
        tg.cuda.synchronize()
        y = x.to("cuda", non_blocking=True)
        del x
        gc.collect()
        assert source() is not None
        assert len(transfer._lanes.by_device[0]._under_way) == 1, "by us, and not by the emulator alone"
        assert y.tolist() == [1, 2]
        tg.tensor([0.0]).pin_memory().to("cuda", non_blocking=True)
        gc.collect()
        assert source() is None, "let go of when the next copy finds it done"

    def test_memory_is_written_again_only_after_its_readers(self, emulated):
        """Without the event between a reader and the next copy, the emulator raises."""
        source = tg.tensor(np.ones(1000)).pin_memory()
        addresses = set()
        for _ in range(4):
            x = source.to("cuda", non_blocking=True)
            addresses.add(x._data.data.ptr)
            y = x * 2
            del x
        assert y.tolist()[:2] == [2, 2]
        assert len(addresses) < 4, "memory comes back"

    def test_to_host(self, emulated):
        x = tg.arange(5, device="cuda") * 2
        with cuda_emulator.count() as counts:
            y = x.to("cpu", non_blocking=True)
        assert counts.synchronizations == 0
        assert y.is_pinned()
        assert y.tolist() != [0, 2, 4, 6, 8], "the emulator fills in the values when the copy is waited for"
        tg.cuda.synchronize()
        assert y.tolist() == [0, 2, 4, 6, 8]

    def test_gradient_comes_back(self, emulated):
        x = tg.ones(3, requires_grad=True)
        (x.to("cuda", non_blocking=True) * 3).sum().backward()
        assert x.grad.device == "cpu"
        assert x.grad.tolist() == [3, 3, 3]

    def test_plain_memory(self, emulated):
        x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
        assert x.to("cuda", non_blocking=True).tolist() == x.tolist()
        assert x.pin_memory().T.to("cuda", non_blocking=True).tolist() == x.T.tolist()
        assert x.cuda(1).cpu(non_blocking=True).shape == (2, 2)
        assert x.to("cpu", non_blocking=True) is x


class TestLoader:
    def dataset(self):
        return tg.data.TensorDataset(tg.arange(40).astype(tg.float32).reshape(20, 2), tg.arange(20))

    @pytest.mark.parametrize("prefetch_factor", [None, 2, 3, 7])
    def test_prefetch_gives_the_same_batches(self, emulated, prefetch_factor):
        options = {"batch_size": 3, "device": "cuda", "pin_memory": True, "prefetch_factor": prefetch_factor}
        for _ in range(2):
            seen = []
            for x, y in tg.data.DataLoader(self.dataset(), **options):
                assert x.device == y.device == "cuda"
                seen.append(((x * 1).tolist(), y.tolist()))
            assert seen == [(x.tolist(), y.tolist()) for x, y in tg.data.DataLoader(self.dataset(), batch_size=3)]

    def test_copies_run_ahead_without_waiting(self, emulated):
        loader = tg.data.DataLoader(self.dataset(), batch_size=4, device="cuda", pin_memory=True)
        total = tg.zeros((), device="cuda")
        with cuda_emulator.count() as counts:
            batches = iter(loader)
            x, _ = next(batches)
            assert counts.host_to_device == 4, "two batches of two tensors"
            total = total + x.sum()
            for x, _ in batches:
                total = total + x.sum()
        assert counts.synchronizations == counts.device_to_host == 0
        assert total.item() == sum(range(40))

    def test_a_copy_does_not_wait_for_the_step_before(self, emulated):
        """The stream that computes waits for its own batch, not for the next one that is on its way."""
        loader = iter(tg.data.DataLoader(self.dataset(), batch_size=4, device="cuda", pin_memory=True))
        next(loader)
        lane = transfer._lanes.by_device[0].stream.queue
        computing = emulated.cuda.get_current_stream().queue
        computing.settle()
        assert computing.clock.get(lane.id, 0) < lane.clock[lane.id]

    def test_a_buffer_is_waited_for_before_it_is_filled_again(self, emulated):
        """In the emulator all copies are done at once; here one is not."""

        class Event:
            waited, done = 0, False

            def synchronize(self):
                self.waited += 1

        staging = transfer._Staging()
        staging._event = event = Event()
        staging.free()
        assert event.waited == 1
        event.done = True
        staging.free()
        assert event.waited == 1

    def test_structures_and_strings(self, emulated):
        data = [{"x": tg.tensor([float(i)]), "name": str(i)} for i in range(5)]
        loader = tg.data.DataLoader(data, batch_size=2, device="cuda", pin_memory=True)
        batches = list(loader)
        assert [b["name"] for b in batches] == [["0", "1"], ["2", "3"], ["4"]]
        assert [b["x"].tolist() for b in batches] == [[[0.0], [1.0]], [[2.0], [3.0]], [[4.0]]]
        assert batches[0]["x"].device == "cuda"

    def test_pinned_batches(self, emulated):
        for x, y in tg.data.DataLoader(self.dataset(), batch_size=8, pin_memory=True):
            assert x.is_pinned()
            assert y.is_pinned()
            assert x.to("cuda", non_blocking=True).device == "cuda"

    def test_dataset_on_the_device(self, emulated):
        on_device = tg.data.TensorDataset(tg.arange(6, device="cuda"))
        loader = tg.data.DataLoader(on_device, batch_size=4, device="cuda", pin_memory=True)
        assert [x.tolist() for (x,) in loader] == [[0, 1, 2, 3], [4, 5]]


def test_pinned_loader_without_a_gpu():
    program = """
    import tensorgrad as tg
    dataset = tg.data.TensorDataset(tg.arange(4))
    for device in (None, "cpu"):
        loader = tg.data.DataLoader(dataset, batch_size=2, pin_memory=True, device=device)
        assert [x.tolist() for (x,) in loader] == [[0, 1], [2, 3]]
    assert not tg.zeros(2).is_pinned()
    print("done")
    """
    done = run(HIDE_CUPY + __import__("textwrap").dedent(program))
    assert done.stdout.strip() == "done", done.stderr


def test_prefetch_factor_is_checked():
    dataset = tg.data.TensorDataset(tg.arange(4))
    with pytest.raises(ValueError, match="prefetch_factor needs pin_memory=True and a device"):
        tg.data.DataLoader(dataset, prefetch_factor=2)
    with pytest.raises(ValueError, match="at least 2"):
        tg.data.DataLoader(dataset, prefetch_factor=1, pin_memory=True, device="cpu")


def training(device, steps):
    """Losses, as tensors, of an MLP with dropout, cross-entropy and AdamW; and the step."""
    model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(0.5), nn.Linear(16, 4)).to(device)
    optimizer = tg.optim.AdamW(model.parameters(), lr=0.01)
    inputs, target = tg.randn(8, 6).to(device), tg.arange(8).to(device) % 4

    def step():
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(inputs), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return [step() for _ in range(steps)], step


def test_a_training_step_waits_for_nothing(emulated):
    """No copy to the host, none from it, no synchronisation: neither in the first step nor later."""
    _, step = training("cuda", steps=1)
    with cuda_emulator.count() as counts:
        loss = step()
        step()
    assert counts.launches > 20
    assert (counts.device_to_host, counts.host_to_device, counts.synchronizations) == (0, 0, 0)
    with cuda_emulator.count() as counts:
        loss.item()
    assert (counts.device_to_host, counts.synchronizations) == (1, 1)


def test_numbers_are_not_copied_to_the_device(emulated):
    x, n = tg.ones(3, device="cuda"), tg.arange(3, device="cuda")
    with cuda_emulator.count() as counts:
        results = [x + 1, 2 * x, x / 3.0, n + 1, n * True, tg.where(x > 0, x, 5), tg.tensor(2.5, device="cuda")]
    assert (counts.host_to_device, counts.device_to_host, counts.synchronizations) == (0, 0, 0)
    assert [r.tolist() for r in results[:2]] == [[2, 2, 2], [2, 2, 2]]
    assert results[3].dtype == tg.int64
    assert results[-1].item() == 2.5


class TestMemory:
    def test_counts(self, emulated):
        tg.cuda.empty_cache()
        before = tg.cuda.memory_allocated()
        tg.cuda.reset_peak_memory_stats()
        x = tg.zeros(1 << 18, device="cuda")
        assert tg.cuda.memory_allocated() - before == 1 << 20
        y = x + 1.0
        del y
        gc.collect()
        assert tg.cuda.memory_allocated() - before == 1 << 20
        assert tg.cuda.max_memory_allocated() - before == 2 << 20
        assert tg.cuda.memory_reserved() - before >= 2 << 20
        tg.cuda.empty_cache()
        assert tg.cuda.memory_reserved() == tg.cuda.memory_allocated()
        tg.cuda.reset_peak_memory_stats()
        assert tg.cuda.max_memory_allocated() - before == 1 << 20
        assert tg.cuda.memory_allocated("cuda:1") != tg.cuda.memory_allocated("cuda:0")
        free, total = tg.cuda.mem_get_info()
        assert 0 < free < total

    def test_peak_of_many_small_arrays(self, emulated):
        """The bound that spares a count per allocation does not miss a peak."""
        tg.cuda.reset_peak_memory_stats()
        start = tg.cuda.memory_allocated()
        for _ in range(3):
            kept = [tg.zeros(128, device="cuda") for _ in range(10)]
            del kept
            gc.collect()
        assert tg.cuda.max_memory_allocated() - start == 10 * 512

    def test_a_programs_own_allocator_stays(self, emulated):
        from tensorgrad.cuda import memory

        own = emulated.cuda.MemoryPool().malloc
        emulated.cuda.set_allocator(own)
        try:
            memory._allocator = None
            memory.install(emulated)
            assert emulated.cuda.get_allocator() == own
            assert tg.cuda.memory_allocated() >= 0
        finally:
            emulated.cuda.set_allocator(emulated.get_default_memory_pool().malloc)
            memory._allocator = None
            memory.install(emulated)
        assert isinstance(emulated.cuda.get_allocator(), memory.Allocator)

    @pytest.fixture
    def limit(self, emulated):
        pool = emulated.get_default_memory_pool()
        tg.cuda.empty_cache()
        yield lambda extra: pool.set_limit(pool.used_bytes() + extra)
        pool.set_limit(0)

    def test_cached_memory_is_given_back_first(self, emulated, limit):
        limit(3 << 20)
        x = tg.zeros(1 << 19, device="cuda")
        del x
        gc.collect()
        assert tg.cuda.memory_reserved() > tg.cuda.memory_allocated()
        assert tg.zeros(3 << 18, device="cuda").size == 3 << 18, "fits only where the cached two MiB were"

    def test_error(self, emulated, limit):
        limit(1 << 20)
        with pytest.raises(tg.cuda.OutOfMemoryError, match=r"out of memory on cuda:0: 8 MiB requested") as found:
            tg.zeros(1 << 21, device="cuda")
        for word in ("free on the device", "arrays hold", "the pool caches", "limited to", "smaller batches"):
            assert word in str(found.value)
        error = found.value
        assert error.requested == 8 << 20
        assert 0 < error.free <= error.total
        assert error.allocated == tg.cuda.memory_allocated()
        assert isinstance(error, MemoryError)
        assert isinstance(error, RuntimeError)

    def test_the_model_stays_usable(self, emulated, limit):
        _, step = training("cuda", steps=1)
        model = nn.Linear(1 << 8, 1 << 8).to("cuda")
        small, large = tg.ones(1, 1 << 8, device="cuda"), tg.ones(1 << 10, 1 << 8, device="cuda")
        expected = model(small).tolist()
        limit(1 << 19)
        allocated = tg.cuda.memory_allocated()
        with pytest.raises(tg.cuda.OutOfMemoryError):
            model(large)
        gc.collect()
        assert tg.cuda.memory_allocated() == allocated, "what the failed step made is free again"
        assert model(small).tolist() == expected
        assert np.isfinite(step().item())


class TestCompileErrors:
    def test_source_of_a_file(self, emulated, monkeypatch):
        from tensorgrad.kernels.cuda import module

        text = module.source("softmax")
        line = next(row for row in text.splitlines() if "__global__" in row)
        number = 1 + (module._HERE / "softmax.cu").read_text().splitlines().index(line)
        broken = text.replace(line, line + " nonsense nonsense;", 1)
        monkeypatch.setattr(module, "source", lambda stem: broken)
        for cached in (module.load, module.function):
            cached.cache_clear()
        try:
            with pytest.raises(RuntimeError, match=r"^softmax: .*does not compile") as found:
                tg.softmax(tg.ones(2, 3, device="cuda"), axis=1)
        finally:
            for cached in (module.load, module.function):
                cached.cache_clear()
        assert "nonsense" in str(found.value)
        assert f"softmax.cu:{number}" in str(found.value) or "generated" in str(found.value)

    def test_line_is_found(self, emulated):
        from tensorgrad.kernels.cuda import module, placement

        lines = module.source("loss").splitlines()
        expected = (module._HERE / "loss.cu").read_text().splitlines()
        for number in range(len(expected)):
            at = len(lines) - len(expected) + number
            if len(expected[number].strip()) > 20 and at >= 0 and lines[at] == expected[number]:
                error = emulated.cuda.compiler.CompileException(
                    f"/tmp/x.cubin.cu({at + 1}): error: identifier is undefined\n", "\n".join(lines), "", ()
                )
                assert placement.explained(error).startswith(f"loss.cu:{number + 1} does not compile: identifier is")

    def test_output_without_a_line(self, emulated):
        from tensorgrad.kernels.cuda import placement

        error = emulated.cuda.compiler.CompileException("nvrtc: invalid option", "", "", ())
        assert "invalid option" in placement.explained(error)


class TestFlags:
    def test_tf32(self):
        program = """
        import sys, tensorgrad as tg
        assert tg.backends.cuda.matmul.allow_tf32 is False
        tg.backends.cuda.matmul.allow_tf32 = True
        from tensorgrad.kernels import switches
        assert switches.allow_tf32 and tg.backends.cuda.matmul.allow_tf32
        print("cupy" in sys.modules)
        """
        assert run(program).stdout.strip() == "False"

    def test_cudnn(self):
        program = """
        import sys, tensorgrad as tg
        from tensorgrad.kernels import switches
        assert tg.backends.cudnn.enabled is True and tg.backends.cudnn.allow_tf32 is False
        tg.backends.cudnn.enabled, tg.backends.cudnn.allow_tf32 = False, True
        assert not switches.cudnn_enabled and switches.cudnn_allow_tf32 and not switches.allow_tf32
        assert tg.backends.cudnn.enabled is False and tg.backends.cudnn.allow_tf32 is True
        from tensorgrad.kernels.cuda import cudnn
        assert cudnn.conv_refusal("float32") == "switched off by backends.cudnn.enabled"
        print("cupy" in sys.modules, "cudnn" in sys.modules)
        """
        assert run(program).stdout.strip() == "False False"
        for name in ("enabled", "allow_tf32"):
            with pytest.raises(TypeError, match=f"cudnn.{name}: expected True or False"):
                setattr(tg.backends.cudnn, name, 1)

    def test_tf32_reaches_the_product(self, emulated):
        from tensorgrad.kernels.cuda import gemm, matmul

        try:
            tg.backends.cuda.matmul.allow_tf32 = True
            assert matmul._compute_type(np.dtype("f4")) == gemm.COMPUTE_32F_FAST_TF32
        finally:
            tg.backends.cuda.matmul.allow_tf32 = False
        assert matmul._compute_type(np.dtype("f4")) == gemm.COMPUTE_32F

    def test_unknown_flags_are_errors(self):
        with pytest.raises(AttributeError):
            tg.backends.cuda.matmul.allow_nonsense = True
        with pytest.raises(TypeError, match="expected True or False"):
            tg.backends.cuda.matmul.allow_tf32 = "yes"


def test_hooks_see_launches_on_their_device(emulated):
    seen = []

    def hook(kernel, args, params, run):
        seen.append(kernel.name)
        return run()

    add_hook(hook)
    try:
        assert (tg.ones(2, device="cuda:1") + 1).device == "cuda:1"
    finally:
        remove_hook(hook)
    assert "add" in seen


def test_synchronize_of_the_backend_takes_an_index(emulated):
    backend.synchronize_cuda(1)
    assert tg.cuda.current_device() == 0
