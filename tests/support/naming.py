# SPDX-License-Identifier: BSD-2-Clause
"""Names of signals, as they stand in RTLIL."""

import re

from amaranth.lib import wiring

from twincell.hw.verilog import to_rtlil


def numbered_signals(component: wiring.Component) -> set[str]:
    """Signals of a component, at any depth, that Amaranth named because nothing else did."""
    return set(re.findall(r"^  wire .*(\\\S*\$\S*)$", to_rtlil(component, "top"), re.MULTILINE))
