"""The command line of `python -m live.run`, and which of its arguments go together."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser
from core.errors import UserError

if TYPE_CHECKING:
    from core.config import Settings

VENUES = ("binance", "ibkr")
OWN = ("data", "param", "cash", "commission", "start", "end", "out", "resample", "broker", "symbols", "timeframe", "profile", "merge")  # fmt: skip
"""Arguments a resumed run answers from its own record."""
OF_A_REPLAY = ("data", "start", "end", "speed")
OF_A_VENUE = ("symbols", "timeframe", "profile", "bars", "record", "record_wire", "since", "merge")


def parser() -> CommandParser:
    """The command line of `python -m live.run`."""
    from engine.command import add_run_arguments

    command = CommandParser(
        prog="python -m live.run",
        description="Trade a strategy: on the paper venue, replaying a market, or at Binance or IBKR as bars come.",
        example="python -m live.run momentum --data sample:goog --param fast=10\n"
        "  python -m live.run momentum --rehearse binance --faults all\n"
        "  python -m live.run momentum --broker binance --symbols BTC/USDT --timeframe 5m --live\n"
        "  python -m live.run momentum --broker binance --symbols BTC/USDT --merge kraken,coinbase --live",
    )
    add_run_arguments(command)
    command.add_argument(
        "--speed",
        type=float,
        metavar="N",
        help="market seconds a second in a replay or a rehearsal: 60 is a minute a second "
        "(default: as fast as it can; a rehearsal: 240)",
    )
    command.add_argument("--bot", metavar="NAME", help="whose orders these are (default: default)")
    command.add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="go on with a run that was stopped or killed (default: the latest of this strategy)",
    )
    command.add_argument(
        "--continue",
        action="store_true",
        dest="go_on",
        help="go on with the bot's unfinished run of this strategy; start one where there is none",
    )
    command.add_argument(
        "--attached",
        type=Path,
        metavar="FILE",
        help="say in FILE how it is, do what standard input says, and end with whoever holds that",
    )
    _add_venue_arguments(command)
    return command


def _add_venue_arguments(command: CommandParser) -> None:
    live = command.add_argument_group("at a venue, with its own bars as they close")
    live.add_argument(
        "--broker", choices=("paper", *VENUES), help="where orders go (default: paper, replaying --data)"
    )
    live.add_argument("--symbols", metavar="A,B", help="what to trade there: BTC/USDT, or AAPL,MSFT")
    live.add_argument("--timeframe", metavar="T", help="length of its bars, such as 1m, 4h, 1d (default: 1m)")
    live.add_argument(
        "--profile", metavar="NAME", help="key and address of that name: BINANCE_KEY__NAME in .env, ..."
    )
    live.add_argument(
        "--live",
        action="store_true",
        help="orders may reach a real venue; asks you to type its name, unless live.confirm is that name",
    )
    live.add_argument("--bars", type=int, metavar="N", help="end after so many bars (default: when told to)")
    live.add_argument("--record", type=Path, metavar="FILE", help="write the bars to a CSV that --data reads")
    live.add_argument(
        "--record-wire",
        type=Path,
        metavar="FILE",
        help="write down all that is said to the venue and by it, keys hidden, through a relay on this machine; "
        "brokers.simulators --replay plays it again",
    )
    live.add_argument(
        "--since",
        metavar="TIME",
        help="the first bar, such as 2026-01-05T14:30 (default: as many before now as the strategy needs)",
    )
    live.add_argument(
        "--merge",
        metavar="A,B",
        help="bars merged with those of these exchanges, such as kraken,coinbase; orders go to --broker binance alone",
    )
    live.add_argument(
        "--rehearse",
        choices=VENUES,
        help="trade against a simulated venue that is started and ended with the run; --data is its market, "
        "a bar a minute",
    )
    live.add_argument(
        "--faults", metavar="all|NAME,...", help="what goes wrong in the rehearsal; a wrong name lists them"
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """The configuration in force. Raises ConfigError, and UserError for arguments that do not go together."""
    from engine.command import settings_from

    given = {
        "live.bot": args.bot,
        "live.speed": args.speed,
        "live.bars": args.bars,
        "broker.name": args.rehearse or args.broker,
        "broker.profile": args.profile,
        "data.symbols": args.symbols,
        "data.timeframe": args.timeframe,
        "live.merge.exchanges": args.merge,
    }
    settings = settings_from(args, {key: value for key, value in given.items() if value is not None})
    if args.go_on and args.record_wire is not None:
        raise UserError("--record-wire was given with --continue", hint="record a session from its beginning")
    if args.record_wire is not None and settings.live.merge.exchanges:
        raise UserError(
            "--record-wire takes down what the venue says, and this session merges other exchanges' bars",
            hint="add --set live.merge.exchanges=none, or leave --record-wire out",
        )
    if args.go_on and (args.resume is not None or args.rehearse is not None):
        raise UserError(
            f"--continue was given with --{'rehearse' if args.rehearse else 'resume'}", hint="leave one out"
        )
    if args.resume is None:
        _check_together(args, settings)
    return settings


def _check_together(args: argparse.Namespace, settings: Settings) -> None:
    venue = settings.broker.name
    if args.rehearse is not None:
        for name in ("broker", "profile", "live", "since"):
            if getattr(args, name):
                raise UserError(
                    f"--{name} was given with --rehearse", hint=f"leave --{name} out: nothing is real"
                )
        if settings.live.merge.exchanges:
            raise UserError(
                "a rehearsal has its simulated venue alone, and live.merge.exchanges names others",
                hint="leave --merge out, or add --set live.merge.exchanges=none",
            )
        return
    if args.faults is not None:
        raise UserError("--faults was given without --rehearse", hint="add --rehearse binance, or ibkr")
    if venue == "paper":
        wrong = [name for name in OF_A_VENUE if getattr(args, name) and name != "timeframe"]
        if wrong:
            raise UserError(
                f"--{wrong[0].replace('_', '-')} was given for a replay on paper",
                hint="name a venue with --broker",
            )
        if args.live:
            raise UserError("--live was given, but paper trades no money", hint="name a venue with --broker")
    else:
        wrong = [name for name in OF_A_REPLAY if getattr(args, name)]
        if wrong:
            raise UserError(
                f"--{wrong[0]} was given, but {venue} brings its own bars in its own time",
                hint=f"leave --{wrong[0]} out, and name what to trade with --symbols",
            )


def since_of(args: argparse.Namespace) -> datetime | None:
    """The first bar, where one was named. Raises UserError for what is no time."""
    if args.since is None:
        return None
    try:
        moment = datetime.fromisoformat(args.since)
    except ValueError as error:
        raise UserError(f"{args.since!r} is no time", hint="for example --since 2026-01-05T14:30") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def refuse_own_arguments(args: argparse.Namespace, recorded: Iterable[str] = ()) -> None:
    """A run goes on as it began: with its own data, parameters, costs and limits."""
    from live.words import assigned

    new = ("rehearse", "faults", "since", "record_wire")
    given = [f"--{name.replace('_', '-')}" for name in (*OWN, *new) if getattr(args, name)]
    given += [f"--set {key}" for key in assigned(args) if key in recorded or key.startswith("strategy.")]
    if given:
        raise UserError(
            f"{given[0]} was given with --resume, but a run goes on as it began",
            hint=f"leave {given[0]} out, or start a new run without --resume",
        )


def as_it_began(args: argparse.Namespace, recorded: dict[str, Any]) -> Settings:
    """The configuration of a run that goes on. recorded: what it began with, by dotted key."""
    from engine.command import settings_from

    own = {"live.speed": args.speed, "live.bars": args.bars}
    return settings_from(
        args, {**recorded, **{key: value for key, value in own.items() if value is not None}}
    )
