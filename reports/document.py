"""A run's report, worked out once: every output renders a `Report`, so that none can say anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzers.breakdown import by_regime
from analyzers.diagnosis import Finding, diagnose
from analyzers.drawdown import drawdown_table, drawdowns
from analyzers.intervals import Interval, intervals_of
from analyzers.metrics import figures
from analyzers.montecarlo import MonteCarlo
from analyzers.periods import monthly_returns
from core.redact import redact, redact_text
from reports import tables
from reports.figures import GROUPS, Figure, show
from reports.futures import futures
from reports.grid import Grid
from reports.remarks import remarks
from reports.series import Distribution, distribution, finite, rolling
from reports.words import KINDS, costs, day, quality

if TYPE_CHECKING:
    from core.results import RunResult


@dataclass(frozen=True, slots=True)
class FigureRow:
    """One figure as it is shown. value, low, high: NaN where not defined; between: the interval as text, or ""."""

    group: str
    figure: Figure
    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """The value as a person reads it; a dash where it is not defined."""
        return show(self.value, self.figure.unit)

    @property
    def between(self) -> str:
        """The interval as a person reads it; nothing where there is none."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return ""
        return f"{show(self.low, self.figure.unit)} to {show(self.high, self.figure.unit)}"


@dataclass(frozen=True)
class Report:
    """Everything that any output shows of a run.

    figures: of `analyzers.metrics.figures`. intervals: by figure, those that are defined. benchmark: what was held
    instead, prices or an account by time, named; None where there is none. findings: of `analyzers.diagnosis`, the
    most serious first. equity: the account at the bars that have a finite value. title, parameters and notes are
    without secrets.
    name: the strategy's, without where it is kept. kind: what kind of run it is, for a heading; promise: what that
    means for orders, may be empty. facts: when, how many bars, of what, by which engine. level: the confidence of the
    intervals, as in "95%", nothing where there are none. open_trades: how many were still open at the end.
    """

    result: RunResult
    title: str
    name: str
    kind: str
    promise: str
    facts: tuple[str, ...]
    level: str
    open_trades: int
    figures: Mapping[str, float]
    intervals: Mapping[str, Interval]
    benchmark: pd.Series | None
    findings: tuple[Finding, ...]
    equity: pd.Series

    @cached_property
    def rows(self) -> tuple[FigureRow, ...]:
        """Every figure with its interval, in the order in which they are shown."""
        return tuple(
            FigureRow(group, figure, self.figures.get(figure.key, math.nan), *self._interval(figure.key))
            for group, members in GROUPS.items()
            for figure in members
        )

    def row(self, key: str) -> FigureRow:
        """The row of one figure."""
        return next(row for row in self.rows if row.figure.key == key)

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the figures has to know, the run's own notes first; each once."""
        own = (redact_text(note) for note in (*self.result.notes, *self.result.data.notes))
        return tuple(dict.fromkeys((*own, *remarks(self.result, self.equity, self.figures, self.benchmark))))

    @cached_property
    def drawdown(self) -> pd.Series:
        """Fraction below the highest value so far, by bar."""
        values = drawdowns(self.equity.to_numpy(dtype=np.float64))
        return pd.Series(values, index=self.equity.index, name="drawdown")

    @cached_property
    def rolling(self) -> pd.DataFrame:
        """See `reports.series.rolling`."""
        return rolling(self.equity, self.figures.get("periods_per_year", math.nan))

    @cached_property
    def distribution(self) -> Distribution | None:
        """See `reports.series.distribution`."""
        return distribution(self.equity)

    @cached_property
    def monte_carlo(self) -> MonteCarlo | None:
        """What could have come of the same returns; None where there are too few."""
        return futures(self.equity, self.figures.get("periods_per_year", math.nan))

    @cached_property
    def months(self) -> Grid:
        """Return of each month, a row a year, with the year's."""
        return tables.months(monthly_returns(self.result.equity))

    @cached_property
    def drawdowns(self) -> Grid:
        """The deepest drawdowns."""
        return tables.drawdowns(drawdown_table(self.result.equity))

    @cached_property
    def trades(self) -> Grid:
        """Every closed trade with its excursions, newest first."""
        return tables.trades(self.result.trades, self.result.prices)

    @cached_property
    def exit_reasons(self) -> Grid:
        """What the trades were worth, by what ended them."""
        return tables.exit_reasons(self.result.trades)

    @cached_property
    def regimes(self) -> Grid:
        """What the account did, by the state of the market; no rows without a benchmark."""
        if self.benchmark is None or len(self.equity) < 2:
            return tables.regimes(None)
        with np.errstate(over="ignore", invalid="ignore"):
            return tables.regimes(by_regime(self.equity, self.benchmark))

    @cached_property
    def outcomes(self) -> Grid:
        """Percentiles of the Monte Carlo, a row a figure; no rows without one."""
        return tables.outcomes(self.monte_carlo)

    @property
    def outcomes_said(self) -> str:
        """How those were drawn, and how often it ended badly; nothing without a Monte Carlo."""
        found = self.monte_carlo
        if found is None:
            return ""
        ruined = show(found.ruin_probability, "percent")
        how = "one by one" if found.block < 1.5 else f"in blocks of {found.block:.0f} on average"
        return (
            f"{found.paths:,} paths of {found.steps:,} steps each, of the run's own returns, drawn again {how}. "
            f"{ruined} of them lost half of the account on the way. Nothing in this "
            "knows of a market that is different."
        )

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Strategy and parameters, as label and text."""
        own = redact(dict(self.result.params)).items()
        return (("Strategy", self.result.strategy), *((key, str(value)) for key, value in own))

    @property
    def costs(self) -> tuple[tuple[str, str], ...]:
        """What the account began with, what it was charged, and what that came to."""
        told = self.result.meta.get("costs") or {}
        model = [("Charged", redact_text(str(told["text"])))] if told.get("text") else []
        paid = [
            (row.figure.label, row.text) for row in (self.row(key) for key in ("commission", "cost_share"))
        ]
        return (*costs(self.result.costs), *model, *paid)

    @property
    def events(self) -> Grid:
        """What happened to the account beside its fills: splits, dividends, margin calls, liquidations."""
        return tables.events((self.result.meta.get("costs") or {}).get("events", ()))

    @property
    def quality(self) -> tuple[tuple[str, str], ...]:
        """Where the bars came from and what cleaning did to them, as label and text."""
        data = self.result.data
        where = (
            ("Source", data.source),
            ("Symbols", ", ".join(data.symbols)),
            ("From", day(data.start)),
            ("To", day(data.end)),
        )
        return (*where, *quality(data.quality))

    def _interval(self, key: str) -> tuple[float, float]:
        found = self.intervals.get(key)
        return (math.nan, math.nan) if found is None else (found.low, found.high)


def make_report(result: RunResult, *, title: str | None = None, benchmark: pd.Series | None = None) -> Report:
    """The report of a finished run; never raises for one that traded nothing or lost everything.

    benchmark: prices or an account by time, named by what it is; None takes the first symbol, held. What costs
    time (Monte Carlo, tables) is worked out when it is first asked for.
    """
    held = benchmark if benchmark is not None else first_symbol(result)
    # Values near the largest float overflow; what comes of that is shown as not defined.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        known = figures(result, benchmark=held)
        intervals = intervals_of(result)
        findings = diagnose(result, figures=known)
    name = result.strategy.rpartition(":")[2] or result.strategy
    kind, promise = KINDS.get(result.kind, (result.kind.capitalize(), ""))
    return Report(
        result=result,
        title=title or f"{name} on {', '.join(result.data.symbols) or 'no data'}",
        name=name,
        kind=kind,
        promise=promise,
        facts=_facts(result),
        level=next((f"{interval.level:.0%}" for interval in intervals.values()), ""),
        open_trades=int(result.meta.get("open_trades", 0)),
        figures=known,
        intervals=intervals,
        benchmark=held,
        findings=findings,
        equity=finite(result.equity),
    )


def _facts(result: RunResult) -> tuple[str, ...]:
    data = result.data
    of = f" of {data.timeframe}" if data.timeframe else ""
    reason = f" ({result.engine_reason})" if result.engine_reason else ""
    return (
        f"{day(data.start)} to {day(data.end)}",
        f"{len(result.equity):,} bars{of}",
        f"data: {data.source}",
        f"engine: {result.engine}{reason}",
    )


def first_symbol(result: RunResult) -> pd.Series | None:
    """Closes of the first symbol over the run, named by it; None when the run saw no prices."""
    for name, frame in result.prices.items():
        if len(frame) and len(result.equity):
            closes = frame["close"].loc[result.equity.index[0] : result.equity.index[-1]]
            return closes.rename(name) if len(closes) else None
    return None


__all__ = ["FigureRow", "Report", "first_symbol", "make_report"]
