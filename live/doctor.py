#!/usr/bin/env python3
"""Check everything a live session needs, and say one thing to do about each thing that is wrong.

python -m live.doctor
python -m live.doctor momentum --broker binance --profile main
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import CommandParser, print_json, run_command
from core.redact import redact_text

if TYPE_CHECKING:
    from live.checkups import Finding

PROG = "python -m live.doctor"
MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


def parser() -> CommandParser:
    """The command line of `python -m live.doctor`."""
    command = CommandParser(
        prog=PROG,
        description="Check versions, names, folders, configuration, database, keys, permissions, clock, network and "
        "leftovers. One line each, with one thing to do about it; exit code 1 when something is wrong. No order is sent.",
        example=f"{PROG} momentum --broker binance --profile main",
    )
    command.add_argument("strategy", nargs="?", metavar="STRATEGY", help="what you are about to trade")
    command.add_argument(
        "--broker",
        choices=("paper", "binance", "ibkr"),
        help="which venue to ask (default: the configured one)",
    )
    command.add_argument("--profile", metavar="NAME", help="with which key and address of it")
    command.add_argument("--symbols", metavar="A,B", help="what you trade there")
    command.add_argument("--offline", action="store_true", help="ask no venue")
    command.add_argument("--config", type=Path, metavar="FILE", help="a configuration file, TOML or YAML")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="set any configuration key"
    )
    return command


def main(args: argparse.Namespace) -> int:
    """Look at everything, say each thing as it is found; 1 when something is wrong."""
    from live.checkups import worst

    findings = []
    for finding in examined(args):
        findings.append(finding)
        if not args.json:
            fix = f"; {finding.fix}" if finding.fix else ""
            print(redact_text(f"{MARKS[finding.level]}  {finding.check:<13} {finding.text}{fix}"), flush=True)
    if args.json:
        print_json({"ok": worst(findings) == 0, "findings": [asdict(finding) for finding in findings]})
    return worst(findings)


def examined(args: argparse.Namespace) -> Iterator[Finding]:
    """Every finding."""
    from core.config.sources import load_settings, parse_assignments
    from live import checkups, venue_checkups

    given = {
        **parse_assignments(args.set),
        "broker.name": args.broker,
        "broker.profile": args.profile,
        "data.symbols": args.symbols,
    }
    settings, said = checkups.configuration(lambda: load_settings(file=args.config, cli=given))
    yield said
    yield from checkups.local(settings, args.strategy)
    yield from checkups.leftovers()
    if settings is None:
        return
    at_venue = settings.broker.name != "paper"
    yield from venue_checkups.keys(settings.broker.name if at_venue else None)
    if not at_venue:
        yield checkups.ok("venue", "paper; name another with --broker")
    elif args.offline:
        yield checkups.ok("venue", "not asked (--offline)")
    else:
        symbols = settings.data.symbols
        yield from venue_checkups.venue(settings, symbols.partition(",")[0] if symbols else None)


if __name__ == "__main__":
    run_command(parser(), main)
