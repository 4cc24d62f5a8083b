"""Settings of what trading costs beside the commission; see docs/costs.md."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from core.config.section import Section


class MarginSettings(Section):
    """A margin account: fractions of a position's value. Off, longs are paid in full and shorts need nothing."""

    enabled: bool = Field(default=False, description="trade on margin, with margin calls and liquidation")
    initial: float = Field(default=0.5, gt=0, le=10, description="equity needed to open longs")
    maintenance: float = Field(default=0.25, gt=0, le=10, description="equity needed to hold longs")
    short_initial: float = Field(default=0.5, gt=0, le=10, description="equity needed to open shorts")
    short_maintenance: float = Field(default=0.3, gt=0, le=10, description="equity needed to hold shorts")

    @model_validator(mode="after")
    def _in_order(self) -> MarginSettings:
        if self.maintenance > self.initial or self.short_maintenance > self.short_initial:
            raise ValueError(
                "a maintenance margin is above the initial one: what opens a position has to hold it"
            )
        return self


class CostSettings(Section):
    """What a backtest and the paper venue charge beside the commission. Everything is off until you set it."""

    spread: float = Field(
        default=0.0, ge=0, lt=1, description="between bid and ask, fraction of the price; a fill pays half"
    )
    slippage: float = Field(
        default=0.0, ge=0, description="how much worse fills are; what it is of, slippage_model says"
    )
    slippage_model: Literal["fraction", "per_unit", "volume_share", "square_root", "volatility"] = Field(
        default="fraction",
        description="slippage is a fraction of the price, money a unit, or the factor of a model: of the share of the "
        "volume squared, of its root times the true range, of the true range",
    )
    slippage_bars: int = Field(
        default=14, ge=1, le=10_000, description="bars of the average true range that models use"
    )
    beyond_bar: bool = Field(default=False, description="let slipped prices leave the bar's high and low")
    volume_share: float | None = Field(
        default=None, gt=0, le=1, description="fraction of a bar's volume that fills may be; none: any"
    )
    latency: int = Field(default=0, ge=0, le=10_000, description="bars an order or a cancel is on its way")
    latency_seconds: float = Field(
        default=0.0, ge=0, le=86_400 * 366, description="seconds an order or a cancel is on its way"
    )
    borrow: float = Field(default=0.0, ge=0, lt=10, description="yearly fraction of the value of shorts")
    funding: float = Field(
        default=0.0, gt=-1, lt=1, description="fraction of the position's value that longs pay shorts"
    )
    funding_hours: float = Field(
        default=8.0, gt=0, le=8784, description="how often, counted from midnight UTC"
    )
    actions: Path | None = Field(
        default=None,
        examples=["actions.csv"],
        description="CSV of splits and dividends for raw prices: symbol, time, ratio, amount",
    )
    dividends: Literal["cash", "reinvest"] = Field(
        default="cash", description="what becomes of dividends in actions"
    )
    margin: MarginSettings = Field(default_factory=MarginSettings)
