# SPDX-License-Identifier: BSD-2-Clause
"""The registers that every network has, in one map."""

from collections.abc import Sequence

from ..loading import Target
from ..plan import PlanError
from .registers import LAYOUT_VERSION, MAGIC, Access, Field, Register, RegisterMap

# 16 bytes for each emulated array, and the last 16 of the block for the programmings of all.
COUNTERS, PROGRAMMINGS = 0x100, 0x1F0
MOST_EMULATED = (PROGRAMMINGS - COUNTERS) // 16
FIRST_FREE = 0x200


def network_registers(
    *,
    configuration: int,
    build: int,
    targets: Sequence[Target] = (),
    emulated: Sequence[str] = (),
    programmings: bool = False,
    more: Sequence[Register] = (),
) -> RegisterMap:
    """The registers of a network: identity, status, counters, control and the loading window.

    Parameters
    ----------
    configuration : 32 bits that tell apart networks of different shape, plan or edge
    build : 32 bits that also tell apart different weights
    targets : memories that can be loaded
    emulated : names of the emulated arrays, in the order of the network's counters
    programmings : whether these count them
    more : registers of what is around the network, from FIRST_FREE on

    Raises ``PlanError`` for more than MOST_EMULATED emulated arrays.
    """
    if len(emulated) > MOST_EMULATED:
        raise PlanError(
            f"The map has room for the counters of {MOST_EMULATED} emulated arrays, "
            f"not of {len(emulated)}; bare streams (--edge stream) need none"
        )
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
                    Field(
                        "SOFT_RESET",
                        0,
                        1,
                        "reset the network; weights and constants stay",
                        pulse=True,
                    ),
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
            *_loading(targets),
            *(each for k, name in enumerate(emulated) for each in _counters(k, name)),
            *(_programmings() if programmings else ()),
            *more,
        )
    )


def _loading(targets: Sequence[Target]) -> list[Register]:
    """The loading window. There is room for one index and one row beyond those that exist."""
    stored = Access.STORED
    target = max(len(targets), 1).bit_length()
    row = max([each.rows for each in targets], default=1).bit_length()
    return [
        Register(
            "LOAD_TARGET",
            0x080,
            stored,
            "Memory to load",
            (Field("TARGET", 0, target, "an index of the targets"),),
        ),
        Register(
            "LOAD_ROW",
            0x084,
            stored,
            "Row to load; counts up after each line",
            (
                Field(
                    "ROW",
                    0,
                    row,
                    "0 to the target's rows - 1, else words are refused; bits beyond are dropped",
                ),
            ),
        ),
        Register("LOAD_DATA", 0x088, Access.WINDOW, "Next 32 bits of the row, lowest first"),
        Register("LOADED_LINES", 0x08C, Access.STATUS, "Lines written since reset or CLEAR"),
    ]


def _counters(index: int, name: str) -> list[Register]:
    """The counters of an emulated array, modulo 2^32."""
    counters = {
        "CYCLES": f"Cycles in which a read was inside the array of {name}",
        "READS": "Reads that left it",
        "FLIPS": "Bits of its enabled columns that read errors flipped",
    }
    return [
        Register(f"A{index}_{counter}", COUNTERS + 16 * index + 4 * k, Access.STATUS, doc)
        for k, (counter, doc) in enumerate(counters.items())
    ]


def _programmings() -> list[Register]:
    return [
        Register("WEAR_ARRAY", PROGRAMMINGS, Access.STORED, "Emulated array to ask, an index"),
        Register(
            "WEAR_ROW", PROGRAMMINGS + 4, Access.WINDOW, "Asks for a word line's programmings"
        ),
        Register(
            "WEAR_COUNT",
            PROGRAMMINGS + 8,
            Access.STATUS,
            "Programmings of the word line that was asked for last, at most 65,535",
        ),
    ]
