"""The choice of engine, with stand-ins for the compiled one: E1, E3."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import engine.compiled.running
import engine.lean
from core.errors import StrategyError, UserError
from engine import backtest, choose, verdicts
from engine.refusal import Refused
from engine.verdicts import recall

RUN_LEAN = engine.lean.run


def market(bars: int = 300, seed: int = 4) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, bars)))
    index = pd.date_range("2020-01-01", periods=bars, freq="1D", tz="UTC", name="time")
    prices = {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}
    return pd.DataFrame(prices, index=index).assign(volume=100.0)


class Swing(bt.Strategy):
    params = (("fails_on", 0), ("first", 0))

    def next(self) -> None:
        if len(self) == self.p.fails_on:
            raise ValueError("no such luck")
        if len(self) >= self.p.first and len(self) % 7 == 0:
            if self.position:
                self.close()
            else:
                self.buy()


@dataclass
class Compiled:
    """Stands in for the compiled engine; what it answers comes from lean."""

    key: str = "k1"
    ready: bool = True
    refusal: Refused | None = None
    change: Callable[[Any], Any] = lambda recording: recording
    runs: list[int] = field(default_factory=list)

    def run(self, *, admit: Callable[[str, bool], None] | None = None, **task: Any) -> Any:
        if self.refusal is not None:
            raise self.refusal
        if admit is not None:
            admit(self.key, self.ready)
        if task["params"]["fails_on"]:
            raise Refused("ends in an exception")
        self.runs.append(len(next(iter(task["frames"].values()))))
        return self.change(RUN_LEAN(**task))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Compiled:
    stand_in = Compiled()
    monkeypatch.setattr(engine.compiled.running, "run", stand_in.run)
    monkeypatch.setenv("TRADEWRIGHT_KERNELS", str(tmp_path))
    return stand_in


def refuse_lean(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(**task: Any) -> Any:
        raise Refused("a reason", file="there.py", line=7)

    monkeypatch.setattr(engine.lean, "run", run)


def test_the_fastest_that_can_runs_it(compiled: Compiled) -> None:
    result = backtest(Swing, market())
    assert (result.engine, result.notes) == ("compiled", ())
    assert "all of the strategy compiles" in result.engine_reason


def test_a_refusal_is_passed_on_with_its_place(compiled: Compiled, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled.refusal = Refused("calls an unknown function: requests.get", file="mine.py", line=12)
    result = backtest(Swing, market())
    assert result.engine == "lean"
    assert result.engine_reason == "not compiled: mine.py:12: calls an unknown function: requests.get"
    refuse_lean(monkeypatch)
    result = backtest(Swing, market())
    assert result.engine == "cerebro"
    assert result.engine_reason.endswith("requests.get; not lean: there.py:7: a reason")


def test_an_engine_asked_for_by_name_that_refuses_says_what_can(compiled: Compiled) -> None:
    compiled.refusal = Refused("a reason", file="mine.py", line=12)
    with pytest.raises(UserError, match=r"compiled engine cannot run Swing: mine.py:12: a reason; .*cerebro"):
        backtest(Swing, market(), engine="compiled")


@pytest.mark.parametrize("name", ["lean", "cerebro"])
def test_an_engine_asked_for_by_name(compiled: Compiled, name: str) -> None:
    result = backtest(Swing, market(), engine=name)
    assert (result.engine, result.engine_reason) == (name, "asked for by name")
    assert compiled.runs == []


def test_the_first_run_of_a_kernel_is_checked_once(compiled: Compiled) -> None:
    for _ in range(2):
        backtest(Swing, market(1_000))
    assert compiled.runs == [500, 1_000, 1_000]
    verdicts._known.clear()  # another process
    backtest(Swing, market(1_000))
    assert compiled.runs == [500, 1_000, 1_000, 1_000]
    compiled.key = "k2"
    backtest(Swing, market(1_000))
    assert compiled.runs[-2:] == [500, 1_000]


def test_the_check_goes_on_until_there_is_an_order(compiled: Compiled) -> None:
    backtest(Swing, market(3_000), {"first": 1_500})
    assert compiled.runs == [500, 2_000, 3_000]


def test_a_difference_falls_back_loudly(compiled: Compiled) -> None:
    def wrong(recording: Any) -> Any:
        equity = recording.equity.copy()
        equity.iloc[20] += 0.25
        return replace(recording, equity=equity)

    compiled.change = wrong
    for _ in range(2):
        result = backtest(Swing, market())
        assert result.engine == "lean"
        assert "differed from lean: equity" in result.engine_reason
        assert any("compiled engine was left out" in note for note in result.notes)
    assert len(compiled.runs) == 1


def test_a_small_cold_run_does_not_compile_until_it_pays(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled.ready = False
    result = backtest(Swing, market())
    assert result.engine == "lean"
    assert "compiling takes about 2 s, once" in result.engine_reason
    assert compiled.runs == []
    assert recall("k1").spent > 0.0
    verdicts.add_spent("k1", 2.0)
    assert backtest(Swing, market()).engine == "compiled"
    compiled.key = "k3"
    monkeypatch.setattr(choose, "LEAN_BARS_A_SECOND", 100)  # 300 bars would take lean three seconds
    assert backtest(Swing, market()).engine == "compiled"


def test_a_small_run_does_not_translate_what_takes_long(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts.set_seconds_to_translate(Swing, 0.2)  # too short to be remembered
    assert backtest(Swing, market()).engine == "compiled"
    verdicts.set_seconds_to_translate(Swing, 3.0)
    verdicts._known.clear()  # another process
    before = len(compiled.runs)
    result = backtest(Swing, market())
    assert (result.engine, len(compiled.runs)) == ("lean", before)
    assert "translating takes about 3 s, in every process, and lean about 0.0" in result.engine_reason
    assert backtest(Swing, market(), engine="compiled").engine == "compiled"
    monkeypatch.setattr(choose, "LEAN_BARS_A_SECOND", 100)  # 300 bars would take lean three seconds
    assert backtest(Swing, market()).engine == "compiled"


@pytest.mark.parametrize("engine", ["auto", "compiled", "lean", "cerebro"])
def test_a_failing_strategy_fails_the_same_on_every_engine(compiled: Compiled, engine: str) -> None:
    """A kernel that meets an exception refuses; the run is repeated where the exception appears as it should."""
    with pytest.raises(
        StrategyError, match=r"Swing failed at .*test_choose.py:\d+ on the bar of 2020-01-09"
    ) as caught:
        backtest(Swing, market(), {"fails_on": 9}, engine=engine)
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_cache_that_cannot_be_written_is_no_failure(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWRIGHT_KERNELS", "/proc/none")
    assert backtest(Swing, market()).engine == "compiled"


def test_the_first_difference_is_found_to_the_last_bit() -> None:
    first = choose.execute(
        choose.Task(Swing, {}, {"A": market()}, bt.brokers.BackBroker()), "cerebro"
    ).recording
    second = choose.execute(
        choose.Task(Swing, {}, {"A": market()}, bt.brokers.BackBroker()), "cerebro"
    ).recording
    assert choose.first_difference(first, second) == ""
    fills = second.fills.copy()
    fills.loc[3, "price"] = np.nextafter(fills.loc[3, "price"], np.inf)
    assert "in row 4 of fills" in choose.first_difference(first, replace(second, fills=fills))
    assert "orders" in choose.first_difference(first, replace(second, orders=second.orders.iloc[:-1]))
    cash = second.cash.copy()
    cash.iloc[-1] = np.nan
    assert choose.first_difference(first, replace(second, cash=cash)).startswith("cash ")
