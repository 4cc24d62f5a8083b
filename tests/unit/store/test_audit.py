"""L29: the chain of an order, from a journal made by hand, and the command that prints it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.cli import run_command
from core.types import (
    Attempt,
    EventKind,
    Fill,
    OrderEvent,
    OrderIntent,
    OrderStatus,
    OrderType,
    Side,
)
from store import Store, open_store
from store.audit import main, parser
from store.chains import Chain, Logged, read_chains, trades_of
from store.spool import SPOOL_FILE, Spool
from store.trades import TradeRecord

BAR = datetime(2024, 3, 4, 21, tzinfo=UTC)
D = Decimal
ENTRY = OrderIntent(
    "entry", "GOOG", Side.BUY, OrderType.MARKET, D(10), D("101.5"), BAR, 0, strategy="momentum"
)
TRAIL = replace(
    ENTRY, client_id="trail", side=Side.SELL, type=OrderType.STOP_TRAIL, price=D(95), trail_amount=D(5), leg=1
)
TOO_MUCH = replace(ENTRY, client_id="too-much", size=D(9999), leg=2)


def at(seconds: int) -> datetime:
    return BAR + timedelta(seconds=seconds)


def fill(client_id: str, number: int, side: Side, size: str, price: str) -> Fill:
    return Fill(f"{client_id}-{number}", client_id, "GOOG", side, D(size), D(price), D("0.25"), at(number))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/some folder/store.db"


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    """An entry at two prices in two parts, a trail that moved and was cancelled, an order that was refused."""
    folder = tmp_path / "run"
    folder.mkdir()
    with open_store(url) as opened:
        opened.runs.create("run", bot="bot", strategy="momentum", started=BAR, folder=str(folder))
        journal, trades = opened.journal("run"), opened.trades("run")
        sequence = iter(range(1, 100))

        def say(client_id: str, status: OrderStatus, seconds: int, step: int, **more: Any) -> None:
            event = OrderEvent(next(sequence), client_id, status, at(seconds), venue_order_id="v", **more)
            journal.append_event(event, bar=BAR, step=step)

        journal.record_intent(ENTRY, step=1)
        journal.record_attempt(Attempt("entry", 1, D(101), D(101), D(102), at(1)))
        say("entry", OrderStatus.ACCEPTED, 2, 1)
        say("entry", OrderStatus.PARTIAL, 3, 2, fill=fill("entry", 3, Side.BUY, "4", "101"))
        first = trades.open("GOOG", Side.BUY, D(4), D(101), at(3), D("0.25"))
        journal.record_attempt(Attempt("entry", 2, D(102), D("101.5"), D(102), at(4), crossing=True))
        say("entry", OrderStatus.FILLED, 5, 3, fill=fill("entry", 5, Side.BUY, "6", "102"))
        trades.add(first.id, D(6), D(102), D("0.25"))
        journal.record_intent(TRAIL, step=4)
        say("trail", OrderStatus.ACCEPTED, 6, 4)
        say("trail", OrderStatus.ACCEPTED, 7, 5, kind=EventKind.TRAIL, trigger=D(97))
        journal.save_stop("trail", "GOOG", D(97), None, D(102), 5)
        journal.record_cancel("trail", step=6)
        say("trail", OrderStatus.CANCELLED, 8, 6)
        journal.record_intent(TOO_MUCH, step=7)
        journal.record_rejection("too-much", "cash: 9999 exceeds 100", bar=BAR, step=7)
        yield opened


def whats(chain: Chain) -> list[str]:
    return [link.what for link in chain.links]


def test_links_in_their_order(store: Store) -> None:
    entry, trail, refused = read_chains(store.database, "run", {"entry": Logged(at(0), D(12))})
    assert whats(entry) == [
        "decision", "clipped", "intent", "attempt", "accepted", "partial", "attempt", "filled", "trade",
    ]  # fmt: skip
    assert entry.links[1].facts == {"from": D(12), "to": D(10)}
    assert [link.time for link in entry.links[:8]] == [BAR, BAR, at(0), *map(at, range(1, 6))]
    assert [link.turn for link in entry.links] == [1, 1, 1, None, 1, 2, None, 3, None]
    assert entry.links[5].facts["fee"] == D("0.25")
    assert entry.links[6].facts["crossing"] is True
    assert entry.links[-1].facts["status"] == "open"
    assert whats(trail) == [
        "decision",
        "intent",
        "accepted",
        "trail",
        "cancel asked",
        "cancelled",
        "stop level",
    ]
    assert trail.links[-1].facts["trigger"] == D(97)
    assert whats(refused) == ["decision", "intent", "refused"]
    assert refused.links[-1].facts["reason"] == "cash: 9999 exceeds 100"


def test_a_reversal_belongs_to_two_trades() -> None:
    trades = [
        TradeRecord(1, "GOOG", Side.BUY, D(4), D(400), BAR),
        TradeRecord(2, "GOOG", Side.SELL, D(2), D(200), BAR),
    ]
    fills = [
        fill("in", 1, Side.BUY, "4", "100"),
        fill("part", 2, Side.SELL, "1", "100"),
        fill("turn", 3, Side.SELL, "5", "100"),
        fill("out", 4, Side.BUY, "2", "100"),
    ]
    found = {order: [trade.id for trade in mine] for order, mine in trades_of(fills, trades).items()}
    assert found == {"in": [1], "part": [1], "turn": [1, 2], "out": [2]}
    assert trades_of(fills, [])["in"] == []


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        run_command(parser(), main, list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_command_on_a_run_under_way(store: Store, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", "--url", url, "--order", "trail") == 0
    out = capsys.readouterr().out
    assert "run: momentum, bot bot" in out
    assert "running" in out
    assert "cancel asked" in out
    assert "entry  buy" not in out
    assert run("run", "--url", url, "--json", "--verify") == 0
    found = document(capsys)
    assert [order["client_id"] for order in found["orders"]] == ["entry", "trail", "too-much"]
    assert found["orders"][0]["links"][0]["facts"]["close"] == "101.5"
    assert (found["spooled"], found["contradictions"]) == (0, [])


def test_an_order_that_does_not_stand_where_its_events_lead(
    store: Store, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = url.removeprefix("sqlite:///")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE orders SET status = 'accepted' WHERE client_id = 'trail'")
    connection.close()
    assert run("run", "--url", url, "--verify") == 1
    assert (
        "order trail is accepted with 0 filled, its events lead to cancelled with 0"
        in capsys.readouterr().out
    )
    assert run("run", "--url", url, "--verify", "--order", "entry") == 0


def test_what_waits_in_a_spool_is_said(
    store: Store, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = Spool(tmp_path / "run" / SPOOL_FILE)
    spool.open()
    spool.append([["record_cancel", {"client_id": "trail", "step": 9}]])
    content = spool.path.read_bytes()
    assert run("run", "--url", url) == 0
    assert "1 groups of writes wait" in capsys.readouterr().out
    assert spool.path.read_bytes() == content
    spool.clear()
    spool.close()
    assert run("run", "--url", url) == 0
    assert "wait" not in capsys.readouterr().out


def test_mistakes_are_one_line(
    store: Store, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = f"sqlite:///{tmp_path}/no/store.db"
    for arguments, said in (
        (("runn", "--url", url), "run"),
        (("run", "--url", url, "--order", "entri"), "entry"),
        (("run", "--url", nowhere), "there is no database at"),
    ):
        assert run(*arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert said in line
    assert not (tmp_path / "no").exists()
