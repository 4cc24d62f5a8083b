"""One way to turn values into JSON, for what is printed, logged or written beside a run."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from enum import Enum
from typing import Any

_ALREADY_PLAIN = frozenset({str, int, bool})


def jsonable(value: Any, as_text: Callable[[Any], str] = str) -> Any:
    """Plain JSON values: numbers that are not finite become None, dates ISO text, decimals and paths text.

    numpy scalars become numbers; sets are sorted by their text; keys become text.
    as_text: for whatever else there is.
    """
    if value is None or type(value) in _ALREADY_PLAIN:
        return value
    if isinstance(value, Enum):
        return jsonable(value.value, as_text)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        return {_key(key): jsonable(item, as_text) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item, as_text) for item in value]
    if isinstance(value, (set, frozenset)):
        return [jsonable(item, as_text) for item in sorted(value, key=str)]
    if isinstance(value, (datetime, date, time)):
        # NaT is a datetime to isinstance, and its text is not a time.
        return value.isoformat() if value == value else None
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return jsonable(value.item())
    return as_text(value)


def to_json(value: Any, *, indent: int | None = None, as_text: Callable[[Any], str] = str) -> str:
    """`value` as one JSON document; see `jsonable` for what becomes of other types."""
    return json.dumps(jsonable(value, as_text), allow_nan=False, ensure_ascii=False, indent=indent)


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    plain = jsonable(key)
    return plain if isinstance(plain, str) else str(key)
