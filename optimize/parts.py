"""The parts of batches that several processes share: who runs which, and what came of those that are done.

A part is claimed for `LEASE` seconds by the server's clock and renewed while it runs. Whoever gives a part up sets it
free; that of a process that died on this machine is free at once, of one elsewhere when its claim has run out. So no
part is lost; and one that was taken over from a process that lives after all counts once, by whoever was first.
"""

from __future__ import annotations

import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import (
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    and_,
    func,
    select,
    update,
)

from core.errors import StoreError
from optimize.trials import Outcome
from store.database import Database

LEASE = 30.0
"""Seconds a claim lasts unless it is renewed."""
POLL = 0.1
"""Seconds between two looks at a part that another process runs."""
OPEN, DONE = "open", "done"

metadata = MetaData()
PARTS = Table(
    "tradewright_parts",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("part", String(80), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("owner", String(120), nullable=False),
    Column("until", Float, nullable=False),
    Column("outcome", LargeBinary),
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one study, by name."""

    database: Database
    study: int

    def done(self) -> frozenset[str]:
        """Names of those that are kept."""
        rows = self.database.rows(
            select(PARTS.c.part).where(PARTS.c.study_id == self.study, PARTS.c.state == DONE)
        )
        return frozenset(row["part"] for row in rows)

    def kept(self, name: str) -> Outcome | None:
        """What came of a part; None until it is done."""
        row = self.database.row(select(PARTS.c.state, PARTS.c.outcome).where(self._at(name)))
        return unpacked(row["outcome"]) if row is not None and row["state"] == DONE else None

    def keep(self, connection: Any, name: str, outcome: Outcome) -> bool:
        """Write a part down that nobody had to claim; False where it was there already."""
        row = self._row(name, DONE, "", 0.0) | {"outcome": packed(outcome)}
        return bool(connection.execute(self.database.insert_new(PARTS), row).rowcount)

    def claim(self, name: str) -> str | None:
        """Take a part that is free: the name of the claim, None where another process runs it or it is done."""
        owner = f"{socket.gethostname()} {os.getpid()} {threading.get_ident()} {time.monotonic_ns()}"
        row = self.database.row(select(PARTS.c.state, PARTS.c.owner, PARTS.c.until).where(self._at(name)))
        now = self._now()
        if row is None:
            new = self._row(name, OPEN, owner, now + LEASE) | {"outcome": None}
            return owner if self.database.write(self.database.insert_new(PARTS), new) else None
        if row["state"] == DONE or not (row["until"] < now or _died(row["owner"])):
            return None
        as_seen = and_(self._open(name, row["owner"]), PARTS.c.until == row["until"])
        taken = update(PARTS).where(as_seen).values(owner=owner, until=now + LEASE)
        return owner if self.database.write(taken, {}) else None

    @contextmanager
    def renewed(self, name: str, owner: str) -> Iterator[None]:
        """Renew a claim as long as its part is being run; set the part free where that fails or is stopped."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(LEASE / 3):
                # Where that lasts, the claim runs out; what is run then counts for nothing.
                with suppress(StoreError):
                    self._extend(name, owner, self._now() + LEASE)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            with suppress(StoreError):
                self._extend(name, owner, 0.0)
            raise
        finally:
            over.set()
            thread.join()

    def finish(self, name: str, owner: str, outcome: Outcome, write: Callable[[Any], None]) -> bool:
        """Write a claimed part down, and whatever `write` does with the connection; False when it was taken over."""
        done = (
            update(PARTS)
            .where(self._open(name, owner))
            .values(state=DONE, outcome=packed(outcome), until=0.0)
        )
        with self.database.transaction() as connection:
            if not connection.execute(done).rowcount:
                return False
            write(connection)
        return True

    def _extend(self, name: str, owner: str, until: float) -> None:
        self.database.write(update(PARTS).where(self._open(name, owner)).values(until=until), {})

    def _row(self, name: str, state: str, owner: str, until: float) -> dict[str, Any]:
        return {"study_id": self.study, "part": name, "state": state, "owner": owner, "until": until}

    def _at(self, name: str) -> Any:
        return and_(PARTS.c.study_id == self.study, PARTS.c.part == name)

    def _open(self, name: str, owner: str) -> Any:
        return and_(self._at(name), PARTS.c.owner == owner, PARTS.c.state == OPEN)

    def _now(self) -> float:
        """Seconds by the server's clock: those of several machines differ. A file is on one machine."""
        if self.database.engine.dialect.name == "sqlite":
            return time.time()
        row: Mapping[Any, Any] | None = self.database.row(
            select(func.extract("epoch", func.clock_timestamp()).label("now"))
        )
        return float(row["now"]) if row is not None else time.time()


def _died(owner: str) -> bool:
    """Whether a claim is that of a process of this machine that is no more."""
    host, process, *_ = owner.split()
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def packed(outcome: Outcome) -> bytes:
    """An outcome as bytes."""
    buffer = io.BytesIO()
    texts = json.dumps([outcome.errors, {str(key): text for key, text in outcome.tracebacks.items()}])
    np.savez(
        buffer,
        moments=outcome.moments,
        texts=np.frombuffer(texts.encode(), np.uint8),
        names=np.array(list(outcome.metrics), dtype=np.str_),
        values=np.array(list(outcome.metrics.values())).reshape(len(outcome.metrics), len(outcome)),
    )
    return buffer.getvalue()


def unpacked(blob: bytes) -> Outcome:
    """The outcome again."""
    with np.load(io.BytesIO(blob), allow_pickle=False) as found:
        errors, tracebacks = json.loads(found["texts"].tobytes().decode())
        metrics = dict(zip(found["names"].tolist(), found["values"], strict=True))
        moments = found["moments"]
    return Outcome(metrics, errors, moments, {int(key): text for key, text in tracebacks.items()})


__all__ = ["PARTS", "Parts", "metadata", "packed", "unpacked"]
