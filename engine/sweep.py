"""One strategy at many parameters, each combination exactly as its own single run.

from engine.sweep import sweep
result = sweep("momentum", "sample:goog", {"fast": range(5, 20), "slow": range(20, 60, 2)})
result.best, result.table

A strategy that compiles is made once, with parameters that are traced; indicators are computed once for each distinct
set of their own parameters, and a kernel runs every combination. What does not compile runs one by one.

python -m engine.sweep momentum --data sample:goog --space fast=5:20 --space slow=20:60:2 --top 10
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from core.cli import CommandParser, print_json, progress, run_command
from core.errors import ConfigError, UnknownNameError, UserError
from core.space import Choice, Float, Int

if TYPE_CHECKING:
    import backtrader as bt
    import pandas as pd

    from feeds.market import Market, Source

Space: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
LESS_IS_BETTER = frozenset(
    {
        "volatility",
        "max_drawdown",
        "max_drawdown_bars",
        "ulcer_index",
        "var_95",
        "cvar_95",
        "average_loss",
        "commission",
    }
)
SHOWN = ("total_return", "sharpe", "max_drawdown", "trades", "end_value")
EXAMPLE = "python -m engine.sweep momentum --data sample:goog --space fast=5:20 --space slow=20:60:2 --top 10"


@dataclass(slots=True)
class SweepResult:
    """A finished sweep.

    table: one row a combination, in the order given: its parameters, the metrics, and `error`, "" where it ran.
    metric: what `best` is best in. engine: of most combinations; reason: why not a faster one. counters: traces,
    lines_asked and lines_computed (indicator lines over all combinations, and distinct ones), alone (combinations run
    one by one), compile_seconds, seconds.
    """

    table: pd.DataFrame
    parameters: tuple[str, ...]
    metric: str
    engine: str
    reason: str
    counters: dict[str, float] = field(default_factory=dict)

    def ranked(self) -> pd.DataFrame:
        """The rows that have the metric, best first."""
        known = self.table[self.table[self.metric].notna()]
        return known.sort_values(self.metric, ascending=self.metric in LESS_IS_BETTER, kind="stable")

    @property
    def best(self) -> dict[str, Any]:
        """Parameters of the best combination. Raises UserError when no combination has the metric."""
        ranked = self.ranked()
        if ranked.empty:
            raise UserError(f"no combination has a {self.metric}", hint="see the column error of the table")
        row: dict[str, Any] = self.table.loc[ranked.index[0], list(self.parameters)].to_dict()
        return row


def combinations_of(space: Space) -> list[dict[str, Any]]:
    """Every combination of a grid, the last name varying fastest, or the given combinations. Raises ConfigError."""
    if isinstance(space, Mapping):
        values = [_values(name, given) for name, given in space.items()]
        found = [dict(zip(space, each, strict=True)) for each in itertools.product(*values)] if values else []
    else:
        found = [dict(each) for each in space]
    if not found:
        raise ConfigError("there is nothing to try", hint="give at least one value for a parameter")
    return found


def _values(name: str, given: Any) -> list[Any]:
    if isinstance(given, Int):
        return list(range(given.low, given.high + 1, given.step))
    if isinstance(given, Choice):
        return list(given.options)
    if isinstance(given, Float):
        raise ConfigError(
            f"{name} has no steps", hint=f"give a list, such as numpy.linspace({given.low}, {given.high}, 9)"
        )
    return [given] if isinstance(given, str) or not hasattr(given, "__iter__") else list(given)


def sweep(
    strategy: type[bt.Strategy] | str,
    data: Source | Market,
    space: Space,
    *,
    metric: str = "sharpe",
    metrics: Sequence[str] = SHOWN,
    cash: float = 100_000.0,
    commission: float = 0.001,
    broker: bt.brokers.BackBroker | None = None,
    sizer: Any = None,
    engine: str = "auto",
    jobs: int | None = None,
    on_done: Callable[[int], None] | None = None,
    on_compile: Callable[[float], None] | None = None,
) -> SweepResult:
    """Run every combination over history and measure it.

    space: values by parameter (a grid), or a list of combinations. metric: what to rank by; it and `metrics` are keys
    of `analyzers.metrics.summarize`. broker: an ordinary, configured one; its cash wins over `cash`. engine: "auto",
    or "lean" for one by one. jobs: threads, all cores by default. on_done: told how many combinations are done.
    on_compile: told that a kernel that takes long is compiled, and how many seconds.

    Raises UserError for what cannot be used: an unknown parameter or metric, an empty space. A combination that
    cannot run, or fails, says so in its row.
    """
    from engine import preflight
    from engine.account import copied
    from engine.cerebro import stock_broker
    from engine.choose import Task
    from engine.sweep_run import Sweeping
    from feeds.again import load_again
    from feeds.market import Market
    from strategies import registry

    began = time.perf_counter()
    _check_names((metric, *metrics), engine)
    preflight.check_money(cash, commission)
    cls = registry.load(strategy)
    given = combinations_of(space)
    market = data if isinstance(data, Market) else load_again(data)
    if market is data:  # what `load` gives is sound
        preflight.check_frames(market.frames)
    names = _parameters_of(cls, given)
    account = copied(broker) if broker is not None else stock_broker(cash, commission)
    task = Task(cls, {}, market.frames, account, sizer=sizer)
    run = Sweeping(task, given, (metric, *metrics), jobs, on_done, on_compile=on_compile)
    if engine == "auto":
        run.compiled()
    else:
        run.reason = "asked for by name"
    run.one_by_one()
    run.counters["seconds"] = time.perf_counter() - began
    compiled = run.counters["alone"] * 2 < len(given)
    return SweepResult(
        run.table(names), names, metric, "compiled" if compiled else "lean", run.reason, run.counters
    )


def _check_names(metrics: Sequence[str], engine: str) -> None:
    from engine.sweep_metrics import METRICS

    for name in metrics:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
    if engine not in ("auto", "lean"):
        raise UnknownNameError("engine", engine, ("auto", "lean"))


def _parameters_of(cls: type[bt.Strategy], given: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the parameters that combinations give, each of which the strategy has."""
    names = tuple(dict.fromkeys(itertools.chain.from_iterable(given)))
    known = dict(cls.params._getitems())
    for name in names:
        if name not in known:
            raise UnknownNameError("parameter", name, known)
    return names


def parse_space(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`["fast=5:20", "slow=20:60:2", "mode=a,b"]` as values by name; ends are included. Raises ConfigError."""
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ConfigError(
                f"--space {text} is not NAME=VALUES",
                hint="write it as --space fast=5:20:5 or --space fast=5,10",
            )
        found[name.strip()] = (
            _range_of(text, value) if ":" in value else [_number(part.strip()) for part in value.split(",")]
        )
    return found


def _range_of(text: str, value: str) -> list[Any]:
    parts = [_number(part) for part in value.split(":")]
    if len(parts) not in (2, 3) or not all(isinstance(part, int | float) for part in parts):
        raise ConfigError(f"--space {text} is no range", hint="write low:high or low:high:step, in numbers")
    low, high, step = (*parts, 1)[:3]
    if not (step > 0 and low <= high):
        raise ConfigError(f"--space {text} is empty", hint="low <= high and a step above 0 are needed")
    return [low + step * k for k in range(math.floor((high - low) / step + 1e-9) + 1)]


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def compiling(seconds: float) -> None:
    """Say on standard error what takes so long."""
    print(f"compiling {seconds:.0f} s or so, once", file=sys.stderr, flush=True)


def _parser() -> CommandParser:
    from engine.command import add_run_arguments

    parser = CommandParser(
        prog="python -m engine.sweep",
        description="Run a strategy at many parameters and rank them.",
        example=EXAMPLE,
    )
    add_run_arguments(parser)
    parser.add_argument(
        "--space",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="low:high, low:high:step or a,b,c; may be repeated",
    )
    parser.add_argument("--metric", default="sharpe", help="what to rank by (default: sharpe)")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many to show (default: 10)")
    return parser


def main(args: argparse.Namespace) -> int:
    """Check everything, run, print the ranking."""
    from engine import command, preflight

    space = parse_space(args.space)
    count = len(combinations_of(space))
    if args.top < 1:
        raise ConfigError(f"--top is {args.top}", hint="show at least 1")
    plan = command.prepare(args)
    preflight.check_uncharged(plan.settings.broker.costs, "a sweep")
    grid = {name: [value] for name, value in plan.settings.strategy.params.items()} | space
    with progress("combinations", count, enabled=not args.json) as done:
        result = sweep(
            plan.strategy,
            plan.market,
            grid,
            metric=args.metric,
            cash=plan.settings.broker.cash,
            commission=plan.settings.broker.commission,
            on_done=done,
            on_compile=compiling,
        )
    top = result.ranked().head(args.top)
    failed = int((result.table["error"] != "").sum())
    if args.json:
        print_json(
            {
                "strategy": plan.reference,
                "metric": result.metric,
                "combinations": len(result.table),
                "failed": failed,
                "engine": result.engine,
                "engine_reason": result.reason,
                "counters": result.counters,
                "top": top.drop(columns="error").to_dict("records"),
            }
        )
        return 0
    print(
        f"SWEEP {plan.reference}: {len(result.table):,} combinations in {result.counters['seconds']:.2f} s, {result.engine} ({result.reason})"
    )
    print(
        top.drop(columns="error").to_string(index=False)
        if len(top)
        else f"no combination has a {result.metric}"
    )
    if failed:
        first = next(text for text in result.table["error"] if text)
        print(f"note: {failed:,} combinations could not run; the first: {first}")
    return 0


if __name__ == "__main__":
    run_command(_parser(), main)
