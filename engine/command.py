"""What the commands that run a strategy share: arguments, what they mean, the run's folder, the result table."""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from analyzers.facts import Finding
    from brokers.costs import Costs
    from core.config import Settings
    from core.results import RunResult
    from engine.plan import Plan

HASH_LENGTH = 6
LONGEST_NAME = 40
CHARGED = {
    "slippage_paid": "spread and slippage paid",
    "borrow_paid": "borrowing paid",
    "funding_paid": "funding paid",
    "dividends_received": "dividends received",
}
"""What a run under costs shows beside its commission, where it is not 0; see `brokers.movements`."""


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add STRATEGY, --data, --param, --cash, --commission, --start, --end, --resample, --out, --config, --set.

    An argument that is not given is None (or empty), so that environment, files and defaults count.
    """
    parser.add_argument(
        "strategy", metavar="STRATEGY", help="a name, package.module:Class, or path/to/file.py:Class"
    )
    options = (
        (
            "--data",
            "REF",
            "what to trade: sample:goog, csv:PATH, yahoo:AAPL, binance:BTC/USDT:1h; may be repeated",
        ),
        ("--param", "NAME=VALUE", "set a parameter of the strategy; may be repeated"),
        (
            "--resample",
            "TIMEFRAME",
            "add bars of a higher timeframe of the first data, such as 1W; may be repeated",
        ),
        ("--set", "KEY=VALUE", "set any configuration key, such as data.max_gap_bars=3; may be repeated"),
    )
    for name, value, text in options:
        parser.add_argument(name, action="append", default=[], metavar=value, help=text)
    parser.add_argument("--cash", type=float, metavar="AMOUNT", help="cash to start with")
    parser.add_argument(
        "--commission", type=float, metavar="FRACTION", help="of the traded value; 0.001 is 0.1%%"
    )
    parser.add_argument("--start", metavar="DATE", help="first bar wanted, such as 2006-01-31")
    parser.add_argument("--end", metavar="DATE", help="last bar wanted, that day included")
    parser.add_argument("--out", metavar="DIR", help="folder that receives the run's folder (default: runs)")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="a configuration file, TOML or YAML (default: tradewright.toml, if there is one)",
    )


def settings_from(args: argparse.Namespace, also: Mapping[str, Any] | None = None) -> Settings:
    """The configuration a command runs with: its arguments, then environment, .env, file, defaults.

    also: further settings by dotted key, which go before the arguments. Raises ConfigError for an argument
    that is not NAME=VALUE, and whatever `core.config.load_settings` raises.
    """
    from core.config import load_settings

    return load_settings(file=args.config, cli={**assignments(args), **(also or {})})


def assignments(args: argparse.Namespace) -> dict[str, Any]:
    """What the arguments say, by dotted key of the configuration. Raises ConfigError for one that is not NAME=VALUE."""
    from core.config import parse_assignments

    given: dict[str, Any] = {"strategy.name": args.strategy, **parse_assignments(args.set)}
    given |= {f"strategy.params.{name}": value for name, value in parameters(args.param).items()}
    if args.data:
        given["data.source"] = ",".join(args.data)
    keys = {
        "cash": "broker.cash",
        "commission": "broker.commission",
        "start": "data.start",
        "end": "data.end",
        "out": "reports.directory",
    }
    given |= {key: getattr(args, name) for name, key in keys.items() if getattr(args, name) is not None}
    return given


def prepare(args: argparse.Namespace) -> Plan:
    """What the arguments ask for, checked and loaded. Writes nothing but the data cache. Raises UserError."""
    from engine.plan import make_plan

    return make_plan(settings_from(args), args.strategy, args.resample)


def costs_from(settings: Settings) -> Costs | None:
    """What the configuration charges beside the commission; None for nothing. Raises ConfigError."""
    from brokers.configured_costs import configured_costs

    costs = configured_costs(settings.broker.costs)
    return costs if costs.active else None


def parameters(texts: Iterable[str]) -> dict[str, str]:
    """`["fast=10"]` as `{"fast": "10"}`; ConfigError for text that is not NAME=VALUE."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--param {text} is not NAME=VALUE", hint="write it as --param fast=10")
        found[name.strip()] = value.strip()
    return found


def new_run_folder(base: Path, strategy: str, seed: str) -> Path:
    """A name no run has yet: `base/<UTC time>-<strategy>-<short hash>`. Makes nothing.

    strategy: a reference; of `path/file.py:Class` the class remains. seed: whatever makes this run what it
    is (strategy, parameters, data); the hash is taken of it. Raises ConfigError when nothing can be written
    below `base`.
    """
    require_writable(base)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = re.sub(r"[^a-z0-9_]+", "-", strategy.rpartition(":")[2].lower()).strip("-")[:LONGEST_NAME] or "run"
    attempt = 0
    while True:
        digest = hashlib.sha256(f"{seed}#{attempt}".encode()).hexdigest()[:HASH_LENGTH]
        folder = base / f"{stamp}-{name}-{digest}"
        if not folder.exists():
            return folder
        attempt += 1


def require_writable(base: Path) -> None:
    """ConfigError unless a folder can be made at `base`, or in it where it exists. Leaves nothing behind."""
    existing = next(folder for folder in (base, *base.absolute().parents) if os.path.exists(folder))
    hint = "name another folder with --out, or change its permissions"
    if not existing.is_dir():
        raise ConfigError(f"cannot write to {base}: {existing} is not a folder", hint=hint)
    try:
        tempfile.TemporaryDirectory(dir=existing, prefix=".tradewright-").cleanup()
    except OSError as error:
        raise ConfigError(f"cannot write to {base}: {error.strerror or error}", hint=hint) from error


def headline(kind: str, plan: Plan) -> str:
    """One line that says what is about to run: "BACKTEST momentum(fast=10) on GOOG: 1,047 bars ..."."""
    given, data = ", ".join(f"{name}={value}" for name, value in plan.params.items()), plan.market.info
    return (
        f"{kind} {plan.reference}({given}) on {', '.join(data.symbols)}: {data.bars:,} bars of {data.timeframe}, "
        f"{data.start:%Y-%m-%d} to {data.end:%Y-%m-%d}, from {data.source}"
    )


def bars_of(frames: Mapping[str, pd.DataFrame]) -> int:
    """How many bars a run over these frames sees: their distinct times."""
    times = [frame.index for frame in frames.values()]
    union = times[0]
    for more in times[1:]:
        union = union.union(more)
    return len(union)


def every(done: Callable[[int], None], bars: int) -> Callable[[int], None]:
    """`done`, called only once in so many bars: a progress bar costs more than a bar does."""

    def on_bar(count: int) -> None:
        if count % bars == 0:
            done(count)

    return on_bar


def summary(result: RunResult, folder: Path, tearsheet: Path) -> dict[str, Any]:
    """The run for `--json`: what ran on what, metrics, counts and paths; numbers that are not finite are None."""
    from core.jsontext import jsonable

    document: dict[str, Any] = jsonable(
        {
            "kind": result.kind,
            "strategy": result.strategy,
            "params": result.params,
            "data": asdict(result.data),
            "engine": result.engine,
            "engine_reason": result.engine_reason,
            "costs": result.costs,
            "metrics": result.metrics,
            "orders": len(result.orders),
            "fills": len(result.fills),
            "trades": len(result.trades),
            "notes": result.notes,
            "findings": [asdict(finding) for finding in _findings(result)],
            "meta": {key: value for key, value in result.meta.items() if key != "config"},
            "folder": folder,
            "tearsheet": tearsheet,
        }
    )
    return document


def print_result(result: RunResult, tearsheet: Path, *, next_command: str = "") -> None:
    """The run's figures as a table for people and what may be wrong with it; the last line is the tearsheet's path, whole.

    next_command: what to try next, on the line above it.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, show_header=False, title=f"{result.strategy} on {', '.join(result.data.symbols)}"
    )
    table.add_column()
    table.add_column(justify="right")
    for label, value in summary_rows(result):
        table.add_row(label, value)
    Console(soft_wrap=True).print(table)
    for finding in _findings(result):
        if finding.severity != "note":
            print(f"{finding.severity}: {finding.title}. {finding.evidence}")
    for note in result.notes:
        print(f"note: {note}")
    if next_command:
        print(f"next: {next_command}")
    print(tearsheet)


def _findings(result: RunResult) -> tuple[Finding, ...]:
    """The diagnosis that the report shows."""
    import numpy as np

    from analyzers.diagnosis import diagnose
    from analyzers.metrics import figures
    from reports.document import first_symbol

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return diagnose(result, figures=figures(result, benchmark=first_symbol(result)))


def summary_rows(result: RunResult) -> list[tuple[str, str]]:
    """Label and value of each line of the result table, as every report shows them; a dash for what is not defined."""
    from reports.figures import FIGURES, show

    metrics = result.metrics
    start, end = (show(metrics.get(name, math.nan), "money") for name in ("start_value", "end_value"))
    figures = (
        ("total return", "total_return"),
        ("yearly return (CAGR)", "cagr"),
        ("volatility a year", "volatility"),
        ("Sharpe", "sharpe"),
        ("Sortino", "sortino"),
        ("max drawdown", "max_drawdown"),
        ("win rate", "win_rate"),
        ("profit factor", "profit_factor"),
        ("commission paid", "commission"),
    )
    return [
        ("engine", f"{result.engine} ({result.engine_reason})"),
        ("bars", f"{len(result.equity):,}"),
        ("orders, fills, trades", f"{len(result.orders):,}, {len(result.fills):,}, {len(result.trades):,}"),
        ("equity", f"{start} to {end}"),
        *((label, FIGURES[key].text(metrics)) for label, key in figures),
        *((label, show(paid, "money")) for key, label in CHARGED.items() if (paid := result.costs.get(key))),
    ]
