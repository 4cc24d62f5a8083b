"""Venue and journal compared while a session runs, on the wall clock; what stays different stops entries.

A fill on its way makes a difference for a moment. So a look counts only where nothing was on its way, and a difference
only where two looks in a row found the same. Then no entry leaves any more, exits do, and a person has to look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from brokers.executor import Executor
from core.clock import WallClock
from core.errors import TradewrightError
from core.telemetry import get_logger

RECONCILIATION = "reconciliation"
HALTED = "journal and venue differ: no new entries until a person has looked"

log = get_logger("brokers.reconciling")


class Reconciler:
    """Looks every `seconds`, or never. differences: what it found, once that counted.

    keep: puts it on record, by a name.
    """

    def __init__(self, seconds: float | None, keep: Callable[[str, Mapping[str, Any]], None]) -> None:
        self.differences: tuple[str, ...] = ()
        self._seconds, self._keep = seconds, keep
        self._before: frozenset[str] = frozenset()

    async def by_the_clock(self, executor: Executor) -> None:
        """Look until something differs, or the session ends."""
        while self._seconds is not None and not self.differences:
            await asyncio.sleep(self._seconds)
            await self.look(executor)

    async def look(self, executor: Executor) -> None:
        """Compare once."""
        try:
            found = await executor.compare()
        except TradewrightError as error:
            log.warning("reconciliation.put_off", code=error.code, reason=error.message)
            return
        if found is None:
            return
        now = frozenset(map(str, found))
        lasting, self._before = now & self._before, now
        if lasting:
            self._stop_entries(executor, tuple(sorted(lasting)))

    def _stop_entries(self, executor: Executor, lasting: tuple[str, ...]) -> None:
        self.differences = lasting
        executor.refuse_entries(HALTED)
        log.critical("reconciliation.differs", differences="; ".join(lasting), entries_refused=True)
        self._keep(RECONCILIATION, {"time": WallClock().now().isoformat(), "differences": list(lasting)})
