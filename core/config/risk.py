"""Settings of what is checked before an order leaves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from core.config.section import Section


class ComplianceSettings(Section):
    """Rules of regulators and of your own for entries; exits are never refused. All are off until you set them."""

    pattern_day_trader: bool = Field(
        default=False,
        description="refuse entries that could become one day trade too many (FINRA 4210 as it was until 2026)",
    )
    account: Literal["margin", "cash"] = Field(
        default="margin", description="kind of account; the rule of day trades is one of margin accounts"
    )
    day_trades: int = Field(default=3, ge=0, description="day trades allowed within day_trade_days")
    day_trade_days: int = Field(default=5, ge=1, le=10, description="business days that are counted")
    day_trade_equity: float = Field(
        default=25_000.0, ge=0, description="equity of the run from which day trades are not counted"
    )
    wash_sale: Literal["off", "flag", "block"] = Field(
        default="off",
        description="an entry soon after a loss in the same symbol is noted in the log, or refused",
    )
    wash_sale_days: int = Field(default=30, ge=1, le=366, description="calendar days after the loss")
    restricted: str | None = Field(
        default=None,
        min_length=1,
        examples=["TSLA=employer,GME"],
        description="symbols that may not be entered, with the reason, joined by commas",
    )
    short_sales: Literal["allow", "forbid"] = Field(
        default="allow", description="whether anything is sold short"
    )
    hard_to_borrow: str | None = Field(
        default=None, min_length=1, examples=["GME,AMC"], description="symbols that are not sold short"
    )
    uptick_rule: bool = Field(
        default=False,
        description="after a fall of a tenth, short only above the best bid, that day and the next (Reg SHO 201)",
    )
    calendar: str = Field(
        default="XNYS", min_length=1, description="exchange calendar code whose sessions are business days"
    )


class PortfolioSettings(Section):
    """Limits on all that is held together; fractions are of equity. None switches one off, exits always pass."""

    max_gross_exposure: float | None = Field(
        default=None, gt=0, description="longs and shorts together, at most"
    )
    max_net_exposure: float | None = Field(
        default=None, gt=0, description="longs less shorts, either way, at most"
    )
    max_concentration: float | None = Field(default=None, gt=0, description="one symbol at most")
    max_sector_exposure: float | None = Field(default=None, gt=0, description="one sector at most")
    sectors: str | None = Field(
        default=None,
        min_length=1,
        examples=["AAPL=technology,XOM=energy"],
        description="which sector a symbol belongs to; one that is not named is a sector of its own",
    )
    max_correlation: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="refuse an entry whose returns go with those of what is held more than this",
    )
    correlation_bars: int = Field(
        default=60,
        ge=10,
        le=10_000,
        description="returns that correlation is taken of; it counts once there are so many",
    )
    drawdown_steps: str | None = Field(
        default=None,
        min_length=1,
        examples=["0.05=0.5,0.1=0.25"],
        description="from this drawdown on, entries are of this part of their size",
    )
    reduced_drawdown: float | None = Field(
        default=None, gt=0, lt=1, description="drawdown at which entries are reduced to reduced_size"
    )
    reduced_size: float = Field(default=0.5, gt=0, lt=1, description="part of its size an entry keeps then")
    risk_off_drawdown: float | None = Field(
        default=None, gt=0, lt=1, description="drawdown at which there are no entries at all"
    )
    recovery: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="a state ends when the drawdown has come back to this part of where it began",
    )
    cool_off_days: int | None = Field(
        default=None,
        ge=1,
        description="days after which risk-off ends in reduced, at the equity there is; none: by recovery alone",
    )

    @model_validator(mode="after")
    def _in_order(self) -> PortfolioSettings:
        reduced, off = self.reduced_drawdown, self.risk_off_drawdown
        if reduced is not None and off is not None and reduced >= off:
            raise ValueError(f"reduced_drawdown {reduced} is not below risk_off_drawdown {off}")
        if self.max_sector_exposure is not None and self.sectors is None:
            raise ValueError("max_sector_exposure is set, but no sectors")
        return self


class RiskSettings(Section):
    """Checks before an order is written down; none switches one off."""

    max_daily_loss: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="fraction of the day's opening equity; once lost, no new entries that day",
    )
    max_position_size: float | None = Field(
        default=None, gt=0, description="units held at most, long or short"
    )
    max_position_value: float | None = Field(
        default=None, gt=0, description="value held at most in one symbol, in quote currency"
    )
    oversize: Literal["clip", "reject"] = Field(
        default="reject",
        description="an order over a position limit is clipped to what fits, or rejected whole",
    )
    trading_calendar: str | None = Field(
        default=None,
        min_length=1,
        description="exchange calendar code such as XNYS; none: every hour is a trading hour",
    )
    check_cash: bool = Field(
        default=False,
        description="refuse an order the cash cannot pay before it is sent; paper answers margin by itself",
    )
    compliance: ComplianceSettings = Field(default_factory=ComplianceSettings)
    portfolio: PortfolioSettings = Field(default_factory=PortfolioSettings)
