"""The command line of `python -m optimize.walkforward`: arguments, the run's folder, resuming, and what is printed."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import CommandParser, print_json, progress
from core.errors import ConfigError
from core.telemetry import close_logging, configure_logging

if TYPE_CHECKING:
    from rich.table import Table

    from core.config import Settings as Configuration
    from optimize.result import WalkForward
    from optimize.walkforward import Plan

PROG = "python -m optimize.walkforward"
EXAMPLE = f"{PROG} momentum --data sample:goog --trials 500 --windows 8"
STUDY, FACTS, RESULT = "study.db", "optimization.json", "result.json"
CACHE = "results.db"


def parser() -> CommandParser:
    """The arguments."""
    from engine.command import add_run_arguments
    from optimize.samplers import NAMES

    made = CommandParser(
        prog=PROG,
        description="Search parameters on the past, trade the bars after it, window by window, and judge the whole.",
        example=EXAMPLE,
    )
    add_run_arguments(made)
    options: tuple[tuple[str, dict[str, Any]], ...] = (
        ("--space", {"action": "append", "default": [], "metavar": "NAME=VALUES", "help": "low:high[:step], low:high:log or a,b,c; may be repeated (default: the strategy's own space)"}),
        ("--space-file", {"type": Path, "metavar": "FILE", "help": "YAML with `space` and `constraint`"}),
        ("--constraint", {"default": "", "metavar": "RULE", "help": 'what parameters must satisfy, such as "fast < slow"'}),
        ("--objective", {"action": "append", "default": [], "metavar": "METRIC", "help": "what to maximise: a metric, -metric for the reverse, or module:function of a RunResult; may be repeated (default: sharpe)"}),
        ("--sampler", {"default": "auto", "choices": ("auto", *NAMES), "help": "how to search (default: auto, the whole grid where it fits into --trials, else qmc)"}),
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
        ("--jobs", {"type": int, "metavar": "N", "help": "cores to use (default: all)"}),
        ("--storage", {"metavar": "URL", "help": "keep trials in a database that several processes share: postgresql://..."}),
        ("--study", {"metavar": "NAME", "help": "name of the study in --storage (default: the strategy's)"}),
        ("--cluster", {"metavar": "ADDRESS", "help": "run what does not compile on a Dask cluster: tcp://host:8786"}),
        ("--no-cache", {"action": "store_true", "help": "run trials again that were run before"}),
    )  # fmt: skip
    for name, arguments in options:
        made.add_argument(name, **arguments)
    return made


def main(args: argparse.Namespace) -> int:
    """Check everything, search and judge, write the run's folder, print; the report's path is the last line."""
    from engine.command import settings_from
    from optimize.walkforward import check

    configuration = settings_from(args)
    plan, reference = make_plan(args, configuration)
    cuts = check(plan)
    if args.jobs is not None and args.jobs < 1:
        raise ConfigError(f"--jobs is {args.jobs}", hint="use at least 1 core")
    facts = plan.facts()
    folder, resumed = run_folder(configuration.reports.directory, reference, facts)
    if not args.json:
        print(_headline(plan, reference, len(cuts)), flush=True)
    configure_logging(configuration.log.model_copy(update={"console": "off"}), run_dir=folder)
    try:
        result = _searched(args, plan, reference, facts, folder, resumed)
    finally:
        close_logging()
    page = _write(result, folder)
    if args.json:
        print_json({**_summary(result), "folder": folder, "report": page})
    else:
        _print(result, page)
    return 0


def make_plan(args: argparse.Namespace, configuration: Configuration) -> tuple[Plan, str]:
    """What the arguments ask for, and the strategy's reference. Raises UserError."""
    from engine import preflight
    from engine.cerebro import stock_broker
    from feeds.market import load
    from optimize.objective import parse_objectives
    from optimize.search import Settings
    from optimize.space import space_of
    from optimize.walkforward import Plan
    from strategies import registry

    money = configuration.broker
    preflight.check_money(money.cash, money.commission)
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


def run_folder(base: Path, reference: str, facts: Mapping[str, Any]) -> tuple[Path, bool]:
    """The folder of this optimisation: that of an unfinished one of the same facts, else a new one; and which."""
    from engine.command import new_run_folder, require_writable

    require_writable(base)
    text = json.dumps(facts, sort_keys=True, default=str)
    mark = hashlib.sha256(text.encode()).hexdigest()
    for known in sorted(base.glob(f"*/{FACTS}"), reverse=True):
        try:
            same = json.loads(known.read_text(encoding="utf-8")).get("mark") == mark
        except (OSError, ValueError):
            continue
        if same and not (known.parent / RESULT).exists():
            return known.parent, True
    folder = new_run_folder(base, reference, mark)
    folder.mkdir(parents=True)
    (folder / FACTS).write_text(
        json.dumps({"mark": mark, "facts": json.loads(text)}, indent=2), encoding="utf-8"
    )
    return folder, False


def _searched(
    args: argparse.Namespace,
    plan: Plan,
    reference: str,
    facts: Mapping[str, Any],
    folder: Path,
    resumed: bool,
) -> WalkForward:
    from optimize.cache import ResultCache
    from optimize.cluster import Cluster
    from optimize.evaluate import facts_of
    from optimize.study import StudyStore
    from optimize.walkforward import run

    cluster = Cluster(args.cluster) if args.cluster else None
    store = cache = None
    try:
        url = args.storage or f"sqlite:///{folder / STUDY}"
        store = StudyStore.open(url, args.study or reference, facts)
        if not args.no_cache:
            cache = ResultCache(
                folder.parent / ".cache" / CACHE, plan.market, facts_of(plan.strategy, plan.broker)
            )
        if resumed and not args.json:
            print(f"note: going on with {folder}, which was not finished", flush=True)
        with _listening(args, plan) as listen:
            return run(plan, jobs=args.jobs, store=store, cache=cache, cluster=cluster, listen=listen)
    except KeyboardInterrupt:
        if not args.json:
            print(f"stopped; the same command goes on where it is: {folder}", flush=True)
        raise
    finally:
        for each in (store, cache, cluster):
            if each is not None:
                each.close()


@contextmanager
def _listening(args: argparse.Namespace, plan: Plan) -> Iterator[Any]:
    """Progress: a line on a terminal, or one JSON object a line on standard error."""
    import sys
    import time

    from core.jsontext import to_json
    from optimize.walkforward import check

    began, last = time.monotonic(), 0.0
    total = (len(check(plan)) + 1) * plan.settings.trials
    if args.json:

        def tell(event: str, facts: Mapping[str, Any]) -> None:
            nonlocal last
            now = time.monotonic()
            if event == "batch" and now - last < 0.5:
                return
            last = now
            seconds = now - began
            trials = facts.get("trials", 0)
            pace = {"seconds": seconds}
            if trials and seconds > 0:
                rate = trials / seconds
                pace |= {"trials_a_second": rate, "left_seconds": max(0, total - trials) / rate}
            print(to_json({"event": event, **pace, **facts}), file=sys.stderr, flush=True)

        yield tell
        return
    from engine.sweep import compiling

    with progress("trials", total) as done:

        def show(event: str, facts: Mapping[str, Any]) -> None:
            if event == "batch":
                best = facts["best"]
                done(facts["trials"], f"best {best:.3g}" if math.isfinite(best) else "")
            elif event == "window":
                _print_window(facts)
            elif event in ("permutation", "crossvalidation"):
                what = "shuffled markets" if event == "permutation" else "runs of cross-validation"
                done(total, f"{facts['done']:,} of {facts['of']:,} {what}")
            elif event == "compile":
                compiling(facts["seconds"])

        yield show


def _print_window(facts: Mapping[str, Any]) -> None:
    params = ", ".join(f"{name}={_short(value)}" for name, value in facts["params"].items())
    print(
        f"{facts['name']} of {facts['of']}: {params}; Sharpe {_number(facts['in_sample'])} in sample, "
        f"{_number(facts['out_of_sample'])} after",
        flush=True,
    )


def _headline(plan: Plan, reference: str, count: int) -> str:
    data = plan.market.info
    names = ", ".join(plan.space.names)
    return (
        f"WALK-FORWARD {reference} on {', '.join(data.symbols)}: {data.bars:,} bars of {data.timeframe}, "
        f"{data.start:%Y-%m-%d} to {data.end:%Y-%m-%d}; {count} windows, {plan.settings.trials:,} trials each over {names}"
    )


def _write(result: WalkForward, folder: Path) -> Path:
    from optimize.document import document_of, tables_of
    from reports.optimization import write_optimization

    return write_optimization(document_of(result), tables_of(result), folder)


def _summary(result: WalkForward) -> dict[str, Any]:
    from optimize.document import document_of

    document = dict(document_of(result))
    for name in ("trials", "equity", "in_sample_equity"):
        document.pop(name, None)
    return document


def _print(result: WalkForward, page: Path) -> None:
    """The window table, the figures, the verdict; the report's path comes last."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True)
    narrow: Any = {"box": box.SIMPLE_HEAD, "pad_edge": False}
    console.print(_windows_table(result, Table(**narrow)))
    console.print(_chosen_table(result, Table(**narrow, title="chosen parameters")))
    figures = Table(**narrow, show_header=False)
    figures.add_column(no_wrap=True)
    figures.add_column(justify="right")
    for label, value in figure_rows(result):
        figures.add_row(label, value)
    console.print(figures)
    print(f"verdict: {result.verdict}")
    for note in (*result.verdict.notes, *result.notes):
        print(f"note: {note}")
    print(page)


def _windows_table(result: WalkForward, table: Table) -> Table:
    objective = result.objectives[0].name
    for title in ("#", "learned from", "judged from", "to"):
        table.add_column(title, no_wrap=True)
    for title in (objective, "after", "return", "trades"):
        table.add_column(title, justify="right", no_wrap=True)
    for each in result.windows:
        table.add_row(
            str(each.window.number + 1),
            f"{each.trained_from:%Y-%m-%d}",
            f"{each.begins:%Y-%m-%d}",
            f"{each.ends:%Y-%m-%d}",
            _number(each.in_sample.get(objective, math.nan)),
            _number(each.out_of_sample.get(objective, math.nan)),
            _percent(each.out_of_sample["total_return"]),
            f"{each.out_of_sample['trades']:.0f}",
        )
    return table


def _chosen_table(result: WalkForward, table: Table) -> Table:
    """What each window chose, the whole period last, and how far the choice moved on average."""
    table.add_column("window", no_wrap=True)
    for name in result.names:
        table.add_column(name, justify="right", no_wrap=True)
    for each in result.windows:
        table.add_row(str(each.window.number + 1), *(_short(each.params[name]) for name in result.names))
    table.add_row("all", *(_short(result.chosen[name]) for name in result.names))
    table.add_row("drift", *(_percent(result.drift[name]) for name in result.names))
    return table


def figure_rows(result: WalkForward) -> list[tuple[str, str]]:
    """Label and value of each figure of the terminal's second table; what is not known is a dash."""
    e = result.evidence
    return [
        (
            "Sharpe out of sample, 95% interval",
            _number(e.out_of_sample) + _between(result, "sharpe", _number),
        ),
        (
            "total return",
            _percent(result.metrics["total_return"]) + _between(result, "total_return", _percent),
        ),
        (
            "largest drawdown",
            _percent(result.metrics["max_drawdown"]) + _between(result, "max_drawdown", _percent),
        ),
        ("trades won", _percent(result.metrics["win_rate"]) + _between(result, "win_rate", _percent)),
        ("walk-forward efficiency", _percent(result.efficiency)),
        ("probability of backtest overfitting", _percent(e.overfitting)),
        ("deflated Sharpe ratio", _percent(e.deflated)),
        ("as good on shuffled markets", _percent(e.permutation)),
        (
            "best parameters stand on a",
            f"{result.neighbourhood.shape} ({_percent(e.ratio)} kept near it)",
        ),
        ("trials, as independent ones", f"{e.trials:,}, {e.effective:,.0f}"),
        ("years of data, needed", f"{_number(e.years)}, {_number(e.enough)}"),
        *_paths(result),
        ("all trials, seconds", f"{result.counters['trials']:,.0f}, {result.counters['seconds']:,.1f}"),
    ]


def _between(result: WalkForward, name: str, show: Callable[[float], str]) -> str:
    """A figure's interval, in brackets; nothing where there is none."""
    found = result.intervals.get(name)
    return "" if found is None else f" ({show(found.low)} to {show(found.high)})"


def _paths(result: WalkForward) -> list[tuple[str, str]]:
    """What cross-validation found, where it was asked for."""
    import numpy as np

    found = result.crossvalidation
    if found is None:
        return []
    ratios = np.nan_to_num(found.figures["sharpe"])
    return [
        (
            f"Sharpe of {len(ratios)} paths: lowest, median, highest",
            ", ".join(_number(float(each)) for each in (ratios.min(), np.median(ratios), ratios.max())),
        ),
        ("paths that lose", _percent(found.losing)),
        (f"of {len(found.chosen)} splits chose the same", _percent(found.agreed)),
    ]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "-"


def _percent(value: float) -> str:
    return f"{value:.1%}" if math.isfinite(value) else "-"


__all__ = ["figure_rows", "main", "make_plan", "parser", "run_folder"]
