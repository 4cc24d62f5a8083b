"""One WebSocket connection: an orderly queue out, and the faults a stream can have."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from brokers.simulators.binance.answers import Json
from brokers.simulators.faults import Faults, Point


class Connection:
    """What is sent to one client. kind: "stream" or "ws-api". combined: payloads are wrapped with their stream's name."""

    def __init__(
        self, socket: web.WebSocketResponse, faults: Faults, kind: str, *, combined: bool = False
    ) -> None:
        self.kind = kind
        self.frozen = asyncio.Event()
        self._socket = socket
        self._faults = faults
        self._combined = combined
        self._queue: asyncio.Queue[Json] = asyncio.Queue()
        self._held: tuple[str, Json] | None = None

    def answer(self, message: Json) -> None:
        """Send the answer to a request."""
        self._queue.put_nowait(message)

    def publish(self, name: str, payload: Json) -> None:
        """Send a stream's message, if no fault strikes it."""
        message = {"stream": name, "data": payload} if self._combined else payload
        self._with_faults(f"{payload.get('e', '')} {name}", message)

    def report(self, subscription: int, event: Json) -> None:
        """Send a message of the user stream, if no fault strikes it."""
        what = f"{event['e']} {event.get('x', '')} {event.get('s', '')} {event.get('c', '')}"
        self._with_faults(what, {"subscriptionId": subscription, "event": event})

    def freeze(self) -> None:
        """From now on nothing moves, and nobody is told."""
        self.frozen.set()

    def abort(self) -> None:
        """End the connection without a word."""
        transport = self._socket._req.transport if self._socket._req is not None else None
        if transport is not None:
            transport.abort()

    async def send_queued(self) -> None:
        """Send what is queued, in order, until the connection ends."""
        while True:
            message = await self._queue.get()
            if self.frozen.is_set() or self._socket.closed:
                return
            await self._socket.send_str(json.dumps(message))

    def _with_faults(self, what: str, message: Json) -> None:
        fault = self._faults.at(Point.MESSAGE, what)
        name = None if fault is None else fault.name
        if name in ("mute", "lose"):
            return
        if fault is not None and name == "reorder":
            self._held = (fault.match, message)
            return
        self._queue.put_nowait(message)
        if name == "duplicate":
            self._queue.put_nowait(message)
        if self._held is not None and self._held[0] in what:
            self._queue.put_nowait(self._held[1])
            self._held = None
