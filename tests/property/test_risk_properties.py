"""Whatever the account and the order, risk never lets a position grow beyond its limit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from brokers.portfolio_risk import PortfolioLimits, PortfolioRisk, RiskState
from brokers.risk import Account, Limits, RiskGate, check_order
from core.errors import OrderRejected
from core.types import OrderIntent, OrderType, Side

amounts = st.decimals("-500", "500", places=3)
sizes = st.decimals("0.001", "1000", places=3)
prices = st.decimals("0.01", "500", places=2)
limits = st.decimals("1", "400", places=2)


@given(
    held=amounts,
    entering=st.decimals("0", "500", places=3),
    resting_side=st.sampled_from(Side),
    size=sizes,
    price=prices,
    max_size=st.none() | limits,
    max_value=st.none() | limits,
    clip=st.booleans(),
    side=st.sampled_from(Side),
)
def test_over_limit_orders_never_pass(
    held: Decimal,
    entering: Decimal,
    resting_side: Side,
    size: Decimal,
    price: Decimal,
    max_size: Decimal | None,
    max_value: Decimal | None,
    clip: bool,
    side: Side,
) -> None:
    """L16"""
    account = Account(Decimal(0), {"X": held}, {("X", resting_side): entering}, {"X": price})
    intent = OrderIntent(
        client_id="tw1",
        symbol="X",
        side=side,
        type=OrderType.MARKET,
        size=size,
        reference_price=price,
        bar_time=datetime(2024, 1, 8, tzinfo=UTC),
        leg=1,
    )
    rules = Limits(
        max_position_size=max_size, max_position_value=max_value, oversize="clip" if clip else "reject"
    )
    try:
        sent = check_order(intent, account, rules)
    except OrderRejected:
        return
    assert 0 < sent.size <= size
    after = held + sent.size * side.sign
    if abs(after) <= abs(held) and held * side.sign < 0:
        return  # it only made the position smaller
    waiting = entering if resting_side is side else Decimal(0)
    exposure = held * side.sign + waiting + sent.size
    if max_size is not None:
        assert exposure <= max_size
    if max_value is not None:
        assert exposure * price <= max_value * (1 + Decimal("1e-20"))


SYMBOLS = ("A", "B", "C")
SECTORS = {"A": "tech", "B": "tech"}
caps = st.none() | st.decimals("0.05", "2", places=2)


@st.composite
def portfolios(draw: st.DrawFn) -> tuple[Account, OrderIntent, PortfolioLimits]:
    """Three symbols held and on order, one order more, and limits."""
    positions = {symbol: draw(amounts) for symbol in SYMBOLS}
    entering = {
        (symbol, side): draw(st.decimals("0", "200", places=1))
        for symbol in SYMBOLS
        for side in Side
        if positions[symbol] * side.sign >= 0
    }
    quoted = {symbol: draw(prices) for symbol in SYMBOLS}
    account = Account(draw(st.decimals("-1000", "200000", places=0)), positions, entering, quoted)
    symbol = draw(st.sampled_from(SYMBOLS))
    intent = OrderIntent(
        client_id="tw1",
        symbol=symbol,
        side=draw(st.sampled_from(Side)),
        type=OrderType.MARKET,
        size=draw(sizes),
        reference_price=quoted[symbol],
        bar_time=datetime(2024, 1, 8, tzinfo=UTC),
        leg=1,
        transmit=draw(st.booleans()),
    )
    limits = PortfolioLimits(
        gross=draw(caps),
        net=draw(caps),
        concentration=draw(caps),
        sector=draw(caps),
        sectors=SECTORS,
        steps=((Decimal("0.1"), Decimal("0.5")),),
        risk_off_at=Decimal("0.3"),
        clip=draw(st.booleans()),
    )
    return account, intent, limits


@given(portfolios(), st.decimals("0", "0.5", places=2))
def test_no_accepted_order_exceeds_a_limit_of_the_portfolio(
    drawn: tuple[Account, OrderIntent, PortfolioLimits], drawdown: Decimal
) -> None:
    """L24: once it has filled with whatever else was on order; and no exit is refused or cut."""
    account, intent, limits = drawn
    state = RiskState(peak=Decimal(100), equity=100 * (1 - drawdown)).mark(
        datetime(2024, 1, 7, tzinfo=UTC), 100 * (1 - drawdown), limits
    )
    gate = RiskGate(rules=[PortfolioRisk(limits, state=state)])
    closing = account.closing(intent)
    try:
        sent = gate.check(intent, account)
    except OrderRejected:
        assert closing == 0 or (closing < intent.size and not intent.transmit), "an exit was refused"
        return
    assert 0 < sent.size <= intent.size
    assert sent.size >= min(closing, intent.size), "an exit was cut"
    if sent.size <= closing:
        return
    opening = sent.size - closing
    part = Decimal(0) if drawdown >= Decimal("0.3") else Decimal("0.5") if drawdown >= Decimal("0.1") else 1
    assert opening <= (intent.size - closing) * part
    assert exposures_after(account, sent, limits) == []


def exposures_after(account: Account, sent: OrderIntent, limits: PortfolioLimits) -> list[str]:
    """Limits that the account is beyond on the order's side, once everything on order that could has filled."""
    sign, equity = sent.side.sign, account.equity * (1 + Decimal("1e-20"))
    ends = {}
    for symbol in SYMBOLS:
        held = account.positions[symbol]
        low = held - account.entering.get((symbol, Side.SELL), 0)
        high = held + account.entering.get((symbol, Side.BUY), 0)
        ends[symbol] = (low * account.prices[symbol], high * account.prices[symbol])
    ours = ends.pop(sent.symbol)
    after = (ours[1] if sign > 0 else -ours[0]) + sent.size * account.prices[sent.symbol]
    gross = after + sum(max(abs(low), abs(high)) for low, high in ends.values())
    net = after + sum(high if sign > 0 else -low for low, high in ends.values())
    tech = [max(abs(low), abs(high)) for symbol, (low, high) in ends.items() if symbol in SECTORS]
    sector = after + (sum(tech) if sent.symbol in SECTORS else 0)
    found = {"gross": gross, "net": net, "concentration": after, "sector": sector}
    beyond = {name: getattr(limits, name) for name in found}
    return [name for name, cap in beyond.items() if cap is not None and found[name] > cap * equity]
