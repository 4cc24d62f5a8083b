"""What cleaning found and what it did about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

LISTED_IN_DICT = 50


@dataclass(frozen=True, slots=True)
class BadCell:
    """One cell that is not a number. `row` counts data rows from 1; `value` is the text found there."""

    symbol: str
    row: int
    column: str
    value: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Counts of what was found and repaired.

    rows: data rows read. bars: bars delivered. zero_prices: prices of 0 taken as missing.
    filled_values: price cells filled from the bar before. missing_volumes: volumes without a value, now 0.
    inserted_bars: bars that had no row at all. filled_times: every bar in which a price was filled.
    closures: breaks in the index taken for nights, weekends, holidays or stretches without trades.
    """

    rows: int = 0
    bars: int = 0
    zero_prices: int = 0
    filled_values: int = 0
    missing_volumes: int = 0
    inserted_bars: int = 0
    closures: int = 0
    cells: tuple[BadCell, ...] = ()
    filled_times: tuple[datetime, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def untouched(self) -> bool:
        """True when the bars are exactly the rows that were read."""
        return not (self.cells or self.filled_times or self.zero_prices or self.missing_volumes)

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON; long lists are cut at 50 entries, the counts are of all."""
        return {
            "rows": self.rows,
            "bars": self.bars,
            "zero_prices": self.zero_prices,
            "filled_values": self.filled_values,
            "missing_volumes": self.missing_volumes,
            "inserted_bars": self.inserted_bars,
            "closures": self.closures,
            "unreadable_cells": len(self.cells),
            "filled_bars": len(self.filled_times),
            "cells": [
                {"symbol": c.symbol, "row": c.row, "column": c.column, "value": c.value}
                for c in self.cells[:LISTED_IN_DICT]
            ],
            "filled_times": [time.isoformat() for time in self.filled_times[:LISTED_IN_DICT]],
            "notes": list(self.notes),
        }

    def summary(self) -> str:
        """One line for a person."""
        facts = [
            _count(len(self.filled_times), "bar", "filled from the bar before"),
            _count(self.inserted_bars, "of them", "had no row", plural="of them"),
            _count(self.zero_prices, "zero price", "taken as missing"),
            _count(len(self.cells), "cell", "not a number"),
            _count(self.missing_volumes, "volume", "missing, now 0"),
        ]
        told = ", ".join(fact for fact in facts if fact)
        return f"{self.bars:,} bars; {told or 'nothing had to be repaired'}"


def merge(reports: Iterable[QualityReport]) -> QualityReport:
    """One report over several symbols: counts added, lists joined in order."""
    every = list(reports)
    if len(every) == 1:
        return every[0]
    return QualityReport(
        rows=sum(r.rows for r in every),
        bars=sum(r.bars for r in every),
        zero_prices=sum(r.zero_prices for r in every),
        filled_values=sum(r.filled_values for r in every),
        missing_volumes=sum(r.missing_volumes for r in every),
        inserted_bars=sum(r.inserted_bars for r in every),
        closures=sum(r.closures for r in every),
        cells=tuple(cell for r in every for cell in r.cells),
        filled_times=tuple(time for r in every for time in r.filled_times),
        notes=tuple(note for r in every for note in r.notes),
    )


def _count(number: int, one: str, what: str, *, plural: str = "") -> str:
    if not number:
        return ""
    return f"{number:,} {one if number == 1 else plural or one + 's'} {what}"
