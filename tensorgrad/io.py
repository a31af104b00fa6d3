"""Saving and loading tensors by name: safetensors files, which PyTorch and others read too, and NumPy's npz.

Neither format runs code when it is read. A file is replaced only by a complete one: what is saved goes to a temporary
file beside it, which takes its name once everything is on the disk.
"""

from __future__ import annotations

import os
import secrets
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from .backend import Device, resolve_device, to_device, to_numpy
from .dtypes import bfloat16, dtype_of
from .tensor import Tensor

__all__ = ["load", "save"]

Path = str | os.PathLike[str]
Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


def save(state_dict: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors into a ``.safetensors`` or ``.npz`` file.

    Whatever happens meanwhile, ``path`` holds the old file or the new one, never a part of it.

    Parameters
    ----------
    state_dict : dict of Tensor
        For example ``model.state_dict()``.
    path : str or path-like
        The suffix says which format.

    Raises
    ------
    TypeError
        If a name is not a string, a value not a tensor, or the format lacks a tensor's dtype.
    ValueError
        If the suffix is neither of the two.
    ImportError
        If the safetensors library is needed and missing.

    Examples
    --------
    >>> import os, tempfile
    >>> import tensorgrad as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "weights.npz")
    ...     tg.save({"weight": tg.ones(2, 3), "bias": tg.zeros(2)}, path)
    ...     tg.load(path)["bias"]
    tensor([0., 0.])
    """
    write = _format_of("save", path)[0]
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"save: expected a dict of tensors by name, got {type(state_dict).__name__}")
    arrays: Arrays = {}
    for name, value in state_dict.items():
        if not isinstance(name, str):
            raise TypeError(f"save: names must be strings, got {name!r}")
        if not isinstance(value, Tensor):
            nested = isinstance(value, (Mapping, list, tuple))
            hint = "; nested states, such as an optimizer's, are saved entry by entry" if nested else ""
            raise TypeError(f"save: {name!r} must be a Tensor, got {type(value).__name__}{hint}")
        arrays[name] = np.asarray(to_numpy(value._data), order="C")
    with replacing(os.path.realpath(path)) as temporary:
        write(arrays, temporary)


def load(path: Path, device: Any = None) -> dict[str, Tensor]:
    """Read the tensors of a ``.safetensors`` or ``.npz`` file.

    Parameters
    ----------
    path : str or path-like
    device : str or Device, optional
        Where to put them; the default device if not given.

    Returns
    -------
    dict of Tensor
        By name; pass it to ``model.load_state_dict``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated or otherwise not what its suffix says, or the suffix is neither of the two.
    TypeError
        If a tensor has a dtype that tensorgrad lacks.
    ImportError
        If a library that the file needs is missing.
    """
    read = _format_of("load", path)[1]
    place = resolve_device(device)
    with open(path, "rb"):  # a missing file, a folder or a lack of permission: the operating system's error
        pass
    return read(os.fspath(path), place)


def _as_tensor(name: str, array: np.ndarray[Any, np.dtype[Any]], path: str, device: Device) -> Tensor:
    try:
        dtype = dtype_of(array.dtype)
    except TypeError as error:
        raise TypeError(f"load: {name!r} in {path!r}: {error}") from None
    return Tensor(to_device(array if array.dtype == dtype else array.astype(dtype), device))


def _unreadable(path: str, error: object) -> ValueError:
    return ValueError(f"load: {path!r} is truncated or not a {os.path.splitext(path)[1]} file: {error}")


# -------------------------------------------------------------------------------------------------------- safetensors
def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError('.safetensors files need safetensors: pip install "tensorgrad-cupy[io]"') from None
    return safetensors


def _write_safetensors(arrays: Arrays, path: str) -> None:
    for name, array in arrays.items():
        if array.dtype == np.complex128:
            raise TypeError(f"save: {name!r} is complex128, which safetensors lacks; use complex64 or a .npz file")
    _safetensors().numpy.save_file(arrays, path)


def _read_safetensors(path: str, device: Device) -> dict[str, Tensor]:
    library = _safetensors()
    try:
        with library.safe_open(path, framework="np") as file:
            names = list(file.keys())
            if any(file.get_slice(name).get_dtype() == "BF16" for name in names):
                bfloat16()  # the library needs ml_dtypes too; this error says how to get it
            return {name: _as_tensor(name, file.get_tensor(name), path, device) for name in names}
    except library.SafetensorError as error:
        raise _unreadable(path, error) from None


# ---------------------------------------------------------------------------------------------------------------- npz
# NumPy's format has no name for bfloat16: it writes two anonymous bytes, which no other dtype of ours is.
_ANONYMOUS = np.dtype("V2")


def _write_npz(arrays: Arrays, path: str) -> None:
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _read_npz(path: str, device: Device) -> dict[str, Tensor]:
    arrays: Arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as entry:
                    arrays[member.removesuffix(".npy")] = np.lib.format.read_array(entry, allow_pickle=False)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        raise _unreadable(path, error) from None
    for name, array in arrays.items():
        if array.dtype == _ANONYMOUS:
            arrays[name] = array.view(bfloat16())
    return {name: _as_tensor(name, array, path, device) for name, array in arrays.items()}


_Writer = Callable[[Arrays, str], None]
_Reader = Callable[[str, Device], dict[str, Tensor]]
_FORMATS: dict[str, tuple[_Writer, _Reader]] = {
    ".safetensors": (_write_safetensors, _read_safetensors),
    ".npz": (_write_npz, _read_npz),
}


def _format_of(name: str, path: Path) -> tuple[_Writer, _Reader]:
    suffix = os.path.splitext(os.fspath(path))[1]
    if suffix not in _FORMATS:
        raise ValueError(f"{name}: expected a path that ends in {' or '.join(_FORMATS)}, got {os.fspath(path)!r}")
    return _FORMATS[suffix]


@contextmanager
def replacing(path: str) -> Iterator[str]:
    """A temporary path beside ``path`` that takes its place if the block succeeds, and is removed if not."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(6)}.tmp")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        permissions = os.stat(temporary).st_mode
        yield temporary
        os.chmod(temporary, permissions)  # those of any new file; safetensors makes a private one
        _flush(temporary, os.O_RDWR)
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    if os.name == "posix":
        _flush(folder, os.O_RDONLY)  # the new name, too, is to survive a power cut


def _flush(path: str, flags: int) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
