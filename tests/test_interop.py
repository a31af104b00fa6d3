"""Exchange with other libraries, and copies: DLPack, the buffer protocol, pickling, copying."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from array import array

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import nn

from .array_api_consumers import CONSUMERS

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128", "bfloat16",
]  # fmt: skip


class Exporter:
    """Another library's array: what has DLPack's two methods and nothing else."""

    def __init__(self, exported, device=None):
        self.exported = exported
        self.device = device

    def __dlpack__(self, **options):
        return self.exported.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.device or self.exported.__dlpack_device__()


class OldExporter(Exporter):
    """One of the time before capsules had versions."""

    def __dlpack__(self, *, stream=None):
        return self.exported.__dlpack__()


def pickled(x):
    return pickle.loads(pickle.dumps(x))


COPIES = pytest.mark.parametrize("copied", [copy.deepcopy, pickled])


class TestFromDLPack:
    @pytest.mark.parametrize("name", DTYPES)
    def test_every_dtype_shares_memory(self, device, name):
        if name == "bfloat16":
            pytest.importorskip("ml_dtypes")
        x = tg.ones(2, 3, dtype=getattr(tg, name), device=device)
        y = tg.from_dlpack(Exporter(x))
        assert (y.dtype, y.shape, y.device) == (x.dtype, (2, 3), device)
        x[0, 1] = False
        assert y.tolist() == [[1, 0, 1], [1, 1, 1]]

    def test_strides(self, device):
        x = tg.arange(24, device=device).reshape(2, 3, 4)[:, 1:, ::2].mT
        y = tg.from_dlpack(Exporter(x))
        assert y.tolist() == x.tolist()
        x[0, 0, 0] = 99
        assert y[0, 0, 0].item() == 99

    def test_0d_and_empty(self, device):
        assert tg.from_dlpack(Exporter(tg.tensor(3.0, device=device))).item() == 3
        assert tg.from_dlpack(Exporter(tg.zeros(0, 3, device=device))).shape == (0, 3)

    def test_numpy(self):
        a = np.zeros(3)
        x = tg.from_dlpack(a)
        x += 1
        assert a.tolist() == [1, 1, 1]

    def test_capsules_without_version(self):
        a = np.zeros(3, np.float32)
        x = tg.from_dlpack(OldExporter(a))
        a[0] = 5
        assert x.tolist() == [5, 0, 0]

    def test_read_only_memory(self):
        a = np.zeros(3)
        a.flags.writeable = False
        x = tg.from_dlpack(Exporter(a))
        assert np.shares_memory(x.numpy(), a)
        for write in (lambda: x.__iadd__(1), lambda: x.__setitem__(0, 1)):
            with pytest.raises(ValueError, match="read-only"):
                write()
        y = tg.asarray(Exporter(a))
        y += 1
        assert a.tolist() == [0, 0, 0]

    def test_copy(self, device):
        x = tg.ones(2, device=device)
        y = tg.from_dlpack(Exporter(x), copy=True)
        y += 1
        assert x.tolist() == [1, 1]
        assert tg.from_dlpack(Exporter(x), copy=False).device == device

    def test_to_another_device(self, device):
        x = tg.arange(3, device=device)
        y = tg.from_dlpack(Exporter(x), device="cpu")
        assert y.device == "cpu"
        assert y.tolist() == [0, 1, 2]
        if device != "cpu":
            with pytest.raises(BufferError, match="copy=False, but the data is on cuda:0"):
                tg.from_dlpack(Exporter(x), device="cpu", copy=False)

    def test_tensors(self, device):
        x = tg.ones(2, device=device)
        y = tg.from_dlpack(x)
        y += 1
        assert x.tolist() == [2, 2]
        with pytest.raises(BufferError, match="detach"):
            tg.from_dlpack(tg.ones(2, device=device, requires_grad=True))

    def test_gradients_see_writes_through_the_other_name(self):
        x = tg.ones(2)
        w = tg.ones(2, requires_grad=True)
        y = (w * x).sum()
        tg.from_dlpack(x).__iadd__(1)
        with pytest.raises(RuntimeError, match=r"overwritten|in place"):
            y.backward()

    def test_what_is_refused(self):
        with pytest.raises(TypeError, match="list has no __dlpack__"):
            tg.from_dlpack([1])
        with pytest.raises(BufferError, match="DLPack's type 10"):
            tg.from_dlpack(Exporter(np.ones(2), (10, 0)))
        with pytest.raises(BufferError):
            tg.from_dlpack(np.ones(2, "m8[s]"))


class TestToDLPack:
    def test_numpy(self):
        x = tg.arange(6).reshape(2, 3)
        y = np.from_dlpack(x)
        y[0, 0] = 7
        assert x[0, 0].item() == 7

    def test_device_numbers(self, device):
        found = tg.ones(2, device=device).__dlpack_device__()
        assert found == ((1, 0) if device == "cpu" else (2, 0))
        assert [type(n) for n in found] == [int, int]

    def test_copies(self, device):
        x = tg.ones(2, device=device)
        y = tg.from_dlpack(CapsuleOf(x, copy=True))
        y += 1
        assert x.tolist() == [1, 1]

    def test_to_the_host(self, device):
        x = tg.arange(3, device=device)
        y = np.from_dlpack(CapsuleOf(x, dl_device=(1, 0), copy=None))
        assert y.tolist() == [0, 1, 2]
        if device != "cpu":
            with pytest.raises(BufferError, match="cuda:0 and cannot be exported without a copy"):
                x.__dlpack__(dl_device=(1, 0), copy=False)
        with pytest.raises(BufferError, match="DLPack's device"):
            x.__dlpack__(dl_device=(4, 0))

    def test_backwards_through_memory(self, device):
        x = tg.flip(tg.arange(3, device=device))
        assert tg.from_dlpack(Exporter(x)).tolist() == [2, 1, 0]
        with pytest.raises(BufferError, match="clone"):
            x.__dlpack__(copy=False)

    def test_gradients_are_not_lost(self, device):
        with pytest.raises(BufferError, match="detach"):
            tg.ones(2, device=device, requires_grad=True).__dlpack__()


class CapsuleOf:
    """A tensor exported with options of its own."""

    def __init__(self, x, **options):
        self.x = x
        self.options = options

    def __dlpack__(self, **options):
        return self.x.__dlpack__(**options, **self.options)

    def __dlpack_device__(self):
        return self.options.get("dl_device") or self.x.__dlpack_device__()


class TestBuffers:
    @pytest.mark.parametrize("made", [memoryview, bytearray, lambda raw: array("B", raw)])
    def test_objects_of_the_buffer_protocol(self, made):
        given = made(bytearray(b"\1\2\3"))
        x = tg.asarray(given)
        assert (x.dtype, x.tolist()) == (tg.uint8, [1, 2, 3])
        given[0] = 9
        assert x[0].item() == 9
        assert tg.asarray(given, copy=False)[0].item() == 9
        assert tg.asarray(given, copy=True)[0].item() == 9

    def test_read_only_buffers_are_copied(self):
        x = tg.asarray(memoryview(b"\1\2"))
        x += 1
        assert x.tolist() == [2, 3]
        with pytest.raises(ValueError, match="copy=False"):
            tg.asarray(memoryview(b"\1\2"), copy=False)

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__ came with Python 3.12")
    def test_memoryview(self):
        x = tg.arange(6).reshape(2, 3)
        view = memoryview(x)
        assert (view.shape, view.format) == ((2, 3), "l")
        view[0, 1] = 9
        assert x[0, 1].item() == 9

    def test_buffer(self):
        x = tg.arange(6).reshape(2, 3)
        view = x.__buffer__(0)
        assert view.shape == (2, 3)
        view[0, 1] = 9
        assert x[0, 1].item() == 9

    def test_buffers_that_cannot_be(self, device):
        with pytest.raises(BufferError, match="detach"):
            tg.ones(2, device=device, requires_grad=True).__buffer__(0)
        if device != "cpu":
            with pytest.raises(BufferError, match="cuda:0"):
                tg.ones(2, device=device).__buffer__(0)
        elif hasattr(tg, "bfloat16"):
            with pytest.raises(BufferError, match="bfloat16"):
                tg.ones(2, dtype=tg.bfloat16).__buffer__(0)

    def test_asarray_copy_of_dlpack(self):
        a = np.ones(3)
        x = tg.asarray(Exporter(a), copy=False)
        a[0] = 5
        assert x.tolist() == [5, 1, 1]
        assert tg.asarray(Exporter(a), copy=True).tolist() == [5, 1, 1]
        with pytest.raises(ValueError, match="copy=False"):
            tg.asarray(Exporter(a), copy=False, dtype=tg.float32)


class TestTensorCopies:
    def test_copy_shares_memory(self, device):
        x = tg.ones(2, device=device)
        y = copy.copy(x)
        assert y is not x
        y += 1
        assert x.tolist() == [2, 2]

    def test_copy_is_part_of_later_computations(self, device):
        w = tg.ones(2, device=device, requires_grad=True)
        x = tg.ones(2, device=device)
        y = copy.copy(x)
        y *= w * 3  # x takes its place on the tape, too
        x.sum().backward()
        assert w.grad.tolist() == [3, 3]

    def test_copy_of_a_leaf(self, device):
        x = tg.ones(2, device=device, requires_grad=True)
        y = copy.copy(x)
        assert y.is_leaf
        assert y.requires_grad
        z = (x * x).sum()
        with tg.no_grad():
            y += 1
        with pytest.raises(RuntimeError, match=r"overwritten|in place"):
            z.backward()

    def test_copy_of_a_result_stays_on_the_tape(self, device):
        x = tg.ones(2, device=device, requires_grad=True)
        y = x * 3
        z = copy.copy(y)
        z *= 2  # is seen by y
        y.sum().backward()
        assert y.tolist() == [6, 6]
        assert x.grad.tolist() == [6, 6]

    @pytest.mark.parametrize("made", [nn.Parameter, nn.Buffer])
    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
    def test_classes(self, made, copied):
        x = made(tg.ones(2))
        if made is nn.Buffer:
            x.persistent = False
        y = copied(x)
        assert type(y) is made
        assert (y.tolist(), y.requires_grad) == ([1, 1], x.requires_grad)
        assert getattr(y, "persistent", None) == getattr(x, "persistent", None)

    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
    def test_attributes_of_subclasses(self, copied):
        x = Named(np.ones(2))
        x.name = ["x"]
        y = copied(x)
        assert (type(y), y.name) == (Named, ["x"])
        assert (y.name is x.name) == (copied is copy.copy)

    @COPIES
    def test_dtypes_are_the_same_objects(self, copied):
        x, y = tg.ones(2), copied(tg.ones(2))
        assert y.dtype is x.dtype
        assert (x + y).tolist() == [2, 2]

    def test_arrays_with_dtype_objects_of_their_own(self):
        a = pickled(np.ones(2, np.float32))
        assert a.dtype is not np.dtype(np.float32)
        for x in (tg.tensor(a), tg.as_tensor(a), tg.from_dlpack(a), tg.Tensor(a)):
            assert (x + tg.ones(2)).tolist() == [2, 2]


class Named(tg.Tensor):
    """A subclass with attributes."""


class TestModuleCopies:
    @COPIES
    @pytest.mark.parametrize("normalized", [nn.utils.weight_norm, nn.utils.spectral_norm])
    def test_weights_that_hooks_compute(self, copied, normalized):
        tg.manual_seed(0)
        model = nn.Sequential(normalized(nn.Linear(3, 4)))
        x = tg.randn(2, 3)
        model(x).sum().backward()
        model.eval()
        twin = copied(model)
        assert twin[0].weight.tolist() == model[0].weight.tolist()
        assert twin(x).tolist() == model(x).tolist()
        twin.zero_grad()
        twin.train()
        twin(x).sum().backward()
        assert all(p.grad is not None for p in twin.parameters())
        with tg.no_grad():
            for p in twin.parameters():
                p *= 3
        twin.eval()
        assert twin(x).tolist() != model(x).tolist()

    @COPIES
    @pytest.mark.parametrize("name", ["weight_norm", "spectral_norm", "orthogonal"])
    def test_parametrized(self, copied, name):
        model = getattr(nn.utils.parametrizations, name)(nn.Linear(3, 3)).eval()
        x = tg.randn(2, 3)
        twin = copied(model)
        assert type(twin).__name__ == "ParametrizedLinear"
        assert twin(x).tolist() == model(x).tolist()
        assert nn.utils.parametrize.is_parametrized(twin, "weight")
        assert list(twin.state_dict()) == list(model.state_dict())
        nn.utils.parametrize.remove_parametrizations(twin, "weight")
        assert type(twin) is nn.Linear
        assert nn.utils.parametrize.is_parametrized(model)

    @COPIES
    @pytest.mark.parametrize("name", ["SGD", "Adam", "LBFGS", "Muon", "Adafactor"])
    def test_optimizers_go_on(self, device, copied, name):
        tg.manual_seed(0)
        model = nn.Linear(3, 4, bias=False).to(device)
        optimizer = getattr(tg.optim, name)(model.parameters(), lr=0.1)

        def step(model, optimizer):
            def loss():
                optimizer.zero_grad()
                y = (model(tg.ones(2, 3, device=device)) ** 2).sum()
                y.backward()
                return y

            optimizer.step(loss)

        step(model, optimizer)
        twin, twins = copied((model, optimizer))
        assert twins.param_groups[0]["params"][0] is twin.weight
        step(model, optimizer)
        step(twin, twins)
        assert twin.weight.tolist() == model.weight.tolist()


@pytest.mark.parametrize("name", CONSUMERS)
def test_libraries_that_take_any_array(name):
    pytest.importorskip(name)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.array_api_consumers", name],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


class TestEinops:
    def test_rearrange_reduce_repeat(self, device):
        einops = pytest.importorskip("einops")
        from einops import array_api

        values = np.arange(24.0).reshape(2, 3, 4)
        x = tg.tensor(values, device=device, requires_grad=True)
        for name, pattern, options in [
            ("rearrange", "a b c -> (a c) b", {}),
            ("reduce", "a b c -> a c", {"reduction": "mean"}),
            ("reduce", "a (b 1) c -> c", {"reduction": "max"}),
            ("repeat", "a b c -> a (b k) c", {"k": 2}),
        ]:
            y = getattr(array_api, name)(x, pattern, **options)
            wanted = getattr(einops, name)(values, pattern, **options)
            assert y.device == device
            np.testing.assert_allclose(y.detach().cpu().numpy(), wanted)
        array_api.reduce(x, "a b c -> a", "mean").sum().backward()
        np.testing.assert_allclose(x.grad.cpu().numpy(), 1 / 12)

    def test_pack(self, device):
        pytest.importorskip("einops")
        from einops import array_api

        x, y = tg.ones(2, 3, device=device), tg.zeros(2, 4, 5, device=device)
        packed, shapes = array_api.pack([x, y], "b *")
        assert packed.shape == (2, 23)
        first, second = array_api.unpack(packed, shapes, "b *")
        assert (first.shape, second.shape) == ((2, 3), (2, 4, 5))


class TestArrayAPIHelpers:
    def test_compat(self, device):
        compat = pytest.importorskip("array_api_compat")
        x = tg.ones(2, device=device)
        assert compat.array_namespace(x, x) is tg
        assert compat.is_array_api_obj(x)
        assert compat.is_writeable_array(x)
        assert not compat.is_lazy_array(x)
        assert compat.device(x) == device
        assert compat.to_device(x, "cpu").device == "cpu"
        assert compat.size(x) == 2

    def test_extra(self, device):
        xpx = pytest.importorskip("array_api_extra")
        x = tg.tensor([3.0, 1.0, 2.0], device=device)
        for y, wanted in [
            (xpx.atleast_nd(x, ndim=2), [[3, 1, 2]]),
            (xpx.at(tg.zeros(3, device=device))[1:].set(5.0), [0, 5, 5]),
            (xpx.at(x * 1)[0].add(2.0), [5, 1, 2]),
            (xpx.apply_where(x > 1, x, lambda v: 1 / v, fill_value=0.0), [1 / 3, 0, 0.5]),
            (xpx.create_diagonal(x), [[3, 0, 0], [0, 1, 0], [0, 0, 2]]),
            (xpx.kron(x, x[:1]), [9, 3, 6]),
            (xpx.nunique(x), 3),
            (xpx.pad(x, 1), [0, 3, 1, 2, 0]),
            (xpx.setdiff1d(x, x[:1]), [1, 2]),
            (xpx.sinc(x * 0), [1, 1, 1]),
            (xpx.cov(tg.stack([x, 2 * x])), [[1, 2], [2, 4]]),
        ]:
            assert isinstance(y, tg.Tensor)
            assert y.device == device
            np.testing.assert_allclose(y.cpu().numpy(), wanted, rtol=1e-6)
