"""The real ccxt library over a real socket, against a local server that answers like Binance Spot."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

import feeds
from core.clock import SimulatedClock
from core.config import DataSettings
from core.connect import ccxt_session
from core.errors import ProviderError, UnknownNameError
from feeds import market as market_module
from feeds.historical.ccxt import CcxtProvider
from feeds.history import breaker_of

MINUTE = 60_000
START = pd.Timestamp("2024-03-04", tz="UTC")
# A timer may fire a little early, and a request leaves a little before it arrives.
TIMER_SLACK = 0.9

EXCHANGE_INFO = {
    "timezone": "UTC",
    "serverTime": 0,
    "rateLimits": [],
    "exchangeFilters": [],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": ["SPOT"],
            "permissionSets": [["SPOT"]],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
            ],
        }
    ],
}


@dataclass
class Exchange:
    """Bars for every minute up to `now`, the last of them open. Writes down every request for bars."""

    bars: pd.DataFrame
    now: pd.Timestamp
    url: str = ""
    down: bool = False
    asked: list[dict[str, int]] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if self.down:
            return 503, "Service Unavailable"
        if path.endswith("/klines"):
            wanted = {key: int(query[key][0]) for key in ("startTime", "limit")}
            self.asked.append(wanted)
            self.arrived.append(time.monotonic())
            return 200, self.klines(**wanted)
        self.others.append(path)
        return (200, EXCHANGE_INFO) if path.endswith("/exchangeInfo") else (404, {"code": -1, "msg": path})

    def klines(self, startTime: int, limit: int) -> list[list[object]]:  # noqa: N803
        shown = self.bars[(self.bars.index.as_unit("ms").asi8 >= startTime) & (self.bars.index <= self.now)]
        return [
            [stamp, *(f"{value:.8f}" for value in row), stamp + MINUTE - 1, "0", 1, "0", "0", "0"]
            for stamp, row in zip(
                shown.index[:limit].as_unit("ms").asi8.tolist(),
                shown.to_numpy()[:limit].tolist(),
                strict=True,
            )
        ]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    size = 6000
    steps = np.random.default_rng(11).normal(0, 0.001, size)
    close = np.round(40_000 * np.exp(np.cumsum(steps)), 2)
    open_ = np.concatenate(([40_000.0], close[:-1]))
    bars = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) + 1,
            "low": np.minimum(open_, close) - 1,
            "close": close,
            "volume": np.arange(size) / 8,
        },
        index=pd.date_range(START, periods=size, freq="min", name="time").as_unit("ns"),
    )
    state = Exchange(bars, bars.index[-1])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            status, value = state.answer(url.path, parse_qs(url.query))
            body = (value if isinstance(value, str) else json.dumps(value)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def local_session(url: str) -> Any:
    """Binance's own class of ccxt, spot only, with every address on this machine."""
    session = ccxt_session(
        "binance",
        options={"options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False}},
    )
    session.has["fetchCurrencies"] = False
    session.urls["api"] = {key: f"{url}/{key}" for key in session.urls["api"]}
    return session


@pytest.fixture
def provider(exchange: Exchange) -> CcxtProvider:
    return CcxtProvider("binance", lambda: local_session(exchange.url))


@pytest.fixture
def load(exchange: Exchange, provider: CcxtProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`feeds.load` with the exchange's own clock and a cache of its own."""
    monkeypatch.setattr(market_module, "provider_for", lambda reference, options: provider)
    settings = DataSettings.model_validate({"cache_dir": str(tmp_path / "cache")})

    def call(**options: Any) -> feeds.Market:
        clock = SimulatedClock(exchange.now.to_pydatetime(warn=False))
        options = {"start": "2024-03-04", **options}
        return feeds.load("binance:BTC/USDT:1m", settings=settings, clock=clock, **options)

    return call


@pytest.mark.parametrize(("bars", "calls"), [(1, 1), (999, 1), (1000, 1), (1001, 2), (3000, 3), (3500, 4)])
def test_pages_of_a_thousand_bars(exchange: Exchange, provider: CcxtProvider, bars: int, calls: int) -> None:
    """D7: ceil(n) calls, each within the exchange's limit; D8: every bar once, to the last bit."""
    frame = provider.fetch("BTC/USDT", "1m", START, START + pd.Timedelta(minutes=bars))
    assert len(exchange.asked) == calls
    assert max(each["limit"] for each in exchange.asked) <= 1000
    pd.testing.assert_frame_equal(frame, exchange.bars.iloc[:bars], check_freq=False, check_exact=True)


def test_requests_keep_the_exchange_rate_limit(exchange: Exchange) -> None:
    """D7: the weight of a page of 1,000 bars at Binance's pace between any page and the next."""
    session = local_session(exchange.url)
    cost = session.calculate_rate_limiter_cost(
        "public", "GET", "klines", {"limit": 1000}, session.api["public"]["get"]["klines"]
    )
    session.rateLimit = 1000
    CcxtProvider("binance", lambda: session).fetch(
        "BTC/USDT", "1m", START, START + pd.Timedelta(minutes=5000)
    )
    assert len(exchange.arrived) == 5
    pause = session.rateLimit / 1000 * cost
    assert pause > 0.3
    assert exchange.arrived[-1] - exchange.arrived[0] >= 4 * pause * TIMER_SLACK


def test_loaded_bars_equal_the_exchange_and_the_open_bar_is_dropped(exchange: Exchange, load: Any) -> None:
    """D8"""
    exchange.now = START + pd.Timedelta(minutes=2500, seconds=30)
    market = load()
    expected = exchange.bars.iloc[:2500]
    assert exchange.klines(0, 6000)[-1][0] == (START + pd.Timedelta(minutes=2500)).value // 10**6
    pd.testing.assert_frame_equal(market.frames["BTC/USDT"], expected, check_freq=False, check_exact=True)
    assert market.info.source == "binance:BTC/USDT:1m"
    assert market.info.notes == ("2,500 bars fetched from binance, 0 from the cache",)


def test_second_run_makes_no_call_and_time_asks_for_the_tail_only(exchange: Exchange, load: Any) -> None:
    """D6: no network at all the second time, not even for the list of markets."""
    exchange.now = START + pd.Timedelta(minutes=1500)
    first = load()
    calls = len(exchange.asked), len(exchange.others)
    assert calls == (2, 1)
    exchange.down = True
    second = load()
    assert (len(exchange.asked), len(exchange.others)) == calls
    assert second.info.notes == ("all 1,500 bars from the cache, nothing requested",)
    pd.testing.assert_frame_equal(first.frames["BTC/USDT"], second.frames["BTC/USDT"])
    exchange.down = False
    exchange.now = START + pd.Timedelta(minutes=1510)
    third = load()
    assert len(exchange.asked) == calls[0] + 1
    asked = exchange.asked[-1]
    assert pd.Timestamp(asked["startTime"], unit="ms", tz="UTC") > first.info.end
    assert asked["limit"] <= 11
    pd.testing.assert_frame_equal(
        third.frames["BTC/USDT"], exchange.bars.iloc[:1510], check_freq=False, check_exact=True
    )


def test_an_exchange_that_is_down_falls_back_to_the_cache(exchange: Exchange, load: Any) -> None:
    """D14"""
    exchange.now = START + pd.Timedelta(minutes=100)
    load()
    exchange.down = True
    exchange.now = START + pd.Timedelta(minutes=200)
    market = load()
    assert market.info.bars == 100
    assert market.info.notes == (
        "binance did not answer (ExchangeNotAvailable); used cached bars up to 2024-03-04 01:39:00",
    )
    assert load(offline=True).info.notes == ("offline; used cached bars up to 2024-03-04 01:39:00",)


def test_another_exchange_serves_while_one_is_down(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D15: over real sockets; the exchange that answered is named."""

    def provided(reference: Any, options: DataSettings) -> CcxtProvider:
        url = exchange.url if reference.scheme == "kraken" else "http://127.0.0.1:9"
        made = CcxtProvider("binance", lambda: local_session(url))
        made.name = reference.scheme
        return made

    breaker_of.cache_clear()
    monkeypatch.setattr(market_module, "provider_for", provided)
    settings = DataSettings.model_validate({"cache_dir": str(tmp_path), "fallback": "kraken"})
    exchange.now = START + pd.Timedelta(minutes=100)
    market = feeds.load(
        "coinbase:BTC/USDT:1m",
        settings=settings,
        start=START.to_pydatetime(),
        clock=SimulatedClock(exchange.now.to_pydatetime()),
    )
    assert market.info.source == "kraken:BTC/USDT:1m"
    assert market.info.notes[0].startswith("coinbase did not answer (")
    assert market.info.notes[1] == "100 bars fetched from kraken, 0 from the cache"
    breaker_of.cache_clear()


def test_a_refused_connection_without_a_cache_is_one_line(exchange: Exchange) -> None:
    """D14"""
    provider = CcxtProvider("binance", lambda: local_session("http://127.0.0.1:9"))
    with pytest.raises(ProviderError, match="binance did not answer") as failed:
        provider.fetch("BTC/USDT", "1m", START, START + pd.Timedelta(minutes=5))
    assert "\n" not in str(failed.value)
    assert exchange.asked == []


def test_unknown_symbols_and_timeframes_offer_what_there_is(provider: CcxtProvider) -> None:
    """D8"""
    with pytest.raises(UnknownNameError, match="did you mean BTC/USDT"):
        provider.fetch("BTC/USD", "1m", START, START + pd.Timedelta(minutes=5))
    with pytest.raises(UnknownNameError, match="known: 1s, 1m"):
        provider.fetch("BTC/USDT", "7m", START, START + pd.Timedelta(minutes=5))


WORKER = """
import sys
import pandas as pd
from pathlib import Path
from feeds.cache import BarCache, Series
from feeds.history import fetch_history

class Provider:
    name, revises = "slow", False
    def fetch(self, symbol, timeframe, start, stop):
        with open(sys.argv[2], "a") as calls:
            calls.write("call\\n")
        index = pd.date_range(start, stop, freq="min", inclusive="left", name="time").as_unit("ns")
        return pd.DataFrame({c: 1.0 for c in ("open", "high", "low", "close", "volume")}, index=index)

print("ready", flush=True)
sys.stdin.readline()
stamp = lambda text: pd.Timestamp(text, tz="UTC").as_unit("ns")
frame, notes = fetch_history(
    Provider(), Series("slow", "ABC", "1m"), BarCache(Path(sys.argv[1])),
    start=stamp("2024-03-04"), end=None, now=stamp("2024-03-05"),
)
print(len(frame))
"""


def test_processes_that_want_the_same_bars_fetch_them_once(tmp_path: Path) -> None:
    """D6: started together, one fetches while the others wait for its file."""
    script, calls = tmp_path / "worker.py", tmp_path / "calls"
    script.write_text(textwrap.dedent(WORKER))
    workers = [
        subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "cache"), str(calls)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(feeds.__file__).parents[1]), "PATH": "/usr/bin:/bin"},
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    answers = [worker.communicate(timeout=60)[0] for worker in workers]
    assert answers == ["1440\n"] * 4
    assert calls.read_text() == "call\n"
