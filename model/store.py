# SPDX-License-Identifier: BSD-2-Clause
"""``Graph`` on disk: one safetensors file, versioned; every field is checked before it is used.

The header's only metadata entry, ``twincell``, is JSON: the format's version, the network's name
and one object per node. Weights are packed 8 a byte along the flattened fan-in (bit ``i % 8`` of
byte ``i // 8`` is synapse ``i``), constants are int32. Files are untrusted: the size of the file
and the shape of every tensor are checked before anything is allocated, and nothing is executed.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors import numpy as tensors

from .checks import MAX_SYNAPSES, GraphError, require
from .graph import Graph
from .nodes import Conv, Dense, Fill, Flatten, Head, Input, MaxPool, Node, Weights
from .planes import Binary, FixedPoint, Planes, Stochastic

VERSION = 1
MAX_FILE = 1 << 28  # bytes: 2 Gbit of weights
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
    text = json.dumps(network, sort_keys=True, separators=(",", ":"))
    return tensors.save(arrays, metadata={"twincell": text})


def digest(graph: Graph) -> str:
    """SHA-256 of the graph's bytes, in hexadecimal."""
    return hashlib.sha256(to_bytes(graph)).hexdigest()


def save(graph: Graph, path: str | Path) -> None:
    """Writes ``graph`` atomically: the file at ``path`` is the old one or the whole new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(to_bytes(graph))
        os.chmod(temporary, 0o644)  # noqa: PTH101 - mkstemp made it private
        os.replace(temporary, path)  # noqa: PTH105 - the atomic one
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: str | Path) -> Graph:
    """Reads and validates a network file.

    Raises :class:`GraphError` that names the file and what is wrong with it, or ``OSError`` when it
    cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_FILE:
        raise GraphError(f"{path}: {size} bytes, more than the {MAX_FILE} allowed")
    try:
        with safe_open(path, framework="numpy") as file:
            return _read(file)
    except SafetensorError as error:
        raise GraphError(f"{path}: not a whole safetensors file ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "network"
        raise GraphError(f"{path}: {where}: {first['msg']}") from None
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def _read(file) -> Graph:
    text = (file.metadata() or {}).get("twincell")
    require(text is not None, "no 'twincell' entry in the header: not a network of this project")
    network = TypeAdapter(_Network).validate_json(text)
    reader = _Reader(file)
    nodes = []
    for index, form in enumerate(network.nodes):
        try:
            nodes.append(_build(index, form, reader))
        except GraphError as error:
            raise GraphError(f"node {index} ({form.kind}): {error}") from None
    require(not reader.unread, f"unknown tensors {sorted(reader.unread)}")
    return Graph(tuple(nodes), network.name)


class _Reader:
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

    def weights(self, index: int, form: _Dense | _Conv | _Head) -> Weights:
        """The weights of a node, unpacked to the shape its form states."""
        shape = tuple(form.shape)
        synapses = int(np.prod(shape, dtype=object))
        require(0 < synapses <= MAX_SYNAPSES, f"{synapses} synapses, allowed 1 to {MAX_SYNAPSES}")
        fan_in = synapses // shape[0]

        def bits(name: str) -> np.ndarray:
            packed = self.take(f"{index}.{name}", "U8", (shape[0], -(-fan_in // 8)))
            whole = np.unpackbits(packed, axis=1, bitorder="little")
            require(not whole[:, fan_in:].any(), f"pad bits of {name!r} are not zero")
            return whole[:, :fan_in].reshape(shape)

        return Weights(bits("sign"), bits("active") if form.ternary else None)


def _build(index: int, form: _NodeForm, reader: _Reader) -> Node:
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
            return Head(reader.weights(index, form), offsets)
        case _Dense():
            thresholds = reader.take(f"{index}.thresholds", "I32", (None, 1, form.shape[0]))
            return Dense(reader.weights(index, form), thresholds)
        case _Conv():
            thresholds = reader.take(f"{index}.thresholds", "I32", (None, None, form.shape[0]))
            weights = reader.weights(index, form)
            stride, padding = tuple(form.stride), tuple(form.padding)
            return Conv(weights, thresholds, stride, padding, Fill(form.fill))


def _planes(form: _Input) -> Planes:
    match form.planes:
        case "binary":
            return Binary()
        case "fixed-point":
            return FixedPoint(form.bits)
        case "stochastic":
            return Stochastic(form.bits, tuple(form.presentations), form.seed)


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
            }


def _packed_weights(weights: Weights) -> dict[str, np.ndarray]:
    arrays = {"sign": weights.sign}
    if weights.active is not None:
        arrays["active"] = weights.active
    return {
        name: np.packbits(bits.reshape(weights.outputs, -1), axis=1, bitorder="little")
        for name, bits in arrays.items()
    }
