"""What the first run would wait for."""

from __future__ import annotations

import json

import pytest

from engine import precompile
from engine.backtest import backtest
from feeds.market import load


def test_it_compiles_and_says_how_long_it_took(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The long kernel is compiled by the tests of the main strategies.
    monkeypatch.setattr(precompile, "_sweep_momentum", lambda frames: None)
    precompile.main(precompile._parser().parse_args(["--json"]))
    assert json.loads(capsys.readouterr().out)["seconds"] > 0


def test_what_it_runs_trades_and_stops_out() -> None:
    """A run that trades nothing would compile little."""
    frames = {name: frame.iloc[: precompile.BARS] for name, frame in load("sample:goog").frames.items()}
    result = backtest(precompile.Everyday, frames, engine="lean")
    assert len(result.trades) > 3
    assert set(result.orders["type"]) == {"market", "stop"}
    assert {"completed", "filled", "cancelled"} & set(result.orders["status"])
