"""Several runs beside each other: one table, a ranking, and whether the differences are more than chance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzers.paired import Paired, paired
from core.errors import UnknownNameError, UserError
from reports import plots
from reports.document import FigureRow, Report, make_report
from reports.figures import FIGURES, show
from reports.html import environment, template_text
from reports.pictures import seconds
from reports.svg import svg
from reports.words import day, plural

if TYPE_CHECKING:
    import pandas as pd

    from core.results import RunResult

SMALLER_IS_BETTER = frozenset(
    key
    for key in FIGURES
    if key.startswith(("var_", "cvar_", "max_drawdown"))
    or key
    in {
        "volatility", "average_drawdown", "time_under_water", "ulcer_index", "sharpe_error", "average_loss",
        "commission", "cost_share", "turnover", "mae", "tracking_error",
    }
)  # fmt: skip
SHOWN = (
    "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_bars",
    "psr", "exposure", "trades", "win_rate", "profit_factor", "expectancy", "cost_share", "turnover",
)  # fmt: skip
STYLES = ("accent", "closes", "gain", "loss", "warn", "ink", "muted")


@dataclass(frozen=True)
class Comparison:
    """Runs by name, the best first. pairs: the best against each other one, in their order. rank: the figure."""

    reports: Mapping[str, Report]
    rank: str
    pairs: tuple[tuple[str, str, Paired], ...]
    notes: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The figures of the table, that of the ranking first."""
        return tuple(dict.fromkeys((self.rank, *SHOWN)))

    def rows(self) -> Iterator[tuple[str, list[FigureRow]]]:
        """Label of each figure, and what it is for each run."""
        for key in self.keys:
            yield FIGURES[key].label, [report.row(key) for report in self.reports.values()]


def compare(runs: Mapping[str, RunResult], *, rank: str = "sharpe") -> Comparison:
    """Rank two runs or more by a figure; those for which it is not defined come last.

    rank: a key of `reports.figures.FIGURES`. Raises UserError for fewer than two runs, UnknownNameError for a figure
    that does not exist.
    """
    if rank not in FIGURES:
        raise UnknownNameError("figure", rank, FIGURES)
    if len(runs) < 2:
        raise UserError("one run alone cannot be compared", hint="name two folders of runs, or more")
    reports = {name: make_report(result) for name, result in runs.items()}
    order = sorted(reports, key=lambda name: _place(reports[name].figures.get(rank, math.nan), rank))
    ranked = {name: reports[name] for name in order}
    best = order[0]
    pairs = tuple((best, other, paired(reports[best].equity, reports[other].equity)) for other in order[1:])
    return Comparison(ranked, rank, pairs, tuple(_notes(ranked)))


def _place(value: float, rank: str) -> float:
    if not math.isfinite(value):
        return math.inf
    return value if rank in SMALLER_IS_BETTER else -value


def _notes(reports: Mapping[str, Report]) -> Iterator[str]:
    periods = {name: _period(report.equity) for name, report in reports.items()}
    known = {name: period for name, period in periods.items() if period is not None}
    for (one, (begin, end)), (other, (start, stop)) in itertools.combinations(known.items(), 2):
        if end < start or stop < begin:
            yield (
                f"{one} ({day(begin)} to {day(end)}) and {other} ({day(start)} to {day(stop)}) do not overlap: their "
                "figures are of different times, and no test can compare them."
            )
    if len(set(known.values())) > 1:
        yield "The runs cover different periods: each figure is over its own run, the tests over common bars alone."
    symbols = {report.result.data.symbols for report in reports.values()}
    if len(symbols) > 1:
        yield "The runs trade different markets, so a difference may be the markets' and not the strategies'."
    if len(reports) > 2:
        yield (
            f"The best of {len(reports)} runs looks better than it is: some of its lead is that it was chosen for it."
        )
    for name in reports.keys() - known.keys():
        yield f"{name} has no bars, so it has no figures."


def _period(equity: pd.Series) -> tuple[Any, Any] | None:
    return (equity.index[0], equity.index[-1]) if len(equity) else None


def verdict(found: Paired) -> str:
    """The paired test in a sentence."""
    if math.isnan(found.difference):
        return f"{plural(found.bars, 'common return')}: too few, or nothing that moves, to compare."
    sure = "more than chance" if found.p_value < 1 - found.level else "not more than chance can explain"
    return (
        f"Sharpe {show(found.one, 'ratio')} against {show(found.other, 'ratio')} over {found.bars:,} common returns: a "
        f"difference of {show(found.difference, 'ratio')}, {found.level:.0%} between {show(found.low, 'ratio')} and "
        f"{show(found.high, 'ratio')}, p {show(found.p_value, 'ratio')}: {sure}."
    )


def overlay(found: Comparison, size: tuple[float, float]) -> plots.Plot:
    """Every account over its own start, the best on top; named by its place alone where names are too long."""
    styles = itertools.cycle(STYLES)
    lines = []
    names = [f"{place}. {name}" for place, name in enumerate(found.reports, 1)]
    if sum(map(plots.key_width, names)) > size[0] - 80:
        names = [f"{place}." for place in range(1, len(names) + 1)]
    for name, report in zip(names, found.reports.values(), strict=True):
        values = report.equity.to_numpy(dtype=np.float64)
        if values.size and values[0] > 0:
            lines.append((name, seconds(report.equity.index), values / values[0], next(styles)))
    said = "Accounts over their start value"
    return plots.over_time(lines[::-1], unit="ratio", size=size, said=said, level=1.0)


def plain(found: Comparison) -> dict[str, Any]:
    """The comparison as data, for JSON."""
    return {
        "rank": found.rank,
        "ranking": list(found.reports),
        "runs": {
            name: {
                "strategy": report.result.strategy,
                "params": dict(report.result.params),
                "figures": dict(report.figures),
                "intervals": {
                    key: {"low": each.low, "high": each.high, "level": each.level}
                    for key, each in report.intervals.items()
                },
            }
            for name, report in found.reports.items()
        },
        "pairs": [
            {
                "one": one, "other": other, "bars": test.bars, "difference": test.difference, "low": test.low,
                "high": test.high, "level": test.level, "p_value": test.p_value, "correlation": test.correlation,
            }
            for one, other, test in found.pairs
        ],
        "notes": list(found.notes),
    }  # fmt: skip


def comparison_page(found: Comparison) -> str:
    """One file that needs no network."""
    styles = itertools.cycle(STYLES)
    return environment().get_template("comparison.html").render(
        title=" and ".join(found.reports) if len(found.reports) == 2 else f"{len(found.reports)} runs",
        kind="Comparison",
        found=found,
        rank=FIGURES[found.rank],
        runs=[(name, report, next(styles)) for name, report in found.reports.items()],
        rows=list(found.rows()),
        level=next((report.level for report in found.reports.values() if report.level), ""),
        overlay=[svg(overlay(found, size)) for size in plots.PAGE_SIZES],
        pairs=[(one, other, verdict(test)) for one, other, test in found.pairs],
        data="null",
        script="",
        style=_style(),
    )  # fmt: skip


def _style() -> Any:
    from markupsafe import Markup

    return Markup(template_text("tearsheet.css"))


__all__ = ["Comparison", "compare", "comparison_page", "overlay", "plain", "verdict"]
