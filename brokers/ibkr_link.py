"""The connection to TWS or IB Gateway: kept up, watched, and made anew when it breaks; nothing of orders.

Each connection has a session object of its own, so that nothing of a former one is mistaken for the present.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from core.errors import VenueFatal, VenueTransient
from core.ib import ib_library, overhear, quieten
from core.tasks import end_tasks
from core.telemetry import get_logger

CLIENT_ID_IN_USE = 326
T = TypeVar("T")

log = get_logger("brokers.ibkr")


@dataclass(frozen=True, slots=True)
class IBKRSettings:
    """Where TWS or IB Gateway listens, and how patient we are; all times in seconds.

    client_id: one for each program, and always the same one: TWS lets a client change the orders of its own id alone,
    and takes an id again only once it has dealt with all that the former connection had sent. account: needed where
    the login has several. answer: for one request. heartbeat: between looks at whether the other end still answers.
    patience: how long a read waits for a connection that is being made anew. review: between complete re-readings. overdue: after
    which an execution or its commission is asked for.
    market_data: 1 live, 3 delayed.
    """

    host: str = "127.0.0.1"
    port: int = 4002
    client_id: int = 1
    account: str = ""
    answer: float = 10.0
    heartbeat: float = 10.0
    patience: float = 30.0
    review: float = 300.0
    overdue: float = 2.0
    reconnect_first: float = 0.1
    reconnect_longest: float = 10.0
    market_data: int = 1


class Link:
    """One client's connection.

    hear: gets every message on orders as it comes. up: awaited with each new connection, before anybody else may use
    it. down: called when one has ended. failed: called with what kept it up, once that has ended. on_stream: called
    with False when a connection is lost, with True when one stands.
    """

    def __init__(
        self,
        settings: IBKRSettings,
        *,
        hear: Callable[[str, tuple[Any, ...]], None],
        up: Callable[[], Awaitable[None]],
        down: Callable[[], None],
        failed: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.settings = settings
        self.account = settings.account
        self._library = ib_library()
        self._hear = hear
        self._up = up
        self._down = down
        self._failed = failed
        self._session: Any = None
        self._ready = asyncio.Event()
        self._lost = asyncio.Event()
        self._asking = asyncio.Lock()
        self._offset = timedelta(0)
        self._unheard: list[tuple[str, tuple[Any, ...]]] | None = []
        self._codes: set[int] = set()
        self._refused = asyncio.Event()
        self._next_id: asyncio.Future[int] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.on_stream: Callable[[bool], None] = lambda stands: None

    # -- what others see

    @property
    def library(self) -> Any:
        """ib_async or ib_insync."""
        return self._library

    @property
    def session(self) -> Any:
        """The library's own session, of the present connection."""
        return self._session

    @property
    def ready(self) -> bool:
        """Whether requests may be sent now."""
        return self._ready.is_set()

    def now(self) -> datetime:
        """The venue's time, as far as the last heartbeat tells."""
        return datetime.now(UTC) + self._offset

    async def open(self) -> None:
        """Connect for the first time. Raises VenueFatal, with what to do, where there is nothing to connect to."""
        quieten(self._library)
        loop = asyncio.get_running_loop()
        until = loop.time() + self.settings.patience
        while True:
            try:
                await self._connect()
                break
            except VenueTransient as error:
                # TWS keeps the client id of a program that died until it has noticed.
                if CLIENT_ID_IN_USE not in self._codes or loop.time() > until:
                    self._drop()
                    raise VenueFatal(error.message, hint=error.hint) from error
            await asyncio.sleep(self.settings.reconnect_first)
        self._keeper = loop.create_task(self._keep(), name="ibkr connection")
        self._keeper.add_done_callback(self._failed)

    async def close(self) -> None:
        """End the connection for good."""
        if self._keeper is not None:
            await end_tasks([self._keeper])
            self._keeper = None
        self._drop()

    async def usable(self) -> Any:
        """The session, once it is ready. Raises VenueTransient when that takes longer than our patience."""
        self._raise_failure()
        try:
            async with asyncio.timeout(self.settings.patience):
                await self._ready.wait()
        except TimeoutError as error:
            self._raise_failure()
            raise VenueTransient(
                f"no connection to IBKR at {self._where} for {self.settings.patience:g} s",
                hint="it is being made anew; see whether TWS or IB Gateway runs and is logged in",
            ) from error
        return self._session

    async def ask(self, what: str, request: Callable[[Any], Awaitable[T]], *, early: bool = False) -> T:
        """Put one request and wait for its answer; one at a time, since some answers do not name their question.

        early: on a connection that is only just being made. Raises VenueTransient when nothing answers in time.
        """
        return await self._ask(what, request, self._session if early else await self.usable())

    async def ping(self) -> None:
        """A round trip: all that was sent before it has been answered."""
        await self.ask("the time", self._read_time)

    async def next_order_id(self) -> int:
        """An order id that TWS has not seen, asked for."""

        async def request(session: Any) -> int:
            self._next_id = asyncio.get_running_loop().create_future()
            session.client.reqIds(1)
            return await self._next_id

        order_id = await self.ask("an order id", request)
        self._session.client.updateReqId(order_id)
        return order_id

    def lose(self) -> None:
        """Give the present connection up; a new one is made."""
        self._lost.set()

    # -- the connection's life

    @property
    def _where(self) -> str:
        return f"{self.settings.host}:{self.settings.port}"

    def _raise_failure(self) -> None:
        """What ended the keeper, to whoever asks next."""
        if self._keeper is not None and self._keeper.done() and not self._keeper.cancelled():
            self._keeper.result()

    async def _connect(self) -> None:
        self._drop()
        self._codes.clear()
        self._refused.clear()
        session = self._library.IB()
        self._session = session
        overhear(session, self._listen)
        session.disconnectedEvent += self._on_disconnected
        settings = self.settings
        connecting = asyncio.ensure_future(
            session.connectAsync(
                settings.host,
                settings.port,
                clientId=settings.client_id,
                timeout=settings.answer,
                account=self.account,
            )
        )
        refused = asyncio.ensure_future(self._refused.wait())
        try:
            await asyncio.wait({connecting, refused}, return_when=asyncio.FIRST_COMPLETED)
            if not connecting.done():
                raise self._refusal(ConnectionRefusedError())
            connecting.result()
        except (TimeoutError, OSError) as error:
            raise self._refusal(error) from error
        finally:
            for task in (connecting, refused):
                task.cancel()
        self.account = self._choose_account(session.managedAccounts())
        self._lost.clear()
        await self._ask("the time", self._read_time, session)
        self._let_hear()
        await self._up()
        self._ready.set()
        self.on_stream(True)
        log.info("ibkr.connected", where=self._where, account=self.account, client=settings.client_id)

    def _refusal(self, error: Exception) -> VenueTransient:
        if CLIENT_ID_IN_USE in self._codes:
            return VenueTransient(
                f"client id {self.settings.client_id} is in use at {self._where}",
                hint="end the other program, or give this one a client id of its own",
            )
        return VenueTransient(
            f"no TWS or IB Gateway answers at {self._where}: {str(error) or 'timeout'}",
            hint="start it, log in, and enable its API (Configuration, API, Settings) on that port",
        )

    def _choose_account(self, accounts: list[str]) -> str:
        if self.settings.account and self.settings.account not in accounts:
            raise VenueFatal(
                f"account {self.settings.account} is not among {', '.join(accounts)}",
                hint="name one of these as the account",
            )
        if not self.settings.account and len(accounts) != 1:
            raise VenueFatal(
                f"the login has the accounts {', '.join(accounts)}", hint="name one of them as the account"
            )
        return self.settings.account or accounts[0]

    def _drop(self) -> None:
        """End the present connection at once, whatever is left to send."""
        self._ready.clear()
        session, self._session = self._session, None
        if session is None:
            return
        session.disconnectedEvent -= self._on_disconnected
        transport = session.client.conn.transport
        if transport is not None:
            transport.abort()
        self.on_stream(False)
        self._down()

    async def _keep(self) -> None:
        """Watch the connection, and make it anew whenever it is lost."""
        reviewed = asyncio.get_running_loop().time()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.settings.heartbeat):
                    await self._lost.wait()
            if self._lost.is_set() or not await self._alive():
                await self._reconnect()
                reviewed = asyncio.get_running_loop().time()
            elif asyncio.get_running_loop().time() - reviewed > self.settings.review:
                reviewed = asyncio.get_running_loop().time()
                with suppress(VenueTransient):
                    await self._up()

    async def _alive(self) -> bool:
        """Whether the other end still answers: a socket may stay open long after it has died."""
        try:
            await self._ask("the time", self._read_time, self._session)
        except VenueTransient:
            log.warning("ibkr.silent", where=self._where)
            return False
        return True

    async def _reconnect(self) -> None:
        pause = self.settings.reconnect_first
        log.warning("ibkr.disconnected", where=self._where)
        while True:
            try:
                await self._connect()
                return
            except VenueTransient as error:
                log.warning("ibkr.retry", reason=error.message, seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.settings.reconnect_longest)

    # -- requests

    async def _ask(self, what: str, request: Callable[[Any], Awaitable[T]], session: Any) -> T:
        async with self._asking:
            try:
                if session is None:
                    raise ConnectionError("no connection")
                async with asyncio.timeout(self.settings.answer):
                    return await request(session)
            except (TimeoutError, ConnectionError) as error:
                raise VenueTransient(
                    f"IBKR at {self._where} did not answer when asked for {what}",
                    hint="it is asked again; a connection that has died is made anew",
                ) from error

    async def _read_time(self, session: Any) -> None:
        told = await session.reqCurrentTimeAsync()
        self._offset = told - datetime.now(UTC)

    def _listen(self, name: str, told: tuple[Any, ...]) -> None:
        if name == "nextValidId":
            if self._next_id is not None and not self._next_id.done():
                self._next_id.set_result(told[0])
            return
        if name == "error":
            self._codes.add(told[1])
            if told[1] == CLIENT_ID_IN_USE:
                self._refused.set()
        if self._unheard is not None:
            self._unheard.append((name, told))
        else:
            self._hear(name, told)

    def _let_hear(self) -> None:
        """Pass on what was told before the venue's time was known, which it is stamped with."""
        unheard, self._unheard = self._unheard, None
        for name, told in unheard or ():
            self._hear(name, told)

    def _on_disconnected(self) -> None:
        self._ready.clear()
        self.on_stream(False)
        self._lost.set()
