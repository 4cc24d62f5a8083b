"""The account, watched: what a snapshot says, when an alarm goes off, and where snapshots go."""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import store
from brokers.account import Alarm, snapshot
from brokers.risk import Account
from core.config.account import AccountSettings
from core.config.schema import LogSettings
from core.errors import StoreError, UserError
from core.telemetry import close_logging, configure_logging
from live.monitor import AccountMonitor, metrics_served
from store import Store

START = datetime(2024, 1, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cash", "held", "figures"),
    [
        ("1000", {}, {"equity": 1000, "gross": 0, "net": 0, "leverage": 0, "margin_use": 0, "positions": 0}),
        (
            "500",
            {"A": "5"},
            {"equity": 1000, "long": 500, "gross": 500, "net": 500, "leverage": 0.5, "margin": 125},
        ),
        ("1500", {"A": "-5"}, {"equity": 1000, "short": 500, "gross": 500, "net": -500, "leverage": 0.5}),
        ("-500", {"A": "20", "B": "-10"}, {"equity": 1000, "gross": 2500, "net": 1500, "margin_use": 0.625}),
        ("-500", {"A": "5"}, {"equity": 0, "gross": 500, "leverage": float("inf"), "drawdown": 1}),
        ("900", {"A": "0"}, {"equity": 900, "positions": 0, "drawdown": 0.1}),
    ],
)
def test_a_snapshot(cash: str, held: dict[str, str], figures: dict[str, float]) -> None:
    """L23: A costs 100, B 50; equity has been 1,000."""
    prices = {"A": Decimal(100), "B": Decimal(50)}
    account = Account(Decimal(cash), {symbol: Decimal(size) for symbol, size in held.items()}, prices=prices)
    taken = snapshot(START, account, peak=Decimal(1000), maintenance=Decimal("0.25")).figures()
    assert {name: taken[name] for name in figures} == pytest.approx(figures)


@pytest.mark.parametrize(
    ("alarm", "values", "on"),
    [
        (Alarm("leverage", 2.0), [1.9, 2.0, 1.9, 1.81, 2.1, 1.8, 1.9, 2.0], [0, 1, 1, 1, 1, 0, 0, 1]),
        (Alarm("equity", 100.0, below=True), [101, 100, 105, 109, 110, 101, 99], [0, 1, 1, 1, 0, 0, 1]),
        (Alarm("drawdown", 0.1, hysteresis=0.5), [0.1, float("nan"), 0.06, 0.05], [1, 1, 1, 0]),
    ],
)
def test_an_alarm_does_not_flicker(alarm: Alarm, values: list[float], on: list[int]) -> None:
    """L23"""
    seen = []
    for value in values:
        alarm = alarm.seen(value)
        seen.append(int(alarm.on))
    assert seen == on


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Store]:
    with store.open_store(f"sqlite:///{tmp_path}/runs.db") as opened:
        opened.runs.create("run", bot="b", strategy="s", started=START)
        configure_logging(LogSettings(console="off"), run_dir=tmp_path)
        yield opened
    close_logging()


def told(folder: Path, event: str) -> list[dict[str, object]]:
    close_logging()
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def watch(monitor: AccountMonitor, equities: list[int]) -> None:
    for number, equity in enumerate(equities):
        monitor.take(START + timedelta(minutes=number), Account(Decimal(equity)))


FALL = [1000, 850, 849, 900, 960, 840]


def test_one_alert_a_crossing_and_every_snapshot_is_kept(database: Store, tmp_path: Path) -> None:
    """L23: to log, store and gauge."""
    settings = AccountSettings(alert_drawdown=0.15, hysteresis=0.5)
    watch(AccountMonitor(settings, "b", database.metrics("run")), FALL)
    assert [point for _, point in database.metrics("run").series("account.equity")] == FALL
    assert database.metrics("run").series("account.drawdown")[1][1] == pytest.approx(0.15)
    assert len(told(tmp_path, "account.snapshot")) == len(FALL)
    alerts = told(tmp_path, "account.alert")
    assert [(each["figure"], each["level"]) for each in alerts] == [("drawdown", "warning")] * 2
    assert len(told(tmp_path, "account.alert_over")) == 1


def test_what_is_repeated_is_not_told_again_but_counts(database: Store, tmp_path: Path) -> None:
    """L23: the highest equity of before still measures the drawdown."""
    repeating = [True, False]
    monitor = AccountMonitor(
        AccountSettings(alert_drawdown=0.15), "b", database.metrics("run"), quiet=lambda: repeating[0]
    )
    watch(monitor, [1000, 990])
    repeating.pop(0)
    monitor.take(START + timedelta(minutes=5), Account(Decimal(850)))
    assert len(told(tmp_path, "account.snapshot")) == 1
    assert len(told(tmp_path, "account.alert")) == 1


class Failing:
    """A store that cannot be written to."""

    def __init__(self) -> None:
        self.asked = 0

    def record_all(self, values: dict[str, float], time: datetime) -> None:
        self.asked += 1
        raise StoreError("the disk is full")


def test_a_store_that_fails_is_left_alone_and_nothing_else_stops(database: Store, tmp_path: Path) -> None:
    """L23: the session goes on, snapshots go to the log, alerts are raised."""
    failing = Failing()
    watch(AccountMonitor(AccountSettings(alert_drawdown=0.15), "b", failing), FALL)  # type: ignore[arg-type]
    assert failing.asked == 1
    assert len(told(tmp_path, "account.snapshot")) == len(FALL)
    assert told(tmp_path, "account.alert")


def test_a_replay_at_full_speed_only_alerts(database: Store, tmp_path: Path) -> None:
    watch(AccountMonitor(AccountSettings(alert_equity=900), "b", database.metrics("run"), emits=False), FALL)
    assert not database.metrics("run").names()
    assert not told(tmp_path, "account.snapshot")
    assert len(told(tmp_path, "account.alert")) == 1


def test_gauges_are_served(database: Store) -> None:
    """L23: over a socket, as Prometheus reads them; the port is free again afterwards."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    watch(AccountMonitor(AccountSettings(), "gauged", database.metrics("run")), [1000, 850])
    for _ in range(2):
        with metrics_served(port):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            with pytest.raises(UserError, match="cannot be listened on"), metrics_served(port):
                pass
    assert 'tradewright_account_equity{bot="gauged"} 850.0' in text
    assert 'tradewright_account_drawdown{bot="gauged"} 0.15' in text
