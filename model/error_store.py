# SPDX-License-Identifier: BSD-2-Clause
"""``ErrorMap`` on disk: one safetensors file, versioned; every field is checked before it is used.

The header's only metadata entry, ``twincell-errors``, is JSON: the format's version and, for each
layer, its node, its weights' shape, and rate and start registers of its read errors. The tensors
``N.synapses`` (int64, ascending) and ``N.states`` (int8) are the persistent errors of node ``N``.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from . import files, tensorfile
from .checks import MAX_SYNAPSES, require
from .draws import LEAST_READ_RATE, MOST_RATE
from .errors import ErrorMap, LayerErrors
from .tensorfile import TensorReader

VERSION = 1
ENTRY = "twincell-errors"
MAX_LAYERS = 1000

_Register = Annotated[int, Field(ge=0, lt=1 << 32)]


class _Layer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    node: Annotated[int, Field(ge=1, lt=MAX_LAYERS)]
    shape: Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_SYNAPSES)]], Field(min_length=2, max_length=4)
    ]
    ternary: bool
    rate: Annotated[float, Field(ge=0, le=MOST_RATE)]
    start: Annotated[list[_Register], Field(min_length=3, max_length=3)]


class _Errors(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    layers: Annotated[list[_Layer], Field(max_length=MAX_LAYERS)]


def to_bytes(errors: ErrorMap) -> bytes:
    """The file's content; the same errors always give the same bytes.

    Raises ``ValueError`` for errors of a node whose shape is not known.
    """
    if unknown := sorted(set(errors.layers) - set(errors.shapes)):
        raise ValueError(f"Errors of node {unknown[0]} without its shape: give ErrorMap its shapes")
    layers, arrays = [], {}
    for node in sorted(errors.shapes):
        shape, ternary = errors.shapes[node]
        layer = errors.layers.get(node, LayerErrors([], []))
        form = {"node": node, "shape": list(shape), "ternary": ternary}
        layers.append(form | {"rate": layer.rate, "start": list(layer.start)})
        arrays |= {f"{node}.synapses": layer.synapses, f"{node}.states": layer.states}
    return tensorfile.to_bytes(ENTRY, {"version": VERSION, "layers": layers}, arrays)


def digest(errors: ErrorMap) -> str:
    """SHA-256 of the errors' bytes, in hexadecimal."""
    return tensorfile.digest(to_bytes(errors))


def save(errors: ErrorMap, path: str | Path) -> None:
    """Writes ``errors`` atomically; raises ``OSError`` when the file cannot be written."""
    files.write_bytes(path, to_bytes(errors))


def load(path: str | Path) -> ErrorMap:
    """Reads and validates a file of errors.

    Raises :class:`~twincell.model.checks.GraphError` that names the file and what is wrong with it,
    or ``OSError`` when it cannot be read.
    """
    return tensorfile.read(path, ENTRY, "errors of this project", _read)


def _read(text: str, reader: TensorReader) -> ErrorMap:
    layers, shapes = {}, {}
    for form in TypeAdapter(_Errors).validate_json(text).layers:
        require(form.node not in layers, f"node {form.node} appears twice")
        shape = tuple(form.shape)
        size = int(np.prod(shape, dtype=object))
        require(size <= MAX_SYNAPSES, f"node {form.node}: {size} synapses, most {MAX_SYNAPSES}")
        synapses = reader.take(f"{form.node}.synapses", "I64", (None,))
        states = reader.take(f"{form.node}.states", "I8", (len(synapses),))
        inside = len(synapses) == 0 or (synapses[0] >= 0 and synapses[-1] < size)
        require(
            bool(inside and (np.diff(synapses) > 0).all()),
            f"node {form.node}: synapses must ascend from 0 to {size - 1} at most",
        )
        allowed = (-1, 0, 1) if form.ternary else (-1, 1)
        require(
            bool(np.isin(states, allowed).all()),
            f"node {form.node}: states must be {', '.join(map(str, allowed))}",
        )
        require(
            form.rate == 0 or form.rate >= LEAST_READ_RATE,
            f"node {form.node}: the rate must be 0 or {LEAST_READ_RATE:g} to {MOST_RATE}",
        )
        layers[form.node] = LayerErrors(synapses, states, form.rate, tuple(form.start))
        shapes[form.node] = (shape, form.ternary)
    return ErrorMap(layers, shapes)
