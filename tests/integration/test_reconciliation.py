"""A trade by hand on the account of a running session: it is noticed by the clock, entries stop, exits do not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import store
from core.types import Side
from tests.integration.test_live_run import Reader
from tests.integration.test_outage import HIGH, LOW, PATIENCE_SECONDS, TRADED, market

BARE = """
import backtrader as bt


class Bare(bt.Strategy):
    params = (("size", 1.0),)

    def next(self):
        close = self.data.close[0]
        if close > 105 and not self.position and not self.broker.pending:
            self.buy(size=self.p.size)
        elif close < 95 and self.position and not self.broker.pending:
            self.close()
"""
"""Nothing rests at the exchange, so that what is held can be sold by hand."""
BY_HAND = {"binance": ("0.2", "0.3"), "ibkr": ("4", "4")}
"""What is sold and bought again; Binance takes a part of what is bought."""


@pytest.mark.parametrize("venue", ["binance", "ibkr"])
def test_a_trade_by_hand_stops_entries_and_no_exits(spawned: Any, tmp_path: Path, venue: str) -> None:
    symbol, native, size = TRADED[venue]
    (tmp_path / "s.py").write_text(BARE)
    begin = ("--broker", venue, "--symbols", symbol, "--param", f"size={size}", "--timeframe", "1m")
    sold, bought = BY_HAND[venue]
    with market(venue) as (sim, minutes, environment):
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        session = spawned(
            tmp_path, "-m", "live.run", "s.py:Bare", *begin, "--set", "live.reconcile_seconds=0.5"
        )
        reader = Reader(session)
        reader.until("SIMULATED")
        minutes.price = HIGH
        reader.until("buy .* commission")
        sim.control.trade(sim.account, native, Side.SELL, sold)
        said_once = Reader(session, errors=True).until("reconciliation.differs")
        assert "critical" in said_once
        (run,) = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
        sim.control.trade(sim.account, native, Side.BUY, bought)
        minutes.price = LOW
        reader.until("sell .* commission")
        minutes.price = HIGH
        reader.until("refused: journal and venue differ")
        os.kill(session.pid, signal.SIGINT)
        output, errors = session.communicate(timeout=PATIENCE_SECONDS)
        assert session.returncode == 0, errors
        assert "journal and venue differed: " in output
        assert "reconciliation.differs" not in errors
    with store.open_store(f"sqlite:///{tmp_path}/runs/tradewright.db") as database:
        (said,) = database.journal(run.name).risk()["reconciliation"]["differences"]
    what = "balance of BTC" if venue == "binance" else "position in AAPL"
    assert said.startswith(f"{what}: the journal says ")
