"""What a commission scheme charges, pays and is worth, where that follows from its parameters alone."""

from __future__ import annotations

from typing import Any

import backtrader as bt

PLAIN_METHODS = (
    "getvalue",
    "getvaluesize",
    "profitandloss",
    "get_leverage",
    "get_margin",
    "cashadjust",
    "get_credit_interest",
    "_get_credit_interest",
)
SIMPLE_METHODS = (
    *PLAIN_METHODS,
    "getoperationcost",
    "getcommission",
    "_getcommission",
    "confirmexec",
    "stocklike",
    "__getattribute__",
)
PERCENT = bt.CommInfoBase.COMM_PERC


def is_plain(scheme: bt.CommInfoBase) -> bool:
    """Whether a commission scheme costs nothing while a position is held: no futures, no interest, stock rules."""
    own = any(getattr(type(scheme), name) is not getattr(bt.CommInfoBase, name) for name in PLAIN_METHODS)
    return not own and scheme._stocklike and not scheme._creditrate


def follows_parameters(scheme: bt.CommInfoBase) -> bool:
    """Whether a scheme has no rules of its own."""
    kind = type(scheme)
    own = any(getattr(kind, name) is not getattr(bt.CommInfoBase, name) for name in SIMPLE_METHODS)
    return not own and not any(name in vars(scheme) for name in SIMPLE_METHODS)


def is_simple(scheme: bt.CommInfoBase) -> bool:
    """Whether what a scheme charges and pays follows from its parameters, by the rules for stocks."""
    return follows_parameters(scheme) and scheme._stocklike


def commission_of(scheme: Any, size: float, price: float) -> float:
    """`scheme.getcommission` of a simple one."""
    commission: float = abs(size) * scheme.p.commission
    return commission * price if scheme._commtype == PERCENT else commission


def cash_after(scheme: Any, cash: float, closed: float, opened: float, price: float) -> float:
    """Cash after closing, without a gain, and opening that many at a price; of a simple scheme, sales giving cash."""
    terms = scheme.p
    by_value = scheme._commtype == PERCENT
    if closed:
        back = -closed * price
        commission = abs(closed) * terms.commission
        cash = (
            cash
            + (back / terms.leverage if back > 0 else back)
            - (commission * price if by_value else commission)
        )
    if opened:
        paid = opened * price
        commission = abs(opened) * terms.commission
        cash = (
            cash
            - (paid / terms.leverage if paid > 0 else paid)
            - (commission * price if by_value else commission)
        )
    return cash


def close_cash(
    scheme: Any,
    simple: bool,
    shortcash: bool,
    cash: float,
    closed: float,
    entry: float,
    pnl: float,
    price: float,
) -> tuple[float, float, float]:
    """Cash after closing that many, the value given back, the commission."""
    if simple:
        value = back = -closed * entry if shortcash else abs(closed) * entry
        if value > 0:
            back /= scheme.p.leverage
        commission = commission_of(scheme, closed, price)
        return cash + (back + pnl) - commission, value, commission
    value = scheme.getvaluesize(-closed, entry) if shortcash else scheme.getoperationcost(closed, entry)
    back = value
    if value > 0:
        back /= scheme.get_leverage()
    cash += back + pnl * scheme.stocklike
    commission = scheme.getcommission(closed, price)
    return cash - commission, value, commission


def open_cash(
    scheme: Any, simple: bool, shortcash: bool, cash: float, opened: float, price: float
) -> tuple[float, float, float]:
    """Cash after opening that many, the value paid, the commission."""
    if simple:
        value = paid = opened * price if shortcash else abs(opened) * price
        if value > 0:
            paid /= scheme.p.leverage
        commission = commission_of(scheme, opened, price)
        return cash - paid - commission, value, commission
    value = scheme.getvaluesize(opened, price) if shortcash else scheme.getoperationcost(opened, price)
    paid = value
    if value > 0:
        paid /= scheme.get_leverage()
    cash -= paid
    commission = scheme.getcommission(opened, price)
    return cash - commission, value, commission
