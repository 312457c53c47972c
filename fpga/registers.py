# SPDX-License-Identifier: BSD-2-Clause
"""The registers that a board has beside those of its network: images, runs and results."""

from ..hw.edges.network_map import FIRST_FREE
from ..hw.edges.registers import Access, Field, Register

COUNT_BITS = 24  # of the images of a run
WAITING_BITS = 16  # of the words in the queue of results


def instrument_registers(
    *, slots: int, image_words: int, results: int, result_words: int
) -> tuple[Register, ...]:
    """Registers of the image buffer, of run control and of the queue of results.

    Parameters
    ----------
    slots : images that the buffer holds
    image_words : 32-bit words of an image
    results : images whose results the queue holds
    result_words : 32-bit words of a result
    """
    at = FIRST_FREE
    stored, status, constant = Access.STORED, Access.STATUS, Access.CONSTANT
    slot = slots.bit_length()
    return (
        Register(
            "IMAGE_SLOT",
            at,
            stored,
            "Slot to fill; counts up after each whole image. Writing it begins an image anew",
            (Field("SLOT", 0, slot, "0 to IMAGE_SLOTS - 1; at IMAGE_SLOTS words are refused"),),
        ),
        Register("IMAGE_DATA", at + 0x04, Access.WINDOW, "Next 32 bits of the image"),
        Register(
            "RUN_FIRST",
            at + 0x08,
            stored,
            "Slot of the run's first image; after the last slot comes slot 0",
            (Field("SLOT", 0, slot, "0 to IMAGE_SLOTS - 1"),),
        ),
        Register(
            "RUN_COUNT",
            at + 0x0C,
            stored,
            "Images of the run",
            (Field("COUNT", 0, COUNT_BITS, "0 or more"),),
        ),
        Register(
            "RUN",
            at + 0x10,
            stored,
            "Starts and ends runs",
            (
                Field("START", 0, 1, "begin a run; refused while one is on its way", pulse=True),
                Field("ABORT", 1, 1, "let no further image of the run in", pulse=True),
            ),
        ),
        Register(
            "RUN_STATE",
            at + 0x14,
            status,
            "How far the run is",
            (
                Field("RUNNING", 0, 1, "a result of the run is still to come"),
                Field("REFUSED", 1, 1, "the last START was refused"),
                Field("WORDS", 16, WAITING_BITS, "words in the queue of results"),
            ),
        ),
        Register(
            "RESULT_DATA",
            at + 0x18,
            status,
            "Reading takes a word of the queue; 0 from an empty one",
        ),
        Register("IMAGE_SLOTS", at + 0x20, constant, "Images that the buffer holds", (), slots),
        Register("IMAGE_WORDS", at + 0x24, constant, "32-bit words of an image", (), image_words),
        Register("RESULT_WORDS", at + 0x28, constant, "32-bit words of a result", (), result_words),
        Register("RESULT_DEPTH", at + 0x2C, constant, "Results that the queue holds", (), results),
    )
