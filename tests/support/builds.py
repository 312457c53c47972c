# SPDX-License-Identifier: BSD-2-Clause
"""Generated Verilog for the tests of simulation, and ways to break it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.support.tally import Tally
from twincell.hw.verilog import emit
from twincell.sim.images import Codec
from twincell.sim.ports import Field, Ports, Stream

# Icarus runs a small bench sooner than Verilator compiles it.
QUICK = "icarus" if shutil.which("iverilog") else "verilator"
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus Verilog is not on PATH"
)


@dataclass(frozen=True)
class Built:
    """A directory of generated Verilog, and images with their scores."""

    tally: Tally
    directory: Path
    images: np.ndarray
    scores: np.ndarray

    def broken(self, directory: Path, pattern: str, replacement: str) -> Path:
        """A copy whose Verilog is changed in the one place that matches."""
        shutil.copytree(self.directory, directory)
        (verilog,) = directory.glob("*.v")
        text, count = re.subn(pattern, replacement, verilog.read_text(), count=1)
        assert count == 1, f"{pattern} is not in the Verilog"
        verilog.write_text(text)
        return directory


def build(directory: Path, images: int = 24, seed: int = 0) -> Built:
    """Emits a :class:`Tally` of an odd shape, with seeded random images."""
    tally = Tally(
        pixels=13, pixel_bits=5, pixels_per_beat=3, classes=5, scores_per_beat=2, seed=seed
    )
    emit(tally, directory, name="tally-net", about=tally.about)
    pixels = np.random.default_rng(seed).integers(0, 32, (images, 13))
    pixels[0], pixels[1] = 0, 31
    return Built(tally, directory, pixels, tally.model(pixels))


def codec_of(pixels, bits, per_beat, classes=5, scores_per_beat=2, width=9):
    """The codec of a network that was never built."""
    label = max(1, (classes - 1).bit_length())
    scores = scores_per_beat * width
    i = (Field("payload", 0, bits, False, per_beat),)
    o = (
        Field("scores", 0, width, True, scores_per_beat),
        Field("label", scores, label, False, None),
        Field("last", scores + label, 1, False, None),
    )
    streams = {
        "i": Stream("i", "in", "i__payload", "i__valid", "i__ready", bits * per_beat, i),
        "o": Stream("o", "out", "o__payload", "o__valid", "o__ready", scores + label + 1, o),
    }
    ports = Ports(Path(), "top", "top.v", (), "clk", "rst", streams)
    beats = -(-pixels // per_beat), -(-classes // scores_per_beat)
    return Codec(ports, pixels, bits, per_beat, beats[0], classes, beats[1])


# What is planted, and where it is in the Verilog.
WRONG_SUM = (r"\$signed\((_\w+_)\) \+ \$signed", r"$signed(\1) - $signed")
WRONG_LABEL = (r"\$signed\(score4\) > ", "$signed(score4) < ")
DROPPED_O_READY = (r"(assign _\w+_ = o__valid) & o__ready;", r"\1;")
DROPPED_I_VALID = (r"i__valid & i__ready;", "i__ready;")
FALLING_VALID = (r"o__valid <= (_\w+_);", r"o__valid <= \1 & ~o__valid;")
X_VALID = (r"o__valid <= (_\w+_);", r"o__valid <= \1 ? 1'b1 : 1'bx;")
DEAF = (r"assign i__ready = [^;]*;", "assign i__ready = 1'h0;")
