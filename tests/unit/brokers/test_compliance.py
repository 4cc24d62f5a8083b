"""Compliance: each rule by a table, with its reason; never a way out of a position refused; nothing forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.compliance import Compliance, History, Rules, compliance_rules, history_of, pairs
from brokers.risk import Account, RiskGate
from core.config.risk import ComplianceSettings
from core.errors import ConfigError, OrderRejected, VenueTransient
from core.types import Fill, OrderIntent, OrderType, Quote, Side

MONDAY = datetime(2024, 1, 8, 15, 0, tzinfo=UTC)
FRIDAY_BEFORE = MONDAY - timedelta(days=3)
BEFORE_THE_HOLIDAY = datetime(2024, 1, 12, 15, 0, tzinfo=UTC)
AFTER_THE_HOLIDAY = datetime(2024, 1, 16, 15, 0, tzinfo=UTC)
"""Monday the 15th was Martin Luther King Day."""
BUY, SELL = Side.BUY, Side.SELL


def order(side: Side = BUY, size: str = "10", time: datetime = MONDAY, **changes: Any) -> OrderIntent:
    intent = OrderIntent("tw1", "GOOG", side, OrderType.MARKET, Decimal(size), Decimal(100), time, 1)
    return replace(intent, **changes)


def fill(side: Side, size: str, price: str, time: datetime, symbol: str = "GOOG") -> Fill:
    commission = Decimal("0.5")
    return Fill(f"{symbol}{side}{time}", "tw0", symbol, side, Decimal(size), Decimal(price), commission, time)


def account(held: str = "0", cash: str = "10000", **more: Any) -> Account:
    return Account(Decimal(cash), {"GOOG": Decimal(held)}, prices={"GOOG": Decimal(100)}, **more)


def round_trip(time: datetime, symbol: str = "GOOG") -> list[Fill]:
    """A day trade, at a gain, in two fills a way."""
    later = time + timedelta(hours=1)
    parts = [
        (BUY, "4", "99", time),
        (BUY, "6", "99", time),
        (SELL, "7", "101", later),
        (SELL, "3", "101", later),
    ]
    return [fill(*part, symbol) for part in parts]


def gate(rules: Rules, fills: list[Fill] | None = None, **known: Any) -> RiskGate:
    earlier = history_of([fills or []], rules, MONDAY + timedelta(days=100))
    return RiskGate(rules=[Compliance(rules, earlier=earlier, **known)])


def verdict(gate: RiskGate, intent: OrderIntent, held: Account) -> str:
    """The rule that refused the order, or `passes`."""
    try:
        gate.check(intent, held)
    except OrderRejected as refusal:
        return refusal.rule
    return "passes"


PDT = Rules(day_trades=3)
THREE = [*round_trip(FRIDAY_BEFORE), *round_trip(FRIDAY_BEFORE, "MSFT"), *round_trip(MONDAY, "AAPL")]


@pytest.mark.parametrize(
    ("fills", "intent", "held", "said"),
    [
        (THREE, order(), account(), "pattern_day_trader"),
        (THREE, order(SELL), account(), "pattern_day_trader"),
        (THREE, order(), account(cash="25000"), "passes"),
        (THREE[:-4], order(), account(), "passes"),
        (THREE, order(SELL, "7"), account("10"), "passes"),
        (THREE, order(SELL, parent="tw0"), account(), "passes"),
        (THREE, order(time=MONDAY + timedelta(days=4)), account(), "passes"),
        (THREE, order(time=MONDAY + timedelta(days=3)), account(), "pattern_day_trader"),
        (
            [each for name in ("A", "B", "C") for each in round_trip(BEFORE_THE_HOLIDAY, name)],
            order(time=datetime(2024, 1, 19, 15, tzinfo=UTC)),
            account(),
            "pattern_day_trader",
        ),
        (
            [each for name in ("A", "B", "C") for each in round_trip(BEFORE_THE_HOLIDAY, name)],
            order(time=datetime(2024, 1, 22, 15, tzinfo=UTC)),
            account(),
            "passes",
        ),
    ],
    ids=[
        "a fourth day trade could come",
        "by a short as well",
        "enough equity",
        "a third may come",
        "an exit",
        "an exit of a bracket",
        "five business days later",
        "four business days later",
        "a holiday is no business day",
        "the day after that",
    ],
)
def test_day_trades(fills: list[Fill], intent: OrderIntent, held: Account, said: str) -> None:
    """L22"""
    assert verdict(gate(PDT, fills), intent, held) == said


def test_what_is_open_today_counts_because_its_exit_cannot_be_refused() -> None:
    """L22"""
    rules = gate(PDT, THREE[:8])
    assert verdict(rules, order(), account(entering={("MSFT", BUY): Decimal(5)})) == "pattern_day_trader"
    assert verdict(rules, order(), account(entering={("GOOG", BUY): Decimal(5)})) == "passes"
    compliance = Compliance(PDT, earlier=history_of([THREE[:8]], PDT, MONDAY + timedelta(days=1)))
    compliance.take(fill(BUY, "5", "100", MONDAY, "MSFT"))
    opened = RiskGate(rules=[compliance])
    assert verdict(opened, order(), account()) == "pattern_day_trader"
    assert verdict(opened, order(time=MONDAY + timedelta(days=1)), account()) == "passes"


@pytest.mark.parametrize(
    ("trades", "counted"),
    [
        ([(BUY, "10"), (SELL, "10")], 1),
        ([(BUY, "5"), (BUY, "5"), (SELL, "4"), (SELL, "6")], 1),
        ([(SELL, "10"), (BUY, "10")], 1),
        ([(BUY, "10"), (SELL, "10"), (BUY, "10"), (SELL, "10")], 2),
        ([(BUY, "10"), (SELL, "15"), (BUY, "5")], 2),
        ([(BUY, "10"), (BUY, "10")], 0),
    ],
)
def test_how_day_trades_are_counted(trades: list[tuple[Side, str]], counted: int) -> None:
    """L22: what was opened and closed on one day, however many fills it took."""
    history = History()
    for minute, (side, size) in enumerate(trades):
        history = history.after(fill(side, size, "100", MONDAY + timedelta(minutes=minute)), MONDAY.date())
    assert len(history.day_trades) == counted
    overnight = History()
    for minute, (side, size) in enumerate(trades):
        overnight = overnight.after(fill(side, size, "100", MONDAY), MONDAY.date() + timedelta(days=minute))
    assert not overnight.day_trades


LOST = [fill(BUY, "10", "100", MONDAY), fill(SELL, "10", "99", MONDAY + timedelta(days=1))]
LOST_SHORT = [fill(SELL, "10", "99", MONDAY), fill(BUY, "10", "100", MONDAY + timedelta(days=1))]
COSTS = [fill(BUY, "10", "100", MONDAY), fill(SELL, "10", "100.05", MONDAY + timedelta(days=1))]
GAINED = [fill(BUY, "10", "99", MONDAY), fill(SELL, "10", "100", MONDAY + timedelta(days=1))]


@pytest.mark.parametrize(
    ("fills", "days", "side", "said"),
    [
        (LOST, 30, BUY, "wash_sale"),
        (LOST, 31, BUY, "passes"),
        (LOST, 30, SELL, "passes"),
        (LOST_SHORT, 30, SELL, "wash_sale"),
        (LOST_SHORT, 30, BUY, "passes"),
        (COSTS, 5, BUY, "wash_sale"),
        (GAINED, 5, BUY, "passes"),
        ([*LOST[:1], replace(LOST[1], size=Decimal(4)), *GAINED[1:]], 5, BUY, "wash_sale"),
    ],
    ids=[
        "day 30",
        "day 31",
        "the other side",
        "short",
        "long after a short",
        "commission",
        "a gain",
        "in parts",
    ],
)
def test_wash_sales(fills: list[Fill], days: int, side: Side, said: str) -> None:
    """L22: to enter again within thirty days of a loss."""
    intent = order(side, time=MONDAY + timedelta(days=1 + days))
    assert verdict(gate(Rules(wash_sale="block"), fills), intent, account()) == said
    assert (
        verdict(gate(Rules(wash_sale="block"), fills), intent, account("-10" if side is BUY else "10"))
        == "passes"
    )
    assert verdict(gate(Rules(wash_sale="flag"), fills), intent, account()) == "passes"


def test_a_flag_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    intent = order(time=MONDAY + timedelta(days=9))
    with caplog.at_level("WARNING"):
        gate(Rules(wash_sale="flag"), LOST).check(intent, account())
    assert "wash_sale" in caplog.text
    assert "2024-01-09" in caplog.text


@pytest.mark.parametrize(
    ("rules", "intent", "held", "said"),
    [
        (Rules(restricted={"GOOG": "employer"}), order(), account(), "restricted"),
        (Rules(restricted={"GOOG": ""}), order(), account(), "restricted"),
        (Rules(restricted={"MSFT": "employer"}), order(), account(), "passes"),
        (Rules(restricted={"GOOG": "employer"}), order(SELL), account("10"), "passes"),
        (Rules(short_sales=False), order(SELL), account(), "short_sale"),
        (Rules(short_sales=False), order(SELL, "10"), account("10"), "passes"),
        (Rules(short_sales=False), order(BUY), account("-10"), "passes"),
        (Rules(hard_to_borrow={"GOOG"}), order(SELL), account(), "hard_to_borrow"),
        (Rules(hard_to_borrow={"MSFT"}), order(SELL), account(), "passes"),
        (Rules(hard_to_borrow={"GOOG"}), order(BUY), account(), "passes"),
    ],
)
def test_restricted_and_short(rules: Rules, intent: OrderIntent, held: Account, said: str) -> None:
    """L22"""
    assert verdict(gate(rules), intent, held) == said


def test_of_a_reversal_the_exit_passes() -> None:
    """L22: what closes is no entry, whatever else the order would do; a bracket cannot be cut like that."""
    forbidden = gate(Rules(short_sales=False))
    assert forbidden.check(order(SELL, "25"), account("10")).size == 10
    with pytest.raises(OrderRejected, match="forbidden"):
        forbidden.check(order(SELL, "25", transmit=False), account("10"))
    asked = order(SELL, "25")
    assert {each.size for each in forbidden.readings(asked, account("10"))} == {10, 25}


def fallen(low: str, saved: list[Mapping[str, Any]]) -> Compliance:
    """GOOG closed at 100 on Friday and has been down to `low` on Monday."""
    rule = Compliance(Rules(uptick_rule=True), save=saved.append)
    rule.mark(FRIDAY_BEFORE, account(lows={"GOOG": Decimal(100)}))
    rule.mark(MONDAY, account(lows={"GOOG": Decimal(low)}))
    return rule


LIMIT = {"type": OrderType.LIMIT, "price": Decimal("95.01")}
BID = {"bids": {"GOOG": Decimal(95)}}


@pytest.mark.parametrize(
    ("low", "intent", "held", "said"),
    [
        ("90.01", order(SELL), account(), "passes"),
        ("90", order(SELL), account(), "uptick"),
        ("90", order(SELL, **LIMIT), account(**BID), "passes"),
        ("90", order(SELL, **{**LIMIT, "price": Decimal(95)}), account(**BID), "uptick"),
        ("90", order(SELL, **LIMIT), account(), "uptick"),
        ("90", order(SELL), account("10"), "passes"),
        ("90", order(BUY), account(), "passes"),
        ("90", order(SELL, time=MONDAY + timedelta(days=1)), account(), "uptick"),
        ("90", order(SELL, time=MONDAY + timedelta(days=2)), account(), "passes"),
    ],
    ids=[
        "no tenth",
        "market",
        "above the bid",
        "at the bid",
        "no bid",
        "an exit",
        "a buy",
        "next day",
        "day after",
    ],
)
def test_the_price_test_of_short_sales(low: str, intent: OrderIntent, held: Account, said: str) -> None:
    """L22: Regulation SHO, Rule 201."""
    saved: list[Mapping[str, Any]] = []
    rule = fallen(low, saved)
    assert verdict(RiskGate(rules=[rule]), intent, held) == said
    again = Compliance(Rules(uptick_rule=True), fell=saved[-1] if saved else None)
    assert verdict(RiskGate(rules=[again]), intent, held) == said, "a later run knows it from the store"


class Venue:
    """Has a quote, or no connection."""

    def __init__(self, bid: str | None) -> None:
        self.bid, self.asked = bid, 0

    async def quote(self, symbol: str) -> Quote:
        self.asked += 1
        if self.bid is None:
            raise VenueTransient("gone")
        return Quote(symbol, MONDAY, Decimal(self.bid), Decimal(self.bid) + 1)


def test_the_venue_is_asked_for_its_bid_where_a_rule_needs_it() -> None:
    """L22"""
    gate = RiskGate(rules=[fallen("90", [])])
    entry, venue, gone = order(SELL, **LIMIT), Venue("95"), Venue(None)
    informed = asyncio.run(gate.informed(account(), entry, venue))  # type: ignore[arg-type]
    assert gate.check(entry, informed) == entry
    assert verdict(gate, entry, asyncio.run(gate.informed(account(), entry, gone))) == "uptick"  # type: ignore[arg-type]
    for other, held in ((order(SELL), account()), (entry, account("10")), (order(), account())):
        asyncio.run(gate.informed(held, other, venue))  # type: ignore[arg-type]
    assert (venue.asked, gone.asked) == (1, 1)


def test_a_day_is_the_exchange_s() -> None:
    """Late trading in New York is tomorrow in UTC; a daily bar is stamped with its day."""
    late = datetime(2024, 1, 9, 0, 30, tzinfo=UTC)
    fills = [fill(BUY, "1", "100", MONDAY), fill(SELL, "1", "101", late)]
    assert history_of([fills], PDT, AFTER_THE_HOLIDAY).day_trades == (date(2024, 1, 8),)
    daily = replace(PDT, intraday=False)
    assert history_of([fills], daily, AFTER_THE_HOLIDAY).day_trades == ()


def test_each_run_began_with_nothing_and_later_fills_do_not_count() -> None:
    left_open = [fill(BUY, "10", "100", MONDAY)]
    another = [fill(SELL, "5", "90", MONDAY + timedelta(hours=1))]
    found = history_of([left_open, another, LOST], Rules(wash_sale="block"), MONDAY + timedelta(hours=2))
    assert found == History()


def test_settings_become_rules() -> None:
    """L22: all off by default."""
    assert not compliance_rules(ComplianceSettings()).any
    settings = ComplianceSettings(
        pattern_day_trader=True,
        restricted="TSLA=my employer, GME",
        hard_to_borrow="AMC",
        short_sales="forbid",
    )
    rules = compliance_rules(settings)
    assert rules.restricted == {"TSLA": "my employer", "GME": ""}
    assert (rules.day_trades, rules.hard_to_borrow, rules.short_sales) == (3, {"AMC"}, False)
    assert compliance_rules(settings.model_copy(update={"account": "cash"})).day_trades is None
    with pytest.raises(ConfigError, match="did you mean XNYS"):
        compliance_rules(ComplianceSettings(calendar="XNYSS"))
    for wrong in ("A,,B", "A,A", "=x"):
        with pytest.raises(ConfigError, match="not a list"):
            pairs(wrong, "risk.compliance.restricted")
