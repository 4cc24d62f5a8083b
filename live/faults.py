"""What can go wrong in a rehearsal, venue by venue, and how it is brought about one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from brokers.simulators.control import Control
from brokers.simulators.faults import FOR_A_WHILE, POINTS, Point
from core.errors import TradewrightError, UnknownNameError

ALL = "all"
POLL_SECONDS = 0.2
Step = Mapping[str, Any]

_PLACE = {"binance": "POST /api/v3/order", "ibkr": "placeOrder"}
_TOLD = {"binance": "executionReport TRADE", "ibkr": "execDetails"}


def _common(venue: str) -> dict[str, list[Step]]:
    place, told = {"match": _PLACE[venue]}, {"match": _TOLD[venue]}
    return {
        "drop-after-accept": [{"name": "drop-after-accept", **place}],
        "duplicate": [{"name": "duplicate", **told}],
        "reorder": [{"name": "reorder", **told}],
        "partial": [{"name": "partial", "value": "0.5"}],
        "hold-answer": [{"name": "hold-answer", "seconds": 0.3, **place}],
        "drop-before-accept": [{"name": "drop-before-accept", **place}],
        "hold": [{"name": "hold", "seconds": 0.3, **place}],
        "lose": [{"name": "lose", **told}],
        "disconnect": [{"name": "disconnect"}],
        "mute": [{"name": "mute", "seconds": 0.5}],
        "half-open": [{"name": "half-open"}],
        "restart": [{"name": "restart", "seconds": 0.5}],
        "refuse": [{"name": "refuse", "seconds": 0.5}, {"name": "disconnect"}],
    }


CATALOGUE: Mapping[str, Mapping[str, Sequence[Step]]] = {
    "binance": {
        **_common("binance"),
        "reject": [
            {
                "name": "reject",
                "code": -2010,
                "text": "Account has insufficient balance",
                "match": _PLACE["binance"],
            }
        ],
        "fail-after-accept": [{"name": "fail-after-accept", "code": -1007, "match": _PLACE["binance"]}],
        "rate-limit": [{"name": "rate-limit", "seconds": 1, "match": _PLACE["binance"]}],
        "ban": [{"name": "ban", "seconds": 1, "match": _PLACE["binance"]}],
        "clock-skew": [{"name": "clock-skew", "seconds": 30}],
    },
    "ibkr": {
        **_common("ibkr"),
        "reject": [{"name": "reject", "code": 201, "match": _PLACE["ibkr"]}],
        "id-rollback": [{"name": "id-rollback"}],
        "1100-1101": [{"name": "message", "code": 1100}, {"name": "message", "code": 1101}],
        "1100-1102": [{"name": "message", "code": 1100}, {"name": "message", "code": 1102}],
    },
}
"""Each fault of a venue, as the simulator's control API is told of it, step by step."""


def chosen(venue: str, names: str | None) -> list[str]:
    """The faults of `all` or `NAME,...`. Raises UnknownNameError."""
    if names is None:
        return []
    known = CATALOGUE[venue]
    if names == ALL:
        return list(known)
    found = [name.strip() for name in names.split(",") if name.strip()]
    for name in found:
        if name not in known:
            raise UnknownNameError(f"fault of {venue}", name, [ALL, *known])
    return found


class FaultSchedule:
    """Brings faults about while a session trades, on a thread of its own.

    Those that wait for an order or a message come one at a time, each when the one before has struck; the others
    every `pause` seconds. met: names of those that have struck.
    """

    def __init__(self, control: Control, venue: str, names: Iterable[str], *, pause: float = 3.0) -> None:
        self._control, self._pause = control, pause
        steps = {name: CATALOGUE[venue][name] for name in names}
        self._waiting = [name for name in steps if _waits(steps[name])]
        self._at_once = [name for name in steps if not _waits(steps[name])]
        self._steps = steps
        self._armed, self._seen = "", 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="faults", daemon=True)
        self.met: list[str] = []
        self.failure: TradewrightError | None = None

    @property
    def names(self) -> list[str]:
        """All that were asked for."""
        return list(self._steps)

    def start(self) -> None:
        """Begin."""
        if self._steps:
            self._thread.start()

    def stop(self) -> None:
        """No more; what has been armed and has not struck is taken back."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
            self._note_struck(self._control.faults()["struck"])
            self._control.clear()

    def _run(self) -> None:
        try:
            self._bring_about()
        except TradewrightError as error:
            self.failure = error

    def _bring_about(self) -> None:
        until_next = 0.0
        while not self._over.wait(POLL_SECONDS):
            struck = self._control.faults()["struck"]
            self._note_struck(struck)
            if not self._armed and self._waiting:
                self._armed, self._seen = self._waiting.pop(0), len(struck)
                self._begin(self._armed)
            until_next += POLL_SECONDS
            if self._at_once and until_next >= self._pause:
                name, until_next = self._at_once.pop(0), 0.0
                self._begin(name)
                self.met.append(name)

    def _begin(self, name: str) -> None:
        for number, step in enumerate(self._steps[name]):
            if number and step["name"] == "message" and self._over.wait(0.5):
                return
            self._control.fault(**step)

    def _note_struck(self, struck: Sequence[str]) -> None:
        if self._armed and self._steps[self._armed][0]["name"] in struck[self._seen :]:
            self.met.append(self._armed)
            self._armed = ""


def _waits(steps: Sequence[Step]) -> bool:
    name = steps[0]["name"]
    lasting = name in FOR_A_WHILE and name not in ("rate-limit", "ban")
    return POINTS[name] is not Point.NOW and not lasting
