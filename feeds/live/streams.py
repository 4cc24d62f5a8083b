"""What all live sources of bars share: history, then the stream, and both again whenever the connection breaks."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.connect import new_loop
from core.errors import ConfigError, ProviderError, TradewrightError
from core.recovery import Recovery, recovery_of
from core.tasks import end_tasks
from core.telemetry import get_logger
from feeds import spacing
from feeds.live.join import Joiner, Row
from feeds.live.source import LiveSource
from feeds.source import Feed

RECONNECT_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)

log = get_logger("feeds.live")


class ConnectionLostError(ConnectionError):
    """The venue does not answer, or has gone. Handler: the source connects anew."""


@dataclass(slots=True)
class Subscription:
    """One source on its way. rows: complete bars of the stream that nobody has taken; native: the venue's own name."""

    source: LiveSource
    interval: str
    joiner: Joiner
    rows: list[Row] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    native: Any = None
    task: Future[None] | None = None

    def tell(self, row: Row) -> None:
        """The stream has a complete bar."""
        self.rows.append(row)
        self.news.set()


class Streams(ABC):
    """One connection for any number of symbols, on a thread of its own; the first source that starts opens it.

    silence_seconds: how long a stream may say nothing before it is looked after. users: see `shared`.
    """

    def __init__(self, name: str, silence_seconds: float) -> None:
        self.users = 0
        self._name = name
        self._session: Any = None
        self._silence_seconds = silence_seconds
        self._loop = new_loop()
        self._thread = threading.Thread(target=self._serve, name=f"{name} bars", daemon=True)
        self._opening = asyncio.Lock()

    def source(self, symbol: str, interval: str, since: datetime) -> LiveSource:
        """Bars of `symbol` and `interval` (1m, 1h, 1d, ...), the first of which opens at `since` or after.

        Each is stamped at its close. Raises ConfigError for an interval that has no fixed length, DataError for none.
        """
        if interval.endswith(("M", "w")):
            raise ConfigError(
                f"live bars of {interval} are not served", hint="take 1d bars and resample them"
            )
        step = timedelta(microseconds=spacing.parse_timeframe(interval) // 1000)
        joiner = Joiner(symbol, step, int(since.timestamp() * 1000))
        source = LiveSource(
            symbol, start=lambda source: self._start(following), stop=lambda source: self._stop(following)
        )
        following = Subscription(source, interval, joiner)
        return source

    def close(self) -> None:
        """End every source and the connection; calling it again changes nothing."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- what a venue does in its own way

    @abstractmethod
    async def _open(self) -> None:
        """Connect, unless there is a connection. Raises ConnectionLostError."""

    @abstractmethod
    async def _disconnect(self) -> None:
        """End the connection, if there is one."""

    @abstractmethod
    async def _watch(self, following: Subscription) -> asyncio.Future[Any]:
        """Have `following.tell` called with every complete bar; the future ends with the stream.

        Raises ConnectionLostError, or a TradewrightError for what can never be watched.
        """

    @abstractmethod
    async def _read_history(self, following: Subscription) -> None:
        """Put every complete bar that is expected or later. Raises ConnectionLostError."""

    @abstractmethod
    async def _look_after(self, following: Subscription) -> None:
        """Nothing was heard for a while: see that this is the market's doing. Raises ConnectionLostError."""

    @property
    def _usable(self) -> Any:
        """The library's session. Raises ConnectionLostError where another source has just given it up."""
        if self._session is None:
            raise ConnectionLostError("the connection was given up")
        return self._session

    def _lost(self, error: BaseException) -> bool:
        """Whether this error of a client library says that the connection is gone."""
        return recovery_of(error) is Recovery.RETRY

    @abstractmethod
    def _unreachable(self, error: BaseException) -> ProviderError:
        """What to say where there is no venue at the start."""

    # -- the thread

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _start(self, following: Subscription) -> None:
        if self._thread.ident is None:
            self._thread.start()
        if following.task is None:
            following.task = asyncio.run_coroutine_threadsafe(self._follow(following), self._loop)

    def _stop(self, following: Subscription) -> None:
        if following.task is not None:
            following.task.cancel()
        following.source.end()

    async def _end(self) -> None:
        await end_tasks(task for task in asyncio.all_tasks() if task is not asyncio.current_task())
        await self._disconnect()

    async def _follow(self, following: Subscription) -> None:
        source, failures = following.source, 0
        reached, using = False, None
        try:
            while True:
                try:
                    async with self._opening:
                        await self._open()
                    reached, using = True, self._session
                    await self._pass_on(following)
                except TradewrightError as error:
                    source.fail(error)
                    return
                except Exception as error:
                    if not self._lost(error):
                        source.fail(error)
                        raise
                    if not reached:
                        source.fail(self._unreachable(error))
                        return
                    say = log.debug if source.state is Feed.DISCONNECTED else log.warning
                    say("feed.lost", source=self._name, symbol=source.symbol, reason=f"{error!r}"[:200])
                    if isinstance(error, TimeoutError) and self._session is using:
                        await self._disconnect()  # a socket may stay open long after the other end has died
                failures = 0 if source.state is Feed.LIVE else failures + 1
                source.put([Feed.DISCONNECTED])
                await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
        finally:
            source.end()

    async def _pass_on(self, following: Subscription) -> None:
        """Until the connection breaks. What closes while history is read waits in `rows`."""
        following.rows.clear()
        watching = await self._watch(following)
        watching.add_done_callback(lambda done: following.news.set())
        try:
            await self._read_history(following)
            following.source.put([Feed.LIVE])
            while not watching.done():
                if await self._silent(following):
                    await self._look_after(following)
                if following.joiner.have_a_gap(following.rows):
                    await self._read_history(following)
                rows, following.rows = following.rows, []
                following.source.put(following.joiner.follow(rows))
            await watching
        finally:
            await end_tasks([watching])

    async def _silent(self, following: Subscription) -> bool:
        """Wait for a bar or the end of the connection; True when neither came for too long."""
        try:
            async with asyncio.timeout(self._silence_seconds):
                await following.news.wait()
        except TimeoutError:
            return following.source.silent_seconds >= self._silence_seconds
        following.news.clear()
        return False


_shared: dict[Hashable, Streams] = {}


def shared(kind: type[Streams], settings: Hashable) -> Streams:
    """One connection a process for all who give these settings, each of whom calls `release` in the end."""
    make: Any = kind
    streams = _shared.get((kind, settings)) or _shared.setdefault((kind, settings), make(settings))
    streams.users += 1
    return streams


def release(streams: Streams) -> None:
    """One of those who share a connection has finished; the last one ends it."""
    streams.users -= 1
    if streams.users == 0:
        streams.close()
        for key in [key for key, kept in _shared.items() if kept is streams]:
            del _shared[key]
