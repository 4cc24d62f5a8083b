"""Watchdogs of a session, on the wall clock: what has been silent for too long blocks new entries, and is said once.

What a session lives on is named: the bars of each symbol, and the venue's own stream of events. Nothing here asks or
polls: each silence has one timer, which is put off by what is heard.
"""

from __future__ import annotations

import threading
import time as wall
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from brokers.calendars import opens_in
from brokers.risk import Account
from core.errors import OrderRejected, StaleData, TradingError, VenueTransient
from core.recovery import Policy, Recovery, parse_overrides
from core.telemetry import get_logger
from core.types import Fill, OrderIntent
from feeds.source import Feed
from feeds.spacing import parse_timeframe

if TYPE_CHECKING:
    from live.plan import LivePlan

VENUE = "venue"
GRACE_SECONDS = 5.0
"""How long a venue's stream may be lost before entries are blocked: most are back within a second."""

log = get_logger("live.watch")

Later = Callable[[float, Callable[[], None]], None]


class Watch:
    """Of one session, and a rule of its risk gate. Usable from any thread.

    bar_seconds: how long a bar may take to come, once its feed is live: its length and some patience. later: calls
    something after so many seconds. policy: whether a silence blocks entries (degrade) or ends the session, by `end`
    (restart, halt); `failure` is then why. calendar: whose market the bars are of; None: it never closes.
    """

    def __init__(
        self,
        bar_seconds: float,
        later: Later,
        *,
        policy: Policy | None = None,
        end: Callable[[], None] = lambda: None,
        calendar: str | None = None,
        seconds: Callable[[], float] = wall.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.failure: TradingError | None = None
        self._bar_seconds = bar_seconds
        self._later = later
        self._policy = policy or Policy()
        self._end = end
        self._calendar = calendar
        self._seconds, self._now = seconds, now
        self._live: set[str] = set()
        self._interrupted: set[str] = set()
        self._due: dict[str, float] = {}
        self._timed: set[str] = set()
        self._trouble: dict[str, TradingError] = {}
        self._lock = threading.RLock()

    def blocked(self, symbol: str) -> str:
        """Why nothing new may be entered in `symbol`; empty when it may."""
        with self._lock:
            for name in (VENUE, symbol):
                self._check(name)
                if name in self._trouble:
                    return self._trouble[name].message
            if symbol in self._interrupted:
                return f"the bars of {symbol} were interrupted: no new entries before the next one"
        return ""

    def on_state(self, symbol: str, state: Feed) -> None:
        """A feed has changed: only a live one owes bars. One that was live blocks entries until its next bar of now."""
        with self._lock:
            if state is Feed.LIVE:
                self._live.add(symbol)
                self._expect(symbol, self._bar_seconds)
            elif symbol in self._live:
                self._live.discard(symbol)
                self._interrupted.add(symbol)
                self._due.pop(symbol, None)

    def on_bar(self, symbol: str) -> None:
        """A bar has come."""
        with self._lock:
            self._well(symbol)
            if symbol in self._live:
                self._interrupted.discard(symbol)
                self._expect(symbol, self._bar_seconds)

    def on_stream(self, stands: bool) -> None:
        """The venue's stream of events was lost, or stands again."""
        with self._lock:
            if stands:
                self._due.pop(VENUE, None)
                self._well(VENUE)
            elif VENUE not in self._due and VENUE not in self._trouble:
                self._expect(VENUE, GRACE_SECONDS)

    # -- as a rule; see `brokers.risk.Rule`

    def take(self, fill: Fill) -> None:
        """Nothing is silent for less long because of a fill."""

    def mark(self, time: datetime, account: Account) -> None:
        """Nor because of the market's time: silence is a matter of the wall clock."""

    def wants_bid(self, intent: OrderIntent) -> bool:
        """False."""
        return False

    def check(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The entry as it is; raises OrderRejected while its symbol is blocked."""
        if reason := self.blocked(intent.symbol):
            raise OrderRejected(reason, rule="silence")
        return intent

    def fit(self, intent: OrderIntent, account: Account) -> OrderIntent:
        """The entry as it is."""
        return intent

    # -- within

    def _expect(self, name: str, seconds: float) -> None:
        self._due[name] = self._seconds() + seconds
        if name not in self._timed:
            self._timed.add(name)
            self._later(seconds, lambda: self._ring(name))

    def _ring(self, name: str) -> None:
        """The timer of a name: what was heard meanwhile has put the moment off."""
        with self._lock:
            self._timed.discard(name)
            self._check(name)
            if name in self._due:
                self._expect(name, self._due[name] - self._seconds())

    def _check(self, name: str) -> None:
        due = self._due.get(name)
        if due is None or self._seconds() < due:
            return
        closed = opens_in(self._calendar, self._now()) if self._calendar else timedelta()
        if name != VENUE and closed:
            self._due[name] = self._seconds() + closed.total_seconds() + self._bar_seconds
            return
        del self._due[name]
        if name == VENUE:
            self._unwell(name, VenueTransient("the venue's stream of events is lost: no new entries"))
        else:
            said = f"no bar of {name} for {self._bar_seconds:g} s: no new entries"
            self._unwell(name, StaleData(said))

    def _unwell(self, name: str, trouble: TradingError) -> None:
        self._trouble[name] = trouble
        recovery = self._policy.of(trouble)
        log.warning("watch.silent", what=name, reason=trouble.message, recovery=recovery)
        if recovery in (Recovery.RESTART, Recovery.HALT) and self.failure is None:
            self.failure = trouble
            self._end()

    def _well(self, name: str) -> None:
        if self._trouble.pop(name, None) is not None:
            log.warning("watch.heard", what=name, reason="entries are possible again")


def watch_of(plan: LivePlan, later: Later, end: Callable[[], None]) -> Watch:
    """The watch a session's configuration asks for."""
    live = plan.settings.live
    return Watch(
        parse_timeframe(plan.timeframe) / 1e9 + live.stale_seconds,
        later,
        policy=Policy(parse_overrides(live.recovery)),
        end=end,
        calendar=plan.settings.risk.trading_calendar,
    )
