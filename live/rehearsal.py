"""A session against a simulated venue in a process of its own, with faults on demand, and what is checked afterwards.

with rehearsing(settings, "momentum", (), "all") as (rehearsal, plan):
    ...
    verdict = judge(rehearsal.sim, journal, rehearsal.faults)
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from brokers.binance_link import BinanceSettings
from brokers.ibkr_link import IBKRSettings
from brokers.simulators.control import Control
from core.errors import InconsistentState, UserError
from feeds.live.binance import StreamSettings
from feeds.live.ibkr import IBKRStreamSettings
from feeds.market import load
from feeds.source import Feed
from feeds.spacing import parse_timeframe
from live.faults import FaultSchedule, chosen
from live.plan import LivePlan, make_live_plan
from live.profiles import Connection
from live.session import Hooks

if TYPE_CHECKING:
    from core.config import Settings
    from store import Journal

PROGRAMS: Mapping[str, str] = {"binance": "binance", "ibkr": "tws"}
SYMBOLS: Mapping[str, str] = {"binance": "BTC/USDT", "ibkr": "AAPL"}
"""What is traded when nothing is named."""
BARS, SPEED = 120, 240.0
"""Bars after the warm-up, and market seconds a second, when nothing is said."""
START_SECONDS, END_SECONDS, QUIET_SECONDS = 60, 15, 1.0
MINUTE = timedelta(minutes=1)
NOWHERE = Connection("rehearsal", IBKRSettings(), IBKRStreamSettings(), ())
"""Until the simulator says where it is."""


@dataclass(frozen=True, slots=True)
class SimulatedExchange:
    """One that runs. start: market time of its first bar; it stands until `control.run_at`."""

    connection: Connection
    control: Control
    start: datetime


@contextmanager
def exchange(
    venue: str, frames: Mapping[str, pd.DataFrame], symbols: Sequence[str], cash: float, bars: int
) -> Iterator[SimulatedExchange]:
    """A simulated venue that plays `frames`, each bar in a minute; ended with the block, and with this process."""
    start = _first_minute(bars)
    with tempfile.TemporaryDirectory(prefix="tradewright-rehearsal-") as folder:
        market = Path(folder) / "market.csv"
        rows = [frame.assign(symbol=name).reset_index(names="time") for name, frame in frames.items()]
        pd.concat(rows).to_csv(market, index=False)
        command = [sys.executable, "-m", "brokers.simulators", PROGRAMS[venue], "--json", "--attached"]
        command += ["--port", "0", "--market", f"csv:{market}", "--symbols", ",".join(symbols)]
        command += ["--cash", f"{cash:.15g}", "--speed", "0", "--start", start.isoformat()]
        with (Path(folder) / "errors").open("w+") as errors:
            # A session of its own: Ctrl-C ends ours, which then ends this one.
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            try:
                ready = _ready(process, errors)
                yield SimulatedExchange(_connection(venue, ready), Control(ready["control"]), start)
            finally:
                _end(process)


@contextmanager
def rehearsing(
    settings: Settings, strategy: str, resample: Sequence[str], faults: str | None
) -> Iterator[tuple[Rehearsal, LivePlan]]:
    """A simulated venue with the market, and what is to be traded there, as the configuration says."""
    venue = settings.broker.name
    names = chosen(venue, faults)
    market = load(settings.data.source, settings=settings.data.model_copy(update={"timeframe": None}))
    data = settings.data.model_copy(update={"symbols": settings.data.symbols or SYMBOLS[venue]})
    live = settings.live.model_copy(update={"bot": f"{settings.live.bot}-rehearsal"[-64:], "backfill": 0})
    wanted = settings.model_copy(update={"data": data, "live": live})
    plan = make_live_plan(wanted, strategy, NOWHERE, resample, rehearsed=True)
    minutes = minutes_of(parse_timeframe(plan.timeframe))
    bars = bars_to_play(market.frames, minutes, live.bars or plan.warm_up + BARS)
    with exchange(venue, market.frames, plan.symbols, settings.broker.cash, bars * minutes) as sim:
        ending = live.model_copy(update={"bars": bars})
        plan = replace(
            plan,
            settings=wanted.model_copy(update={"live": ending}),
            connection=sim.connection,
            since=sim.start,
        )
        rehearsal = Rehearsal(
            sim, plan.symbols, bars, live.speed or SPEED, FaultSchedule(sim.control, venue, names)
        )
        try:
            yield rehearsal, plan
        finally:
            rehearsal.close()


def _first_minute(bars: int) -> datetime:
    """A whole minute that is still to come, with the rest of its day long enough: IBKR forgets a day at its end."""
    now = datetime.now(UTC)
    start = now.replace(second=0, microsecond=0) + 2 * MINUTE
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return start if start + (bars + 10) * MINUTE < midnight else midnight


def _ready(process: subprocess.Popen[str], errors: Any) -> dict[str, Any]:
    stdout = process.stdout
    readable = stdout is not None and select.select([stdout], [], [], START_SECONDS)[0]
    line = stdout.readline() if stdout is not None and readable else ""
    if not line:
        errors.seek(0)
        said = errors.read().strip().splitlines()
        raise UserError(
            f"the simulated venue did not start: {said[-1] if said else 'it said nothing'}",
            hint="see python -m brokers.simulators --help",
        )
    found: dict[str, Any] = json.loads(line)["ready"]
    return found


def _end(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _connection(venue: str, ready: Mapping[str, Any]) -> Connection:
    """Impatient, since everything is near and time passes quickly."""
    address = ((str(ready["host"]), int(ready["port"])),)
    if venue == "binance":
        rest, streams = ready["rest"], ready["streams"]
        broker = BinanceSettings(
            ready["key"],
            ready["secret"],
            rest,
            streams,
            ready["websocket-api"],
            recv_window=2_000,
            timeout_seconds=2.0,
            ping_seconds=1.0,
        )
        feed = StreamSettings(rest, streams, timeout_seconds=2.0, ping_seconds=1.0, silence_seconds=1.5)
        return Connection(venue, broker, feed, address, simulated=True)
    host, port = address[0]
    gateway = IBKRSettings(host=host, port=port, answer=2.0, heartbeat=1.0, overdue=0.5, review=3.0)
    bars = IBKRStreamSettings(host=host, port=port, answer=2.0, silence_seconds=1.5)
    return Connection(venue, gateway, bars, address, simulated=True)


@dataclass(slots=True)
class Rehearsal:
    """Lets the market begin when the session hears it, brings faults about, and ends the session after `bars` bars."""

    sim: SimulatedExchange
    symbols: Sequence[str]
    bars: int
    speed: float
    faults: FaultSchedule
    _live: set[str] = field(default_factory=set)
    _stop: Callable[[], None] = lambda: None
    _ending: threading.Timer | None = None

    def hooks(self) -> Hooks:
        """What the session is to tell."""
        return Hooks(on_bar=self.on_bar, on_state=self.on_state, on_open=self.on_open)

    def on_open(self, stop: Callable[[], None]) -> None:
        """The session is connected."""
        self._stop = stop

    def on_state(self, symbol: str, state: Feed) -> None:
        """The first time that every symbol is heard, the market begins."""
        if state is not Feed.LIVE or self._live.issuperset(self.symbols):
            return
        self._live.add(symbol)
        if self._live.issuperset(self.symbols):
            self.sim.control.run_at(self.speed)
            self.faults.start()

    def on_bar(self, bars: int) -> None:
        """After the last one the market stands; the session ends once it has heard what came of its orders."""
        if bars >= self.bars and self._ending is None:
            self.sim.control.run_at(0)
            self.faults.stop()
            self._ending = threading.Timer(QUIET_SECONDS, self._stop)
            self._ending.daemon = True
            self._ending.start()

    def close(self) -> None:
        """End what runs beside the session."""
        self.faults.stop()
        if self._ending is not None:
            self._ending.cancel()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rehearsal has shown: faults met and not met, and what was counted on both sides."""

    met: tuple[str, ...]
    not_met: tuple[str, ...]
    orders: int
    fills: int

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "faults_met": list(self.met),
            "faults_not_met": list(self.not_met),
            "orders": self.orders,
            "fills": self.fills,
            "invariants": "held",
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"faults met: {', '.join(self.met)}"] if self.met else []
        if self.not_met:
            lines.append(f"faults not met, for want of orders or time: {', '.join(self.not_met)}")
        lines.append(
            f"invariants held: {self.orders} orders and {self.fills} fills, each once in the journal and at the venue"
        )
        return lines


def judge(sim: SimulatedExchange, journal: Journal, faults: FaultSchedule) -> Verdict:
    """Compare what the venue has with what the journal says. Raises InconsistentState where they differ."""
    if faults.failure is not None:
        raise faults.failure
    state = sim.control.state()
    ours = {number: order for number, order in state["orders"].items() if not order["external"]}
    problems = _doubled(ours) + _unmatched(ours, journal)
    executions = [each for each in state["executions"] if str(each["order_id"]) in ours]
    fills = journal.fills()
    if len(executions) != len(fills):
        problems.append(f"the venue executed {len(executions)} times, the journal has {len(fills)} fills")
    if problems:
        raise InconsistentState(
            f"the rehearsal failed: {'; '.join(problems)}", hint="the run's log.jsonl tells what happened"
        )
    not_met = tuple(name for name in faults.names if name not in faults.met)
    return Verdict(tuple(faults.met), not_met, len({_decision(order) for order in ours.values()}), len(fills))


def _decision(order: Mapping[str, Any]) -> str:
    """Our client id; an order that was changed has it with a number behind."""
    return str(order["client_id"]).partition(".")[0]


def _doubled(orders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    counted = Counter(str(order["client_id"]) for order in orders.values())
    return [f"order {client_id} is there {count} times" for client_id, count in counted.items() if count > 1]


def _unmatched(orders: Mapping[str, Mapping[str, Any]], journal: Journal) -> list[str]:
    """Orders of one side alone: a journalled one that was refused, or lost before the venue had it, is on none."""
    at_venue = {_decision(order) for order in orders.values()}
    journalled = {order.intent.client_id: order for order in journal.orders()}
    problems = [
        f"order {client_id} is not in the journal" for client_id in sorted(at_venue - set(journalled))
    ]
    for client_id, order in journalled.items():
        if client_id not in at_venue and order.status not in ("rejected", "margin"):
            problems.append(f"order {client_id} ({order.status}) is not at the venue")
    return problems


def bars_to_play(frames: Mapping[str, pd.DataFrame], minutes_a_bar: int, wanted: int) -> int:
    """How many whole bars the market has, at most those wanted; the last minute never ends."""
    have = (min(map(len, frames.values())) - 1) // minutes_a_bar
    if have < 1:
        raise UserError("the market is too short to rehearse on", hint="name another with --data")
    return min(wanted, have)


def minutes_of(step_nanoseconds: int) -> int:
    """Minutes a bar. Raises UserError for less than one: the simulators play minutes."""
    minutes = step_nanoseconds / (60 * 10**9)
    if minutes < 1 or not math.isclose(minutes, round(minutes)):
        raise UserError("a rehearsal plays whole minutes", hint="take --timeframe 1m or a multiple")
    return round(minutes)
