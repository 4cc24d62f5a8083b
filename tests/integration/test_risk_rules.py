"""Compliance and portfolio limits in sessions: by configuration, over runs, in replays and at simulated venues."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import store
from core.types import Side
from tests.integration.test_live_run import session
from tests.integration.test_live_venues import ROUND_TRIPS, TRADED

ONCE = """
import backtrader as bt


class Once(bt.Strategy):
    params = (("side", 1), ("size", 100), ("at", 2), ("out", 5))

    def next(self):
        if len(self) == self.p.at:
            self.buy(size=self.p.size) if self.p.side > 0 else self.sell(size=self.p.size)
        elif len(self) == self.p.out:
            self.close()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A strategy that trades once, and one-minute markets of three days."""
    (tmp_path / "once.py").write_text(ONCE)
    falling = [100.0, 100.0, 100.0, *[90.0] * 5]
    flat = [90.0] * 8
    days = {"monday": "2024-01-08", "tuesday": "2024-01-09", "friday": "2024-01-12", "later": "2024-02-20"}
    for name, day in days.items():
        prices = falling if name == "monday" else flat
        session(day, 15, prices).assign(symbol="GOOG").to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def run(forked: Any, folder: Path, market: str, *arguments: str) -> tuple[list[str], str]:
    """Sizes of the fills, and the reason of the first refusal."""
    settings = [part for each in arguments for part in ("--set", each)]
    done = forked(folder, "once.py:Once", "--data", f"csv:{market}.csv", *settings)
    assert done.code == 0, done.stderr
    lines = [line for line in done.lines if line.startswith("2024-")]
    refused = [line.partition("refused: ")[2] for line in lines if "refused" in line]
    return [line for line in lines if "refused" not in line], (refused or [""])[0]


def test_a_loss_is_remembered_by_later_runs(forked: Any, folder: Path) -> None:
    """L22: from the journals of the bot's earlier runs; another bot, another time and a gain are something else."""
    wash = "risk.compliance.wash_sale=block"
    assert len(run(forked, folder, "monday", wash)[0]) == 2
    fills, reason = run(forked, folder, "friday", wash)
    assert not fills
    assert "wash sale: GOOG was closed at a loss on 2024-01-08" in reason
    assert run(forked, folder, "friday", wash, "live.bot=other")[1] == ""
    assert run(forked, folder, "later", wash)[1] == ""
    assert run(forked, folder, "friday")[1] == "", "off by default"


def test_day_trades_are_counted_over_runs(forked: Any, folder: Path) -> None:
    """L22: three in a week, of three runs; the fourth could only be refused at its entry."""
    rule = ("risk.compliance.pattern_day_trader=true", "broker.cash=20000")
    for market in ("monday", "tuesday"):
        assert len(run(forked, folder, market, *rule, "risk.compliance.day_trades=2")[0]) == 2
    fills, reason = run(forked, folder, "friday", *rule, "risk.compliance.day_trades=2")
    assert not fills
    assert "2 day trades in 5 business days" in reason
    assert len(run(forked, folder, "friday", *rule, "risk.compliance.day_trades=3")[0]) == 2


def test_risk_off_is_carried_to_the_next_run(forked: Any, folder: Path) -> None:
    """L24: with its state; an earlier market begins anew."""
    limits = ("risk.portfolio.risk_off_drawdown=0.01", "broker.cash=20000")
    assert len(run(forked, folder, "monday", *limits)[0]) == 2
    fills, reason = run(forked, folder, "friday", *limits)
    assert not fills
    assert "(risk_off) leaves 0 of an entry" in reason
    assert len(run(forked, folder, "monday", *limits)[0]) == 2


def test_limits_and_lists_of_a_file(forked: Any, folder: Path) -> None:
    """L22, L24: tables within tables; a mistake is a line with the fix."""
    (folder / "tradewright.toml").write_text(
        '[risk]\noversize = "clip"\n[risk.portfolio]\nmax_gross_exposure = 0.05\n[risk.compliance]\nshort_sales = "forbid"\n'
    )
    fills, _ = run(forked, folder, "monday")
    assert [line.split()[3] for line in fills] == ["50", "50"]
    assert run(forked, folder, "tuesday", "strategy.params.side=-1")[1] == "short sales are forbidden here"
    (folder / "tradewright.toml").write_text('[risk.complianc]\nshort_sales = "forbid"\n')
    done = forked(folder, "once.py:Once", "--data", "csv:monday.csv")
    assert done.code == 2
    assert len(done.stderr.splitlines()) == 1


WATCHED = ("live.account.seconds=0.1", "live.account.alert_leverage=0.00001", "live.account.hysteresis=0.5")


@pytest.mark.parametrize(("venue", "most"), [("binance", 0.0002), ("ibkr", 0.01)])
def test_at_a_simulated_venue(forked: Any, tmp_path: Path, venue: str, most: float) -> None:
    """L22 to L24: entries are cut to what the portfolio may hold, exits are not; the account is watched meanwhile."""
    (tmp_path / "s.py").write_text(ROUND_TRIPS)
    size = TRADED[venue][1]
    given = ("risk.oversize=clip", f"risk.portfolio.max_concentration={most}", *WATCHED)
    settings = [part for each in given for part in ("--set", each)]
    arguments = ("--rehearse", venue, "--bars", "8", "--speed", "120", "--json", *settings)
    done = forked(tmp_path, "s.py:RoundTrips", "--param", f"size={size}", *arguments)
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["rehearsal"]["invariants"] == "held"
    with store.open_store(f"sqlite:///{tmp_path}/runs/tradewright.db") as database:
        orders = database.journal(document["run"]).orders()
        equity = database.metrics(document["run"]).series("account.equity")
        leverage = database.metrics(document["run"]).series("account.leverage")
    filled = [each.intent for each in orders if each.standing.filled]
    assert {each.side for each in filled} == {Side.BUY, Side.SELL}
    assert all(each.size < Decimal(size) for each in filled), "exits too: no more was there"
    check_watched(tmp_path / document["folder"], 8, equity, [value for _, value in leverage], most)


def test_on_paper(forked: Any, folder: Path) -> None:
    """L23: a replay that takes its time is watched as a venue is."""
    settings = [part for each in WATCHED for part in ("--set", each)]
    done = forked(folder, "once.py:Once", "--data", "csv:monday.csv", "--speed", "600", "--json", *settings)
    assert done.code == 0, done.stderr
    document = json.loads(done.stdout)
    with store.open_store(f"sqlite:///{folder}/runs/tradewright.db") as database:
        equity = database.metrics(document["run"]).series("account.equity")
        leverage = database.metrics(document["run"]).series("account.leverage")
    check_watched(folder / document["folder"], 8, equity, [value for _, value in leverage], 0.1)


def check_watched(folder: Path, bars: int, equity: list[Any], leverage: list[float], most: float) -> None:
    """More snapshots than bars, each in log and store; an alert a crossing; leverage as limited."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    told = [each["event"] for each in events if each["logger"] == "live.account"]
    assert len(equity) > bars, "by the clock as well"
    assert told.count("account.snapshot") >= len(equity)
    assert all(value > 0 for _, value in equity)
    assert 0 < max(leverage) <= most * 1.2
    assert min(leverage) == 0
    assert 1 <= told.count("account.alert") < told.count("account.snapshot") / 2
    assert 0 <= told.count("account.alert") - told.count("account.alert_over") <= 1
