"""The session with Binance: the real ccxt.pro beneath, and over it who may ask when, and what an error means.

Reads are repeated. What may have an effect is sent once: it is sent again only after an answer that says Binance did
not act on it (429, 418, -1021), and its outcome is unknown after everything else that is no answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from typing import Any

from core.clock import Clock, WallClock
from core.connect import ccxt_stream_session
from core.errors import OutcomeUnknown, TradingError, VenueFatal, VenueTransient
from core.tasks import end_tasks
from core.telemetry import get_logger

READ_ATTEMPTS = 4
READ_PAUSE_SECONDS = 0.2
RECONNECT_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
CLOCK_CODE = -1021
UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007})
FATAL_CODES = frozenset({-1002, -1022, -2008, -2014, -2015})
LIMIT_STATUSES = frozenset({418, 429})
WALL_CLOCK = WallClock()

log = get_logger("brokers.binance")
Params = Mapping[str, str]
OpenSession = Callable[[str, dict[str, Any]], Any]


class Priority(IntEnum):
    """Who goes first when a ban ends."""

    CANCEL = 0
    ORDER = 1
    READ = 2


@dataclass(frozen=True, slots=True)
class BinanceSettings:
    """Keys and addresses; without addresses, Binance's own.

    recv_window: milliseconds after which Binance refuses a request, and so the time after which one that was lost
    cannot take effect any more. ping_seconds: a stream that misses two pings is given up. watch_seconds: while an order
    lives, this often what became of it is asked, whatever the stream says. longest_wait: seconds a
    call waits for a ban to end before it fails.
    """

    key: str = field(repr=False)
    secret: str = field(repr=False)
    rest: str = ""
    streams: str = ""
    websocket_api: str = ""
    recv_window: int = 5_000
    timeout_seconds: float = 10.0
    ping_seconds: float = 10.0
    watch_seconds: float = 20.0
    longest_wait: float = 60.0


class Refused(Exception):
    """Binance's answer is a refusal: it did not act. Handler: the venue, which knows what was asked."""

    def __init__(self, status: int, code: int, text: str, retry_after: float | None, data: Any) -> None:
        super().__init__(f"{text} ({code})")
        self.status = status
        self.code = code
        self.text = text
        self.retry_after = retry_after
        self.data = data


class BinanceLink:
    """One session. on_report: called with every executionReport, as it comes.

    on_stream: called with False when the user stream is lost, and with True when it stands. clock: what our time is. open_session: makes ccxt.pro's client, or what stands in for it.
    """

    def __init__(
        self,
        settings: BinanceSettings,
        on_report: Callable[[dict[str, Any]], None],
        *,
        clock: Clock = WALL_CLOCK,
        open_session: OpenSession = ccxt_stream_session,
    ) -> None:
        self.settings = settings
        self._clock = clock
        self._make_session = open_session
        self._on_report = on_report
        self._session: Any = None
        self._free_at = 0.0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._release: asyncio.TimerHandle | None = None
        self._listener: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()
        self.on_stream: Callable[[bool], None] = lambda stands: None

    # -- life

    async def open(self) -> None:
        """Open the session: set the clock, load what is traded. Raises VenueTransient or VenueFatal."""
        settings = self.settings
        session = self._make_session(
            "binance",
            {
                "apiKey": settings.key,
                "secret": settings.secret,
                "timeout": int(settings.timeout_seconds * 1000),
                "options": {
                    "defaultType": "spot",
                    "fetchMarkets": {"types": ["spot"]},
                    "fetchMargins": False,
                    "recvWindow": settings.recv_window,
                },
            },
        )
        session.has["fetchCurrencies"] = False
        session.streaming["keepAlive"] = int(settings.ping_seconds * 1000)
        session.handle_errors = self._judge
        session.handle_order_update = self._report
        # Balances are asked for, not watched; ccxt's own handler fails, and its reader with it, on one that comes early.
        session.handle_balance = lambda client, message: None
        session.handle_event_stream_terminated = _terminated
        urls = session.urls["api"]
        urls["public"] = urls["private"] = settings.rest or urls["public"]
        urls["sapi"] = settings.rest.replace("/api/v3", "/sapi/v1") or urls["sapi"]
        urls["ws"]["spot"] = settings.streams or urls["ws"]["spot"]
        urls["ws"]["ws-api"]["spot"] = settings.websocket_api or urls["ws"]["ws-api"]["spot"]
        self._session = session
        await self._repeated(self._set_clock)
        await self._repeated(lambda: self._answered(session.load_markets, Priority.READ))

    async def close(self) -> None:
        """End the session."""
        if self._listener is not None:
            await end_tasks([self._listener])
            self._listener = None
        if self._release is not None:
            self._release.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def seconds(self) -> float:
        """Our time, in seconds since the epoch."""
        return self._clock.now().timestamp()

    def milliseconds(self) -> int:
        """Our time, in milliseconds since the epoch."""
        return int(self.seconds() * 1000)

    @property
    def markets(self) -> Mapping[str, Any]:
        """What is traded, as ccxt describes it, by its symbol."""
        found: Mapping[str, Any] = self._open_session.markets
        return found

    # -- the user stream

    async def listen(self, on_up: Callable[[], Awaitable[None]], on_lost: Callable[[], None]) -> None:
        """Subscribe to the user stream and stay subscribed; `on_up` is called after every new subscription.

        Returns once the first subscription stands and `on_up` has run. on_lost: called when listening has ended,
        which only an error that nobody can mend does, or `close`.
        """
        self._listener = asyncio.create_task(self._listen(on_up), name="binance user stream")
        self._listener.add_done_callback(lambda task: _ended(task, on_lost))
        up = asyncio.create_task(self._subscribed.wait())
        await asyncio.wait({self._listener, up}, return_when=asyncio.FIRST_COMPLETED)
        # Not `_subscribed`: by now the connection may be lost again, which is the listener's business.
        if not up.done():
            up.cancel()
            await self._listener

    async def ping(self) -> None:
        """A round trip on the user stream's connection: what was said before it has been heard. Raises VenueTransient."""
        session = self._open_session
        url = session.urls["api"]["ws"]["ws-api"]["spot"]
        number = str(session.request_id(url))
        answered = {"id": number, "method": lambda client, message: client.resolve(message, number)}
        message = {"id": number, "method": "ping"}
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                await self._subscribed.wait()
                await self._guarded(lambda: session.watch(url, number, message, number, answered))
        except (TimeoutError, _Broken, Refused) as error:
            raise VenueTransient(f"Binance's user stream does not answer: {error}") from error
        finally:
            if url in session.clients:
                session.clients[url].subscriptions.pop(number, None)

    async def _listen(self, on_up: Callable[[], Awaitable[None]]) -> None:
        import ccxt

        failures = 0
        while True:
            try:
                subscribe = partial(self._open_session.authenticate, {"type": "spot"})
                await self._answered(subscribe, Priority.READ)
                await on_up()
                self._subscribed.set()
                self.on_stream(True)
                failures = 0
                await self._open_session.watch_my_trades()
            except (ccxt.BaseError, _Broken, Refused, VenueTransient) as error:
                log.warning("binance.stream_lost", error=str(error))
            self._subscribed.clear()
            self.on_stream(False)
            await self._forget_sockets()
            await asyncio.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS) - 1)])
            failures += 1

    async def _forget_sockets(self) -> None:
        """Drop a broken connection, so that the next subscription opens a new one."""
        clients = dict(self._open_session.clients)
        self._open_session.clients.clear()
        for client in clients.values():
            client.subscriptions.clear()
            await client.close()

    # -- requests

    async def read(self, call: str, params: Params | None = None) -> Any:
        """Ask something that changes nothing; repeated on failure. Raises Refused, VenueTransient, VenueFatal."""
        return await self._repeated(lambda: self._ask(call, params or {}, Priority.READ))

    async def send(self, call: str, params: Params, priority: Priority = Priority.ORDER) -> Any:
        """Ask for something that has an effect. Raises Refused, OutcomeUnknown, VenueTransient, VenueFatal."""
        try:
            return await self._ask(call, params, priority)
        except Refused as refusal:
            if refusal.code in UNKNOWN_CODES or refusal.status >= 500:
                raise OutcomeUnknown(f"Binance cannot say what became of it: {refusal}") from refusal
            raise
        except _Broken as broken:
            raise OutcomeUnknown(f"the answer was lost: {broken}") from broken

    async def _repeated(self, act: Callable[[], Awaitable[Any]]) -> Any:
        for attempt in range(READ_ATTEMPTS):
            try:
                return await act()
            except _Broken as broken:
                failure: Exception = broken
            except Refused as refusal:
                again = refusal.code in UNKNOWN_CODES or refusal.code == CLOCK_CODE
                if not again and refusal.status < 500:
                    raise
                failure = refusal
            await asyncio.sleep(READ_PAUSE_SECONDS * 2**attempt)
        raise VenueTransient(
            f"Binance does not answer: {failure}", hint="look at the network, and at Binance's status page"
        ) from failure

    async def _ask(self, call: str, params: Params, priority: Priority) -> Any:
        """One request of ccxt's client."""
        return await self._answered(lambda: getattr(self._open_session, call)(dict(params)), priority)

    async def _answered(self, act: Callable[[], Awaitable[Any]], priority: Priority) -> Any:
        """One request; again only after an answer that says nothing was done."""
        clock_set = False
        while True:
            await self._turn(priority)
            try:
                return await self._guarded(act)
            except Refused as refusal:
                if refusal.code in FATAL_CODES:
                    raise _fatal(refusal) from refusal
                if refusal.status in LIMIT_STATUSES:
                    self._block(refusal.retry_after or 1.0)
                elif refusal.code == CLOCK_CODE and not clock_set:
                    clock_set = True
                    await self._repeated(self._set_clock)
                else:
                    raise

    async def _guarded(self, act: Callable[[], Awaitable[Any]]) -> Any:
        """Turn ccxt's many errors without an answer into one."""
        import ccxt

        try:
            return await act()
        except ccxt.BaseError as error:
            raise _Broken(f"{type(error).__name__}: {error}") from error

    async def _set_clock(self) -> None:
        """Measure how far Binance's clock is from ours."""
        await self._answered(self._open_session.load_time_difference, Priority.READ)

    # -- limits

    async def _turn(self, priority: Priority) -> None:
        """Wait until Binance may be asked; who waits longest for the least goes last."""
        while (left := self._free_at - asyncio.get_running_loop().time()) > 0:
            if left > self.settings.longest_wait:
                raise VenueTransient(
                    f"Binance wants no requests for another {left:.0f} s", hint="wait, or use fewer sessions"
                )
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((priority, len(self._waiting), turn))
            if self._release is None:
                self._release = asyncio.get_running_loop().call_later(left, self._let_go)
            await turn

    def _let_go(self) -> None:
        self._release = None
        for _, _, turn in sorted(self._waiting, key=lambda entry: entry[:2]):
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()

    def _block(self, seconds: float) -> None:
        self._free_at = max(self._free_at, asyncio.get_running_loop().time() + seconds)
        log.warning("binance.blocked", seconds=seconds)

    # -- ccxt

    @property
    def _open_session(self) -> Any:
        if self._session is None:
            raise VenueTransient("the session with Binance is closed", hint="call connect() first")
        return self._session

    def _report(self, client: Any, message: dict[str, Any]) -> None:
        """What cannot be taken in (a full disk, a message without sense) ends the subscription, not the reader."""
        import ccxt

        try:
            self._on_report(message)
        except (TradingError, ValueError, ArithmeticError, LookupError) as error:
            client.reject(ccxt.NetworkError(f"a report could not be taken in: {error}"), "myTrades")

    def _judge(
        self,
        status: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: str,
        *rest: object,
    ) -> None:
        """In place of ccxt's own: its classes lose the status, the code and Retry-After."""
        found = _body(body)
        code = int(found.get("code", 0) or 0)
        over_socket = url.startswith("ws")
        if not over_socket and status < 400:
            return
        wait = headers.get("Retry-After")
        raise Refused(
            400 if over_socket else status,
            code,
            str(found.get("msg") or body or reason),
            None if wait is None else float(wait),
            found.get("data"),
        )


class _Broken(Exception):
    """No answer came."""


def _ended(listener: asyncio.Task[None], on_lost: Callable[[], None]) -> None:
    if not listener.cancelled() and (error := listener.exception()) is not None:
        log.error("binance.stream_ended", error=str(error))
    on_lost()


def _terminated(client: Any, message: object) -> None:
    """Binance ends a subscription but not the connection: whoever waits on it must know."""
    import ccxt

    client.reject(ccxt.NetworkError("the user stream was terminated"), "myTrades")


def _fatal(refusal: Refused) -> VenueFatal:
    return VenueFatal(
        f"Binance refuses the key: {refusal}", hint="check key, secret, allowed addresses and permissions"
    )


def _body(text: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError, TypeError):
        found = json.loads(text)
        if isinstance(found, dict):
            return found
    return {}
