# SPDX-License-Identifier: BSD-2-Clause
"""Untrusted safetensors files: JSON in the header, and tensors that are checked before they are
read. Nothing is executed, and nothing is allocated that the file's size does not cover."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors import numpy as tensors

from .checks import GraphError, require

MAX_FILE = 1 << 28  # bytes: 2 Gbit of weights

Content = TypeVar("Content")


def to_bytes(entry: str, header: dict, arrays: dict[str, np.ndarray]) -> bytes:
    """The content of a file; the same header and arrays always give the same bytes."""
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    return tensors.save(arrays, metadata={entry: text})


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


class TensorReader:
    """Takes tensors out of an open file, each checked for type and shape before it is read."""

    def __init__(self, file):
        self.file = file
        self.unread = set(file.keys())

    def take(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """The tensor ``name``; ``None`` in ``shape`` is an axis of any length."""
        require(name in self.unread, f"tensor {name!r} is missing")
        self.unread.remove(name)
        entry = self.file.get_slice(name)
        found = tuple(entry.get_shape())
        fits = len(found) == len(shape) and all(
            b is None or a == b for a, b in zip(found, shape, strict=True)
        )
        require(
            entry.get_dtype() == dtype and fits,
            f"tensor {name!r} is {entry.get_dtype()} {found}, not {dtype} {shape}",
        )
        return self.file.get_tensor(name)


def read(
    path: str | Path, entry: str, what: str, build: Callable[[str, TensorReader], Content]
) -> Content:
    """What ``build`` makes of the header's ``entry`` and of the tensors, all of which it takes.

    Raises :class:`GraphError` that names the file, ``what`` it should be and what is wrong with
    it, or ``OSError`` when it cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise GraphError(f"{path} is no file, but should be {what}")
    if size > MAX_FILE:
        raise GraphError(f"{path}: {size} bytes, more than the {MAX_FILE} allowed")
    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(entry)
            require(text is not None, f"no {entry!r} entry in the header: not {what}")
            reader = TensorReader(file)
            content = build(text, reader)
            require(not reader.unread, f"unknown tensors {sorted(reader.unread)}")
            return content
    except SafetensorError as error:
        raise GraphError(f"{path}: not a whole safetensors file ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "header"
        raise GraphError(f"{path}: {where}: {first['msg']}") from None
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None
