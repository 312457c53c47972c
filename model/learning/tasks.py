# SPDX-License-Identifier: BSD-2-Clause
"""Tasks to learn one after the other, and streams of pieces of one task."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..data import Dataset
from ..generators import mix


@dataclass(frozen=True, eq=False)
class Task:
    """Labelled images, uint8 (N, pixels) or as the network takes them, and labels, int64 (N,)."""

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    def digest(self) -> str:
        """SHA-256 of all images and labels, in hexadecimal."""
        parts = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        return digest(parts)


def digest(parts: Iterable[Tensor]) -> str:
    """SHA-256 of tensors with their types and shapes, in hexadecimal."""
    sha = hashlib.sha256()
    for values in parts:
        sha.update(f"{values.dtype}{tuple(values.shape)}".encode())
        sha.update(np.ascontiguousarray(values.numpy()).tobytes())
    return sha.hexdigest()


def task(data: Dataset, shape: tuple[int, ...] | None = None) -> Task:
    """A data set as one task.

    Parameters
    ----------
    shape : of an image as the network takes it: channels, rows, columns for convolutions; by
        default flat

    Raises ``DataError`` when the number of pixels differs.
    """
    shaped = data.shaped(shape or (math.prod(data.shape),))
    return Task(
        data.name,
        torch.tensor(shaped.train_images),
        torch.tensor(shaped.train_labels).long(),
        torch.tensor(shaped.test_images),
        torch.tensor(shaped.test_labels).long(),
    )


def held_out(whole: Task, count: int) -> tuple[Task, Task]:
    """A task without its last ``count`` training images, tested as before; and the whole task,
    tested with those images."""
    if not 1 <= count < len(whole.train_images):
        most = len(whole.train_images) - 1
        raise ValueError(f"{whole.name}: 1 to {most} images can be held out, not {count!r}")
    images, labels = whole.train_images, whole.train_labels
    used = replace(whole, train_images=images[:-count], train_labels=labels[:-count])
    return used, replace(whole, test_images=images[-count:], test_labels=labels[-count:])


def permuted(data: Dataset, count: int, seed: int) -> tuple[Task, ...]:
    """``count`` tasks, each with its own order of the pixels; the first keeps the original."""
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count!r}")
    whole = task(data)
    orders = [torch.arange(whole.train_images.shape[1])]
    for index in range(1, count):
        draws = torch.Generator().manual_seed(mix(seed, index) >> 1)
        orders.append(torch.randperm(len(orders[0]), generator=draws))
    return tuple(
        Task(f"{data.name}, permutation {index}", whole.train_images[:, order],
             whole.train_labels, whole.test_images[:, order], whole.test_labels)
        for index, order in enumerate(orders)
    )  # fmt: skip


def by_classes(data: Dataset, groups: Sequence[Sequence[int]]) -> tuple[Task, ...]:
    """Class-incremental learning: a task for each group of classes, its labels as they are."""
    whole, seen = task(data), [label for group in groups for label in group]
    if len(set(seen)) != len(seen) or not set(seen) <= set(range(data.classes)):
        raise ValueError(f"groups must hold classes 0 to {data.classes - 1} once, not {groups!r}")
    return tuple(_only(whole, group) for group in groups)


def _only(whole: Task, group: Sequence[int]) -> Task:
    train, test = (
        torch.isin(labels, torch.tensor(list(group)))
        for labels in (whole.train_labels, whole.test_labels)
    )
    name = f"{whole.name}, classes {', '.join(map(str, group))}"
    return Task(name, whole.train_images[train], whole.train_labels[train],
                whole.test_images[test], whole.test_labels[test])  # fmt: skip


def stream(data: Dataset, pieces: int, seed: int) -> tuple[Task, ...]:
    """One task whose training images come in ``pieces`` disjoint random parts of equal size, each
    to be learned and not seen again; what does not fill a piece is left out."""
    whole = task(data)
    count = len(whole.train_images)
    if not 1 <= pieces <= count:
        raise ValueError(f"pieces must be from 1 to {count}, not {pieces!r}")
    draws = torch.Generator().manual_seed(mix(seed) >> 1)
    parts = torch.randperm(count, generator=draws)[: count // pieces * pieces].view(pieces, -1)
    return tuple(
        Task(f"{data.name}, piece {index}", whole.train_images[part], whole.train_labels[part],
             whole.test_images, whole.test_labels)
        for index, part in enumerate(parts)
    )  # fmt: skip
