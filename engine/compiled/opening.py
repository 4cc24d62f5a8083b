"""`next_open`: what a strategy decides at the open it is shown, before the broker's turn.

The datas are at the new bar; indicators, the strategy's length and its phase are those of the bar before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.compiled.emit import Tree
from engine.compiled.market import Market


class Opening(Market):
    """Writes out the turn of the strategy at the open."""

    cerebro: Any
    run: Callable[..., None]
    overridden: Callable[[str], Any]

    def turn_at_open(self) -> Tree:
        """What comes before the broker's turn; nothing unless Cerebro asks for it."""
        body: Tree = []
        if not self.opens():
            return body
        last, first, before = map(self.overridden, ("next_open", "nextstart_open", "prenext_open"))
        if not (last or first or before):
            return body
        with self.writing(body):
            for number in range(len(self.datas)):
                self.out.line(f"p{number} = index[t - 1, {number}] if t > 0 else -1")
            self.opening = True
            with self.writing(self.out.block("if state < 0:" if first else "if state <= 0:")):
                self.run("next_open")
            with self.writing(self.out.block("elif state == 0:" if first else "elif False:")):
                self.run("nextstart_open")
            with self.writing(self.out.block("else:")):
                self.run("prenext_open")
            self.opening = False
        return body

    def opens(self) -> bool:
        """Whether the strategy has a turn at the open."""
        return bool(self.cerebro.p.cheat_on_open)

    def before_first_open(self) -> Iterator[str]:
        """The phase before the first bar, which is far from any decision."""
        if self.opens():
            yield "state = 1"
