# SPDX-License-Identifier: BSD-2-Clause
"""Data sets: splits that never change, files that are checked."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from twincell.model import data
from twincell.model.data import DataError, load, parse_idx, read_idx


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
        (tmp_path / "mnist" / data._FILES[part]).write_bytes(packed)
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
    path = folder / "mnist" / data._FILES["test_labels"]
    path.unlink()
    with pytest.raises(DataError, match=r"t10k-labels.* cannot be read: No such file"):
        load("mnist", folder)


def test_another_file_is_refused(folder):
    path = folder / "mnist" / data._FILES["train_images"]
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


@pytest.mark.skipif("TWINCELL_DATA" not in os.environ, reason="TWINCELL_DATA is not set")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_published_files(name):
    found = load(name)
    assert found.train_images.shape == (60_000, 28, 28)
    assert found.test_images.shape == (10_000, 28, 28)
    assert set(np.unique(found.test_labels)) == set(range(10))
