#!/usr/bin/env python3
"""Walk-forward optimisations that wait their turn: put them in, look at them, take them out.

python -m optimize.jobs submit --priority 5 -- momentum --data sample:goog --trials 500
python -m optimize.jobs submit --cron "0 2 * * *" -- my.py:Cross --data yahoo:AAPL
python -m optimize.jobs list
python -m optimize.jobs logs 1 --follow
python -m optimize.jobs cancel 1

`python -m optimize.worker` runs them. What the queue promises is in `optimize.queue`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, run_command
from core.errors import UserError
from core.redact import redact_text

if TYPE_CHECKING:
    from optimize.queue import Job, Queue

PROG = "python -m optimize.jobs"
FOLLOW_SECONDS = 0.2
Check = Callable[[Sequence[str]], None]


def parser() -> CommandParser:
    """The command line of `python -m optimize.jobs`."""
    command = CommandParser(
        prog=PROG,
        description="Queue walk-forward optimisations; python -m optimize.worker runs them.",
        example=f"{PROG} submit --priority 5 -- momentum --data sample:goog",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="submit|list|cancel|logs")
    submit = actions.add_parser(
        "submit",
        help="add a job",
        description="Add a job: what follows -- are the arguments of python -m optimize.walkforward. It runs in "
        "this folder.",
        example=f'{PROG} submit --cron "0 2 * * *" -- momentum --data yahoo:AAPL',
    )
    submit.add_argument("--priority", type=int, default=0, metavar="N", help="the highest first (default: 0)")
    submit.add_argument(
        "--cron",
        default="",
        metavar="FIELDS",
        help="when to run it: minute, hour, day, month, weekday (Sunday is 0), UTC; skipped while the last one "
        "is not over, and while no worker is up",
    )
    submit.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- STRATEGY ...")
    listed = actions.add_parser(
        "list", help="all jobs and their states", description="Print all jobs.", example=f"{PROG} list --json"
    )
    listed.add_argument("--open", action="store_true", help="leave out those that are over")
    cancel = actions.add_parser(
        "cancel",
        help="end a job, or its schedule",
        description="End a job: its process too, if it runs.",
        example=f"{PROG} cancel 3",
    )
    logs = actions.add_parser(
        "logs", help="what a job printed", description="Print a job's log.", example=f"{PROG} logs 3 --follow"
    )
    logs.add_argument("--follow", action="store_true", help="go on until the job is over")
    for action in (cancel, logs):
        action.add_argument("id", type=int, metavar="ID")
    for action in (submit, listed, cancel, logs):
        add_queue_arguments(action)
    return command


def add_queue_arguments(command: argparse.ArgumentParser) -> None:
    """Add --set and --config, which say where the queue is."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a configuration key, such as optimize.queue=redis://localhost:6379/0",
    )
    command.add_argument(
        "--config", type=Path, metavar="FILE", help="instead of tradewright.toml in this folder"
    )


def queue_from(args: argparse.Namespace) -> Queue:
    """The queue that the arguments and the settings name."""
    from core.config import load_settings, parse_assignments
    from optimize.queue import open_queue

    settings = load_settings(file=args.config, cli=parse_assignments(args.set))
    return open_queue(settings.optimize.queue, settings.reports.directory / "jobs")


def check(arguments: Sequence[str]) -> None:
    """Refuse what `python -m optimize.walkforward` would refuse: exit code 2, or UserError. Loads the market."""
    from engine.command import settings_from
    from optimize import plan
    from optimize.arguments import make_plan
    from optimize.arguments import parser as walkforward_parser

    args = walkforward_parser().parse_args(list(arguments))
    asked, _ = make_plan(args, settings_from(args))
    plan.check(asked)


def main(args: argparse.Namespace, check: Check = check) -> int:
    """Run one action. check: raises for arguments that no job can have."""
    if args.action == "submit":
        return _submit(args, check)
    actions = {"list": _list, "cancel": _cancel, "logs": _logs}
    with queue_from(args) as queue:
        return actions[args.action](args, queue)


def _submit(args: argparse.Namespace, check: Check) -> int:
    arguments = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
    if not arguments:
        raise UserError("the job has no STRATEGY", hint=f"write it as {PROG} submit -- momentum")
    check(arguments)
    with queue_from(args) as queue:
        job = queue.submit(arguments, Path.cwd(), priority=args.priority, cron=args.cron)
    if args.json:
        print_json(_facts(job))
    else:
        print(f"job {job.id} is {job.state}; python -m optimize.worker runs it")
    return 0


def _list(args: argparse.Namespace, queue: Queue) -> int:
    jobs = [job for job in queue.jobs() if not (args.open and job.over)]
    if args.json:
        print_json([_facts(job) for job in jobs])
        return 0
    if not jobs:
        print(f"no jobs in {queue.name}")
        return 0
    print(f"{'ID':>5}  {'STATE':<10} {'PRIORITY':>8}  {'SUBMITTED':<19}  ARGUMENTS")
    for job in jobs:
        print(
            f"{job.id:>5}  {job.state:<10} {job.priority:>8}  {job.submitted[:19]:<19}  {_command(job)}{_note(job)}"
        )
    return 0


def _cancel(args: argparse.Namespace, queue: Queue) -> int:
    job = queue.cancel(args.id)
    if args.json:
        print_json(_facts(job))
    else:
        print(f"job {job.id} is {job.state}" if job.over else f"job {job.id} is being ended by its worker")
    return 0


def _logs(args: argparse.Namespace, queue: Queue) -> int:
    job = queue.job(args.id)
    if job.cron:
        made = [each.id for each in queue.jobs() if each.of == job.id]
        last = f"its last is job {made[-1]}" if made else "there is none yet"
        raise UserError(f"job {job.id} is a schedule: the jobs it makes have logs", hint=last)
    if args.json:
        if args.follow:
            raise UserError("--follow prints lines, not JSON", hint="leave --json out")
        path = _log(job)
        print_json(
            {"job": job.id, "path": str(path), "text": redact_text(path.read_text("utf-8", "replace"))}
        )
        return 0
    while args.follow and job.claim is None and not job.over:
        time.sleep(FOLLOW_SECONDS)
        job = queue.job(job.id)
    with _log(job).open(encoding="utf-8", errors="replace") as text:
        while True:
            over = queue.job(job.id).over
            for line in text:
                sys.stdout.write(redact_text(line))
            sys.stdout.flush()
            if over or not args.follow:
                return 0
            time.sleep(FOLLOW_SECONDS)


def _log(job: Job) -> Path:
    if job.claim is None:
        raise UserError(
            f"job {job.id} has no log: it is {job.state}", hint="see python -m optimize.worker --help"
        )
    path = Path(job.claim.log)
    if not path.exists():
        raise UserError(
            f"the log of job {job.id} is not on this machine", hint=f"see {job.claim.host}:{path}"
        )
    return path


def _command(job: Job) -> str:
    return redact_text(shlex.join(job.arguments))


def _note(job: Job) -> str:
    """What is to be known beside the state."""
    parts = [f"cron {job.cron}"] if job.cron else []
    parts += [f"of {job.of}"] if job.of is not None else []
    parts += ["being cancelled"] if job.cancelling else []
    parts += [job.end.reason] if job.end is not None and job.end.reason else []
    return f"  ({'; '.join(parts)})" if parts else ""


def _facts(job: Job) -> dict[str, Any]:
    """A job as JSON has it."""
    claim, end = job.claim, job.end
    return {
        "id": job.id,
        "state": job.state,
        "priority": job.priority,
        "arguments": [redact_text(argument) for argument in job.arguments],
        "folder": job.folder,
        "submitted": job.submitted,
        "cron": job.cron or None,
        "of": job.of,
        "cancelling": job.cancelling,
        "attempts": job.attempts,
        "host": claim.host if claim else None,
        "worker": claim.pid if claim else None,
        "log": claim.log if claim else None,
        "started": claim.started if claim else None,
        "finished": end.finished if end else None,
        "code": end.code if end else None,
        "reason": end.reason if end else "",
    }


if __name__ == "__main__":
    run_command(parser(), main)
