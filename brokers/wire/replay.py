"""Serves a recording in place of the venue it was made of."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from aiohttp import web

from brokers.simulators.control import HOST
from brokers.simulators.serve import House, told_to_stop
from brokers.wire.playback import Playback
from brokers.wire.recorder import SESSION
from brokers.wire.tape import Entry, read_tape
from core.cli import print_json
from core.errors import ConfigError


class Replay(Protocol):
    """A server that answers out of a recording."""

    port: int
    playback: Playback

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one, and `port` says which."""
        ...

    async def stop(self) -> None:
        """End every connection and stop listening."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What the command line asks for; see `brokers.simulators.serve.Options`."""

    file: Path
    port: int = 0
    control_port: int = 0
    json: bool = False
    attached: bool = False


KINDS = {
    "binance": ("brokers.wire.replay_binance", "BinanceReplay"),
    "tws": ("brokers.wire.replay_tws", "TwsReplay"),
}


async def serve_replay(exchange: str, house: House, options: ReplayOptions) -> None:
    """Serve until SIGINT or SIGTERM; prints one line once clients may connect. Raises ConfigError."""
    entries = read_tape(options.file)
    session = next((entry for entry in entries if entry["kind"] == SESSION), {})
    replay = _made(exchange, [entry for entry in entries if entry["kind"] != SESSION])
    stopped = told_to_stop(attached=options.attached)
    await replay.start(options.port)
    control, control_port = await _control(replay, options.control_port)
    _say_ready(house, replay.port, control_port, session, options)
    await stopped.wait()
    await replay.stop()
    await control.cleanup()
    missing = replay.playback.missing()
    if missing:
        print(f"not done this time: {'; '.join(missing)}", file=sys.stderr, flush=True)


def _made(exchange: str, entries: Sequence[Entry]) -> Replay:
    if not entries:
        raise ConfigError("the recording is empty", hint="name another file with --replay")
    module, name = KINDS[exchange]
    made: Replay = getattr(import_module(module), name)(entries)
    return made


async def _control(replay: Replay, port: int) -> tuple[web.AppRunner, int]:
    """What may be asked of a replay: which port it has, and what was not done yet."""

    async def state(request: web.Request) -> web.Response:
        return web.json_response({"port": replay.port, "missing": replay.playback.missing()})

    app = web.Application()
    app.router.add_get("/state", state)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner, runner.addresses[0][1]


def _say_ready(house: House, port: int, control_port: int, session: Entry, options: ReplayOptions) -> None:
    said = {name: session[name] for name in ("bot", "since") if session.get(name)}
    ready = {**house.address(port), "control": control_port, "account": house.account, **said}
    if options.json:
        print_json({"ready": ready, "symbols": session.get("symbols", [])})
        sys.stdout.flush()
    else:
        where = ", ".join(f"{name} {value}" for name, value in ready.items())
        print(f"ready: {where}; replays {options.file}; Ctrl-C ends it", flush=True)
