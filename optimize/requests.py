"""What a walk-forward was asked for, as it is written down in the storage: enough for a worker to take part in it.

A request has the form of a job (`optimize.queue.Job`): the arguments of `python -m optimize.walkforward` and the folder
they were given in; here with every setting that the result depends on written out, and without what is one process's
own affair. The facts (hashes of source and bars, costs, windows, search) tell whether another place has the same.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Column, String, Table, Text, inspect, select, update

from core.errors import ConfigError
from optimize.parts import metadata
from store.database import Database

RUNNING, DONE, FAILED = "running", "done", "failed"
REQUESTS = Table(
    "tradewright_requests",
    metadata,
    Column("study", String(512), primary_key=True),
    Column("request", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("reason", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One walk-forward. study: its name in the storage. space_file: the text of --space-file, "" without one.

    report: where the page will stand on `host`. shared: whether other processes may take part. state: "running",
    "done", or "failed" for `reason`; one that was stopped is still "running", since it can go on.
    """

    study: str
    arguments: tuple[str, ...]
    folder: str
    report: str
    facts: Mapping[str, Any]
    shared: bool
    space_file: str = ""
    host: str = ""
    state: str = RUNNING
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Requests:
    """Those of one storage."""

    database: Database

    def all(self) -> list[Request]:
        """By name of study; none where nobody has made the table yet."""
        if not inspect(self.database.engine).has_table(REQUESTS.name):
            return []
        rows = self.database.rows(select(REQUESTS).order_by(REQUESTS.c.study))
        return [_request(row) for row in rows]

    def get(self, study: str) -> Request | None:
        """That of one study."""
        row = self.database.row(select(REQUESTS).where(REQUESTS.c.study == study))
        return None if row is None else _request(row)

    def check(self, study: str, facts: Mapping[str, Any]) -> None:
        """Raise ConfigError where the study is there with other facts."""
        known = self.get(study)
        if known is not None:
            refuse_others(study, known.facts, facts)

    def begin(self, request: Request) -> None:
        """Write a request down, or that it goes on. Raises ConfigError where its study has other facts."""
        self.check(request.study, request.facts)
        text = asdict(replace(request, host=socket.gethostname()))
        row = {"study": text.pop("study"), "state": RUNNING, "reason": ""}
        del text["state"], text["reason"]
        statement = self.database.upsert(REQUESTS, ("request", "state", "reason"))
        self.database.write(statement, row | {"request": json.dumps(text)})

    def end(self, study: str, state: str, reason: str = "") -> None:
        """Write down that the walk-forward has ended."""
        ended = update(REQUESTS).where(REQUESTS.c.study == study).values(state=state, reason=reason)
        self.database.write(ended, {})


def _request(row: Mapping[Any, Any]) -> Request:
    text = json.loads(row["request"])
    arguments = tuple(text.pop("arguments"))
    return Request(row["study"], arguments, **text, state=row["state"], reason=row["reason"])


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts as they come back from JSON."""
    found: dict[str, Any] = json.loads(json.dumps(facts, default=str))
    return found


def changed(known: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names of the facts that differ."""
    return sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))


def refuse_others(name: str, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ConfigError for a study that was begun with other facts."""
    different = changed(known, wanted)
    if different:
        raise ConfigError(
            f"the study {name} was begun with another {', '.join(different)}",
            hint="give another --study name, or what it was begun with",
        )


__all__ = ["DONE", "FAILED", "RUNNING", "Request", "Requests", "changed", "plain", "refuse_others"]
