"""What stands in for ccxt.pro's client beneath `brokers.binance_link`: the same calls, over the simulated network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import ccxt

from brokers.binance import BinanceVenue
from brokers.binance_link import BinanceSettings
from brokers.simulation.loop import LoopClock
from brokers.simulation.market import BASE, NATIVE, QUOTE, SYMBOL, Market
from brokers.simulation.mortality import Disk, Life, MortalLog
from brokers.simulation.network import Broken, Connection, Network
from brokers.simulators.binance.answers import Json
from brokers.simulators.binance.errors import BinanceError
from brokers.simulators.binance.house import KEY, SECRET
from brokers.simulators.binance.security import signed

CALLS: Mapping[str, tuple[str, str]] = {
    "publicGetTickerBookTicker": ("GET", "ticker/bookTicker"),
    "privateGetAccount": ("GET", "account"),
    "privateGetMyTrades": ("GET", "myTrades"),
    "privateGetOrder": ("GET", "order"),
    "privatePostOrder": ("POST", "order"),
    "privateDeleteOrder": ("DELETE", "order"),
    "privatePostOrderCancelReplace": ("POST", "order/cancelReplace"),
    "privatePostOrderListOco": ("POST", "orderList/oco"),
}
NO_PATIENCE = 2
NOWHERE: Mapping[str, Any] = {
    "public": "",
    "private": "",
    "sapi": "",
    "ws": {"spot": "", "ws-api": {"spot": ""}},
}


class SimulatedSession:
    """One client's session. Everything the link sets or calls on ccxt's client is here, by its name."""

    def __init__(
        self, market: Market, network: Network, life: Life, clock: LoopClock, options: Mapping[str, Any]
    ) -> None:
        self.has: dict[str, Any] = {}
        self.streaming: dict[str, Any] = {"keepAlive": 0}
        self.urls: dict[str, Any] = {"api": json.loads(json.dumps(NOWHERE))}
        self.clients: dict[str, Any] = {}
        self.markets: dict[str, Any] = {}
        self.handle_errors: Callable[..., None] = lambda *facts: None
        self.handle_order_update: Callable[[Any, Json], None] = lambda client, report: None
        self._market = market
        self._network = network
        self._life = life
        self._clock = clock
        self._window = int(options["options"]["recvWindow"])
        self._timeout = options["timeout"] / 1000
        self._difference = 0
        self._connection: Connection | None = None
        self._watching: asyncio.Future[None] | None = None

    def __getattr__(self, name: str) -> Callable[[dict[str, str]], Any]:
        """A request by ccxt's name for it."""
        if name not in CALLS:
            raise AttributeError(name)
        return partial(self._request, *CALLS[name], signed_by_us=name.startswith("private"))

    async def load_time_difference(self) -> None:
        """Measure how far the exchange's clock is from ours."""
        answer = await self._request("GET", "time", {}, signed_by_us=False)
        self._difference = self._milliseconds() - int(answer["serverTime"])

    async def load_markets(self) -> None:
        """What is traded, as ccxt describes it."""
        answer = await self._request("GET", "exchangeInfo", {}, signed_by_us=False)
        rows = {row["symbol"]: row for row in answer["symbols"]}
        facts = {"spot": True, "id": NATIVE, "base": BASE, "quote": QUOTE, "info": rows[NATIVE]}
        self.markets = {SYMBOL: facts}

    async def authenticate(self, params: Mapping[str, Any]) -> None:
        """Subscribe to the user stream."""
        patience = NO_PATIENCE * self.streaming["keepAlive"] / 1000
        await self.close()
        self._connection = connection = Connection(self._life, self._hear, self._lost, patience)

        def subscribe() -> Json:
            self._network.subscribe(connection)
            return {}

        self._watching = asyncio.get_running_loop().create_future()
        await self._send("subscribe", subscribe, orders=False)

    async def watch_my_trades(self) -> None:
        """Wait until the connection ends."""
        if self._watching is not None:
            await self._watching

    def reject(self, error: Exception, name: str) -> None:
        """End whoever waits on the stream."""
        if self._watching is not None and not self._watching.done():
            self._watching.set_exception(error)
            self._watching.exception()  # nobody may be waiting yet

    async def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._network.hang_up(self._connection)

    # -- within

    def _hear(self, report: Json) -> None:
        self.handle_order_update(self, report)

    def _lost(self) -> None:
        self.reject(ccxt.NetworkError("the connection was lost"), "")

    async def _request(self, method: str, path: str, params: dict[str, str], *, signed_by_us: bool) -> Any:
        operation = self._market.operations.by_path[method, f"/api/v3/{path}"]
        query = ""
        if signed_by_us:
            params = {**params, "timestamp": str(self._milliseconds() - self._difference)}
            params["recvWindow"] = str(self._window)
            query = urlencode(params)
            params["signature"] = signed(SECRET, query)
        names = ("newClientOrderId", "origClientOrderId", "listClientOrderId", "orderId")
        name = next((params[field] for field in names if params.get(field)), "")
        what = f"{method} {path} {name}".rstrip()
        carry_out = self._market.operations.carry_out
        return await self._send(
            what, lambda: carry_out(operation, params, KEY, query), orders=method == "POST"
        )

    async def _send(self, what: str, act: Callable[[], Any], *, orders: bool) -> Any:
        self._life.point(f"before {what}")
        answer = self._network.send(self._life, what, act, orders=orders)
        self._life.point(f"sent {what}")
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except TimeoutError:
            raise ccxt.RequestTimeout(f"{what}: no answer in {self._timeout:g} s") from None
        except Broken as broken:
            raise ccxt.NetworkError(str(broken)) from broken
        except BinanceError as refusal:
            headers = {} if refusal.retry_after is None else {"Retry-After": str(refusal.retry_after)}
            self.handle_errors(refusal.status, "", what, "", headers, json.dumps(refusal.body()))
            raise

    def _milliseconds(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def simulated_venue(
    market: Market, network: Network, life: Life, clock: LoopClock, disk: Disk
) -> BinanceVenue:
    """The Binance venue as it is, for one life, over the simulated network."""

    def open_session(name: str, options: Mapping[str, Any]) -> SimulatedSession:
        return SimulatedSession(market, network, life, clock, options)

    settings, log = BinanceSettings(KEY, SECRET), MortalLog(disk, life.point)
    return BinanceVenue(settings, symbols=[SYMBOL], log=log, clock=clock, open_session=open_session)
