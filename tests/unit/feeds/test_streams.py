from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import ProviderError
from feeds.live.source import LiveSource
from feeds.live.streams import Streams, Subscription
from feeds.source import Feed


class Session:
    def __init__(self) -> None:
        self.gone = asyncio.Event()


class Venue(Streams):
    """`first` notices that the other end has died while `second` is in the middle of asking it for history."""

    def __init__(self, *, second_times_out: bool) -> None:
        super().__init__("venue", silence_seconds=0.01)
        self._second_times_out = second_times_out
        self.sessions: list[Session] = []

    async def _open(self) -> None:
        if self._session is None:
            self._session = Session()
            self.sessions.append(self._session)

    async def _disconnect(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.gone.set()

    async def _watch(self, following: Subscription) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()

    async def _read_history(self, following: Subscription) -> None:
        if self._usable is self.sessions[0] and following.source.symbol == "second":
            await self.sessions[0].gone.wait()
            if self._second_times_out:
                while len(self.sessions) < 2:
                    await asyncio.sleep(0.01)
                raise TimeoutError
            assert self._usable is not None

    async def _look_after(self, following: Subscription) -> None:
        if self._usable is self.sessions[0]:
            raise TimeoutError

    def _unreachable(self, error: BaseException) -> ProviderError:
        return ProviderError("no venue", provider="venue")


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("second_times_out", [False, True])
def test_a_connection_that_another_source_gave_up_is_opened_again_once(second_times_out: bool) -> None:
    venue = Venue(second_times_out=second_times_out)
    sources: list[LiveSource] = [venue.source(name, "1m", datetime.now(UTC)) for name in ("first", "second")]
    try:
        for source in sources:
            source.start()
        until(lambda: len(venue.sessions) == 2 and all(source.state is Feed.LIVE for source in sources))
        time.sleep(0.3)  # a second source that gave up the new connection, too, would do so now
        assert len(venue.sessions) == 2
    finally:
        venue.close()
