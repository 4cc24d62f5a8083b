"""Costs out of the configuration: `broker.costs`."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from brokers.actions import Action
from brokers.costs import Costs
from brokers.margin import Margin
from brokers.slippage import PerUnit, Slippage, SquareRoot, Volatility, VolumeShare
from core.errors import ConfigError

if TYPE_CHECKING:
    from core.config import CostSettings, MarginSettings

COLUMNS = ("symbol", "time", "ratio", "amount")


def configured_costs(settings: CostSettings) -> Costs:
    """What the section asks for. Raises ConfigError where its file of actions cannot be read."""
    return Costs(
        slippage=_slippage(settings),
        spread=settings.spread,
        volume_share=settings.volume_share,
        latency=settings.latency,
        latency_seconds=settings.latency_seconds,
        beyond_bar=settings.beyond_bar,
        margin=_margin(settings.margin),
        borrow=settings.borrow,
        funding=settings.funding,
        funding_hours=settings.funding_hours,
        actions={} if settings.actions is None else read_actions(settings.actions),
        dividends=settings.dividends,
    )


def _slippage(settings: CostSettings) -> float | Slippage:
    amount, bars = settings.slippage, settings.slippage_bars
    if not amount or settings.slippage_model == "fraction":
        return amount
    if settings.slippage_model == "per_unit":
        return PerUnit(amount)
    if settings.slippage_model == "volume_share":
        return VolumeShare(amount)
    model = SquareRoot if settings.slippage_model == "square_root" else Volatility
    return model(amount, bars)


def _margin(settings: MarginSettings) -> Margin | None:
    if not settings.enabled:
        return None
    return Margin(settings.initial, settings.maintenance, settings.short_initial, settings.short_maintenance)


def read_actions(path: Path) -> dict[str, list[Action]]:
    """Splits and dividends by symbol from a CSV with the columns symbol, time, ratio and amount; one may be left out.

    Times without a zone are UTC; an empty cell is none. Raises ConfigError, with the line, for what cannot be read.
    """
    found: defaultdict[str, list[Action]] = defaultdict(list)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            _check_columns(path, rows.fieldnames or ())
            for row in rows:
                found[row["symbol"]].append(_action(row))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="see broker.costs.actions") from error
    except ValueError as error:
        raise ConfigError(
            f"{path}, line {rows.line_num}: {error}", hint="write a row as AAPL,2020-08-31,4,"
        ) from error
    return dict(found)


def _action(row: dict[str, str]) -> Action:
    return Action(
        datetime.fromisoformat(row["time"].strip()),
        float(row.get("ratio") or 1.0),
        float(row.get("amount") or 0.0),
    )


def _check_columns(path: Path, names: object) -> None:
    given = set(names) if isinstance(names, (list, tuple)) else set()
    if not {"symbol", "time"} <= given or not given & {"ratio", "amount"}:
        raise ConfigError(
            f"{path} has the columns {', '.join(sorted(map(str, given))) or 'none'}",
            hint=f"name them {', '.join(COLUMNS)}",
        )
