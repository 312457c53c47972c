# SPDX-License-Identifier: BSD-2-Clause
"""Data sets: splits that never change, files that are checked."""

import gzip
import hashlib
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from twincell.model import data
from twincell.model.data import DataError, load, parse_idx, read_idx, read_jpegs


def _idx(values: np.ndarray) -> bytes:
    sizes = b"".join(int(n).to_bytes(4, "big") for n in values.shape)
    return bytes([0, 0, 8, values.ndim]) + sizes + values.astype(np.uint8).tobytes()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """DIR/mnist with a small set whose hashes are pinned for the test."""
    monkeypatch.delenv(data.VARIABLE, raising=False)
    rng = np.random.default_rng(1)
    arrays = {
        "train_images": rng.integers(0, 256, (6, 4, 4)), "train_labels": rng.integers(0, 10, 6),
        "test_images": rng.integers(0, 256, (2, 4, 4)), "test_labels": rng.integers(0, 10, 2),
    }  # fmt: skip
    hashes = {}
    (tmp_path / "mnist").mkdir()
    for part, values in arrays.items():
        packed = gzip.compress(_idx(values), mtime=0)
        (tmp_path / "mnist" / data._IDX[part]).write_bytes(packed)
        hashes[part] = hashlib.sha256(packed).hexdigest()
    monkeypatch.setitem(data._SHA256, "mnist", hashes)
    return tmp_path


def test_digits_are_split_once_and_for_all():
    digits = load("digits")
    assert digits.train_images.shape == (1437, 8, 8)
    assert digits.test_images.shape == (360, 8, 8)
    assert (digits.bits, digits.classes) == (5, 10)
    assert max(digits.train_images.max(), digits.test_images.max()) == 16
    assert np.bincount(digits.test_labels).tolist() == [36, 36, 36, 36, 37, 36, 36, 36, 35, 36]
    # Published accuracies hold for these very images.
    assert digits.digest()[:16] == "7f2975ff846777a2"


def test_digits_lose_no_image():
    from sklearn.datasets import load_digits

    digits = load("digits")
    images = np.concatenate([digits.train_images, digits.test_images]).reshape(-1, 64)
    assert sorted(map(bytes, images)) == sorted(map(bytes, load_digits().data.astype(np.uint8)))


@pytest.mark.parametrize("inner", ["", "mnist"])
def test_a_directory_or_its_folder(folder, inner):
    found = load("mnist", folder / inner)
    assert found.train_images.shape == (6, 4, 4)
    assert found.test_labels.shape == (2,)


def test_the_variable_is_read_when_called(folder, monkeypatch):
    with pytest.raises(DataError, match=r"^No directory for the data set mnist. Give --data DIR"):
        load("mnist")
    monkeypatch.setenv("TWINCELL_DATA", str(folder))
    assert load("mnist").bits == 8


def test_shapes_and_bits(folder):
    small = load("mnist", folder)
    assert small.shaped((16,)).train_images.shape == (6, 16)
    assert small.shaped((1, 4, 4)).shape == (1, 4, 4)
    with pytest.raises(DataError, match=r"images of shape \(4, 4\) do not fit \(17,\)"):
        small.shaped((17,))
    bits = small.binarized(100)
    assert bits.bits == 1
    assert np.array_equal(bits.test_images, small.test_images >= 100)
    assert bits.digest() != small.digest()


def test_missing_sets_are_explained(folder):
    with pytest.raises(DataError, match=r"No files of the data set fashion-mnist in .*nowhere"):
        load("fashion-mnist", folder / "nowhere")
    with pytest.raises(DataError, match="no data set 'cifar'; the names are digits, mnist, fash"):
        load("cifar", folder)
    path = folder / "mnist" / data._IDX["test_labels"]
    path.unlink()
    with pytest.raises(DataError, match=r"t10k-labels.* cannot be read: No such file"):
        load("mnist", folder)


def test_another_file_is_refused(folder):
    path = folder / "mnist" / data._IDX["train_images"]
    whole = path.read_bytes()
    for content in (b"", whole[:-1], whole + b"\0", whole[:40] + b"x" + whole[41:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"is not the expected file: its SHA-256 is [0-9a-f]+"):
            load("mnist", folder)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:5], lambda b: b"no gzip"])
def test_a_damaged_gzip_file_is_refused(tmp_path, damage):
    content = damage(gzip.compress(_idx(np.arange(200))))
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"a.gz is not a gzipped IDX file"):
        read_idx(tmp_path / "a.gz", hashlib.sha256(content).hexdigest())


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_MAX_BYTES", 10_000)
    content = gzip.compress(_idx(np.zeros(1_000_000)))
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"an array \(1000000,\) takes 1000008 bytes, not 10001"):
        read_idx(tmp_path / "a.gz", hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    "content",
    [b"", b"\0\0\x08", b"\0\0\x09\1\0\0\0\0", b"\0\0\x08\0", b"\0\0\x08\x05" + bytes(20),
     _idx(np.arange(9))[:-1], _idx(np.arange(9)) + b"\0", _idx(np.arange(9))[:6]],
)  # fmt: skip
def test_other_content_is_refused(content):
    with pytest.raises(DataError):
        parse_idx(content)


def _streams(images: np.ndarray) -> list[bytes]:
    """JPEG of images (N, rows, columns, 3), without chroma subsampling and of the best quality."""
    streams = []
    for image in images:
        stream = BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=100, subsampling=0)
        streams.append(stream.getvalue())
    return streams


def _npz(path: Path, **arrays) -> tuple[Path, str]:
    np.savez(path, **arrays)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def _jpegs(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Flat colours, which survive; and the arrays of a file."""
    colours = np.random.default_rng(2).integers(0, 256, (count, 1, 1, 3)).astype(np.uint8)
    images = np.broadcast_to(colours, (count, 32, 32, 3))
    streams = _streams(images)
    offsets = np.cumsum([0, *map(len, streams)])
    kept = {
        "jpeg": np.frombuffer(b"".join(streams), dtype=np.uint8),
        "offsets": offsets,
        "labels": np.arange(count),
    }
    return images, kept


def test_images_in_jpeg(tmp_path):
    images, arrays = _jpegs(5)
    found, labels = read_jpegs(*_npz(tmp_path / "a.npz", **arrays))
    assert found.shape == (5, 3, 32, 32) and found.dtype == labels.dtype == np.uint8
    assert np.abs(found.astype(int) - images.transpose(0, 3, 1, 2)).max() <= 3
    assert labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("offsets"), "is not an npz file of JPEG images"),
        (lambda a: a.update(jpeg=a["jpeg"][::-1]), "is not an npz file of JPEG images"),
        (lambda a: a.update(jpeg=a["jpeg"][:-200]), "is not an npz file of JPEG images"),
        (lambda a: a.update(offsets=a["offsets"][:1]), "is not an npz file of JPEG images"),
        (lambda a: a.update(labels=a["labels"][1:]), "has 2 images and 1 labels"),
    ],
)
def test_other_files_of_images_are_refused(tmp_path, change, message):
    _, arrays = _jpegs(2)
    change(arrays)
    with pytest.raises(DataError, match=rf"a\.npz {message}"):
        read_jpegs(*_npz(tmp_path / "a.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"no npz", b"PK\3\4 no zip"])
def test_what_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.npz is not an npz file of JPEG images"):
        read_jpegs(tmp_path / "a.npz", hashlib.sha256(content).hexdigest())


@pytest.mark.skipif("TWINCELL_DATA" not in os.environ, reason="TWINCELL_DATA is not set")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_published_files(name):
    found = load(name)
    assert found.train_images.shape == (60_000, 28, 28)
    assert found.test_images.shape == (10_000, 28, 28)
    assert set(np.unique(found.test_labels)) == set(range(10))


@pytest.mark.skipif("TWINCELL_DATA" not in os.environ, reason="TWINCELL_DATA is not set")
def test_the_files_of_cifar_10():
    """The decoder may be another one: the pixels are those of the published results."""
    found = load("cifar-10-jpeg")
    assert found.train_images.shape == (50_000, 3, 32, 32)
    assert np.bincount(found.test_labels).tolist() == [1000] * 10
    assert found.digest()[:16] == "63e3694c06fd214a"
