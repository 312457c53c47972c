# SPDX-License-Identifier: BSD-2-Clause
"""``ports.json`` as frozen dataclasses, and the way from field arrays to payload bytes and back.

A beat is one transfer on a stream. Its payload is kept as little-endian bytes, ``Stream.bytes`` of
them, so that many beats are one uint8 array (beats, bytes).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..hw.ports import FORMAT, VERSION

PORTS_FILE = "ports.json"


class PortsError(ValueError):
    """A directory that holds no ``ports.json`` that this version reads."""


@dataclass(frozen=True)
class Field:
    """One member of a payload: ``count`` elements of ``width`` bits, or one if it is ``None``."""

    name: str
    offset: int
    width: int
    signed: bool
    count: int | None

    @property
    def stop(self) -> int:
        """The bit after its last."""
        return self.offset + self.width * (1 if self.count is None else self.count)


@dataclass(frozen=True)
class Stream:
    """One stream of the top module; ``valid`` or ``ready`` is ``None`` where it is constant 1."""

    name: str
    direction: str
    payload: str
    valid: str | None
    ready: str | None
    width: int
    fields: tuple[Field, ...]

    @property
    def bytes(self) -> int:
        """Bytes of a beat."""
        return -(-self.width // 8)

    def pack(self, **values: np.ndarray) -> np.ndarray:
        """Field arrays (beats,) or (beats, count) to payload bytes, uint8 (beats, bytes).

        A field wider than 64 bits is given as an array with one more axis, of its bits. Values are
        taken modulo ``2**width``; every field must be given.
        """
        if values.keys() != {f.name for f in self.fields}:
            given, names = ", ".join(values), ", ".join(f.name for f in self.fields)
            raise ValueError(f"Stream {self.name} has the fields {names}; given were {given}")
        beats = len(next(iter(values.values())))
        bits = np.zeros((beats, self.bytes * 8), dtype=np.uint8)
        for f in self.fields:
            bits[:, f.offset : f.stop] = _to_bits(np.asarray(values[f.name]), f, beats)
        return np.packbits(bits, axis=1, bitorder="little")

    def unpack(self, beats: np.ndarray) -> dict[str, np.ndarray]:
        """Payload bytes (beats, bytes) to field arrays; the inverse of :meth:`pack`.

        Fields of up to 64 bits come as int64, or as uint64 when they are unsigned and 64 bits wide.
        """
        bits = np.unpackbits(beats, axis=1, count=self.width, bitorder="little")
        return {f.name: _from_bits(bits[:, f.offset : f.stop], f) for f in self.fields}

    def integers(self, beats: np.ndarray) -> list[int]:
        """Payload bytes (beats, bytes) as Python integers, which cocotb drives."""
        return [int.from_bytes(beat.tobytes(), "little") for beat in beats]

    def from_integers(self, values: list[int]) -> np.ndarray:
        """Python integers as payload bytes (beats, bytes)."""
        packed = b"".join(value.to_bytes(self.bytes, "little") for value in values)
        return np.frombuffer(packed, dtype=np.uint8).reshape(len(values), self.bytes)


def _to_bits(values: np.ndarray, f: Field, beats: int) -> np.ndarray:
    """Values of a field as bits (beats, bits of the field)."""
    if f.width > 64:
        return values.reshape(beats, -1)
    words = values.reshape(beats, -1).astype(np.int64 if f.signed else np.uint64)
    octets = words.astype("<i8" if f.signed else "<u8")[..., None].view(np.uint8)
    octets = octets[..., : -(-f.width // 8)]
    return np.unpackbits(octets, axis=-1, count=f.width, bitorder="little").reshape(beats, -1)


def _from_bits(bits: np.ndarray, f: Field) -> np.ndarray:
    """Bits (beats, bits of the field) as values (beats,) or (beats, count)."""
    beats = len(bits)
    shape = (beats,) if f.count is None else (beats, f.count)
    if f.width > 64:
        return bits.reshape(*shape, f.width)
    octets = np.packbits(bits.reshape(-1, f.width), axis=1, bitorder="little")
    octets = np.pad(octets, [(0, 0), (0, 8 - octets.shape[1])])
    words = octets.view("<u8").astype(np.uint64).reshape(shape)
    if f.width == 64 and not f.signed:
        return words
    values = words.view(np.int64)
    if f.signed:
        unused = 64 - f.width
        values = (values << unused) >> unused
    return values


@dataclass(frozen=True)
class Ports:
    """The edge of a generated top: its files, clock, streams and other ports."""

    directory: Path
    top: str
    verilog: str
    memories: tuple[str, ...]
    clock: str | None
    reset: str | None
    streams: dict[str, Stream]
    others: dict[str, dict] = field(default_factory=dict)
    models: tuple[str, ...] = ()  # of what the Verilog leaves out
    about: dict = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The Verilog file."""
        return self.directory / self.verilog

    @property
    def sources(self) -> tuple[Path, ...]:
        """All that a simulator compiles."""
        return (self.source, *(self.directory / model for model in self.models))

    def stream(self, name: str) -> Stream:
        """A stream by its name; raises :class:`PortsError` with the names there are."""
        if name not in self.streams:
            names = ", ".join(self.streams) or "none"
            raise PortsError(f"{self.top} has no stream {name!r}; its streams: {names}")
        return self.streams[name]


def read(build: Path) -> Ports:
    """Reads ``ports.json`` of a build directory."""
    build = Path(build)
    path = build / PORTS_FILE
    try:
        text = json.loads(path.read_text())
    except FileNotFoundError:
        raise PortsError(f"{build} holds no {PORTS_FILE}; it is not a build directory") from None
    except ValueError as error:
        raise PortsError(f"{path} is not JSON: {error}") from None
    if not isinstance(text, dict) or (text.get("format"), text.get("version")) != (FORMAT, VERSION):
        raise PortsError(f"{path} is not {FORMAT} version {VERSION}; build the network again")
    try:
        found = Ports(
            directory=build,
            top=text["top"],
            verilog=_bare(text["verilog"]),
            memories=tuple(map(_bare, text["memories"])),
            clock=text["clock"],
            reset=text["reset"],
            streams={name: _stream(name, entry) for name, entry in text["streams"].items()},
            others=text["ports"],
            models=tuple(map(_bare, text.get("models", ()))),
            about=text["about"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise PortsError(f"{path} is damaged: {error!r}") from None
    for name in (found.verilog, *found.memories, *found.models):
        # Simulators only warn of a missing memory file and go on with zeros.
        if not (build / name).is_file():
            raise PortsError(f"{build / name} is missing; build the network again")
    return found


def _stream(name: str, entry: dict) -> Stream:
    fields = tuple(Field(**each) for each in entry["fields"])
    return Stream(name=name, **{**entry, "fields": fields})


def _bare(name: str) -> str:
    """A file name without any directory, since these files are read beside ``ports.json``."""
    if Path(name).name != name:
        raise PortsError(f"{PORTS_FILE} names a file outside its directory: {name!r}")
    return name
