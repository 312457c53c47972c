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
