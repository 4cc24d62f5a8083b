"""Several sources' bars of one instrument as one bar a period: outliers and whoever is late left out, a quorum asked for.

MergedBars("BTC/USDT", {"binance": source, "other": source}, step=timedelta(minutes=1), quorum=2)

All the work is done by whoever takes the bars; the sources' threads only wake it. The first closed bar of a period waits
for the others, for `grace` seconds. While too few answer, what the others have is held: it is merged, late and in order,
once enough are back. What enough have said and not agreed on is a gap, for good.
"""

from __future__ import annotations

import json
import math
import threading
import time as wall
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from core.errors import ConfigError, ProviderError
from core.telemetry import get_logger
from core.types import Bar
from feeds.consensus import Agreed, Consensus, merge
from feeds.kept import KeptLines
from feeds.source import BarSource, Feed

GRACE_SECONDS = 5.0
HISTORY_SECONDS = 60.0
"""How long others wait for one whose history is still being read."""
LONGEST_WAIT = 3600.0
AHEAD = 2
"""Bars taken from a source before they are needed: the next, and whether another has followed."""

log = get_logger("feeds.merge")


@dataclass(slots=True, eq=False)
class _Member:
    """One source. passed_over: was left out, and has said nothing since. problem: why it does not count at present."""

    name: str
    source: BarSource
    state: Feed
    ahead: deque[Bar | Feed] = field(default_factory=deque)
    passed_over: bool = False
    problem: str = ""
    failure: ProviderError | None = None

    @property
    def bar(self) -> Bar | None:
        """Its next one."""
        first = self.ahead[0] if self.ahead else None
        return first if isinstance(first, Bar) else None

    @property
    def over(self) -> bool:
        """Whether nothing will come of it any more."""
        return not self.ahead and (self.failure is not None or self.source.ended)

    @property
    def trouble(self) -> str:
        """Why it does not count at present; empty when it does."""
        return self.problem or ("" if self.state is Feed.LIVE else str(self.state))

    def bars_ahead(self) -> int:
        return sum(isinstance(each, Bar) for each in self.ahead)

    def look(self, last: datetime | None) -> None:
        """Take in what has come after the moment `last`; what it is counts as soon as no bar is before it."""
        while self.failure is None and self.bars_ahead() < AHEAD:
            try:
                told = self.source.next()
            except ProviderError as error:
                self.failure = error
                break
            if told is None:
                break
            self.passed_over = False
            if isinstance(told, Feed) or last is None or told.time > last:
                self.ahead.append(told)
        self.settle()

    def settle(self) -> None:
        while self.ahead and isinstance(self.ahead[0], Feed):
            self.state = self.ahead.popleft()  # type: ignore[assignment]


class MergedBars(BarSource):
    """One bar a period of `step`.

    quorum: sources that must agree, at least. tolerance: the fraction of the median close by which a source may differ.
    keep: a file of the bars it handed over, which it hands over again, and merges nothing before the last of them anew.
    feed: live while a quorum of the sources is, and no period is missing. Raises ConfigError for settings without sense.
    """

    def __init__(
        self,
        symbol: str,
        sources: Mapping[str, BarSource],
        *,
        step: timedelta,
        quorum: int = 2,
        tolerance: float = 0.005,
        grace: float = GRACE_SECONDS,
        keep: Path | None = None,
        monotonic: Callable[[], float] = wall.monotonic,
    ) -> None:
        Consensus(quorum, tolerance=tolerance)
        if len(sources) < quorum or not 0 < grace < step.total_seconds():
            raise ConfigError(
                f"{len(sources)} sources, {quorum} of which must agree within {grace:g} s, give no bars of {step}",
                hint="name as many sources as the quorum asks for, and a grace shorter than a bar",
            )
        self.symbol, self.feed = symbol, Feed.DELAYED
        self._step, self._quorum, self._tolerance = step, quorum, tolerance
        self._grace, self._monotonic = grace, monotonic
        self._members = [_Member(name, source, source.feed) for name, source in sources.items()]
        self._news = threading.Event()
        self.on_news = self._nobody
        self._lines = KeptLines(keep) if keep is not None else None
        kept = [_bar(symbol, line, keep) for line in self._lines.read] if self._lines is not None else []
        self._told: deque[Bar | Feed] = deque(kept)
        self._last = kept[-1].time if kept else None
        self._close = kept[-1].close if kept else math.nan
        self._since: tuple[datetime, float] | None = None
        self._missed: datetime | None = None

    def start(self) -> None:
        """Begin to listen to all of them."""
        for member in self._members:
            member.source.on_news = lambda: self.on_news()
            member.source.start()

    def stop(self) -> None:
        """Listen no more."""
        for member in self._members:
            member.source.stop()

    def next(self) -> Bar | Feed | None:
        """The next bar or change of state. Raises ProviderError where too few sources are left because one failed."""
        if not self._told:
            self._decide()
        if not self._told:
            failures = [member.failure for member in self._members if member.failure is not None]
            if failures and self._too_few_left():
                raise failures[-1]
            return None
        told = self._told.popleft()
        self.feed = told if isinstance(told, Feed) else self.feed
        return told

    @property
    def ended(self) -> bool:
        """Whether no bar will come any more."""
        return not self._told and self._too_few_left()

    def agreed(self) -> Agreed:
        """What its last bar closed at, and of whom; no price while it is not live."""
        left_out = {member.name: reason for member in self._members if (reason := member.trouble)}
        sources = sorted(member.name for member in self._members if member.name not in left_out)
        price = self._close if self.feed is Feed.LIVE else None
        return Agreed(price, tuple(sources), dict(sorted(left_out.items())))

    def seconds_to_next(self) -> float:
        """0 when something has come; at most until nobody need be waited for any more."""
        if self._told:
            return 0.0
        silent = [member for member in self._members if not member.over and member.bar is None]
        if not silent:
            return 0.0
        seconds = min(LONGEST_WAIT, *(member.source.seconds_to_next() for member in silent))
        if self._since is not None:
            seconds = min(seconds, max(0.0, self._since[1] - self._monotonic()))
        return seconds

    def wait(self, seconds: float) -> None:
        """Sleep until there is news, where nobody else waits for it."""
        if self.on_news == self._nobody:
            self._news.wait(min(seconds, self.seconds_to_next()))
            self._news.clear()

    # -- within

    def _nobody(self) -> None:
        self._news.set()

    def _too_few_left(self) -> bool:
        return sum(not member.over for member in self._members) < self._quorum

    def _decide(self) -> None:
        """Settle periods until there is something to tell, or somebody to wait for."""
        settled = True
        while settled and not self._told:
            for member in self._members:
                member.look(self._last)
                if member.over:
                    self._leave_out(member, str(member.failure or "has ended"))
            self._tell_state()
            bars = {member.name: member.bar for member in self._members if member.bar is not None}
            settled = bool(bars) and not self._told and self._settle(min(bar.time for bar in bars.values()))

    def _settle(self, period: datetime) -> bool:
        """Merge or drop what is there of a period; False where somebody is waited for."""
        bearers = [member for member in self._members if member.bar is not None and member.bar.time == period]
        silent = [member for member in self._members if member.bar is None and not member.over]
        waited = [member for member in silent if not member.passed_over]
        if waited and not self._waited_for(waited, period, len(bearers)):
            return False
        self._since = None
        for member in waited:
            member.passed_over = True
            self._leave_out(member, "silent" if member.state is Feed.DISCONNECTED else "late")
        present = len(self._members) - len(silent) - sum(member.over for member in self._members)
        if len(bearers) < self._quorum and present < self._quorum and silent:
            self._miss(period)
            return False
        self._merge(period, bearers)
        return True

    def _waited_for(self, waited: list[_Member], period: datetime, bearers: int) -> bool:
        """Whether their time is over. A lone bar of a moment that is not the next one is no reason to hurry anybody."""
        if bearers < self._quorum and self._last is not None and period != self._last + self._step:
            return False
        if self._since is None or self._since[0] != period:
            history = any(member.state is Feed.DELAYED for member in waited)
            patience = max(HISTORY_SECONDS, self._grace) if history else self._grace
            self._since = (period, self._monotonic() + patience)
        return self._monotonic() >= self._since[1]

    def _merge(self, period: datetime, bearers: list[_Member]) -> None:
        bars = {
            member.name: replace(member.bar, symbol=self.symbol)
            for member in bearers
            if member.bar is not None
        }
        for member in bearers:
            member.ahead.popleft()
        merged, left_out = merge(bars, quorum=self._quorum, tolerance=self._tolerance)
        for member in bearers:
            if member.name in left_out:
                self._leave_out(member, left_out[member.name])
            elif member.problem:
                member.problem = ""
                log.warning("merge.counts_again", symbol=self.symbol, source=member.name)
        self._last = period
        if merged is None:
            self._miss(period)
            return
        for member in self._members:
            if member not in bearers and member.bar is not None:
                self._leave_out(member, "no bar of this period")
        if self._missed is not None and not any(member.bars_ahead() for member in self._members):
            self._missed = None
        self._tell_state()
        if self._lines is not None:
            self._lines.keep(json.dumps([merged.time.isoformat(), *astuple(merged)[2:]]))
        self._close = merged.close
        self._told.append(merged)

    def _miss(self, period: datetime) -> None:
        """No bar of this period, now or for good: said once each, and nothing is live until the newest is merged."""
        if self._missed is None or period > self._missed:
            reasons = {member.name: member.problem for member in self._members if member.problem}
            log.warning("merge.gap", symbol=self.symbol, period=period.isoformat(), left_out=reasons)
            self._missed = period
        self._tell_state()

    def _leave_out(self, member: _Member, problem: str) -> None:
        """Said once, until it counts again."""
        if not member.problem:
            log.warning("merge.left_out", symbol=self.symbol, source=member.name, reason=problem)
        member.problem = problem

    def _tell_state(self) -> None:
        live = sum(member.state is Feed.LIVE and not member.over for member in self._members)
        before = next((told for told in reversed(self._told) if isinstance(told, Feed)), self.feed)
        state = Feed.LIVE if live >= self._quorum and self._missed is None else Feed.DISCONNECTED
        if state is not before and (state is Feed.LIVE or before is Feed.LIVE):
            self._told.append(state)


def kept_until(file: Path) -> datetime | None:
    """The close of the last bar that is kept there, which nobody need be asked for again; None where none is."""
    lines = file.read_text(encoding="ascii").split("\n")[:-1] if file.exists() else []
    return _bar("", lines[-1], file).time if lines else None


def _bar(symbol: str, line: str, file: Path | None) -> Bar:
    try:
        time, *numbers = json.loads(line)
        bar = Bar(symbol, datetime.fromisoformat(time), *numbers)
        if not all(map(math.isfinite, numbers)):
            raise ValueError(line)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{file} does not hold the bars that were merged: {error}", hint="begin a new run with new files"
        ) from error
    return bar


__all__ = ["MergedBars", "kept_until"]
