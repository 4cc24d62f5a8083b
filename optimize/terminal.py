"""What a terminal shows of a walk-forward: how it goes on, then its windows, its figures and the verdict."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import progress

if TYPE_CHECKING:
    from rich.table import Table

    from optimize.plan import Plan
    from optimize.requests import Request
    from optimize.result import WalkForward


def headline(plan: Plan, reference: str, count: int) -> str:
    """The first line: strategy, data, windows and trials."""
    data = plan.market.info
    names = ", ".join(plan.space.names)
    return (
        f"WALK-FORWARD {reference} on {', '.join(data.symbols)}: {data.bars:,} bars of {data.timeframe}, "
        f"{data.start:%Y-%m-%d} to {data.end:%Y-%m-%d}; {count} window{'' if count == 1 else 's'}, {plan.settings.trials:,} trials each over {names}"
    )


def joined_line(request: Request, plan: Plan, count: int) -> str:
    """The first line of a worker that takes part."""
    began = f"{request.study}, which {request.host} began in {request.folder}"
    return f"JOINED {began}\n{headline(plan, request.arguments[0], count)}"


@contextmanager
def listening(args: argparse.Namespace, plan: Plan) -> Iterator[Any]:
    """Progress: a line on a terminal, or one JSON object a line on standard error."""
    import sys
    import time

    from core.jsontext import to_json
    from optimize.plan import check

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


def print_result(result: WalkForward, page: Path) -> None:
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
        ("as good with random entries", _random_entries(result)),
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


def _random_entries(result: WalkForward) -> str:
    found = result.entries
    if not math.isfinite(found.probability):
        return f"too few entries ({found.entries:,})"
    return f"{_percent(found.probability)} ({found.entries:,} entries)"


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


__all__ = ["figure_rows", "headline", "listening", "print_result"]
