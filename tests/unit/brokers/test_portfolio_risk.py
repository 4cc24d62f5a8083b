"""Portfolio risk: each limit by a table, the states of a drawdown, and what outlives a restart."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from brokers.portfolio_risk import (
    Mode,
    PortfolioLimits,
    PortfolioRisk,
    RiskState,
    correlation,
    drawdown_steps,
    portfolio_limits,
)
from brokers.risk import Account, RiskGate
from core.config import load_settings
from core.config.risk import PortfolioSettings
from core.errors import ConfigError, OrderRejected
from core.types import OrderIntent, OrderType, Side

START = datetime(2024, 1, 8, 15, 0, tzinfo=UTC)
BUY, SELL = Side.BUY, Side.SELL
D = Decimal
PRICES = {"A": Decimal(100), "B": Decimal(50), "C": Decimal(10)}


def order(symbol: str = "A", side: Side = BUY, size: str = "10", **changes: Any) -> OrderIntent:
    intent = OrderIntent("tw1", symbol, side, OrderType.MARKET, D(size), PRICES[symbol], START, 1)
    return replace(intent, **changes)


def account(
    cash: str = "10000", entering: dict[tuple[str, Side], Decimal] | None = None, **held: str
) -> Account:
    return Account(D(cash), {symbol: D(size) for symbol, size in held.items()}, entering or {}, PRICES)


def verdict(
    limits: PortfolioLimits, intent: OrderIntent, held: Account, state: RiskState | None = None
) -> Any:
    """The size that passes, or the rule that refuses."""
    try:
        return RiskGate(rules=[PortfolioRisk(limits, state=state)]).check(intent, held).size
    except OrderRejected as refusal:
        return refusal.rule


GROSS = PortfolioLimits(gross=D("1"))
CLIPPED = replace(GROSS, clip=True)
NET = PortfolioLimits(net=D("0.5"))
ONE_SYMBOL = PortfolioLimits(concentration=D("0.2"))
SECTOR = PortfolioLimits(sector=D("0.5"), sectors={"A": "tech", "B": "tech", "C": "energy"})


@pytest.mark.parametrize(
    ("limits", "intent", "held", "said"),
    [
        (GROSS, order(size="100"), account(), D(100)),
        (GROSS, order(size="101"), account(), "max_gross_exposure"),
        (CLIPPED, order(size="130"), account(), D(100)),
        (CLIPPED, order(size="130.5"), account(), D(100)),
        (GROSS, order(size="51"), account(cash="5000", B="100"), "max_gross_exposure"),
        (GROSS, order(size="50"), account(cash="5000", B="100"), D(50)),
        (GROSS, order(size="50"), account(cash="15000", B="-100"), D(50)),
        (GROSS, order(side=SELL, size="51"), account(cash="15000", B="-100"), "max_gross_exposure"),
        (GROSS, order(size="51"), account(entering={("B", BUY): D(100)}), "max_gross_exposure"),
        (GROSS, order(side=SELL, size="300"), account(cash="-20000", A="300"), D(300)),
        (GROSS, order(), account(cash="-1"), "max_gross_exposure"),
        (CLIPPED, order(side=SELL, size="20"), account(cash="-1500", A="10", B="210"), D(10)),
        (
            CLIPPED,
            order(side=SELL, size="20", transmit=False),
            account(cash="-1500", A="10", B="210"),
            "max_gross_exposure",
        ),
        (NET, order(size="51"), account(), "max_net_exposure"),
        (NET, order(size="100"), account(cash="12500", B="-50"), "max_net_exposure"),
        (NET, order(size="75"), account(cash="12500", B="-50"), D(75)),
        (NET, order(side=SELL, size="26"), account(cash="12500", B="-50"), "max_net_exposure"),
        (ONE_SYMBOL, order(size="20"), account(cash="5000", B="100"), D(20)),
        (ONE_SYMBOL, order(size="15"), account(cash="9000", A="10"), "max_concentration"),
        (ONE_SYMBOL, order(size="10"), account(cash="11000", A="-10"), D(10)),
        (ONE_SYMBOL, order(size="31"), account(cash="11000", A="-10"), D(10)),
        (SECTOR, order(size="26"), account(cash="7500", B="50"), "max_sector_exposure"),
        (SECTOR, order("C", size="500"), account(cash="7500", B="50"), D(500)),
        (SECTOR, order("C", size="501"), account(cash="7500", B="50"), "max_sector_exposure"),
        (GROSS, order(), Account(D(10_000), {"X": D(1)}, {}, PRICES), "exposure"),
    ],
)
def test_exposure(limits: PortfolioLimits, intent: OrderIntent, held: Account, said: object) -> None:
    """L24: equity is 10,000 throughout, but where it is gone."""
    assert verdict(limits, intent, held) == said


STEPS = PortfolioLimits(steps=((D("0.05"), D("0.5")), (D("0.1"), D("0.25"))))


@pytest.mark.parametrize(
    ("equity", "intent", "held", "said"),
    [
        ("96", order(size="10"), account(), D(10)),
        ("95", order(size="10"), account(), D(5)),
        ("90.1", order(size="10"), account(), D(5)),
        ("90", order(size="10"), account(), D(2)),
        ("90", order(size="0.5"), account(), D("0.125")),
        ("90", order(size="3"), account(), "drawdown"),
        ("50", order(side=SELL, size="10"), account(A="10"), D(10)),
        ("50", order(side=SELL, size="18"), account(A="10"), D(12)),
        ("95", order(side=SELL, size="2"), account(A="1.5"), D("1.5")),
    ],
)
def test_a_drawdown_makes_entries_smaller(
    equity: str, intent: OrderIntent, held: Account, said: object
) -> None:
    """L24"""
    assert verdict(STEPS, intent, held, RiskState(peak=D("100"), equity=D(equity))) == said


FALL = PortfolioLimits(reduced_at=D("0.1"), risk_off_at=D("0.2"), recovery=D("0.5"))


def walk(limits: PortfolioLimits, equities: list[str], state: RiskState | None = None) -> list[str]:
    state, modes = state or RiskState(), []
    for number, equity in enumerate(equities):
        state = state.mark(START + timedelta(days=number), D(equity), limits)
        modes.append(str(state.mode))
    return modes


@pytest.mark.parametrize(
    ("limits", "equities", "modes"),
    [
        (FALL, ["100", "91", "90", "91", "94", "95"], ["normal", "normal", *["reduced"] * 3, "normal"]),
        (
            FALL,
            ["100", "80", "89", "90", "94", "95"],
            ["normal", *["risk_off"] * 2, *["reduced"] * 2, "normal"],
        ),
        (FALL, ["100", "90", "80", "100", "100"], ["normal", "reduced", "risk_off", "reduced", "normal"]),
        (
            replace(FALL, reduced_at=None),
            ["100", "85", "80", "95", "96"],
            ["normal"] * 2 + ["risk_off", "reduced", "normal"],
        ),
        (
            replace(FALL, cool_off=timedelta(days=2)),
            ["100", "80", "80", "80", "80", "80", "72"],
            ["normal", "risk_off", "risk_off", "reduced", "reduced", "normal", "reduced"],
        ),
        (PortfolioLimits(), ["100", "50", "1"], ["normal"] * 3),
    ],
    ids=[
        "reduced and back",
        "risk-off and back",
        "down and up",
        "two states",
        "time to cool off",
        "no limits",
    ],
)
def test_states_of_a_drawdown(limits: PortfolioLimits, equities: list[str], modes: list[str]) -> None:
    """L24: a state begins at its threshold and ends well above it."""
    assert walk(limits, equities) == modes


@pytest.mark.parametrize(
    ("mode", "said"), [(Mode.NORMAL, D(10)), (Mode.REDUCED, D(5)), (Mode.RISK_OFF, "drawdown")]
)
def test_what_a_state_leaves(mode: Mode, said: object) -> None:
    """L24: entries; exits always pass."""
    state = RiskState(mode=mode, peak=D(100), equity=D(95))
    assert verdict(FALL, order(), account(), state) == said
    assert verdict(FALL, order(side=SELL), account(A="10"), state) == 10
    assert verdict(FALL, order(parent="tw0"), account(), state) == 10
    assert verdict(FALL, order(side=SELL, size="12"), account(A="10"), state) in (10, 11, 12)


def test_the_state_outlives_a_restart_and_a_time_seen_changes_nothing() -> None:
    """L24"""
    saved: list[RiskState] = []
    rule = PortfolioRisk(FALL, save=saved.append)
    for number, cash in enumerate(("10000", "11000", "8000")):
        rule.mark(START + timedelta(days=number), account(cash=cash))
    again = RiskState.from_dict(saved[-1].as_dict())
    assert again == rule.state
    assert (again.mode, again.peak) == (Mode.RISK_OFF, 11_000)
    assert verdict(FALL, order(), account(cash="8000"), again) == "drawdown"
    assert again.mark(START, D("100000"), FALL) == again
    still = len(saved)
    rule.mark(START + timedelta(days=2, minutes=1), account(cash="8000"))
    assert len(saved) == still, "what is nothing new is not written"


def moving(rule: PortfolioRisk, steps: int, seed: int = 3) -> None:
    """A and B move alike, C against them."""
    returns = np.random.default_rng(seed).normal(0, 0.01, steps)
    for number, level in enumerate(np.exp(np.cumsum(returns))):
        prices = {"A": 100 * level, "B": 50 * level, "C": 10 / level}
        marked = Account(D("10000"), prices={name: D(repr(float(price))) for name, price in prices.items()})
        rule.mark(START + timedelta(minutes=number), marked)


@pytest.mark.parametrize(
    ("bars", "intent", "held", "said"),
    [
        (21, order("A"), account(B="10"), "max_correlation"),
        (20, order("A"), account(B="10"), D(10)),
        (21, order("A", SELL), account(B="10"), D(10)),
        (21, order("A", SELL), account(B="-10"), "max_correlation"),
        (21, order("C"), account(B="10"), D(10)),
        (21, order("C"), account(B="-10"), "max_correlation"),
        (21, order("C", SELL), account(B="10"), "max_correlation"),
        (21, order("A"), account(entering={("B", BUY): D(1)}), "max_correlation"),
        (21, order("A"), account(A="10"), D(10)),
        (21, order("A"), account(), D(10)),
        (21, order("B", SELL), account(A="10", B="10"), D(10)),
    ],
)
def test_correlation_with_what_is_held(bars: int, intent: OrderIntent, held: Account, said: object) -> None:
    """L24: of the returns in the ring; it counts once there are enough."""
    rule = PortfolioRisk(PortfolioLimits(correlation=0.8, correlation_bars=20))
    moving(rule, bars)
    gate = RiskGate(rules=[rule])
    try:
        found: object = gate.check(intent, held).size
    except OrderRejected as refusal:
        found = refusal.rule
    assert found == said


def test_correlation_is_pearson_s() -> None:
    random = np.random.default_rng(1)
    first, second = np.exp(np.cumsum(random.normal(0, 0.02, (2, 50)), axis=1))
    expected = np.corrcoef(np.diff(np.log(first)), np.diff(np.log(second)))[0, 1]
    assert correlation(first, second) == pytest.approx(expected, abs=1e-12)
    assert np.isnan(correlation(first, np.full(50, 3.0)))


def test_settings_become_limits() -> None:
    """L24: all off by default."""
    assert not portfolio_limits(PortfolioSettings()).any
    given = {
        "risk.portfolio.max_gross_exposure": "1.5",
        "risk.portfolio.sectors": "A=tech,B=tech",
        "risk.portfolio.max_sector_exposure": 0.4,
        "risk.portfolio.drawdown_steps": "0.1=0.25,0.05=0.5",
        "risk.portfolio.cool_off_days": 3,
    }
    env = {"APP_RISK__PORTFOLIO__MAX_CORRELATION": "0.9"}
    limits = portfolio_limits(load_settings(cli=given, env=env, dotenv=None).risk.portfolio, clip=True)
    assert limits == PortfolioLimits(
        gross=D("1.5"),
        sector=D("0.4"),
        sectors={"A": "tech", "B": "tech"},
        correlation=0.9,
        steps=((D("0.05"), D("0.5")), (D("0.1"), D("0.25"))),
        cool_off=timedelta(days=3),
        clip=True,
    )


@pytest.mark.parametrize("text", ["0.1", "0.1=x", "0.1=0.5,0.2=0.6", "1.5=0.5", "0.1=1", "0.1=-1"])
def test_steps_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no steps"):
        drawdown_steps(text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"reduced_drawdown": 0.2, "risk_off_drawdown": 0.1}, "not below risk_off_drawdown"),
        ({"max_sector_exposure": 0.2}, "no sectors"),
        ({"max_gros_exposure": 0.2}, "did you mean risk.portfolio.max_gross_exposure"),
        ({"recovery": 2}, "at least|above 0, below 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, float], said: str) -> None:
    """L24"""
    with pytest.raises(ConfigError, match=said):
        load_settings(
            cli={f"risk.portfolio.{key}": value for key, value in given.items()}, env={}, dotenv=None
        )
