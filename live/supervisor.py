#!/usr/bin/env python3
"""Run several bots, each a process of its own with its own data, and look after them.

python -m live.supervisor run bots.toml
python -m live.supervisor status
python -m live.supervisor stop NAME
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.cli import CommandParser, print_json, run_command

STATE = Path("runs/bots")
PROG = "python -m live.supervisor"


def parser() -> CommandParser:
    """The command line of `python -m live.supervisor`."""
    command = CommandParser(
        prog=PROG,
        description="Run several bots, each a process of its own with its own data; start one that crashed again.",
        example=f"{PROG} run bots.toml\n  {PROG} status\n  {PROG} flatten btc",
    )
    actions = command.add_subparsers(dest="action", required=True, metavar="run|status|start|stop|flatten")
    run = actions.add_parser(
        "run",
        help="run the bots of a file until Ctrl-C",
        description="Run the bots of a TOML file in the foreground. Unfinished runs go on. Ctrl-C or SIGTERM ends all "
        "of them as their live.on_stop says.",
        example=f"{PROG} run bots.toml",
    )
    run.add_argument("config", type=Path, metavar="CONFIG", help="a TOML file: see docs/going-live.md")
    status = actions.add_parser(
        "status", help="how each bot is", description="Show how each bot is.", example=f"{PROG} status --json"
    )
    start = actions.add_parser(
        "start",
        help="start a bot that ended, or does not wait any longer",
        description="Start a bot; its unfinished run goes on.",
        example=f"{PROG} start btc",
    )
    start.add_argument(
        "--new", action="store_true", help="begin a new run, even though the last has not finished"
    )
    stop = actions.add_parser(
        "stop",
        help="end a bot; its positions stay with what protects them, or as its live.on_stop says",
        description="End a bot as Ctrl-C would.",
        example=f"{PROG} stop btc",
    )
    flatten = actions.add_parser(
        "flatten",
        help="end a bot with its orders cancelled and its positions closed",
        description="Cancel a bot's orders, close its positions at the market, and end it.",
        example=f"{PROG} flatten btc",
    )
    for one in (start, stop, flatten):
        one.add_argument("name", metavar="NAME", help="the bot's name in the file")
    for each in (run, status, start, stop, flatten):
        each.add_argument(
            "--state",
            type=Path,
            default=STATE,
            metavar="DIR",
            help="folder of the bots' data (default: %(default)s)",
        )
    return command


def main(args: argparse.Namespace) -> int:
    """One action; returns the exit code."""
    if args.action == "run":
        return _run(args)
    if args.action == "status":
        return _status(args)
    from live.fleet import ask

    new = "?new" if args.action == "start" and args.new else ""
    row = asyncio.run(ask(args.state, "POST", f"/bots/{args.name}/{args.action}{new}"))
    if args.json:
        print_json(row)
    else:
        print(f"{row['name']}: {row['state']}{_left(row)}")
    return 0


def _run(args: argparse.Namespace) -> int:
    from core.config import LogSettings
    from core.telemetry import close_logging, configure_logging
    from live.fleet import Fleet
    from live.fleet_settings import read_fleet

    settings, bots = read_fleet(args.config, args.state)
    args.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    configure_logging(LogSettings(console="off"), run_dir=args.state)

    def say(line: str, bad: bool) -> None:
        if not args.json or bad:
            print(line, file=sys.stderr if bad else sys.stdout, flush=True)

    async def look_after() -> tuple[int, Any]:
        fleet = Fleet(bots, settings, args.state, say)
        code = await fleet.run()
        return code, await fleet.view()

    try:
        code, view = asyncio.run(look_after())
    finally:
        close_logging()
    if args.json:
        print_json(view)
    return code


def _status(args: argparse.Namespace) -> int:
    from core.errors import UserError
    from live.fleet import ask, last_known

    try:
        found = asyncio.run(ask(args.state, "GET", "/status"))
    except UserError:
        last = last_known(args.state)
        if last is None:
            raise
        found = last
    if args.json:
        print_json(found)
        return 0
    _print_table(found["bots"])
    if found["supervisor"] is None:
        print(f"no supervisor runs: this is how the last one left them; {PROG} run CONFIG goes on")
    return 0


def _print_table(rows: list[Mapping[str, Any]]) -> None:
    from live.fleet import seconds_in_words

    heads = ("BOT", "STATE", "PID", "UP", "RESTARTS", "BARS", "LAST BAR", "POSITION")
    lines = [heads]
    for row in rows:
        state = f"{row['state']}{', silent' if row['silent'] else ''}"
        held = row["positions"]
        position = "?" if held is None else ", ".join(f"{size:.15g} {name}" for name, size in held.items())
        lines.append(
            (
                row["name"],
                state,
                str(row["pid"] or "-"),
                seconds_in_words(row["uptime_seconds"]),
                str(row["restarts"]),
                str(row["bars"]),
                str(row["last_bar"] or "-")[:16].replace("T", " "),
                position or "-",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        if row["last_error"]:
            print(f"{row['name']}: {row['last_error']}")


def _left(row: Mapping[str, Any]) -> str:
    left = row.get("left")
    if not left:
        return ""
    held = ", ".join(f"{size:.15g} {name}" for name, size in left["held"].items())
    return f", holding {held or 'nothing'}, {left['resting']} orders rest at the venue"


if __name__ == "__main__":
    run_command(parser(), main)
