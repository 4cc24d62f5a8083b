"""A table as every output shows it: values with what they are, and one way to put each into words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from reports.figures import MISSING, number, price, show
from reports.words import moment

Kind = Literal["text", "time", "percent", "ratio", "money", "count", "price", "number"]
Value = Any  # str, float or a moment, as the column's kind says

_TEXT: Mapping[Kind, Callable[[Value], str]] = {
    "text": str,
    "time": moment,
    "percent": lambda value: show(float(value), "percent"),
    "ratio": lambda value: show(float(value), "ratio"),
    "money": lambda value: show(float(value), "money"),
    "count": lambda value: show(float(value), "count"),
    "price": lambda value: price(float(value)),
    "number": lambda value: number(float(value)),
}


@dataclass(frozen=True, slots=True)
class Column:
    """key: its name in JSON. label: what a person reads above it."""

    key: str
    label: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Grid:
    """columns, and rows of as many values: text, floats (NaN: not defined), or moments (NaT: there is none)."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, most: int | None = None) -> Iterator[tuple[str, ...]]:
        """The rows as a person reads them, the first `most` of them."""
        kinds = [column.kind for column in self.columns]
        for row in self.rows[:most]:
            yield tuple(text_of(value, kind) for value, kind in zip(row, kinds, strict=True))

    def records(self) -> list[dict[str, Value]]:
        """The rows as objects by key; what is not defined is None."""
        keys = [column.key for column in self.columns]
        return [
            {key: None if _missing(value) else value for key, value in zip(keys, row, strict=True)}
            for row in self.rows
        ]


def text_of(value: Value, kind: Kind) -> str:
    """One value for a person; a dash where it is not defined."""
    return MISSING if _missing(value) else _TEXT[kind](value)


def grid_of(table: pd.DataFrame, columns: tuple[Column, ...]) -> Grid:
    """The columns of a frame by their keys, rows in its order; a column it lacks is left out."""
    there = tuple(column for column in columns if column.key in table.columns)
    values = [_values(table[column.key], column.kind) for column in there]
    return Grid(there, tuple(zip(*values, strict=True)))


def _values(column: pd.Series, kind: Kind) -> list[Value]:
    if kind == "text":
        return ["" if pd.isna(value) else str(value) for value in column]
    if kind == "time":
        return list(column)
    return column.astype("float64").tolist()


def _missing(value: Value) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return value is None or value is pd.NaT


__all__ = ["Column", "Grid", "Kind", "grid_of", "text_of"]
