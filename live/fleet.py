"""Several bots, each a process of its own, and the local socket over which they are asked after and told to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientConnectionError, ClientSession, ClientTimeout, UnixConnector, web

from core.errors import ConfigError, TradewrightError, UnknownNameError, UserError
from core.jsontext import to_json
from core.telemetry import get_logger
from live.bot_process import AT_WORK, BAD_ENDS, BotProcess, State, chance
from live.fleet_settings import Bot, SupervisorSettings
from live.locks import locked

SOCKET, LOCK, LAST = "control.sock", "supervisor.lock", "state.json"
LONGEST_SOCKET_PATH = 100
"""Bytes; the system allows a few more."""
ACTIONS = ("start", "stop", "flatten")

log = get_logger("live.supervisor")


class Fleet:
    """Bots that are looked after from one process. state: the folder of the socket, and of each bot's own folder.

    say: shows a line to a person; True where it is bad news.
    """

    def __init__(
        self,
        bots: Mapping[str, Bot],
        settings: SupervisorSettings,
        state: Path,
        say: Callable[[str, bool], None] = lambda line, bad: None,
    ) -> None:
        self._state = state
        self._show = say
        self._began = datetime.now(UTC)
        self._ending = asyncio.Event()
        self._signals = 0
        self._changed = asyncio.Event()
        self.bots = {name: BotProcess(bot, settings, self._say, chance) for name, bot in bots.items()}

    async def run(self) -> int:
        """Look after them until SIGINT or SIGTERM, or until nothing is left to look after; the exit code."""
        with locked(self._state / LOCK, self._refuse):
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._on_signal)
            runner = await self._serve()
            try:
                for bot in self.bots.values():
                    bot.start()
                await self._until_told()
                await asyncio.gather(*(bot.stop() for bot in self.bots.values() if bot.state in AT_WORK))
            finally:
                for bot in self.bots.values():
                    bot.kill_now()
                await runner.cleanup()
                (self._state / LAST).write_text(to_json({**await self.view(), "supervisor": None}))
        return self._exit_code()

    def _refuse(self, process: str) -> UserError:
        return UserError(
            f"a supervisor looks after {self._state} already, process {process}",
            hint=f"end it first (kill {process}), or name another folder with --state",
        )

    def _on_signal(self) -> None:
        """The first ends all bots cleanly; the second does not wait for them."""
        self._signals += 1
        self._ending.set()
        if self._signals > 1:
            for bot in self.bots.values():
                bot.kill()

    async def _until_told(self) -> None:
        """Until a signal, or until every bot has ended by itself."""
        while not self._ending.is_set():
            self._changed.clear()
            if all(bot.state in BAD_ENDS or bot.state is State.ENDED for bot in self.bots.values()):
                return
            waits = [asyncio.create_task(each.wait()) for each in (self._changed, self._ending)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for each in waits:
                each.cancel()

    def _exit_code(self) -> int:
        bad = {bot.state for bot in self.bots.values() if bot.state in BAD_ENDS}
        if bad == {State.REFUSED}:
            return UserError.exit_code
        return int(bool(bad) or any(bot.killed for bot in self.bots.values()))

    def _say(self, name: str, what: str, bad: bool) -> None:
        (log.error if bad else log.info)("bot", bot=name, what=what)
        self._show(f"{datetime.now(UTC):%H:%M:%S} {name}: {what}", bad)
        self._changed.set()

    # -- the socket

    async def _serve(self) -> web.AppRunner:
        path = socket_path(self._state)
        app = web.Application()
        app.router.add_get("/status", self._answer(self._on_status))
        app.router.add_post("/bots/{name}/{action}", self._answer(self._on_action))
        runner = web.AppRunner(app, access_log=None, handler_cancellation=False)
        await runner.setup()
        path.unlink(missing_ok=True)  # of one that was killed: the lock is ours
        before = os.umask(0o177)
        try:
            await web.UnixSite(runner, path).start()
        finally:
            os.umask(before)
        return runner

    def _answer(
        self, act: Callable[[web.Request], Awaitable[Any]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            try:
                body, status = await act(request), 200
            except TradewrightError as error:
                body, status = {"code": error.code, "message": error.message, "hint": error.hint}, 400
            return web.Response(text=to_json(body), status=status, content_type="application/json")

        return handle

    async def _on_status(self, request: web.Request) -> Any:
        return await self.view()

    async def _on_action(self, request: web.Request) -> Any:
        name, action = request.match_info["name"], request.match_info["action"]
        if name not in self.bots:
            raise UnknownNameError("bot", name, self.bots)
        bot = self.bots[name]
        if action == "start":
            bot.start(new="new" in request.query)
        elif action == "stop":
            await bot.stop()
        elif action == "flatten":
            await bot.flatten()
        else:
            raise UnknownNameError("action", action, ACTIONS)
        self._changed.set()
        return {**bot.view(), "left": bot.left}

    async def view(self) -> dict[str, Any]:
        """How all are."""
        rows = []
        for bot in self.bots.values():
            held = await asyncio.to_thread(positions, bot.bot)
            rows.append({**bot.view(), "positions": held})
        return {"supervisor": {"pid": os.getpid(), "since": self._began}, "bots": rows}


def positions(bot: Bot) -> dict[str, float] | None:
    """What a bot's latest run holds by its database; None where that cannot be asked."""
    from store import open_store

    try:
        with open_store(bot.configuration()["store.url"], create=False) as database:
            runs = database.runs.list(bot=bot.name, limit=1)
            held = database.positions(runs[0].run_id).all() if runs else {}
    except TradewrightError:
        return None
    return {symbol: float(position.size) for symbol, position in held.items()}


def socket_path(state: Path) -> Path:
    """Where the supervisor of a folder listens. Raises ConfigError for a path that the system does not take."""
    path = state / SOCKET
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        raise ConfigError(f"{path} is too long for a socket", hint="name a folder nearby with --state")
    return path


async def ask(state: Path, method: str, path: str) -> dict[str, Any]:
    """Ask the supervisor of a folder. Raises UserError where none runs, and what it refuses."""
    connector = UnixConnector(path=str(socket_path(state)))
    async with ClientSession(connector=connector, timeout=ClientTimeout()) as session:
        try:
            async with session.request(method, f"http://supervisor{path}") as answer:
                found: dict[str, Any] = await answer.json()
        except (ClientConnectionError, OSError) as error:
            raise UserError(
                f"no supervisor looks after {state}",
                hint="start one: python -m live.supervisor run bots.toml",
            ) from error
    if answer.status != 200:
        raise UserError(str(found["message"]), hint=str(found["hint"]))
    return found


def last_known(state: Path) -> dict[str, Any] | None:
    """What a supervisor that has ended left behind."""
    with suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads((state / LAST).read_text())
        return found
    return None


def seconds_in_words(seconds: float | None) -> str:
    """`3h 20m`, for a table."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m" if whole < 3600 else f"{whole // 3600}h {whole % 3600 // 60}m"
