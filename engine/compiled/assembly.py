"""The text of a kernel around what was walked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.compiled.cells import ABSENT
from engine.compiled.emit import Slot, Tree, lines_of
from engine.compiled.signals import Signals
from engine.compiled.values import FLOAT, INT, Static

HEADER = '''"""Generated from {name}; do not edit."""

import math

import numba as nb
import numpy as np

from engine.compiled.broker import (
    advance, before_bar, cancel, close_curve, data_value, deliver, submit, touch,
)  # fmt: skip
from engine.compiled.broker_view import *  # noqa: F403
from engine.compiled.memory import *  # noqa: F403
from engine.compiled.moment_runtime import *  # noqa: F403
from engine.compiled.runtime import *  # noqa: F403
from engine.compiled.sum_runtime import *  # noqa: F403
from engine.compiled.vector_runtime import *  # noqa: F403


@nb.njit(cache=True, nogil=True, error_model="numpy")
def kernel(L, rows, F, I, book, index, equity, cash):
'''


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


class Assembly(Signals):
    """Puts a kernel together."""

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
            f"return 2 if {full} else 1 if error[0] != 0 or account.error != 0 else 0",
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
