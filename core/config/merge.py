"""Settings of bars that a live session merges out of several exchanges'."""

from __future__ import annotations

from pydantic import Field

from core.config.section import Section


class MergeSettings(Section):
    """Exchanges whose bars are merged with the traded venue's."""

    exchanges: str | None = Field(
        default=None,
        min_length=1,
        examples=["kraken,coinbase", "second=http://127.0.0.1:8080/api/v3"],
        description="whose bars a session at Binance sees merged with Binance's; NAME, or NAME=URL of one that speaks "
        "as Binance does; none: Binance's alone",
    )
    quorum: int = Field(default=2, ge=2, description="how many must agree on a bar, the traded venue counted")
    tolerance: float = Field(
        default=0.005, gt=0, lt=1, description="how far from the median close one may be, as a fraction"
    )
    grace: float = Field(
        default=10.0, gt=0, le=3600, description="seconds the first closed bar waits for the others"
    )
