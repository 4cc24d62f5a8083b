"""An exchange asked for bars through ccxt: what cannot be read is asked for again, what cannot be is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import UserError
from feeds.live import ccxt as live_ccxt
from feeds.live.ccxt import CcxtStreams, CcxtStreamSettings
from feeds.source import Feed
from tests.integration.live_bars import MINUTE, Taker

OPENED = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
START = int(OPENED.timestamp() * 1000)
STEP = 60_000
Ask = Callable[..., Taker]
SETTINGS = CcxtStreamSettings("kraken", settle_seconds=0.0, poll_seconds=0.01, pause_seconds=0.01)


class Exchange:
    """In place of ccxt's session: what it answers, one after another, the last again and again."""

    id = "kraken"
    timeframes = {"1m": "1"}
    markets = {"BTC/USDT": {}}

    def __init__(self, *answers: Any, has: dict[str, bool] | None = None) -> None:
        self.has = {"fetchOHLCV": True, "fetchTime": True, **(has or {})}
        self.answers = list(answers)
        self.asked: list[int | None] = []

    async def load_markets(self) -> Any:
        return self.markets

    async def fetch_time(self) -> int:
        return START + 200 * STEP + STEP // 2

    async def fetch_ohlcv(self, symbol: str, interval: str, since: int | None) -> Any:
        self.asked.append(since)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def close(self) -> None:
        """Nothing is open."""


def rows(*minutes: int) -> list[list[Any]]:
    return [[START + n * STEP, 1.0, 2.0, 0.5, 1.5, None if n == 199 else 3.0] for n in minutes]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """What is taken of an exchange from a minute on."""
    opened = []

    def taker(exchange: Exchange, minute: int, symbol: str = "BTC/USDT", interval: str = "1m") -> Taker:
        monkeypatch.setattr(live_ccxt, "ccxt_polled_session", lambda name, options: exchange)
        streams = CcxtStreams(SETTINGS)
        source = streams.source(symbol, interval, OPENED + minute * MINUTE)
        source.start()
        opened.append(streams)
        return Taker(source)

    yield taker
    for streams in opened:
        streams.close()


def test_nonsense_disconnects_and_the_next_answer_is_taken(ask: Ask) -> None:
    """D16: the bar that is not over stays out, and a volume that is missing makes a bar unsound, not zero."""
    taker = ask(Exchange("garbage", [None], rows(198, 199, 200)), 198)
    taker.until(lambda: taker.feeds[-2:] == [Feed.DISCONNECTED, Feed.LIVE])
    assert [bar.time for bar in taker.bars] == [OPENED + 199 * MINUTE, OPENED + 200 * MINUTE]
    assert math.isnan(taker.bars[1].volume)


def test_where_none_come_for_long_the_newest_are_asked_for(ask: Ask) -> None:
    exchange = Exchange([], rows(150, 199))
    taker = ask(exchange, 0)
    taker.until(lambda: len(taker.bars) == 2)
    assert exchange.asked[:2] == [START, None]


@pytest.mark.parametrize(
    ("symbol", "interval", "serves", "said"),
    [
        ("BTC/USDX", "1m", True, "unknown symbol at kraken 'BTC/USDX'; did you mean BTC/USDT"),
        ("BTC/USDT", "7m", True, "unknown interval at kraken '7m'"),
        ("BTC/USDT", "1m", False, "kraken serves no bars; choose another"),
    ],
)
def test_what_cannot_be_is_said(ask: Ask, symbol: str, interval: str, serves: bool, said: str) -> None:
    taker = ask(Exchange([], has={"fetchOHLCV": serves}), 0, symbol, interval)
    with pytest.raises(UserError, match=said):
        taker.until(lambda: False)
