"""What a script may set on the stock broker and a venue decides for itself: refused, with the reason."""

from __future__ import annotations

from typing import Any

from core.errors import StrategyError

VENUE_DECIDES = (
    "set_cash",
    "setcash",
    "add_cash",
    "set_coc",
    "set_coo",
    "set_filler",
    "set_slippage_perc",
    "set_slippage_fixed",
    "set_checksubmit",
    "set_eosbar",
    "set_shortcash",
    "set_int2pnl",
    "add_order_history",
    "set_fund_history",
)


def _refusal(name: str) -> Any:
    def refuse(self: object, *args: Any, **kwargs: Any) -> None:
        raise StrategyError(
            f"broker.{name} was called, but a venue decides that for itself",
            hint="set cash and costs where the run is started, and leave the broker to it",
        )

    refuse.__name__ = name
    refuse.__doc__ = f"Refused: `{name}` has no meaning at a venue."
    return refuse


class VenueDecides:
    """Each of `VENUE_DECIDES` as a method that refuses."""


for _name in VENUE_DECIDES:
    setattr(VenueDecides, _name, _refusal(_name))
