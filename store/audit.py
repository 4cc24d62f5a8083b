"""`python -m store.audit`: what happened to the orders of a run, each from its decision to its trade."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, run_command
from core.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from store.chains import Chain, Logged
    from store.runs import RunRecord


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found. spooled: groups of writes the database has not taken over. contradictions: None: not looked."""

    run: RunRecord
    chains: Sequence[Chain]
    spooled: int
    has_folder: bool
    contradictions: Sequence[str] | None


def parser() -> CommandParser:
    """The command line of `python -m store.audit`."""
    command = CommandParser(
        prog="python -m store.audit",
        description="Print what happened to each order of a run, in its order: decision, limits, intent, prices "
        "tried, what the venue said, fills with fees, cancels, stop level, trade. Reads only, also while the run "
        "is under way. The client id of an order is the correlation id of its lines in log.jsonl.",
        example="python -m store.audit 20240304T210000Z-momentum-1a2b3c --order tw928021ddc4924e1331dca1",
    )
    command.add_argument("run", metavar="RUN", help="the id of a run: the name of its folder")
    command.add_argument("--order", metavar="CLIENT_ID", help="this order alone")
    command.add_argument(
        "--verify",
        action="store_true",
        help="play the events of each order again and compare with where it stands; exit code 1 where they differ",
    )
    command.add_argument(
        "--url", help="sqlite:///PATH or postgresql://...; default: store.url of the settings"
    )
    return command


def main(args: argparse.Namespace) -> int:
    """Read one moment of the database, and print it."""
    from store.migrate import configured_url

    audit = examine(args.url or configured_url(), args.run, order=args.order, verify=args.verify)
    if args.json:
        print_json(_document(audit))
    else:
        print("\n".join(_lines(audit)))
    return 1 if audit.contradictions else 0


def examine(url: str, run_id: str, *, order: str | None = None, verify: bool = False) -> Audit:
    """The chains of a run, or of one of its orders. UserError, UnknownNameError for what is not there."""
    from store.chains import contradictions, read_chains
    from store.journal import Journal
    from store.runs import RunRepository
    from store.snapshot import snapshot
    from store.spool import waiting

    with snapshot(url) as database:
        folder = Path(RunRepository(database).get(run_id).folder)
    try:
        logged = read_log(folder)
        # Both before and after: a session may fill its spool, or its database take that over, meanwhile.
        before = waiting(folder)
        with snapshot(url) as database:
            run = RunRepository(database).get(run_id)
            chains = _chosen(read_chains(database, run_id, logged), run_id, order)
            found = contradictions(chains, Journal(database, run_id).events()) if verify else None
        spooled = max(before, waiting(folder))
    except OSError as error:
        raise UserError(
            f"{error.filename} cannot be read: {error.strerror}", hint="ask as the user who runs the session"
        ) from error
    return Audit(run, chains, spooled, bool(run.folder) and folder.is_dir(), found)


def _chosen(chains: Sequence[Chain], run_id: str, order: str | None) -> Sequence[Chain]:
    chosen = [chain for chain in chains if order in (None, chain.order.intent.client_id)]
    if order is not None and not chosen:
        known = [chain.order.intent.client_id for chain in chains]
        raise UnknownNameError("order", order, known)
    return chosen


def read_log(folder: Path) -> dict[str, Logged]:
    """When intents were committed and what size was asked for, by client id, as far as log.jsonl goes back."""
    from core.telemetry import LOG_FILE
    from store.chains import Logged

    found = {}
    for file in sorted(folder.glob(f"{LOG_FILE}*")):
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if '"order.intent"' not in line:
                    continue
                try:
                    record = json.loads(line)
                    if record["event"] == "order.intent":
                        asked = Decimal(record["asked"]) if "asked" in record else None
                        found[str(record["correlation_id"])] = Logged(
                            datetime.fromisoformat(record["time"]), asked
                        )
                except (ValueError, KeyError, ArithmeticError):  # cut short by a death, or another's line
                    continue
    return found


def _document(audit: Audit) -> dict[str, Any]:
    run = audit.run
    facts = {"run": run.run_id, "bot": run.bot, "strategy": run.strategy, "venue": run.venue}
    document = {
        **facts,
        "status": run.status,
        "spooled": audit.spooled,
        "folder_read": audit.has_folder,
        "orders": [_order(chain) for chain in audit.chains],
    }
    if audit.contradictions is not None:
        document["contradictions"] = list(audit.contradictions)
    return document


def _order(chain: Chain) -> dict[str, Any]:
    order = chain.order
    intent = order.intent
    return {
        "client_id": intent.client_id,
        "symbol": intent.symbol,
        "side": intent.side,
        "type": intent.type,
        "status": order.status,
        "filled": order.filled,
        "average_price": order.average_price,
        "links": [
            {"what": link.what, "time": link.time, "turn": link.turn, "facts": dict(link.facts)}
            for link in chain.links
        ],
    }


def _lines(audit: Audit) -> list[str]:
    run = audit.run
    shown = [f"{run.run_id}: {run.strategy}, bot {run.bot}, {run.venue}, {run.status}"]
    for chain in audit.chains:
        intent = chain.order.intent
        shown += ["", f"{intent.client_id}  {intent.side} {intent.symbol}, {chain.order.status}"]
        shown += [
            f"  {_moment(link.time):<23}  {link.turn if link.turn is not None else '':>6}  "
            f"{link.what:<12}  {_facts(link.facts)}"
            for link in chain.links
        ]
    if not audit.chains:
        shown += ["", "no orders"]
    if audit.spooled:
        shown += [
            "",
            f"{audit.spooled} groups of writes wait in the run's journal.spool: what is above lacks them until "
            "the database takes them over",
        ]
    if not audit.has_folder:
        shown += ["", "the folder of the run is not here: its log and its spool were not read"]
    if audit.contradictions is not None:
        shown += ["", *(audit.contradictions or ["every order stands where its events lead"])]
    return shown


def _moment(time: datetime | None) -> str:
    return "" if time is None else time.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def _facts(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in facts.items())


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return _moment(value) if isinstance(value, datetime) else " ".join(str(value).split())


if __name__ == "__main__":
    run_command(parser(), main)
