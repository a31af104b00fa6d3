"""What the array API's inspection functions say, against the standard and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tensorgrad as tg

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
STANDARD = ["bool", *INTEGERS, "float32", "float64", "complex64", "complex128"]


KINDS = {
    "bool": ["bool"],
    "signed integer": INTEGERS[:4],
    "unsigned integer": INTEGERS[4:],
    "integral": INTEGERS,
    "real floating": ["float32", "float64"],
    "complex floating": ["complex64", "complex128"],
    "numeric": STANDARD[1:],
}


class TestLimits:
    @pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64", "complex128"])
    def test_finfo(self, name):
        wanted = np.finfo(name)
        for given in (name, getattr(tg, name), tg.ones(2, dtype=name)):
            found = tg.finfo(given)
            assert (found.bits, found.dtype) == (wanted.bits, wanted.dtype)
            for field in ("eps", "max", "min", "smallest_normal", "tiny"):
                value = getattr(found, field)
                assert type(value) is float
                assert value == float(getattr(wanted, field))

    def test_finfo_of_bfloat16(self):
        pytest.importorskip("ml_dtypes")
        found = tg.finfo(tg.bfloat16)
        assert (found.bits, found.eps, found.dtype) == (16, 2**-7, tg.bfloat16)

    @pytest.mark.parametrize("name", INTEGERS)
    def test_iinfo(self, name):
        wanted, found = np.iinfo(name), tg.iinfo(tg.ones(2, dtype=name))
        assert (found.bits, found.max, found.min, found.dtype) == (wanted.bits, wanted.max, wanted.min, name)

    def test_the_other_kind(self):
        with pytest.raises(TypeError, match=r"finfo: .* got int8; iinfo"):
            tg.finfo(tg.int8)
        with pytest.raises(TypeError, match=r"iinfo: .* got float32; finfo"):
            tg.iinfo(tg.float32)
        with pytest.raises(TypeError, match="expected a dtype or a tensor, got 3"):
            tg.iinfo(3)


class TestKinds:
    @pytest.mark.parametrize("kind", KINDS)
    def test_isdtype(self, kind):
        for name in STANDARD:
            assert tg.isdtype(getattr(tg, name), kind) == (name in KINDS[kind])

    def test_isdtype_of_dtypes_and_tuples(self):
        assert tg.isdtype(tg.int8, tg.int8)
        assert not tg.isdtype(tg.int8, tg.int16)
        assert tg.isdtype(tg.int8, (tg.int16, "signed integer"))
        assert not tg.isdtype(tg.int8, ())
        assert tg.isdtype(tg.float16, "real floating")
        with pytest.raises(ValueError, match="'integer' is neither a dtype nor one of the kinds 'bool'"):
            tg.isdtype(tg.int8, "integer")

    @pytest.mark.parametrize("kind", [None, *KINDS, ("bool", "real floating")])
    def test_dtypes_by_kind(self, kind):
        info = tg.__array_namespace_info__()
        kinds = ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        wanted = {name for k in kinds for name in KINDS[k]}
        found = info.dtypes(kind=kind)
        assert set(found) == wanted
        assert all(found[name] is getattr(tg, name) for name in wanted)

    def test_unknown_kind(self):
        with pytest.raises(ValueError, match="dtypes: 'floats' is not one of the kinds"):
            tg.__array_namespace_info__().dtypes(kind="floats")


def test_can_cast():
    for first in STANDARD:
        for second in STANDARD:
            wanted = np.can_cast(first, second)
            if first in INTEGERS and second in ("float32", "complex64"):
                wanted = True  # promotion leads there, where NumPy's takes a wider one
            assert tg.can_cast(tg.ones(1, dtype=first), getattr(tg, second)) == wanted, (first, second)


class TestNamespace:
    def test_version(self):
        assert tg.__array_api_version__ == "2024.12"

    def test_capabilities(self):
        found = tg.__array_namespace_info__().capabilities()
        assert found == {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}
        assert tg.zeros((1,) * 64).ndim == 64

    def test_devices(self, device):
        info = tg.__array_namespace_info__()
        assert device in info.devices()
        assert info.default_device() == tg.get_default_device()
        assert all(tg.zeros(1, device=d).device == d for d in info.devices())

    def test_default_dtypes(self):
        info = tg.__array_namespace_info__()
        made = {
            "real floating": tg.asarray(1.0),
            "complex floating": tg.asarray(1j),
            "integral": tg.asarray(1),
            "indexing": tg.argmax(tg.ones(2)),
        }
        assert info.default_dtypes(device="cpu") == {kind: x.dtype for kind, x in made.items()}
        before = tg.get_default_dtype()
        tg.set_default_dtype(tg.float64)
        try:
            assert info.default_dtypes()["complex floating"] == tg.complex128
        finally:
            tg.set_default_dtype(before)
        with pytest.raises(ValueError, match="unknown device"):
            info.default_dtypes(device="abacus")
