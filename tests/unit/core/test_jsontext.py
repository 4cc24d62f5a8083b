"""JSON text of whatever we print, log or store."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from core.jsontext import jsonable, to_json
from core.types import Side


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (np.float64("nan"), None),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (True, True),
        (Decimal("1.50"), "1.50"),
        (Side.BUY, "buy"),
        (Path("a/b"), "a/b"),
        (date(2020, 1, 31), "2020-01-31"),
        (datetime(2020, 1, 31, tzinfo=UTC), "2020-01-31T00:00:00+00:00"),
        (pd.Timestamp("2020-01-31", tz="UTC"), "2020-01-31T00:00:00+00:00"),
        (pd.NaT, None),
        ({"b", "a"}, ["a", "b"]),
        ((1, 2), [1, 2]),
        (MappingProxyType({1: Side.SELL, date(2020, 1, 1): 2}), {"1": "sell", "2020-01-01": 2}),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert jsonable(value) == expected
    assert json.loads(to_json({"value": value})) == {"value": expected}


def test_text_stays_readable() -> None:
    assert to_json({"city": "Zürich"}) == '{"city": "Zürich"}'
