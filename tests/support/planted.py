# SPDX-License-Identifier: BSD-2-Clause
"""Functions with a bug planted in them."""

import inspect
import textwrap


def planted(function, old: str, new: str):
    """The function with one place of its source changed; fails when that place is not there."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__qualname__} has {source.count(old)} of {old!r}"
    made: dict = {}
    exec(source.replace(old, new), function.__globals__, made)
    return made[function.__name__]
