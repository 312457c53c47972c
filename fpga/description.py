# SPDX-License-Identifier: BSD-2-Clause
"""What a host must know of a build, in one JSON file beside its bitstream."""

import json
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..hw.edges.registers import ADDRESS_BITS
from ..model import files
from ..model.reads import ArrayReads, ReadOrder, by_position, flat_pixels
from .instrument import Instrument

FORMAT, VERSION = "twincell-board", 2
FILE = "board.json"  # in the directory of a build
# Registers that a host uses, with the fields of which it needs more than the whole word.
_REGISTERS = {
    "MAGIC": (), "LAYOUT": (), "CONFIGURATION": (), "BUILD": (), "IMAGES": (), "BUSY": (),
    "CONTROL": ("HOLD", "CLEAR", "SOFT_RESET"), "STATUS": ("HELD",), "LOAD_TARGET": (),
    "LOAD_ROW": (), "LOAD_DATA": (), "IMAGE_SLOT": (), "IMAGE_DATA": (), "IMAGE_WORDS": (),
    "RUN_FIRST": (), "RUN_COUNT": (), "RUN": ("START",), "RUN_STATE": ("REFUSED", "WORDS"),
    "RESULT_DATA": (),
}  # fmt: skip
_COUNTED = ("READS", "FLIPS")
MAX_BYTES = 1 << 20  # of the file: descriptions come from outside


class DescriptionError(ValueError):
    """A file that is no description of a build; the message names the file and what is wrong."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RegisterField(_Part):
    """Bits of a register."""

    name: str
    bit: int = Field(ge=0, lt=32)
    width: int = Field(ge=1, le=32)
    doc: str
    pulse: bool = False

    @property
    def mask(self) -> int:
        """Its bits in the register."""
        return ((1 << self.width) - 1) << self.bit

    def of(self, word: int) -> int:
        """Its value in a word."""
        return (word & self.mask) >> self.bit


class RegisterAt(_Part):
    """A register of the map."""

    name: str
    offset: int = Field(ge=0, lt=1 << ADDRESS_BITS, multiple_of=4)
    access: Literal["constant", "status", "stored", "sticky", "window"]
    doc: str
    fields: tuple[RegisterField, ...] = ()
    value: int = Field(0, ge=0, lt=1 << 32)

    def __getitem__(self, field: str) -> RegisterField:
        return next(each for each in self.fields if each.name == field)


class LoadTarget(_Part):
    """A memory that can be loaded, see :class:`~twincell.hw.loading.Target`."""

    name: str
    kind: str
    rows: int = Field(ge=1)
    bits: int = Field(ge=1)
    lowest: int
    highest: int
    width: int = Field(ge=1)
    words: int = Field(ge=1)


class EmulatedAt(_Part):
    """An emulated array; its counters are those of the same index."""

    name: str
    node: int = Field(ge=0)
    bits_per_read: int = Field(ge=1)
    rate: float = Field(ge=0, le=1)
    start: tuple[int, int, int]
    read_errors: int = Field(ge=0)  # index of the target
    word_lines: int = Field(ge=0)


class Pace(_Part):
    """What an image takes: in steady state without read errors, and of each emulated array.

    ``presentations`` is ``None`` for an input that is not stochastic.
    """

    presentations: int | None
    cycles_per_image: int = Field(ge=1)
    reads: tuple[int, ...]


class Reads(_Part):
    """How an array is read, see :class:`~twincell.model.reads.ArrayReads`."""

    node: int
    inputs: int
    outputs: int
    lanes: int
    neurons: int
    by_neuron: bool
    whole: bool
    channels: int = 0
    tap_rows: int = 1


class ResultAt(_Part):
    """The words of a result, see :class:`~.results.ResultLayout`."""

    classes: int = Field(ge=1)
    unit_bytes: Literal[1, 2, 4]
    words: int = Field(ge=1)

    def decode(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scores (images, classes) and labels (images,) of uint32 (images, words), int64 both."""
        octets = np.ascontiguousarray(words, dtype="<u4").view(np.uint8).reshape(len(words), -1)
        used = octets[:, : (self.classes + 1) * self.unit_bytes]
        units = np.ascontiguousarray(used).view(f"<i{self.unit_bytes}").astype(np.int64)
        labels = units[:, -1] & ((1 << 8 * self.unit_bytes) - 1)
        return units[:, :-1], labels


class ImageAt(_Part):
    """The bytes of an image: pixels one after the other, little-endian, in flatten order or, with
    ``channels``, position by position."""

    pixels: int = Field(ge=1)
    pixel_bits: int = Field(ge=1, le=16)
    pixel_bytes: Literal[1, 2]
    channels: int = Field(default=0, ge=0)


class Holds(_Part):
    """Images and results that the board holds."""

    slots: int = Field(ge=1)
    results: int = Field(ge=1)


class Description(_Part):
    """A build: board, link, registers, and the layout of what goes over it.

    ``network`` names the network, whose file lies beside this one; ``clock`` is in hertz and
    ``baud`` in bits per second; ``configuration`` and ``build`` are SHA-256, of which the registers
    hold the first 32 bits.
    """

    format: Literal["twincell-board"] = FORMAT
    version: Literal[2] = VERSION
    board: str
    network: str
    clock: float = Field(gt=0)
    clocks_per_bit: int = Field(ge=4)
    baud: float = Field(gt=0)
    configuration: str = Field(pattern="^[0-9a-f]{64}$")
    build: str = Field(pattern="^[0-9a-f]{64}$")
    paces: tuple[Pace, ...] = Field(min_length=1)
    image: ImageAt
    results: ResultAt
    capacity: Holds
    registers: tuple[RegisterAt, ...]
    targets: tuple[LoadTarget, ...]
    emulated: tuple[EmulatedAt, ...]
    reads: tuple[Reads, ...]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """What a host asks for by name or by index is there."""
        known = {each.name: {field.name for field in each.fields} for each in self.registers}
        wanted = dict(_REGISTERS)
        wanted |= {f"A{k}_{what}": () for k in range(len(self.emulated)) for what in _COUNTED}
        for name, fields in wanted.items():
            if name not in known or not known[name] >= {*fields}:
                raise ValueError(f"registers lack {'.'.join((name, *fields))}")
        nodes = {each.node for each in self.reads}
        for array in self.emulated:
            if max(array.read_errors, array.word_lines) >= len(self.targets):
                raise ValueError(f"{array.name} names a target that is not there")
            if array.node not in nodes:
                raise ValueError(f"{array.name} is of node {array.node}, which has no reads")
        if any(len(pace.reads) != len(self.emulated) for pace in self.paces):
            raise ValueError("paces have not a number of reads for each emulated array")
        return self

    def register(self, name: str) -> RegisterAt:
        """A register by its name; raises ``KeyError`` when there is none."""
        for each in self.registers:
            if each.name == name:
                return each
        raise KeyError(name)

    def pace(self, presentations: int | None = None) -> Pace:
        """Of a number of presentations, by default the first; raises ``ValueError`` for one that
        the build has not."""
        if presentations is None:
            return self.paces[0]
        for each in self.paces:
            if each.presentations == presentations:
                return each
        raise ValueError(f"{self.network} was not built for {presentations} presentations")

    @property
    def read_order(self) -> ReadOrder:
        """The order in which the arrays are read."""
        return ReadOrder(tuple(ArrayReads(**each.model_dump()) for each in self.reads))

    @property
    def lanes(self) -> int:
        """XNORs a cycle of all layers."""
        return sum(each.lanes * each.neurons for each in self.reads)

    @property
    def image_words(self) -> int:
        """32-bit words of an image."""
        return self.register("IMAGE_WORDS").value

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Images as words for ``IMAGE_DATA``, uint32 (images, image_words).

        Raises ``ValueError`` when an image has another size or a pixel leaves its range.
        """
        flat = flat_pixels(images, self.image.pixels, self.image.pixel_bits)
        flat, size = by_position(flat, self.image.channels), self.image.pixel_bytes
        octets = flat.astype(f"<u{size}").view(np.uint8).reshape(len(flat), flat.shape[1] * size)
        padded = np.zeros((len(flat), self.image_words * 4), dtype=np.uint8)
        padded[:, : octets.shape[1]] = octets
        return padded.view("<u4")

    def write(self, path: Path) -> None:
        """Writes it, atomically; the bytes depend on it alone."""
        text = json.dumps(self.model_dump(mode="json"), indent=2) + "\n"
        files.write_bytes(path, text.encode())

    @classmethod
    def read(cls, path: Path) -> "Description":
        """Reads one; raises :class:`DescriptionError`."""
        try:
            if path.stat().st_size > MAX_BYTES:
                raise DescriptionError(f"{path} is larger than any description of a build")
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise DescriptionError(
                f"{path} cannot be read: {error.strerror}. "
                f"`twincell board build BOARD --out {path.parent}` makes a build there"
            ) from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise DescriptionError(f"{path}: {where}: {first['msg']}") from None


def describe(
    instrument: Instrument, *, board: str, clock: float, clocks_per_bit: int
) -> Description:
    """The description of an emulator with a clock in hertz."""
    network, controlled = instrument.network, instrument.controlled
    plan = network.plan
    loadables = network.loadables

    def target(stream: Any) -> int:
        return next(index for index, each in enumerate(loadables) if each.program is stream)

    counting = [index for index, each in enumerate(network.arrays) if each in network.counting]
    layers = [(plan.layers[index], network.arrays[index]) for index in counting]
    emulated = [
        {
            "name": layer.name,
            "node": layer.node,
            "bits_per_read": array.bits_per_read,
            "rate": array.rate,
            "start": array.start,
            "read_errors": target(array.i_errors),
            "word_lines": target(array.i_program),
        }
        for layer, array in layers
    ]
    shown = {count: plan.shown(count) for count in plan.presentations or (None,)}
    return Description.model_validate(
        {
            "board": board,
            "network": network.graph.name,
            "clock": clock,
            "clocks_per_bit": clocks_per_bit,
            "baud": clock / clocks_per_bit,
            "configuration": instrument.identity.configuration,
            "build": instrument.identity.build,
            "paces": [
                {
                    "presentations": count,
                    "cycles_per_image": each.cycles_per_image,
                    "reads": [each.layers[index].reads for index in counting],
                }
                for count, each in shown.items()
            ],
            **instrument.about(),
            "registers": controlled.registers.as_dict()["registers"],
            "targets": [{**vars(each.target), "words": each.target.words} for each in loadables],
            "emulated": emulated,
            "reads": [vars(each) for each in plan.read_order.arrays],
        }
    )
