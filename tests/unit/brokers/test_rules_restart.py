"""Rules of compliance and of the portfolio in a run that is cut off at its steps: the same orders in every life."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import backtrader as bt
import pandas as pd

from brokers.compliance import Compliance, Rules
from brokers.portfolio_risk import PortfolioLimits, PortfolioRisk
from brokers.risk import RiskGate
from engine.parity import compare
from tests.unit.brokers.test_executor import Life, frame

__all__ = ["frame"]


class Reversing(bt.Strategy):
    """Long, short, long again."""

    params = (("size", 60),)

    def next(self) -> None:
        beat = len(self) % 6
        if beat == 1:
            self.buy(size=self.p.size)
        elif beat == 3:
            self.sell(size=2 * self.p.size)
        elif beat == 5:
            self.buy(size=1.5 * self.p.size)


def rules() -> RiskGate:
    """No shorts, half of the equity at most, less in a drawdown, no entry for five days after a loss."""
    steps = ((Decimal("0.001"), Decimal("0.5")), (Decimal("0.3"), Decimal("0.1")))
    limits = PortfolioLimits(gross=Decimal("0.4"), steps=steps, clip=True)
    compliance = Rules(short_sales=False, wash_sale="block", wash_sale_days=3, intraday=False)
    return RiskGate(rules=[Compliance(compliance), PortfolioRisk(limits)])


def test_what_rules_refused_or_cut_survives_a_restart(tmp_path: Path, frame: pd.DataFrame) -> None:
    """L22, L24"""
    (tmp_path / "whole").mkdir()
    whole = Life(tmp_path / "whole", frame, Reversing)
    undisturbed = whole.run(risk=rules)
    assert undisturbed is not None
    orders, fills = undisturbed.orders, undisturbed.fills
    assert "rejected" in set(orders["status"])
    assert len(set(orders["size"].abs())) > 2, "some were cut"
    assert (fills["size"].cumsum() >= 0).all(), "nothing was short"
    assert (fills["size"] < 0).any(), "what closed passed"
    for number in range(2, len(whole.steps), 13):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert Life(folder, frame, Reversing).run(cut_at=number, risk=rules) is None
        resumed = Life(folder, frame, Reversing).run(risk=rules)
        assert resumed is not None
        report = compare(undisturbed, resumed)
        assert report.identical, f"cut at step {number}: {report}"
