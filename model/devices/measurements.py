# SPDX-License-Identifier: BSD-2-Clause
"""Measurements in CSV files, checked row by row."""

import csv
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

MAX_ROWS = 1_000_000

Row = TypeVar("Row")


class MeasurementError(ValueError):
    """Measurements that cannot be read or fitted; the message names file, line and column."""


def rows(
    path: Path,
    required: tuple[str, ...],
    optional: tuple[str, ...],
    parse: Callable[[dict[str, str]], Row],
) -> Iterator[tuple[int, Row]]:
    """The line and what ``parse`` makes of each row of a CSV file with a header.

    ``parse`` raises ``ValueError`` for what it refuses. Raises :class:`MeasurementError` with the
    line and column, ``OSError``.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            _check_columns(path, columns, required, optional)
            for count, row in enumerate(reader, 1):
                where = f"{path}:{reader.line_num}"
                if count > MAX_ROWS:
                    raise MeasurementError(f"{where}: more than {MAX_ROWS} rows")
                if None in row or None in row.values():
                    raise MeasurementError(f"{where}: not {len(columns)} values")
                try:
                    parsed = parse(row)
                except ValueError as error:
                    raise MeasurementError(f"{where}: {error}") from None
                yield reader.line_num, parsed
    except (csv.Error, UnicodeDecodeError) as error:
        raise MeasurementError(f"{path} is not a CSV text file: {error}") from None


def _check_columns(
    path: Path, columns: list[str], required: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    if missing := [name for name in required if name not in columns]:
        raise MeasurementError(f"{path}:1: column {missing[0]} is missing, found {columns}")
    if unknown := [name for name in columns if name not in required + optional]:
        known = ", ".join(required + optional)
        raise MeasurementError(f"{path}:1: unknown column {unknown[0]!r}; columns are {known}")


def resistance(row: dict[str, str]) -> float:
    """``resistance_ohm`` of a row; raises ``ValueError`` unless it is from 1 to 1e12 ohm."""
    value = row["resistance_ohm"]
    try:
        ohm = float(value)
    except ValueError:
        ohm = math.nan
    if not 1.0 <= ohm <= 1e12:
        raise ValueError(f"resistance_ohm is {value!r}, not a number from 1 to 1e12 ohm")
    return ohm


def integer(name: str, text: str, given: str, digits: int) -> int:
    """``text``, as 10, 10.0 or 1e1, as an integer from 0 of so many ``digits`` at most.

    Raises ``ValueError`` that shows what was ``given``.
    """
    if text.isascii() and text.isdigit() and len(text) <= digits:
        return int(text)
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not 0 <= value < 10.0**digits or not value.is_integer():
        raise ValueError(f"{name} is {given!r}, not an integer from 0")
    return int(value)
