"""Readers of tables: CSV files, and the arrays of an npz file as a dataset."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..creation import as_tensor
from ..dtypes import dtype_of, get_default_dtype
from .dataset import TensorDataset

__all__ = ["read_csv", "read_npz"]

PathLike = str | os.PathLike[str]


def read_csv(
    path: PathLike,
    target: str | int | Sequence[str | int] | None = None,
    *,
    columns: Sequence[str | int] | None = None,
    header: bool = True,
    delimiter: str = ",",
    dtype: Any = None,
    target_dtype: Any = None,
    encoding: str = "utf-8",
) -> TensorDataset:
    """The numbers of a CSV file, a row per sample.

    Parameters
    ----------
    path : str or path-like
    target : str, int or sequence of them, optional
        The column, or columns, of what is to be predicted.
    columns : sequence of str or int, optional
        The columns of the input; all but the target if not given.
    header : bool
        Whether the first line has the columns' names. Without names, columns are named by their numbers.
    delimiter : str
    dtype, target_dtype : optional
        Of the input and of the target; the default dtype, and for one target column of integers int64.
    encoding : str

    Returns
    -------
    TensorDataset
        ``inputs (N, columns)`` and, if there is a target, ``target (N,)`` or ``(N, targets)``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a row has too many or too few entries, an entry is not a number, or there are no rows; line and column are
        named.
    KeyError, IndexError
        If there is no column of a name or a number.

    Examples
    --------
    >>> import os, tempfile
    >>> import tensorgrad as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("height,width,kind\\n1.5,2,0\\n3,4,1\\n")
    ...     inputs, kind = tg.data.read_csv(path, target="kind").tensors
    >>> inputs.tolist(), kind.tolist()
    ([[1.5, 2.0], [3.0, 4.0]], [0, 1])
    """
    names, rows, lines = _read(path, header, delimiter, encoding)
    targets = [] if target is None else [target] if isinstance(target, (str, int)) else list(target)
    wanted = [_place(path, names, column) for column in targets]
    inputs = [i for i in range(len(names)) if i not in wanted]
    if columns is not None:
        inputs = [_place(path, names, column) for column in columns]
    chosen = get_default_dtype() if dtype is None else dtype_of(dtype)
    tensors = [as_tensor(_numbers(path, names, rows, lines, inputs).astype(chosen))]
    if wanted:
        values = _numbers(path, names, rows, lines, wanted)
        if target_dtype is None:
            whole = len(wanted) == 1 and all(row[wanted[0]].strip().lstrip("+-").isdigit() for row in rows)
            target_dtype = "int64" if whole else get_default_dtype()
        single = isinstance(target, (str, int))
        tensors.append(as_tensor((values[:, 0] if single else values).astype(dtype_of(target_dtype))))
    return TensorDataset(*tensors)


def _read(path: PathLike, header: bool, delimiter: str, encoding: str) -> tuple[list[str], list[list[str]], list[int]]:
    """Names, rows, and the line in the file of each row."""
    rows: list[list[str]] = []
    lines: list[int] = []
    names: list[str] | None = None
    with open(path, newline="", encoding=encoding) as file:
        reader = csv.reader(file, delimiter=delimiter)
        for row in reader:
            if not row:
                continue
            if names is None:
                names = [entry.strip() for entry in row] if header else [str(i) for i in range(len(row))]
                if header:
                    continue
            if len(row) != len(names):
                raise ValueError(
                    f"{os.fspath(path)!r}, line {reader.line_num}: found {len(row)} entries, expected {len(names)}"
                )
            rows.append(row)
            lines.append(reader.line_num)
    if names is None or not rows:
        raise ValueError(f"{os.fspath(path)!r} has no rows of numbers; it has {os.path.getsize(path)} bytes")
    return names, rows, lines


def _place(path: PathLike, names: list[str], column: str | int) -> int:
    if isinstance(column, str):
        if column not in names:
            raise KeyError(f"{os.fspath(path)!r} has no column {column!r}; it has {', '.join(names)}")
        return names.index(column)
    if not -len(names) <= column < len(names):
        raise IndexError(f"{os.fspath(path)!r} has {len(names)} columns, there is no column {column}")
    return column % len(names)


def _numbers(path: PathLike, names: list[str], rows: list[list[str]], lines: list[int], columns: list[int]) -> Any:
    """The entries of some columns, in double precision."""
    values = np.empty((len(rows), len(columns)))
    for i, row in enumerate(rows):
        try:
            values[i] = [float(row[column]) for column in columns]
        except ValueError:
            wrong = next(column for column in columns if not _is_number(row[column]))
            raise ValueError(
                f"{os.fspath(path)!r}, line {lines[i]}, column {names[wrong]!r}: expected a number, got {row[wrong]!r}"
            ) from None
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_npz(path: PathLike, *names: str) -> TensorDataset:
    """Arrays of an npz file side by side.

    Parameters
    ----------
    path : str or path-like
    *names : str
        Which arrays, in this order; all in the order of the file if none is given.

    Returns
    -------
    TensorDataset

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    KeyError
        If it has no array of a name.
    ValueError
        If it is truncated or no npz file, or the arrays have different lengths.
    """
    from ..io import load

    arrays = load(path, "cpu")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise KeyError(f"{os.fspath(path)!r} has no array {missing[0]!r}; it has {', '.join(arrays)}")
    return TensorDataset(*[arrays[name] for name in names or arrays])
