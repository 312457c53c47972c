# SPDX-License-Identifier: BSD-2-Clause
"""Data sets: scikit-learn's embedded digits, MNIST and Fashion-MNIST as IDX, CIFAR-10 as JPEG.

Nothing is downloaded. Files are found in a directory (``TWINCELL_DATA`` unless given), and each
must have its pinned SHA-256. Nothing here imports torch.
"""

import gzip
import hashlib
import math
import os
import zipfile
import zlib
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from .generators import mix

VARIABLE = "TWINCELL_DATA"
Name = Literal["digits", "mnist", "fashion-mnist", "cifar-10-jpeg"]
NAMES: tuple[str, ...] = get_args(Name)

DIGITS_TEST = 360
_DIGITS_SEED = 2019
_MAX_BYTES = 64 << 20  # the largest pinned file unpacks to 47 MB

_FOLDERS = {"mnist": "mnist", "fashion-mnist": "fashion_mnist", "cifar-10-jpeg": "cifar10"}
_IDX = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
_JPEG = {"train": "cifar10_jpeg_train.npz", "test": "cifar10_jpeg_test.npz"}
_FILES = {"mnist": _IDX, "fashion-mnist": _IDX, "cifar-10-jpeg": _JPEG}
_SHA256 = {
    "mnist": {
        "train_images": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train_labels": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "test_images": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "test_labels": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
    "fashion-mnist": {
        "train_images": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train_labels": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "test_images": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "test_labels": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
    "cifar-10-jpeg": {
        "train": "acc07cf3a2782ca8667479fdddbdc7d3adfbfa7894867b9455d26673a1f83d2c",
        "test": "4888eec6f20ea6aa34f2bb175be81a5dce54aca87e381a94320497769ef36c78",
    },
}


class DataError(Exception):
    """A data set that is missing or not the pinned one; says what, where and how to fix it."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images, split into a training and a test set.

    Parameters
    ----------
    train_images, test_images : uint8 (N, *shape), 0 to ``2^bits - 1``
    train_labels, test_labels : uint8 (N,), 0 to ``classes - 1``
    source : where the images come from and how they were split
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    bits: int
    classes: int
    source: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return self.test_images.shape[1:]

    def shaped(self, shape: tuple[int, ...]) -> "Dataset":
        """The same images in another shape, such as a network's input shape.

        Raises :class:`DataError` when the number of pixels differs.
        """
        if math.prod(shape) != math.prod(self.shape):
            raise DataError(f"{self.name}: images of shape {self.shape} do not fit {shape}")
        return replace(
            self,
            train_images=self.train_images.reshape(-1, *shape),
            test_images=self.test_images.reshape(-1, *shape),
        )

    def binarized(self, threshold: int) -> "Dataset":
        """The same images as bits: 1 where a pixel is at least ``threshold``."""
        return replace(
            self,
            train_images=(self.train_images >= threshold).astype(np.uint8),
            test_images=(self.test_images >= threshold).astype(np.uint8),
            bits=1,
        )

    def digest(self) -> str:
        """SHA-256 of all images, labels and shapes, in hexadecimal."""
        sha = hashlib.sha256()
        for values in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            sha.update(f"{values.dtype.str}{values.shape}".encode())
            sha.update(np.ascontiguousarray(values).tobytes())
        return sha.hexdigest()


def load(name: str, directory: str | Path | None = None) -> Dataset:
    """The data set ``name``; raises :class:`DataError`.

    ``directory`` holds one folder per set (``mnist``, ``fashion_mnist``, ``cifar10``) or the files
    of this set. It defaults to the environment variable ``TWINCELL_DATA``; ``digits`` needs none.
    ``cifar-10-jpeg`` is CIFAR-10 after JPEG compression of quality 75: say so beside its results.
    """
    if name == "digits":
        return _digits()
    if name not in _FOLDERS:
        raise DataError(f"There is no data set {name!r}; the names are {', '.join(NAMES)}")
    folder = _find(name, directory)
    return _jpeg_dataset(folder) if name == "cifar-10-jpeg" else _idx_dataset(name, folder)


def check(name: str, directory: str | Path | None = None) -> None:
    """Makes sure that all files of a data set are there, each the published one, before anything
    long begins. Raises what :func:`load` does."""
    if name == "digits":
        return
    folder = _find(name, directory)
    for part, file in _FILES[name].items():
        _read_pinned(folder / file, _SHA256[name][part])


def _digits() -> Dataset:
    """scikit-learn's 8x8 digits, split by a systematic sample over the images sorted by class."""
    from sklearn.datasets import load_digits  # takes a second: only when asked for

    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.uint8)
    labels = labels.astype(np.uint8)
    order = sorted(range(len(labels)), key=lambda i: (labels[i], mix(_DIGITS_SEED, i)))
    picks = (np.arange(DIGITS_TEST) * len(labels) + len(labels) // 2) // DIGITS_TEST
    test = np.zeros(len(labels), dtype=bool)
    test[np.array(order)[picks]] = True
    return Dataset(
        "digits", images[~test], labels[~test], images[test], labels[test], 5, 10,
        "scikit-learn load_digits (UCI Optdigits test part); grey levels 0 to 16; "
        f"{DIGITS_TEST} test images stratified by class, seed {_DIGITS_SEED}",
    )  # fmt: skip


def _find(name: str, directory: str | Path | None) -> Path:
    """The folder that holds the files of ``name``."""
    fix = f"Give --data DIR or set {VARIABLE}=DIR, where DIR/{_FOLDERS[name]} holds its files"
    directory = directory or os.environ.get(VARIABLE)
    if not directory:
        raise DataError(f"No directory for the data set {name}. {fix}")
    for folder in (Path(directory, _FOLDERS[name]), Path(directory)):
        if any((folder / file).is_file() for file in _FILES[name].values()):
            return folder
    raise DataError(f"No files of the data set {name} in {directory}. {fix}")


def _idx_dataset(name: str, folder: Path) -> Dataset:
    pinned = _SHA256[name]
    arrays = {part: read_idx(folder / file, pinned[part]) for part, file in _IDX.items()}
    return Dataset(name=name, bits=8, classes=10, source=f"{name}, published IDX files", **arrays)


def _jpeg_dataset(folder: Path) -> Dataset:
    name = "cifar-10-jpeg"
    arrays = {}
    for part, file in _JPEG.items():
        images, labels = read_jpegs(folder / file, _SHA256[name][part])
        arrays |= {f"{part}_images": images, f"{part}_labels": labels}
    source = "CIFAR-10 (JPEG q75): the images after JPEG compression of quality 75, RGB planes"
    return Dataset(name=name, bits=8, classes=10, source=source, **arrays)


def read_idx(path: Path, sha256: str) -> np.ndarray:
    """The uint8 array in the gzipped IDX file that has this SHA-256.

    Raises :class:`DataError` when the file is unreadable, another one, or not IDX of bytes.
    """
    packed = _read_pinned(path, sha256)
    try:
        with gzip.open(BytesIO(packed)) as file:
            return parse_idx(file.read(_MAX_BYTES + 1))
    except (OSError, EOFError, zlib.error, DataError) as error:
        raise DataError(f"{path} is not a gzipped IDX file: {error}") from None


def read_jpegs(path: Path, sha256: str) -> tuple[np.ndarray, np.ndarray]:
    """Images, uint8 (N, 3, rows, columns), and labels, uint8 (N,), of the npz file that has this
    SHA-256: ``jpeg`` are the bytes of all images one after the other, ``offsets`` (N + 1) where
    each begins and the last one ends, ``labels`` (N,).

    Raises :class:`DataError` when the file is unreadable, another one, or not of this form.
    """
    from PIL import Image  # only these images need it

    packed = _read_pinned(path, sha256)
    try:
        with np.load(BytesIO(packed)) as file:
            streams, offsets, labels = file["jpeg"].tobytes(), file["offsets"], file["labels"]
        parts = [streams[start:end] for start, end in pairwise(offsets)]
        images = np.stack([np.asarray(Image.open(BytesIO(each)).convert("RGB")) for each in parts])
    except (OSError, EOFError, ValueError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an npz file of JPEG images: {error}") from None
    if len(labels) != len(images):
        raise DataError(f"{path} has {len(images)} images and {len(labels)} labels")
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), labels.astype(np.uint8)


def _read_pinned(path: Path, sha256: str) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Copy the file there") from None
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path} is not the expected file: its SHA-256 is {found}, not {sha256}. "
            "Replace it by the published one; it may be truncated or of another data set"
        )
    return packed


def parse_idx(content: bytes) -> np.ndarray:
    """The array of an IDX file: magic 0, 0, 8 (bytes), number of axes; big-endian sizes; data."""
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4:
        raise DataError(f"an IDX file of bytes starts with 0, 0, 8, axes; not {content[:4]!r}")
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[k : k + 4], "big") for k in range(4, start, 4))
    size = start + math.prod(shape)
    if len(content) != size:
        raise DataError(f"an array {shape} takes {size} bytes, not {len(content)}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
