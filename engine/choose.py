"""Which engine runs a strategy: compiled, then lean, then Cerebro; the first that keeps stock's answer.

Whatever an engine cannot run it refuses, with the reason, and the next one takes over. A kernel that runs here for
the first time is compared with lean on the first bars; when they differ the kernel is not used, and that is said.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from core.errors import UserError
from engine import verdicts
from engine.account import copied
from engine.compiled import kernel
from engine.recording import Recording
from engine.refusal import Refused

if TYPE_CHECKING:
    import backtrader as bt

    from engine.setup import Sizer

ASKED = "asked for by name"
FAULT = "ends in an exception"
"""How the compiled engine refuses a run whose strategy fails on the way."""
COSTS = "realistic costs are charged on Cerebro alone"
"""How the fast engines refuse a run with `brokers.costs.Costs`."""
LEAN_BARS_A_SECOND = 80_000
"""What lean runs at a moderate turnover, measured; bars of all datas."""
CHECKED_BARS = 500
MOST_CHECKED_BARS = 8_000
"""A check without a single order proves little, so it goes on to more bars, up to these."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be run, whatever the engine; the arguments of `engine.backtest.backtest`, resolved.

    broker: configured; each attempt gets a copy.
    """

    strategy: type[bt.Strategy]
    params: Mapping[str, Any]
    frames: Mapping[str, pd.DataFrame]
    broker: bt.brokers.BackBroker
    resample: Sequence[str] = ()
    sizer: Sizer | None = None
    cheat_on_open: bool = False
    on_bar: Callable[[int], None] | None = None

    @property
    def bars(self) -> int:
        """Bars of all datas together."""
        return sum(len(frame) for frame in self.frames.values())


@dataclass(frozen=True, slots=True)
class Outcome:
    """A recording, the engine that made it, why it was that one, and what a reader has to know."""

    recording: Recording
    engine: str
    reason: str
    notes: tuple[str, ...] = ()


def execute(task: Task, engine: str = "auto") -> Outcome:
    """Run a task on the engine asked for; "auto" takes the first that does not refuse.

    Raises UserError when an engine asked for by name refuses; StrategyError and DataError, the same on every
    engine, when the strategy fails or the bars are too few.
    """
    if engine == "auto":
        return _first_willing(task)
    try:
        if engine != "cerebro":
            _refuse_costs(task)
        return Outcome(RUNS[engine](task), engine, ASKED)
    except Refused as refusal:
        if refusal.reason == FAULT:
            _lean(task)  # raises it, at the bar where it belongs
        raise UserError(
            f"the {engine} engine cannot run {task.strategy.__name__}: {refusal}",
            hint='engine="auto" takes the fastest that can; engine="cerebro" runs everything Backtrader runs',
        ) from refusal


def _refuse_costs(task: Task) -> None:
    """Raise Refused for a broker that charges more than `BackBroker` can."""
    if hasattr(task.broker.p, "costs"):
        raise Refused(COSTS)


def _first_willing(task: Task) -> Outcome:
    try:
        _refuse_costs(task)
    except Refused as refusal:
        return Outcome(_cerebro(task), "cerebro", str(refusal))
    admission = Admission(task)
    try:
        admission.foresee()
        return Outcome(
            _compiled(task, admission), "compiled", "the fastest engine; all of the strategy compiles"
        )
    except Refused as refusal:
        why_not = f"not compiled: {refusal}"
    started = time.perf_counter()
    try:
        outcome = Outcome(_lean(task), "lean", why_not, admission.notes)
    except Refused as refusal:
        why_not = f"{why_not}; not lean: {refusal}"
        return Outcome(_cerebro(task), "cerebro", why_not, admission.notes)
    seconds = time.perf_counter() - started
    if admission.postponed:
        verdicts.add_spent(admission.postponed, seconds)
    if admission.untranslated:
        _spent_untranslated[task.strategy] = _spent_untranslated.get(task.strategy, 0.0) + seconds
    return outcome


_spent_untranslated: WeakKeyDictionary[type, float] = WeakKeyDictionary()
"""Seconds lean took in this process because translating would take longer; another has to translate again."""


@dataclass(slots=True)
class Admission:
    """Decides, once the kernel of a task is known, whether it may run; refuses when not.

    postponed: name of a kernel that was not worth compiling yet. untranslated: whether not even translating was.
    notes: what a reader of the result has to know.
    """

    task: Task
    postponed: str = ""
    untranslated: bool = False
    notes: tuple[str, ...] = ()

    def __call__(self, name: str, ready: bool, seconds: float = kernel.COMPILE_SECONDS) -> None:
        """Raise Refused unless the kernel of that name may run.

        ready: whether nothing has to be compiled. seconds: what compiling takes.
        """
        known = verdicts.recall(name)
        if not ready:
            self._weigh(name, known.spent, seconds)
        checked = known.checked
        if not checked:
            checked = _compare_first_bars(self.task)
            verdicts.set_checked(name, checked)
        if checked not in ("", verdicts.SAME):
            self.notes = (
                f"the compiled engine was left out: {checked} where it differed from lean; please report it",
            )
            raise Refused(f"differed from lean: {checked}")

    def foresee(self) -> None:
        """Refuse a strategy whose translation alone takes longer than lean has taken, or would take."""
        from engine.compiled import warm

        task = self.task
        seconds = verdicts.seconds_to_translate(task.strategy)
        lean = _spent_untranslated.get(task.strategy, 0.0) + task.bars / LEAN_BARS_A_SECOND
        if lean < seconds and not warm.is_made(
            task.strategy, task.params, task.frames, task.broker, task.sizer
        ):
            self.untranslated = True
            raise Refused(
                f"translating takes about {seconds:.2g} s, in every process, and lean about "
                f'{task.bars / LEAN_BARS_A_SECOND:.2g} s for {task.bars:,} bars; engine="compiled" compiles now'
            )

    def _weigh(self, name: str, spent: float, seconds: float) -> None:
        """Compiling pays once lean has taken, or would take, as long as compiling does."""
        bars = self.task.bars
        saved = bars / LEAN_BARS_A_SECOND
        if spent + saved < seconds:
            self.postponed = name
            raise Refused(
                f"compiling takes about {seconds:.2g} s, once, and lean about {saved:.2g} s for {bars:,} bars; "
                'engine="compiled" compiles now'
            )


def _compare_first_bars(task: Task) -> str:
    """Run both engines on the first bars: `verdicts.SAME`, the first difference in words, or "" if unknown.

    Raises Refused as the engines do. What only the cut makes fail (a warm-up that is longer, a `stop` that counts
    on more bars) is tried again on more bars.
    """
    longest = max(len(frame) for frame in task.frames.values())
    bars, found = CHECKED_BARS, ""
    while True:
        part = replace(task, frames=_first_bars(task.frames, bars), on_bar=None)
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                lean, compiled = _lean(part), _compiled(part)
            except UserError:
                if bars >= longest:
                    raise
            else:
                difference = first_difference(lean, compiled)
                if difference or len(lean.orders):
                    return difference or verdicts.SAME
                found = verdicts.SAME
        if bars >= min(longest, MOST_CHECKED_BARS):
            return found
        bars *= 4


def _first_bars(frames: Mapping[str, pd.DataFrame], bars: int) -> dict[str, pd.DataFrame]:
    """The frames up to the moment at which the first to begin has so many bars; a later one keeps its first bar."""
    begins = min(frames.values(), key=lambda frame: frame.index[0])
    end = begins.index[min(bars, len(begins)) - 1]
    return {
        name: frame.iloc[: max(1, frame.index.searchsorted(end, "right"))] for name, frame in frames.items()
    }


def first_difference(reference: Recording, other: Recording) -> str:
    """Where two recordings part, to the last bit, in words; "" when they are the same."""
    for name in ("orders", "fills", "trades"):
        ours, theirs = getattr(other, name), getattr(reference, name)
        if len(ours) != len(theirs):
            return f"{len(ours)} {name} instead of {len(theirs)}"
        for column in theirs.columns:
            wrong = _unequal(ours[column].to_numpy(), theirs[column].to_numpy())
            if wrong is not None:
                there = ours[column].iloc[wrong], theirs[column].iloc[wrong]
                return f"{column} {there[0]!r} instead of {there[1]!r} in row {wrong + 1} of {name}"
    for name in ("equity", "cash"):
        ours, theirs = getattr(other, name), getattr(reference, name)
        if not ours.index.equals(theirs.index):
            return f"{name} at other times"
        wrong = _unequal(ours.to_numpy(), theirs.to_numpy())
        if wrong is not None:
            return f"{name} {ours.iloc[wrong]!r} instead of {theirs.iloc[wrong]!r} at {theirs.index[wrong]}"
    if (other.open_trades, other.notes) != (reference.open_trades, reference.notes):
        return "other open trades or notes"
    return ""


def _unequal(ours: Any, theirs: Any) -> int | None:
    """Position of the first pair that is not equal; nothing equals nothing."""
    different = (ours != theirs) & ~(pd.isna(ours) & pd.isna(theirs))
    return int(np.argmax(different)) if different.any() else None


def _compiled(task: Task, admit: Admission | None = None) -> Recording:
    from engine.compiled import running

    return running.run(**_arguments(task, task.broker), admit=admit)


def _lean(task: Task) -> Recording:
    from engine import lean

    return lean.run(**_arguments(task, copied(task.broker)))


def _cerebro(task: Task) -> Recording:
    from engine.cerebro import assemble, history_feed, run

    feeds = {name: history_feed(name, frame) for name, frame in task.frames.items()}
    cerebro = assemble(
        task.strategy, task.params, feeds, copied(task.broker), resample=task.resample, on_bar=task.on_bar
    )
    if task.sizer is not None:
        kind, arguments = task.sizer if isinstance(task.sizer, tuple) else (task.sizer, {})
        cerebro.addsizer(kind, **arguments)
    cerebro.p.cheat_on_open = task.cheat_on_open
    return run(cerebro)


def _arguments(task: Task, broker: bt.brokers.BackBroker) -> dict[str, Any]:
    return {
        "cls": task.strategy,
        "params": task.params,
        "frames": task.frames,
        "broker": broker,
        "resample": task.resample,
        "sizer": task.sizer,
        "cheat_on_open": task.cheat_on_open,
        "on_bar": task.on_bar,
    }


RUNS: Mapping[str, Callable[[Task], Recording]] = {"compiled": _compiled, "lean": _lean, "cerebro": _cerebro}
"""The engines by name."""
