"""Column types that give back exactly what was put in, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Dialect, Numeric, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from core.errors import StrategyError


class ExactDecimal(TypeDecorator[Decimal]):
    """A finite Decimal of any precision: NUMERIC on PostgreSQL, its text on SQLite, which has no decimals."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """NUMERIC without a precision keeps every digit."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(asdecimal=True))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Refuses floats (convert with `to_decimal` first), NaN and infinities."""
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite():
            raise ValueError(f"a finite Decimal is needed, not {value!r}")
        return value if dialect.name == "postgresql" else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """The stored text or number as a Decimal."""
        return None if value is None else Decimal(value)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant, read back in UTC; a naive datetime is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The instant in UTC; SQLite keeps it without the zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an aware datetime is needed, not {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The instant in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(TypeDecorator[Any]):
    """JSON as text, byte for byte: PostgreSQL's own types would refuse NaN and rewrite floats."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """What JSON has no form for (paths, dates, decimals) becomes its text; numpy scalars become numbers."""
        return None if value is None else json.dumps(value, default=_plain)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The parsed document."""
        return None if value is None else json.loads(value)


def _plain(value: object) -> object:
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def restorable(value: object, *, where: str = "state") -> Any:
    """`value` as plain JSON values that read back the same, or StrategyError naming the place that would not.

    Tuples become lists and numpy scalars numbers; NaN is kept.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return float(value) if type(value) is not float and isinstance(value, float) else value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise _refusal(f"the key {key!r} of {where}")
        return {key: restorable(item, where=f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [restorable(item, where=f"{where}[{place}]") for place, item in enumerate(value)]
    item = getattr(value, "item", None)
    plain = item() if callable(item) and getattr(value, "ndim", 0) == 0 else value
    if isinstance(plain, bool | int | float | str):
        return plain
    raise _refusal(f"{where}, a {type(value).__name__},")


def _refusal(what: str) -> StrategyError:
    return StrategyError(
        f"{what} cannot be stored and read back the same",
        hint="use numbers, text, lists, and dicts with text keys",
    )
