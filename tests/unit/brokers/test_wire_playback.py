"""A replay over real sockets, out of recordings of a few lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientConnectionError, ClientSession, ClientWebSocketResponse

from brokers.wire.replay_binance import BinanceReplay
from brokers.wire.tape import Entry
from core.errors import ConfigError

SECONDS = 20
START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
SUBSCRIBE = {"method": "SUBSCRIBE", "params": ["btcusdt@kline_1m"]}


def tape(*said: tuple[str, str, dict[str, Any]]) -> list[Entry]:
    return [
        {"time": (START + number * timedelta(seconds=1)).isoformat(), "from": sender, "kind": kind, **rest}
        for number, (sender, kind, rest) in enumerate(said)
    ]


def asked(
    number: int, method: str, path: str, body: object, status: int = 200, **params: str
) -> list[tuple[str, str, dict[str, Any]]]:
    """A request, and its answer."""
    what = {"number": number, "method": method, "path": path}
    return [
        ("us", "request", {**what, "params": {**params, "timestamp": "1", "signature": "***"}}),
        ("venue", "answer", {**what, "status": status, "body": body}),
    ]


def heard(body: object) -> tuple[str, str, dict[str, Any]]:
    return "venue", "stream", {"connection": 1, "body": body}


CONNECTED = ("us", "connect", {"channel": "stream", "connection": 1, "path": "/0"})
SUBSCRIBED = ("us", "stream", {"connection": 1, "body": {**SUBSCRIBE, "id": 7}})


@asynccontextmanager
async def serving(*said: tuple[str, str, dict[str, Any]]) -> AsyncIterator[tuple[ClientSession, str]]:
    replay = BinanceReplay(tape(*said))
    await replay.start()
    try:
        async with asyncio.timeout(SECONDS), ClientSession() as client:
            yield client, f"http://127.0.0.1:{replay.port}"
    finally:
        await replay.stop()


async def get(client: ClientSession, address: str, path: str) -> Any:
    async with client.get(f"{address}/api/v3{path}") as answer:
        return await answer.json()


async def subscribed(client: ClientSession, address: str) -> ClientWebSocketResponse:
    socket = await client.ws_connect(f"{address}/ws/0")
    await socket.send_json({**SUBSCRIBE, "id": 99})
    assert await socket.receive_json() == {"result": None, "id": 99}, "under the number this client gave it"
    return socket


def test_the_same_question_has_its_answers_in_their_order_and_then_the_last_again() -> None:
    async def scenario() -> None:
        said = (*asked(1, "GET", "/account", {"held": 1}), *asked(2, "GET", "/account", {"held": 2}))
        async with serving(*said) as (client, address):
            path = "/account?timestamp=5&signature=abc&recvWindow=3"
            assert [await get(client, address, path) for _ in range(3)] == [
                {"held": 1},
                {"held": 2},
                {"held": 2},
            ]

    asyncio.run(scenario())


def test_a_read_is_not_answered_with_what_an_order_has_yet_to_bring_about() -> None:
    async def scenario() -> None:
        said = (
            *asked(1, "GET", "/account", {"held": 0}),
            *asked(2, "POST", "/order", {"orderId": 5}, symbol="BTCUSDT"),
            *asked(3, "GET", "/account", {"held": 1}),
        )
        async with serving(*said) as (client, address):
            assert [await get(client, address, "/account") for _ in range(2)] == [{"held": 0}] * 2
            async with client.post(f"{address}/api/v3/order", data={"symbol": "BTCUSDT"}) as answer:
                assert await answer.json() == {"orderId": 5}
            assert await get(client, address, "/account") == {"held": 1}

    asyncio.run(scenario())


def test_what_the_recording_lacks_is_refused_by_name_and_an_order_is_taken_once() -> None:
    async def scenario() -> None:
        said = asked(1, "POST", "/order", {"orderId": 5}, symbol="BTCUSDT", side="BUY")
        async with serving(*said) as (client, address):
            for side, status, text in (
                ("SELL", 400, "not in the recording: POST /order?side=SELL&symbol=BTCUSDT"),
                ("BUY", 200, "orderId"),
                ("BUY", 400, "not in the recording: POST /order?side=BUY&symbol=BTCUSDT"),
            ):
                given = {"symbol": "BTCUSDT", "side": side, "timestamp": "9"}
                async with client.post(f"{address}/api/v3/order", data=given) as answer:
                    assert answer.status == status
                    assert text in await answer.text()

    asyncio.run(scenario())


def test_a_stream_waits_for_the_order_that_came_before_it() -> None:
    async def scenario() -> None:
        said = (
            *(CONNECTED, SUBSCRIBED, heard({"result": None, "id": 7}), heard({"e": "kline", "n": 1})),
            *asked(1, "POST", "/order", {"orderId": 5}),
            heard({"e": "kline", "n": 2}),
        )
        async with serving(*said) as (client, address):
            socket = await subscribed(client, address)
            assert (await socket.receive_json())["n"] == 1
            waiting = asyncio.create_task(socket.receive_json())
            assert await get(client, address, "/time") == {
                "code": -1100,
                "msg": "not in the recording: GET /time",
            }
            assert not waiting.done()
            async with client.post(f"{address}/api/v3/order") as answer:
                assert answer.status == 200
            assert (await waiting)["n"] == 2

    asyncio.run(scenario())


def test_a_read_that_nobody_makes_is_passed_over_and_the_end_of_a_connection_is_told() -> None:
    async def scenario() -> None:
        said = (
            *asked(1, "GET", "/time", {"serverTime": 1}),
            *(CONNECTED, SUBSCRIBED, heard({"result": None, "id": 7})),
            *asked(2, "GET", "/time", {"serverTime": 2}),
            heard({"e": "kline", "n": 1}),
            ("venue", "closed", {"connection": 1}),
        )
        async with serving(*said) as (client, address):
            assert await get(client, address, "/time") == {"serverTime": 1}
            socket = await subscribed(client, address)
            assert (await socket.receive_json())["n"] == 1
            await socket.receive()
            assert socket.closed

    asyncio.run(scenario())


def test_an_answer_that_was_lost_is_lost_again() -> None:
    async def scenario() -> None:
        what = {"number": 1, "method": "POST", "path": "/order"}
        said = (("us", "request", {**what, "params": {}}), ("venue", "lost", {**what, "reason": "gone"}))
        async with serving(*said) as (client, address):
            with pytest.raises(ClientConnectionError):
                await client.post(f"{address}/api/v3/order")

    asyncio.run(scenario())


def test_a_recording_without_connections_is_refused() -> None:
    with pytest.raises(ConfigError, match="line 1 cannot be replayed"):
        BinanceReplay(tape(("us", "stream", {"body": SUBSCRIBE})))
