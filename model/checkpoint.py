# SPDX-License-Identifier: BSD-2-Clause
"""Checkpoints: the whole state of a training run in one file that is always complete."""

from pathlib import Path
from typing import Any

import torch

from .files import clear_partial, replacing

_FORMAT = 1


class CheckpointError(Exception):
    """A checkpoint that cannot be resumed; the message names the file and the way out."""


def save_checkpoint(path: Path, run: dict[str, str], state: dict[str, Any]) -> None:
    """Writes ``state`` so that ``path`` holds the old or the new checkpoint, never a part of one.

    ``run`` identifies the training run, for :func:`load_checkpoint` to compare.
    """
    with replacing(path) as file:
        torch.save({"format": _FORMAT, "run": run, "state": state}, file)


def load_checkpoint(path: Path, run: dict[str, str]) -> dict[str, Any] | None:
    """The state in ``path``, or ``None`` when there is no such file. What writers of it that were
    killed have left is removed.

    Raises :class:`CheckpointError` when it is unreadable or belongs to another run than ``run``.
    """
    clear_partial(path)
    if not path.exists():
        return None
    remedy = "Delete it, or train in another directory"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError(f"it has no format {_FORMAT}")
        found, state = content["run"], content["state"]
    except Exception as error:  # torch raises many kinds for a damaged file, with advice of its own
        raise CheckpointError(f"{path} is not a whole checkpoint. {remedy}") from error
    differing = [key for key in run if found.get(key) != run[key]]
    if differing:
        raise CheckpointError(f"{path} is of another {' and '.join(differing)}. {remedy}")
    return state
