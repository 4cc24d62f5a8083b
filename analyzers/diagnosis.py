"""What is wrong with a finished run, or could be: named checks, each with its evidence and what to do about it.

A check reads the run and answers a `Finding` or nothing; `CHECKS` names them all. They are rules of thumb with
their thresholds written down, not tests of significance: those are in `analyzers.overfitting`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzers.checks_of_equity import CHECKS as OF_EQUITY
from analyzers.checks_of_market import CHECKS as OF_MARKET
from analyzers.checks_of_trades import CHECKS as OF_TRADES
from analyzers.facts import SEVERITIES, Facts, Finding

if TYPE_CHECKING:
    from core.results import RunResult

__all__ = ["CHECKS", "Finding", "diagnose"]

MINUS = re.compile(r"(?<![\w-])-(?=\d)")
Check = Callable[[Facts], Finding | None]


CHECKS: Mapping[str, Check] = {check.__name__: check for check in (*OF_EQUITY, *OF_TRADES, *OF_MARKET)}


def diagnose(result: RunResult, *, figures: Mapping[str, float] | None = None) -> tuple[Finding, ...]:
    """What every check found, the most serious first, else in the order of `CHECKS`.

    figures: from `analyzers.metrics.figures`, where they are at hand; the run's own metrics otherwise. Never
    raises for a run that has no trades, no bars or values that are not finite: that is a finding.
    """
    facts = Facts(result, result.metrics if figures is None else figures)
    answers = (check(facts) for check in CHECKS.values())
    found = [
        replace(each, evidence=MINUS.sub("\u2212", each.evidence)) for each in answers if each is not None
    ]
    return tuple(sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)))
