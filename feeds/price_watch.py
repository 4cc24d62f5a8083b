"""Best bid and ask at several exchanges, asked again and again while a session runs, and what they agree on.

watch = PriceWatch([PriceSource("binance"), PriceSource("kraken")], ["BTC/USDT"])
watch.start()
watch.agreed("BTC/USDT")    # Agreed(price=..., sources=("binance", "kraken"), left_out={})

A quote counts from the moment at which the exchange was asked, so that one that answers late, or no more, is stale.
"""

from __future__ import annotations

import threading
import time as wall
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from core.clock import Clock, WallClock
from core.connect import ccxt_session, public_only
from core.telemetry import get_logger
from feeds.consensus import Agreed, Consensus

WALL_CLOCK = WallClock()
DEPTH = 5

log = get_logger("feeds.consensus")


@dataclass(frozen=True, slots=True)
class PriceSource:
    """One exchange. name: what it is called here. exchange: ccxt's id of it. rest: an address other than its own."""

    name: str
    exchange: str = ""
    rest: str = ""


class PriceWatch:
    """Asks each source for each symbol every `poll_seconds`, on a thread of its own a source.

    quorum, tolerance, max_age: see `feeds.Consensus`.
    """

    def __init__(
        self,
        sources: Iterable[PriceSource],
        symbols: Sequence[str],
        *,
        quorum: int = 2,
        tolerance: float = 0.005,
        max_age: timedelta = timedelta(seconds=10),
        poll_seconds: float = 2.0,
        clock: Clock = WALL_CLOCK,
    ) -> None:
        self.sources = tuple(sources)
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._consensus = {
            symbol: Consensus(quorum, tolerance=tolerance, max_age=max_age) for symbol in symbols
        }
        self._over = threading.Event()
        self._asked = {source.name: threading.Event() for source in self.sources}
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._follow, args=(source,), name=f"{source.name} prices", daemon=True)
            for source in self.sources
        ]

    def start(self, patience: float = 0.0) -> None:
        """Begin to ask, and wait until everybody was asked once, `patience` seconds at most."""
        for thread in self._threads:
            thread.start()
        end = wall.monotonic() + patience
        for source in self.sources:
            self._asked[source.name].wait(max(0.0, end - wall.monotonic()))

    def stop(self) -> None:
        """Ask no more. A question on its way is not waited for."""
        self._over.set()

    def agreed(self, symbol: str) -> Agreed:
        """What the sources agree on now; those that have never answered are left out, too."""
        with self._lock:
            found = self._consensus[symbol].price(self._clock.now())
        silent = {s.name for s in self.sources} - {*found.sources, *found.left_out}
        left_out = {**found.left_out, **dict.fromkeys(silent, "no answer yet")}
        return Agreed(found.price, found.sources, dict(sorted(left_out.items())))

    def _follow(self, source: PriceSource) -> None:
        import ccxt

        session, answers = _session(source), True
        while not self._over.is_set():
            for symbol in self._consensus:
                try:
                    self._ask(session, source, symbol)
                    if not answers:
                        log.info("consensus.answers", source=source.name)
                    answers = True
                except ccxt.BaseError as error:
                    if answers:
                        log.warning("consensus.silent", source=source.name, reason=f"{error}"[:200])
                    answers = False
            self._asked[source.name].set()
            self._over.wait(self._poll_seconds)

    def _ask(self, session: Any, source: PriceSource, symbol: str) -> None:
        asked = self._clock.now()
        book = session.fetch_order_book(symbol, DEPTH)
        if book["bids"] and book["asks"]:
            bid, ask = float(book["bids"][0][0]), float(book["asks"][0][0])
            with self._lock:
                self._consensus[symbol].hear(source.name, asked, bid=bid, ask=ask)


def problem_of(source: PriceSource, symbol: str) -> str:
    """Why a source has no price of a symbol; empty when it has."""
    import ccxt

    try:
        book = _session(source).fetch_order_book(symbol, DEPTH)
    except ccxt.BadSymbol:
        return f"{source.name} does not list {symbol}"
    except ccxt.BaseError as error:
        return f"{source.name} does not answer ({type(error).__name__})"
    return "" if book["bids"] and book["asks"] else f"{source.name} quotes no {symbol}"


def _session(source: PriceSource) -> Any:
    return public_only(ccxt_session(source.exchange or source.name), source.rest)
