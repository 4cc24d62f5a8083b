"""What several exchanges agree a thing is worth: outliers and stale sources left out, a quorum asked for.

consensus = Consensus(quorum=2)
consensus.hear("binance", time, bid=99.9, ask=100.1)
consensus.hear("kraken", time, bid=99.8, ask=100.2)
consensus.price(now)        # Agreed(price=100.0, sources=("binance", "kraken"), left_out={})

The median of the sources stands for the market, because one source that is wrong, however far, does not move it
beyond its neighbours. Whoever is further from it than `tolerance`, has no sensible quote or has been silent for
longer than `max_age`, does not count. Without a quorum there is no price: nothing is guessed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from core.errors import ConfigError, OrderRejected
from core.types import Bar, to_decimal


@dataclass(frozen=True, slots=True)
class Agreed:
    """The answer. price: None without a quorum. left_out: why, by source; it and `sources` are sorted."""

    price: float | None
    sources: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Heard:
    time: datetime
    bid: float
    ask: float

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2


class Consensus:
    """The price of one symbol by several sources.

    quorum: sources that must agree, at least. tolerance: the fraction of the median by which a source may differ.
    max_age: how old a quote may be. Raises ConfigError for settings without sense.
    """

    def __init__(
        self, quorum: int = 2, *, tolerance: float = 0.005, max_age: timedelta = timedelta(seconds=10)
    ) -> None:
        if quorum < 1 or not 0 < tolerance < 1 or max_age <= timedelta(0):
            raise ConfigError(
                f"a consensus of {quorum} sources within {tolerance:g} and {max_age} makes no sense",
                hint="quorum at least 1, tolerance a fraction such as 0.005, max_age above 0",
            )
        self.quorum, self.tolerance, self.max_age = quorum, tolerance, max_age
        self._heard: dict[str, _Heard] = {}

    def hear(self, source: str, time: datetime, *, bid: float, ask: float) -> None:
        """A quote of a source; one that is older than what it said before changes nothing."""
        known = self._heard.get(source)
        if known is None or time >= known.time:
            self._heard[source] = _Heard(time, bid, ask)

    def price(self, now: datetime) -> Agreed:
        """What they agree on at `now`."""
        left_out = {
            source: problem
            for source, heard in self._heard.items()
            if (problem := self._problem(heard, now)) is not None
        }
        mids = {source: heard.mid for source, heard in self._heard.items() if source not in left_out}
        counted, middle = agreeing(mids, self.tolerance)
        left_out |= {
            source: f"{mid / middle - 1:+.2%} from the median"
            for source, mid in mids.items()
            if source not in counted
        }
        enough = len(counted) >= self.quorum and 2 * len(counted) > len(mids)
        price = median(counted.values()) if enough else None
        return Agreed(price, tuple(sorted(counted)), dict(sorted(left_out.items())))

    def check(self, price: float, now: datetime) -> None:
        """Guard an order: raises OrderRejected where there is no consensus, or `price` lies outside its tolerance."""
        agreed = self.price(now)
        if agreed.price is None:
            reasons = "; ".join(f"{source}: {reason}" for source, reason in agreed.left_out.items())
            raise OrderRejected(
                f"{len(agreed.sources)} of {self.quorum} sources agree on a price"
                + (f" ({reasons})" if reasons else ""),
                rule="consensus",
            )
        if not abs(price / agreed.price - 1) <= self.tolerance:
            raise OrderRejected(
                f"{price:g} is {price / agreed.price - 1:+.2%} from what {len(agreed.sources)} sources agree on",
                rule="consensus",
                limit=to_decimal(self.tolerance),
                value=to_decimal(price),
            )

    def _problem(self, heard: _Heard, now: datetime) -> str | None:
        if now - heard.time > self.max_age:
            return f"silent for {(now - heard.time).total_seconds():g} s"
        if not (math.isfinite(heard.mid) and heard.bid > 0):
            return "no price"
        if heard.bid > heard.ask:
            return "crossed"
        return None


def agreeing(values: Mapping[str, float], tolerance: float) -> tuple[dict[str, float], float]:
    """Those within `tolerance` (a fraction) of the median of all, and that median; NaN without values.

    The median of an even number is the lower middle one, which is a source's own: two sources far apart agree with
    neither the one nor the other in between, and only one of them counts.
    """
    if not values:
        return {}, math.nan
    middle = sorted(values.values())[(len(values) - 1) // 2]
    return {source: value for source, value in values.items() if abs(value / middle - 1) <= tolerance}, middle


def merged_bar(bars: Mapping[str, Bar], *, quorum: int = 2, tolerance: float = 0.005) -> Bar | None:
    """One bar out of several exchanges' bars of the same symbol and time; None without a quorum.

    Prices are weighted by volume (equally where nothing was traded), the volume is the sum; a bar whose close lies
    further than `tolerance` from the median close is left out. High and low enclose open and close. Raises
    ConfigError for bars of different times or symbols.
    """
    return merge(bars, quorum=quorum, tolerance=tolerance)[0]


def merge(
    bars: Mapping[str, Bar], *, quorum: int = 2, tolerance: float = 0.005
) -> tuple[Bar | None, dict[str, str]]:
    """`merged_bar`, and which sources it leaves out, and why."""
    if len({(bar.symbol, bar.time) for bar in bars.values()}) > 1:
        raise ConfigError(
            "bars of different times or symbols are not merged", hint="give one bar of each source"
        )
    closes = {source: bar.close for source, bar in bars.items() if _is_sound(bar)}
    counted, middle = agreeing(closes, tolerance)
    left_out = {
        source: f"{closes[source] / middle - 1:+.2%} from the median" if source in closes else "no sound bar"
        for source in bars
        if source not in counted
    }
    enough = len(counted) >= quorum and 2 * len(counted) > len(bars)
    return _weighted([bars[source] for source in counted]) if enough else None, left_out


def _weighted(chosen: Sequence[Bar]) -> Bar:
    total = math.fsum(bar.volume for bar in chosen)

    def mean(name: str) -> float:
        """Never outside of what it is the mean of, as rounding would have it."""
        values: list[float] = [getattr(bar, name) for bar in chosen]
        weights = [bar.volume if total else 1.0 for bar in chosen]
        found = math.fsum(weight * value for weight, value in zip(weights, values, strict=True))
        return min(max(found / (total or len(chosen)), min(values)), max(values))

    open_, close = mean("open"), mean("close")
    high, low = max(mean("high"), open_, close), min(mean("low"), open_, close)
    return Bar(chosen[0].symbol, chosen[0].time, open_, high, low, close, total)


def _is_sound(bar: Bar) -> bool:
    prices: Iterable[float] = (bar.open, bar.high, bar.low, bar.close)
    return (
        all(math.isfinite(price) and price > 0 for price in prices)
        and bar.volume >= 0
        and bar.low <= bar.high
    )
