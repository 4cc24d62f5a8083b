#!/usr/bin/env python3
"""Run the order path under seeded faults, without waiting: python -m brokers.simulation --seeds 1000."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from core.cli import CommandParser, print_json, progress, run_command
from core.errors import UserError

if TYPE_CHECKING:
    from brokers.simulation.sweep import Summary

SEEDS, JOBS = 1_000, 1
FAILURES_SHOWN = 20


def parser() -> CommandParser:
    """The command line of `python -m brokers.simulation`."""
    command = CommandParser(
        prog="python -m brokers.simulation",
        description="Trade against an exchange in this process, with crashes and every fault a network has, seed after "
        "seed, and check after every step that no order is lost, doubled or orphaned.",
        example="python -m brokers.simulation --seeds 10000 --jobs 2",
    )
    command.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"how many (default: {SEEDS})")
    command.add_argument("--first", type=int, default=1, metavar="N", help="the first of them (default: 1)")
    command.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"processes (default: {JOBS})")
    command.add_argument("--seed", type=int, metavar="N", help="run this one alone and show every step of it")
    return command


def main(args: argparse.Namespace) -> int:
    """Run what was asked for; 1 when an invariant did not hold."""
    for name in ("seeds", "jobs"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name} must be 1 or more", hint=f"for example --{name} 2")
    if args.seed is not None:
        return _replay(args.seed, as_json=args.json)
    from brokers.simulation.sweep import sweep

    started = time.monotonic()
    shown = 0

    def on_failure(seed: int, violation: str) -> None:
        nonlocal shown
        shown += 1
        if not args.json and shown <= FAILURES_SHOWN:
            print(f"seed {seed}: {violation}; replay: python -m brokers.simulation --seed {seed}", flush=True)

    seeds = range(args.first, args.first + args.seeds)
    with progress("seeds", args.seeds, enabled=not args.json) as advance:
        summary = sweep(seeds, args.jobs, on_failure=on_failure, on_seeds=advance)
    seconds = time.monotonic() - started
    if args.json:
        print_json(_facts(summary, seconds))
    else:
        print(_told(summary, seconds))
    return 1 if summary.failures else 0


def _replay(seed: int, *, as_json: bool) -> int:
    from brokers.simulation.bench import Bench

    outcome = Bench().run(seed)
    if as_json:
        print_json({
            "seed": seed,
            "violation": outcome.violation or None,
            "digest": outcome.digest,
            "faults": dict(sorted(outcome.struck.items())),
            "trace": outcome.trace,
        })  # fmt: skip
    else:
        print("\n".join(outcome.trace))
        print(f"seed {seed}: {outcome.violation or 'everything held'} (trace {outcome.digest})")
    return 1 if outcome.violation else 0


def _facts(summary: Summary, seconds: float) -> dict[str, object]:
    return {
        "seeds": summary.seeds,
        "violations": [{"seed": seed, "violation": text} for seed, text in summary.failures],
        "lives": summary.lives,
        "orders": summary.orders,
        "fills": summary.fills,
        "longest_unprotected_seconds": round(summary.longest_bare, 1),
        "faults": dict(sorted(summary.struck.items())),
        "seconds": round(seconds, 1),
    }


def _told(summary: Summary, seconds: float) -> str:
    faults = ", ".join(f"{name} {count:,}" for name, count in summary.struck.most_common())
    return "\n".join((
        f"{summary.seeds:,} seeds, {summary.lives:,} lives, {summary.orders:,} orders, {summary.fills:,} trades "
        f"in {seconds:.0f} s",
        f"faults: {faults or 'none'}",
        f"longest without a stop while a session could act: {summary.longest_bare:.0f} s",
        f"violations: {len(summary.failures)}",
    ))  # fmt: skip


if __name__ == "__main__":
    run_command(parser(), main, sys.argv[1:])
