# SPDX-License-Identifier: BSD-2-Clause
"""Plots as files."""

import io

import matplotlib as mpl
from matplotlib.figure import Figure


def svg(figure: Figure) -> bytes:
    """A figure as SVG; equal figures give equal bytes: no date, and fixed identifiers."""
    image = io.BytesIO()
    # Without a salt matplotlib draws the identifiers in an SVG at random.
    with mpl.rc_context({"svg.hashsalt": "twincell", "svg.fonttype": "none"}):
        figure.savefig(image, format="svg", metadata={"Date": None, "Creator": None})
    return image.getvalue()
