"""The two things a session can do: replay a market on the paper venue, or trade at a venue as its bars come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from brokers.base import Venue
from brokers.binance import BinanceVenue
from brokers.binance_link import BinanceSettings
from brokers.consensus_guard import ConsensusGuard
from brokers.ending import Ending
from brokers.ibkr import IBKRVenue
from brokers.paper import PaperVenue
from brokers.risk import Rule
from brokers.working import Attempts, WorkingVenue
from core.errors import ConfigError, UserError, VenueFatal, VenueTransient
from core.telemetry import get_logger
from core.types import Bar, DataInfo, to_decimal
from engine.account import charges_of
from engine.command import bars_of, costs_from
from engine.live_feeds import venue_feeds
from engine.live_path import Feeds, LivePath
from engine.plan import Plan, fingerprint
from engine.realistic import check_symbols
from engine.replay import replayed
from engine.result import run_result
from feeds.live.binance import StreamSettings
from feeds.live.ibkr import IBKRStreamSettings
from feeds.market import Market
from feeds.quality import QualityReport
from feeds.source import Feed
from live.consensus import MergedPrices, merging_of, price_watch
from live.plan import LivePlan, entries_of
from live.profiles import VenueUnreachable
from live.tape import Tape
from live.watch import Watch, watch_of

if TYPE_CHECKING:
    from brokers.costs import Costs
    from core.results import RunResult
    from engine.recording import Recording
    from store import RunRecord

VENUE_FILE = "paper.db"
PATIENCE_SECONDS = 15.0
"""How long a session waits for the first prices of the exchanges it compares."""
VENUE_LOG = "venue.db"

log = get_logger("live.work")

OnState = Callable[[str, Feed], None]


class Work(Protocol):
    """What differs between the two.

    venue: its name on record. begins: when the market does. total: bars there will be, where that is known. data:
    what the bars come from. rules: further ones for entries. endless: it ends when it is told to, and has its result then. ending, quick, on_tape: see
    `LivePath`.
    """

    venue: str
    begins: datetime
    total: int | None
    data: str
    endless: bool
    ending: Ending | None
    quick: bool
    on_tape: Callable[[Bar], None] | None
    rules: Sequence[Rule]

    @property
    def watch(self) -> Watch | None:
        """What notices silences."""
        ...

    def check(self, run: RunRecord) -> None:
        """Refuse to go on with a run that began otherwise."""
        ...

    def counted(self, on_bar: Callable[[int], None], stop: Callable[[], None]) -> Callable[[int], None]:
        """`on_bar`, with whatever the session has to count itself; `stop` ends it."""
        ...

    def feeds(self) -> Feeds:
        """Where bars come from."""
        ...

    def make_venue(self, on_step: Callable[[str], None], journal: Attempts) -> Venue:
        """Where orders go. journal: of this run."""
        ...

    def open(self, path: LivePath) -> None:
        """Connect."""
        ...

    def close(self) -> None:
        """End what runs beside the session."""
        ...

    def result(self, run: RunRecord, recording: Recording, meta: Mapping[str, Any]) -> RunResult:
        """What the run came to. meta: what else is known of it."""
        ...


class ReplayWork:
    """A market on record, the paper venue."""

    venue = PaperVenue.name
    endless = False
    ending: Ending | None = None
    quick = False
    watch: Watch | None = None
    on_tape: Callable[[Bar], None] | None = None
    rules: Sequence[Rule] = ()

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        self._costs = paper_costs(plan)
        self.begins = plan.market.info.start
        self.total: int | None = bars_of(plan.market.frames)
        self.data = plan.settings.data.source

    def check(self, run: RunRecord) -> None:
        """See `Work`."""
        if run.settings.get("fingerprint") != fingerprint(self._plan.market.frames):
            raise UserError(
                f"the bars of {self.data} are not those run {run.run_id} began with",
                hint="restore the file, or start a new run without --resume",
            )

    def counted(self, on_bar: Callable[[int], None], stop: Callable[[], None]) -> Callable[[int], None]:
        """See `Work`."""
        return on_bar

    def feeds(self) -> Feeds:
        """See `Work`."""
        return replayed(self._plan.market.frames, self._plan.settings.live.speed)

    def make_venue(self, on_step: Callable[[str], None], journal: Attempts) -> Venue:
        """See `Work`."""
        broker = self._plan.settings.broker
        state = self._folder / VENUE_FILE
        return PaperVenue(
            broker.cash,
            broker.commission,
            state=state,
            currency=broker.currency,
            on_step=on_step,
            costs=self._costs,
        )

    def open(self, path: LivePath) -> None:
        """See `Work`."""
        path.open()

    def close(self) -> None:
        """See `Work`."""

    def result(self, run: RunRecord, recording: Recording, meta: Mapping[str, Any]) -> RunResult:
        """See `Work`."""
        reason = "the live path, on the paper venue"
        return _result(self._plan, self._plan.market, run, recording, "paper", reason, meta, self._costs)


class LiveWork:
    """A venue's own bars and orders. on_state: called with every change of what is heard of a symbol."""

    endless = True
    quick = True

    def __init__(self, plan: LivePlan, folder: Path, tape: Tape, on_state: OnState) -> None:
        self._plan, self._folder, self._tape, self._on_state = plan, folder, tape, on_state
        self._heard, self._bars_of_now = False, 0
        self._made: BinanceVenue | IBKRVenue | None = None
        self._path: LivePath | None = None
        self.watch = watch_of(plan, self._later, self._stop)
        self.venue = plan.connection.venue
        self.begins = datetime.now(UTC)
        self.total: int | None = plan.settings.live.bars
        self._merging = merging_of(plan.settings, plan.timeframe)
        others = [other.name for other in self._merging.others] if self._merging else []
        whose = "+".join([self.venue, *others])
        self.data = ",".join(f"{whose}:{symbol}:{plan.timeframe}" for symbol in plan.symbols)
        self.ending: Ending | None = plan.settings.live.on_stop
        self.on_tape: Callable[[Bar], None] | None = tape.take
        self._prices = price_watch(plan)
        merged = MergedPrices(self._merging) if self._merging else None
        self.rules: Sequence[Rule] = [
            ConsensusGuard(prices, self.venue) for prices in (self._prices, merged) if prices is not None
        ]

    def counted(self, on_bar: Callable[[int], None], stop: Callable[[], None]) -> Callable[[int], None]:
        """`on_bar`, which calls `stop` after as many bars of now as the session may have."""
        most = None if self._plan.rehearsed else self._plan.settings.live.bars

        def counting(bars: int) -> None:
            on_bar(bars)
            self._bars_of_now += self._heard
            if most is not None and self._bars_of_now >= most:
                stop()

        return counting

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        if self._path is not None:
            self._path.gateway.later(seconds, act)

    def _stop(self) -> None:
        if self._path is not None:
            self._path.request_stop()

    def _hear(self, symbol: str, state: Feed) -> None:
        self._heard = self._heard or state is Feed.LIVE
        log.info("feed.state", symbol=symbol, state=state)
        self.watch.on_state(symbol, state)
        self._on_state(symbol, state)

    def check(self, run: RunRecord) -> None:
        """See `Work`."""
        if run.venue != self.venue:
            raise UserError(
                f"run {run.run_id} trades at {run.venue}, not at {self.venue}", hint="leave --broker out"
            )
        merged = run.settings.get("settings", {}).get("live.merge.exchanges")
        if merged != self._plan.settings.live.merge.exchanges:
            raise UserError(
                f"run {run.run_id} began with {'bars merged of ' + merged if merged else 'its venue alone'}",
                hint=f"set live.merge.exchanges={merged or 'none'}, or start a new run",
            )

    def feeds(self) -> Feeds:
        """See `Work`."""
        plan, backfill = self._plan, self._plan.settings.live.backfill
        return venue_feeds(
            self.venue,
            plan.symbols,
            plan.timeframe,
            settings=self._stream(),
            backfill=plan.warm_up - 1 if backfill is None else backfill,
            since=plan.since,
            folder=self._folder,
            on_state=self._hear,
            on_bar=self.watch.on_bar,
            merging=self._merging,
        )

    def _stream(self) -> StreamSettings | IBKRStreamSettings:
        feed = self._plan.connection.feed
        if isinstance(feed, IBKRStreamSettings):
            return replace(feed, regular_hours=self._plan.settings.data.regular_hours)
        return feed

    def make_venue(self, on_step: Callable[[str], None], journal: Attempts) -> Venue:
        """See `Work`."""
        settings, symbols, state = self._plan.connection.broker, self._plan.symbols, self._folder / VENUE_LOG
        if isinstance(settings, BinanceSettings):
            self._made = BinanceVenue(settings, symbols=symbols, state=state)
        else:
            self._made = IBKRVenue(settings, symbols=symbols, state=state)
        self._made.watch_stream(self.watch.on_stream)
        entries = entries_of(self._plan.settings)
        return self._made if entries is None else WorkingVenue(self._made, entries, journal)

    def open(self, path: LivePath) -> None:
        """See `Work`; a venue that cannot be reached, or does not take the key, is for the user to mend."""
        self._path = path
        if self._prices is not None:
            self._prices.start(PATIENCE_SECONDS)
        try:
            path.open()
            if self._made is not None and not path.journal.last_step():
                balances = path.gateway.ask(self._made.balances())
                check_funds(self._plan, balances)
        except (VenueFatal, VenueTransient) as error:
            raise VenueUnreachable(error.message, hint=error.hint) from error
        except UserError:
            path.gateway.stop()
            raise

    def close(self) -> None:
        """See `Work`."""
        if self._prices is not None:
            self._prices.stop()

    def result(self, run: RunRecord, recording: Recording, meta: Mapping[str, Any]) -> RunResult:
        """See `Work`."""
        plan, frames = self._plan, self._tape.frames()
        times = recording.equity.index
        info = DataInfo(
            source=self.data,
            symbols=plan.symbols,
            start=times[0].to_pydatetime(),
            end=times[-1].to_pydatetime(),
            bars=sum(map(len, frames.values())),
            timeframe=plan.timeframe,
        )
        kind = "rehearsal" if plan.connection.simulated else "live"
        reason = f"the live path, at {self.venue}{' (simulated)' if plan.connection.simulated else ''}"
        return _result(plan, Market(frames, info, QualityReport()), run, recording, kind, reason, meta)


def paper_costs(plan: Plan) -> Costs | None:
    """What the paper venue of a session charges beside the commission.

    Raises ConfigError for splits and for dividends put back: the database's books of a session know no other units.
    """
    costs = costs_from(plan.settings)
    if costs is None:
        return None
    check_symbols(costs, plan.market.frames)
    splits = any(action.ratio != 1.0 for each in costs.actions.values() for action in each)
    if splits or (costs.actions and costs.dividends == "reinvest"):
        raise ConfigError(
            "a session on paper knows no splits, and no dividends put back",
            hint="trade adjusted prices here; engine.backtest takes raw ones with broker.costs.actions",
        )
    return costs


def check_funds(plan: LivePlan, balances: Mapping[str, Decimal]) -> None:
    """Refuse to begin with more cash than a spot account holds; a margin account may lend it. Raises UserError."""
    if plan.connection.venue != "binance":
        return
    wanted = to_decimal(plan.settings.broker.cash)
    for quote in dict.fromkeys(symbol.partition("/")[2] for symbol in plan.symbols):
        held = balances.get(quote, Decimal(0))
        if held < wanted:
            raise UserError(
                f"the account holds {held.normalize():f} {quote}, the run would begin with {wanted:f}",
                hint="say how much of it is the run's, such as --cash 500",
            )


def _result(
    plan: Plan | LivePlan,
    market: Market,
    run: RunRecord,
    recording: Recording,
    kind: str,
    reason: str,
    meta: Mapping[str, Any],
    costs: Costs | None = None,
) -> RunResult:
    broker = plan.settings.broker
    charged, happened, told = charges_of(recording, costs)
    return run_result(
        kind,
        plan.reference,
        plan.params,
        market,
        recording,
        engine="cerebro",
        reason=reason,
        costs={"cash": broker.cash, "commission": broker.commission, **charged},
        resample=plan.resample,
        notes=told,
        meta={"run": run.run_id, "bot": run.bot, "config": plan.settings.public(), **happened, **meta},
    )
