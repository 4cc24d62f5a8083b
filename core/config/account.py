"""Settings of what is watched of an account while a session runs."""

from __future__ import annotations

from pydantic import Field

from core.config.section import Section


class AccountSettings(Section):
    """How the account of a session is watched; none switches an alert off."""

    seconds: float = Field(
        default=60.0, ge=0.1, le=86_400, description="a snapshot at least so often, beside the one a bar"
    )
    alert_leverage: float | None = Field(
        default=None, gt=0, description="alert when exposure is so many times equity, or more"
    )
    alert_margin_use: float | None = Field(
        default=None, gt=0, description="alert when maintenance margin takes this fraction of equity, or more"
    )
    alert_drawdown: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="alert when this fraction of the highest equity is gone, or more",
    )
    alert_equity: float | None = Field(default=None, gt=0, description="alert when equity is this, or less")
    hysteresis: float = Field(
        default=0.1, ge=0, lt=1, description="an alert is over this part of its threshold further back"
    )
    maintenance_margin: float = Field(
        default=0.25, gt=0, le=1, description="margin that has to be kept, as a fraction of exposure"
    )
    metrics_port: int | None = Field(
        default=None, ge=1, le=65_535, description="serve gauges for Prometheus at this port of 127.0.0.1"
    )
