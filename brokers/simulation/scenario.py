"""One seed, from its first bar to the quiet at its end: lives that die and come back, and what is checked meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import Engine

from brokers.base import Venue
from brokers.bookkeeping import Bookkeeper
from brokers.executor import Executor
from brokers.risk import Limits, RiskGate
from brokers.simulation.faults import Faults
from brokers.simulation.invariants import Invariants, Told, Violation
from brokers.simulation.loop import LoopClock, Stuck, VirtualLoop
from brokers.simulation.market import BAR_SECONDS, CASH, START, SYMBOL, Market
from brokers.simulation.mortality import Died, Disk, Life, MortalDatabase
from brokers.simulation.network import Network
from brokers.simulation.session import simulated_venue
from brokers.simulation.trader import Plans, Trader
from brokers.working import Entries, WorkingVenue
from core.errors import InconsistentState, OutcomeUnknown, VenueFatal, VenueTransient
from core.types import Bar
from store import Journal, Store
from store.database import Database

RUN = "simulated"
FEWEST_BARS, MOST_BARS = 4, 10
QUIET_BARS = 3
MOST_LIVES = 60
AWAY_SECONDS = (0.5, 90.0)
BAR_IS_OLD = 1.5 * BAR_SECONDS


@dataclass(slots=True)
class Outcome:
    """What one seed came to. violation: empty when everything held. digest: of the whole trace."""

    seed: int
    violation: str = ""
    lives: int = 0
    orders: int = 0
    fills: int = 0
    points: int = 0
    longest_bare: float = 0.0
    struck: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Equal for equal runs."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()[:16]


class Scenario:
    """One seed on one fresh database."""

    def __init__(self, seed: int, engine: Engine) -> None:
        random = Random(f"{seed} scenario")
        self.outcome = Outcome(seed)
        self._seed = seed
        self._engine = engine
        self._loop = VirtualLoop()
        self._last_bar = random.randint(FEWEST_BARS, MOST_BARS)
        self._flat_at_end = random.random() < 0.5
        self._limits = _limits(random)
        self._entries = _entries(Random(f"{seed} entries"))
        self._random = random
        self._life: Life | None = None
        self._told: list[Told] = []
        self._disk, self._plans = Disk(), Plans()
        self._store = Store(Database(engine))
        self._store.runs.create(RUN, bot=RUN, strategy="simulated", started=START)
        self._faults = Faults.of_seed(seed, self._last_bar * BAR_SECONDS)
        self._market = Market(self._loop, seed, self._faults)
        self._invariants = Invariants(
            self._market,
            self._store,
            RUN,
            self._disk,
            self._plans,
            self._limits,
            up=self._up,
            now=self._loop.time,
        )
        self._market.exchange.books.listen(self._judged)
        self._network = Network(self._loop, self._market, self._faults, self._note)
        self._market.on_tick.append(self._on_tick)
        self._clock = LoopClock(self._loop, START, self._faults.skew)
        self._failed = asyncio.Event()

    def run(self) -> Outcome:
        """The whole of it. Whatever is wrong is in the outcome."""
        loop, outcome = self._loop, self.outcome
        loop.set_exception_handler(self._on_stray)
        loop.on_round = self._on_round
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._lives())
        except (Violation, Stuck) as found:
            self._fail(str(found))
        finally:
            if self._life is not None:
                self._life.alive = False
            loop.wind_up()
            loop.run_until_complete(self._bury())
            asyncio.set_event_loop(None)
            loop.close()
        outcome.struck = self._faults.struck
        outcome.longest_bare = self._invariants.longest_bare
        outcome.orders = len(self._market.exchange.books.state.orders)
        outcome.fills = len(self._market.exchange.books.state.executions)
        return outcome

    # -- lives

    async def _lives(self) -> None:
        while self.outcome.lives < MOST_LIVES:
            self.outcome.lives += 1
            life = self._born()
            work = asyncio.create_task(self._live(life), name=f"life {life.number}")
            over = asyncio.create_task(life.over.wait(), name="over")
            await asyncio.wait([work, over], return_when=asyncio.FIRST_COMPLETED)
            self.outcome.points += life.points
            done = work.done() and life.alive and work.exception() is None and work.result()
            failure = work.exception() if work.done() and not work.cancelled() else None
            life.alive = False
            await self._bury()
            self._raise_found()
            self._invariants.check_told(self._told)
            if done:
                self._invariants.check_quiet(self._told)
                return
            self._judge_end(failure)
            await asyncio.sleep(self._random.uniform(*AWAY_SECONDS))
        raise Violation(f"no end after {MOST_LIVES} lives")

    def _born(self) -> Life:
        dies_at, dies_in = self._faults.death()
        if dies_in is not None:
            dies_in += self._loop.rounds
        life = Life(self.outcome.lives, self._note, dies_at, dies_in)
        self._life, self._told = life, []
        self._note(f"life {life.number} begins")
        return life

    async def _live(self, life: Life) -> bool:
        """One process: recover, trade, and end when all is quiet; True then."""
        executor, news = self._executor(life)
        try:
            await executor.start()
        except BaseException:
            await executor.stop()
            raise
        life.ready = True
        self._note(f"ready, {'recovering' if executor.recovering else 'nothing to repeat'}")
        trader = Trader(
            self._seed, executor, self._plans, last_bar=self._last_bar, flat_at_end=self._flat_at_end
        )
        try:
            await self._trade(life, executor, trader, news)
            trader.hear_end(await executor.wind_up())
            await executor.finish()
        finally:
            self._told = trader.told
            await executor.stop()
        return True

    def _executor(self, life: Life) -> tuple[Executor, asyncio.Event]:
        """What a session is made of, on this life's disks and network."""
        kept = Store(MortalDatabase(self._engine, life.point))
        journal: Journal = kept.journal(RUN)
        venue: Venue = simulated_venue(self._market, self._network, life, self._clock, self._disk)
        if self._entries is not None:
            venue = WorkingVenue(venue, self._entries, journal, clock=self._clock)
        gate = RiskGate(self._limits, save=lambda state: journal.save_risk("daily_loss", state.as_dict()))
        books = Bookkeeper(kept.trades(RUN), kept.positions(RUN))
        executor = Executor(venue, journal, gate, on_step=life.point, book=books.book, cash=CASH)
        news = asyncio.Event()
        executor.on_news = news.set
        return executor, news

    async def _trade(self, life: Life, executor: Executor, trader: Trader, news: asyncio.Event) -> None:
        """What Backtrader's loop does with a live data: news first, then the bar that is due, then wait."""
        number, last, heard = 0, self._last_bar + QUIET_BARS, -1
        while True:
            if executor.news:
                await trader.on_news(await executor.between_bars())
            elif number < len(self._market.bars) and self._loop.time() >= self._market.bar_due(number + 1):
                number += 1
                await self._step(executor, trader, number, self._market.bars[number - 1])
            elif executor.missed:
                await trader.on_news(await executor.between_bars())
            elif number >= last:
                return
            else:
                news.clear()
                wait = self._market.bar_due(number + 1) - self._loop.time()
                try:
                    async with asyncio.timeout(max(wait, 0.001)):
                        await news.wait()
                except TimeoutError:
                    pass
            if number > self._last_bar:
                self._faults.calm = True
            life.point("turn done")
            if len(trader.told) > heard:
                heard = len(trader.told)
                self._invariants.check_books()

    async def _step(self, executor: Executor, trader: Trader, number: int, bar: Bar) -> None:
        old = self._loop.time() - self._market.bar_due(number) > BAR_IS_OLD
        events = await executor.step(number, bar.time, {SYMBOL: bar}, {SYMBOL} if old else frozenset())
        await trader.on_bar(number, bar, events)

    async def _bury(self) -> None:
        """End what a life leaves running, without letting it do anything more."""
        current = asyncio.current_task()
        while tasks := [task for task in self._loop.tasks if task is not current and not task.done()]:
            if self._life is not None and self._life.alive:
                break
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1.0)
        self._loop.tasks = [task for task in self._loop.tasks if not task.done()]

    # -- what is found

    def _judge_end(self, failure: BaseException | None) -> None:
        """A life that ended by itself: an outage it may not survive is no violation, everything else is."""
        if failure is None or isinstance(failure, Died):
            return
        self._note(f"it ended: {failure!r}")
        if isinstance(failure, InconsistentState):
            if "nobody can say whether" not in failure.message:
                raise Violation(f"a session halted: {failure}")
        elif not isinstance(failure, (VenueTransient, OutcomeUnknown, VenueFatal)):
            raise failure if isinstance(failure, Violation) else Violation(f"a session failed: {failure!r}")

    def _on_stray(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """What failed where nobody waits for it."""
        error = context.get("exception")
        if isinstance(error, Died):
            return
        self._fail(
            str(error) if isinstance(error, Violation) else f"nobody caught {error!r}: {context['message']}"
        )

    def _fail(self, text: str) -> None:
        if not self.outcome.violation:
            self.outcome.violation = text
            self._note(f"VIOLATION: {text}")

    def _raise_found(self) -> None:
        if self.outcome.violation:
            raise Violation(self.outcome.violation)

    def _judged(self, event: Any) -> None:
        self._check(lambda: self._invariants.on_exchange(event))

    def _on_tick(self) -> None:
        self._check(self._invariants.check_protection)

    def _check(self, check: Any) -> None:
        """A violation ends the life in which it happened; it is raised where lives are counted."""
        try:
            check()
        except Violation as found:
            self._fail(str(found))
            if self._life is not None and self._life.alive:
                self._life.die("a violation")

    def _on_round(self, number: int) -> None:
        if self._life is not None:
            self._life.on_round(number)

    def _up(self) -> bool:
        life, network = self._life, self._network
        answers = not network.down and self._loop.time() >= network.troubled_until
        return life is not None and life.alive and life.ready and answers

    def _note(self, text: str) -> None:
        life = self._life.number if self._life is not None else 0
        self.outcome.trace.append(f"{self._loop.seconds:10.3f} {life:2d} {text}")


def _entries(random: Random) -> Entries | None:
    """How market entries are made; half of the seeds leave them as they are."""
    if random.random() < 0.5:
        return None
    bound = Decimal(random.choice(("0.0005", "0.002", "0.01")))
    seconds, times = random.uniform(1, 10), random.randint(1, 5)
    if random.random() < 0.5:
        return Entries(post_only=True, seconds=seconds, times=times, bound=bound)
    return Entries(
        seconds=seconds, times=times, bound=bound, then="market" if random.random() < 0.5 else "cancel"
    )


def _limits(random: Random) -> Limits:
    """Limits of a kind that are reached now and then."""
    size = Decimal(random.choice(("0.8", "1.2"))) if random.random() < 0.5 else None
    loss = Decimal("0.0004") if random.random() < 0.4 else None
    return Limits(
        max_position_size=size, max_daily_loss=loss, oversize="clip" if random.random() < 0.5 else "reject"
    )
