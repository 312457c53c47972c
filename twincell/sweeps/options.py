# SPDX-License-Identifier: BSD-2-Clause
"""Lists in the words of a command line."""

from ..networks import UsageError


def rates(name: str, text: str) -> tuple[float, ...]:
    """Numbers between commas; raises ``UsageError``."""
    try:
        return tuple(float(word) for word in text.split(",")) if text.strip() else ()
    except ValueError:
        raise UsageError(f"--{name} takes numbers between commas, not {text!r}") from None


def names(text: str) -> tuple[str, ...]:
    """Words between commas."""
    return tuple(word.strip() for word in text.split(",")) if text.strip() else ()


def knob(text: str) -> tuple[str, tuple[float, ...]] | None:
    """A name, ``=`` and numbers; raises ``UsageError``."""
    if not text.strip():
        return None
    name, equals, values = text.partition("=")
    if not equals:
        raise UsageError(f"--knob takes NAME=VALUE,VALUE, not {text!r}")
    return name.strip(), rates(f"knob {name.strip()}", values)
