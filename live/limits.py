"""The risk gate of a session: limits and rules as configured, with what earlier runs of the bot left to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from brokers.compliance import Compliance, Rules, compliance_rules, history_of
from brokers.portfolio_risk import PortfolioRisk, RiskState, portfolio_limits
from brokers.risk import Account, DailyLoss, RiskGate, Rule, risk_limits
from core.types import Fill
from engine.plan import Plan
from live.journal import take_over
from live.plan import SIMULATED, LivePlan

if TYPE_CHECKING:
    from store import RunRecord, Store

DAILY_LOSS, SHORT_SALES, PORTFOLIO = "daily_loss", "short_sales", "portfolio"
STATES = (DAILY_LOSS, PORTFOLIO)
"""What limits have used up, each with the `last` time it knows; a market that begins before that begins anew."""


def check_limits(plan: Plan | LivePlan) -> None:
    """Refuse limits that cannot be kept, before anything is written. Raises ConfigError."""
    risk = plan.settings.risk
    risk_limits(risk, intraday=plan.intraday)
    compliance_rules(risk.compliance, intraday=plan.intraday)
    portfolio_limits(risk.portfolio, clip=risk.oversize == "clip")


def carried_over(store: Store, bot: str, begins: datetime) -> dict[str, Mapping[str, Any] | None]:
    """What the bot's earlier runs have used up, unless this market begins before they ended."""
    earlier = store.runs.list(bot=bot, limit=1)
    for run in earlier:
        take_over(store, run)
    stored = store.journal(earlier[0].run_id).risk() if earlier else {}
    carried: dict[str, Mapping[str, Any] | None] = {SHORT_SALES: stored.get(SHORT_SALES)}
    for name in STATES:
        state = stored.get(name)
        last = state and state["last"]
        carried[name] = state if last and datetime.fromisoformat(last) < begins else None
    return carried


def risk_gate(
    plan: Plan | LivePlan,
    store: Store,
    run: RunRecord,
    begins: datetime,
    save: Callable[[str, Mapping[str, Any]], None],
    watch: Callable[[datetime, Account], None] = lambda time, account: None,
    rules: Iterable[Rule] = (),
) -> RiskGate:
    """The gate of a run. begins: when its market does. rules: further ones, asked first.

    save: makes what a limit has used up durable, by its name. A resumed run repeats its bars from the first, and so comes to the state it was killed in by itself: what it is
    given is what was carried over when it began.
    """
    risk = plan.settings.risk
    carried = run.settings.get(DAILY_LOSS)
    rules = list(rules)
    wanted = compliance_rules(risk.compliance, intraday=plan.intraday)
    if wanted.any:
        rules.append(
            Compliance(
                wanted,
                earlier=history_of(_fills_before(store, run, wanted, begins), wanted, begins),
                fell=run.settings.get(SHORT_SALES),
                save=partial(save, SHORT_SALES),
            )
        )
    limits = portfolio_limits(risk.portfolio, clip=risk.oversize == "clip")
    if limits.any:
        state = run.settings.get(PORTFOLIO)
        rules.append(
            PortfolioRisk(
                limits,
                state=RiskState.from_dict(state) if state else None,
                save=lambda state: save(PORTFOLIO, state.as_dict()),
            )
        )
    return RiskGate(
        risk_limits(risk, intraday=plan.intraday),
        daily_loss=DailyLoss.from_dict(carried) if carried else None,
        save=lambda state: save(DAILY_LOSS, state.as_dict()),
        rules=rules,
        watch=watch,
    )


def _fills_before(store: Store, run: RunRecord, rules: Rules, begins: datetime) -> list[list[Fill]]:
    """Fills of the bot's earlier runs at this venue, a list a run; what was simulated counts for what is."""
    if rules.look_back is None:
        return []
    runs = store.runs.earlier(run, since=begins - rules.look_back, before=begins)
    alike = [each for each in runs if each.settings.get(SIMULATED) == run.settings.get(SIMULATED)]
    return [store.journal(each.run_id).fills() for each in alike]
