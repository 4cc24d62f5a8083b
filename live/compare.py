#!/usr/bin/env python3
"""Hold a venue's test account against its simulator: the same few orders at both, the wire recorded, and compared.

python -m live.compare binance --profile testnet
python -m live.compare ibkr --symbol AAPL
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from core.cli import CommandParser, print_json, run_command

if TYPE_CHECKING:
    from brokers.wire.shapes import Difference
    from live.profiles import Connection

TESTNETS = ("testnet.binance.vision", "demo-api.binance.com")
CASH = 100_000.0


def parser() -> CommandParser:
    """The command line of `python -m live.compare`."""
    from live.rehearsal import SYMBOLS

    command = CommandParser(
        prog="python -m live.compare",
        description="Place, change, cancel and trade a few of the smallest orders on a test account and on the "
        "simulator, record both wires, and say which messages, fields and types differ.",
        example="python -m live.compare binance --profile testnet\n  python -m live.compare ibkr --symbol AAPL",
    )
    command.add_argument("venue", choices=sorted(SYMBOLS), help="whose test account")
    command.add_argument(
        "--profile", metavar="NAME", help="key and address of that name: BINANCE_KEY__NAME in .env, ..."
    )
    command.add_argument("--symbol", metavar="S", help="what is traded (default: BTC/USDT, AAPL)")
    command.add_argument(
        "--out", type=Path, default=Path("wire"), metavar="FOLDER", help="where recordings go (default: wire)"
    )
    command.add_argument(
        "--confirm",
        metavar="NAME",
        help="in place of typing the name of the profile, or venue, on the terminal",
    )
    command.add_argument(
        "--real-account", action="store_true", help="the account may hold money: an order is bought and sold"
    )
    return command


def main(args: argparse.Namespace) -> int:
    """Exit code 1 when something differs."""
    from live.consent import require
    from live.profiles import connection, reach
    from live.rehearsal import SYMBOLS

    found = connection(args.venue, args.profile)
    if not args.real_account:
        check_address(found)
    require(found, live=not found.simulated, confirm=args.confirm, ask=not args.json)
    reach(found)
    args.out.mkdir(parents=True, exist_ok=True)
    symbol = args.symbol or SYMBOLS[args.venue]
    files = {side: args.out / f"{args.venue}-{side}.jsonl" for side in ("venue", "simulator")}
    told = compare(found, symbol, files["venue"], files["simulator"], paper_only=not args.real_account)
    if args.json:
        rows = [{"kind": d.kind, "field": d.field, "venue": d.venue, "simulator": d.simulator} for d in told]
        print_json({"differences": rows, "recordings": {side: str(file) for side, file in files.items()}})
    else:
        print(*told, sep="\n")
        print(f"{len(told)} differences; recordings: {', '.join(map(str, files.values()))}")
    return 1 if told else 0


def check_address(found: Connection) -> None:
    """Refuse addresses that are nobody's testnet; IBKR's account says itself what it is, once connected."""
    from live.consent import NotPaper

    addresses = [host for host, _ in found.addresses]
    if found.venue == "binance" and not found.simulated and not any(host in TESTNETS for host in addresses):
        raise NotPaper(
            f"{', '.join(addresses)} is no testnet of Binance",
            hint="set BINANCE_REST__TESTNET and its like (docs/going-live.md) and add --profile testnet, "
            "or add --real-account",
        )


def compare(
    found: Connection, symbol: str, venue_file: Path, simulator_file: Path, *, paper_only: bool
) -> list[Difference]:
    """Run the script at both, and hold what was recorded against each other."""
    from brokers.wire.shapes import differences, shapes
    from brokers.wire.tape import read_tape
    from feeds.market import load
    from live.compare_script import play
    from live.rehearsal import exchange

    asyncio.run(play(found.broker, symbol, venue_file, paper_only=paper_only))
    with exchange(found.venue, load("sample:goog").frames, [symbol], CASH, 10) as sim:
        asyncio.run(play(sim.connection.broker, symbol, simulator_file, paper_only=False))
    return differences(shapes(read_tape(venue_file)), shapes(read_tape(simulator_file)))


if __name__ == "__main__":
    run_command(parser(), main)
