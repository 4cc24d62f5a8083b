"""A day of a live session in a few minutes: does its memory stay flat, and does every bar come, once?

Five symbols' one-minute bars from a simulated venue, which is a process of its own, through the real client library,
journal and database; the market's time passes so many times faster than the clock.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt

from benchmarks.child import in_child
from benchmarks.markets import market
from benchmarks.measure import Row
from core.types import Bar, OrderIntent

DAY, SPEED = 1_440, 600.0
WARM_UP = 240
"""Bars after which memory counts: everything that is made once has been made."""
MEGABYTE = 2**20
MINUTE = timedelta(minutes=1)
SYMBOLS: Mapping[str, tuple[str, ...]] = {
    "binance": ("BTC/USDT", "ETH/USDT", "SOL/USDT", "ADA/USDT", "XRP/USDT"),
    "ibkr": ("AAPL", "MSFT", "AMZN", "GOOG", "META"),
}


KEEPERS = frozenset(
    {"backtrader", "brokers", "core", "engine", "eventkit", "feeds", "ib_async", "live", "store"}
)


class InTurns(bt.Strategy):
    """Each symbol in its turn is bought, with a stop beside it, and sold again; two orders are changed a bar at most."""

    params = (("every", 8),)

    def __init__(self) -> None:
        self.stops: dict[Any, bt.Order] = {}

    def next(self) -> None:
        turn, rest = divmod(len(self), self.p.every)
        if rest:
            return
        data = self.datas[turn % len(self.datas)]
        stop = self.stops.pop(data, None)
        if stop is not None and stop.alive():
            self.cancel(stop)
        if self.getposition(data).size:
            self.close(data)
        else:
            self.buy(data, size=1)
            self.stops[data] = self.sell(data, size=1, exectype=bt.Order.Stop, price=data.close[0] * 0.97)


@dataclass(slots=True)
class Memory:
    """What the process holds after `first` bars and after `last`. looks: bytes, and objects by type, at either."""

    first: int
    last: int
    looks: list[tuple[int, Counter[type]]] = field(default_factory=list)

    def on_bar(self, bars: int) -> None:
        """Look, once a bar."""
        if bars in (self.first, self.last):
            self.looks.append((held_bytes(), kept_objects()))

    @property
    def grown_bytes(self) -> int:
        """Bytes more than at the first look."""
        return self.looks[-1][0] - self.looks[0][0]

    @property
    def grown_objects(self) -> tuple[int, int]:
        """Objects more than at the first look, and how many orders' intents are among them."""
        more = self.looks[-1][1].copy()
        more.subtract(self.looks[0][1])
        return more.total(), more[OrderIntent]


def kept_objects() -> Counter[type]:
    """Objects of the project and of the libraries that keep orders; bars, some of which are on their way, are left out."""
    kinds = (type(each) for each in gc.get_objects())
    return Counter(kind for kind in kinds if kind is not Bar and _keeps(kind))


def _keeps(kind: type) -> bool:
    return str(getattr(kind, "__module__", "")).partition(".")[0] in KEEPERS


def held_bytes() -> int:
    """Resident memory, after garbage is collected and what is free was given back to the system. Linux alone."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def missing_and_doubled(
    seen: Sequence[tuple[str, datetime]], symbols: Sequence[str], start: datetime, bars: int
) -> tuple[int, int]:
    """Bars of a market that begins at `start` that never came, and those that came more than once."""
    counted = Counter(seen)
    wanted = [(symbol, start + MINUTE * (number + 1)) for symbol in symbols for number in range(bars)]
    return sum(each not in counted for each in wanted), sum(counted.values()) - len(counted)


def live_day(venue: str, bars: int, speed: float, warm_up: int = WARM_UP) -> dict[str, Any]:
    """One session over so many bars, in this process: what grew, what was lost, seconds by the clock and of work."""
    import store
    from core.config import load_settings
    from live.rehearsal import judge, rehearsing
    from live.session import start, trade

    symbols, memory = SYMBOLS[venue], Memory(warm_up, bars)
    with tempfile.TemporaryDirectory(prefix="tradewright-day-") as name:
        folder = Path(name)
        _write_market(folder / "market.csv", symbols, bars)
        given = {
            "broker.name": venue,
            "data.source": f"csv:{folder / 'market.csv'}",
            "data.symbols": ",".join(symbols),
            "live.bars": bars,
            "live.speed": speed,
            "log.console": "off",
        }
        settings = load_settings(cli=given, env={}, dotenv=None)
        with (
            rehearsing(settings, f"{__file__}:InTurns", (), None) as (rehearsal, plan),
            store.open_store(f"sqlite:///{folder}/day.db") as database,
        ):
            run, hooks = start(plan, database, folder / "run"), rehearsal.hooks()
            hooks = replace(hooks, on_bar=_both(memory.on_bar, hooks.on_bar))
            began, worked = time.perf_counter(), time.process_time()
            trade(plan, database, run, hooks, record=folder / "seen.csv")
            seconds, work = time.perf_counter() - began, time.process_time() - worked
            verdict = judge(rehearsal.sim, database.journal(run.run_id), rehearsal.faults)
        lost, doubled = missing_and_doubled(
            _read_seen(folder / "seen.csv"), symbols, rehearsal.sim.start, bars
        )
    grown_objects, grown_orders = memory.grown_objects
    return {
        "grown_bytes": memory.grown_bytes,
        "grown_objects": grown_objects,
        "grown_orders": grown_orders,
        "held_bytes": memory.looks[-1][0],
        "lost": lost,
        "doubled": doubled,
        "orders": verdict.orders,
        "fills": verdict.fills,
        "seconds": seconds,
        "work_seconds": work,
    }


def days() -> list[Row]:
    """A day at each venue, in a process of its own."""
    group = f"a day live, {DAY:,} bars of {len(SYMBOLS['binance'])} symbols at {SPEED:g} times its speed"
    return [_row(group, venue) for venue in SYMBOLS]


def _row(group: str, venue: str) -> Row:
    found = in_child({"what": "day", "venue": venue, "bars": DAY, "speed": SPEED})
    if "failed" in found:
        return Row(group, venue, math.nan, math.nan, note=f"failed: {found['failed']}")
    note = (
        f"{found['grown_bytes'] / MEGABYTE:+.1f} MB since bar {WARM_UP} (of {found['held_bytes'] / MEGABYTE:.0f}), "
        f"{found['lost']} bars lost, {found['doubled']} doubled; {found['orders']} orders, {found['fills']} fills; "
        f"{found['work_seconds']:.0f} s of work"
    )
    return Row(group, venue, found["seconds"], math.nan, note=note)


def _both(first: Callable[[int], None], second: Callable[[int], None]) -> Callable[[int], None]:
    def both(bars: int) -> None:
        first(bars)
        second(bars)

    return both


def _write_market(file: Path, symbols: Sequence[str], bars: int) -> None:
    import pandas as pd

    frames = [
        market(bars + 2, seed).assign(symbol=symbol).reset_index(names="time")
        for seed, symbol in enumerate(symbols)
    ]
    pd.concat(frames).to_csv(file, index=False)


def _read_seen(file: Path) -> list[tuple[str, datetime]]:
    import pandas as pd

    seen = pd.read_csv(file, parse_dates=["time"])
    return list(zip(seen["symbol"], seen["time"].dt.to_pydatetime(), strict=True))
