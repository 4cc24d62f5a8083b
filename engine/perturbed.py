"""How much of a result hangs on the exact prices, parameters or fills: many runs, each a little different.

python -m engine.perturbed momentum --what prices --runs 200
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from core.cli import CommandParser, print_json, progress, run_command
from core.errors import ConfigError, UserError
from engine.scenarios import check_seed

if TYPE_CHECKING:
    import backtrader as bt
    import numpy as np
    import pandas as pd

    from brokers.costs import Costs
    from core.results import RunResult
    from feeds.market import Market

What = Literal["prices", "parameters", "execution"]
KINDS: tuple[What, ...] = ("prices", "parameters", "execution")
FIGURES = ("total_return", "cagr", "sharpe", "max_drawdown", "win_rate", "trades")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
EXAMPLE = "python -m engine.perturbed momentum --what parameters --runs 500 --share 0.2"


@dataclass(frozen=True)
class Draw:
    """What one run differs in."""

    frames: Mapping[str, pd.DataFrame]
    params: Mapping[str, Any]
    costs: Costs


@dataclass(frozen=True)
class Perturbed:
    """The run as it was and the perturbed ones.

    runs: one row a run that ended, `FIGURES` as columns. failed: how many could not run, and the first reason why.
    """

    what: What
    share: float
    seed: int
    base: RunResult
    runs: pd.DataFrame
    failed: int = 0
    failure: str = ""

    def percentiles(self) -> pd.DataFrame:
        """Rows `FIGURES`; columns "run" (as it was), p5 to p95, and "rank": the share of perturbed runs below it."""
        import numpy as np
        import pandas as pd

        made = self.runs.quantile(list(LEVELS)).T
        made.columns = [f"p{round(100 * level)}" for level in LEVELS]
        own = pd.Series({name: self.base.metrics.get(name, math.nan) for name in FIGURES})
        made.insert(0, "run", own)
        below = {name: _rank(self.runs[name].to_numpy(np.float64), own[name]) for name in FIGURES}
        made["rank"] = pd.Series(below)
        return made.rename_axis("figure")

    @property
    def losing(self) -> float:
        """Share of the perturbed runs that lost money; NaN when none ended."""
        ended = self.runs["total_return"].dropna()
        return float((ended < 0).mean()) if len(ended) else math.nan


def perturbed(
    strategy: type[bt.Strategy] | str,
    market: Market,
    what: What = "prices",
    *,
    runs: int = 200,
    share: float = 0.25,
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    costs: Costs | None = None,
    on_run: Callable[[int], None] = lambda done: None,
    **options: Any,
) -> Perturbed:
    """Run the strategy as it was, and `runs` times a little differently.

    what: "prices", every bar's move disturbed by a normal number of `share` of the moves' deviation; "parameters",
    every number moved by up to `share` of itself, within the strategy's space where it has one; "execution", orders
    up to two bars late and slippage up to `share` of one percent, drawn once a run. seed: the same seed draws the
    same runs. options: as `backtest` takes them. Raises ConfigError for what cannot be used, and whatever the
    undisturbed run raises.
    """
    import pandas as pd

    from brokers.costs import Costs
    from engine.backtest import backtest

    check(what, runs, share, seed)
    charged = costs or Costs()
    base = backtest(strategy, market, params, costs=charged, **options)
    on_run(1)
    draws = _draws(strategy, market, what, runs, share, seed, base.params, charged)
    if what == "parameters" and not charged.active and not options.get("resample"):
        rows, failures = _swept(strategy, market, [draw.params for draw in draws], on_run, options)
    else:
        rows, failures = _one_by_one(strategy, market, draws, on_run, options)
    table = pd.DataFrame(rows, columns=list(FIGURES), dtype="float64")
    return Perturbed(what, share, seed, base, table, len(failures), failures[0] if failures else "")


def check(what: str, runs: int, share: float, seed: int) -> None:
    """ConfigError for what cannot be drawn."""
    check_seed(seed)
    if what not in KINDS:
        raise ConfigError(f"cannot perturb {what!r}", hint=f"one of {', '.join(KINDS)}")
    if runs < 1 or not 0 < share <= 10:
        raise ConfigError(
            f"{runs} runs with a share of {share:g}", hint="give one run or more, and a share up to 10"
        )


def _swept(
    strategy: type[bt.Strategy] | str,
    market: Market,
    drawn: list[Mapping[str, Any]],
    on_run: Callable[[int], None],
    options: Mapping[str, Any],
) -> tuple[list[dict[str, float]], list[str]]:
    """Runs that differ in parameters alone share their indicators and one kernel."""
    import numpy as np

    from engine.sweep import sweep

    found = sweep(
        strategy, market, drawn, metrics=FIGURES, on_done=lambda done: on_run(done + 1), **options
    ).table
    ended = found[found["error"] == ""]
    rows = [
        dict(zip(FIGURES, row, strict=True)) for row in ended[list(FIGURES)].to_numpy(np.float64).tolist()
    ]
    return rows, found.loc[found["error"] != "", "error"].tolist()


def _one_by_one(
    strategy: type[bt.Strategy] | str,
    market: Market,
    draws: Iterator[Draw],
    on_run: Callable[[int], None],
    options: Mapping[str, Any],
) -> tuple[list[dict[str, float]], list[str]]:
    from engine.backtest import backtest

    rows, failures = [], []
    for number, draw in enumerate(draws, 2):
        try:
            result = backtest(
                strategy, replace(market, frames=draw.frames), draw.params, costs=draw.costs, **options
            )
            rows.append({name: result.metrics.get(name, math.nan) for name in FIGURES})
        except UserError as error:
            failures.append(str(error))
        on_run(number)
    return rows, failures


def _draws(
    strategy: type[bt.Strategy] | str,
    market: Market,
    what: What,
    runs: int,
    share: float,
    seed: int,
    params: Mapping[str, Any],
    costs: Costs,
) -> Iterator[Draw]:
    import numpy as np

    from engine.shocks import Noise, Setting
    from strategies import registry

    cls = registry.load(strategy)
    space = getattr(cls, "space", {}) or {}
    constraint = getattr(cls, "constraint", None)
    if what == "parameters" and not any(map(_is_number, params.values())):
        raise ConfigError(
            f"{cls.__name__} has no numeric parameter", hint="perturb prices or execution instead"
        )
    for number in range(runs):
        random = np.random.default_rng([seed, number])
        frames, given, charged = dict(market.frames), dict(params), costs
        if what == "prices":
            frames = Noise(share).bars(frames, Setting(0, random))
        elif what == "parameters":
            given = _moved(given, share, space, constraint, random)
        else:
            late, slipped = int(random.integers(0, 3)), 0.01 * share * float(random.random())
            charged = _worse(costs, late, slipped)
        yield Draw(frames, given, charged)


def _worse(costs: Costs, late: int, slipped: float) -> Costs:
    """Later by so many bars, and dearer by a fraction of the price: as slippage, or as spread beside a model of it."""
    later = replace(costs, latency=costs.latency + late)
    if isinstance(costs.slippage, (int, float)):
        return replace(later, slippage=costs.slippage + slipped)
    if isinstance(costs.spread, (int, float)):
        return replace(later, spread=costs.spread + 2 * slipped)
    return later


def _moved(
    params: Mapping[str, Any],
    share: float,
    space: Mapping[str, Any],
    constraint: Callable[[Mapping[str, Any]], bool] | None,
    random: np.random.Generator,
) -> dict[str, Any]:
    """Parameters near these that the strategy's constraint allows; these themselves where a hundred draws find none."""
    for _ in range(100):
        found = {name: _near(value, share, space.get(name), random) for name, value in params.items()}
        if constraint is None or constraint(found):
            return found
    return dict(params)


def _near(value: Any, share: float, bounds: Any, random: np.random.Generator) -> Any:
    if not _is_number(value):
        return value
    moved = value * (1.0 + share * float(random.uniform(-1.0, 1.0)))
    low, high = getattr(bounds, "low", None), getattr(bounds, "high", None)
    if low is not None and high is not None:
        moved = min(max(moved, low), high)
    return round(moved) if isinstance(value, int) else moved


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and value != 0
        and math.isfinite(value)
    )


def _rank(values: Any, own: float) -> float:
    import numpy as np

    known = values[np.isfinite(values)]
    return float((known < own).mean()) if known.size and math.isfinite(own) else math.nan


def parser() -> CommandParser:
    """The arguments of the command."""
    from engine.command import add_run_arguments

    made = CommandParser(
        prog="python -m engine.perturbed",
        description="Run a strategy many times, each a little different, and say how much of its result remains.",
        example=EXAMPLE,
    )
    add_run_arguments(made)
    made.add_argument("--what", choices=KINDS, default="prices", help="what differs (default: prices)")
    made.add_argument("--runs", type=int, default=200, metavar="N", help="how many runs (default: 200)")
    made.add_argument(
        "--share", type=float, default=0.25, metavar="FRACTION", help="how much it differs (default: 0.25)"
    )
    made.add_argument("--seed", type=int, default=0, help="the same seed draws the same runs (default: 0)")
    return made


def main(args: argparse.Namespace) -> int:
    """Check everything, run, print the distribution."""
    from engine import command

    check(args.what, args.runs, args.share, args.seed)
    plan = command.prepare(args)
    if not args.json:
        print(command.headline("PERTURBED", plan), flush=True)
    with progress("runs", args.runs + 1, enabled=not args.json) as done:
        found = perturbed(
            plan.strategy,
            plan.market,
            args.what,
            runs=args.runs,
            share=args.share,
            seed=args.seed,
            params=plan.params,
            on_run=done,
            cash=plan.settings.broker.cash,
            commission=plan.settings.broker.commission,
            **({"resample": plan.resample} if plan.resample else {}),
            costs=command.costs_from(plan.settings),
        )
    if args.json:
        figures = found.percentiles().reset_index().to_dict("records")
        print_json(
            {
                "what": found.what,
                "share": found.share,
                "seed": found.seed,
                "runs": len(found.runs),
                "failed": found.failed,
                "losing": found.losing,
                "figures": figures,
            }
        )
        return 0
    _print(found)
    return 0


def _print(found: Perturbed) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from reports.figures import FIGURES as KNOWN
    from reports.figures import show

    table = Table(box=box.SIMPLE_HEAD, title=f"{len(found.runs):,} runs with other {found.what}")
    table.add_column("")
    table.add_column("as it was", justify="right")
    for level in LEVELS:
        table.add_column(f"{level:.0%}", justify="right")
    table.add_column("runs below", justify="right")
    for name, row in found.percentiles().iterrows():
        figure = KNOWN[str(name)]
        shown = [show(float(row[column]), figure.unit) for column in row.index[:-1]]
        table.add_row(figure.label, *shown, show(float(row["rank"]), "percent"))
    Console(soft_wrap=True).print(table)
    print(
        f"{found.losing:.0%} of them lost money."
        if math.isfinite(found.losing)
        else "None of them could run."
    )
    if found.failed:
        print(f"note: {found.failed} could not run: {found.failure}")


if __name__ == "__main__":
    run_command(parser(), main)
