"""Readers of files on disk: what they read, and what they say of files that are not whole."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.data import ByteTokenizer, CharTokenizer, DataLoader, TextDataset


def idx(array: Any, code: int) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + b"".join(struct.pack(">I", n) for n in array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def write_mnist(folder: Path, part: str, count: int, compress: bool = False) -> tuple[Any, Any]:
    images = np.arange(count * 784, dtype=np.uint64).astype(np.uint8).reshape(count, 28, 28)
    labels = (np.arange(count) % 10).astype(np.uint8)
    for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        data = idx(array, 8)
        (folder / f"{name}.gz").write_bytes(gzip.compress(data)) if compress else (folder / name).write_bytes(data)
    return images, labels


class TestIdx:
    @pytest.mark.parametrize(
        ("dtype", "code"), [("u1", 8), ("i1", 9), ("i2", 0xB), ("i4", 0xC), ("f4", 0xD), ("f8", 0xE)]
    )
    def test_dtypes_and_gzip(self, tmp_path, dtype, code):
        array = np.array([[1, 2, 3], [100, 0, 7]], dtype)
        (tmp_path / "a").write_bytes(idx(array, code))
        (tmp_path / "a.gz").write_bytes(gzip.compress(idx(array, code)))
        for name in ("a", "a.gz"):
            x = tg.data.read_idx(tmp_path / name)
            assert x.dtype == array.dtype
            assert x.tolist() == array.tolist()

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda d: d[:-1], r"is truncated: found 17 bytes, expected 18 \(an IDX file of shape \(2, 3\)"),
            (lambda d: d + b"!", "has bytes too many: found 19 bytes, expected 18"),
            (lambda d: d[:7], "is truncated: 7 bytes, its header alone has 12"),
            (lambda d: b"PNG" + d, "is not an IDX file: it begins with 50 4e 47 00"),
            (lambda d: b"", "is not an IDX file: it begins with nothing"),
            (lambda d: gzip.compress(d)[:-9], "gzip cannot decompress its .* bytes"),
        ],
    )
    def test_broken_files(self, tmp_path, change, words):
        path = tmp_path / "broken"
        path.write_bytes(change(idx(np.zeros((2, 3), np.uint8), 8)))
        with pytest.raises(ValueError, match=words) as caught:
            tg.data.read_idx(path)
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize("compress", [False, True])
    def test_mnist(self, tmp_path, compress):
        images, labels = write_mnist(tmp_path, "train", 12, compress)
        dataset = tg.data.mnist(tmp_path)
        x, y = dataset.tensors
        np.testing.assert_array_equal(x.numpy(), images)
        assert y.tolist() == labels.tolist()
        assert (x.dtype, y.dtype) == (tg.uint8, tg.int64)
        assert len(next(iter(DataLoader(dataset, batch_size=5)))[0]) == 5
        with pytest.raises(FileNotFoundError, match=r"t10k-images-idx3-ubyte nor .*\.gz"):
            tg.data.mnist(tmp_path, train=False)

    def test_mnist_with_other_labels(self, tmp_path):
        write_mnist(tmp_path, "t10k", 3)
        (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8), 8))
        with pytest.raises(ValueError, match=r"got shapes \(3, 28, 28\) and \(4,\)"):
            tg.data.mnist(tmp_path, train=False)


class TestCifar:
    def test_ten(self, tmp_path):
        for i in range(1, 6):
            records = np.full((2, 3073), i, np.uint8)
            records[:, 1 + 1024] = 77  # green, upper left
            (tmp_path / f"data_batch_{i}.bin").write_bytes(records.tobytes())
        x, y = tg.data.cifar10(tmp_path).tensors
        assert x.shape == (10, 3, 32, 32)
        assert y.tolist() == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
        assert x[:, 1, 0, 0].tolist() == [77] * 10
        assert x[:, 2, 5, 5].tolist() == y.tolist()

    def test_hundred(self, tmp_path):
        record = bytes([3, 88]) + bytes(3072)
        (tmp_path / "test.bin").write_bytes(record * 2)
        assert tg.data.cifar100(tmp_path, train=False).tensors[1].tolist() == [88, 88]
        assert tg.data.cifar100(tmp_path, train=False, labels="coarse").tensors[1].tolist() == [3, 3]
        with pytest.raises(ValueError, match="'fine' or 'coarse', got 'all'"):
            tg.data.cifar100(tmp_path, labels="all")

    def test_broken(self, tmp_path):
        path = tmp_path / "test_batch.bin"
        for data, words in (
            (bytes(3000), r"test_batch\.bin' is truncated: found 3000 bytes, expected 3073"),
            (bytes(3074), r"is truncated: found 3074 bytes, expected 6146"),
            (b"", "found 0 bytes, expected 3073"),
            (bytes(3073) + b"\x0a" + bytes(3072), "record 1 has label 10, expected one below 10"),
        ):
            path.write_bytes(data)
            with pytest.raises(ValueError, match=words):
                tg.data.cifar10(tmp_path, train=False)
        with pytest.raises(FileNotFoundError):
            tg.data.cifar10(tmp_path)


class TestTables:
    def write(self, tmp_path: Path, text: str) -> Path:
        path = tmp_path / "a.csv"
        path.write_text(text, encoding="utf-8")
        return path

    def test_columns(self, tmp_path):
        path = self.write(tmp_path, 'a,"b, c",kind\n1,2.5,0\n\n-3,4e1,2\n')
        (everything,) = tg.data.read_csv(path).tensors
        assert everything.tolist() == [[1, 2.5, 0], [-3, 40, 2]]
        assert everything.dtype == tg.float32
        x, y = tg.data.read_csv(path, target="kind", columns=["b, c"], dtype="float64").tensors
        assert (x.tolist(), x.dtype) == ([[2.5], [40.0]], tg.float64)
        assert (y.tolist(), y.dtype) == ([0, 2], tg.int64)
        x, y = tg.data.read_csv(path, target=["a", "kind"]).tensors
        assert y.tolist() == [[1, 0], [-3, 2]]
        assert tg.data.read_csv(path, target="b, c").tensors[1].dtype == tg.float32
        assert tg.data.read_csv(path, target="kind", target_dtype="float32").tensors[1].dtype == tg.float32

    def test_without_names(self, tmp_path):
        path = self.write(tmp_path, "1;2\n3;4\n")
        x, y = tg.data.read_csv(path, target=-1, header=False, delimiter=";").tensors
        assert (x.tolist(), y.tolist()) == ([[1], [3]], [2, 4])

    @pytest.mark.parametrize(
        ("text", "error", "words"),
        [
            ("a,b\n1,2\n3\n", ValueError, r"a\.csv', line 3: found 1 entries, expected 2"),
            ("a,b\n1,x\n", ValueError, "line 2, column 'b': expected a number, got 'x'"),
            ("a,b\n", ValueError, "has no rows of numbers; it has 4 bytes"),
            ("", ValueError, "it has 0 bytes"),
        ],
    )
    def test_broken(self, tmp_path, text, error, words):
        with pytest.raises(error, match=words):
            tg.data.read_csv(self.write(tmp_path, text))

    def test_columns_that_are_not_there(self, tmp_path):
        path = self.write(tmp_path, "a,b\n1,2\n")
        with pytest.raises(KeyError, match="has no column 'c'; it has a, b"):
            tg.data.read_csv(path, target="c")
        with pytest.raises(IndexError, match="has 2 columns, there is no column 2"):
            tg.data.read_csv(path, target=2)

    def test_npz(self, tmp_path):
        np.savez(tmp_path / "a.npz", y=np.arange(3), x=np.ones((3, 2), np.float32))
        x, y = tg.data.read_npz(tmp_path / "a.npz", "x", "y").tensors
        assert (x.shape, y.tolist()) == ((3, 2), [0, 1, 2])
        assert [t.ndim for t in tg.data.read_npz(tmp_path / "a.npz").tensors] == [1, 2]
        with pytest.raises(KeyError, match="has no array 'z'; it has y, x"):
            tg.data.read_npz(tmp_path / "a.npz", "z")
        whole = (tmp_path / "a.npz").read_bytes()
        (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match="truncated"):
            tg.data.read_npz(tmp_path / "a.npz")


class TestText:
    TEXT = "Größe 🙂\n\x00 zażółć"

    def test_round_trips(self):
        for tokenizer in (ByteTokenizer(), CharTokenizer.of(self.TEXT)):
            tokens = tokenizer.encode(self.TEXT)
            assert tokens.dtype == tg.int64
            assert tokenizer.decode(tokens) == self.TEXT
            assert int(tokens.max().item()) < tokenizer.size
        assert ByteTokenizer().encode(self.TEXT).tolist() == list(self.TEXT.encode())

    def test_an_alphabet_in_another_order(self, tmp_path):
        tokenizer = CharTokenizer("zab")
        assert tokenizer.encode("abz").tolist() == [1, 2, 0]
        assert tokenizer.encode("").tolist() == CharTokenizer("").encode("").tolist() == []
        tokenizer.save(tmp_path / "a.json")
        assert CharTokenizer.load(tmp_path / "a.json").alphabet == "zab"
        (tmp_path / "a.json").write_text("[1]")
        with pytest.raises(ValueError, match=r"a\.json' \(3 characters\) is not the file of a tokenizer"):
            CharTokenizer.load(tmp_path / "a.json")

    def test_errors(self):
        with pytest.raises(ValueError, match="'x', character 2 of the text, is not one of the 3"):
            CharTokenizer("abc").encode("abx")
        with pytest.raises(ValueError, match="'a', character 0 of the text, is not one of the 0"):
            CharTokenizer("").encode("a")
        with pytest.raises(ValueError, match="token 3 is not one of the 3"):
            CharTokenizer("abc").decode([0, 3])
        with pytest.raises(ValueError, match="token -1"):
            ByteTokenizer().decode([-1])
        with pytest.raises(ValueError, match="'a' occurs more than once"):
            CharTokenizer("aba")
        with pytest.raises(ValueError, match="single characters, got 'bc'"):
            CharTokenizer(["a", "bc"])

    def test_half_a_character(self):
        assert ByteTokenizer().decode([0xC3]) == "\ufffd"

    def test_files(self, tmp_path):
        (tmp_path / "a").write_bytes(b"one\r\n")
        (tmp_path / "b").write_bytes("zwö".encode())
        assert tg.data.read_text(tmp_path / "a", tmp_path / "b") == "one\nzwö"
        (tmp_path / "c").write_bytes(b"ab\xff")
        with pytest.raises(ValueError, match=r"c' is not utf-8: byte 2 of 3 is 0xff"):
            tg.data.read_text(tmp_path / "c")

    def test_windows(self):
        tokens = tg.arange(10)
        assert [x.tolist() for x, _ in TextDataset(tokens, 3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
        assert [y.tolist() for _, y in TextDataset(tokens, 3)] == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        assert [x[0].item() for x, _ in TextDataset(tokens, 3, stride=1)] == list(range(7))
        assert len(TextDataset(tokens, 9)) == 1
        assert TextDataset(tokens, 3)[-1][0].tolist() == [6, 7, 8]
        with pytest.raises(IndexError, match="index 3 is out of range for 3 windows"):
            TextDataset(tokens, 3)[3]
        with pytest.raises(ValueError, match=r"above the window's length 10, got shape \(10,\)"):
            TextDataset(tokens, 10)
