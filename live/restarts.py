"""When a bot that ended is started again: pure decisions over how it ended, and when it crashed before."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from core.cli import INTERRUPTED

USER_MISTAKE = 2
NOT_YET = frozenset({"venue-unreachable", "already-trading"})
"""Codes of errors that pass by themselves: waited for, and no crash."""
NEEDS_A_PERSON = frozenset({"inconsistent-state", "illegal-transition"})


class Ended(StrEnum):
    """How a bot's process ended.

    DONE: as it should, or because it was told to. REFUSED: by a mistake that only you can mend. HALTED: journal, venue
    and strategy disagree. NOT_YET: it cannot begin yet. CRASHED: everything else.
    """

    DONE = "ended"
    REFUSED = "refused"
    HALTED = "halted"
    NOT_YET = "not yet"
    CRASHED = "crashed"


def how_it_ended(exit_code: int, error: str | None) -> Ended:
    """error: the code of the error it reported last, if it did; see `core.errors`."""
    if exit_code in (0, INTERRUPTED):
        return Ended.DONE
    if error in NOT_YET:
        return Ended.NOT_YET
    if error in NEEDS_A_PERSON:
        return Ended.HALTED
    return Ended.REFUSED if exit_code == USER_MISTAKE else Ended.CRASHED


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Pauses in seconds: the first, and each twice the last, up to the longest.

    jitter: fraction by which a pause is longer or shorter, by chance. crashes: so many within window_seconds are
    enough. forget_seconds: after so long a life the pauses begin anew.
    """

    first_seconds: float = 1.0
    longest_seconds: float = 300.0
    jitter: float = 0.2
    crashes: int = 5
    window_seconds: float = 600.0
    forget_seconds: float = 600.0

    def pause(self, failures: int, chance: float) -> float:
        """Before the start after so many failures in a row (1, 2, ...). chance: uniform in [0, 1)."""
        # An exponent that grows for weeks would overflow.
        plain = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 60))
        return plain * (1 + self.jitter * (2 * chance - 1))


@dataclass(slots=True)
class Restarts:
    """One bot's past. count: how often it was started again."""

    policy: RestartPolicy
    count: int = 0
    _failures: int = 0
    _crashes: deque[float] = field(default_factory=deque)

    def next_pause(self, ended: Ended, *, lived: float, now: float, chance: float) -> float | None:
        """Seconds until the next start; None: there is none. lived: seconds the process had. now: monotonic."""
        if ended not in (Ended.CRASHED, Ended.NOT_YET):
            return None
        if lived >= self.policy.forget_seconds:
            self._failures = 0
        self._failures += 1
        if ended is Ended.CRASHED:
            self._crashes.append(now)
            while self._crashes[0] <= now - self.policy.window_seconds:
                self._crashes.popleft()
            if len(self._crashes) >= self.policy.crashes:
                return None
        self.count += 1
        return self.policy.pause(self._failures, chance)

    def forgive(self) -> None:
        """A person starts it again: what was is forgotten."""
        self._failures = 0
        self._crashes.clear()
