"""What a run holds, and what it measured over time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, select

from core.types import Position
from store.database import Database
from store.models import Metric, PositionRow
from store.prepared import Prepared, upsert
from store.rows import table

_POSITIONS, _METRICS = table(PositionRow), table(Metric)
_HELD = select(_POSITIONS).where(_POSITIONS.c.run_id == bindparam("run_id")).order_by(_POSITIONS.c.symbol)
_FLAT = Prepared(
    delete(_POSITIONS).where(
        _POSITIONS.c.run_id == bindparam("run_id"), _POSITIONS.c.symbol == bindparam("symbol")
    )
)
_KEEP = Prepared(lambda dialect: upsert(_POSITIONS, ("size", "price", "time"), dialect))
_POINTS = (
    select(_METRICS.c.time, _METRICS.c.value)
    .where(_METRICS.c.run_id == bindparam("run_id"), _METRICS.c.name == bindparam("name"))
    .order_by(_METRICS.c.time)
)
_NAMES = (
    select(_METRICS.c.name)
    .where(_METRICS.c.run_id == bindparam("run_id"))
    .distinct()
    .order_by(_METRICS.c.name)
)


class PositionRepository:
    """What one run holds, by symbol."""

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self.run_id = run_id

    def save(self, position: Position, *, time: datetime) -> None:
        """Keep the position as of `time`; a flat one is removed."""
        key = {"run_id": self.run_id, "symbol": position.symbol}
        if position.size == 0:
            self._database.write(_FLAT, key)
            return
        self._database.write(_KEEP, key | {"size": position.size, "price": position.price, "time": time})

    def all(self) -> dict[str, Position]:
        """What is held, by symbol; flat symbols are absent."""
        found = self._database.rows(_HELD, {"run_id": self.run_id})
        return {row["symbol"]: Position(row["symbol"], row["size"], row["price"]) for row in found}

    def get(self, symbol: str) -> Position | None:
        """What is held of one symbol, or None."""
        return self.all().get(symbol)


class MetricRepository:
    """Series of one run by name: equity, cash and whatever else has a value at a time."""

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self.run_id = run_id

    def record(self, name: str, points: Iterable[tuple[datetime, float]]) -> None:
        """Keep the points, in one commit; one at the same time is replaced. NaN is kept as NaN."""
        self._write([(name, time, value) for time, value in points])

    def record_all(self, values: Mapping[str, float], time: datetime) -> None:
        """Keep a point of each of several series, in one commit."""
        self._write([(name, time, value) for name, value in values.items()])

    def _write(self, points: Sequence[tuple[str, datetime, float]]) -> None:
        rows = [
            {"run_id": self.run_id, "name": name, "time": time, "value": None if math.isnan(value) else value}
            for name, time, value in points
        ]
        if rows:
            self._database.write(self._database.upsert(_METRICS, ("value",)), rows)

    def series(self, name: str) -> list[tuple[datetime, float]]:
        """The points in order of time; empty when nothing of that name was recorded."""
        found = self._database.rows(_POINTS, {"run_id": self.run_id, "name": name})
        return [(row["time"], math.nan if row["value"] is None else row["value"]) for row in found]

    def names(self) -> list[str]:
        """What has been recorded."""
        return [row["name"] for row in self._database.rows(_NAMES, {"run_id": self.run_id})]
