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
from dataclasses import dataclass, replace
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineBuffer
from backtrader.lineroot import LineRoot

from engine import verdicts
from engine.compiled.cells import ABSENT
from engine.compiled.delivery import is_resampled
from engine.compiled.emit import Emitter, Slot, Tree, lines_of
from engine.compiled.explanation import Explanation, MethodReport
from engine.compiled.frames import Never
from engine.compiled.outline import outlined
from engine.compiled.signals import Signals
from engine.compiled.values import FLOAT, INT, ORDER, Number, Static, Trade, Value
from engine.refusal import Refused
from engine.setup import Setup

PASSES = 40
"""Most passes until every variable's type is known; each pass can only widen one."""
HEADER = '''"""Generated from {name}; do not edit."""

import math

import numba as nb
import numpy as np

from engine.compiled.broker import (
    advance, before_bar, cancel, close_curve, data_value, deliver, submit, touch,
)  # fmt: skip
from engine.compiled.broker_view import *  # noqa: F403
from engine.compiled.memory import *  # noqa: F403
from engine.compiled.runtime import *  # noqa: F403
from engine.compiled.vector_runtime import *  # noqa: F403


@nb.njit(cache=True, nogil=True, error_model="numpy")
def kernel(L, rows, F, I, book, index, equity, cash):
'''
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
SEQUENCE_TYPES = {FLOAT: "np.float64"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line a kernel reads. buffer: the strategy's. time: its day numbers as whole microseconds instead.

    data: whose bars it goes with; None for the strategy's own clock.
    """

    buffer: Any
    data: int | None
    time: bool = False


@dataclass(frozen=True, slots=True)
class Translated:
    """A kernel's source, and what it has to be given.

    lines: in the order of `rows`. floats, ints: the numbers of F and I, `Traced` where they follow from parameters.
    infos: what orders were given besides Backtrader's arguments, by number. deepest: bars it looks back. dropped:
    file, line and text of calls without effect that were left out.
    """

    source: str
    lines: tuple[Line, ...]
    floats: tuple[Any, ...]
    ints: tuple[Any, ...]
    infos: tuple[dict[str, Any], ...]
    deepest: int
    dropped: tuple[tuple[str, int, str], ...]


class Translator(Signals):
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

    def assembled(self, opening: Tree, body: Tree, after: Tree) -> Translated:
        """The kernel's text around what was walked."""
        starts = [line for slot in self.out.slots.values() for line in self.start_of(slot)]
        datas = range(len(self.datas))
        numbers = [(name, kind) for name, kind, _ in self.scalars.values()]
        full = "account.overflow != 0" + (" or error[0] == 2" if self.out.shapes else "")
        turn, rest = self.valuing(opening, body, after)
        kernel: Tree = [
            "account = book.account[0]",
            "positions, orders, notes, trades = book.positions, book.orders, book.notes, book.trades",
            "steps = len(index)",
            "error = np.zeros(1, np.int64)",
            "valued = 0",
            *(f"{name} = {'I' if kind == INT else 'F'}[{name[1:]}]" for name, kind in numbers),
            *self.line_arrays(),
            *self.heap_start(),
            *self.before_first_open(),
            *starts,
            *(f"i{d} = 0" for d in datas),
            (
                "for t in range(steps):",
                [
                    *self.collecting(),
                    *(line for d in datas for line in (f"i{d} = index[t, {d}]", f"book.at[{d}] = i{d}")),
                    *opening,
                    *turn,
                    "n0, n1, w0, w1 = deliver(book, t)",
                    *body,
                    "if error[0] != 0 or account.overflow != 0 or account.error != 0:",
                    f"    return 2 if {full} else 1",
                ],
            ),
            *rest,
            "deliver(book, steps)",
            *([("if steps > 0:", ["t = steps - 1", *after])] if after else []),
            f"return 2 if {full} else 1 if error[0] != 0 else 0",
        ]
        source = HEADER.format(name=type(self.strategy).__qualname__) + "\n".join(lines_of(kernel, 1)) + "\n"
        return Translated(
            source,
            tuple(self.kernel_lines()),
            tuple(value for _, kind, value in self.scalars.values() if kind == FLOAT),
            tuple(value for _, kind, value in self.scalars.values() if kind == INT),
            tuple(self.infos),
            self.deepest,
            tuple(self.dropped),
        )

    def heap_start(self) -> Iterator[Any]:
        """The heap with the objects that are there before the first bar."""
        if not self.out.shapes:
            return
        yield "memory = np.zeros(2, np.int64)"
        yield "heap = new_heap(memory, 128 * len(book.orders))"
        yield "reals = heap.view(np.float64)"
        yield f"layout = np.array([{', '.join(map(str, self.layout()))}])"
        yield self.prologue

    @staticmethod
    def valuing(*trees: Tree) -> tuple[list[str], list[str]]:
        """The broker's turn on every bar, and what it leaves to the end: values nobody asks for in between."""
        if any("account.value" in line for tree in trees for line in lines_of(tree, 0)):
            return ["before_bar(book, t)", "equity[t] = account.value", "cash[t] = account.cash"], []
        curve = "valued, index, equity, cash"
        return [f"valued = advance(book, t, {curve})"], [f"close_curve(book, steps, {curve})"]

    def collecting(self) -> Iterator[Any]:
        """Make room between two bars: all that lives is what the state reaches."""
        if not self.out.shapes:
            return
        single = [number.code for number in self.constants.values()] + [slot.name for slot in self.roots()]
        lists = [slot.name for slot in self.root_lists()]
        body: Tree = [f"roots = np.zeros({len(single)}{''.join(f' + {name}_n' for name in lists)}, np.int64)"]
        for number, name in enumerate(single):
            body.append(f"roots[{number}] = {name}")
        body.append(f"at_root = {len(single)}")
        for name in lists:
            body.append(f"roots[at_root : at_root + {name}_n] = {name}[:{name}_n]")
            body.append(f"at_root += {name}_n")
        body += ["heap = collected(heap, memory, roots, layout)", "reals = heap.view(np.float64)"]
        for number, name in enumerate(single):
            body.append(f"{name} = roots[{number}]")
        body.append(f"at_root = {len(single)}")
        for name in lists:
            body.append(f"{name}[:{name}_n] = roots[at_root : at_root + {name}_n]")
            body.append(f"at_root += {name}_n")
        yield ("if 2 * memory[0] > memory[1]:", body)

    def data_of_line(self, buffer: Any) -> int | None:
        """The data whose bars a line goes with."""
        clock = self.clocks[id(buffer)]
        return None if clock == "t" else int(clock[1:])

    def kernel_lines(self) -> Iterator[Line]:
        """The lines in the order of the kernel's rows."""
        for buffer in self.row_lines:
            yield Line(buffer, self.data_of_line(buffer))
        for array in self.time_rows:
            buffer = self.row_lines[int(array[1:])]
            yield Line(buffer, self.data_of_line(buffer), time=True)

    def line_arrays(self) -> Iterator[str]:
        """The arrays of the lines, each cut to its own length."""
        names = [f"a{row}" for row in range(len(self.row_lines))] + list(self.time_rows.values())
        for row, (name, line) in enumerate(zip(names, self.kernel_lines(), strict=True)):
            length = "steps" if line.data is None else f"book.lengths[{line.data}]"
            yield f"{name} = L[rows[{row}], :{length}]"

    def start_of(self, slot: Slot) -> Iterator[str]:
        """What a variable holds before the first bar."""
        if slot.element is not None:
            yield from self.start_of_list(slot)
            return
        yield from self.out.default(slot)
        live = slot.extra.get("live", ABSENT)
        if slot.written and live is not ABSENT and slot.type is not None:
            key = next(key for key, other in self.out.slots.items() if other is slot)
            tree: Tree = []
            self.out.assign(slot, self.initial(live, key), tree)
            yield from lines_of(tree, 0)
        if slot.missing:
            yield f"{slot.name}_missing = {live is ABSENT}"

    def start_of_list(self, slot: Slot) -> Iterator[str]:
        """A list as `__init__` left it."""
        live = slot.extra.get("live", ())
        parts = [] if live is ABSENT or live is None else list(live)
        yield f"{slot.name} = np.empty({max(8, len(parts))}, {SEQUENCE_TYPES.get(slot.element or '', 'np.int64')})"
        for number, part in enumerate(parts):
            yield f"{slot.name}[{number}] = {self.out.number(Static(part)).code}"
        yield f"{slot.name}_n = {len(parts)}"
        if slot.missing:
            yield f"{slot.name}_missing = True"


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


__all__ = ["Line", "Translated", "Translator", "explain", "translate"]
