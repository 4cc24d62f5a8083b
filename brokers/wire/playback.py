"""The order of a recording, kept by a replay: what the venue said is told once we have done what came before it.

The recording's times do not matter. Reads that a client made by the clock may be missing the next time, or be made more often: one that
nobody asks for is passed over after some patience, and one that is asked for again has the answer it had last. What has
an effect is never passed over and never answered twice.

What was said on one connection clearly before something on another is told some time before it: nobody sees from outside
when a program has dealt with what it heard.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from brokers.wire.tape import Entry
from core.telemetry import get_logger

FIRST_SECONDS, AGAIN_SECONDS = 5.0, 0.3
"""How long a read is waited for that the recording has for the first time, and one that it has again."""
SETTLE_SECONDS = 0.3
"""What a program is given to deal with what it heard on one connection before it hears more on another."""
CLEARLY_BEFORE = timedelta(milliseconds=20)

log = get_logger("brokers.wire")


@dataclass(slots=True)
class Step:
    """One line of a recording. question: what we did, in words; empty for what the venue said.

    effect: what follows is not told unless this was done. answers: the steps that answer it. of: the question that a
    step of the venue answers. awaited: whoever answers it says when that is done.
    """

    number: int
    entry: Entry
    question: str = ""
    effect: bool = False
    answers: tuple[int, ...] = ()
    of: int | None = None
    awaited: bool = False

    @property
    def time(self) -> datetime:
        """When it was said."""
        return datetime.fromisoformat(self.entry["time"])

    @property
    def connection(self) -> int:
        """On which it was said; 0 for an answer to a request."""
        return int(self.entry.get("connection", 0))


class Playback:
    """One pass through a recording. tell: sends what the venue said, to whoever it is for."""

    def __init__(self, steps: Sequence[Step], tell: Callable[[Step], Awaitable[None]]) -> None:
        self.steps = steps
        self._tell = tell
        self._at = 0
        self._asked: set[int] = set()
        self._told: set[int] = set()
        self._passed_over: set[int] = set()
        self._last: dict[str, Step] = {}
        self._fresh: dict[int, datetime] = {}
        self._places: defaultdict[str, list[int]] = defaultdict(list)
        for step in steps:
            if step.question:
                self._places[step.question].append(step.number)
        self._turn = asyncio.Lock()
        self._stirred = asyncio.Event()
        self._waiting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to wait for what the recording has first."""
        self._waiting = asyncio.create_task(self._wait_for_reads(), name="replay")

    async def stop(self) -> None:
        """Wait no more."""
        if self._waiting is not None:
            self._waiting.cancel()
            with suppress(asyncio.CancelledError):
                await self._waiting

    def missing(self) -> list[str]:
        """What has an effect in the recording, and was not done."""
        return [
            step.question
            for step in self.steps
            if step.question and step.effect and step.number not in self._asked
        ]

    async def ask(
        self, question: str, chosen: Callable[[Step], None] = lambda step: None
    ) -> tuple[Step, bool] | None:
        """The step that this is, and whether it is so for the first time; None where the recording lacks it.

        chosen: called with the step before anything is told that follows it.
        """
        async with self._turn:
            step = self._choose(question)
            if step is None:
                self._stirred.set()
                log.warning("replay.lacking", question=question)
                return None
            first = step.number not in self._asked
            self._asked.add(step.number)
            self._last[question] = step
            chosen(step)
            if first and step.effect:
                self._pass_over_reads_before(step.number)
            await self._advance()
            self._stirred.set()
            return step, first

    def untold(self, step: Step) -> list[Step]:
        """Answers to a step that the order of the recording has not told yet, and will not now."""
        return [self.steps[number] for number in step.answers if number not in self._told]

    async def told(self, step: Step) -> None:
        """Somebody has told this one."""
        async with self._turn:
            self._note(step)
            await self._advance()

    # -- within

    def _choose(self, question: str) -> Step | None:
        open_ = [number for number in self._places.get(question, ()) if number not in self._asked]
        last = self._last.get(question)
        behind = [number for number in open_ if number < self._at]
        if behind:
            return self.steps[behind[-1]]
        if open_ and (last is None or last.effect or not self._effect_before(open_[0])):
            return self.steps[open_[0]]
        return None if last is not None and last.effect else last

    def _effect_before(self, number: int) -> bool:
        """Whether something with an effect has to be done before that step."""
        return any(step.effect and step.number not in self._asked for step in self.steps[self._at : number])

    def _pass_over_reads_before(self, number: int) -> None:
        """Whoever does this has made its reads before it, or does not make them this time."""
        for step in self.steps[self._at : number]:
            if step.question and not step.effect and step.number not in self._asked:
                self._passed_over.add(step.number)

    async def _advance(self) -> None:
        """Tell what may be told now."""
        while self._at < len(self.steps):
            step = self.steps[self._at]
            if step.question:
                if step.number not in self._asked and step.number not in self._passed_over:
                    return
            elif step.number not in self._told and (step.of is None or step.of in self._asked):
                if step.awaited:
                    return
                await self._settle(step)
                self._note(step)
                await self._tell(step)
            self._at += 1
            self._stirred.set()

    def _note(self, step: Step) -> None:
        self._told.add(step.number)
        self._fresh[step.connection] = step.time

    async def _settle(self, step: Step) -> None:
        """Wait before a step where something on another connection was told just now that came clearly before it."""
        others = [time for connection, time in self._fresh.items() if connection != step.connection]
        if any(step.time - time > CLEARLY_BEFORE for time in others):
            self._fresh.clear()
            await asyncio.sleep(SETTLE_SECONDS)

    async def _wait_for_reads(self) -> None:
        """Pass over reads that nobody makes; say what is waited for."""
        said = -1
        while self._at < len(self.steps):
            self._stirred.clear()
            step = self.steps[self._at]
            again = self._places[step.question][0] != step.number if step.question else False
            try:
                async with asyncio.timeout(AGAIN_SECONDS if again and not step.effect else FIRST_SECONDS):
                    await self._stirred.wait()
                continue
            except TimeoutError:
                pass
            async with self._turn:
                if self._at != step.number or not step.question or step.number in self._asked:
                    continue
                if not step.effect:
                    self._passed_over.add(step.number)
                    await self._advance()
                elif said != step.number:
                    said = step.number
                    log.info("replay.waits", question=step.question)
