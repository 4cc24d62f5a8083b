"""Jobs that wait their turn, in a file or on a Redis server: what they are, who runs them, and how they ended.

queue = open_queue("sqlite:///runs/jobs/queue.db", Path("runs/jobs"))
job = queue.submit(["momentum", "--trials", "500"], Path.cwd(), priority=5)

huey keeps the data (its SQLite and Redis storages) and reads the cron lines. Its own queue is not used: that forgets
a task in the moment it hands it out, so a worker that is killed has lost it. Here a job stays where it is, and every
step of it is a key that is written once, by whoever is first (`put_if_empty`):

job:ID          what to run                      cancel:ID    somebody wants it to end
claim:ID:N      which worker runs it, N-th time  end:ID       how it ended
fire:ID:MINUTE  the job that a cron job made     beat:WORKER  a number that a worker at work keeps changing

A claim is never taken back: the next one gets the next number, and only once the worker of the last one is known to
be gone. On one machine that is known at once and for sure: worker and job hold a lock on a file, which the system
drops when both have ended. (Jobs of equal arguments share the file: they would go on with each other's trials.) Of a worker on another machine it is known when its beat stood still for `LEASE`
seconds; it gives its job up after half of that without the server. So no job runs twice at a time, except one of a
machine that was suspended for longer than that: it is ended when the machine wakes up.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import ConfigError, UnknownNameError, UserError
from core.redact import redact_text
from optimize.cron import parse_cron
from optimize.locks import holds, is_locked

LEASE = 60.0
"""Seconds that the beat of a worker on another machine may stand still."""
BUSY_SECONDS = 30
CONNECT_SECONDS = 5
QUEUED, RUNNING, DONE, FAILED, CANCELLED, SCHEDULED = (
    "queued",
    "running",
    "done",
    "failed",
    "cancelled",
    "scheduled",
)
_NAME = "tradewright"


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker that runs a job. lock: the file it holds locked on its machine, with `worker` inside."""

    worker: str
    host: str
    pid: int
    lock: str
    log: str
    started: str


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended. code: the exit code, negative for a signal, None when it never ran."""

    state: str
    finished: str
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands. arguments: those of `python -m optimize.walkforward`, run in `folder`.

    cron: five fields, UTC; the job then runs nothing itself, it makes jobs. of: the cron job that made this one, at
    `minute`. attempts: how often it was begun. Times are ISO 8601, UTC.
    """

    id: int
    arguments: tuple[str, ...]
    folder: str
    priority: int
    submitted: str
    cron: str = ""
    of: int | None = None
    minute: str = ""
    state: str = QUEUED
    cancelling: bool = False
    attempts: int = 0
    claim: Claim | None = None
    end: End | None = None

    @property
    def lock_name(self) -> str:
        """Of the file that is locked while it runs; the same for jobs that do the same."""
        text = json.dumps([self.arguments, self.folder])
        return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.lock"

    @property
    def over(self) -> bool:
        """Whether nothing will become of it any more."""
        return self.end is not None


class Queue:
    """All jobs of one address. Raises UserError when it cannot be reached, at any call."""

    def __init__(
        self, storage: Any, folder: Path, name: str, errors: tuple[type[Exception], ...] = (sqlite3.Error,)
    ) -> None:
        self._storage = storage
        self._errors: tuple[type[Exception], ...] = (*errors, OSError)
        self.folder = folder
        """Where this machine keeps logs and locks."""
        self.name = name
        self._beats: dict[str, tuple[bytes, float]] = {}

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the jobs stay."""
        with self._reached():
            self._storage.close()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise UserError(
                f"the job queue {self.name} cannot be used: {redact_text(str(error))}",
                hint="start the server, or name another with --set optimize.queue=sqlite:///PATH",
            ) from error

    # -- what people do

    def submit(
        self,
        arguments: Sequence[str],
        folder: Path,
        *,
        priority: int = 0,
        cron: str = "",
        of: int | None = None,
        minute: str = "",
    ) -> Job:
        """Add a job; the higher its priority the sooner, equal ones in their order. Raises ConfigError for `cron`."""
        if cron:
            parse_cron(cron)
        with self._reached():
            number = int(self._storage.incr("jobs"))
        job = Job(number, tuple(arguments), str(folder.resolve()), priority, _now(), cron, of, minute)
        facts = {
            name: getattr(job, name)
            for name in ("arguments", "folder", "priority", "submitted", "cron", "of", "minute")
        }
        self._put_new(f"job:{number}", facts)
        return self.job(number) if of is None else job

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        with self._reached():
            items: Mapping[str, bytes] = self._storage.result_items()
        numbers = sorted(int(key[4:]) for key in items if key.startswith("job:"))
        found = (self._read(number, items) for number in numbers)
        return [job for job in found if job is not None]

    def job(self, number: int) -> Job:
        """One job. Raises UnknownNameError."""
        jobs = {job.id: job for job in self.jobs()}
        if number not in jobs:
            raise UnknownNameError(
                "job", str(number), map(str, jobs), hint="python -m optimize.jobs list shows them"
            )
        return jobs[number]

    def cancel(self, number: int) -> Job:
        """End a job, or have its worker end it. Raises UserError for one that is over."""
        job = self.job(number)
        if job.over:
            raise UserError(f"job {number} is {job.state} already", hint="nothing was changed")
        self._put_new(f"cancel:{number}", {"at": _now()})
        job = self.job(number)
        if job.state != RUNNING:
            self.finish(number, End(CANCELLED, _now()))
        return self.job(number)

    # -- what workers do

    def claim(self, job: Job, claim: Claim) -> int | None:
        """Take a job that is queued; the number of the claim, or None when another was first."""
        number = job.attempts + 1
        return number if self._put_new(f"claim:{job.id}:{number}", _plain(claim)) else None

    def still_ours(self, job: int, number: int) -> bool:
        """Whether nobody else has taken the job since claim `number`."""
        with self._reached():
            return not self._storage.has_data_for_key(f"claim:{job}:{number + 1}")

    def cancelling(self, job: int) -> bool:
        """Whether somebody wants the job to end."""
        with self._reached():
            return bool(self._storage.has_data_for_key(f"cancel:{job}"))

    def finish(self, job: int, end: End) -> bool:
        """Write down how a job ended; False when it had ended before."""
        return self._put_new(f"end:{job}", _plain(end))

    def beat(self, worker: str, number: int) -> None:
        """Say that a worker is at work."""
        with self._reached():
            self._storage.put_data(f"beat:{worker}", str(number).encode())

    def leave(self, worker: str) -> None:
        """Say that a worker is gone: its jobs are free."""
        with self._reached():
            self._storage.delete_data(f"beat:{worker}")

    def fire(self, minute: datetime) -> list[Job]:
        """Make the jobs that are due in that minute, each once however many workers ask. Returns those made here.

        A cron job whose last job is not over yet makes none.
        """
        stamp = minute.astimezone(UTC).strftime("%Y-%m-%dT%H:%M")
        jobs = self.jobs()
        busy = {job.of for job in jobs if job.of is not None and not job.over}
        made = []
        for job in jobs:
            if job.state != SCHEDULED or job.id in busy or not parse_cron(job.cron)(minute.astimezone(UTC)):
                continue
            with self._reached():
                if self._storage.has_data_for_key(f"fire:{job.id}:{stamp}"):
                    continue
            new = self.submit(job.arguments, Path(job.folder), priority=job.priority, of=job.id, minute=stamp)
            # The job counts once this key names it; one made by a slower worker, or before a crash, never does.
            if self._put_new(f"fire:{job.id}:{stamp}", new.id):
                made.append(new)
            else:
                with self._reached():
                    self._storage.delete_data(f"job:{new.id}")
        return made

    def is_gone(self, claim: Claim, beat: bytes | None) -> bool:
        """Whether the worker of a claim has ended. beat: what it said last, None when it left."""
        if beat is None:
            return not is_locked(Path(claim.lock), claim.worker)
        if claim.host == socket.gethostname() and holds(Path(claim.lock), claim.worker):
            return not is_locked(Path(claim.lock), claim.worker)
        now = time.monotonic()
        seen, since = self._beats.get(claim.worker, (None, now))
        if seen != beat:
            self._beats[claim.worker] = (beat, now)
            return False
        return now - since > LEASE

    # -- inside

    def _put_new(self, key: str, value: Any) -> bool:
        with self._reached():
            return bool(self._storage.put_if_empty(key, json.dumps(value).encode()))

    def _read(self, number: int, items: Mapping[str, bytes]) -> Job | None:
        """A job from all that is written; None for one that a cron job did not make after all."""
        facts = json.loads(items[f"job:{number}"])
        job = Job(number, **{**facts, "arguments": tuple(facts["arguments"])})
        if job.of is not None:
            fired = items.get(f"fire:{job.of}:{job.minute}")
            if fired is None or json.loads(fired) != number:
                return None
        attempts = 0
        while f"claim:{number}:{attempts + 1}" in items:
            attempts += 1
        claim = Claim(**json.loads(items[f"claim:{number}:{attempts}"])) if attempts else None
        end = End(**json.loads(items[f"end:{number}"])) if f"end:{number}" in items else None
        cancelling = end is None and f"cancel:{number}" in items
        job = replace(job, attempts=attempts, claim=claim, end=end, cancelling=cancelling)
        return replace(job, state=self._state(job, items))

    def _state(self, job: Job, items: Mapping[str, bytes]) -> str:
        if job.end is not None:
            return job.end.state
        if job.cron:
            return SCHEDULED
        if job.claim is None or self.is_gone(job.claim, items.get(f"beat:{job.claim.worker}")):
            return QUEUED
        return RUNNING


def open_queue(address: str, folder: Path) -> Queue:
    """The queue at `sqlite:///PATH` or `redis://HOST:PORT/NUMBER`. folder: for logs and locks, with Redis.

    With SQLite they stand beside the file. Raises ConfigError, and UserError when it cannot be reached.
    """
    name = redact_text(address)
    if address.startswith("sqlite:///"):
        return _open_sqlite(Path(address.removeprefix("sqlite:///")).expanduser(), name)
    if re.match(r"(rediss?|unix)://", address):
        return _open_redis(address, folder, name)
    raise ConfigError(f"optimize.queue is {name}", hint="use sqlite:///PATH or redis://HOST:PORT/0")


def _open_sqlite(path: Path, name: str) -> Queue:
    from huey.storage import SqliteStorage

    if not path.name or path.is_dir():
        raise ConfigError(f"optimize.queue {name} names no file", hint="use sqlite:///PATH")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = SqliteStorage(_NAME, filename=str(path.resolve()), fsync=True, timeout=BUSY_SECONDS)
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"the job queue {name} cannot be used: {error}", hint="name another with --set optimize.queue="
        ) from error
    return Queue(storage, path.parent.resolve(), name)


def _open_redis(address: str, folder: Path, name: str) -> Queue:
    try:
        import redis
    except ImportError as error:
        raise ConfigError(
            "a queue on Redis needs its client, which is not installed",
            hint="run: pip install 'tradewright[redis]'",
        ) from error
    from huey.storage import RedisStorage

    try:
        pool = redis.ConnectionPool.from_url(
            address, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=BUSY_SECONDS
        )
    except ValueError as error:
        raise ConfigError(f"optimize.queue {name} is no address", hint="use redis://HOST:PORT/0") from error
    storage = RedisStorage(_NAME, connection_pool=pool)
    queue = Queue(storage, folder.resolve(), name, (redis.RedisError,))
    with queue._reached():
        queue._storage.conn.ping()
    return queue


def _plain(value: Claim | End) -> dict[str, Any]:
    return {name: getattr(value, name) for name in type(value).__dataclass_fields__}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


__all__ = ["Claim", "End", "Job", "Queue", "open_queue"]
