"""What a strategy would have made of other markets: named stresses, or scenarios of your own, beside the run itself.

python -m engine.scenarios momentum --data sample:goog
python -m engine.scenarios momentum --file scenarios.yaml --set broker.costs.spread=0.0005
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, progress, run_command
from core.errors import ConfigError

if TYPE_CHECKING:
    import backtrader as bt
    import pandas as pd

    from brokers.costs import Costs
    from core.results import RunResult
    from engine.shocks import Shock
    from feeds.market import Market

COMPARED = ("total_return", "cagr", "sharpe", "max_drawdown", "win_rate", "trades", "end_value")
BASE = "as it was"
EXAMPLE = "python -m engine.scenarios momentum --data sample:goog --file scenarios.yaml"


@dataclass(frozen=True)
class Scenario:
    """Something that happens to the market, to what trading costs, or to the parameters; any of them together.

    costs: fields of `brokers.costs.Costs` that differ from the run's. commission: a fraction, instead of the run's.
    """

    name: str
    shocks: Sequence[Shock] = ()
    costs: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    commission: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one scenario: its run, or the sentence that says why there is none."""

    scenario: Scenario
    result: RunResult | None
    failure: str = ""


@dataclass(frozen=True)
class Outcomes:
    """The run as it was, and every scenario."""

    base: RunResult
    scenarios: tuple[Outcome, ...]

    @property
    def runs(self) -> dict[str, RunResult]:
        """The scenarios that ran, by name."""
        return {each.scenario.name: each.result for each in self.scenarios if each.result is not None}

    @property
    def failures(self) -> dict[str, str]:
        """Why the others did not, by name."""
        return {each.scenario.name: each.failure for each in self.scenarios if each.result is None}

    def table(self) -> pd.DataFrame:
        """One row a scenario, the undisturbed run first: `COMPARED`, and `NAME_delta` against that run."""
        import pandas as pd

        own = self.base.metrics
        rows = {BASE: {name: own.get(name, math.nan) for name in COMPARED}}
        for outcome in self.scenarios:
            metrics = {} if outcome.result is None else outcome.result.metrics
            rows[outcome.scenario.name] = {name: metrics.get(name, math.nan) for name in COMPARED}
        table = pd.DataFrame.from_dict(rows, orient="index", dtype="float64")
        deltas = table - table.loc[BASE].to_numpy()
        return table.join(deltas.add_suffix("_delta")).rename_axis("scenario")


def check_seed(seed: int) -> None:
    """ConfigError for a seed that nothing can be drawn from."""
    if seed < 0:
        raise ConfigError(f"the seed is {seed}", hint="give a whole number, 0 or more")


def stresses() -> tuple[Scenario, ...]:
    """The named stresses: what every strategy should be asked about."""
    from engine.shocks import Crash, Delay, Drift, Gap, Liquidity, Outage, Spread, Volatility

    return (
        Scenario("gap of -10% against the largest position", (Gap(-0.1),)),
        Scenario("gap of +10%", (Gap(0.1),)),
        Scenario("volatility x 3", (Volatility(3.0),)),
        Scenario("spread x 5", (Spread(5.0),)),
        Scenario("one bar later", (Delay(1),)),
        Scenario("a tenth of the volume", (Liquidity(0.1),)),
        Scenario("outage of 5 bars", (Outage(5),)),
        Scenario("the worst 20 bars once more", (Crash(20),)),
        Scenario("20% less a year", (Drift(-0.2),)),
    )


def scenarios(
    strategy: type[bt.Strategy] | str,
    market: Market,
    listed: Sequence[Scenario],
    *,
    params: Mapping[str, Any] | None = None,
    costs: Costs | None = None,
    seed: int = 0,
    on_run: Callable[[int], None] = lambda done: None,
    **options: Any,
) -> Outcomes:
    """Run the strategy as it was, and once for each scenario, on the fastest engine that can.

    market: from `feeds.load`. seed: of shocks that draw. on_run: told how many runs are done. options: as `backtest`
    takes them (cash, commission, resample, engine). A scenario whose bars or parameters the strategy cannot run on is
    an outcome with a sentence; what fails without any shock raises, as `backtest` does.
    """
    import numpy as np

    from analyzers.facts import Facts
    from core.errors import UserError
    from engine.backtest import backtest

    given = {"params": params, "costs": costs, **options}
    check_seed(seed)
    base = backtest(strategy, market, **given)
    on_run(1)
    invested = Facts(base, base.metrics).invested
    known = np.isfinite(invested) & (invested > 0)
    position = int(np.argmax(np.where(known, invested, -1.0))) if known.any() else len(invested) // 2
    outcomes = []
    for number, scenario in enumerate(listed):
        try:
            result = _run(strategy, market, scenario, given, position, [seed, number])
            outcomes.append(Outcome(scenario, result))
        except UserError as error:
            outcomes.append(Outcome(scenario, None, str(error)))
        on_run(number + 2)
    return Outcomes(base, tuple(outcomes))


def _run(
    strategy: type[bt.Strategy] | str,
    market: Market,
    scenario: Scenario,
    given: Mapping[str, Any],
    position: int,
    seed: Sequence[int],
) -> RunResult:
    import numpy as np

    from brokers.costs import Costs
    from engine.backtest import backtest
    from engine.shocks import Setting

    setting = Setting(position, np.random.default_rng(seed))
    frames, costs = dict(market.frames), given["costs"] or Costs()
    for shock in scenario.shocks:
        frames, costs = shock.bars(frames, setting), shock.costs(costs)
    options = dict(given)
    options["costs"] = replace(costs, **scenario.costs) if scenario.costs else costs
    options["params"] = {**(given["params"] or {}), **scenario.params}
    if scenario.commission is not None:
        options["commission"] = scenario.commission
    return backtest(strategy, replace(market, frames=frames), **options)


def parser() -> CommandParser:
    """The arguments of the command."""
    from engine.command import add_run_arguments

    made = CommandParser(
        prog="python -m engine.scenarios",
        description="Run a strategy on the market as it was and on markets that might have been, side by side.",
        example=EXAMPLE,
    )
    add_run_arguments(made)
    made.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="scenarios of your own, YAML (docs/scenarios.md); without it, the named stresses",
    )
    made.add_argument("--seed", type=int, default=0, help="of shocks that draw at random (default: 0)")
    return made


def main(args: argparse.Namespace) -> int:
    """Check everything, run, write the run's folder, print the table; the folder comes last."""
    from engine import command
    from engine.scenario_file import read_scenarios
    from engine.scenario_output import document, write_outcomes

    check_seed(args.seed)
    listed = read_scenarios(args.file) if args.file else stresses()
    plan = command.prepare(args)
    folder = command.new_run_folder(plan.settings.reports.directory, f"{plan.reference}-scenarios", plan.seed)
    if not args.json:
        print(command.headline("SCENARIOS", plan), flush=True)
    with progress("runs", len(listed) + 1, enabled=not args.json) as done:
        outcomes = scenarios(
            plan.strategy,
            plan.market,
            listed,
            params=plan.params,
            seed=args.seed,
            on_run=done,
            cash=plan.settings.broker.cash,
            commission=plan.settings.broker.commission,
            resample=plan.resample,
            costs=command.costs_from(plan.settings),
        )
    page = write_outcomes(outcomes, folder)
    if args.json:
        print_json({"folder": folder, **document(outcomes)})
        return 0
    print_table(outcomes)
    print(page)
    return 0


def print_table(outcomes: Outcomes) -> None:
    """The scenarios as a table on the terminal, as on the page, and why some did not run."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from reports.scenario_page import scenario_grid

    found = scenario_grid(outcomes.table())
    table = Table(box=box.SIMPLE_HEAD)
    for column in found.columns:
        table.add_column(column.label, justify="left" if column.kind == "text" else "right")
    for row in found.texts():
        table.add_row(*row)
    Console(soft_wrap=True).print(table)
    for name, failure in outcomes.failures.items():
        print(f"note: {name} could not run: {failure}")


if __name__ == "__main__":
    run_command(parser(), main)
