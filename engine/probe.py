"""Would this strategy start on these bars? Found out without running it, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import backtrader as bt
import pandas as pd

from core.errors import TradewrightError
from engine.cerebro import assemble, history_feed, run, stock_broker


class _Started(TradewrightError):
    """The strategy was set up and its warm-up fits the bars. Handler: `probe`."""

    code = "probe"


class _StopHere(bt.Analyzer):
    """Ends a run once everything is set up, before its first bar."""

    def start(self) -> None:
        """Called after the recorder has compared the warm-up with the bars."""
        raise _Started("set up", bars=max(self.strategy._minperiods, default=1))


def probe(
    strategy: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    *,
    resample: Sequence[str] = (),
) -> int:
    """Set the strategy up on these bars and stop before the first; on which bar, from 1, `next` would first be called.

    Raises what `engine.cerebro.run` would: StrategyError when its `__init__` fails, DataError for fewer bars
    than the warm-up.
    """
    feeds = {name: history_feed(name, frame) for name, frame in frames.items()}
    cerebro = assemble(strategy, params, feeds, stock_broker(1.0, 0.0), resample=resample)
    cerebro.addanalyzer(_StopHere)
    try:
        run(cerebro)
    except _Started as started:
        return int(started.context["bars"])
    raise AssertionError("the run went past its first bar")
