"""A relay to TWS or IB Gateway: frames passed on as they are, and recorded as fields."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from brokers.ibkr_link import IBKRSettings
from brokers.simulators.tws.codec import Fields, Malformed, framed, read_frame
from brokers.wire.tape import Sender, WireTape

HOST = "127.0.0.1"
PROMPT = b"API\0"


class TwsRelay:
    """Listens on loopback, and speaks to the gateway of `settings` for whoever connects."""

    def __init__(self, settings: IBKRSettings, tape: WireTape) -> None:
        self._settings, self._tape = settings, tape
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def start(self) -> IBKRSettings:
        """Listen; returns the settings that lead here."""
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        return replace(self._settings, host=HOST, port=self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            their_reader, their_writer = await asyncio.open_connection(
                self._settings.host, self._settings.port
            )
        except OSError:
            writer.close()
            return
        self._connections += 1
        number = self._connections
        told = asyncio.create_task(self._pump(their_reader, writer, "venue", number))
        pumps = {asyncio.create_task(self._pump(reader, their_writer, "us", number)), told}
        try:
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if told in done:
                self._tape.take("venue", "closed", connection=number)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, their_writer):
                end.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: Sender, connection: int
    ) -> None:
        """Pass on what one side says until it ends; the first frame of each side is its greeting."""
        kind = "greeting"
        with suppress(asyncio.IncompleteReadError, ConnectionError, Malformed):
            if sender == "us":
                writer.write(await reader.readexactly(len(PROMPT)))
            while True:
                content = await read_frame(reader)
                self._tape.take(sender, kind, connection=connection, fields=Fields(content).peek())
                writer.write(framed(content))
                await writer.drain()
                kind = "frame"
