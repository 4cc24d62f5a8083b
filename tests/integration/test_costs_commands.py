"""Costs set in the configuration: the same figures from a backtest and from a session on paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHARGED = [
    f"--set=broker.costs.{key}"
    for key in (
        "spread=0.001",
        "slippage=0.05",
        "slippage_model=volatility",
        "volume_share=0.00005",
        "latency=1",
        "borrow=0.03",
        "margin.enabled=true",
    )
]
SHORT = ("--end", "2006-06-30", "--param", "short=true")


def test_a_backtest_and_a_paper_session_charge_the_same(forked: Any, tmp_path: Path) -> None:
    """B14, B15"""
    tested = forked(tmp_path, "momentum", *SHORT, *CHARGED, "--json", module="engine.backtest")
    traded = forked(tmp_path, "momentum", *SHORT, *CHARGED, "--json", module="live.run")
    assert (tested.code, traded.code) == (0, 0), tested.stderr + traded.stderr
    first, second = json.loads(tested.stdout), json.loads(traded.stdout)
    assert first["costs"] == second["costs"]
    assert first["metrics"] == second["metrics"]
    assert first["costs"]["slippage_paid"] > 0
    assert first["costs"]["borrow_paid"] > 0
    assert first["notes"] == second["notes"]
    assert "for want of volume" in first["notes"][-1]
    assert first["engine_reason"] == "realistic costs are charged on Cerebro alone"


def test_parity_under_costs(forked: Any, tmp_path: Path) -> None:
    """B3, B14"""
    done = forked(tmp_path, "momentum", *SHORT, *CHARGED, "--json", module="engine.parity")
    assert done.code == 0, done.stdout + done.stderr
    answers = {engine["engine"]: engine for engine in json.loads(done.stdout)["engines"]}
    assert answers["paper replay"]["identical"] is True
    assert answers["lean"]["refusal"] == "realistic costs are charged on Cerebro alone"


def test_the_table_says_what_was_charged(forked: Any, tmp_path: Path) -> None:
    done = forked(tmp_path, "momentum", *SHORT, *CHARGED, module="engine.backtest")
    assert done.code == 0, done.stderr
    assert any(line.strip().startswith("spread and slippage paid") for line in done.lines)


def test_splits_are_for_the_backtest(forked: Any, tmp_path: Path) -> None:
    """B17: raw prices with a split; a session on paper refuses, with what to do."""
    (tmp_path / "actions.csv").write_text(
        "symbol,time,ratio,amount\nGOOG,2005-06-01,2,\nGOOG,2005-07-01,,0.5\n"
    )
    actions = "--set=broker.costs.actions=actions.csv"
    tested = forked(tmp_path, "momentum", *SHORT, actions, "--json", module="engine.backtest")
    assert tested.code == 0, tested.stderr
    happened = json.loads(tested.stdout)["meta"]["costs"]["events"]
    assert [event["kind"] for event in happened] == ["split", "dividend"]
    traded = forked(tmp_path, "momentum", *SHORT, actions, module="live.run")
    assert traded.code == 2
    assert "knows no splits" in traded.stderr


def test_a_venue_charges_its_own(forked: Any, tmp_path: Path) -> None:
    done = forked(
        tmp_path, "momentum", "--rehearse", "binance", "--symbols", "BTC/USDT", *CHARGED, module="live.run"
    )
    assert done.code == 2, done.stdout + done.stderr
    assert "charged on paper alone; a venue charges its own" in done.stderr
