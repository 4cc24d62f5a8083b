"""What `python -m live.run` says: the headline, a line a fill, and commands to type next."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from brokers.ending import Left
from brokers.executor import NO_JOURNAL
from brokers.reconciling import HALTED
from brokers.risk import OLD_PRICES
from core.redact import redact, redact_text
from core.types import Fill, OrderEvent, OrderIntent
from engine.plan import Plan
from live.consensus import merging_of
from live.plan import LivePlan

if TYPE_CHECKING:
    from store import RunRecord

AnyPlan = Plan | LivePlan
REPLAY = "PAPER, replaying {names} {start:%Y-%m-%d} to {end:%Y-%m-%d}, no orders leave this machine"
SIMULATED = "{kind} {venue} at {where}, {names} by {timeframe}, no orders reach a real venue"
LIVE = "LIVE at {venue}{profile}, {names} by {timeframe}, orders are real"


SAID_ONCE = (OLD_PRICES, NO_JOURNAL, HALTED)


def headline(plan: AnyPlan, *, resumed: str = "") -> str:
    """What is about to run, and whether orders are real."""
    lines = [_what_this_is(plan)]
    given = ", ".join(f"{name}={value}" for name, value in redact(dict(plan.params)).items())
    lines.append(f"{plan.reference} with {given or 'no parameters'}")
    if isinstance(plan, Plan) and not plan.market.report.untouched:
        lines.append(f"data: {plan.market.report.summary()}")
    if isinstance(plan, LivePlan) and (merging := merging_of(plan.settings, plan.timeframe)) is not None:
        names = ", ".join([plan.connection.venue, *(other.name for other in merging.others)])
        agree = f"{merging.quorum} must agree within {merging.tolerance:.15g}"
        lines.append(f"bars merged of {names}: {agree}; orders go to {plan.connection.venue}")
    if resumed:
        lines.append(f"going on with run {resumed}")
    return "\n".join(lines)


def _what_this_is(plan: AnyPlan) -> str:
    if isinstance(plan, Plan):
        info = plan.market.info
        return REPLAY.format(names=", ".join(info.symbols), start=info.start, end=info.end)
    found, names = plan.connection, ", ".join(plan.symbols)
    if found.simulated:
        kind = "REHEARSAL at a simulated" if plan.rehearsed else "SIMULATED"
        return SIMULATED.format(
            kind=kind, venue=found.venue, where=found.where, names=names, timeframe=plan.timeframe
        )
    profile = f" (profile {found.profile})" if found.profile else ""
    return LIVE.format(venue=found.venue, profile=profile, names=names, timeframe=plan.timeframe)


def left_at_venue(left: Left) -> str:
    """What a session left behind, in a line; empty when that is nothing."""
    held = [f"{size:.15g} {symbol}" for symbol, size in left.positions.items()]
    parts = [f"held {', '.join(held)}"] if held else []
    if left.orders:
        parts.append(f"{left.orders} order{'s rest' if left.orders > 1 else ' rests'}")
    return f"left at the venue: {', '.join(parts)}" if parts else ""


def differed(differences: Sequence[str]) -> str:
    """On what journal and venue differed, in a line; empty when they did not."""
    return f"journal and venue differed: {'; '.join(differences)}" if differences else ""


def printer(plan: AnyPlan, *, quiet: bool) -> Callable[[OrderEvent, OrderIntent], None]:
    """What to do with each event: fills and refusals are printed as they happen."""
    moment = "%Y-%m-%d %H:%M" if plan.intraday else "%Y-%m-%d"
    names = plan.market.frames if isinstance(plan, Plan) else plan.symbols
    width = max(map(len, names))
    told: set[str] = set()

    def show(event: OrderEvent, intent: OrderIntent) -> None:
        when = event.time.strftime(moment)
        if event.fill is not None:
            print(f"{when}  {fill_line(event.fill, intent, width)}", flush=True)
        elif event.status in ("margin", "rejected"):
            reason = event.reason or "not enough cash"
            if event.reason in told:
                return
            if event.reason in SAID_ONCE:
                told.add(event.reason)
                reason += " (said once)"
            order = f"{intent.side:<4} {_plain(intent.size):>10} {intent.symbol:<{width}}"
            print(f"{when}  {order}  refused: {reason}", flush=True)

    return (lambda event, intent: None) if quiet else show


def fill_line(fill: Fill, intent: OrderIntent, width: int) -> str:
    """One fill, in columns."""
    line = (
        f"{fill.side:<4} {_plain(fill.size):>10} {fill.symbol:<{width}} at {_plain(fill.price, decimals=2):>10}"
        f"  commission {float(fill.commission):>8,.2f}"
    )
    return f"{line}  {intent.exit_reason}" if intent.exit_reason else line


def _plain(value: Decimal, *, decimals: int = 0) -> str:
    """For people: thousands separated, at least so many decimals, and at most eight."""
    number = float(value)
    if abs(number) >= 100 and not number.is_integer():
        return f"{number:,.2f}"
    whole, _, fraction = f"{number:,.8f}".partition(".")
    fraction = fraction.rstrip("0").ljust(decimals, "0")
    return f"{whole}.{fraction}" if fraction else whole


def assigned(args: argparse.Namespace) -> dict[str, str]:
    """What `--set` says, by key."""
    from core.config import parse_assignments

    return parse_assignments(args.set)


def resume_command(args: argparse.Namespace, run: RunRecord) -> str:
    """What to type to go on with the run: it remembers all but where its database is and how fast to go."""
    from live.session import resume_settings

    words = ["python", "-m", "live.run", args.strategy, "--resume", run.run_id]
    words += [] if args.speed is None else ["--speed", f"{args.speed:.15g}"]
    words += [] if args.config is None else ["--config", str(args.config)]
    words += ["--live"] if args.live else []
    words += [] if args.record is None else ["--record", str(args.record)]
    for key, value in assigned(args).items():
        if key not in resume_settings(run) and not key.startswith(("strategy.", "live.bot")):
            words += ["--set", f"{key}={value}"]
    return redact_text(shlex.join(words))


def parity_command(args: argparse.Namespace, plan: Plan) -> str:
    """What to try next: the same strategy on the same bars, compared with a backtest."""
    from core.config import Settings
    from strategies import registry

    words = ["python", "-m", "engine.parity", args.strategy]
    data, plain = plan.settings.data, Settings().data
    words += [] if data.source == plain.source else ["--data", data.source]
    words += [] if data.start is None else ["--start", data.start.isoformat()]
    words += [] if data.end is None else ["--end", data.end.isoformat()]
    defaults = registry.resolve_params(plan.strategy, {})
    for name, value in redact(dict(plan.params)).items():
        if value != defaults[name]:
            words += ["--param", f"{name}={value}"]
    for timeframe in plan.resample:
        words += ["--resample", timeframe]
    return shlex.join(words)
