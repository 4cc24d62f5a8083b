"""Pre-trade checks: each rule refuses what it should, with the reason, and never a way out of a position."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from brokers.risk import Account, DailyLoss, Limits, RiskGate, check_order, risk_limits
from core.errors import ConfigError, OrderRejected
from core.types import OrderIntent, OrderType, Side

MONDAY = datetime(2024, 1, 8, tzinfo=UTC)
THANKSGIVING = datetime(2024, 11, 28, tzinfo=UTC)
HALF_DAY_AFTERNOON = datetime(2024, 11, 29, 19, 0, tzinfo=UTC)
HALF_DAY_MORNING = datetime(2024, 11, 29, 16, 0, tzinfo=UTC)


def order(side: Side = Side.BUY, size: str = "10", price: str = "100", **changes: object) -> OrderIntent:
    intent = OrderIntent(
        client_id="tw1",
        symbol="GOOG",
        side=side,
        type=OrderType.MARKET,
        size=Decimal(size),
        reference_price=Decimal(price),
        bar_time=MONDAY,
        leg=1,
    )
    return replace(intent, **changes)  # type: ignore[arg-type]


def account(held: str = "0", cash: str = "10000", price: str = "100", entering: str = "0") -> Account:
    return Account(
        cash=Decimal(cash),
        positions={"GOOG": Decimal(held)},
        entering={("GOOG", Side.BUY): Decimal(entering)},
        prices={"GOOG": Decimal(price)},
    )


def refused(intent: OrderIntent, held: Account, limits: Limits, *, halted: bool = False) -> OrderRejected:
    with pytest.raises(OrderRejected) as caught:
        check_order(intent, held, limits, halted=halted)
    return caught.value


def test_no_limits_change_nothing() -> None:
    intent = order(size="1000000")
    assert check_order(intent, account(), Limits()) is intent


def test_size_must_be_above_zero() -> None:
    assert refused(order(size="0"), account(), Limits()).rule == "size"


class TestPositionSize:
    """L16: an order beyond the maximum position is clipped or rejected, with the reason."""

    limits = Limits(max_position_size=Decimal(100))

    def test_reject_names_limit_and_value(self) -> None:
        error = refused(order(size="60"), account(held="50"), self.limits)
        assert (error.rule, error.limit, error.value) == ("max_position_size", Decimal(100), Decimal(110))
        assert "110 exceeds the limit 100" in str(error)

    def test_exactly_at_the_limit_passes(self) -> None:
        assert check_order(order(size="50"), account(held="50"), self.limits).size == 50

    def test_clip_to_what_fits(self) -> None:
        limits = replace(self.limits, oversize="clip")
        assert check_order(order(size="60"), account(held="50"), limits).size == 50

    def test_clip_keeps_whole_units_whole(self) -> None:
        limits = Limits(max_position_value=Decimal(1050), oversize="clip")
        assert check_order(order(size="60"), account(), limits).size == 10

    def test_a_position_that_is_not_whole_is_closed_whole(self) -> None:
        limits = Limits(max_position_size=Decimal("0.3"), oversize="clip")
        held = replace(account(), positions={"GOOG": Decimal("-1.5")})
        assert check_order(order(size="2"), held, limits).size == Decimal("1.8")

    def test_clip_with_nothing_left_rejects(self) -> None:
        limits = replace(self.limits, oversize="clip")
        assert refused(order(size="1"), account(held="100"), limits).rule == "max_position_size"

    def test_resting_entries_count(self) -> None:
        assert refused(order(size="60"), account(entering="50"), self.limits).rule == "max_position_size"

    def test_resting_orders_of_the_other_side_make_no_room(self) -> None:
        resting = replace(account(), entering={("GOOG", Side.SELL): Decimal(50)})
        assert refused(order(size="101"), resting, self.limits).rule == "max_position_size"

    def test_shorts_are_limited_too(self) -> None:
        assert refused(order(Side.SELL, size="101"), account(), self.limits).rule == "max_position_size"
        assert check_order(order(Side.SELL, size="100"), account(), self.limits).size == 100

    def test_reversal_counts_what_it_closes(self) -> None:
        assert check_order(order(Side.SELL, size="150"), account(held="50"), self.limits).size == 150
        assert refused(order(Side.SELL, size="151"), account(held="50"), self.limits).value == 101

    def test_a_close_always_passes(self) -> None:
        assert check_order(order(Side.SELL, size="500"), account(held="500"), self.limits).size == 500

    def test_protection_of_an_entry_always_passes(self) -> None:
        child = order(Side.SELL, size="500", parent="tw0")
        assert check_order(child, account(), self.limits) is child

    def test_value_limit_uses_the_last_price(self) -> None:
        limits = Limits(max_position_value=Decimal(1000))
        assert refused(order(size="10"), account(price="101"), limits).rule == "max_position_value"
        assert check_order(order(size="10"), account(price="100"), limits).size == 10


class TestCash:
    """L18: insufficient cash is rejected before the venue is asked."""

    limits = Limits(check_cash=True)

    def test_too_dear_is_rejected(self) -> None:
        error = refused(order(size="101"), account(), self.limits)
        assert (error.rule, error.value) == ("cash", Decimal(10100))

    def test_affordable_passes(self) -> None:
        assert check_order(order(size="100"), account(), self.limits).size == 100

    def test_limit_price_counts_not_the_market(self) -> None:
        intent = replace(order(size="101"), type=OrderType.LIMIT, price=Decimal(99))
        assert check_order(intent, account(), self.limits).size == 101


class TestTradingHours:
    """L17: outside the session an order is rejected; holidays and half-days follow the exchange's calendar."""

    daily = Limits(trading_calendar="XNYS")
    intraday = Limits(trading_calendar="XNYS", intraday=True)

    def test_session_day_passes(self) -> None:
        assert check_order(order(), account(), self.daily)

    def test_holiday_is_rejected(self) -> None:
        error = refused(order(bar_time=THANKSGIVING), account(), self.daily)
        assert error.rule == "trading_hours"
        assert "XNYS is closed at 2024-11-28" in str(error)

    def test_half_day(self) -> None:
        assert check_order(order(bar_time=HALF_DAY_MORNING), account(), self.intraday)
        assert refused(order(bar_time=HALF_DAY_AFTERNOON), account(), self.intraday).rule == "trading_hours"

    def test_an_exit_is_let_through(self) -> None:
        assert check_order(order(Side.SELL, bar_time=THANKSGIVING), account(held="10"), self.daily)

    @pytest.mark.parametrize(
        ("code", "time", "said"),
        [
            ("XNYS", datetime(1962, 6, 6, 15, tzinfo=UTC), ""),
            ("XNYS", datetime(2004, 12, 24, 15, tzinfo=UTC), "XNYS is closed at 2004-12-24"),
            ("XNYS", datetime(2009, 12, 31, 15, tzinfo=UTC), ""),
            ("XNYS", datetime(2010, 1, 1, 15, tzinfo=UTC), "XNYS is closed at 2010-01-01"),
            ("XSHG", datetime(1990, 6, 6, 3, tzinfo=UTC), "nobody knows whether XSHG was open on 1990-06-06"),
            ("XSHG", datetime(1962, 6, 6, 3, tzinfo=UTC), "nobody knows whether XSHG was open on 1962-06-06"),
        ],
    )
    @pytest.mark.parametrize("intraday", [False, True])
    def test_markets_of_long_ago(self, code: str, time: datetime, said: str, intraday: bool) -> None:
        """L17: a replay may be older than the twenty years a calendar covers by default."""
        limits = Limits(trading_calendar=code, intraday=intraday)
        made = order(bar_time=time)
        if said:
            assert said in str(refused(made, account(), limits))
        else:
            assert check_order(made, account(), limits) == made

    def test_unknown_calendar_names_the_nearest(self) -> None:
        settings = SimpleNamespace(
            max_daily_loss=None,
            max_position_size=None,
            max_position_value=None,
            oversize="reject",
            trading_calendar="XNYSS",
            check_cash=False,
        )
        with pytest.raises(ConfigError, match="did you mean XNYS"):
            risk_limits(settings)  # type: ignore[arg-type]


class TestDailyLoss:
    """L15: a breach stops entries until the next session, and outlives a restart."""

    limit = Decimal("0.02")

    def gate(self, saved: list[DailyLoss], state: DailyLoss | None = None) -> RiskGate:
        return RiskGate(Limits(max_daily_loss=self.limit), daily_loss=state, save=saved.append)

    def test_breach_blocks_entries_but_not_exits(self) -> None:
        saved: list[DailyLoss] = []
        gate = self.gate(saved)
        gate.mark(MONDAY, account(cash="10000"))
        gate.mark(MONDAY.replace(hour=15), account(cash="9800"))
        with pytest.raises(OrderRejected, match="daily loss limit"):
            gate.check(order(), account())
        assert gate.check(order(Side.SELL), account(held="10"))
        assert saved[-1].halted

    def test_just_above_the_limit_goes_on(self) -> None:
        gate = self.gate([])
        gate.mark(MONDAY, account(cash="10000"))
        gate.mark(MONDAY.replace(hour=15), account(cash="9800.01"))
        assert gate.check(order(), account())

    def test_next_day_lifts_the_halt_and_opens_at_the_last_equity(self) -> None:
        gate = self.gate([])
        gate.mark(MONDAY, account(cash="10000"))
        gate.mark(MONDAY.replace(hour=15), account(cash="9700"))
        gate.mark(MONDAY.replace(day=9), account(cash="9700"))
        assert not gate.daily_loss.halted
        assert gate.daily_loss.opening == 9700

    def test_recovered_equity_does_not_lift_the_halt(self) -> None:
        gate = self.gate([])
        gate.mark(MONDAY, account(cash="10000"))
        gate.mark(MONDAY.replace(hour=15), account(cash="9700"))
        gate.mark(MONDAY.replace(hour=16), account(cash="10500"))
        assert gate.daily_loss.halted

    def test_halt_survives_a_restart(self) -> None:
        saved: list[DailyLoss] = []
        gate = self.gate(saved)
        gate.mark(MONDAY, account(cash="10000"))
        gate.mark(MONDAY.replace(hour=15), account(cash="9700"))
        again = self.gate([], DailyLoss.from_dict(saved[-1].as_dict()))
        with pytest.raises(OrderRejected, match="daily loss limit"):
            again.check(order(), account())

    def test_replaying_the_past_changes_nothing(self) -> None:
        gate = self.gate([])
        gate.mark(MONDAY, account(cash="10000"))
        gate.mark(MONDAY.replace(hour=15), account(cash="9700"))
        before = gate.daily_loss
        gate.mark(MONDAY.replace(hour=1), account(cash="20000"))
        assert gate.daily_loss == before
