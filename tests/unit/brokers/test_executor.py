"""A run that is cut off at any durable step, and started again, ends as if nothing had happened.

The cut is an exception raised at the n-th step, after which everything in memory is dropped; killing a real
process is in `tests/integration/test_kill_and_resume.py`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import store
from brokers.paper import PaperVenue
from brokers.risk import Account, Limits, RiskGate
from core.errors import InconsistentState, OrderRejected, OutcomeUnknown, VenueFatal
from core.types import OrderEvent, OrderIntent, OrderType, Side, to_decimal
from engine.live_path import LivePath
from engine.parity import compare
from engine.recording import Recording
from engine.replay import replayed

CASH, COMMISSION = 10_000.0, 0.001


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


class Everything(bt.Strategy):
    """Uses every kind of order and cancels some, on a fixed timetable."""

    params = (("size", 7),)

    def __init__(self) -> None:
        self.resting: bt.Order | None = None
        self.bars_seen = 0

    def next(self) -> None:
        self.bars_seen += 1
        close = self.data.close[0]
        beat = self.bars_seen % 12
        if beat == 1:
            self.buy_bracket(
                size=self.p.size, exectype=bt.Order.Market, stopprice=close * 0.97, limitprice=close * 1.02
            )
        elif beat == 4:
            self.resting = self.buy(size=2, exectype=bt.Order.Limit, price=close * 0.9)
        elif beat == 6 and self.resting is not None:
            self.cancel(self.resting)
        elif beat == 7:
            self.buy(size=3)
            self.sell(size=3, exectype=bt.Order.StopTrail, trailamount=close * 0.02)
        elif beat == 9:
            self.buy(size=10_000)
        elif beat == 10:
            stop = self.sell(size=1, exectype=bt.Order.Stop, price=close * 0.98)
            self.sell(size=1, exectype=bt.Order.Limit, price=close * 1.03, oco=stop)
        elif beat == 11:
            self.order_target_size(target=0)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    random = np.random.default_rng(7)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, 20)))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(random.normal(0, 0.005, 20))
    index = pd.date_range("2024-01-01", periods=20, freq="1D", tz="UTC", name="time")
    return pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * 1.01,
            "low": np.minimum(open_, close) * 0.99,
            "close": close,
            "volume": 1000.0,
        },
        index=index,
    )


class Life:
    """One process: opens the files, runs, and may be cut off."""

    def __init__(self, folder: Path, frame: pd.DataFrame, strategy: type[bt.Strategy] = Everything) -> None:
        self.folder = folder
        self.frame = frame
        self.strategy = strategy
        self.steps: list[str] = []
        self.stops: dict[str, Any] = {}

    def run(
        self, cut_at: int | None = None, risk: Callable[[], RiskGate] = RiskGate, **params: object
    ) -> Recording | None:
        """The recording, or None when the life was cut off at step number `cut_at`."""

        def on_step(name: str) -> None:
            self.steps.append(name)
            if len(self.steps) == cut_at:
                raise Killed(name)

        state = self.folder / "venue.db"
        with store.open_store(f"sqlite:///{self.folder}/journal.db") as database:
            journal = database.journal("run")
            replay = LivePath(
                self.strategy,
                params,
                replayed({"X": self.frame}),
                lambda: PaperVenue(CASH, COMMISSION, state=state, on_step=on_step),
                journal,
                CASH,
                COMMISSION,
                risk=risk(),
                on_step=on_step,
            )
            try:
                recording = replay.run()
            except Killed:
                return None
            self.stops = {key: (stop.trigger, stop.changes) for key, stop in journal.stops().items()}
            return recording


def spread(steps: list[str]) -> list[int]:
    """Numbers of the first, second, middle and last step of every kind."""
    chosen: set[int] = set()
    for kind in set(steps):
        places = [number for number, name in enumerate(steps, start=1) if name == kind]
        chosen |= {places[0], places[min(1, len(places) - 1)], places[len(places) // 2], places[-1]}
    return sorted(chosen)


def test_cut_off_at_every_kind_of_step(tmp_path: Path, frame: pd.DataFrame) -> None:
    """L25, L26, L9"""
    whole = Life(tmp_path, frame)
    undisturbed = whole.run()
    assert undisturbed is not None
    assert len(undisturbed.fills) >= 5
    assert len(set(whole.steps)) >= 12, "the timetable must reach every kind of step"
    for number in spread(whole.steps):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert Life(folder, frame).run(cut_at=number) is None
        again = Life(folder, frame)
        resumed = again.run()
        assert resumed is not None
        report = compare(undisturbed, resumed)
        assert report.identical, f"cut at step {number} ({whole.steps[number - 1]}): {report}"
        assert again.stops == whole.stops, f"cut at step {number} ({whole.steps[number - 1]})"


def test_cut_off_again_and_again(tmp_path: Path, frame: pd.DataFrame) -> None:
    """A life that never gets further than nine steps still arrives."""
    (tmp_path / "whole").mkdir()
    undisturbed = Life(tmp_path / "whole", frame).run()
    lives = tmp_path / "lives"
    lives.mkdir()
    for _ in itertools.repeat(None, 500):
        resumed = Life(lives, frame).run(cut_at=9)
        if resumed is not None:
            break
    assert undisturbed is not None
    assert resumed is not None
    assert compare(undisturbed, resumed).identical


def test_a_finished_run_repeats_without_a_new_order(tmp_path: Path, frame: pd.DataFrame) -> None:
    first = Life(tmp_path, frame).run()
    again = Life(tmp_path, frame)
    second = again.run()
    assert first is not None
    assert second is not None
    assert compare(first, second).identical
    assert again.steps == []


def test_a_changed_strategy_is_found_out(tmp_path: Path, frame: pd.DataFrame) -> None:
    life = Life(tmp_path, frame)
    assert life.run(cut_at=60) is None
    with pytest.raises(InconsistentState, match="did not repeat its decisions"):
        Life(tmp_path, frame).run(size=8)


class Hesitant(Everything):
    """Makes the same orders as before, but cancels one a bar earlier."""

    def next(self) -> None:
        super().next()
        if len(self) == 5 and self.resting is not None:
            self.cancel(self.resting)


def test_a_decision_at_another_turn_is_found_out(tmp_path: Path, frame: pd.DataFrame) -> None:
    assert Life(tmp_path, frame).run(cut_at=60) is None
    with pytest.raises(InconsistentState, match=r"the cancel of order .* is new"):
        Life(tmp_path, frame, Hesitant).run()


def test_a_changed_account_is_found_out(tmp_path: Path, frame: pd.DataFrame) -> None:
    """L8: drift at the venue halts before anything is sent, and says what differs."""
    life = Life(tmp_path, frame)
    assert life.run(cut_at=60) is None

    async def trade_by_hand() -> None:
        venue = PaperVenue(CASH, COMMISSION, state=tmp_path / "venue.db")
        await venue.connect()
        await venue.submit(
            OrderIntent(
                client_id="by-hand",
                symbol="X",
                side=Side.BUY,
                type=OrderType.LIMIT,
                size=to_decimal(1),
                price=to_decimal(1.0),
                reference_price=to_decimal(100.0),
                bar_time=frame.index[0].to_pydatetime(),
                leg=1,
            )
        )
        await venue.close()

    asyncio.run(trade_by_hand())
    with pytest.raises(InconsistentState, match="by-hand"):
        Life(tmp_path, frame).run()


def test_a_venue_that_has_forgotten_its_events_is_found_out(tmp_path: Path, frame: pd.DataFrame) -> None:
    assert Life(tmp_path, frame).run(cut_at=60) is None
    (tmp_path / "venue.db").unlink()
    with pytest.raises(InconsistentState, match=r"the journal has event \d+ of paper, which has numbered 0"):
        Life(tmp_path, frame).run()


class Doubtful(PaperVenue):
    """Answers every third order with a doubt: taken and silent, or never arrived."""

    taken = True
    asked = 0

    async def submit(self, intent: OrderIntent) -> None:
        known = await self.order(intent.client_id) is not None
        self.asked += 1
        doubt = self.asked % 3 == 0 and not known
        if not doubt or self.taken:
            await super().submit(intent)
        if doubt:
            raise OutcomeUnknown("no answer in time")


class Lost(Doubtful):
    taken = False


class Severed(PaperVenue):
    """The connection breaks whenever the last order of a bracket is sent."""

    async def submit(self, intent: OrderIntent) -> None:
        if intent.parent is not None and intent.transmit:
            raise OutcomeUnknown("the connection broke")
        await super().submit(intent)


class Silent(PaperVenue):
    """Stops reporting after the fifth event."""

    async def events(self) -> AsyncIterator[OrderEvent]:
        async for event in super().events():
            if event.sequence > 5:
                raise ConnectionResetError("the stream broke")
            yield event


def run_on(venue: type[PaperVenue], folder: Path, frame: pd.DataFrame) -> Recording:
    with store.open_store(f"sqlite:///{folder}/journal.db") as database:
        replay = LivePath(
            Everything,
            {},
            replayed({"X": frame}),
            lambda: venue(CASH, COMMISSION, state=folder / "venue.db"),
            database.journal("run"),
            CASH,
            COMMISSION,
        )
        return replay.run()


def test_a_doubt_is_asked_about_and_never_resent(tmp_path: Path, frame: pd.DataFrame) -> None:
    """An order whose answer was lost is found by its client id: nothing changes for the strategy."""
    for name in ("sure", "doubtful"):
        (tmp_path / name).mkdir()
    sure = run_on(PaperVenue, tmp_path / "sure", frame)
    assert compare(sure, run_on(Doubtful, tmp_path / "doubtful", frame)).identical


def test_an_order_that_never_arrived_is_rejected(tmp_path: Path, frame: pd.DataFrame) -> None:
    recording = run_on(Lost, tmp_path, frame)
    assert (recording.orders["status"] == "rejected").any()
    with store.open_store(f"sqlite:///{tmp_path}/journal.db") as database:
        reasons = {item.event.reason for item in database.journal("run").events()}
    assert "never reached the venue: no answer in time" in reasons


def test_a_bracket_whose_last_order_is_lost_comes_to_nothing_as_a_whole(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    first = run_on(Severed, tmp_path, frame)
    rejected = first.orders[first.orders["status"] == "rejected"]
    assert list(rejected["type"][:3]) == ["market", "stop", "limit"], (
        "nobody waits for a bracket that never left"
    )
    assert compare(first, run_on(Severed, tmp_path, frame)).identical


class OneLegRefused(RiskGate):
    """Refuses the last order of every bracket."""

    def check(self, intent: OrderIntent, account: Account) -> OrderIntent:
        if intent.parent is not None and intent.transmit:
            raise OrderRejected("not this one", rule="test")
        return super().check(intent, account)


def test_a_bracket_whose_last_order_is_refused_never_leaves(tmp_path: Path, frame: pd.DataFrame) -> None:
    (tmp_path / "whole").mkdir()
    whole = Life(tmp_path / "whole", frame)
    undisturbed = whole.run(risk=OneLegRefused)
    assert undisturbed is not None
    assert list(undisturbed.orders["status"][:3]) == ["rejected"] * 3
    for number in range(1, 30):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert Life(folder, frame).run(cut_at=number, risk=OneLegRefused) is None
        resumed = Life(folder, frame).run(risk=OneLegRefused)
        assert resumed is not None
        assert compare(undisturbed, resumed).identical, f"cut at step {number}"


def test_a_venue_that_falls_silent_ends_the_run(tmp_path: Path, frame: pd.DataFrame) -> None:
    """Waiting for events that cannot come any more would hang with a position open."""
    with pytest.raises((VenueFatal, ConnectionResetError)):
        run_on(Silent, tmp_path, frame)


def test_refusals_and_clips_survive_a_restart(tmp_path: Path, frame: pd.DataFrame) -> None:
    """L15, L16: what risk refused or clipped is answered the same way in the next life."""

    def gate() -> RiskGate:
        return RiskGate(Limits(max_position_size=to_decimal(5), oversize="clip"))

    (tmp_path / "whole").mkdir()
    whole = Life(tmp_path / "whole", frame)
    undisturbed = whole.run(risk=gate)
    assert undisturbed is not None
    assert "rejected" in set(undisturbed.orders["status"])
    held = undisturbed.fills["size"].cumsum()
    assert held.abs().max() == 5
    bracket = undisturbed.orders["size"].head(3)
    assert list(bracket) == [5, 5, 5], "the stop of a clipped entry must not sell more than was bought"
    for number in range(3, len(whole.steps), 17):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert Life(folder, frame).run(cut_at=number, risk=gate) is None
        resumed = Life(folder, frame).run(risk=gate)
        assert resumed is not None
        report = compare(undisturbed, resumed)
        assert report.identical, f"cut at step {number}: {report}"
