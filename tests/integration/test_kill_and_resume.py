"""`kill -9` at every kind of durable step of a real process, then `--resume`: the run ends as if undisturbed."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from store import RunRepository
from store.chains import read_chains
from store.snapshot import snapshot
from tests.integration.conftest import Done, Forked

HARNESS = Path(__file__).with_name("killed_run.py")
BARS = 30
POINTS = 24

STRATEGY = '''
import backtrader as bt


class Everything(bt.Strategy):
    """Brackets, cancels, trailing stops, one-cancels-other and an order beyond the cash, on a timetable."""

    def __init__(self):
        self.resting = None

    def next(self):
        close, beat = self.data.close[0], len(self) % 12
        if beat == 1:
            self.buy_bracket(size=7, exectype=bt.Order.Market, stopprice=close * 0.97, limitprice=close * 1.02)
        elif beat == 4:
            self.resting = self.buy(size=2, exectype=bt.Order.Limit, price=close * 0.9)
        elif beat == 6:
            self.cancel(self.resting)
        elif beat == 7:
            self.buy(size=3)
            self.sell(size=3, exectype=bt.Order.StopTrail, trailamount=close * 0.04)
        elif beat == 9:
            self.buy(size=10_000)
        elif beat == 10:
            stop = self.sell(size=1, exectype=bt.Order.Stop, price=close * 0.98)
            self.sell(size=1, exectype=bt.Order.Limit, price=close * 1.03, oco=stop)
        elif beat == 11:
            self.order_target_size(target=0)
'''


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a strategy file and a market file."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "everything.py").write_text(STRATEGY)
    random = np.random.default_rng(11)
    close = 100 * np.exp(np.cumsum(random.normal(0.002, 0.02, BARS)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, 0.005, BARS))
    frame = pd.DataFrame(
        {
            "date": pd.date_range("2024-01-01", periods=BARS, freq="1D").strftime("%Y-%m-%d"),
            "open": open_,
            "high": np.maximum(open_, close) * 1.01,
            "low": np.minimum(open_, close) * 0.99,
            "close": close,
            "volume": 1000,
        }
    )
    frame.to_csv(folder / "market.csv", index=False)
    return folder


class Lives:
    """Processes that trade the same run, one after the other, in a folder of their own."""

    def __init__(self, forked: Forked, market: Path, folder: Path) -> None:
        self.forked = forked
        self.market = market
        self.folder = folder
        self.record = folder / "record.json"
        folder.mkdir(exist_ok=True)

    def live(self, *arguments: str, kill_at: int = 0) -> Done:
        strategy = f"{self.market / 'everything.py'}:Everything"
        data = () if "--resume" in arguments else ("--data", f"csv:{self.market / 'market.csv'}")
        given = (str(kill_at), str(self.record), strategy, *data, *arguments)
        return self.forked(self.folder, *given, script=HARNESS)

    def recorded(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.record.read_text())
        return found


@pytest.fixture(scope="module")
def undisturbed(forked: Forked, market: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lives = Lives(forked, market, tmp_path_factory.mktemp("undisturbed"))
    done = lives.live()
    assert done.code == 0, done.stderr
    return lives.recorded()


def kill_points(steps: list[str], count: int) -> list[int]:
    """The first and last step of every kind, and others spread evenly, `count` in all."""
    chosen = {steps.index(kind) + 1 for kind in set(steps)}
    chosen |= {len(steps) - steps[::-1].index(kind) for kind in set(steps)}
    spread = np.linspace(1, len(steps), 4 * count).astype(int).tolist()
    for number in spread:
        if len(chosen) >= count:
            break
        chosen.add(int(number))
    return sorted(chosen)


def test_the_run_reaches_every_kind_of_step(undisturbed: dict[str, Any]) -> None:
    kinds = set(undisturbed["steps"])
    for stage in ("intent", "submit", "events", "cancel", "venue.submit", "venue.step", "venue.cancel"):
        assert any(kind.startswith(stage) for kind in kinds), stage
    assert undisturbed["stops"], "a trailing stop must have moved"
    assert max(changes for _, changes in undisturbed["stops"].values()) > 0


def test_sigkill_at_every_kind_of_step(
    forked: Forked, market: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """L25, L26, L9: same orders, fills, equity and stop levels; none lost, none doubled."""
    points = kill_points(undisturbed["steps"], POINTS)
    assert len(points) >= 20
    for number in points:
        where = f"killed at step {number}, {undisturbed['steps'][number - 1]}"
        lives = Lives(forked, market, tmp_path / str(number))
        killed = lives.live(kill_at=number)
        assert killed.code == -signal.SIGKILL, f"{where}: {killed.stderr}"
        resumed = lives.live("--resume")
        assert resumed.code == 0, f"{where}: {resumed.stderr}"
        found = lives.recorded()
        for what in ("orders", "fills", "equity", "stops", "client_ids", "fill_ids"):
            assert found[what] == undisturbed[what], f"{where}: {what} differ"
        assert len(set(found["client_ids"])) == len(found["client_ids"])
        assert len(set(found["fill_ids"])) == len(found["fill_ids"])


def test_an_order_killed_and_resumed_is_one_chain(
    forked: Forked, market: Path, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """L29: the intent was committed by the first process, the rest is by the second."""
    lives = Lives(forked, market, tmp_path)
    killed = lives.live(kill_at=undisturbed["steps"].index("intent.committed") + 1)
    assert killed.code == -signal.SIGKILL, killed.stderr
    ((run_id, client_id, before),) = chains(tmp_path)
    assert before == ["decision", "intent"]
    assert lives.live("--resume").code == 0
    ((_, _, after),) = [chain for chain in chains(tmp_path) if chain[:2] == (run_id, client_id)]
    assert after == ["decision", "intent", "submitted", "accepted", "filled", "trade"]


def chains(folder: Path) -> list[tuple[str, str, list[str]]]:
    """Run, client id and what happened, of each order in the database."""
    with snapshot(f"sqlite:///{folder}/runs/tradewright.db") as database:
        (run,) = RunRepository(database).list()
        found = read_chains(database, run.run_id)
    return [
        (run.run_id, chain.order.intent.client_id, [link.what for link in chain.links]) for chain in found
    ]
