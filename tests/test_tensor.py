"""The Tensor: making, reading, converting, copying, indexing, moving, and what its errors say."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tensorgrad as tg
from tensorgrad.backend import to_numpy


def values(x):
    return to_numpy(x._data)


class TestMaking:
    @pytest.mark.parametrize(
        ("data", "dtype", "shape"),
        [
            (1.5, "float32", ()),
            (2, "int64", ()),
            (True, "bool", ()),
            (1 + 2j, "complex64", ()),
            ([1, 2], "int64", (2,)),
            ([1, 2.5], "float32", (2,)),
            ([[1.0], [2.0]], "float32", (2, 1)),
            ([True, False], "bool", (2,)),
            ((1, 2, 3), "int64", (3,)),
            ([], "float32", (0,)),
            ([[], []], "float32", (2, 0)),
            (range(3), "int64", (3,)),
            (np.float64(1.5), "float64", ()),
            (np.arange(3, dtype=np.int16), "int16", (3,)),
            ([np.float64(1.5), np.float64(2)], "float64", (2,)),
            (np.zeros((2, 0), np.float16), "float16", (2, 0)),
        ],
        ids=repr,
    )
    def test_dtype_and_shape(self, data, dtype, shape, device):
        x = tg.tensor(data, device=device)
        assert x.dtype == dtype
        assert x.shape == shape
        assert x.device == device
        np.testing.assert_array_equal(values(x), np.asarray(data, dtype))

    def test_of_tensors(self, device):
        x = tg.tensor([1.0, 2.0], device=device)
        assert tg.tensor([x, x * 2], device=device).tolist() == [[1, 2], [2, 4]]
        assert tg.tensor([x[0], 3.0], device=device).tolist() == [1, 3]
        y = tg.tensor(x)
        assert y.device == x.device
        y[0] = 9
        assert x.tolist() == [1, 2]

    def test_copies(self):
        array = np.zeros(3)
        x = tg.tensor(array)
        array[0] = 1
        assert x.tolist() == [0, 0, 0]

    def test_dtype_is_taken(self, device):
        assert tg.tensor([1, 2], tg.float64, device).dtype == tg.float64
        assert tg.tensor(np.arange(3), "float16", device).dtype == tg.float16
        assert tg.tensor([1.7], tg.int32, device).tolist() == [1]

    def test_requires_grad(self):
        x = tg.tensor([1.0], requires_grad=True)
        assert x.requires_grad
        assert x.is_leaf
        assert x.grad_fn is None
        assert (x * 2).grad_fn.name == "multiply"

    def test_refused(self):
        with pytest.raises(ValueError, match="tensor: the nested sequences have unequal lengths"):
            tg.tensor([[1], [2, 3]])
        with pytest.raises(TypeError, match="tensor: cannot make a tensor of"):
            tg.tensor(object())
        with pytest.raises(TypeError, match="tensors cannot have dtype"):
            tg.tensor(["a"])
        with pytest.raises(TypeError, match=r"float128|longdouble|cannot have dtype"):
            tg.tensor(np.zeros(2, "datetime64[s]"))

    def test_byte_order(self):
        x = tg.tensor(np.arange(3, dtype=">f8"))
        assert x.dtype.isnative
        assert x.tolist() == [0, 1, 2]

    def test_as_tensor_shares_where_it_can(self):
        array = np.zeros(3)
        assert np.shares_memory(tg.as_tensor(array).numpy(), array)
        assert not np.shares_memory(tg.as_tensor(array, tg.float32).numpy(), array)
        x = tg.ones(2)
        assert tg.as_tensor(x) is x
        assert tg.as_tensor(x, tg.float64).dtype == tg.float64
        array.flags.writeable = False
        y = tg.as_tensor(array)
        y[0] = 1
        assert array[0] == 0

    def test_asarray(self):
        array = np.zeros(3)
        assert np.shares_memory(tg.asarray(array).numpy(), array)
        assert not np.shares_memory(tg.asarray(array, copy=True).numpy(), array)
        assert np.shares_memory(tg.asarray(array, copy=False).numpy(), array)
        with pytest.raises(ValueError, match="copy=False"):
            tg.asarray(array, dtype=tg.float32, copy=False)
        with pytest.raises(ValueError, match="copy=False, but list"):
            tg.asarray([1.0], copy=False)

    def test_filled(self, device):
        assert tg.zeros(2, 3, device=device).tolist() == [[0, 0, 0]] * 2
        assert tg.ones((2,), dtype=tg.int64, device=device).tolist() == [1, 1]
        assert tg.full((2, 1), 7, device=device).dtype == tg.int64
        assert tg.full(2, 0.5, device=device).tolist() == [0.5, 0.5]
        assert tg.full((), True, device=device).dtype == tg.bool
        assert tg.empty(3, 0, device=device).shape == (3, 0)
        x = tg.zeros(2, dtype=tg.float16, device=device)
        assert tg.ones_like(x).dtype == tg.float16
        assert tg.ones_like(x).device == device
        assert tg.full_like(x, 3).tolist() == [3, 3]
        assert tg.zeros_like(x, dtype=tg.int32).dtype == tg.int32
        assert tg.zeros(2, requires_grad=True).requires_grad
        with pytest.raises(ValueError, match=r"zeros: sizes must not be negative, got shape \(2, -1\)"):
            tg.zeros(2, -1)

    @pytest.mark.parametrize(
        "arguments", [(5,), (2, 7), (0, 10, 3), (5, 0, -2), (0,), (3, 1), (0.0, 1.0, 0.25), (1, 2, 0.3)]
    )
    def test_arange(self, arguments, device):
        np.testing.assert_allclose(values(tg.arange(*arguments, device=device)), np.arange(*arguments), rtol=1e-6)
        assert tg.arange(*arguments).dtype == ("float32" if any(isinstance(a, float) for a in arguments) else "int64")

    def test_linspace(self, device):
        for num, endpoint in [(5, True), (5, False), (1, True), (0, True)]:
            found = tg.linspace(-1, 3, num, dtype=tg.float64, endpoint=endpoint, device=device)
            np.testing.assert_allclose(values(found), np.linspace(-1, 3, num, endpoint=endpoint))
        assert tg.linspace(0, 1, 11)[-1].item() == 1

    @pytest.mark.parametrize("shape", [(3,), (2, 4), (4, 2), (0, 3)])
    @pytest.mark.parametrize("k", [-5, -1, 0, 1, 5])
    def test_eye(self, shape, k, device):
        np.testing.assert_array_equal(values(tg.eye(*shape, k=k, device=device)), np.eye(*shape, k=k))


class TestReading:
    def test_attributes(self, device):
        x = tg.zeros(2, 3, dtype=tg.float64, device=device)
        assert (x.shape, x.ndim, x.size, x.itemsize, x.nbytes) == ((2, 3), 2, 6, 8, 48)
        assert isinstance(x.shape, tuple)
        assert len(x) == 2

    def test_item_and_tolist(self, device):
        assert tg.tensor([[2.5]], device=device).item() == 2.5
        assert type(tg.tensor(2, device=device).item()) is int
        assert type(tg.tensor(True, device=device).item()) is bool
        assert tg.tensor([[1, 2], [3, 4]], device=device).tolist() == [[1, 2], [3, 4]]
        assert tg.tensor(1.5, device=device).tolist() == 1.5
        with pytest.raises(ValueError, match=r"item: expected a tensor with one element, got shape \(2,\)"):
            tg.ones(2, device=device).item()

    def test_python_numbers(self, device):
        x = tg.tensor(3, device=device)
        assert (int(x), float(x), complex(x), bool(x)) == (3, 3.0, 3 + 0j, True)
        assert [10, 11, 12, 13][x] == 13
        assert f"{tg.tensor(0.123456, device=device):.2f}" == "0.12"
        with pytest.raises(TypeError, match=r"indices.*float32"):
            [1, 2][tg.tensor(1.0, device=device)]
        with pytest.raises(ValueError, match=r"truth of a tensor of shape \(2,\) is ambiguous"):
            bool(tg.ones(2, device=device))

    def test_iteration(self, device):
        x = tg.tensor([[1, 2], [3, 4]], device=device)
        assert [row.tolist() for row in x] == [[1, 2], [3, 4]]
        assert 3 in x
        assert 5 not in x
        with pytest.raises(TypeError, match="0-d"):
            iter(tg.tensor(1))
        with pytest.raises(TypeError, match="0-d"):
            len(tg.tensor(1))

    def test_every_element_is_an_array(self, device):
        """Reading one element gives a 0-d view, not a NumPy scalar."""
        x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
        y = x[1, 0]
        assert y.shape == ()
        assert y.device == device
        y += 10
        assert x.tolist() == [[1, 2], [13, 4]]

    def test_repr(self):
        assert repr(tg.tensor([1.0, 2.5])) == "tensor([1. , 2.5])"
        assert repr(tg.tensor(1)) == "tensor(1)"
        assert repr(tg.tensor([1.0], tg.float64)) == "tensor([1.], dtype=float64)"
        assert repr(tg.tensor([1.0], requires_grad=True)) == "tensor([1.], requires_grad=True)"
        assert repr(tg.tensor(1.0, requires_grad=True) * 2) == "tensor(2., grad_fn=multiply)"
        assert repr(tg.zeros(2, 0)) == "tensor([], shape=(2, 0))" or "tensor([]" in repr(tg.zeros(2, 0))
        assert len(repr(tg.zeros(100_000))) < 200

    def test_repr_names_the_device(self, device):
        assert ("cuda:0" in repr(tg.ones(1, device=device))) == (device == "cuda")

    def test_hash_is_identity(self):
        x, y = tg.ones(2), tg.ones(2)
        assert {x: 1, y: 2}[x] == 1


class TestConversions:
    def test_numpy_shares_memory(self):
        x = tg.zeros(3)
        x.numpy()[0] = 5
        assert x.tolist() == [5, 0, 0]

    def test_numpy_refuses_what_it_would_lose(self):
        with pytest.raises(RuntimeError, match=r"requires a gradient; use \.detach\(\)\.numpy\(\)"):
            tg.ones(2, requires_grad=True).numpy()

    def test_numpy_of_cuda(self, device):
        x = tg.ones(2, device=device)
        if device == "cpu":
            assert x.numpy().tolist() == [1, 1]
            return
        with pytest.raises(TypeError, match=r"this tensor is on cuda:0; use \.cpu\(\)\.numpy\(\)"):
            x.numpy()
        assert x.cpu().numpy().tolist() == [1, 1]

    def test_array_protocol(self):
        x = tg.tensor([1.0, 2.0])
        assert np.asarray(x) is x.numpy()
        assert np.asarray(x, np.float64).dtype == np.float64
        assert np.sum(np.array(x)) == 3
        assert not np.shares_memory(np.array(x, copy=True), x.numpy())
        with pytest.raises(ValueError, match="float64"):
            x.__array__(np.float64, copy=False)

    def test_arithmetic_with_numpy_gives_tensors(self):
        x = tg.tensor([1.0, 2.0], tg.float64)
        for y in (np.array([10.0, 20.0]) + x, x + np.array([10.0, 20.0])):
            assert isinstance(y, tg.Tensor)
            assert y.tolist() == [11, 22]
        assert isinstance(np.float64(2) * x, tg.Tensor)

    def test_dlpack_to_numpy(self):
        x = tg.arange(6).reshape(2, 3)
        y = np.from_dlpack(x)
        assert y.tolist() == x.tolist()
        assert np.shares_memory(y, x.numpy())
        with pytest.raises(BufferError, match="detach"):
            np.from_dlpack(tg.ones(2, requires_grad=True))

    def test_dlpack_from_others(self):
        class Exporter:
            def __init__(self, array):
                self.array = array

            def __dlpack__(self, **options):
                return self.array.__dlpack__(**options)

            def __dlpack_device__(self):
                return self.array.__dlpack_device__()

        x = tg.tensor(Exporter(np.arange(3.0)))
        assert x.tolist() == [0, 1, 2]
        assert x.dtype == tg.float64

    def test_cuda_array_interface(self, device):
        x = tg.ones(2, 3, device=device)
        if device == "cpu":
            assert not hasattr(x, "__cuda_array_interface__")
        else:
            assert x.__cuda_array_interface__["shape"] == (2, 3)

    def test_array_namespace(self):
        assert tg.ones(1).__array_namespace__() is tg
        assert tg.ones(1).__array_namespace__(api_version="2024.12") is tg
        with pytest.raises(ValueError, match="1999"):
            tg.ones(1).__array_namespace__(api_version="1999.01")


class TestCopying:
    def test_pickle(self, device):
        x = tg.tensor([[1.0, 2.0]], tg.float64, device, requires_grad=True)
        y = pickle.loads(pickle.dumps(x))
        assert y.tolist() == x.tolist()
        assert (y.dtype, y.device, y.requires_grad, y.is_leaf) == (x.dtype, x.device, True, True)

    def test_pickle_of_a_view_is_whole(self):
        x = tg.arange(6).reshape(2, 3).T[1:]
        assert pickle.loads(pickle.dumps(x)).tolist() == x.tolist()

    def test_deepcopy(self, device):
        x = tg.tensor([1.0, 2.0], device=device, requires_grad=True)
        (x * 3).sum().backward()
        y = copy.deepcopy(x)
        y.detach()[0] = 9
        y.grad[0] = 9
        assert x.tolist() == [1, 2]
        assert x.grad.tolist() == [3, 3]
        assert y.requires_grad
        assert y.device == device

    def test_deepcopy_keeps_sharing(self):
        x = tg.ones(2)
        first, second = copy.deepcopy([x, x])
        assert first is second

    def test_deepcopy_of_a_result(self):
        with pytest.raises(RuntimeError, match=r"only leaves.*multiply"):
            copy.deepcopy(tg.ones(2, requires_grad=True) * 2)

    def test_clone(self, device):
        x = tg.tensor([1.0], device=device, requires_grad=True)
        y = x.clone()
        (y * 2).sum().backward()
        assert x.grad.tolist() == [2]


class TestMoving:
    def test_itself_if_nothing_changes(self, device):
        x = tg.ones(2, device=device)
        assert x.to(device) is x
        assert x.to(tg.float32) is x
        assert x.to(device, tg.float32) is x
        assert x.to(x) is x
        assert x.to(device, copy=True) is not x

    def test_arguments(self, device):
        x = tg.ones(2)
        y = x.to(tg.float64, device)
        assert (y.dtype, y.device) == (tg.float64, device)
        y = x.to(dtype="int32", device=device)
        assert (y.dtype, y.device) == (tg.int32, device)
        assert x.to(y).dtype == tg.int32
        with pytest.raises(ValueError, match="'gpu' is neither a device"):
            x.to("gpu")

    def test_gradient_comes_back(self, device):
        x = tg.ones(2, requires_grad=True)
        (x.to(device) * 3).sum().backward()
        assert x.grad.tolist() == [3, 3]
        assert x.grad.device == "cpu"
        y = tg.ones(2, device=device, requires_grad=True)
        (y.cpu() * 3).sum().backward()
        assert y.grad.device == device

    def test_gradient_comes_back_in_its_dtype(self, device):
        x = tg.ones(2, device=device, requires_grad=True)
        (x.to(tg.float64) * 3).sum().backward()
        assert x.grad.dtype == tg.float32

    def test_to_device(self, device):
        assert tg.ones(2).to_device(device).device == device
        with pytest.raises(ValueError, match="stream"):
            tg.ones(2).to_device("cpu", stream=1)

    def test_mixed_devices(self, device):
        if device == "cpu":
            return
        x, y = tg.ones(2, 3, device="cuda"), tg.ones(2, 3)
        for operation in (
            lambda: x + y,
            lambda: y * x,
            lambda: x @ y.T,
            lambda: y.T @ x,
            lambda: tg.where(x > 0, y, y),
            lambda: tg.concat([x, y]),
            lambda: tg.stack([y, x]),
        ):
            with pytest.raises((ValueError, TypeError), match=r"(?=.*cuda)(?=.*cpu)(?=.*\.to\()"):
                operation()
        x.requires_grad = True
        with pytest.raises(ValueError, match=r"the gradient is on cpu, the tensor is on cuda:0; use \.to\(cuda:0\)"):
            (x * 2).backward(y)


class TestMessages:
    """What was given, what was expected, what to do."""

    @pytest.mark.parametrize(
        ("call", "error", "match"),
        [
            (lambda: tg.ones(2, 3) + tg.ones(4), ValueError, r"add: shapes \(2, 3\) and \(4,\) cannot be broadcast"),
            (lambda: tg.ones(2, 3) @ tg.ones(4, 5), ValueError, r"matmul: shapes \(2, 3\) and \(4, 5\).*3 != 4"),
            (lambda: tg.ones(()) @ tg.ones(2), ValueError, r"matmul: .*at least one axis.*\(\) and \(2,\)"),
            (lambda: tg.ones(2, 3).sum(axis=2), IndexError, "sum: axis 2 is out of range for 2 axes"),
            (lambda: tg.ones(2, 3).sum(axis=(0, -2)), ValueError, "sum: axis .* twice"),
            (lambda: tg.ones(0, 3).max(), ValueError, r"max: shape \(0, 3\) has no elements"),
            (lambda: tg.ones(2, 0).argmin(axis=1), ValueError, r"argmin: shape \(2, 0\) has no elements along axis 1"),
            (
                lambda: tg.ones(2, 3).reshape(4, 2),
                ValueError,
                r"reshape: \(2, 3\) \(6 elements\) cannot become \(4, 2\)",
            ),
            (lambda: tg.ones(2, 3).reshape(-1, -1), ValueError, "reshape"),
            (lambda: tg.concat([tg.ones(2), tg.ones(2, 2)]), ValueError, r"concat: shapes \(2,\), \(2, 2\) differ"),
            (lambda: tg.concat([]), ValueError, "concat: needs at least one tensor"),
            (lambda: tg.stack([tg.ones(2), tg.ones(3)]), ValueError, r"stack: shapes \(2,\), \(3,\) differ"),
            (lambda: tg.broadcast_to(tg.ones(3), (2,)), ValueError, r"broadcast_to: shape \(3,\).*\(2,\)"),
            (lambda: tg.squeeze(tg.ones(2, 1), 0), ValueError, r"squeeze: axis 0 of shape \(2, 1\) has size 2"),
            (lambda: tg.permute_dims(tg.ones(2, 1), (0, 0)), ValueError, r"permute_dims: axes \(0, 0\).*\(2, 1\)"),
            (lambda: tg.where(tg.ones(2), 1.0, 2.0), TypeError, "where: the condition must be bool, got float32"),
            (lambda: tg.ones(3)[5], IndexError, r"index 5 does not fit shape \(3,\)"),
            (lambda: tg.ones(3)[1, 2], IndexError, r"index \(1, 2\) does not fit shape \(3,\)"),
            (lambda: tg.ones(3)[tg.ones(3)], IndexError, "expected integers.*float32"),
            (lambda: tg.ones(3)["a"], IndexError, "expected integers"),
            (lambda: tg.take(tg.ones(3), tg.tensor([3])), IndexError, r"take: .*3.*\(shape \(3,\)\)"),
            (lambda: tg.ones(2, 3).T.T.mT + None, TypeError, "unsupported operand"),
            (lambda: tg.ones(2) + "a", TypeError, "unsupported operand"),
            (lambda: tg.tensor([1], tg.uint8) + 300, OverflowError, "add: the Python integer 300 does not fit uint8"),
            (lambda: tg.ones(2, 3, 4).T, ValueError, r"T: needs 2 axes, got shape \(2, 3, 4\)"),
            (lambda: tg.softmax(tg.ones(2), axis=1), IndexError, "softmax: axis 1"),
        ],
        ids=range(26),
    )
    def test_message(self, call, error, match):
        with pytest.raises(error, match=match):
            call()


SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


class TestIndexing:
    @settings(max_examples=150, deadline=None)
    @given(data=st.data(), shape=SHAPES)
    def test_basic(self, data, shape):
        index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
        array = np.arange(int(np.prod(shape))).reshape(shape)
        x = tg.tensor(array)
        y = x[index]
        np.testing.assert_array_equal(y.numpy(), array[index], strict=False)
        assert y.shape == array[index].shape
        assert isinstance(y.numpy(), np.ndarray)
        if y.size:
            assert np.shares_memory(y.numpy(), x.numpy())

    @settings(max_examples=150, deadline=None)
    @given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    def test_advanced(self, data, shape):
        arrays = data.draw(hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, min_side=0)))
        rest = data.draw(st.sampled_from([(), (slice(None, None, -1),), (None,), (Ellipsis,)]))
        keep = data.draw(st.integers(1, len(arrays)))
        index = (*arrays[:keep], *(rest if keep < len(arrays) or rest in ((), (None,), (Ellipsis,)) else ()))
        array = np.arange(int(np.prod(shape))).reshape(shape)
        x = tg.tensor(array)
        tensors = tuple(tg.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
        for form in (index, tensors):
            np.testing.assert_array_equal(x[form].numpy(), array[index], strict=True)

    @settings(max_examples=100, deadline=None)
    @given(data=st.data(), shape=SHAPES)
    def test_masks(self, data, shape):
        mask = data.draw(hnp.arrays(bool, shape[: data.draw(st.integers(0, len(shape)))]))
        array = np.arange(int(np.prod(shape))).reshape(shape)
        np.testing.assert_array_equal(tg.tensor(array)[tg.tensor(mask)].numpy(), array[mask], strict=True)

    @settings(max_examples=150, deadline=None)
    @given(data=st.data(), shape=SHAPES)
    def test_writing(self, data, shape):
        index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
        array = np.arange(float(np.prod(shape))).reshape(shape)
        x = tg.tensor(array)
        value = data.draw(st.sampled_from([-1.0, np.full(array[index].shape, -2.0)]))
        x[index] = value
        array[index] = value
        np.testing.assert_array_equal(x.numpy(), array)

    def test_forms(self, device):
        array = np.arange(24).reshape(2, 3, 4)
        x = tg.tensor(array, device=device)
        one = tg.tensor(1, device=device)
        for index, wanted in [
            ([1, 0], array[[1, 0]]),
            ((slice(None), [0, 2]), array[:, [0, 2]]),
            (([0, 1], slice(None), [0, 2]), array[[0, 1], :, [0, 2]]),
            (one, array[1]),
            ((one, 0), array[1, 0]),
            (np.int64(1), array[1]),
            (range(2), array[[0, 1]]),
            ([], array[[]]),
            (True, array[True]),
            (False, array[False]),
            (x > 5, array[array > 5]),
            (tg.tensor([0, -1], tg.int32, device), array[[0, -1]]),
        ]:
            np.testing.assert_array_equal(values(x[index]), wanted, strict=True)

    def test_out_of_range(self):
        x = tg.ones(3)
        for index in (3, -4, tg.tensor([0, 3]), (0, 0)):
            with pytest.raises(IndexError, match=r"\(3,\)"):
                x[index]
        with pytest.raises(IndexError):
            x[tg.tensor([True, False])]
        with pytest.raises(ValueError, match=r"setitem: value of shape \(2,\).*\(3,\)"):
            x[:] = tg.ones(2)

    def test_writing_forms(self, device):
        array = np.arange(12.0).reshape(3, 4)
        for index, value in [
            (1, 5.0),
            ((slice(None), 1), [7, 8, 9]),
            (np.array([2, 0]), np.ones((2, 4))),
            (array > 4, 0),
            ((np.array([0, 1]), np.array([2, 3])), 6.5),
            (..., 3),
        ]:
            x, wanted = tg.tensor(array, device=device), array.copy()
            places = tuple(
                tg.tensor(i, device=device) if isinstance(i, np.ndarray) else i
                for i in (index if isinstance(index, tuple) else (index,))
            )
            x[places] = tg.tensor(value, tg.float64, device) if isinstance(value, np.ndarray) else value
            wanted[index] = value
            np.testing.assert_array_equal(values(x), wanted)
