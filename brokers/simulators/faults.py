"""Named faults, and when they strike. Protocol servers ask `Faults.at` wherever one could."""

from __future__ import annotations

import time as wall
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.errors import UnknownNameError, UserError


class Point(StrEnum):
    """Where in a server a fault can strike.

    REQUEST: before the exchange sees it. ANSWER: after it did, before the client is told. MESSAGE: a message to a
    stream. CONNECT: somebody opens a connection. FILL: an order is about to trade. CLOCK: the time is read.
    NOW: at once, without waiting for anybody.
    """

    REQUEST = "request"
    ANSWER = "answer"
    MESSAGE = "message"
    CONNECT = "connect"
    FILL = "fill"
    CLOCK = "clock"
    NOW = "now"


POINTS: Mapping[str, Point] = {
    "drop-before-accept": Point.REQUEST,
    "drop-after-accept": Point.ANSWER,
    "hold": Point.REQUEST,
    "hold-answer": Point.ANSWER,
    "reject": Point.REQUEST,
    "fail-after-accept": Point.ANSWER,
    "rate-limit": Point.REQUEST,
    "ban": Point.REQUEST,
    "refuse": Point.CONNECT,
    "mute": Point.MESSAGE,
    "lose": Point.MESSAGE,
    "duplicate": Point.MESSAGE,
    "reorder": Point.MESSAGE,
    "partial": Point.FILL,
    "clock-skew": Point.CLOCK,
    "half-open": Point.NOW,
    "disconnect": Point.NOW,
    "restart": Point.NOW,
    "id-rollback": Point.NOW,
    "manual-trade": Point.NOW,
    "message": Point.NOW,
}
"""Every fault and where it strikes.

drop-before-accept: the connection ends, the exchange never saw the request. drop-after-accept: it did, the answer is
lost. hold, hold-answer: `seconds` of silence before the request, or before the answer. reject, fail-after-accept:
error `code`, before or after the exchange acted. rate-limit, ban: the protocol's own refusal, for `seconds`.
refuse: no new connection. mute: nothing is sent on streams for `seconds`. lose, duplicate: one message never, or
twice. reorder: one message after the next that matches. partial: `value` of the next order fills, the rest later.
clock-skew: the server's time is off by `seconds`. half-open: connections stay, and nothing moves on them any more.
disconnect: connections end. restart: the server goes away for `seconds`. id-rollback: ids are handed out again.
manual-trade: the account's owner trades by hand. message: a bare notice with `code`.
"""

FOR_A_WHILE = frozenset({"mute", "clock-skew", "rate-limit", "ban", "refuse"})


@dataclass(slots=True)
class Fault:
    """One fault and when it strikes.

    match: only where this text is part of what is happening (a path, a symbol, a message's name). after: let so
    many pass first. times: how often it strikes. seconds: how long it holds or lasts; one that lasts ends then,
    however often it struck. code, text: of an error. value: a fraction, a size or a price, by the fault.
    """

    name: str
    match: str = ""
    after: int = 0
    times: int = 1
    seconds: float = 0.0
    code: int = 0
    text: str = ""
    value: Decimal = Decimal(0)
    until: float | None = None

    @property
    def point(self) -> Point:
        """Where it strikes."""
        return POINTS[self.name]


def read_fault(given: Mapping[str, Any]) -> Fault:
    """A fault out of plain data; raises UserError for what is none."""
    known = {entry.name for entry in fields(Fault)} - {"until"}
    for key in given:
        if key not in known:
            raise UnknownNameError("field of a fault", key, known)
    name = str(given.get("name", ""))
    if name not in POINTS:
        raise UnknownNameError("fault", name, POINTS)
    try:
        return Fault(
            name,
            match=str(given.get("match", "")),
            after=int(given.get("after", 0)),
            times=int(given.get("times", 1)),
            seconds=float(given.get("seconds", 0)),
            code=int(given.get("code", 0)),
            text=str(given.get("text", "")),
            value=Decimal(str(given.get("value", 0))),
        )
    except (ValueError, ArithmeticError) as error:
        raise UserError(f"fault {name!r}: {error}", hint="numbers must be numbers") from error


class Faults:
    """The faults that wait to strike, oldest first, and the record of those that have."""

    def __init__(self, monotonic: Callable[[], float] = wall.monotonic) -> None:
        self._monotonic = monotonic
        self._waiting: list[Fault] = []
        self._actors: list[Callable[[Fault], None]] = []
        self.struck: list[str] = []

    @property
    def waiting(self) -> list[str]:
        """Names of the faults that have not ended."""
        self._drop_ended()
        return [fault.name for fault in self._waiting]

    def on_now(self, actor: Callable[[Fault], None]) -> None:
        """Who carries out the faults that wait for nobody."""
        self._actors.append(actor)

    def add(self, fault: Fault) -> None:
        """Let a fault strike as it says."""
        if fault.point is Point.NOW:
            self.struck.append(fault.name)
            for actor in self._actors:
                actor(fault)
            return
        if fault.name in FOR_A_WHILE and fault.seconds and fault.name != "clock-skew":
            fault.until = self._monotonic() + fault.seconds
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget those that wait, and which have struck."""
        self._waiting.clear()
        self.struck.clear()

    def end(self, fault: Fault) -> None:
        """A fault has done what it came for."""
        if fault in self._waiting:
            self._waiting.remove(fault)

    def at(self, point: Point, what: str = "") -> Fault | None:
        """The fault that strikes here and now, or None; `what` names what is happening."""
        self._drop_ended()
        for fault in self._waiting:
            if fault.point is not point or fault.match not in what:
                continue
            if fault.after > 0:
                fault.after -= 1
                continue
            if fault.until is None and fault.name != "clock-skew":
                fault.times -= 1
                if fault.times <= 0:
                    self._waiting.remove(fault)
            self.struck.append(fault.name)
            return fault
        return None

    def skew(self) -> float:
        """Seconds the server's clock is off."""
        return sum(fault.seconds for fault in self._waiting if fault.name == "clock-skew")

    def _drop_ended(self) -> None:
        now = self._monotonic()
        self._waiting = [fault for fault in self._waiting if fault.until is None or fault.until > now]
