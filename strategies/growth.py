"""What an entry fills later is protected by exits of its own, where a venue keeps exits while nobody runs.

A stop that were cancelled and sent anew, larger, would leave all of the position without one in between; a session
that is killed there could not send it. Exits that rest stay as they are instead.
"""

from __future__ import annotations

from typing import Protocol

import backtrader as bt

from strategies.protection import OpenTrade

MOST_PARTS = 4
"""What comes later than in so many parts joins the last of them: Binance takes five stops a symbol."""


class Protected(Protocol):
    """What is asked of `strategies.base.Strategy`."""

    position: bt.Position

    def _cancel(self, order: bt.Order | None) -> None: ...

    def _arm(self, trade: OpenTrade, units: float, held: float) -> None: ...


def extended(strategy: Protected, trade: OpenTrade, held: float) -> bool:
    """Protect what came on top of what the exits are for; False where those that rest do not fit any more.

    What the broker does not take by itself (too little, or one stop too many) joins the part before it.
    """
    if not trade.extensible:
        return False
    last = trade.slices[-1].part
    refused = any(part.refused for part in trade.slices)
    if refused or (last >= MOST_PARTS - 1 and trade.missing(held) > 0):
        last -= refused
        joining = [part for part in trade.slices if part.part >= last]
        for part in joining:
            strategy._cancel(part.stop)
            strategy._cancel(part.target)
        held = abs(float(strategy.position.size))
        if not held or any(part.alive or part.filled for part in joining):
            return True
        trade.slices = [part for part in trade.slices if part.part < last]
        last -= 1
    units = trade.missing(held)
    if units > 0:
        kept = trade.slices
        strategy._arm(trade, units, held)
        for part in trade.slices:
            part.part = last + 1
        refused = any(part.part and part.refused for part in trade.slices)
        trade.slices = kept + trade.slices
        if refused:
            return extended(strategy, trade, held)
    return units >= 0
