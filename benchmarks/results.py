# SPDX-License-Identifier: BSD-2-Clause
"""Where benchmarks leave what they found."""

import json
from pathlib import Path

from twincell.model.files import write_bytes

RESULTS = Path(__file__).parent.parent / "docs" / "results"


def put(name: str, results: dict, page: str, *, as_json: bool, write: bool) -> None:
    """Prints results as JSON or as their page; ``write`` replaces ``name``.json and .md in
    docs/results."""
    text = json.dumps(results, indent=2) + "\n"
    if write:
        write_bytes(RESULTS / f"{name}.json", text.encode())
        write_bytes(RESULTS / f"{name}.md", page.encode())
    print(text if as_json else page, end="")
