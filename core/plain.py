"""Frozen values as plain JSON, and back by the types of their fields."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

T = TypeVar("T")


_AS_THEY_ARE = frozenset({str, int, float, bool, NoneType})
_FIELD_NAMES: dict[type, tuple[str, ...]] = {}  # for every order and every bar: looked up once


def encode(value: object) -> Any:
    """A frozen value as plain JSON."""
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind in _FIELD_NAMES:
        return {name: encode(getattr(value, name)) for name in _FIELD_NAMES[kind]}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value):
        _FIELD_NAMES[kind] = tuple(f.name for f in fields(value))
        return encode(value)
    return value


def decode(cls: type[T], raw: dict[str, Any]) -> T:
    """The frozen value of type `cls` that `encode` wrote; fields it did not know of have their defaults."""
    return cls(
        **{name: decode_field(kind, raw[name]) for name, kind in field_types(cls).items() if name in raw}
    )


def decode_field(kind: type, value: Any) -> Any:
    """One field of type `kind`."""
    if value is None:
        return None
    if kind is datetime:
        return datetime.fromisoformat(value)
    if is_dataclass(kind):
        return decode(kind, value)
    return kind(value)


_FIELD_TYPES: dict[type, dict[str, type]] = {}  # looking them up costs more than reading a row


def field_types(cls: type) -> dict[str, type]:
    """Type of each field, without its None."""
    if cls not in _FIELD_TYPES:
        hints = get_type_hints(cls).items()
        _FIELD_TYPES[cls] = {
            name: next((a for a in get_args(hint) if a is not NoneType), hint) for name, hint in hints
        }
    return _FIELD_TYPES[cls]
