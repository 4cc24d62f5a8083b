"""Any queue of jobs: SQLite's file and a Redis server keep the same promises."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import ConfigError, UnknownNameError, UserError
from optimize.cron import minutes, parse_cron
from optimize.locks import lock
from optimize.queue import Claim, End, Job, Queue, open_queue
from tests.queue_servers import redis_server

NIGHT = datetime(2024, 3, 5, 2, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture(params=["sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'jobs' / 'queue.db'}"
    import redis

    found: str = request.getfixturevalue("redis_address")
    with redis.Redis.from_url(found) as client:
        client.flushall()
    return found


@pytest.fixture
def queue(address: str, tmp_path: Path) -> Iterator[Queue]:
    with open_queue(address, tmp_path / "jobs") as made:
        yield made


def claim_of(queue: Queue, worker: str, host: str = "", job: Job | None = None) -> Claim:
    name = job.lock_name if job else f"{worker}.lock"
    path = queue.folder / name
    return Claim(
        worker, host or socket.gethostname(), os.getpid(), str(path), "x.log", "2024-03-05T02:00:00+00:00"
    )


def test_a_job_is_there_for_everybody_who_opens_the_queue(queue: Queue, address: str, tmp_path: Path) -> None:
    first = queue.submit(["momentum", "--trials", "5"], tmp_path, priority=2)
    second = queue.submit(["momentum"], tmp_path)
    with open_queue(address, tmp_path / "jobs") as other:
        assert [job.id for job in other.jobs()] == [first.id, second.id] == [1, 2]
        again = other.job(1)
    assert again == first
    assert (again.arguments, again.folder) == (("momentum", "--trials", "5"), str(tmp_path))
    assert (again.priority, again.state, again.attempts) == (2, "queued", 0)


def test_one_of_many_workers_gets_a_job(address: str, queue: Queue, tmp_path: Path) -> None:
    job = queue.submit(["momentum"], tmp_path)
    won: list[int] = []
    ready = threading.Barrier(8)

    def take(number: int) -> None:
        with open_queue(address, tmp_path / "jobs") as mine:
            ready.wait(30)
            if mine.claim(job, claim_of(mine, f"w{number}")) is not None:
                won.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(won) == 1
    winner = queue.job(job.id).claim
    assert winner is not None
    assert winner.worker == f"w{won[0]}"


def test_a_job_is_free_again_once_its_worker_has_lost_the_lock(queue: Queue, tmp_path: Path) -> None:
    job = queue.submit(["momentum"], tmp_path)
    held = lock(queue.folder / job.lock_name, "one")
    assert held is not None
    queue.beat("one", 1)
    assert queue.claim(job, claim_of(queue, "one", job=job)) == 1
    assert queue.job(job.id).state == "running"
    assert queue.claim(job, claim_of(queue, "late")) is None
    assert lock(queue.folder / job.lock_name, "two") is None
    os.close(held)  # as the system does for a process that was killed
    free = queue.job(job.id)
    assert (free.state, free.attempts) == ("queued", 1)
    assert queue.claim(free, claim_of(queue, "two")) == 2
    assert not queue.still_ours(job.id, 1)
    assert queue.still_ours(job.id, 2)


def test_the_worker_of_another_machine_is_given_up_once_its_beat_stands_still(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = queue.submit(["momentum"], tmp_path)
    queue.beat("far", 1)
    queue.claim(job, claim_of(queue, "far", host="elsewhere.example"))
    assert [queue.job(job.id).state for _ in range(3)] == ["running"] * 3
    monkeypatch.setattr("optimize.queue.LEASE", -1.0)  # any time is too long now
    queue.beat("far", 2)
    assert queue.job(job.id).state == "running"
    assert queue.job(job.id).state == "queued"
    queue.beat("far", 3)
    assert queue.job(job.id).state == "running"


def test_a_worker_that_left_frees_its_job_at_once(queue: Queue, tmp_path: Path) -> None:
    job = queue.submit(["momentum"], tmp_path)
    queue.beat("far", 1)
    queue.claim(job, claim_of(queue, "far", host="elsewhere.example"))
    queue.leave("far")
    assert queue.job(job.id).state == "queued"


def test_a_job_ends_once(queue: Queue, tmp_path: Path) -> None:
    job = queue.submit(["momentum"], tmp_path)
    assert queue.finish(job.id, End("done", "2024-03-05T02:00:00+00:00", 0))
    assert not queue.finish(job.id, End("failed", "2024-03-05T02:00:01+00:00", 1))
    assert queue.job(job.id).state == "done"
    with pytest.raises(UserError, match="job 1 is done already"):
        queue.cancel(job.id)


def test_what_waits_is_cancelled_at_once_and_what_runs_by_its_worker(queue: Queue, tmp_path: Path) -> None:
    waits, runs = (queue.submit([name], tmp_path) for name in ("a", "b"))
    held = lock(queue.folder / runs.lock_name, "one")
    assert held is not None
    queue.beat("one", 1)
    queue.claim(runs, claim_of(queue, "one", job=runs))
    assert queue.cancel(waits.id).state == "cancelled"
    asked = queue.cancel(runs.id)
    assert (asked.state, asked.cancelling) == ("running", True)
    assert queue.cancelling(runs.id)
    os.close(held)
    assert queue.cancel(runs.id).state == "cancelled"  # nobody is left who would
    with pytest.raises(UnknownNameError, match="unknown job '9'"):
        queue.cancel(9)


def test_a_schedule_makes_one_job_a_minute_however_many_workers_ask(
    queue: Queue, address: str, tmp_path: Path
) -> None:
    nightly = queue.submit(["momentum"], tmp_path, priority=3, cron="0 2 * * *")
    assert nightly.state == "scheduled"
    assert queue.fire(NIGHT.replace(hour=3)) == []
    made: list[Job] = []
    ready = threading.Barrier(4)

    def ask() -> None:
        with open_queue(address, tmp_path / "jobs") as mine:
            ready.wait(30)
            made.extend(mine.fire(NIGHT))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 1
    job = queue.job(made[0].id)
    assert (job.of, job.minute, job.priority, job.state) == (nightly.id, "2024-03-05T02:00", 3, "queued")
    assert [each.id for each in queue.jobs()] == [nightly.id, job.id]
    assert queue.fire(NIGHT) == []
    tomorrow = NIGHT.replace(day=6)
    assert queue.fire(tomorrow) == []  # the last one is not over
    queue.finish(job.id, End("done", "2024-03-05T02:00:00+00:00", 0))
    assert len(queue.fire(tomorrow)) == 1
    queue.cancel(nightly.id)
    assert queue.fire(NIGHT.replace(day=7)) == []


def test_a_job_that_a_dying_worker_made_for_a_schedule_does_not_count(queue: Queue, tmp_path: Path) -> None:
    nightly = queue.submit(["momentum"], tmp_path, cron="0 2 * * *")
    queue.submit(["momentum"], tmp_path, of=nightly.id, minute="2024-03-05T02:00")
    assert [job.id for job in queue.jobs()] == [nightly.id]
    made = queue.fire(NIGHT)
    assert [job.id for job in queue.jobs()] == [nightly.id, made[0].id]


@pytest.mark.parametrize("line", ["0 2 * *", "61 * * * *", "a * * * *", "", "* * * * * *"])
def test_a_cron_line_that_says_nothing_is_refused(line: str) -> None:
    with pytest.raises(ConfigError, match=r"--cron .*minute, hour|--cron .*five fields"):
        parse_cron(line)


def test_the_minutes_since_the_last_look() -> None:
    since = datetime(2024, 3, 5, 1, 58, 59, 5, tzinfo=UTC)
    assert list(minutes(since, since)) == []
    assert [minute.minute for minute in minutes(since, NIGHT.replace(second=7))] == [59, 0]


def test_an_address_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    for address in ("mysql://x", "sqlite:///", f"sqlite:///{tmp_path}", "redis://h:port/0"):
        with pytest.raises(ConfigError, match=r"optimize\.queue"):
            open_queue(address, tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(UserError, match="cannot be used") as caught:
            open_queue(f"redis://me:pa55word@127.0.0.1:{port}/0", tmp_path)
    assert "pa55word" not in str(caught.value)
    (tmp_path / "text.db").write_text("no database, but text that is long enough to be read as a header" * 20)
    with pytest.raises(UserError, match="cannot be used"):
        open_queue(f"sqlite:///{tmp_path / 'text.db'}", tmp_path)


def test_a_server_that_goes_away_is_said_in_a_line(tmp_path: Path) -> None:
    with redis_server(tmp_path) as address:
        queue = open_queue(address, tmp_path)
        queue.submit(["momentum"], tmp_path)
    with pytest.raises(UserError, match=r"the job queue redis://127\.0\.0\.1:\d+/0 cannot be used"):
        queue.jobs()
