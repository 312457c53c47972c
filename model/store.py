# SPDX-License-Identifier: BSD-2-Clause
"""``Graph`` on disk: one safetensors file, versioned; every field is checked before it is used.

The header's only metadata entry, ``twincell``, is JSON: the format's version, the network's name
and one object per node. Weights are packed 8 a byte along the flattened fan-in (bit ``i % 8`` of
byte ``i // 8`` is synapse ``i``), constants are int32. Files are untrusted: the size of the file
and the shape of every tensor are checked before anything is allocated, and nothing is executed.
"""

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from . import files, tensorfile
from .checks import MAX_SYNAPSES, GraphError, require
from .graph import Graph
from .nodes import Conv, Dense, Fill, Flatten, Head, Input, MaxPool, Node, Weights
from .planes import Binary, FixedPoint, Planes, Stochastic
from .tensorfile import TensorReader

VERSION = 1
ENTRY = "twincell"
MAX_NODES = 1000


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Axis = Annotated[int, Field(ge=0, le=MAX_SYNAPSES)]
Axes = Annotated[list[Axis], Field(min_length=1, max_length=4)]


class _Input(_Form):
    kind: Literal["input"]
    shape: Axes
    planes: Literal["binary", "fixed-point", "stochastic"]
    bits: int = 1
    presentations: Annotated[list[int], Field(max_length=64)] = []
    seed: int = 0
    generator: Annotated[str, Field(max_length=40)] = "lfsr"
    accumulate: Annotated[str, Field(max_length=40)] = "first"


class _Dense(_Form):
    kind: Literal["dense"]
    shape: Axes
    ternary: bool


class _Conv(_Form):
    kind: Literal["conv"]
    shape: Axes
    ternary: bool
    stride: Axes
    padding: Axes
    fill: Literal["minus", "plus", "absent"]


class _MaxPool(_Form):
    kind: Literal["max-pool"]
    kernel: Axes
    stride: Axes


class _Flatten(_Form):
    kind: Literal["flatten"]


class _Head(_Form):
    kind: Literal["head"]
    shape: Axes
    ternary: bool


_NodeForm = Annotated[
    _Input | _Dense | _Conv | _MaxPool | _Flatten | _Head, Field(discriminator="kind")
]


class _Network(_Form):
    version: Literal[1]
    name: Annotated[str, Field(max_length=200)]
    nodes: Annotated[list[_NodeForm], Field(min_length=2, max_length=MAX_NODES)]


def to_bytes(graph: Graph) -> bytes:
    """The file's content; the same graph always gives the same bytes."""
    forms, arrays = [], {}
    for index, node in enumerate(graph.nodes):
        form, constants = _describe(node)
        forms.append(form)
        if isinstance(node, Dense | Conv | Head):
            constants |= _packed_weights(node.weights)
        arrays |= {f"{index}.{name}": values for name, values in constants.items()}
    network = {"version": VERSION, "name": graph.name, "nodes": forms}
    return tensorfile.to_bytes(ENTRY, network, arrays)


def digest(graph: Graph) -> str:
    """SHA-256 of the graph's bytes, in hexadecimal."""
    return tensorfile.digest(to_bytes(graph))


def save(graph: Graph, path: str | Path) -> None:
    """Writes ``graph`` atomically: the file at ``path`` is the old one or the whole new one."""
    files.write_bytes(path, to_bytes(graph))


def load(path: str | Path) -> Graph:
    """Reads and validates a network file.

    Raises :class:`GraphError` that names the file and what is wrong with it, or ``OSError`` when it
    cannot be read.
    """
    return tensorfile.read(path, ENTRY, "a network of this project", _read)


def _read(text: str, reader: TensorReader) -> Graph:
    network = TypeAdapter(_Network).validate_json(text)
    nodes = []
    for index, form in enumerate(network.nodes):
        try:
            nodes.append(_build(index, form, reader))
        except GraphError as error:
            raise GraphError(f"node {index} ({form.kind}): {error}") from None
    return Graph(tuple(nodes), network.name)


def _weights(index: int, form: _Dense | _Conv | _Head, reader: TensorReader) -> Weights:
    """The weights of a node, unpacked to the shape its form states."""
    shape = tuple(form.shape)
    synapses = int(np.prod(shape, dtype=object))
    require(0 < synapses <= MAX_SYNAPSES, f"{synapses} synapses, allowed 1 to {MAX_SYNAPSES}")
    fan_in = synapses // shape[0]

    def bits(name: str) -> np.ndarray:
        packed = reader.take(f"{index}.{name}", "U8", (shape[0], -(-fan_in // 8)))
        whole = np.unpackbits(packed, axis=1, bitorder="little")
        require(not whole[:, fan_in:].any(), f"pad bits of {name!r} are not zero")
        return whole[:, :fan_in].reshape(shape)

    return Weights(bits("sign"), bits("active") if form.ternary else None)


def _build(index: int, form: _NodeForm, reader: TensorReader) -> Node:
    match form:
        case _Input():
            return Input(tuple(form.shape), _planes(form))
        case _Flatten():
            return Flatten()
        case _MaxPool():
            conjunction = reader.take(f"{index}.conjunction", "U8", (None,))
            return MaxPool(tuple(form.kernel), tuple(form.stride), conjunction)
        case _Head():
            offsets = reader.take(f"{index}.offsets", "I32", (None, form.shape[0]))
            return Head(_weights(index, form, reader), offsets)
        case _Dense():
            thresholds = reader.take(f"{index}.thresholds", "I32", (None, 1, form.shape[0]))
            return Dense(_weights(index, form, reader), thresholds)
        case _Conv():
            thresholds = reader.take(f"{index}.thresholds", "I32", (None, None, form.shape[0]))
            weights = _weights(index, form, reader)
            stride, padding = tuple(form.stride), tuple(form.padding)
            return Conv(weights, thresholds, stride, padding, Fill(form.fill))


def _planes(form: _Input) -> Planes:
    match form.planes:
        case "binary":
            return Binary()
        case "fixed-point":
            return FixedPoint(form.bits)
        case "stochastic":
            counts = tuple(form.presentations)
            return Stochastic(form.bits, counts, form.seed, form.generator, form.accumulate)


def _describe(node: Node) -> tuple[dict, dict[str, np.ndarray]]:
    """The node's JSON object and its constants; the inverse of :func:`_build`."""
    match node:
        case Input():
            return {"kind": "input", "shape": list(node.shape)} | _describe_planes(node.planes), {}
        case Flatten():
            return {"kind": "flatten"}, {}
        case MaxPool():
            form = {"kind": "max-pool", "kernel": list(node.kernel), "stride": list(node.stride)}
            return form, {"conjunction": node.conjunction}
        case Head():
            return _describe_layer("head", node), {"offsets": node.offsets.astype(np.int32)}
        case Dense():
            return _describe_layer("dense", node), {"thresholds": node.thresholds.astype(np.int32)}
        case Conv():
            form = _describe_layer("conv", node) | {
                "stride": list(node.stride),
                "padding": list(node.padding),
                "fill": str(node.fill),
            }
            return form, {"thresholds": node.thresholds.astype(np.int32)}


def _describe_layer(kind: str, node: Dense | Conv | Head) -> dict:
    weights = node.weights
    return {"kind": kind, "shape": list(weights.sign.shape), "ternary": weights.ternary}


def _describe_planes(planes: Planes) -> dict:
    match planes:
        case Binary():
            return {"planes": "binary"}
        case FixedPoint():
            return {"planes": "fixed-point", "bits": planes.bits}
        case Stochastic():
            presentations = list(planes.presentations)
            return {
                "planes": "stochastic",
                "bits": planes.bits,
                "presentations": presentations,
                "seed": planes.seed,
                "generator": str(planes.generator),
                "accumulate": str(planes.accumulate),
            }


def _packed_weights(weights: Weights) -> dict[str, np.ndarray]:
    arrays = {"sign": weights.sign}
    if weights.active is not None:
        arrays["active"] = weights.active
    return {
        name: np.packbits(bits.reshape(weights.outputs, -1), axis=1, bitorder="little")
        for name, bits in arrays.items()
    }
