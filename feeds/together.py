"""Bars of several symbols handed over moment by moment, and in a later run in the very same way again.

Each symbol's bars come when they come. A strategy that sees two symbols must see the same pairs of bars when its run is
repeated, so the first of a bar's moment waits for the others, for a while, and what was handed over together is kept.
"""

from __future__ import annotations

import time as wall
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from core.errors import ConfigError
from core.types import Bar
from feeds.kept import KeptLines

GRACE_SECONDS = 5.0
LONGEST_WAIT = 3600.0


class Member(Protocol):
    """One symbol's bars. ahead: the next one, if it has come. heard: its history was read to its end, once."""

    ahead: Bar | None
    heard: bool

    @property
    def ended(self) -> bool:
        """Whether no bar will come any more."""
        ...

    def look_ahead(self) -> None:
        """Take the next bar in, if it has come."""
        ...


class Together:
    """Says whose bars come next; members join in the order in which they are asked, round by round.

    file: keeps what was handed over, a line a moment. grace: seconds the first bar of a moment waits for the others;
    for a member whose history is still being read, it waits as long as that takes.
    """

    def __init__(
        self, file: Path, *, grace: float = GRACE_SECONDS, monotonic: Callable[[], float] = wall.monotonic
    ) -> None:
        self._grace, self._monotonic = grace, monotonic
        self._members: list[Member] = []
        self._lines = KeptLines(file)
        self._kept = deque(_places(line, file) for line in self._lines.read)
        self._turn: set[int] = set()
        self._since: float | None = None

    def join(self, member: Member) -> None:
        """One more."""
        self._members.append(member)

    def may_hand_out(self, member: Member, busy: Callable[[], bool]) -> bool:
        """Whether this member's bar is to be handed over now. busy: no new moment may begin."""
        number = next(place for place, each in enumerate(self._members) if each is member)
        if number == 0 and not self._turn and not busy():
            self._decide()
        if number not in self._turn:
            return False
        self._turn.discard(number)
        return True

    def seconds_to_next(self) -> float:
        """Until the first bar of a moment need not wait any more; long, where only news can change anything."""
        if self._turn or self._missing() == []:
            return 0.0
        return (
            LONGEST_WAIT if self._since is None else max(0.0, self._since + self._grace - self._monotonic())
        )

    def _missing(self) -> list[Member] | None:
        """Who could still have a bar for the next moment; None where nobody has one yet."""
        if all(member.ahead is None for member in self._members):
            return None
        return [member for member in self._members if member.ahead is None and not member.ended]

    def _decide(self) -> None:
        for member in self._members:
            member.look_ahead()
        if self._kept:
            if all(self._members[number].ahead is not None for number in self._kept[0]):
                self._turn = set(self._kept.popleft())
            return
        missing = self._missing()
        if missing is None:
            self._since = None
        elif not missing or self._waited_for(missing):
            self._begin()

    def _waited_for(self, missing: list[Member]) -> bool:
        if not all(member.heard for member in missing):
            return False
        if self._since is None:
            self._since = self._monotonic()
        return self._monotonic() - self._since >= self._grace

    def _begin(self) -> None:
        times = {place: each.ahead.time for place, each in enumerate(self._members) if each.ahead is not None}
        first = min(times.values())
        self._turn = {number for number, time in times.items() if time == first}
        self._since = None
        self._lines.keep(" ".join(map(str, sorted(self._turn))))


def _places(line: str, file: Path) -> list[int]:
    try:
        return [int(number) for number in line.split()]
    except ValueError as error:
        raise ConfigError(
            f"{file} does not say which bars came together: {error}", hint="begin a new run"
        ) from error
