"""Binance out of a recording: answers by what is asked, and both kinds of stream in the order they had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from brokers.simulators.control import HOST
from brokers.wire.playback import Playback, Step
from brokers.wire.tape import Entry
from core.errors import ConfigError
from core.redact import is_secret_name, redact

VOLATILE = frozenset({"signature", "timestamp", "recvWindow"})
SOCKETS = {"ws-api": "/ws-api/v3", "stream": "/ws"}
READS = frozenset({"GET"})
SOCKET_READS = frozenset({"ping", "time", "LIST_SUBSCRIPTIONS"})
LACKING = -1100


class BinanceReplay:
    """A server on loopback. Raises ConfigError for a recording that says too little."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.port = 0
        self.playback = Playback(steps_of(entries), self._tell)
        self._sockets: dict[int, web.WebSocketResponse] = {}
        self._ids: dict[int, Any] = {}
        self._runner: web.AppRunner | None = None

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one, and `port` says which."""
        app = web.Application()
        for kind, path in SOCKETS.items():
            app.router.add_get(path + "{tail:.*}", partial(self._serve, kind=kind))
        app.router.add_route("*", "/api/v3{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, port).start()
        self.port = self._runner.addresses[0][1]
        self.playback.start()

    async def stop(self) -> None:
        """End every connection."""
        await self.playback.stop()
        for socket in [*self._sockets.values()]:
            await socket.close()
        if self._runner is not None:
            await self._runner.cleanup()

    # -- requests

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        tail, _, query = request.raw_path.removeprefix("/api/v3").partition("?")
        content = (await request.read()).decode(errors="replace")
        given = dict([*parse_qsl(query, keep_blank_values=True), *parse_qsl(content)])
        question = _request(request.method, tail, given)
        found = await self.playback.ask(question)
        if found is None:
            return web.json_response(
                {"code": LACKING, "msg": f"not in the recording: {question}"}, status=400
            )
        answers = [self.playback.steps[number] for number in found[0].answers]
        if not answers or answers[0].entry["kind"] == "lost":
            if request.transport is not None:
                request.transport.abort()
            response = web.Response()
        else:
            response = web.json_response(answers[0].entry["body"], status=answers[0].entry["status"])
            await response.prepare(request)
            await response.write_eof()
        for answer in answers:
            await self.playback.told(answer)
        return response

    # -- sockets

    async def _serve(self, request: web.Request, kind: str) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        numbers: list[int] = []

        def connected(step: Step) -> None:
            numbers.append(step.entry["connection"])
            self._sockets[numbers[0]] = socket

        question = _connecting(kind, request.raw_path.removeprefix(SOCKETS[kind]))
        if not socket.can_prepare(request):
            return web.Response(status=400, text="a WebSocket is expected here")
        await socket.prepare(request)
        if await self.playback.ask(question, connected) is None:
            await socket.close(message=b"not in the recording")
            return socket
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await self._take(socket, kind, numbers[0], json.loads(message.data))
        return socket

    async def _take(self, socket: web.WebSocketResponse, kind: str, number: int, body: Any) -> None:
        """One message of the client's. What nobody will tell in the order of the recording is told now."""

        def chosen(step: Step) -> None:
            self._ids[step.number] = body.get("id")

        question = _message(kind, number, body)
        found = await self.playback.ask(question, chosen)
        if found is None:
            error = {"code": LACKING, "msg": f"not in the recording: {question}"}
            await socket.send_json({"id": body.get("id"), "status": 400, "error": error})
            return
        step, first = found
        late = self.playback.untold(step) if first else [self.playback.steps[each] for each in step.answers]
        for answer in late:
            await self._tell(answer)
            await self.playback.told(answer)

    async def _tell(self, step: Step) -> None:
        entry = step.entry
        socket = self._sockets.get(entry.get("connection", 0))
        if socket is None or socket.closed:
            return
        if entry["kind"] == "closed":
            del self._sockets[entry["connection"]]
            # Whoever closes waits for the other side, which may be waiting for what comes next.
            closing = asyncio.create_task(socket.close())
            closing.add_done_callback(lambda done: None)
            return
        body = entry["body"]
        if step.of is not None:
            body = {**body, "id": self._ids.get(step.of, body["id"])}
        with suppress(ConnectionError):
            await socket.send_str(body if isinstance(body, str) else json.dumps(body))


def steps_of(entries: Sequence[Entry]) -> list[Step]:
    """A recording of Binance as steps. Raises ConfigError for one of something else."""
    steps: list[Step] = []
    asked: dict[tuple[str, Any], int] = {}
    for number, entry in enumerate(entries):
        kind = entry["kind"]
        try:
            if kind == "request":
                question = _request(entry["method"], entry["path"], entry["params"])
                steps.append(Step(number, entry, question, entry["method"] not in READS))
                asked["rest", entry["number"]] = number
            elif kind in ("answer", "lost"):
                _answers(steps, asked.get(("rest", entry["number"])), Step(number, entry, awaited=True))
            elif kind == "connect":
                question = _connecting(entry["channel"], entry["path"])
                steps.append(Step(number, entry, question, effect=True))
            elif kind == "closed":
                steps.append(Step(number, entry))
            elif entry["from"] == "us":
                question = _message(kind, entry["connection"], entry["body"])
                effect = entry["body"].get("method") not in SOCKET_READS
                steps.append(Step(number, entry, question, effect))
                asked[f"socket {entry['connection']}", entry["body"].get("id")] = number
            else:
                body = entry["body"]
                name = body.get("id") if isinstance(body, Mapping) else None
                of = asked.get((f"socket {entry['connection']}", name)) if name is not None else None
                _answers(steps, of, Step(number, entry))
        except (KeyError, AttributeError) as error:
            raise ConfigError(
                f"line {number + 1} cannot be replayed as Binance's: {error}",
                hint="name a recording of Binance made with live.run --record-wire",
            ) from error
    return steps


def _answers(steps: list[Step], question: int | None, answer: Step) -> None:
    """Append `answer`, as one to that question."""
    if question is not None:
        steps[question].answers = (*steps[question].answers, answer.number)
        answer.of = question
    steps.append(answer)


def _request(method: str, path: str, params: Mapping[str, str]) -> str:
    said = redact(dict(params))
    kept = [f"{name}={said[name]}" for name in sorted(said) if not _varies(name)]
    return f"{method} {path}{'?' if kept else ''}{'&'.join(kept)}"


def _connecting(channel: str, path: str) -> str:
    return f"connect to {channel}{path}"


def _message(channel: str, connection: int, body: Mapping[str, Any]) -> str:
    params = body.get("params") or {}
    if isinstance(params, Mapping):
        params = {name: redact(value) for name, value in sorted(params.items()) if not _varies(name)}
    return f"{channel} {connection}: {body.get('method')} {json.dumps(params)}"


def _varies(name: str) -> bool:
    """Whether a parameter is another in every session."""
    return name in VOLATILE or is_secret_name(name)
