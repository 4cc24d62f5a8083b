"""Numbers and orders that outlive the session that wrote them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from brokers.venue_log import VenueLog
from core.errors import StoreVersionError, VenueFatal
from core.types import Fill, OrderEvent, OrderStatus, Side

NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)


@dataclass
class Kept:
    client_id: str
    size: Decimal
    known: bool
    limit: Decimal | None = None


def event(number: int, status: OrderStatus = OrderStatus.FILLED) -> OrderEvent:
    fill = Fill(f"x{number}", "a", "ABC", Side.BUY, Decimal("0.1"), Decimal(100), Decimal("0.35"), NOW)
    return OrderEvent(number, "a", status, NOW, fill=fill, venue_order_id="7")


def opened(path: Path) -> VenueLog[Kept]:
    log = VenueLog(path, Kept)
    log.open()
    return log


def test_the_next_session_reads_what_was_written(tmp_path: Path) -> None:
    first = opened(tmp_path / "log.db")
    first.commit([event(1), event(2)], [("a", Kept("a", Decimal("1.50"), True))])
    first.commit([], [("a", Kept("a", Decimal(2), False, Decimal(9)))])
    first.close()
    later = opened(tmp_path / "log.db")
    assert later.events == [event(1), event(2)]
    assert later.orders == {"a": Kept("a", Decimal(2), False, Decimal(9))}
    assert later.sequence == 2


def test_a_fact_keeps_its_first_value(tmp_path: Path) -> None:
    first = opened(tmp_path / "log.db")
    assert first.fact("since", "monday") == "monday"
    first.close()
    assert opened(tmp_path / "log.db").fact("since", "friday") == "monday"
    assert VenueLog(None, Kept).fact("since", "friday") == "friday"


def test_a_number_is_given_once_and_nothing_half_written_stays(tmp_path: Path) -> None:
    ours, theirs = opened(tmp_path / "log.db"), opened(tmp_path / "log.db")
    ours.commit([event(1)], [])
    with pytest.raises(VenueFatal, match="only one session"):
        theirs.commit([event(1, OrderStatus.CANCELLED)], [("b", Kept("b", Decimal(1), True))])
    assert (theirs.events, theirs.orders) == ([], {})
    assert opened(tmp_path / "log.db").orders == {}


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.write_text("not a database, long enough to be read as one")
    with pytest.raises(VenueFatal):
        opened(path)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StoreVersionError):
        opened(newer)


def test_without_a_file_it_lives_in_memory() -> None:
    log = VenueLog(None, Kept)
    log.open()
    log.commit([event(1)], [("a", Kept("a", Decimal(1), True))])
    assert (log.sequence, list(log.orders)) == (1, ["a"])
