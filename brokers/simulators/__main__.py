#!/usr/bin/env python3
"""Serve a simulated exchange: python -m brokers.simulators tws --market random:7."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import CommandParser, run_command
from core.errors import UserError

if TYPE_CHECKING:
    from brokers.simulators.serve import House

HOUSES = {
    "binance": ("brokers.simulators.binance.house", "BTC/USDT,ETH/USDT", 9080),
    "tws": ("brokers.simulators.tws.house", "ABC,DEF", 4002),
}
"""Where each kind of exchange is made, what it lists, and the port it listens on, unless told."""


def parser() -> CommandParser:
    """The command line of `python -m brokers.simulators`."""
    command = CommandParser(
        prog="python -m brokers.simulators",
        description="Serve a simulated exchange over its own protocol, with faults on demand, on this machine alone.",
        example="python -m brokers.simulators tws --market random:7 --speed 60\n"
        "  python -m brokers.simulators binance --replay wire.jsonl",
    )
    command.add_argument("exchange", choices=sorted(HOUSES), help="whose protocol to speak")
    command.add_argument("--port", type=int, help="where clients connect; 0 takes any free one")
    command.add_argument(
        "--control-port", type=int, default=0, help="where faults are asked for (default: any free one)"
    )
    command.add_argument(
        "--market",
        default="sample",
        metavar="M",
        help="sample, random:SEED, a file or reference of bars, or hand: prices come through the control API",
    )
    command.add_argument("--symbols", metavar="A,B", help="what is listed")
    command.add_argument("--cash", default="100000", metavar="C", help="what the account holds")
    command.add_argument("--speed", type=float, default=1.0, metavar="N", help="market seconds a second")
    command.add_argument("--start", metavar="TIME", help="market time to begin at (default: now)")
    command.add_argument(
        "--hours", metavar="HH:MM-HH:MM", help="regular trading hours of tws, in New York (default: all)"
    )
    command.add_argument("--state", type=Path, metavar="FILE", help="keep accounts and orders there")
    command.add_argument(
        "--replay",
        type=Path,
        metavar="FILE",
        help="answer out of a recording made with live.run --record-wire, instead of with a market",
    )
    command.add_argument(
        "--attached",
        action="store_true",
        help="end when standard input does: with the process that started it",
    )
    return command


def main(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    import asyncio

    from brokers.simulators.serve import Options, serve

    home, symbols, port = HOUSES[args.exchange]
    if args.replay is not None:
        return _replay(args, import_module(home).house(), port)
    options = Options(
        symbols=(args.symbols or symbols).split(","),
        market=args.market,
        cash=_amount(args.cash),
        port=port if args.port is None else args.port,
        control_port=args.control_port,
        speed=args.speed,
        start=_time(args.start) if args.start else None,
        hours=_hours(args.hours) if args.hours else None,
        state=args.state,
        json=args.json,
        attached=args.attached,
    )
    house: House = import_module(home).house()
    try:
        asyncio.run(serve(house, options))
    except OSError as error:
        raise UserError(f"cannot listen: {error}", hint="name another --port") from error
    return 0


def _replay(args: argparse.Namespace, house: House, port: int) -> int:
    """Serve a recording until interrupted."""
    import asyncio

    from brokers.wire.replay import ReplayOptions, serve_replay

    for name in ("symbols", "start", "hours", "state"):
        if getattr(args, name) is not None:
            raise UserError(
                f"--{name} was given with --replay", hint=f"leave --{name} out: the recording says it all"
            )
    options = ReplayOptions(
        file=args.replay,
        port=port if args.port is None else args.port,
        control_port=args.control_port,
        json=args.json,
        attached=args.attached,
    )
    try:
        asyncio.run(serve_replay(args.exchange, house, options))
    except OSError as error:
        raise UserError(f"cannot listen: {error}", hint="name another --port") from error
    return 0


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise UserError(f"{text!r} is no amount", hint="for example --cash 100000") from error


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(f"{text!r} is no time", hint="for example --start 2024-01-02T14:30") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _hours(text: str) -> tuple[time, time]:
    try:
        begin, end = (time.fromisoformat(part) for part in text.split("-"))
    except ValueError as error:
        raise UserError(f"{text!r} are no hours", hint="for example --hours 09:30-16:00") from error
    return begin, end


if __name__ == "__main__":
    run_command(parser(), main, sys.argv[1:])
