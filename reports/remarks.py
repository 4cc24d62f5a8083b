"""What a reader has to know of a run whose figures say less than they seem to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from analyzers.periods import DAY_NS, nanoseconds
from reports.words import plural

if TYPE_CHECKING:
    import pandas as pd

    from core.results import RunResult

SHORT_DAYS = 30
"""Below so many days a yearly figure says what a year of such days would bring, which no year does."""


def remarks(
    result: RunResult, equity: pd.Series, figures: Mapping[str, float], benchmark: pd.Series | None
) -> Iterator[str]:
    """Sentences about what is missing or undefined. equity: the finite values of the run's."""
    yield from _of_equity(result, equity, figures)
    yield from _of_trades(result, figures)
    if not result.prices:
        yield "The run's folder or the run has no prices, so there are no candles and no excursions of trades."
    if benchmark is None:
        yield "There is nothing to compare with: no prices, and no benchmark was given."


def _of_equity(result: RunResult, equity: pd.Series, figures: Mapping[str, float]) -> Iterator[str]:
    lost = len(result.equity) - len(equity)
    if not len(result.equity):
        yield "The run has no bars, so no figure is defined."
        return
    if not len(equity):
        yield "No bar has a finite account value, so no figure of the account is defined."
        return
    if lost:
        yield f"{plural(lost, 'bar')} without a finite account value {'is' if lost == 1 else 'are'} left out."
    values = equity.to_numpy(dtype=np.float64)
    if values.min() <= 0:
        yield "The account was lost: its value reached zero, and figures of returns are not defined after that."
    elif len(values) > 1 and np.ptp(values) == 0:
        yield "The account's value never changed, so figures of risk are not defined."
    elif figures.get("max_drawdown", math.nan) == 0:
        yield "The account never fell below an earlier high, so figures over the drawdown are not defined."
    times = nanoseconds(equity.index)
    days = (times[-1] - times[0]) / DAY_NS
    if days < SHORT_DAYS:
        length = plural(max(1, round(days)), "day")
        yield f"The run is {length} long: yearly figures stretch that to a year and mean little."


def _of_trades(result: RunResult, figures: Mapping[str, float]) -> Iterator[str]:
    closed = len(result.trades)
    if not closed:
        yield "No trade was closed, so figures of trades are not defined."
    elif closed == 1:
        yield "One trade was closed: figures of trades describe it alone."
    elif figures.get("win_rate", math.nan) == 0:
        yield "Every trade lost."


__all__ = ["remarks"]
