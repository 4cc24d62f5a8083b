#!/usr/bin/env python3
"""Run the jobs that wait, one at a time, or take part in an optimisation that is under way.

python -m optimize.worker
python -m optimize.worker --cpus 2 --memory 4GB
python -m optimize.worker --join postgresql://me@host/trials --cpus 2 --memory 4GB

Either way the work is in a process of its own: what ends that never ends the worker. Start as many workers as jobs
shall run at a time. A worker that is stopped or killed takes its process with it (on Linux, whatever ended it); the
job is queued again, and goes on where it was, because the same command does; trials that were under way are run by
others.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import INTERRUPTED, CommandParser, print_json, run_command
from core.clock import Clock, WallClock
from core.errors import UserError
from core.redact import redact_text
from optimize.limits import Limits, MemoryLimitError
from optimize.processes import end, told_to_stop, wait_for

if TYPE_CHECKING:
    from optimize.queue import End, Job, Queue

COMMAND = ("-m", "optimize.walkforward")
JOIN = ("-m", "optimize.join")
POLL_SECONDS = 0.25
BEAT_SECONDS = 5.0
GRACE_SECONDS = 10.0
"""From the request to end to the end by force."""
NICE = 5
TAIL_BYTES = 4096


def parser() -> CommandParser:
    """The command line of `python -m optimize.worker`."""
    from optimize.jobs import add_queue_arguments

    command = CommandParser(
        prog="python -m optimize.worker",
        description="Run the jobs of the queue, one at a time (for more at a time, start more workers); or, with "
        "--join, take part in a walk-forward that is under way, until its searches are done.",
        example="python -m optimize.worker --join postgresql://me@host/trials --cpus 2 --memory 4GB",
    )
    command.add_argument(
        "--join", metavar="URL", help="take part in the optimisation whose walk-forward has this --storage"
    )
    command.add_argument("--study", metavar="NAME", help="which one, where several are under way in --join")
    command.add_argument(
        "--cpus", type=int, metavar="N", help="cores, and so processes and threads, that the work may use"
    )
    command.add_argument(
        "--memory",
        metavar="SIZE",
        help="memory that its processes may take together, such as 4GB; beyond it they end, and no trial is lost "
        "(Linux)",
    )
    command.add_argument("--until-empty", action="store_true", help="end once no job is queued")
    add_queue_arguments(command)
    return command


def main(args: argparse.Namespace, command: Sequence[str] = COMMAND) -> int:
    """Work until Ctrl-C, SIGTERM or the end of the queue. command: what Python is started with for a job."""
    from optimize.jobs import queue_from

    limits = Limits.checked(cpus=args.cpus, memory=args.memory)
    if args.join is not None:
        return join(args, limits)
    if args.study is not None:
        raise UserError("--study goes with --join", hint="name the storage: --join postgresql://...")
    with queue_from(args) as queue:
        worker = Worker(queue, command, limits=limits, say=_printer(args.json))
        worker.say(f"worker {os.getpid()} takes jobs from {queue.name}")
        interrupted = worker.run(until_empty=args.until_empty)
    if args.json:
        print_json({"ended": [{"job": number, "state": state} for number, state in worker.ended]})
    return INTERRUPTED if interrupted else 0


def join(args: argparse.Namespace, limits: Limits) -> int:
    """Start the process that takes part, keep it to its limits, and end as it does."""
    if args.until_empty:
        raise UserError("--until-empty goes with the queue", hint="leave it out: --join ends with the study")
    argv = [f"--join={args.join}", *(f"--set={each}" for each in args.set)]
    argv += [
        f"--{name}={value}"
        for name in ("study", "cpus", "memory", "config")
        if (value := vars(args)[name]) is not None
    ]
    argv += ["--json"] if args.json else []
    stops: list[int] = []
    with told_to_stop(stops.append):
        process = subprocess.Popen(
            [sys.executable, *JOIN, *argv],
            env={**os.environ, **limits.environment()},
            start_new_session=True,  # Ctrl-C is for the worker, which then ends it in its own way
            preexec_fn=limits.preparing(),  # this process has one thread
        )
        try:
            while process.poll() is None:
                limits.check(process.pid)
                if stops:
                    end(process, GRACE_SECONDS, lambda: len(stops) > 1)
                    return INTERRUPTED
                wait_for(process, POLL_SECONDS)
        finally:
            end(process, 0)
    code = process.returncode
    if code < 0:
        limited = "" if limits.memory is None else "; it may have run into --memory"
        raise UserError(
            f"the process that took part was ended by {signal.Signals(-code).name}{limited}",
            hint="start the worker again: no trial is lost, those under way are run again",
        )
    return code


def _printer(quiet: bool) -> Callable[[str], None]:
    def say(text: str) -> None:
        if not quiet:
            print(text, flush=True)

    return say


@dataclass(slots=True)
class _Running:
    """A job on its way; `number` of its claim, `lock` as an open descriptor."""

    job: Job
    number: int
    process: subprocess.Popen[bytes]
    lock: int
    log: Path


class Worker:
    """Takes jobs one after the other."""

    def __init__(
        self,
        queue: Queue,
        command: Sequence[str] = COMMAND,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.queue, self.command, self.limits, self.say = queue, tuple(command), limits or Limits(), say
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self.ended: list[tuple[int, str]] = []
        self._clock = clock or WallClock()
        self._minute = self._clock.now()
        self._running: _Running | None = None
        self._stops: list[int] = []
        self._beats = 0
        self._reached = self._beaten = -float("inf")

    def run(self, *, until_empty: bool = False) -> bool:
        """Work; whether it was SIGINT or SIGTERM that ended it. Raises UserError when the queue stays away."""
        self._reached = time.monotonic()
        with told_to_stop(self._stops.append):
            try:
                while not self._stops:
                    worked = self._step()
                    if until_empty and not worked and self._running is None:
                        break
                    self._wait()
            finally:
                self._give_up()
        return bool(self._stops)

    def _step(self) -> bool:
        """Look after the job, or for one. Whether there was something to do, or might have been."""
        from optimize.queue import LEASE

        try:
            self._beat()
            self._fire()
            worked = self._look_after() if self._running is not None else self._look_for()
        except UserError as error:
            if time.monotonic() - self._reached > LEASE / 2:
                raise
            self.say(f"{error.message}; trying again")
            return True
        self._reached = time.monotonic()
        return worked

    def _wait(self) -> None:
        if self._running is None:
            time.sleep(POLL_SECONDS)
            return
        wait_for(self._running.process, POLL_SECONDS)

    def _beat(self) -> None:
        if time.monotonic() - self._beaten >= BEAT_SECONDS:
            self.queue.beat(self.name, self._beats + 1)
            self._beats, self._beaten = self._beats + 1, time.monotonic()

    def _fire(self) -> None:
        """Make the jobs of every minute since the last look."""
        from optimize.cron import minutes

        for minute in minutes(self._minute, self._clock.now()):
            for job in self.queue.fire(minute):
                self.say(f"job {job.id}: due by the schedule of job {job.of}")
            self._minute = minute

    # -- one job

    def _look_for(self) -> bool:
        """Begin the most urgent job that is free."""
        from optimize.queue import CANCELLED, QUEUED

        waiting = [job for job in self.queue.jobs() if job.state == QUEUED]
        for job in sorted(waiting, key=lambda job: (-job.priority, job.id)):
            if job.cancelling:
                self._ended(job, CANCELLED, None, "before it began")
            elif self._begin(job):
                return True
        return bool(waiting)

    def _begin(self, job: Job) -> bool:
        from optimize.locks import lock
        from optimize.queue import FAILED, Claim

        path, log = self.queue.folder / job.lock_name, self.queue.folder / f"{job.id}.log"
        held = lock(path, self.name)
        if held is None:
            return False
        now = datetime.now(UTC).isoformat(timespec="seconds")
        claim = Claim(self.name, socket.gethostname(), os.getpid(), str(path), str(log), now)
        try:
            number = self.queue.claim(job, claim)
            if number is None:
                os.close(held)
                return False
            process = self._start(job, held, log, f"--- attempt {number}, {now}, {self.name}")
        except UserError:
            os.close(held)
            raise
        except OSError as error:
            os.close(held)
            self._ended(job, FAILED, None, f"it cannot be started: {error}")
            return True
        self._running = _Running(job, number, process, held, log)
        self.say(f"job {job.id}: {redact_text(' '.join(job.arguments))}")
        return True

    def _start(self, job: Job, held: int, log: Path, title: str) -> subprocess.Popen[bytes]:
        argv = [sys.executable, *self.command, *at_most(job.arguments, self.limits.cpus)]
        with log.open("ab") as output:
            output.write(f"{title}\n".encode())
            output.flush()
            return subprocess.Popen(
                argv,
                cwd=job.folder,
                env={**os.environ, **self.limits.environment(), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the worker, which then ends the job in its own way
                pass_fds=(
                    held,
                ),  # the job holds the lock as long as it lives, whatever becomes of the worker
                preexec_fn=self.limits.preparing(nice=NICE),  # this process has one thread
            )

    def _look_after(self) -> bool:
        from optimize.queue import CANCELLED, DONE, FAILED

        assert self._running is not None
        running = self._running
        code = running.process.poll()
        if code is not None:
            if self.queue.cancelling(running.job.id):
                self._ended(running.job, CANCELLED, code, "")
            else:
                self._ended(running.job, FAILED if code else DONE, code, _reason(code, running.log))
            self._drop()
        elif self.queue.cancelling(running.job.id):
            self._end_process()
            self._ended(running.job, CANCELLED, running.process.returncode, "")
            self._drop()
        elif reason := self._over():
            self._end_process(grace=0)
            self._ended(running.job, FAILED, running.process.returncode, reason)
            self._drop()
        elif not self.queue.still_ours(running.job.id, running.number):
            self.say(
                f"job {running.job.id}: another worker has taken it, this machine was silent for too long"
            )
            self._end_process(grace=0)
            self._drop()
        return True

    def _over(self) -> str:
        """What the job takes that it may not; "" where there is nothing."""
        assert self._running is not None
        try:
            self.limits.check(self._running.process.pid)
        except MemoryLimitError as error:
            return str(error)
        return ""

    def _ended(self, job: Job, state: str, code: int | None, reason: str) -> None:
        from optimize.queue import End

        end: End = End(state, datetime.now(UTC).isoformat(timespec="seconds"), code, redact_text(reason))
        self.queue.finish(job.id, end)
        self.ended.append((job.id, state))
        self.say(f"job {job.id}: {state}" + (f", {end.reason}" if end.reason else ""))

    def _end_process(self, grace: float = GRACE_SECONDS) -> None:
        assert self._running is not None
        end(self._running.process, grace, lambda: len(self._stops) > 1)

    def _drop(self) -> None:
        assert self._running is not None
        os.close(self._running.lock)
        self._running = None

    def _give_up(self) -> None:
        """End the job's process and free the job, unless it had come to its end."""
        try:
            if self._running is not None:
                job = self._running.job
                if self._running.process.poll() is None:
                    self.say(f"job {job.id}: stopping, it will be queued again")
                    self._end_process()
                if self._running.process.returncode == 0:
                    self._look_after()
        finally:
            if self._running is not None:
                self._drop()
            self.queue.leave(self.name)


def at_most(arguments: Sequence[str], jobs: int | None) -> list[str]:
    """The arguments of a walk-forward with `--jobs` no higher than `jobs`."""
    if jobs is None:
        return list(arguments)
    asks = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    asks.add_argument("--jobs", type=int, default=jobs)
    asked, rest = asks.parse_known_args(list(arguments))
    return ["--jobs", str(min(jobs, asked.jobs)), *rest]


def _reason(code: int, log: Path) -> str:
    """Why a job failed, in a line; empty where it did not."""
    if code == 0:
        return ""
    if code < 0:
        return f"ended by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -9 else "")
    with log.open("rb") as text:
        text.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = text.read().decode("utf-8", "replace").splitlines()
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f"exit code {code}: {last}"


if __name__ == "__main__":
    run_command(parser(), main)
