"""The server: one port for REST, market streams and the WebSocket API, with the faults a network has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from brokers.simulators.binance.answers import Json
from brokers.simulators.binance.connection import Connection
from brokers.simulators.binance.errors import BinanceError, about, told_fault
from brokers.simulators.binance.filters import SymbolFilters
from brokers.simulators.binance.operations import Operation, Operations, unknown_path
from brokers.simulators.binance.requests import Params
from brokers.simulators.binance.security import ApiKey
from brokers.simulators.binance.streams import MarketStreams
from brokers.simulators.binance.users import UserStreams
from brokers.simulators.control import HOST
from brokers.simulators.faults import Fault, Point
from brokers.simulators.simulation import Simulation
from core.types import Side

SIGNATURE = re.compile(r"&?signature=[^&]*")
REQUESTS_KEPT = 5_000
STREAM, WS_API = "stream", "ws-api"
SUBSCRIBE_CALL = "userDataStream.subscribe.signature"
UNSUBSCRIBE_CALL = "userDataStream.unsubscribe"


class Dropped(Exception):
    """A fault ended the connection: nothing is answered."""


class BinanceServer:
    """Binance Spot on loopback."""

    def __init__(
        self, simulation: Simulation, filters: Mapping[str, SymbolFilters], keys: Sequence[ApiKey]
    ) -> None:
        self.operations = Operations(simulation, filters, keys)
        self.port = 0
        self._simulation = simulation
        self._faults = simulation.faults
        self._accounts = [key.account for key in keys]
        self._markets = MarketStreams(simulation, self.operations.market)
        self._users = UserStreams(simulation)
        self._connections: set[Connection] = set()
        self._requests: deque[Json] = deque(maxlen=REQUESTS_KEPT)
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._faults.on_now(self._strike)

    # -- life

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one, and `port` says which."""
        app = web.Application()
        app.router.add_get("/ws-api/v3", self._serve_api)
        app.router.add_get("/stream", self._serve_stream)
        app.router.add_get("/ws", self._serve_stream)
        app.router.add_get("/ws/{names:.*}", self._serve_stream)
        app.router.add_route("*", "/{path:.*}", self._serve_rest)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        for connection in list(self._connections):
            connection.abort()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def view(self) -> Json:
        """What the control API shows of this server."""
        return {
            "requests": list(self._requests),
            "connections": sorted(connection.kind for connection in self._connections),
            "subscriptions": self._users.count,
            "calls_under_ban": self.operations.limits.violations,
        }

    # -- REST

    async def _serve_rest(self, request: web.Request) -> web.Response:
        query, body_text = request.raw_path.partition("?")[2], await request.text()
        params = dict(parse_qsl(query, keep_blank_values=True) + parse_qsl(body_text, keep_blank_values=True))
        covered = SIGNATURE.sub("", query) + SIGNATURE.sub("", body_text)
        operation = self.operations.by_path.get((request.method, request.path))
        what = f"{request.method} {request.path}"
        key = request.headers.get("X-MBX-APIKEY", "")
        headers: dict[str, str] = {}
        try:
            if operation is None:
                raise unknown_path(request.path)
            body, status = await self._perform(what, operation, params, key, covered), 200
        except Dropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        except BinanceError as refusal:
            body, status = refusal.body(), refusal.status
            if refusal.retry_after is not None:
                headers["Retry-After"] = str(refusal.retry_after)
        headers |= self.operations.limits.headers()
        return web.json_response(body, status=status, headers=headers)

    async def _perform(self, what: str, operation: Operation, params: Params, key: str, payload: str) -> Any:
        """Carry out a request, with what strikes it on the way in and on the way out."""
        name = params.get("newClientOrderId") or params.get("origClientOrderId") or ""
        what = f"{what} {params.get('symbol', '')} {name}"
        record: Json = {"time": self.operations.now(), "what": what.strip(), "code": None}
        self._requests.append(record)
        try:
            await self._on_the_way_in(what)
            answer = self.operations.carry_out(operation, params, key, payload)
            await self._on_the_way_out(what)
        except BinanceError as refusal:
            record["code"] = refusal.code
            raise
        record["code"] = 0
        return answer

    async def _on_the_way_in(self, what: str) -> None:
        fault = self._faults.at(Point.REQUEST, what)
        if fault is None:
            return
        if fault.name == "drop-before-accept":
            raise Dropped
        if fault.name == "reject":
            raise told_fault(fault.code, fault.text, known=True)
        if fault.name in ("rate-limit", "ban"):
            self._faults.end(fault)
            self.operations.limits.block(fault.seconds or 1, ban=fault.name == "ban")
        if fault.name == "hold":
            await asyncio.sleep(fault.seconds)

    async def _on_the_way_out(self, what: str) -> None:
        fault = self._faults.at(Point.ANSWER, what)
        if fault is None:
            return
        if fault.name == "drop-after-accept":
            raise Dropped
        if fault.name == "fail-after-accept":
            raise told_fault(fault.code or -1007, fault.text, known=False)
        if fault.name == "hold-answer":
            await asyncio.sleep(fault.seconds)

    # -- WebSockets

    async def _serve_stream(self, request: web.Request) -> web.StreamResponse:
        combined = request.path == "/stream"
        listed = request.query.get("streams", "") if combined else request.match_info.get("names", "")
        names = [name for name in listed.split("/") if "@" in name]

        async def handle(connection: Connection, message: Json) -> None:
            connection.answer(self._markets.answer(connection, message))

        return await self._serve_socket(request, STREAM, handle, names, combined=combined)

    async def _serve_api(self, request: web.Request) -> web.StreamResponse:
        async def handle(connection: Connection, message: Json) -> None:
            task = asyncio.create_task(self._answer_call(connection, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return await self._serve_socket(request, WS_API, handle, [])

    async def _serve_socket(
        self,
        request: web.Request,
        kind: str,
        handle: Callable[[Connection, Json], Coroutine[Any, Any, None]],
        names: Sequence[str],
        *,
        combined: bool = False,
    ) -> web.StreamResponse:
        """Serve one connection until it ends or freezes."""
        if self._faults.at(Point.CONNECT, kind) is not None:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(socket, self._faults, kind, combined=combined)
        self._connections.add(connection)
        self._markets.subscribe(connection, names)
        sender = asyncio.create_task(connection.send_queued())
        try:
            await self._read(socket, connection, handle)
        finally:
            sender.cancel()
            self._connections.discard(connection)
            self._markets.forget(connection)
            self._users.unsubscribe(connection, None)
        return socket

    async def _read(
        self,
        socket: web.WebSocketResponse,
        connection: Connection,
        handle: Callable[[Connection, Json], Coroutine[Any, Any, None]],
    ) -> None:
        frozen = asyncio.create_task(connection.frozen.wait())
        try:
            while True:
                received = asyncio.ensure_future(socket.receive())
                await asyncio.wait({received, frozen}, return_when=asyncio.FIRST_COMPLETED)
                if frozen.done():
                    received.cancel()
                    await asyncio.Event().wait()
                message = received.result()
                if message.type is not WSMsgType.TEXT:
                    return
                with contextlib.suppress(ValueError):
                    await handle(connection, json.loads(message.data))
        finally:
            frozen.cancel()

    async def _answer_call(self, connection: Connection, message: Json) -> None:
        """Answer one request of the WebSocket API."""
        params = {key: str(value) for key, value in message.get("params", {}).items()}
        call, answer = str(message.get("method", "")), {"id": message.get("id")}
        try:
            result = await self._call(connection, call, params)
            answer |= {"status": 200, "result": result}
        except Dropped:
            connection.abort()
            return
        except BinanceError as refusal:
            answer |= {"status": refusal.status, "error": refusal.body()}
        answer["rateLimits"] = self.operations.limits.counted()
        connection.answer(answer)

    async def _call(self, connection: Connection, call: str, params: dict[str, str]) -> Any:
        key = params.get("apiKey", "")
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
        if call == SUBSCRIBE_CALL:
            await self._on_the_way_in(call)
            account = self.operations.identify(key, payload, params)
            return {"subscriptionId": self._users.subscribe(connection, account)}
        if call == UNSUBSCRIBE_CALL:
            wanted = params.get("subscriptionId")
            self._users.unsubscribe(connection, None if wanted is None else int(wanted))
            return {}
        if call not in self.operations.by_call:
            raise about(-1102, "method") if not call else unknown_path(call)
        return await self._perform(call, self.operations.by_call[call], params, key, payload)

    # -- faults that wait for nobody

    def _strike(self, fault: Fault) -> None:
        concerned = [connection for connection in self._connections if fault.match in connection.kind]
        if fault.name == "half-open":
            for connection in concerned:
                connection.freeze()
        elif fault.name == "disconnect":
            for connection in concerned:
                connection.abort()
        elif fault.name == "message":
            for connection in concerned:
                connection.answer({"e": fault.text or "serverShutdown", "E": self.operations.now()})
        elif fault.name == "manual-trade":
            side = Side.BUY if fault.value > 0 else Side.SELL
            self._simulation.trade(self._accounts[0], fault.match, side, abs(fault.value))
        elif fault.name == "restart":
            task = asyncio.create_task(self._restart(fault.seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _restart(self, seconds: float) -> None:
        port = self.port
        await self.stop()
        await asyncio.sleep(seconds)
        await self.start(port)
