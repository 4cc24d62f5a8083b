"""The lean engine against stock Backtrader on the strategies of the parity corpus."""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.measure import Row, measure

BASELINE, LEAN = "stock Cerebro", "lean"
SEED = 1


def corpus(bars: int, repeat: int) -> list[Row]:
    """Each strategy that is run on daily bars, on the first of its markets, stock with its default observers."""
    from tests.parity.corpus.manifest import CORPUS, INTRADAY

    group = f"lean engine on the corpus, {bars:,} daily bars, against stock"
    rows = [_row(group, entry, bars, repeat) for entry in CORPUS if entry.kinds[0] not in INTRADAY]
    return sorted(rows, key=lambda row: -row.ratio if not math.isnan(row.ratio) else math.inf)


def _row(group: str, entry: Any, bars: int, repeat: int) -> Row:
    from engine import lean
    from tests.parity.engines import Case
    from tests.parity.markets import frames

    case = Case(
        entry.load(),
        entry.params,
        frames(entry.kinds[0], SEED, bars, entry.starts, entry.holes),
        resample=entry.resample,
        cash=entry.cash,
        commission=entry.commission,
        cheat_on_open=entry.cheat_on_open,
    )

    orders = 0

    def ours() -> float:
        nonlocal orders
        recording = lean.run(
            case.strategy,
            case.params,
            case.frames,
            case.fresh_broker(),
            resample=case.resample,
            cheat_on_open=case.cheat_on_open,
        )
        orders = len(recording.orders)
        return float(recording.equity.iloc[-1])

    runs = {BASELINE: _quiet(lambda: _stock(case)), LEAN: _quiet(ours)}
    stock, fast = measure(group, BASELINE, runs, repeat=repeat)
    note = f"{orders:,} orders; stock {stock.seconds:.3g} s"
    return replace(fast, what=entry.name, note=note)


def _stock(case: Any) -> float:
    import backtrader as bt

    from engine.cerebro import parse_timeframe, timeframe_of

    cerebro = bt.Cerebro(cheat_on_open=case.cheat_on_open)
    for name, frame in case.frames.items():
        timeframe, compression = timeframe_of(frame.index)
        plain = frame.tz_localize(None)
        feed = bt.feeds.PandasData(dataname=plain, timeframe=timeframe, compression=compression)
        cerebro.adddata(feed, name=name)
    for text in case.resample:
        timeframe, compression = parse_timeframe(text)
        cerebro.resampledata(cerebro.datas[0], timeframe=timeframe, compression=compression)
    cerebro.setbroker(case.fresh_broker())
    cerebro.addstrategy(case.strategy, **case.params)
    cerebro.run()
    return float(cerebro.broker.getvalue())


def _quiet(run: Callable[[], float]) -> Callable[[], float]:
    def quiet() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            return run()

    return quiet
