"""Workers and their jobs as real processes: stopped, killed, several at a time, on a file and on a Redis server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.clock import SimulatedClock
from core.errors import UserError
from optimize import jobs as jobs_command
from optimize.limits import Limits
from optimize.queue import Queue, open_queue
from optimize.worker import Worker, at_most
from tests.queue_servers import redis_server

HERE = Path(__file__).parent
STAND_IN = (str(HERE / "queue_job.py"),)
SECONDS = 60


@pytest.fixture(scope="module")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as address:
        yield address


@pytest.fixture(params=["sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs' / 'jobs' / 'queue.db'}"
    import redis

    found: str = request.getfixturevalue("redis_address")
    with redis.Redis.from_url(found) as client:
        client.flushall()
    return found


@pytest.fixture
def queue(address: str, tmp_path: Path) -> Iterator[Queue]:
    with open_queue(address, tmp_path / "runs" / "jobs") as made:
        yield made


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(address: str, tmp_path: Path) -> Iterator[Start]:
    """`start(*arguments)` starts a worker process; it and its job end with the test."""
    started: list[subprocess.Popen[str]] = []

    def worker(*arguments: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            str(HERE / "queue_worker.py"),
            "--set",
            f"optimize.queue={address}",
            *arguments,
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("APP_")}
        environment["PYTHONPATH"] = str(HERE.parents[1])
        started.append(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )
        return started[-1]

    yield worker
    for process in started:
        process.kill()
        process.communicate()
    (tmp_path / "go").touch()


def until(what: Callable[[], object]) -> None:
    """Wait for it."""
    end = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def begun(folder: Path) -> list[int]:
    with suppress(FileNotFoundError):
        return [int(line) for line in (folder / "begun").read_text().splitlines()]
    return []


def is_running(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def log_of(queue: Queue, number: int) -> str:
    claim = queue.job(number).claim
    assert claim is not None
    return Path(claim.log).read_text()


def test_jobs_run_by_priority_and_a_bad_one_takes_no_other_along(queue: Queue, tmp_path: Path) -> None:
    said: list[str] = []
    for action, priority in (("ok", 0), ("fail", 1), ("die", 5), ("ok", 1)):
        queue.submit([action], tmp_path, priority=priority)
    queue.submit(["ok", "elsewhere"], tmp_path / "gone")
    worker = Worker(queue, STAND_IN, say=said.append)
    assert worker.run(until_empty=True) is False
    assert worker.ended == [(3, "failed"), (2, "failed"), (4, "done"), (1, "done"), (5, "failed")]
    reasons = [job.end.reason for job in queue.jobs() if job.end is not None]
    assert reasons[:4] == ["", "exit code 2: something is wrong", "ended by SIGKILL (out of memory?)", ""]
    assert "cannot be started" in reasons[4]
    assert "ok begins\nok ends\n" in log_of(queue, 1)
    assert "job 3: failed, ended by SIGKILL (out of memory?)" in said


def test_a_job_gets_no_more_memory_or_processes_than_its_worker_allows(queue: Queue, tmp_path: Path) -> None:
    queue.submit(["eat"], tmp_path)
    queue.submit(["nice"], tmp_path)
    Worker(queue, STAND_IN, limits=Limits(cpus=1, memory=10**9)).run(until_empty=True)
    assert [job.state for job in queue.jobs()] == ["failed", "done"]
    assert "MemoryError" in queue.jobs()[0].end.reason  # type: ignore[union-attr]
    assert int(log_of(queue, 2).splitlines()[2]) >= 5 + os.nice(0) or os.nice(0) > 14
    assert at_most(["m", "--jobs", "8", "--trials", "5"], 2) == ["--jobs", "2", "m", "--trials", "5"]
    assert at_most(["m", "--jobs=1"], 2) == ["--jobs", "1", "m"]
    assert at_most(["m"], 2) == ["--jobs", "2", "m"]
    assert at_most(["m", "--jobs", "8"], None) == ["m", "--jobs", "8"]


def test_a_job_whose_processes_take_too_much_together_is_ended(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit(["wait", str(tmp_path)], tmp_path)
    monkeypatch.setattr("optimize.limits.memory_of", lambda process: 3_000_000_000 if begun(tmp_path) else 0)
    Worker(queue, STAND_IN, limits=Limits(memory=2_000_000_000)).run(until_empty=True)
    end = queue.job(1).end
    assert end is not None
    assert end.state == "failed"
    assert end.reason.startswith("the memory limit of 2 GB is used up: its processes take 3 GB together")
    assert not is_running(begun(tmp_path)[0])


def test_two_workers_run_every_job_once(queue: Queue, start: Start, tmp_path: Path) -> None:
    for number in range(12):
        queue.submit(["ok", str(number)], tmp_path)
    outputs = [
        worker.communicate(timeout=SECONDS)[0] for worker in [start("--until-empty") for _ in range(2)]
    ]
    assert [job.state for job in queue.jobs()] == ["done"] * 12
    assert [job.attempts for job in queue.jobs()] == [1] * 12
    assert sum(output.count(": done") for output in outputs) == 12


def test_the_job_of_a_killed_worker_ends_with_it_and_is_run_again(
    queue: Queue, start: Start, tmp_path: Path
) -> None:
    queue.submit(["wait", str(tmp_path)], tmp_path)
    for times in range(1, 4):
        worker = start()
        until(lambda times=times: len(begun(tmp_path)) == times)  # type: ignore[misc]
        assert queue.job(1).state == "running"
        worker.kill()
        worker.wait()
        until(lambda: not is_running(begun(tmp_path)[-1]))
        until(lambda: queue.job(1).state == "queued")
    (tmp_path / "go").touch()
    start("--until-empty").communicate(timeout=SECONDS)
    job = queue.job(1)
    assert (job.state, job.attempts) == ("done", 4)
    assert len(begun(tmp_path)) == 4


def test_a_job_that_outlives_its_worker_keeps_others_away(queue: Queue, tmp_path: Path) -> None:
    """Where no system ends it: another process holds the lock."""
    from optimize.locks import lock
    from optimize.queue import Claim

    job = queue.submit(["ok"], tmp_path)
    path = queue.folder / job.lock_name
    held = lock(path, "dead")
    assert held is not None
    orphan = subprocess.Popen(["sleep", "600"], pass_fds=(held,))
    try:
        queue.beat("dead", 1)
        host = os.uname().nodename
        queue.claim(job, Claim("dead", host, 1, str(path), "x.log", "2024-03-05T02:00:00+00:00"))
        os.close(held)
        assert queue.job(job.id).state == "running"
    finally:
        orphan.kill()
        orphan.wait()
    assert queue.job(job.id).state == "queued"


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_is_told_to_stop_ends_its_job_and_queues_it_again(
    queue: Queue, start: Start, tmp_path: Path, which: signal.Signals
) -> None:
    queue.submit(["wait", str(tmp_path)], tmp_path)
    worker = start()
    until(lambda: begun(tmp_path))
    worker.send_signal(which)
    output = worker.communicate(timeout=SECONDS)[0]
    assert worker.returncode == 130
    assert "job 1: stopping, it will be queued again" in output
    assert "Traceback" not in output
    assert not is_running(begun(tmp_path)[0])
    assert queue.job(1).state == "queued"


@pytest.mark.parametrize("action", ["wait", "deaf"])
def test_a_running_job_is_cancelled_even_if_it_does_not_listen(
    queue: Queue, start: Start, tmp_path: Path, action: str
) -> None:
    queue.submit([action, str(tmp_path)], tmp_path)
    after = queue.submit(["ok"], tmp_path)
    worker = start("--until-empty")
    until(lambda: begun(tmp_path))
    assert queue.cancel(1).cancelling
    output = worker.communicate(timeout=SECONDS)[0]
    assert not is_running(begun(tmp_path)[0])
    assert queue.job(1).state == "cancelled"
    assert queue.job(after.id).state == "done"
    assert queue.job(1).end.code == (-9 if action == "deaf" else -2)  # type: ignore[union-attr]
    assert worker.returncode == 0, output


def test_a_worker_whose_job_was_taken_ends_its_process(queue: Queue, start: Start, tmp_path: Path) -> None:
    """As after a suspension: another machine has the next claim."""
    from optimize.queue import Claim

    job = queue.submit(["deaf", str(tmp_path)], tmp_path)
    worker = start()
    until(lambda: begun(tmp_path))
    queue.beat("far", 1)
    far = Claim("far", "elsewhere.example", 1, "/nowhere", "x.log", "2024-03-05T02:00:00+00:00")
    assert queue.claim(queue.job(job.id), far) == 2
    until(lambda: not is_running(begun(tmp_path)[0]))
    worker.send_signal(signal.SIGINT)
    assert "another worker has taken it" in worker.communicate(timeout=SECONDS)[0]
    assert queue.job(job.id).state == "running"


def test_equal_jobs_take_turns(queue: Queue, start: Start, tmp_path: Path) -> None:
    for _ in range(2):
        queue.submit(["wait", str(tmp_path)], tmp_path)
    queue.submit(["ok"], tmp_path, priority=-1)
    workers = [start("--until-empty") for _ in range(2)]
    until(lambda: queue.job(3).state == "done")
    assert [job.state for job in queue.jobs()].count("running") == 1
    assert len(begun(tmp_path)) == 1
    (tmp_path / "go").touch()
    for worker in workers:
        worker.communicate(timeout=SECONDS)
    assert [job.state for job in queue.jobs()] == ["done"] * 3


def test_a_worker_runs_what_falls_due(queue: Queue, tmp_path: Path) -> None:
    clock = SimulatedClock(datetime(2024, 3, 5, 1, 59, 30, tzinfo=UTC))
    queue.submit(["ok"], tmp_path, cron="0 2 * * *")
    worker = Worker(queue, STAND_IN, clock=clock)
    worker.run(until_empty=True)
    assert worker.ended == []
    clock.advance_to(clock.now() + timedelta(minutes=5))
    worker.run(until_empty=True)
    assert worker.ended == [(2, "done")]
    assert [job.state for job in queue.jobs()] == ["scheduled", "done"]


def test_a_worker_outlasts_a_short_absence_of_the_queue_and_no_long_one(
    queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.submit(["ok"], tmp_path)
    answers = iter([UserError("the queue is away"), None])
    whole = Queue.jobs

    def jobs(self: Queue) -> object:
        error = next(answers, None)
        if error is not None:
            raise error
        return whole(self)

    monkeypatch.setattr(Queue, "jobs", jobs)
    said: list[str] = []
    Worker(queue, STAND_IN, say=said.append).run(until_empty=True)
    assert said[0] == "the queue is away; trying again"
    monkeypatch.undo()
    assert queue.job(1).state == "done"
    answers = iter([UserError("the queue is away")])
    monkeypatch.setattr(Queue, "jobs", jobs)
    monkeypatch.setattr("optimize.queue.LEASE", -1.0)
    with pytest.raises(UserError, match="away"):
        Worker(queue, STAND_IN).run(until_empty=True)


# -- the command


@pytest.fixture
def run(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """`run(*argv)`: exit code and what was printed."""
    from core.cli import run_command

    monkeypatch.chdir(tmp_path)

    def check(arguments: object) -> None:
        if arguments == ["nonsense"]:
            raise UserError("unknown strategy 'nonsense'")

    def command(action: str, *argv: str) -> tuple[int, str]:
        given = [action, "--set", f"optimize.queue={address}", *argv]
        with pytest.raises(SystemExit) as left:
            run_command(jobs_command.parser(), lambda args: jobs_command.main(args, check), given)
        found = capsys.readouterr()
        return int(left.value.code or 0), found.out + found.err

    return command


Run = Callable[..., tuple[int, str]]


def test_the_commands_from_submit_to_logs(run: Run, queue: Queue, tmp_path: Path) -> None:
    assert run("list")[1].startswith("no jobs in ")
    assert run("submit", "--priority", "5", "--", "ok", "--data", "x")[0] == 0
    code, text = run("submit", "--json", "--cron", "0 2 * * *", "--", "ok", "postgresql://me:pa55word@h/x")
    assert code == 0
    assert json.loads(text)["state"] == "scheduled"
    assert "pa55word" not in text + run("list")[1]
    listed = json.loads(run("list", "--json")[1])
    assert [(job["id"], job["state"], job["priority"], job["cron"]) for job in listed] == [
        (1, "queued", 5, None),
        (2, "scheduled", 0, "0 2 * * *"),
    ]
    assert listed[0]["arguments"] == ["ok", "--data", "x"]
    assert listed[0]["folder"] == str(tmp_path)
    assert "no log: it is queued" in run("logs", "1")[1]
    assert "is a schedule" in run("logs", "2")[1]
    Worker(queue, STAND_IN).run(until_empty=True)
    assert "ok begins\nok ends\n" in run("logs", "1")[1]
    assert run("logs", "1", "--follow") == run("logs", "1")
    assert "ok ends" in json.loads(run("logs", "1", "--json")[1])["text"]
    assert run("cancel", "2")[1] == "job 2 is cancelled\n"
    assert run("list", "--open")[1].startswith("no jobs in ")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("submit",), "the job has no STRATEGY; write it as"),
        (("submit", "--", "nonsense"), "unknown strategy 'nonsense'"),
        (("submit", "--cron", "0 2", "--", "ok"), "--cron '0 2' has 2 fields"),
        (("submit", "--priority", "high", "--", "ok"), "--priority: invalid int"),
        (("cancel", "7"), "unknown job '7'"),
        (("logs", "7"), "unknown job '7'"),
        (("cancel", "x"), "invalid int value"),
        (("list", "--set", "optimize.queue=mysql://x"), "optimize.queue"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_queued(
    run: Run, queue: Queue, argv: tuple[str, ...], words: str
) -> None:
    code, text = run(*argv)
    assert code == 2
    assert words in text
    assert text.count("\n") == 1
    assert queue.jobs() == []


def test_logs_follow_a_job_to_its_end(run: Run, queue: Queue, start: Start, tmp_path: Path) -> None:
    queue.submit(["wait", str(tmp_path)], tmp_path)
    follower = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "optimize.jobs",
            "logs",
            "1",
            "--follow",
            "--set",
            f"optimize.queue={queue.name}",
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        worker = start("--until-empty")
        assert follower.stdout is not None
        lines = [follower.stdout.readline() for _ in range(2)]
        assert lines[1] == "wait begins\n"
        (tmp_path / "go").touch()
        rest = follower.communicate(timeout=SECONDS)[0]
    finally:
        follower.kill()
        follower.wait()
    assert rest == "wait ends\n"
    assert follower.returncode == 0
    worker.communicate(timeout=SECONDS)
