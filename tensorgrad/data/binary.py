"""Readers of binary files on disk: IDX (the MNIST family), CIFAR-10 and CIFAR-100."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..creation import as_tensor
from ..tensor import Tensor
from .dataset import TensorDataset

__all__ = ["cifar10", "cifar100", "mnist", "read_idx"]

PathLike = str | os.PathLike[str]
Array = np.ndarray[Any, np.dtype[Any]]

_IDX_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP = b"\x1f\x8b"


def read_idx(path: PathLike) -> Tensor:
    """The array of an IDX file, which may be compressed by gzip.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Tensor
        Of the shape and the dtype that the file names.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an IDX file, is truncated, or has more bytes than its header says.

    Notes
    -----
    The format is that of Yann LeCun's MNIST page: two zero bytes, one for the dtype, one for the number of axes, the
    axes' lengths as big-endian 32-bit integers, the numbers in C order.
    """
    data = _content(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _IDX_DTYPES:
        raise ValueError(
            f"{os.fspath(path)!r} is not an IDX file: it begins with {data[:4].hex(' ') or 'nothing'}, expected 00 00, "
            f"a dtype of {', '.join(f'{code:02x}' for code in _IDX_DTYPES)}, and the number of axes"
        )
    header = 4 + 4 * data[3]
    if len(data) < header:
        raise ValueError(f"{os.fspath(path)!r} is truncated: {len(data)} bytes, its header alone has {header}")
    shape = tuple(int(n) for n in np.frombuffer(data, ">u4", data[3], 4))
    dtype = np.dtype(_IDX_DTYPES[data[2]])
    _check_size(path, len(data), header + math.prod(shape) * dtype.itemsize, f"an IDX file of shape {shape}, {dtype}")
    array = np.frombuffer(data, dtype, offset=header).reshape(shape)
    return as_tensor(array.astype(dtype.newbyteorder("=")))


def mnist(folder: PathLike, train: bool = True) -> TensorDataset:
    """Images and labels of the MNIST family (MNIST, Fashion-MNIST, KMNIST), from the files that it is distributed in.

    Parameters
    ----------
    folder : str or path-like
        Has ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and ``t10k-...``, each as it is or with ``.gz``.
    train : bool
        Which half.

    Returns
    -------
    TensorDataset
        uint8 images ``(N, 28, 28)`` and int64 labels ``(N,)``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is malformed, or there are not as many labels as images.
    """
    part = "train" if train else "t10k"
    images = _idx_of(folder, f"{part}-images-idx3-ubyte")
    labels = _idx_of(folder, f"{part}-labels-idx1-ubyte")
    if images.ndim != 3 or labels.ndim != 1 or images.shape[0] != labels.shape[0]:
        raise ValueError(
            f"{os.fspath(folder)!r}: expected images (N, height, width) and labels (N,), got shapes {images.shape} and "
            f"{labels.shape}"
        )
    return TensorDataset(images, labels.astype("int64"))


def _idx_of(folder: PathLike, name: str) -> Tensor:
    for candidate in (Path(folder) / name, Path(folder) / f"{name}.gz"):
        if candidate.exists():
            return read_idx(candidate)
    raise FileNotFoundError(f"there is neither {name} nor {name}.gz in {os.fspath(folder)!r}")


def cifar10(folder: PathLike, train: bool = True) -> TensorDataset:
    """Images and labels of CIFAR-10 from its binary version: ``data_batch_1.bin`` to 5, or ``test_batch.bin``.

    Parameters
    ----------
    folder : str or path-like
    train : bool
        Which part.

    Returns
    -------
    TensorDataset
        uint8 images ``(N, 3, 32, 32)`` and int64 labels ``(N,)``.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is not a whole number of records, or has labels that do not exist.
    """
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    records = np.concatenate([_cifar_records(Path(folder) / name, (10,)) for name in names])
    return _cifar(records, 1, 0)


def cifar100(folder: PathLike, train: bool = True, labels: Literal["fine", "coarse"] = "fine") -> TensorDataset:
    """Images and labels of CIFAR-100 from its binary version: ``train.bin`` or ``test.bin``.

    Parameters
    ----------
    folder : str or path-like
    train : bool
        Which part.
    labels : {"fine", "coarse"}
        Those of the 100 classes or of their 20 groups.

    Returns
    -------
    TensorDataset
        uint8 images ``(N, 3, 32, 32)`` and int64 labels ``(N,)``.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If it is not a whole number of records, has labels that do not exist, or ``labels`` is neither of the two.
    """
    if labels not in ("fine", "coarse"):
        raise ValueError(f"cifar100: labels must be 'fine' or 'coarse', got {labels!r}")
    records = _cifar_records(Path(folder) / ("train.bin" if train else "test.bin"), (20, 100))
    return _cifar(records, 2, int(labels == "fine"))


def _cifar_records(path: Path, classes: tuple[int, ...]) -> Array:
    """Rows of one byte per kind of label and 3 x 32 x 32 of the image."""
    data = _content(path)
    size = len(classes) + 3072
    if not data or len(data) % size:
        _check_size(path, len(data), max(-(-len(data) // size), 1) * size, f"a whole number of records of {size} bytes")
    records = np.frombuffer(data, np.uint8).reshape(-1, size)
    for column, count in enumerate(classes):
        wrong = np.flatnonzero(records[:, column] >= count)
        if wrong.size:
            raise ValueError(
                f"{os.fspath(path)!r} is not a CIFAR file: record {wrong[0]} has label {records[wrong[0], column]}, "
                f"expected one below {count}"
            )
    return records


def _cifar(records: Array, labels: int, column: int) -> TensorDataset:
    images = np.ascontiguousarray(records[:, labels:]).reshape(-1, 3, 32, 32)
    return TensorDataset(as_tensor(images), as_tensor(records[:, column].astype(np.int64)))


def _content(path: PathLike) -> bytes:
    """The bytes of a file, decompressed if they are gzip's."""
    data = Path(path).read_bytes()
    if not data.startswith(_GZIP):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(
            f"{os.fspath(path)!r} is truncated or corrupt: gzip cannot decompress its {len(data)} bytes: {error}"
        ) from None


def _check_size(path: PathLike, found: int, expected: int, what: str) -> None:
    if found != expected:
        raise ValueError(
            f"{os.fspath(path)!r} {'is truncated' if found < expected else 'has bytes too many'}: found {found} bytes, "
            f"expected {expected} ({what})"
        )
