"""What kinds of message a recording holds, which fields each has, of which types; values do not matter."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from brokers.simulators.tws.session import MESSAGES
from brokers.wire.tape import Entry

Shape = dict[str, set[str]]
"""Types seen, by the path of a field."""
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
NAMED = {
    **MESSAGES,
    6: "accountValue", 7: "portfolioValue", 8: "accountUpdateTime", 9: "nextValidId", 10: "contractDetails",
    15: "managedAccounts", 17: "historicalData", 49: "currentTime", 52: "contractDetailsEnd", 53: "openOrderEnd",
    54: "accountDownloadEnd", 55: "execDetailsEnd", 57: "tickSnapshotEnd", 58: "marketDataType", 62: "positionEnd",
    63: "accountSummary", 64: "accountSummaryEnd", 73: "accountUpdateMulti", 74: "accountUpdateMultiEnd",
    81: "tickReqParams", 93: "marketRule", 101: "completedOrder", 102: "completedOrdersEnd",
}  # fmt: skip
ERROR_MESSAGE, REQUEST_FIELD, CODE_FIELD = 4, 2, 3


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise. kind: of message; field: empty where the whole kind is on one side alone."""

    kind: str
    field: str
    venue: str
    simulator: str

    def __str__(self) -> str:
        what = f"{self.kind}: {self.field}" if self.field else self.kind
        return f"{what}: the venue has {self.venue}, the simulator {self.simulator}"


def shapes(entries: Iterable[Entry]) -> dict[str, Shape]:
    """The shape of everything that the venue said, by kind of message."""
    found: defaultdict[str, Shape] = defaultdict(lambda: defaultdict(set))
    for entry in entries:
        if entry["from"] == "venue" and entry["kind"] != "closed":
            kind, body = _message(entry)
            for path, type_ in _fields("", body):
                found[kind][path].add(type_)
    return {kind: dict(shape) for kind, shape in found.items()}


def differences(venue: Mapping[str, Shape], simulator: Mapping[str, Shape]) -> list[Difference]:
    """Kinds of message, fields and types that one side alone has shown."""
    found = []
    for kind in sorted({*venue, *simulator}):
        if kind not in venue or kind not in simulator:
            found.append(
                Difference(kind, "", *("it" if kind in side else "none" for side in (venue, simulator)))
            )
            continue
        for field in sorted({*venue[kind], *simulator[kind]}):
            ours, theirs = simulator[kind].get(field), venue[kind].get(field)
            # Types of a field may vary from message to message: only what never was alike is told.
            if not (ours and theirs and ours & theirs) and not _in_something_empty(
                field, venue[kind], simulator[kind]
            ):
                found.append(Difference(kind, field, _words(theirs), _words(ours)))
    return found


def _message(entry: Entry) -> tuple[str, object]:
    """Kind and content of what the venue said."""
    if entry["kind"] in ("greeting", "frame"):
        fields = entry["fields"]
        if entry["kind"] == "greeting":
            return "greeting", fields
        number = int(fields[0])
        name = NAMED.get(number, f"message {number}")
        # The text of an error is prose, and its code the kind of it.
        return (f"error {fields[CODE_FIELD]}", len(fields)) if number == ERROR_MESSAGE else (name, fields)
    if entry["kind"] == "answer":
        body, what = entry["body"], f"{entry['method']} {entry['path']}"
        refused = isinstance(body, dict) and entry["status"] >= 400
        return (f"{what} error {body.get('code')}" if refused else what), body
    if entry["kind"] == "lost":
        return f"{entry['method']} {entry['path']} without an answer", {}
    body = entry["body"]
    event = body.get("event", body) if isinstance(body, dict) else body
    if isinstance(event, dict) and "e" in event:
        return f"{event['e']} {event.get('x', '')}".strip(), body
    return f"answer on {entry['kind']}", body


def _fields(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Every field below `path`, with its type; the elements of a list are one field."""
    if isinstance(value, Mapping):
        yield path, "object"
        for name, each in value.items():
            yield from _fields(f"{path}.{name}" if path else str(name), each)
    elif isinstance(value, list):
        yield path, "list" if value else "empty list"
        fixed = bool(value) and not isinstance(value[0], Mapping)
        for number, each in enumerate(value):
            yield from _fields(f"{path}[{number if fixed else ''}]", each)
    else:
        yield path, _type(value)


def _type(value: object) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "truth value"
    if isinstance(value, int | float):
        return "number"
    return "number in quotes" if NUMBER.fullmatch(str(value)) else "text"


def _in_something_empty(field: str, venue: Shape, simulator: Shape) -> bool:
    """Whether a field is missing because the list or object it would stand in was empty, or was never there."""
    for shape in (venue, simulator):
        parent = field
        while "[" in parent or "." in parent:
            parent = re.sub(r"(\[\d*\]|\.[^.\[\]]+)$", "", parent)
            types = shape.get(parent, set())
            if types and types <= {"empty list", "nothing"}:
                return True
    return False


def _words(types: set[str] | None) -> str:
    return " or ".join(sorted(types)) if types else "no such field"
