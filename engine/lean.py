"""The lean engine: stock Backtrader's strategy, orders and broker in a loop that does only what has an effect.

recording = run(Momentum, {"fast": 10}, {"GOOG": frame}, stock_broker(100_000, 0.001))

The strategy and everything it can reach are Backtrader's own objects; orders, fills, trades, equity and cash are
those of `engine.cerebro.run`. What it cannot keep so is `Refused`.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import backtrader as bt

from engine.cerebro import RECORDER
from engine.lean_bar_by_bar import BarByBarLoop
from engine.lean_loop import LeanLoop
from engine.lean_recording import LeanRecorder
from engine.refusal import Refused
from engine.setup import Sizer, check_ready, prepare_cerebro, strategy_errors

if TYPE_CHECKING:
    import pandas as pd

    from engine.recording import Recording


def run(
    cls: type[bt.Strategy],
    params: Mapping[str, Any],
    frames: Mapping[str, pd.DataFrame],
    broker: bt.brokers.BackBroker,
    *,
    resample: Sequence[str] = (),
    sizer: Sizer | None = None,
    cheat_on_open: bool = False,
    on_bar: Callable[[int], None] | None = None,
) -> Recording:
    """Run a strategy over history. broker: configured and not yet used; it is used up.

    Raises Refused where stock's answer cannot be kept, and what `engine.cerebro.run` raises.
    """
    if type(broker) is not bt.brokers.BackBroker:
        raise Refused(f"the broker is a {type(broker).__name__}, not Backtrader's own")
    cerebro = prepare_cerebro(
        cls, params, frames, broker, resample=resample, sizer=sizer, cheat_on_open=cheat_on_open
    )
    cerebro.analyzers[:] = [(LeanRecorder, (), {"_name": RECORDER})]
    cerebro._runonce = lambda strategies: LeanLoop(cerebro, strategies[0], on_bar).run()
    cerebro._runnext = lambda strategies: BarByBarLoop(cerebro, strategies[0], on_bar).run()
    with fewer_collections():
        with strategy_errors(cls, cerebro):
            cerebro.run()
        check_ready(cerebro, cls)
        recorder: LeanRecorder = cerebro.runningstrats[0].analyzers.getbyname(RECORDER)
        return recorder.recording()


_collecting = threading.Lock()
_runs = 0
_thresholds = gc.get_threshold()
OBJECTS_BETWEEN_COLLECTIONS = 200_000


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Look for garbage in cycles less often: a run makes many objects that last, and few cycles.

    The process's setting is put back when the last of several runs in threads ends.
    """
    global _runs, _thresholds
    with _collecting:
        _runs += 1
        if _runs == 1:
            _thresholds = gc.get_threshold()
            if 0 < _thresholds[0] < OBJECTS_BETWEEN_COLLECTIONS:
                gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, *_thresholds[1:])
    try:
        yield
    finally:
        with _collecting:
            _runs -= 1
            if _runs == 0:
                gc.set_threshold(*_thresholds)
