"""One bot as a process of its own: started, watched, started again, told to end."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time as wall
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import UserError
from live.fleet_settings import Bot, SupervisorSettings
from live.last_words import read_last_words
from live.restarts import Ended, Restarts, how_it_ended

OUTPUT_BYTES = 5_000_000
"""Size at which a bot's output is put aside, once, before it starts again."""
OUTPUT = "output.log"
FLATTEN = "flatten"
"""See `live.attached`."""
LONGEST_LOOK = 1.0
START_SECONDS = 60.0
"""A process may be silent so long before it has begun."""
PROGRAM = ("-m", "live.run")


class State(StrEnum):
    """Where a bot is. WAITING: for its next start. The last four: it starts again when a person says so."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ENDED = "ended"
    REFUSED = "refused"
    HALTED = "halted"
    GAVE_UP = "gave up"


FINAL = {
    Ended.DONE: State.ENDED,
    Ended.REFUSED: State.REFUSED,
    Ended.HALTED: State.HALTED,
    Ended.CRASHED: State.GAVE_UP,
}
AT_WORK = frozenset({State.STARTING, State.RUNNING, State.WAITING, State.STOPPING})
BAD_ENDS = frozenset({State.REFUSED, State.HALTED, State.GAVE_UP})
Say = Callable[[str, str, bool], None]
"""Says a bot's name and what happened to it; True where a person has to know."""


class BotProcess:
    """One bot. killed: it did not end when it was told to. left: what it last said it left at its venue."""

    def __init__(self, bot: Bot, settings: SupervisorSettings, say: Say, chance: Callable[[], float]) -> None:
        self.bot = bot
        self.state = State.STOPPED
        self.killed = self.silent = False
        self.error = ""
        self.left: Mapping[str, Any] | None = None
        self._settings = settings
        self._say = say
        self._chance = chance
        self._restarts = Restarts(settings.policy())
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._told = self._flatten = False
        self._began = self._next_start = 0.0
        self._output_from = 0
        self._status: dict[str, Any] = self._read_status()

    # -- what it is told

    def start(self, *, new: bool = False) -> None:
        """Begin, or go on with the unfinished run, unless `new`; one that waits for its next start does not wait."""
        if self.state is State.WAITING and not new:
            self._restarts.forgive()
            self._hurry.set()
            return
        if self.state in AT_WORK:
            raise UserError(f"bot {self.bot.name} is {self.state}", hint="stop it first")
        self._restarts.forgive()
        self._begin(self.bot.arguments(None, new=new))

    async def stop(self) -> None:
        """End it as SIGTERM ends a session; by force where it takes too long."""
        self._flatten = False
        if self._task is None or self._task.done():
            if self.state in BAD_ENDS or self.state is State.ENDED:
                return
            self.state = State.STOPPED
            return
        self._tell_to_end()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.terminate()
        await self._until_over()

    async def flatten(self) -> None:
        """End it with nothing held; one that does not run goes on with its run to do so."""
        if self.bot.settings.broker == "paper":
            raise UserError(
                f"bot {self.bot.name} replays on paper", hint="stop it: there is nothing to close"
            )
        self._flatten = True
        if self._process is None:
            await self._revive()
        else:
            await self._send_flatten(self._process)
        self._tell_to_end()
        await self._until_over()
        if not self.error and (self.left or {}).get("held"):
            self.error = f"it was {self._left_in_words().strip(', ')}"
        if self.error:
            raise UserError(
                f"bot {self.bot.name} was not flattened: {self.error}",
                hint="look at the account at the venue",
            )

    async def _revive(self) -> None:
        """A process that goes on with the run as it began, whatever the configuration says by now."""
        run = self._status.get("run")
        if run is None:
            raise UserError(f"bot {self.bot.name} has no run", hint="there is nothing to close")
        if self._task is not None and not self._task.done():
            self._tell_to_end()
            await self._task
        self._begin(self.bot.arguments(str(run)))

    async def _send_flatten(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                process.stdin.write(FLATTEN.encode() + b"\n")
                await process.stdin.drain()

    def _tell_to_end(self) -> None:
        self._told = True
        self._hurry.set()
        self.state = State.STOPPING

    async def _until_over(self) -> None:
        """Until its task has ended; what has not ended by then is killed, with all it started."""
        if self._task is None:
            return
        done, _ = await asyncio.wait({self._task}, timeout=self._settings.stop_seconds)
        if not done:
            self.killed = True
            self._kill()
            await self._task
            self.error = f"it did not end within {self._settings.stop_seconds:g} s, and was killed"
            self._say(self.bot.name, f"{self.error}; what protects its positions rests at the venue", True)

    def kill(self) -> None:
        """End it by force, now."""
        self._told = self.killed = True
        self._hurry.set()
        self._kill()

    def kill_now(self) -> None:
        """End what still runs because we are ending."""
        if self._process is not None:
            self.kill()

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    # -- its lives

    def _begin(self, arguments: list[str]) -> None:
        self.error, self.killed, self._told, self.left = "", False, False, None
        self._hurry.clear()
        self.state = State.STARTING
        self._task = asyncio.create_task(self._lives(arguments), name=f"bot {self.bot.name}")
        self._task.add_done_callback(self._lost)

    def _lost(self, task: asyncio.Task[None]) -> None:
        """A defect of ours, or a disk that is full, ended the looking after: nothing may trade unseen."""
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self.kill_now()
            self.state, self.error = State.GAVE_UP, f"{type(failure).__name__}: {failure}"
            self._say(self.bot.name, f"is looked after no more: {self.error}", True)

    async def _lives(self, arguments: list[str]) -> None:
        while True:
            ended = await self._life(arguments)
            if self._told:
                self.state = State.STOPPED
                self._say(self.bot.name, f"stopped{self._left_in_words()}", False)
                return
            lived = wall.monotonic() - self._began
            pause = self._restarts.next_pause(ended, lived=lived, now=wall.monotonic(), chance=self._chance())
            if pause is None:
                self._over(ended)
                return
            await self._wait(ended, pause)
            if self._told:
                self.state = State.STOPPED
                return
            # The run it has now goes on, even where the first start was to begin a new one.
            arguments = self.bot.arguments(None)

    async def _life(self, arguments: list[str]) -> Ended:
        """From its start to its end, whichever that is."""
        self.state, self.silent = State.STARTING, False
        self._began = wall.monotonic()
        try:
            process = await self._spawn(arguments)
        except OSError as failure:
            self.error = f"it could not be started: {failure.strerror}"
            return Ended.CRASHED
        self._process = process
        if self._flatten:
            await self._send_flatten(process)
        elif self._told:
            with suppress(ProcessLookupError):
                process.terminate()
        self._say(self.bot.name, f"started, process {process.pid}", False)
        code = await self._watched(process)
        self._status = self._read_status()
        self._process = None
        if process.stdin is not None:
            process.stdin.close()
        words = read_last_words(self.bot.folder / OUTPUT, self._output_from, code)
        self.error, self.left = words.text, words.left
        if self._told and code == -signal.SIGTERM:
            self.error = ""  # it had not begun
        return how_it_ended(code, words.code)

    async def _spawn(self, arguments: list[str]) -> asyncio.subprocess.Process:
        folder = self.bot.folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        output = folder / OUTPUT
        if output.exists() and output.stat().st_size > OUTPUT_BYTES:
            output.replace(folder / f"{OUTPUT}.1")
        with output.open("ab") as file:
            self._output_from = file.tell()
            return await asyncio.create_subprocess_exec(
                sys.executable,
                *PROGRAM,
                *arguments,
                # As long as we hold this open it trades; see `live.attached`.
                stdin=asyncio.subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={
                    **os.environ,
                    **self.bot.environment(),
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
                start_new_session=True,
            )

    async def _watched(self, process: asyncio.subprocess.Process) -> int:
        """Its exit code, once it has one; until then looks whether it lives."""
        look = min(LONGEST_LOOK, self._settings.silence_seconds / 4)
        silent_looks = 0
        while True:
            try:
                async with asyncio.timeout(look):
                    return await process.wait()
            except TimeoutError:
                silent_looks = silent_looks + 1 if self._is_silent(process.pid) else 0
            # Twice: after a suspended machine wakes up, everybody has been silent for long.
            if silent_looks == 2:
                self.silent = True
                self._say(self.bot.name, self._silence_in_words(), True)
                if self._settings.restart_silent:
                    self._kill()
            elif silent_looks == 0 and self.silent:
                self.silent = False
                self._say(self.bot.name, "shows signs of life again", False)

    def _is_silent(self, pid: int) -> bool:
        status, spoke = self._read_status(), self._began_wall
        if status.get("pid") == pid:
            self._status = status
            with suppress(OSError):
                spoke = max(spoke, self._file.stat().st_mtime)
            if self.state is State.STARTING and "run" in status:
                self.state = State.RUNNING
        longest = self._settings.silence_seconds
        if self.state is State.STARTING:
            longest = max(longest, START_SECONDS)
        return wall.time() - spoke > longest

    @property
    def _began_wall(self) -> float:
        return wall.time() - (wall.monotonic() - self._began)

    def _silence_in_words(self) -> str:
        words = f"has shown no sign of life for {self._settings.silence_seconds:g} s"
        return f"{words}; it is killed and started again" if self._settings.restart_silent else words

    async def _wait(self, ended: Ended, pause: float) -> None:
        self.state = State.WAITING
        self._next_start = wall.monotonic() + pause
        what = "cannot begin yet" if ended is Ended.NOT_YET else "crashed"
        self._say(
            self.bot.name,
            f"{what}: {self.error}; started again (restart {self._restarts.count}) in {pause:.3g} s",
            True,
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._hurry.wait()
        if not self._told:
            self._hurry.clear()

    def _over(self, ended: Ended) -> None:
        self.state = FINAL[ended]
        if ended is Ended.DONE:
            self._say(self.bot.name, f"has ended{self._left_in_words()}", False)
            return
        policy, again = self._settings, f"python -m live.supervisor start {self.bot.name}"
        what = {
            Ended.REFUSED: "was refused, and is not started again",
            Ended.HALTED: "halted, and is not started again: a person decides",
            Ended.CRASHED: f"GAVE UP after {policy.crashes} crashes within {policy.window_seconds:g} s",
        }[ended]
        self._say(
            self.bot.name,
            f"{what}: {self.error}; what protects its positions rests at the venue; once mended: {again}",
            True,
        )

    # -- what is known of it

    @property
    def _file(self) -> Path:
        return self.bot.folder / "status.json"

    def _read_status(self) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads(self._file.read_text())
            return found
        return {}

    def _left_in_words(self) -> str:
        if not self.left:
            return ""
        held = ", ".join(f"{size:.15g} {symbol}" for symbol, size in self.left.get("held", {}).items())
        return f", holding {held or 'nothing'}; orders that rest at the venue: {self.left.get('resting', 0)}"

    def view(self) -> dict[str, Any]:
        """For `status`."""
        process, status = self._process, self._status
        if process is not None:
            self._is_silent(process.pid)
            status = self._status
        waits = self._next_start - wall.monotonic() if self.state is State.WAITING else None
        return {
            "name": self.bot.name,
            "state": self.state,
            "pid": None if process is None else process.pid,
            "uptime_seconds": None if process is None else round(wall.monotonic() - self._began, 1),
            "restarts": self._restarts.count,
            "next_start_seconds": None if waits is None else round(max(0.0, waits), 1),
            "silent": self.silent,
            "strategy": self.bot.settings.strategy,
            "broker": self.bot.settings.broker,
            "run": status.get("run"),
            "bars": status.get("bars", 0),
            "last_bar": status.get("bar"),
            "feeds": status.get("feeds", {}),
            "last_error": self.error or None,
            "folder": self.bot.folder,
            "time": datetime.now(UTC),
        }


def chance() -> float:
    """Uniform in [0, 1)."""
    return random.random()
