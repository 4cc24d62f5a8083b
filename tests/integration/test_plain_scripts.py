"""Plain scripts with a stock `bt.Cerebro` that take only our data, broker, analyzer or sizer: B29."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

import analyzers
import brokers
import feeds
from core.errors import StrategyError
from engine.realistic import RealisticBroker
from strategies.sizers import PercentSizer

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SECONDS = 120
"""For a script of a few seconds, on a machine that is busy."""


def script(
    folder: Path, *argv: str, kill_at: int = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Python script in `folder`; `kill_at` is for KILLS_ITSELF."""
    return subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KILL_AT": str(kill_at), **(env or {})},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


class Busy(bt.Strategy):
    """Market orders by a sizer, brackets, cancels, an order beyond the cash."""

    def __init__(self) -> None:
        self.cross = bt.indicators.CrossOver(bt.indicators.SMA(period=5), bt.indicators.SMA(period=12))
        self.resting: Any = None
        self.told: list[tuple[object, ...]] = []

    def next(self) -> None:
        close = self.data.close[0]
        if self.cross > 0:
            self.buy()
        elif self.cross < 0:
            self.close()
        if len(self) % 40 == 0:
            self.buy_bracket(
                size=5, exectype=bt.Order.Market, stopprice=close * 0.97, limitprice=close * 1.04
            )
        if len(self) % 30 == 5:
            self.resting = self.buy(size=2, exectype=bt.Order.Limit, price=close * 0.9, valid=None)
        if len(self) % 30 == 12 and self.resting:
            self.cancel(self.resting)
        if len(self) % 50 == 7:
            self.buy(size=10_000)

    def notify_order(self, order: Any) -> None:
        done = order.executed
        self.told.append((len(self), order.Status[order.status], done.size, done.price, done.comm, done.pnl))


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return feeds.load("sample:goog", end="2005-12-31").frames["GOOG"]


def outcome(broker: Any, data: Any, **how: Any) -> tuple[Any, ...]:
    """Everything a stock Cerebro came to, on this broker and data."""
    cerebro = bt.Cerebro(**how)
    broker.setcommission(commission=0.001)
    cerebro.setbroker(broker)
    cerebro.adddata(data, name="GOOG")
    cerebro.addstrategy(Busy)
    cerebro.addsizer(PercentSizer, fraction=0.6)
    cerebro.addanalyzer(analyzers.Metrics, _name="metrics")
    (ran,) = cerebro.run()
    metrics = ran.analyzers.metrics.get_analysis()
    return broker.getvalue(), broker.getcash(), ran.told, {k: v for k, v in metrics.items() if v == v}


def history(bars: pd.DataFrame) -> Any:
    return bt.feeds.PandasData(dataname=bars.tz_localize(None))


@pytest.fixture(scope="module")
def stock(bars: pd.DataFrame) -> tuple[Any, ...]:
    """What Backtrader's own broker makes of it."""
    broker = bt.brokers.BackBroker()
    broker.setcash(50_000)
    found = outcome(broker, history(bars))
    assert {"Completed", "Canceled", "Margin"} <= {status for _, status, *_ in found[2]}
    assert found[3]["trades"] > 5
    return found


@pytest.mark.parametrize(
    "how", [{}, {"runonce": False}, {"preload": False, "runonce": False}, {"exactbars": True}]
)
def test_paper_broker_equals_the_stock_broker(
    bars: pd.DataFrame, stock: tuple[Any, ...], how: dict[str, Any]
) -> None:
    """B29: to the last bit, preloaded and vectorised or bar by bar."""
    assert outcome(brokers.PaperBroker(cash=50_000), history(bars), **how) == stock


def test_paper_broker_charges_what_a_backtest_is_charged(bars: pd.DataFrame, stock: tuple[Any, ...]) -> None:
    """B14, B29: `RealisticBroker` and `PaperBroker` in a plain script, under the same costs."""
    costs = brokers.Costs(spread=0.001, volume_share=0.00002, latency=1, borrow=0.05)
    backtested = RealisticBroker(costs=costs)
    backtested.setcash(50_000)
    charged = outcome(backtested, history(bars))
    assert charged != stock
    assert outcome(brokers.PaperBroker(cash=50_000, costs=costs), history(bars)) == charged


def test_live_data_equals_history(bars: pd.DataFrame, stock: tuple[Any, ...]) -> None:
    """B29: our data with our broker, and with the stock broker."""
    replay = feeds.LiveData(source=feeds.Replay("GOOG", bars))
    assert outcome(brokers.PaperBroker(cash=50_000), replay) == stock
    broker = bt.brokers.BackBroker()
    broker.setcash(50_000)
    assert outcome(broker, feeds.LiveData(source=feeds.Replay("GOOG", bars))) == stock


def test_a_finished_file_gives_the_same_again(
    bars: pd.DataFrame, stock: tuple[Any, ...], tmp_path: Path
) -> None:
    for _ in range(2):
        assert outcome(brokers.PaperBroker(cash=50_000, file=tmp_path / "a.db"), history(bars)) == stock


def test_commission_the_venue_cannot_charge(bars: pd.DataFrame) -> None:
    broker = brokers.PaperBroker(cash=50_000)
    broker.setcommission(commission=2.0, margin=1000.0)
    cerebro = bt.Cerebro()
    cerebro.setbroker(broker)
    cerebro.adddata(history(bars), name="GOOG")
    cerebro.addstrategy(bt.Strategy)
    with pytest.raises(StrategyError, match="fraction of the value traded"):
        cerebro.run()


@pytest.mark.parametrize("name", ["paper_broker.py", "live_feed.py"])
def test_example_scripts_run(tmp_path: Path, name: str) -> None:
    """B29: as they stand, with no network, and nothing left behind."""
    done = script(tmp_path, str(EXAMPLES / name), env={"HTTPS_PROXY": "http://127.0.0.1:1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("account ")
    assert len(done.stdout.splitlines()) > 2
    assert not list(tmp_path.iterdir())


def test_the_example_strategy_backtests(tmp_path: Path) -> None:
    """B29: a strategy that knows nothing of us, by the one call."""
    from engine import backtest

    result = backtest(f"{EXAMPLES / 'crossover.py'}:Crossover", "sample:goog")
    assert len(result.trades) > 5


KILLS_ITSELF = """
import os, runpy, signal, sys

from brokers.paper import PaperVenue

made, kill_at = 0, int(os.environ["KILL_AT"])
submit = PaperVenue.submit

async def counted(self, intent):
    global made
    made += 1
    answer = None
    if made != kill_at or kill_at % 2:  # die before the venue has the order, or just after
        answer = await submit(self, intent)
    if made == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

PaperVenue.submit = counted
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_killed_and_started_again_with_the_same_file(tmp_path: Path) -> None:
    """B29, L25: twice killed, around the sending of an order; the account ends as if undisturbed."""
    (tmp_path / "killed.py").write_text(KILLS_ITSELF)
    example = str(EXAMPLES / "paper_broker.py")
    undisturbed = script(tmp_path, example, "calm.db")
    assert undisturbed.returncode == 0, undisturbed.stderr
    for kill_at in (5, 8):
        killed = script(tmp_path, "killed.py", example, "account.db", kill_at=kill_at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = script(tmp_path, example, "account.db")
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == undisturbed.stdout


def test_a_failing_strategy_fails_alone(tmp_path: Path) -> None:
    """Backtrader does not stop its broker then; the session ends all the same, without noise."""
    source = (EXAMPLES / "paper_broker.py").read_text()
    (tmp_path / "fails.py").write_text(source.replace("def next(self):", "def next(self):\n        1 / 0"))
    done = script(tmp_path, "fails.py")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("ZeroDivisionError: division by zero")
