"""A replay of TWS over a real socket, out of a recording of a few frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from brokers.simulators.tws.codec import Fields, encode, framed, read_frame
from brokers.wire.replay_tws import TwsReplay
from brokers.wire.tape import Entry
from core.errors import ConfigError

SECONDS = 20
START_API = ["71", "2", "1", ""]
ORDER = ["3", "7", *["AAPL"] * 12, "", "", "BUY", "10", *["x"] * 20]
OTHER = [*ORDER[:17], "11", *ORDER[18:]]


def tape(*said: tuple[str, list[str]]) -> list[Entry]:
    greetings = [
        {"from": sender, "kind": "greeting", "fields": fields}
        for sender, fields in (("us", ["v100..176"]), ("venue", ["176", "20260105 14:30:00 UTC"]))
    ]
    frames = [{"from": sender, "kind": "frame", "fields": fields} for sender, fields in said]
    return [{**each, "time": "2026-01-05T14:30:00+00:00", "connection": 1} for each in (*greetings, *frames)]


class Client:
    """One that speaks frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def say(self, *fields: str) -> None:
        self._writer.write(encode(*fields))

    async def hear(self) -> list[str]:
        return Fields(await read_frame(self._reader)).peek()


@asynccontextmanager
async def connected(*said: tuple[str, list[str]]) -> AsyncIterator[Client]:
    replay = TwsReplay(tape(("us", START_API), ("venue", ["9", "1", "7"]), *said))
    await replay.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", replay.port)
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(b"API\0" + framed(b"v100..176"))
            client = Client(reader, writer)
            assert (await client.hear())[0] == "176"
            client.say(*START_API)
            assert await client.hear() == ["9", "1", "7"]
            yield client
    finally:
        writer.close()
        await replay.stop()


def test_answers_come_under_the_ids_of_this_client_after_its_own_order() -> None:
    async def scenario() -> None:
        said = (
            ("us", ["9", "8", "5", "AAPL"]),
            ("venue", ["10", "5", "AAPL"]),
            ("venue", ["52", "1", "5"]),
            ("us", ORDER),
            ("venue", ["3", "7", "Filled"]),
        )
        async with connected(*said) as client:
            client.say("9", "8", "31", "AAPL")
            assert [await client.hear() for _ in range(2)] == [["10", "31", "AAPL"], ["52", "1", "31"]]
            client.say("9", "8", "32", "AAPL")
            assert [await client.hear() for _ in range(2)] == [["10", "32", "AAPL"], ["52", "1", "32"]]
            client.say("3", "33", *ORDER[2:])
            assert await client.hear() == ["3", "33", "Filled"]

    asyncio.run(scenario())


def test_another_order_and_the_same_one_twice_are_refused_by_name() -> None:
    async def scenario() -> None:
        async with connected(("us", ORDER), ("venue", ["3", "7", "Filled"])) as client:
            client.say(*OTHER)
            refusal = await client.hear()
            assert refusal[:4] == ["4", "2", "7", "321"]
            assert "not in the recording: 1: placeOrder new AAPL" in refusal[4]
            client.say(*ORDER)
            assert await client.hear() == ["3", "7", "Filled"]
            client.say("3", "8", *ORDER[2:])
            assert (await client.hear())[2:4] == ["8", "321"]

    asyncio.run(scenario())


def test_a_recording_without_a_greeting_is_refused() -> None:
    with pytest.raises(ConfigError, match="no gateway's greeting"):
        TwsReplay([])
