# SPDX-License-Identifier: BSD-2-Clause
"""The register map: one description, from which the bank and its JSON, C and Markdown are made."""

from dataclasses import asdict, dataclass
from enum import StrEnum

MAGIC = int.from_bytes(b"TWCL", "little")
LAYOUT_VERSION = 1
ADDRESS_BITS = 12  # of a byte address: 4 KiB


class Access(StrEnum):
    """What the bus may do with a register, and where its value lives."""

    CONSTANT = "constant"  # read; fixed when the hardware was generated
    STATUS = "status"  # read; driven by the hardware
    STORED = "stored"  # read and written
    STICKY = "sticky"  # read; bits set by the hardware, cleared by writing 1
    WINDOW = "window"  # written; each word goes to the hardware, which may refuse it


@dataclass(frozen=True)
class Field:
    """Bits of a register; ``pulse`` bits fall back to 0 one cycle after they were written."""

    name: str
    bit: int
    width: int
    doc: str
    pulse: bool = False

    @property
    def mask(self) -> int:
        """Its bits in the register."""
        return ((1 << self.width) - 1) << self.bit


@dataclass(frozen=True)
class Register:
    """One 32-bit register at a byte offset; ``value`` is a constant's."""

    name: str
    offset: int
    access: Access
    doc: str
    fields: tuple[Field, ...] = ()
    value: int = 0

    def __post_init__(self):
        if self.offset % 4 or not 0 <= self.offset < 1 << ADDRESS_BITS:
            raise ValueError(
                f"{self.name} must lie at a multiple of 4 below {1 << ADDRESS_BITS:#x}, "
                f"not {self.offset:#x}"
            )
        if not 0 <= self.value < 1 << 32:
            raise ValueError(f"{self.name} holds 32 bits, not {self.value:#x}")
        used = 0
        for field in self.fields:
            if field.mask & used or field.mask >> 32:
                raise ValueError(f"{self.name}.{field.name} overlaps or leaves the 32 bits")
            used |= field.mask

    @property
    def mask(self) -> int:
        """Bits that exist."""
        return sum(field.mask for field in self.fields) if self.fields else (1 << 32) - 1

    @property
    def pulses(self) -> int:
        """Bits that fall back to 0."""
        return sum(field.mask for field in self.fields if field.pulse)


@dataclass(frozen=True)
class RegisterMap:
    """The registers of a bank, in order of their offsets."""

    registers: tuple[Register, ...]

    def __post_init__(self):
        for what in ("name", "offset"):
            found = [getattr(register, what) for register in self.registers]
            if len(set(found)) != len(found):
                raise ValueError(f"Two registers have the same {what}: {found}")

    def __getitem__(self, name: str) -> Register:
        """A register by its name."""
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(name)

    def as_dict(self) -> dict:
        """Plain data, for JSON."""
        return {
            "address_bits": ADDRESS_BITS,
            "layout_version": LAYOUT_VERSION,
            "registers": [
                {**asdict(register), "access": str(register.access)} for register in self.registers
            ],
        }

    def markdown(self, title: str) -> str:
        """A table of registers, and one of their fields."""
        lines = [f"# {title}", "", "| offset | register | access | what |", "|---|---|---|---|"]
        for r in self.registers:
            value = f" (0x{r.value:08x})" if r.access is Access.CONSTANT else ""
            lines.append(f"| 0x{r.offset:03x} | `{r.name}` | {r.access} | {r.doc}{value} |")
        lines += ["", "| register | bits | field | what |", "|---|---|---|---|"]
        for r in self.registers:
            for f in r.fields:
                bits = f"{f.bit + f.width - 1}:{f.bit}" if f.width > 1 else f"{f.bit}"
                lines.append(f"| `{r.name}` | {bits} | `{f.name}` | {f.doc} |")
        return "\n".join(lines) + "\n"

    def c_header(self, prefix: str) -> str:
        """Offsets, masks and constants as C macros, all beginning with ``prefix``."""
        prefix = prefix.upper()
        guard = f"{prefix}_REGISTERS_H"
        lines = [f"#ifndef {guard}", f"#define {guard}", ""]
        for r in self.registers:
            lines.append(f"/* {r.doc} ({r.access}) */")
            lines.append(f"#define {prefix}_{r.name} 0x{r.offset:03x}u")
            if r.access is Access.CONSTANT:
                lines.append(f"#define {prefix}_{r.name}_VALUE 0x{r.value:08x}u")
            for f in r.fields:
                lines.append(f"#define {prefix}_{r.name}_{f.name} 0x{f.mask:08x}u /* {f.doc} */")
        return "\n".join([*lines, "", f"#endif /* {guard} */"]) + "\n"


def network_registers(*, configuration: int, build: int) -> RegisterMap:
    """The registers of a network: identity, status, counters, control and the loading window.

    Parameters
    ----------
    configuration : 32 bits that tell apart networks of different shape, plan or edge
    build : 32 bits that also tell apart different weights
    """
    constant, status, stored = Access.CONSTANT, Access.STATUS, Access.STORED
    return RegisterMap(
        (
            Register("MAGIC", 0x000, constant, "The bytes TWCL", value=MAGIC),
            Register("LAYOUT", 0x004, constant, "Version of this map", value=LAYOUT_VERSION),
            Register(
                "CONFIGURATION", 0x008, constant, "Hash of shape, plan and edge", (), configuration
            ),
            Register("BUILD", 0x00C, constant, "Hash of configuration and weights", (), build),
            Register(
                "STATUS",
                0x010,
                status,
                "What the network is doing",
                (
                    Field("IDLE", 0, 1, "no image is inside"),
                    Field("HELD", 1, 1, "no image is inside and none will enter: loading works"),
                    Field("LOADING", 2, 1, "a line is on its way to its memory"),
                ),
            ),
            Register(
                "CONTROL",
                0x014,
                stored,
                "Resets and holds the network",
                (
                    Field("SOFT_RESET", 0, 1, "drop all images inside; memories stay", pulse=True),
                    Field("CLEAR", 1, 1, "set all counters to 0", pulse=True),
                    Field("HOLD", 2, 1, "let no further image in"),
                ),
            ),
            Register(
                "ERRORS",
                0x018,
                Access.STICKY,
                "What went wrong; written 1s clear",
                (
                    Field("SHORT_PACKET", 0, 1, "tlast came before the image's last beat"),
                    Field("LONG_PACKET", 1, 1, "tlast was missing on the image's last beat"),
                    Field("LOAD_NOT_HELD", 2, 1, "a word was refused: STATUS.HELD was 0"),
                    Field("LOAD_RANGE", 3, 1, "a word was refused: no such target or row"),
                ),
            ),
            Register("CYCLES", 0x020, status, "Clock cycles, low; reading it latches CYCLES_HIGH"),
            Register("CYCLES_HIGH", 0x024, status, "Clock cycles, high, when CYCLES was read"),
            Register("BUSY", 0x028, status, "Cycles with an image inside; latches BUSY_HIGH"),
            Register("BUSY_HIGH", 0x02C, status, "The same, high, when BUSY was read"),
            Register("IMAGES", 0x030, status, "Images whose last score has left"),
            Register("SHORT_PACKETS", 0x034, status, "Packets with tlast too early"),
            Register("LONG_PACKETS", 0x038, status, "Packets with tlast too late"),
            Register("LOAD_TARGET", 0x080, stored, "Memory to load, an index of the targets"),
            Register("LOAD_ROW", 0x084, stored, "Row to load; counts up after each line"),
            Register("LOAD_DATA", 0x088, Access.WINDOW, "Next 32 bits of the row, lowest first"),
            Register("LOADED_LINES", 0x08C, status, "Lines written since reset or CLEAR"),
            # 0x100 to 0x1ff: rates and seeds of emulated memories.
        )
    )
