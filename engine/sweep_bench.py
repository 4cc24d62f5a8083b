"""What all combinations of a sweep run over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.compiled.broker import grown
from engine.compiled.program import Program
from engine.compiled.running import book_of, steps_of

if TYPE_CHECKING:
    import pandas as pd

    from engine.compiled.records import Book

MOST_ORDERS = 4096
"""Orders of the largest books that are kept."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all combinations run over: `index` and `times` of `running.steps_of`, and empty books; spare: used ones."""

    index: NDArray[np.int64]
    times: NDArray[np.float64]
    book: Book
    spare: list[Book] = field(default_factory=list)
    _periods: list[float] = field(default_factory=list)

    def periods(self, frames: Iterable[pd.DataFrame]) -> float:
        """Bars a year. frames: those it was made of."""
        import pandas as pd

        from analyzers.metrics import periods_per_year

        if not self._periods:
            index, *others = (frame.index for frame in frames)
            for other in others:
                index = index.union(other)
            self._periods.append(periods_per_year(pd.DatetimeIndex(index)))
        return self._periods[0]

    def books(self, count: int, cash: float) -> list[Book]:
        """Books to run on, which have to be reset; taken out, as another thread may sweep, too."""
        found: list[Book] = []
        while len(found) < count:
            try:
                found.append(self.spare.pop())
            except IndexError:
                found.append(grown(self.book, cash))
        return found

    def keep(self, books: Sequence[Book]) -> None:
        """Take books back for the next sweep, unless they are large."""
        if len(self.spare) < len(books) and max(len(book.orders) for book in books) <= MOST_ORDERS:
            self.spare.extend(books)


def bench_of(program: Program) -> Bench:
    """Made once for a program."""
    found: Bench | None = program.kept.get("bench")
    if found is None:
        found = program.kept["bench"] = Bench(*steps_of(program.setup), book_of(program.setup))
    return found
