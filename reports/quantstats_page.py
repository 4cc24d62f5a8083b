"""The QuantStats tearsheet as a part of our page: no network, no links, no output of its own."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analyzers.metrics import periods_per_year

FEWEST_RETURNS = 10
# QuantStats assumes well-shaped returns and fails on others in as many ways as the libraries under it do; the
# run's page must come all the same.
QUANTSTATS_FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    np.linalg.LinAlgError,
)


@dataclass(frozen=True, slots=True)
class QuantStatsPart:
    """Either the body of the tearsheet with its style, or the sentence that stands in its place."""

    body: str = ""
    style: str = ""
    missing: str = ""


def quantstats_part(equity: pd.Series, benchmark: pd.Series | None, *, name: str) -> QuantStatsPart:
    """The tearsheet of the account's daily returns against buying and holding.

    equity: account value, aware UTC index. benchmark: prices of the market that was traded, or None, its
    name the symbol. Bars within a day are joined, since QuantStats reckons in days. name: of the strategy.
    """
    returns = _returns(equity)
    reason = _unfit(returns)
    if reason:
        return QuantStatsPart(missing=f"The QuantStats tearsheet is left out: {reason}.")
    held = None if benchmark is None else _returns(benchmark.reindex(equity.index, method="ffill"))
    if held is not None and _unfit(held):
        held = None
    try:
        return _parts(_render(returns, held, name, "" if benchmark is None else str(benchmark.name)))
    except QUANTSTATS_FAILURES as error:
        told = " ".join(str(error).split())[:200]
        return QuantStatsPart(
            missing=f"The QuantStats tearsheet is left out: it failed with {told or 'an error'}."
        )


def _returns(values: pd.Series) -> pd.Series:
    """Daily (or longer) simple returns, without time zone; the first is zero."""
    known = values.astype("float64").replace([np.inf, -np.inf], np.nan).dropna()
    index = pd.DatetimeIndex(known.index)
    known.index = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    daily = known.groupby(pd.DatetimeIndex(known.index).normalize()).last()
    return daily.pct_change(fill_method=None).fillna(0.0)


def _unfit(returns: pd.Series) -> str:
    if len(returns) < FEWEST_RETURNS:
        return f"it needs {FEWEST_RETURNS} days of returns, this run has {len(returns)}"
    if not np.isfinite(returns.to_numpy()).all() or (returns <= -1).any():
        return "the account was lost, and returns on nothing have no meaning"
    if float(returns.abs().max()) < 1e-12:
        return "the account's value never changed"
    return ""


def _render(returns: pd.Series, benchmark: pd.Series | None, name: str, symbol: str) -> str:
    """The complete HTML page QuantStats writes, as text."""
    with _quiet(), _drawing(), tempfile.TemporaryDirectory() as folder:
        import quantstats.reports

        page = Path(folder) / "quantstats.html"
        write: Callable[..., None] = quantstats.reports.html
        write(
            returns.rename("strategy"),
            benchmark=benchmark,
            output=str(page),
            title=_plain(name),
            strategy_title=_plain(name) or "Strategy",
            benchmark_title=f"{_plain(symbol)} (held)" if symbol else None,
            periods_per_year=round(periods_per_year(returns.index)),
            match_dates=False,
            figfmt="svg",
        )
        return page.read_text(encoding="utf-8")


@cache
def _theme() -> Any:  # matplotlib types its settings by a list of 300 names
    """The look QuantStats gives to all of matplotlib when it is imported, which is undone here."""
    import matplotlib as mpl

    with mpl.rc_context():
        before = dict(mpl.rcParams)
        import quantstats.reports  # noqa: F401

        changed = {key: value for key, value in mpl.rcParams.items() if before.get(key) != value}
    # Text as text, not as outlines: a third of the time and of the size.
    return {key: value for key, value in changed.items() if "backend" not in key} | {"svg.fonttype": "none"}


@contextlib.contextmanager
def _drawing() -> Iterator[None]:
    """QuantStats' look and our canvas, for as long as it draws; a backend chosen before comes back."""
    import matplotlib as mpl

    chosen = mpl.get_backend() if "matplotlib.pyplot" in sys.modules else "agg"
    mpl.use("module://reports.canvas")
    try:
        with mpl.rc_context(_theme()):
            yield
    finally:
        mpl.use(chosen)


def _plain(text: str) -> str:
    """QuantStats puts titles into its page unescaped, and into TeX: leave letters, digits and little else."""
    return " ".join(re.sub(r"[^\w.:/()-]+|_", " ", text).split())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on the terminal: QuantStats prints, its libraries warn, and fonts it names may not exist."""
    fonts = logging.getLogger("matplotlib.font_manager")
    level = fonts.level
    sink = io.StringIO()
    fonts.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            warnings.simplefilter("ignore")
            yield
    finally:
        fonts.setLevel(level)


def _parts(page: str) -> QuantStatsPart:
    """Body and style without anything that loads, links, runs or names an address."""
    style = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    body = re.search(r"<body[^>]*>(.*)</body>", page, re.DOTALL)
    text = body.group(1) if body else ""
    for pattern in (r"<script\b.*?</script>", r"<\?xml.*?\?>", r"<!DOCTYPE.*?>", r"<metadata>.*?</metadata>"):
        text = re.sub(pattern, "", text, flags=re.DOTALL | re.IGNORECASE)
    # Its chart of years labels the bars one year late (fixed labels over pandas' own ticks); the years stand in
    # its table and in ours.
    text = re.sub(r'<div id="eoy_returns">.*?</div>', "", text, flags=re.DOTALL)
    text = text.replace("CAGR\ufe6a", "CAGR")
    text = re.sub(r"<a\b[^>]*>(.*?)</a>", r"\1", text, flags=re.DOTALL)
    text = re.sub(r'\s(?:xmlns(?::\w+)?|on\w+)="[^"]*"', "", text)
    return QuantStatsPart(body=text.strip(), style=style.strip())
