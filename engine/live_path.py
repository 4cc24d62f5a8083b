"""The live path: bars one by one, orders through risk, journal and a venue, whatever bars and venue they are.

The assembly is `engine.cerebro`'s, with live datas and the venue broker in place of history and the stock broker;
a session adds safety around it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import backtrader as bt

from brokers.base import Venue
from brokers.bridge import VenueBroker, bar_of
from brokers.ending import Ending, Left
from brokers.executor import Executor
from brokers.gateway import Gateway
from brokers.journal import Journal
from brokers.risk import RiskGate
from core.errors import InconsistentState
from core.telemetry import get_logger
from core.types import Bar, Fill, OrderEvent, OrderIntent, to_decimal
from engine.cerebro import assemble, run
from engine.recording import Recording
from feeds.bridge import LiveData

log = get_logger("engine.live_path")

Feeds = Callable[[Callable[[], bool]], Mapping[str, LiveData]]
"""Makes the datas, by name; it is given what says whether the run hurries through what it did before."""


class StateJournal(Journal, Protocol):
    """A journal that also keeps the strategy's own state."""

    def save_state(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the state down as it is after bar number `step`."""
        ...

    def state(self) -> tuple[int, dict[str, Any]] | None:
        """The last state written down, and its bar number."""
        ...


@dataclass(slots=True)
class LivePath:
    """One run of a strategy through the live path; `run` may be called once.

    feeds: `engine.replay.replayed`, or a venue's. make_venue is called on the session's own thread. cash and
    commission: what of the account is the run's at the start, and the fraction of traded value the venue charges.
    reference enters the client order ids. on_bar gets the number of bars so far, on_event each fresh event and its
    order, on_step the name of each durable step, on_tape each bar as the strategy saw it. book: see `Executor`.
    ending: what a stop does with the account; None leaves it to be gone on with. quick: the strategy is told of news
    when it comes, not at the next bar.

    complete: whether every bar was seen. flattened: whether the end closed what was held. left: what was held and
    rested at the end.
    """

    strategy: type[bt.Strategy]
    params: Mapping[str, Any]
    feeds: Feeds
    make_venue: Callable[[], Venue]
    journal: StateJournal
    cash: float
    commission: float
    bot: str = "default"
    reference: str = ""
    resample: Sequence[str] = ()
    risk: RiskGate = field(default_factory=RiskGate)
    ending: Ending | None = None
    quick: bool = False
    on_bar: Callable[[int], None] | None = None
    on_event: Callable[[OrderEvent, OrderIntent], None] = lambda event, intent: None
    on_step: Callable[[str], None] = lambda name: None
    on_tape: Callable[[Bar], None] | None = None
    book: Callable[[Fill, OrderIntent], None] = lambda fill, intent: None
    gateway: Gateway = field(init=False)
    complete: bool = field(init=False, default=False)
    flattened: bool = field(init=False, default=False)
    left: Left = field(init=False, default_factory=Left)
    _broker: VenueBroker | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.gateway = Gateway(self._make_executor)

    def open(self) -> None:
        """Connect to the venue and recover; `run` does it where nobody did."""
        try:
            self.gateway.start()
        except BaseException:
            self.gateway.stop()
            raise

    def run(self) -> Recording:
        """See every bar, or those before a stop was requested."""
        broker = VenueBroker(
            gateway=self.gateway, cash=self.cash, bot=self.bot, strategy=self.reference, ending=self.ending
        )
        self._broker = broker
        broker.setcommission(commission=self.commission)
        feeds = dict(self.feeds(lambda: self.gateway.recovering))
        cerebro = assemble(
            self.strategy,
            self.params,
            feeds,
            broker,
            resample=self.resample,
            quicknotify=self.quick,
            on_bar=self.on_bar,
        )
        cerebro.addanalyzer(StateKeeper, journal=self.journal)
        cerebro.addanalyzer(Forgetting)
        if self.on_tape is not None:
            cerebro.addanalyzer(Tape, datas=len(feeds), take=self.on_tape)
        _keep_market_time(cerebro)
        try:
            self.gateway.start()
            recording = run(cerebro)
            self.complete, self.left = not broker.stopped_early, broker.left
            self.flattened = broker.flattened
            return recording
        finally:
            # Backtrader stops neither its datas nor its broker when a run fails.
            for feed in feeds.values():
                feed.end()
            self.gateway.stop()

    def request_flatten(self) -> None:
        """End after the current bar with nothing held; from any thread."""
        self.ending = "flatten"
        if self._broker is not None:
            self._broker.p.ending = "flatten"
        self.gateway.request_stop()

    def request_stop(self) -> None:
        """End after the current bar; safe in a signal handler."""
        self.gateway.request_stop()

    def _make_executor(self) -> Executor:
        return Executor(
            self.make_venue(),
            self.journal,
            self.risk,
            on_step=self.on_step,
            on_event=self.on_event,
            book=self.book,
            cash=to_decimal(self.cash),
        )


class Forgetting(bt.Analyzer):
    """Drops what Backtrader keeps and never reads: a copy of each order for every time the strategy was told of it."""

    def prenext(self) -> None:
        """A bar of the warm-up."""
        self.next()

    def next(self) -> None:
        """After each bar."""
        self.strategy._orders.clear()


class Tape(bt.Analyzer):
    """Hands on each bar of the first `datas` datas, warm-up included, once the strategy has seen it."""

    params = (("datas", 0), ("take", None))

    def start(self) -> None:
        """Nothing was seen yet."""
        self._seen = [0] * self.p.datas

    def prenext(self) -> None:
        """A bar of the warm-up."""
        self.next()

    def next(self) -> None:
        """A bar of at least one data."""
        for number, seen in enumerate(self._seen):
            data = self.strategy.datas[number]
            if len(data) > seen:
                self._seen[number] = len(data)
                self.p.take(bar_of(data))


class StateKeeper(bt.Analyzer):
    """Writes the strategy's `state()` down whenever it changed, and gives it back after a restart.

    A strategy whose state follows from its bars and fills arrives at the stored state by itself; one that
    also depends on something else (a random number, a clock) is handed what was stored through `restore`.
    """

    params = (("journal", None),)

    def start(self) -> None:
        """Find out whether the strategy keeps state, and what was stored."""
        self._count = 0
        self._state = getattr(self.strategy, "state", None)
        self._stored = self.p.journal.state() if callable(self._state) else None
        self._written: str | None = None

    def next(self) -> None:
        """After each bar's decisions."""
        self._count += 1
        if not callable(self._state):
            return
        current = json.dumps(self._state(), sort_keys=True)
        if self._stored is not None:
            step, stored = self._stored
            if self._count < step:
                return
            if self._count == step:
                self._recover(current, stored)
                return
        if current != self._written:
            self.p.journal.save_state(self._count, json.loads(current))
            self._written = current

    def _recover(self, current: str, stored: Mapping[str, Any]) -> None:
        self._written = json.dumps(stored, sort_keys=True)
        if current == self._written:
            return
        restore = getattr(self.strategy, "restore", None)
        if not callable(restore):
            raise InconsistentState(
                f"{type(self.strategy).__name__} did not come back to the state it had",
                hint="give it a restore(state) method, or start a new run instead of --resume",
            )
        restore(stored)
        log.warning("strategy.restored", bar=self._count)


def _keep_market_time(cerebro: bt.Cerebro) -> None:
    """A resampled bar is over when the market's time says so, not the machine's clock, years ahead of it.

    While no bar is due, Backtrader asks each resampled data whether its bar is over by now; `now` is the
    clock plus this offset.
    """
    for data in cerebro.datas:
        if data._clone:
            data._timeoffset = partial(_behind_the_clock, data.data)


def _behind_the_clock(data: bt.feed.DataBase) -> timedelta:
    if not len(data):
        return timedelta()
    market: datetime = bt.num2date(data.datetime[0])
    return market - datetime.now(UTC).replace(tzinfo=None)
