"""From a strategy that stands ready for its first bar to the source of a kernel that runs it.

The strategy's methods are walked with the values `__init__` left: what is known is decided now, what is not becomes
a statement of the kernel. Calls are written out in place, Backtrader's own methods (`order_target_percent`, sizers)
from their source too. What has no meaning here raises `Refused`, with file, line and reason.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineBuffer
from backtrader.lineroot import LineRoot

from engine import verdicts
from engine.compiled.assembly import Assembly, Translated
from engine.compiled.delivery import is_resampled
from engine.compiled.emit import Emitter, Slot, Tree
from engine.compiled.explanation import Explanation, MethodReport
from engine.compiled.frames import Never
from engine.compiled.outline import outlined
from engine.compiled.values import FLOAT, ORDER, Number, Static, Trade, Value
from engine.refusal import Refused
from engine.setup import Setup

PASSES = 40
"""Most passes until every variable's type is known; each pass can only widen one."""
MISTAKES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What a mistake in this package would raise; a strategy never sees it."""
UNSUPPORTED = (
    "notify_fund",
    "_next",
    "_oncepost",
    "_notify",
    "_once",
)
OF_SOME_DATA = ("known only in the run", "chooses between")
"""What is refused where nobody knows the data of an order; the strategy is then walked once a data."""


class Translator(Assembly):
    """Translates one strategy."""

    def __init__(self, setup: Setup, *, lenient: bool = False) -> None:
        self.strategy, self.broker, self.datas = setup.strategy, setup.broker, list(setup.datas)
        self.cerebro = setup.cerebro
        self.out = Emitter()
        self.lenient = lenient
        self.by_order_data = False
        self.walked: dict[Any, None] = {}
        self.keep: list[Any] = []
        self.defaults: dict[Any, Any] = {}
        self.infos: list[dict[str, Any]] = [{}]
        self.clocks = self.find_clocks()
        self.growing = any(map(is_resampled, self.datas))
        self.own_objects = set(own_objects(self.strategy))
        self.forget()
        self.reset()

    def forget(self) -> None:
        """Start over with what was learnt of objects."""
        self.heap_sites: set[Hashable] = set()
        self.boxed_returns: set[Hashable] = set()
        self.object_cells: set[Hashable] = set()
        self.moved: set[int] = set()
        self.awaited: set[Any] = set()
        self.asked: set[str] = set()

    def reset(self) -> None:
        """Start a pass."""
        self.constants: dict[int, Number] = {}
        self.prologue: Tree = []
        self.effects = 0
        self.frames, self.contexts, self.path, self.blocks = [], [], [], []
        self.lines: dict[int, int] = {}
        self.sites: dict[Any, int] = {}
        self.dead = self.opening = False
        self.endless: set[tuple[str, int]] = set()  # bodies that went deeper than the limit
        self.problems: list[tuple[str, int, str]] = []
        self.dropped: list[tuple[str, int, str]] = []
        self.rows: dict[int, int] = {}
        self.row_lines: list[Any] = []
        self.time_rows: dict[str, str] = {}
        self.scalars: dict[Any, Any] = {}
        self.bound_data: dict[str, int] = {}
        self.active: list[Slot] = []
        self.deepest = 0
        self.out.begin()
        for key in self.object_cells:
            slot = self.out.slots.get(key)
            if slot is not None and slot.element is not None:
                slot.element = None
                self.out.widen(slot, self.initial(slot.extra["live"], key))

    def find_clocks(self) -> dict[int, str]:
        """Which lines advance with which data's bars, or with the strategy's."""
        found = {id(line): f"i{number}" for number, data in enumerate(self.datas) for line in data.lines}
        for indicator in self.strategy._lineiterators[bt.LineIterator.IndType]:
            clock = indicator._clock
            if isinstance(clock, LineRoot) and clock is not self.strategy:
                name = found.get(id(clock if isinstance(clock, LineBuffer) else clock.lines[0]))
                if name is not None:
                    lines = [indicator] if isinstance(indicator, LineBuffer) else indicator.lines
                    found.update((id(line), name) for line in lines)
        found[id(self.strategy.lines.datetime)] = "t"
        return found

    # -- what is run when

    def check(self) -> None:
        """Refuse what no kernel does."""
        cls = type(self.strategy)
        self.ready_signals()
        for name in UNSUPPORTED:
            entry = getattr(cls, name, None)
            if entry is not None and not getattr(entry, "__module__", "backtrader").startswith("backtrader"):
                raise Refused(f"overrides {name}", file=inspect.getsourcefile(cls))
        if list(self.strategy.analyzers):
            raise Refused("has analyzers of its own")
        if getattr(self.cerebro, "_pretimers", None) or getattr(self.cerebro, "_timers", None):
            raise Refused("uses timers")
        if list(self.strategy._lineiterators[bt.LineIterator.ObsType]):
            raise Refused("has observers of its own")

    def translate(self) -> Translated:
        """Walk every method until all types are known; the last walk's source."""
        self.check()
        try:
            return self.settle()
        except Refused as refused:
            if len(self.datas) == 1 or not any(words in refused.reason for words in OF_SOME_DATA):
                raise
        self.by_order_data, self.out = True, Emitter()
        self.forget()
        return self.settle()

    def settle(self) -> Translated:
        """Passes until nothing changes."""
        for _ in range(PASSES):
            self.reset()
            opening = self.turn_at_open()
            body = self.loop_body()
            after = self.after()
            translated = self.assembled(opening, body, after)
            if not self.out.changed:
                return replace(translated, source=outlined(translated.source))
        raise Refused("has variables whose types cannot be told")

    def guarded(self) -> Translated:
        """`translate`; a mistake of the translator is a refusal too, and says so."""
        try:
            return self.translate()
        except MISTAKES as error:
            raise self.refuse(f"the translator failed: {type(error).__name__}: {error}") from error

    def overridden(self, name: str) -> Any:
        """The strategy's own method of this name, None when it is Backtrader's."""
        return self.own_method(name)

    def run(self, name: str, *arguments: Value) -> None:
        """Write a method of the strategy out here."""
        function = self.overridden(name)
        if function is not None:
            try:
                self.inline(function, [Static(self.strategy), *arguments], {})
            except Never:
                self.out.line("return 1")
            self.dead = False

    def loop_body(self) -> Tree:
        """Everything the strategy does on a bar."""
        body: Tree = []
        with self.writing(body):
            self.notifications()
            if self.overridden("notify_cashvalue"):
                self.run("notify_cashvalue", Number("account.cash", FLOAT), Number("account.value", FLOAT))
            self.turn_of_strategy()
        return body

    def notifications(self) -> None:
        """notify_order for every notification, then notify_trade."""
        self.forget_entry()
        if self.overridden("notify_order"):
            with self.writing(self.out.block("for n in range(n0, n1):")):
                self.out.line("h = notes[n].order")
                order = Number("h", ORDER, none="False", snap="n")
                self.for_each_data("orders[h].data", "h", lambda: self.run("notify_order", order))
        if self.overridden("notify_trade"):
            with self.writing(self.out.block("for w in range(w0, w1):")):
                self.for_each_data("trades[w].data", "w", lambda: self.run("notify_trade", Trade("w")))

    def for_each_data(self, code: str, owner: str, walk: Callable[[], None]) -> None:
        """Walk once, or once a data with the data known."""
        if not self.by_order_data:
            walk()
            return
        for number in range(len(self.datas)):
            self.bound_data[owner] = number
            with self.writing(self.out.block(f"if {code} == {number}:")):
                walk()
        del self.bound_data[owner]

    def turn_of_strategy(self) -> None:
        """prenext, nextstart or next, by the minimum periods."""
        periods = [
            self.scalar_argument(period, ("minimum period", number))
            for number, period in enumerate(self.strategy._minperiods)
        ]
        states = [f"{period.code} - (i{number} + 1)" for number, period in enumerate(periods)]
        self.out.line(f"state = max({', '.join(states)})" if len(states) > 1 else f"state = {states[0]}")
        before, first = self.overridden("prenext"), self.overridden("nextstart")
        with self.writing(self.out.block("if state < 0:" if first else "if state <= 0:")):
            self.run("next")
        if first:
            with self.writing(self.out.block("elif state == 0:")):
                self.run("nextstart")
        if before:
            with self.writing(self.out.block("else:")):
                self.run("prenext")

    def after(self) -> Tree:
        """What `stop` does: nothing to the run, but it may raise."""
        body: Tree = []
        if self.overridden("stop"):
            with self.writing(body):
                self.run("stop")
        return body

    # -- the source


def own_objects(strategy: Any) -> Iterator[int]:
    """Ids of the objects that were made with the strategy and belong to it alone."""
    seen: set[int] = set()
    waiting = [strategy, strategy.p]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        yield id(thing)
        if isinstance(thing, dict):
            parts = list(thing.values())
        elif isinstance(thing, (list, tuple)) or type(thing).__name__ == "deque":
            parts = list(thing)
        else:
            parts = list(getattr(thing, "__dict__", {}).values())
        for part in parts:
            if isinstance(part, (str, int, float, type, bt.BrokerBase, bt.Cerebro, LineRoot, type(None))):
                continue
            if type(part).__module__.startswith("backtrader") and not isinstance(part, (dict, list)):
                continue
            if callable(part) or inspect.ismodule(part):
                continue
            waiting.append(part)


def explain(
    cls: type[bt.Strategy], params: Mapping[str, Any], frames: Mapping[str, Any], resample: Sequence[str] = ()
) -> Explanation:
    """What of a strategy compiles for these parameters and bars, line by line, and what does not and why."""
    from engine.cerebro import stock_broker
    from engine.setup import prepare

    setup = prepare(cls, params, frames, stock_broker(100_000.0, 0.0), resample=resample, recorder=False)
    source: str | None = None
    refusal: Refused | None = None
    dropped: tuple[tuple[str, int, str], ...] = ()
    try:
        translated = Translator(setup).guarded()
        source, dropped = translated.source, translated.dropped
    except Refused as refused:
        refusal = refused
    reader = Translator(setup, lenient=True)
    with suppress(Refused):
        reader.guarded()
    return Explanation(
        methods=[_report(function, reader.problems) for function in reader.walked],
        refusal=refusal,
        source=source,
        dropped=dropped or tuple(reader.dropped),
    )


def _report(function: Any, problems: Sequence[tuple[str, int, str]]) -> MethodReport:
    """One function that was walked, with the problems found in its lines."""
    lines, first = inspect.getsourcelines(function)
    file = inspect.getsourcefile(function) or "?"
    inside = {
        (line, reason): None
        for where, line, reason in problems
        if where == file and first <= line < first + len(lines)
    }
    return MethodReport(
        function.__qualname__, file, first, [line.rstrip("\n") for line in lines], tuple(inside)
    )


def translate(setup: Setup) -> Translated:
    """The kernel of a strategy that `engine.setup.prepare` made; Refused with the reason where there is none."""
    began = time.thread_time()
    translated = Translator(setup).guarded()
    verdicts.set_seconds_to_translate(type(setup.strategy), time.thread_time() - began)
    return translated


__all__ = ["Translator", "explain", "translate"]
