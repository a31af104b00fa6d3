"""Text as numbers: tokenizers of bytes and of characters, and windows of a text to predict the next token in."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..creation import as_tensor
from ..tensor import Tensor
from .dataset import Dataset
from .sampler import positive_integer

__all__ = ["ByteTokenizer", "CharTokenizer", "TextDataset", "read_text"]

PathLike = str | os.PathLike[str]


class ByteTokenizer:
    """A token for each byte of the text in UTF-8: 256 of them, for every text.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tokenizer = tg.data.ByteTokenizer()
    >>> tokenizer.encode("né").tolist(), tokenizer.decode([110, 195, 169])
    ([110, 195, 169], 'né')
    """

    size = 256

    def encode(self, text: str) -> Tensor:
        """The tokens of a text, int64."""
        return as_tensor(np.frombuffer(text.encode(), np.uint8).astype(np.int64))

    def decode(self, tokens: Any) -> str:
        """The text of tokens; what is not UTF-8, as a character cut in two, becomes the replacement character.

        Raises
        ------
        ValueError
            If a token is not one of 256.
        """
        numbers = _checked(tokens, self.size)
        return numbers.astype(np.uint8).tobytes().decode(errors="replace")


class CharTokenizer:
    """A token for each character of an alphabet, numbered in the alphabet's order.

    Parameters
    ----------
    alphabet : str or iterable of str
        The characters, each once.

    Attributes
    ----------
    alphabet : str
    size : int
        How many tokens there are.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> tokenizer = tg.data.CharTokenizer.of("hello")
    >>> tokenizer.alphabet, tokenizer.encode("hole").tolist(), tokenizer.decode([1, 0, 2, 2])
    ('ehlo', [1, 3, 2, 0], 'hell')
    """

    def __init__(self, alphabet: Iterable[str]) -> None:
        characters = list(alphabet)
        wrong = [c for c in characters if not isinstance(c, str) or len(c) != 1]
        if wrong:
            raise ValueError(f"CharTokenizer: the alphabet must consist of single characters, got {wrong[0]!r}")
        if len(set(characters)) != len(characters):
            twice = next(c for c in characters if characters.count(c) > 1)
            raise ValueError(f"CharTokenizer: {twice!r} occurs more than once in the alphabet")
        self.alphabet = "".join(characters)
        self.size = len(characters)
        # By code point, sorted, so that a whole text is looked up in one call.
        points = np.array([ord(c) for c in characters], np.uint32)
        self._order = np.argsort(points)
        self._points = points[self._order]

    @classmethod
    def of(cls, text: str) -> CharTokenizer:
        """A tokenizer of the characters that occur in a text, sorted."""
        return cls(sorted(set(text)))

    def encode(self, text: str) -> Tensor:
        """The tokens of a text, int64.

        Raises
        ------
        ValueError
            If a character is not in the alphabet.
        """
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        if not self.size:
            places = np.zeros(len(points), np.int64)
            unknown = np.arange(len(points))
        else:
            places = np.minimum(np.searchsorted(self._points, points), self.size - 1)
            unknown = np.flatnonzero(self._points[places] != points)
        if unknown.size:
            place = int(unknown[0])
            raise ValueError(
                f"CharTokenizer: {text[place]!r}, character {place} of the text, is not one of the {self.size} of the "
                "alphabet"
            )
        return as_tensor(self._order[places].astype(np.int64) if self.size else places)

    def decode(self, tokens: Any) -> str:
        """The text of tokens.

        Raises
        ------
        ValueError
            If a token is not a number of the alphabet.
        """
        return "".join([self.alphabet[i] for i in _checked(tokens, self.size).tolist()])

    def save(self, path: PathLike) -> None:
        """Write the alphabet into a JSON file."""
        Path(path).write_text(json.dumps({"alphabet": self.alphabet}), encoding="utf-8")

    @classmethod
    def load(cls, path: PathLike) -> CharTokenizer:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            If it is no such file.
        """
        text = Path(path).read_text(encoding="utf-8")
        try:
            alphabet = json.loads(text)["alphabet"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{os.fspath(path)!r} ({len(text)} characters) is not the file of a tokenizer") from None
        return cls(alphabet)


def _checked(tokens: Any, size: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    numbers = np.asarray(tokens.tolist() if isinstance(tokens, Tensor) else tokens, np.int64).reshape(-1)
    wrong = numbers[(numbers < 0) | (numbers >= size)]
    if wrong.size:
        raise ValueError(f"decode: token {wrong[0]} is not one of the {size} tokens")
    return numbers


def read_text(*paths: PathLike, encoding: str = "utf-8") -> str:
    """The text of files, one after another.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If one is not in the encoding; it names the file and the byte.
    """
    parts = []
    for path in paths:
        data = Path(path).read_bytes()
        try:
            parts.append(data.decode(encoding))
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{os.fspath(path)!r} is not {encoding}: byte {error.start} of {len(data)} is "
                f"0x{data[error.start]:02x} ({error.reason})"
            ) from None
    return "".join(parts).replace("\r\n", "\n")


class TextDataset(Dataset):
    """Windows of a text: sample i is ``(tokens[s : s + length], tokens[s + 1 : s + length + 1])`` with s = i * stride.

    Parameters
    ----------
    tokens : Tensor
        Of one axis, as a tokenizer encodes a text.
    length : int
        Tokens per window.
    stride : int, optional
        From one window to the next, ``length`` if not given: windows side by side.

    Raises
    ------
    ValueError
        If the text is not longer than a window.

    Examples
    --------
    >>> import tensorgrad as tg
    >>> dataset = tg.data.TextDataset(tg.data.ByteTokenizer().encode("abcdefg"), length=3)
    >>> len(dataset), dataset[1]
    (2, (tensor([100, 101, 102]), tensor([101, 102, 103])))
    """

    def __init__(self, tokens: Tensor, length: int, stride: int | None = None) -> None:
        self.length = positive_integer(length, "TextDataset: length")
        self.stride = self.length if stride is None else positive_integer(stride, "TextDataset: stride")
        if tokens.ndim != 1 or tokens.shape[0] <= length:
            raise ValueError(
                f"TextDataset: expected tokens (N,) with N above the window's length {length}, got shape {tokens.shape}"
            )
        self.tokens = tokens

    def __len__(self) -> int:
        return (self.tokens.shape[0] - 1 - self.length) // self.stride + 1

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        i, count = int(index), len(self)
        if not -count <= i < count:
            raise IndexError(f"TextDataset: index {i} is out of range for {count} windows")
        start = i % count * self.stride
        return self.tokens[start : start + self.length], self.tokens[start + 1 : start + self.length + 1]
