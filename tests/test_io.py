"""Saving and loading: what comes back, what is refused, and what a crash leaves behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import io

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "uint32", "float16", "float32", "float64", "complex64"]
every_format = pytest.mark.parametrize("suffix", [".safetensors", ".npz"])


def entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@every_format
class TestRoundTrip:
    @pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
    def test_dtypes(self, device, tmp_path, suffix, dtype):
        x = tg.arange(6, device=device).astype(dtype).reshape(2, 3)
        tg.save({"x": x}, tmp_path / f"a{suffix}")
        y = tg.load(tmp_path / f"a{suffix}", device=device)["x"]
        assert (y.dtype, y.shape, y.device) == (x.dtype, (2, 3), device)
        assert not y.requires_grad
        assert y.tolist() == x.tolist()

    def test_shapes_layouts_and_names(self, device, tmp_path, suffix):
        x = tg.arange(12, dtype=tg.float32, device=device).reshape(3, 4)
        state = {"layer.0.weight": x.T, "file": x[:, 1], "scalar": tg.sum(x), "empty": x[:0], "größe x/y": x[::2, ::-1]}
        tg.save(state, tmp_path / f"a{suffix}")
        loaded = tg.load(tmp_path / f"a{suffix}")
        assert set(loaded) == set(state)
        for name, value in state.items():
            assert loaded[name].shape == value.shape
            assert loaded[name].tolist() == value.tolist()

    def test_nothing(self, tmp_path, suffix):
        tg.save({}, tmp_path / f"a{suffix}")
        assert tg.load(str(tmp_path / f"a{suffix}")) == {}

    def test_loaded_tensors_are_ours(self, tmp_path, suffix):
        path = tmp_path / f"a{suffix}"
        tg.save({"x": tg.ones(3)}, path)
        x = tg.load(path)["x"]
        x += 1
        assert tg.load(path)["x"].tolist() == [1, 1, 1]

    def test_parameters_and_views_of_one_memory(self, tmp_path, suffix):
        w = tg.ones(2, requires_grad=True)
        tg.save({"a": w, "b": w}, tmp_path / f"a{suffix}")
        assert tg.load(tmp_path / f"a{suffix}")["b"].tolist() == [1, 1]


class TestOthersRead:
    def test_safetensors(self, tmp_path):
        from safetensors.numpy import load_file, save_file

        tg.save({"x": tg.ones(2, 3)}, tmp_path / "a.safetensors")
        np.testing.assert_array_equal(load_file(tmp_path / "a.safetensors")["x"], np.ones((2, 3), np.float32))
        save_file({"y": np.arange(3)}, tmp_path / "b.safetensors")
        assert tg.load(tmp_path / "b.safetensors")["y"].tolist() == [0, 1, 2]

    def test_numpy(self, tmp_path):
        tg.save({"x": tg.ones(2, 3)}, tmp_path / "a.npz")
        with np.load(tmp_path / "a.npz") as archive:
            np.testing.assert_array_equal(archive["x"], np.ones((2, 3), np.float32))
        np.savez_compressed(tmp_path / "b.npz", y=np.arange(3), z=np.float64(2.5))
        loaded = tg.load(tmp_path / "b.npz")
        assert loaded["y"].tolist() == [0, 1, 2]
        assert loaded["z"].item() == 2.5


@every_format
class TestRefused:
    def test_values_that_are_not_tensors(self, tmp_path, suffix):
        path = tmp_path / f"a{suffix}"
        for value, words in (
            ([1.0], "'v' must be a Tensor, got list"),
            (np.ones(2), "'v' must be a Tensor, got ndarray"),
            ({"step": 1}, "got dict; nested states"),
            (1.0, "got float"),
        ):
            with pytest.raises(TypeError, match=words):
                tg.save({"ok": tg.ones(1), "v": value}, path)
        with pytest.raises(TypeError, match="names must be strings, got 3"):
            tg.save({3: tg.ones(1)}, path)
        with pytest.raises(TypeError, match="expected a dict"):
            tg.save([tg.ones(1)], path)
        assert entries(tmp_path) == []

    def test_truncated_or_corrupt(self, tmp_path, suffix):
        path = tmp_path / f"a{suffix}"
        tg.save({"x": tg.arange(100), "y": tg.ones(7)}, path)
        whole = path.read_bytes()
        for broken in (b"", b"PK", whole[:8], whole[: len(whole) // 2], whole[:-1], b"\xff" * 300):
            path.write_bytes(broken)
            with pytest.raises(ValueError, match=rf"a{suffix}' is truncated or not a {suffix} file"):
                tg.load(path)

    def test_no_such_file_or_folder(self, tmp_path, suffix):
        with pytest.raises(FileNotFoundError):
            tg.load(tmp_path / f"missing{suffix}")
        with pytest.raises(FileNotFoundError):
            tg.save({"x": tg.ones(1)}, tmp_path / "no" / f"a{suffix}")


def test_suffixes(tmp_path):
    for name in ("a.pt", "a", "safetensors", "a.npy"):
        with pytest.raises(ValueError, match=r"\.safetensors or \.npz"):
            tg.save({}, tmp_path / name)
        with pytest.raises(ValueError, match=r"\.safetensors or \.npz"):
            tg.load(tmp_path / name)


def test_npz_with_pickled_objects(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        tg.load(tmp_path / "a.npz")


def test_dtypes_that_the_other_side_lacks(tmp_path):
    with pytest.raises(TypeError, match="'z' is complex128"):
        tg.save({"z": tg.ones(2, dtype=tg.complex128)}, tmp_path / "a.safetensors")
    assert entries(tmp_path) == []
    np.savez(tmp_path / "a.npz", when=np.array(["2020"], "datetime64[D]"))
    with pytest.raises(TypeError, match=r"load: 'when' in .*datetime64"):
        tg.load(tmp_path / "a.npz")


def test_missing_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r'pip install "tensorgrad-cupy\[io\]"'):
        tg.save({"x": tg.ones(1)}, tmp_path / "a.safetensors")
    assert entries(tmp_path) == []


class TestCrash:
    """Something fails while the new file is being written: the old one is still there, and nothing else."""

    def save_interrupted(self, path: Path, error: type[BaseException]) -> None:
        tg.save({"x": tg.ones(3)}, path)
        before = path.read_bytes()
        with pytest.raises(error):
            tg.save({"x": tg.zeros(1000)}, path)
        assert path.read_bytes() == before
        assert entries(path.parent) == [path.name]

    def test_while_writing(self, tmp_path, monkeypatch):
        written = []
        original = np.lib.format.write_array

        def write_half(file, array, **options):
            if array.size == 1000:
                file.write(b"\x93NUMPY" + bytes(100))
                written.append(os.listdir(tmp_path))
                raise OSError("no space left on device")
            original(file, array, **options)

        monkeypatch.setattr(np.lib.format, "write_array", write_half)
        self.save_interrupted(tmp_path / "a.npz", OSError)
        assert len(written[0]) == 2  # the old file and a temporary one beside it

    def test_while_flushing(self, tmp_path, monkeypatch):
        calls = []

        def fsync(descriptor):
            calls.append(descriptor)
            if len(calls) > 2:  # the first save flushes the file and its folder
                raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", fsync)
        self.save_interrupted(tmp_path / "a.safetensors", KeyboardInterrupt)

    def test_in_the_library(self, tmp_path, monkeypatch):
        import safetensors.numpy

        original = safetensors.numpy.save_file

        def save_file(arrays, path):
            original(arrays, path)
            if arrays["x"].size == 1000:
                raise MemoryError

        monkeypatch.setattr(safetensors.numpy, "save_file", save_file)
        self.save_interrupted(tmp_path / "a.safetensors", MemoryError)


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and links")
class TestFiles:
    @every_format
    def test_permissions_of_a_new_file(self, tmp_path, suffix):
        old = os.umask(0o027)
        try:
            tg.save({"x": tg.ones(1)}, tmp_path / f"a{suffix}")
        finally:
            os.umask(old)
        assert os.stat(tmp_path / f"a{suffix}").st_mode & 0o777 == 0o640

    def test_a_link_stays_a_link(self, tmp_path):
        (tmp_path / "link.npz").symlink_to(tmp_path / "target.npz")
        tg.save({"x": tg.ones(1)}, tmp_path / "link.npz")
        assert (tmp_path / "link.npz").is_symlink()
        assert tg.load(tmp_path / "target.npz")["x"].tolist() == [1]


def test_public_names():
    assert tg.save is io.save
    assert tg.load is io.load
