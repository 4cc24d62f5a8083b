"""Who counts, who does not and why, and when there is a price at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ConfigError, OrderRejected
from core.types import Bar
from feeds.consensus import Consensus, merged_bar

NOW = datetime(2024, 5, 1, tzinfo=UTC)
NAN = float("nan")


def said(*quotes: tuple[float, float, float], quorum: int = 2) -> Consensus:
    """A consensus that heard quotes of sources a, b, c, ...: bid, ask, seconds ago."""
    consensus = Consensus(quorum, tolerance=0.005, max_age=timedelta(seconds=10))
    for source, (bid, ask, age) in zip("abcdefgh", quotes, strict=False):
        consensus.hear(source, NOW - timedelta(seconds=age), bid=bid, ask=ask)
    return consensus


@pytest.mark.parametrize(
    ("consensus", "price", "sources", "left_out"),
    [
        (said(), None, "", {}),
        (said((99, 101, 0)), None, "a", {}),
        (said((99, 101, 0), quorum=1), 100, "a", {}),
        (said((99, 101, 0), (99.2, 101.2, 5)), 100.1, "ab", {}),
        (said((99, 101, 0), (99, 101, 10), (99, 101, 10.5)), 100, "ab", {"c": "silent for 10.5 s"}),
        (said((99, 101, 0), (99, 101, 0), (108, 110, 0)), 100, "ab", {"c": "+9.00% from the median"}),
        (said((99, 101, 0), (101, 99, 0), (99, 101, 0)), 100, "ac", {"b": "crossed"}),
        (said((99, 101, 0), (NAN, 101, 0), (99, 101, 0)), 100, "ac", {"b": "no price"}),
        (said((99, 101, 0), (0, 0, 0), (99, 101, 0)), 100, "ac", {"b": "no price"}),
        # Two that differ: nobody knows which of them is right.
        (said((99, 101, 0), (109, 111, 0)), None, "a", {"b": "+10.00% from the median"}),
        # Half is no majority, however many that is.
        (
            said((99, 101, 0), (99, 101, 0), (119, 121, 0), (109, 111, 0)),
            None,
            "ab",
            {"c": "+20.00% from the median", "d": "+10.00% from the median"},
        ),
        (said((99, 101, 0), (99, 101, 0), quorum=3), None, "ab", {}),
    ],
)
def test_who_agrees(
    consensus: Consensus, price: float | None, sources: str, left_out: dict[str, str]
) -> None:
    """D16, D17"""
    agreed = consensus.price(NOW)
    assert agreed.price == (None if price is None else pytest.approx(price))
    assert agreed.sources == tuple(sources)
    assert agreed.left_out == left_out


def test_an_old_quote_does_not_replace_a_newer_one() -> None:
    consensus = said((99, 101, 0), (99, 101, 0))
    consensus.hear("a", NOW - timedelta(seconds=3), bid=1, ask=2)
    assert consensus.price(NOW).price == 100


@given(st.lists(st.floats(90, 110), min_size=3, max_size=8), st.floats(1e-3, 1e6))
def test_one_liar_moves_the_price_no_further_than_the_others_stand(mids: list[float], lie: float) -> None:
    honest = [(mid, mid, 0.0) for mid in mids]
    told = said(*honest[:-1], (lie, lie, 0.0)).price(NOW).price
    if told is not None:
        assert min(mids[:-1]) * 0.995 <= told <= max(mids[:-1]) * 1.005


def test_it_guards_an_order() -> None:
    consensus = said((99, 101, 0), (99, 101, 0))
    consensus.check(100.4, NOW)
    for price in (100.6, 99.4, NAN):
        with pytest.raises(OrderRejected, match="2 sources agree on"):
            consensus.check(price, NOW)
    with pytest.raises(
        OrderRejected, match=r"0 of 2 sources agree on a price \(a: silent for 3600 s; b: silent"
    ):
        consensus.check(100, NOW + timedelta(hours=1))


@pytest.mark.parametrize(
    "wrong", [{"quorum": 0}, {"tolerance": 0}, {"tolerance": 1}, {"max_age": timedelta(0)}]
)
def test_settings_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="makes no sense"):
        Consensus(**wrong)  # type: ignore[arg-type]


def bar(close: float, volume: float, *, spread: float = 1.0, symbol: str = "X") -> Bar:
    return Bar(symbol, NOW, close - spread / 2, close + spread, close - spread, close, volume)


def test_bars_are_merged_by_volume() -> None:
    """D16"""
    merged = merged_bar({"a": bar(100, 30), "b": bar(100.4, 10), "c": bar(90, 1000)})
    assert merged is not None
    assert merged.close == pytest.approx((100 * 30 + 100.4 * 10) / 40)
    assert merged.open == pytest.approx(merged.close - 0.5)
    assert (merged.high, merged.low) == pytest.approx((merged.close + 1, merged.close - 1))
    assert merged.volume == 40


def test_bars_without_trades_count_alike() -> None:
    merged = merged_bar({"a": bar(100, 0), "b": bar(100.4, 0)})
    assert merged is not None
    assert merged.close == pytest.approx(100.2)


@pytest.mark.parametrize(
    "bars",
    [
        {"a": bar(100, 1)},
        {"a": bar(100, 1), "b": bar(110, 1)},
        {"a": bar(100, 1), "b": bar(NAN, 1)},
        {"a": bar(100, 1), "b": bar(100, -1)},
    ],
)
def test_without_a_quorum_there_is_no_bar(bars: dict[str, Bar]) -> None:
    """D17"""
    assert merged_bar(bars) is None


def test_bars_of_different_symbols_are_not_merged() -> None:
    with pytest.raises(ConfigError, match="different times or symbols"):
        merged_bar({"a": bar(100, 1), "b": bar(100, 1, symbol="Y")})
