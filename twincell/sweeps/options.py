# SPDX-License-Identifier: BSD-2-Clause
"""Lists in the words of a command line."""

from typing import Any

from ..networks import UsageError


def grid(ber: str, transient: str, device: str, knob: str) -> dict[str, Any]:
    """The arguments of :func:`.points.points`; raises ``UsageError``."""
    return {
        "ber": _rates("ber", ber),
        "transient": _rates("transient", transient),
        "device": _names(device),
        "knob": _knob(knob),
    }


def _rates(name: str, text: str) -> tuple[float, ...]:
    """Numbers between commas; raises ``UsageError``."""
    try:
        return tuple(float(word) for word in text.split(",")) if text.strip() else ()
    except ValueError:
        raise UsageError(f"--{name} takes numbers between commas, not {text!r}") from None


def _names(text: str) -> tuple[str, ...]:
    """Words between commas."""
    return tuple(word.strip() for word in text.split(",")) if text.strip() else ()


def _knob(text: str) -> tuple[str, tuple[float, ...]] | None:
    """A name, ``=`` and numbers; raises ``UsageError``."""
    if not text.strip():
        return None
    name, equals, values = text.partition("=")
    if not equals:
        raise UsageError(f"--knob takes NAME=VALUE,VALUE, not {text!r}")
    return name.strip(), _rates(f"knob {name.strip()}", values)
