"""A relay to Binance: requests, answers and both kinds of stream, passed on as they are and recorded."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from urllib.parse import parse_qsl

from aiohttp import ClientConnectionError, ClientSession, ClientWebSocketResponse, WSMsgType, web
from yarl import URL

from brokers.binance_link import BinanceSettings
from brokers.wire.tape import Sender, WireTape
from core.errors import VenueTransient

REST = "https://api.binance.com/api/v3"
STREAMS = "wss://stream.binance.com:9443/ws"
WEBSOCKET_API = "wss://ws-api.binance.com:443/ws-api/v3"
HOST = "127.0.0.1"
PASSED_ON = ("X-MBX-APIKEY", "Content-Type", "User-Agent")
PASSED_BACK = ("Content-Type", "Retry-After")
Socket = web.WebSocketResponse | ClientWebSocketResponse


class BinanceRelay:
    """Listens on loopback, and speaks to Binance at the addresses of `settings` for whoever connects."""

    def __init__(self, settings: BinanceSettings, tape: WireTape) -> None:
        self._settings, self._tape = settings, tape
        self._rest = settings.rest or REST
        self._sockets = {
            "stream": settings.streams or STREAMS,
            "ws-api": settings.websocket_api or WEBSOCKET_API,
        }
        self._runner: web.AppRunner | None = None
        self._session: ClientSession | None = None
        self._numbers = self._connections = 0

    async def start(self) -> BinanceSettings:
        """Listen; returns the settings that lead here."""
        self._session = ClientSession(auto_decompress=True)
        app = web.Application()
        app.router.add_get("/stream{tail:.*}", lambda request: self._relay_socket(request, "stream"))
        app.router.add_get("/ws-api{tail:.*}", lambda request: self._relay_socket(request, "ws-api"))
        app.router.add_route("*", "/rest{tail:.*}", self._relay_request)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, 0).start()
        where = f"{HOST}:{self._runner.addresses[0][1]}"
        return replace(
            self._settings,
            rest=f"http://{where}/rest",
            streams=f"ws://{where}/stream",
            websocket_api=f"ws://{where}/ws-api",
        )

    async def stop(self) -> None:
        """End every connection."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    # -- requests

    async def _relay_request(self, request: web.Request) -> web.StreamResponse:
        tail, _, query = request.raw_path.removeprefix("/rest").partition("?")
        content = await request.read()
        given = [*parse_qsl(query, keep_blank_values=True), *parse_qsl(content.decode(errors="replace"))]
        self._numbers += 1
        number, what = self._numbers, {"method": request.method, "path": tail}
        self._tape.take("us", "request", number=number, **what, params=dict(given))
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        address = URL(f"{self._rest}{tail}{'?' if query else ''}{query}", encoded=True)
        try:
            async with self._client.request(
                request.method, address, data=content or None, headers=headers
            ) as answer:
                body = await answer.read()
        except ClientConnectionError as error:
            # What became of it, nobody knows: as it would be without a relay.
            self._tape.take("venue", "lost", number=number, **what, reason=repr(error))
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        told = _read(body.decode(errors="replace"))
        self._tape.take("venue", "answer", number=number, **what, status=answer.status, body=told)
        back = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return web.Response(status=answer.status, body=body, headers=back)

    # -- sockets

    async def _relay_socket(self, request: web.Request, kind: str) -> web.StreamResponse:
        tail = request.raw_path.removeprefix(f"/{kind}")
        try:
            theirs = await self._client.ws_connect(
                URL(self._sockets[kind] + tail, encoded=True), autoping=False
            )
        except ClientConnectionError:
            return web.Response(status=502)
        ours = web.WebSocketResponse(autoping=False)
        await ours.prepare(request)
        self._connections += 1
        number = self._connections
        self._tape.take("us", "connect", channel=kind, connection=number, path=tail)
        told = asyncio.create_task(self._pump(theirs, ours, "venue", kind, number))
        pumps = {asyncio.create_task(self._pump(ours, theirs, "us", kind, number)), told}
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if told in done:
                self._tape.take("venue", "closed", connection=number)
        finally:
            for pump in pumps:
                pump.cancel()
            await theirs.close()
            await ours.close()
        return ours

    async def _pump(self, source: Socket, target: Socket, sender: Sender, kind: str, connection: int) -> None:
        """Pass on what one side says until it ends."""
        async for message in source:
            if message.type is WSMsgType.TEXT:
                self._tape.take(sender, kind, connection=connection, body=_read(message.data))
                await target.send_str(message.data)
            elif message.type is WSMsgType.PING:
                await target.ping(message.data)
            elif message.type is WSMsgType.PONG:
                await target.pong(message.data)

    @property
    def _client(self) -> ClientSession:
        if self._session is None:
            raise VenueTransient("the relay is closed", hint="call start() first")
        return self._session


def _read(text: str) -> object:
    try:
        found: object = json.loads(text)
    except ValueError:
        return text
    return found
