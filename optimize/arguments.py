"""The arguments of `python -m optimize.walkforward`, and the plan that they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser
from core.errors import ConfigError
from optimize.samplers import NAMES as SAMPLERS

if TYPE_CHECKING:
    from core.config import Settings as Configuration
    from optimize.plan import Plan

PROG = "python -m optimize.walkforward"
EXAMPLE = f"{PROG} momentum --data sample:goog --trials 500 --windows 8"
Option = tuple[str, dict[str, Any]]

SEARCH: tuple[Option, ...] = (
    ("--space", {"action": "append", "default": [], "metavar": "NAME=VALUES", "help": "low:high[:step], low:high:log or a,b,c; may be repeated (default: the strategy's own space)"}),
    ("--space-file", {"type": Path, "metavar": "FILE", "help": "YAML with `space` and `constraint`"}),
    ("--constraint", {"default": "", "metavar": "RULE", "help": 'what parameters must satisfy, such as "fast < slow"'}),
    ("--objective", {"action": "append", "default": [], "metavar": "METRIC", "help": "what to maximise: a metric, -metric for the reverse, or module:function of a RunResult; may be repeated (default: sharpe)"}),
    ("--sampler", {"default": "auto", "choices": ("auto", *SAMPLERS), "help": "how to search (default: auto, the whole grid where it fits into --trials, else qmc)"}),
    ("--trials", {"type": int, "default": 256, "metavar": "N", "help": "trials a window (default: 256)"}),
    ("--seed", {"type": int, "default": 0, "metavar": "N", "help": "the same seed gives the same trials (default: 0)"}),
    ("--minutes", {"type": float, "metavar": "M", "help": "stop each search after so long"}),
    ("--patience", {"type": int, "metavar": "N", "help": "stop a search after N trials without a better one"}),
    ("--prune", {"action": "store_true", "help": "drop the worse half of each batch after a third of the bars"}),
    ("--min-trades", {"type": int, "default": 5, "metavar": "N", "help": "fewer trades make a trial infeasible (default: 5)"}),
    ("--windows", {"type": int, "metavar": "N", "help": "how many windows (default: 8)"}),
    ("--train", {"metavar": "LENGTH", "help": "what a window learns from: bars, or time such as 2y"}),
    ("--test", {"metavar": "LENGTH", "help": "what it is judged on: bars, or time such as 6m"}),
    ("--anchored", {"action": "store_true", "help": "learn from the first bar on, in every window"}),
    ("--purge", {"type": int, "default": 0, "metavar": "BARS", "help": "bars left out at the end of training"}),
    ("--embargo", {"type": int, "default": 0, "metavar": "BARS", "help": "further bars left out before the test"}),
    ("--boundary", {"default": "close", "choices": ("close", "carry"), "help": "what becomes of a position at the end of a window (default: close)"}),
    ("--warmup", {"type": int, "default": 0, "metavar": "BARS", "help": "bars to run before a test beyond the strategy's own warm-up"}),
    ("--permutations", {"type": int, "metavar": "N", "help": "shuffled markets to search (default: 50 where the strategy compiles)"}),
    ("--mode", {"default": "walkforward", "choices": ("walkforward", "cpcv"), "help": "cpcv adds combinatorial purged cross-validation: many paths instead of one (default: walkforward)"}),
    ("--groups", {"type": int, "default": 8, "metavar": "N", "help": "parts of the bars for cpcv (default: 8)"}),
    ("--test-groups", {"type": int, "default": 2, "metavar": "N", "help": "parts judged at a time for cpcv (default: 2)"}),
)  # fmt: skip
"""What the result depends on."""

OWN: tuple[Option, ...] = (
    ("--jobs", {"type": int, "metavar": "N", "help": "cores to use (default: all)"}),
    ("--storage", {"metavar": "URL", "help": "keep trials in a database that several processes share (python -m optimize.worker --join URL): postgresql://... or sqlite:///PATH"}),
    ("--study", {"metavar": "NAME", "help": "name of the study in --storage (default: the strategy's)"}),
    ("--cluster", {"metavar": "ADDRESS", "help": "run what does not compile on a Dask cluster: tcp://host:8786"}),
    ("--no-cache", {"action": "store_true", "help": "run trials again that were run before"}),
)  # fmt: skip
"""Where and how fast it is run, each process for itself."""


def parser() -> CommandParser:
    """The arguments."""
    from engine.command import add_run_arguments

    made = CommandParser(
        prog=PROG,
        description="Search parameters on the past, trade the bars after it, window by window, and judge the whole.",
        example=EXAMPLE,
    )
    add_run_arguments(made)
    for name, arguments in (*SEARCH, *OWN):
        made.add_argument(name, **arguments)
    return made


def make_plan(args: argparse.Namespace, configuration: Configuration) -> tuple[Plan, str]:
    """What the arguments ask for, and the strategy's reference. Raises UserError."""
    from engine import preflight
    from engine.cerebro import stock_broker
    from feeds.market import load
    from optimize.objective import parse_objectives
    from optimize.plan import Plan
    from optimize.search import Settings
    from optimize.space import space_of
    from strategies import registry

    money = configuration.broker
    preflight.check_money(money.cash, money.commission)
    preflight.check_uncharged(money.costs, "an optimisation")
    if args.resample:
        raise ConfigError("--resample cannot be searched yet", hint="give the strategy bars of one timeframe")
    cls = registry.load(args.strategy)
    fixed = registry.resolve_params(cls, configuration.strategy.params)
    fixed = {name: fixed[name] for name in configuration.strategy.params}
    space = space_of(cls, args.space, file=args.space_file, constraint=args.constraint, fixed=fixed)
    market = load(configuration.data.source, settings=configuration.data)
    preflight.check_frames(market.frames)
    settings = Settings(
        trials=args.trials,
        sampler=args.sampler,
        seed=args.seed,
        objectives=parse_objectives(args.objective or ["sharpe"]),
        min_trades=args.min_trades,
        minutes=args.minutes,
        patience=args.patience,
        prune=args.prune,
    )
    cuts = {
        "train": args.train, "test": args.test, "count": args.windows, "anchored": args.anchored,
        "purge": args.purge, "embargo": args.embargo,
    }  # fmt: skip
    broker = stock_broker(money.cash, money.commission)
    groups = (args.groups, args.test_groups) if args.mode == "cpcv" else None
    plan = Plan(
        cls, market, space, broker, cuts, settings, args.boundary, args.warmup, args.permutations, groups
    )
    return plan, registry.reference(cls)


def restated(args: argparse.Namespace, configuration: Configuration) -> tuple[str, ...]:
    """The arguments again, in full: what came from the environment or a file is an argument, what is `OWN` is not.

    The text of a space file has to travel beside them.
    """
    data, money = configuration.data, configuration.broker
    found = [
        args.strategy,
        f"--data={data.source}",
        f"--cash={money.cash!r}",
        f"--commission={money.commission!r}",
    ]
    found += [f"--param={name}={value}" for name, value in configuration.strategy.params.items()]
    found += [
        f"--{name}={value.isoformat()}"
        for name, value in (("start", data.start), ("end", data.end))
        if value is not None
    ]
    found.append(f"--set=data.max_gap_bars={data.max_gap_bars}")
    if data.timeframe is not None:
        found.append(f"--set=data.timeframe={data.timeframe}")
    for option, arguments in SEARCH:
        value = getattr(args, option[2:].replace("-", "_"))
        if option == "--space-file" or value is False or value == arguments.get("default"):
            continue
        if value is True:
            found.append(option)
        else:
            found += [f"{option}={each}" for each in (value if isinstance(value, list) else [value])]
    return tuple(found)


__all__ = ["OWN", "SEARCH", "make_plan", "parser", "restated"]
