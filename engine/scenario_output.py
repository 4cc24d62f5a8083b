"""The files of a comparison of scenarios."""

from __future__ import annotations

from pathlib import Path

from core.jsontext import to_json
from engine.scenarios import COMPARED, Outcomes
from reports.artefacts import explained, write_text
from reports.scenario_page import scenario_page


def write_outcomes(outcomes: Outcomes, folder: Path) -> Path:
    """Write scenarios.html, .csv and .json into `folder`; the path of the page. Raises UserError where it cannot."""
    table = outcomes.table()
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "scenarios.json", to_json(document(outcomes), indent=2) + "\n")
        write_text(folder / "scenarios.csv", table.to_csv(lineterminator="\n"))
        page = folder / "scenarios.html"
        write_text(page, scenario_page(outcomes.base, outcomes.runs, table, outcomes.failures))
    return page


def document(outcomes: Outcomes) -> dict[str, object]:
    """Everything that was compared, for machines: what ran, on what, and each scenario's figures and changes."""
    base, table = outcomes.base, outcomes.table()
    entries = []
    for outcome in outcomes.scenarios:
        row = table.loc[outcome.scenario.name]
        entries.append(
            {
                "name": outcome.scenario.name,
                "shocks": [repr(shock) for shock in outcome.scenario.shocks],
                "costs": dict(outcome.scenario.costs),
                "params": dict(outcome.scenario.params),
                "engine": None if outcome.result is None else outcome.result.engine,
                "failure": outcome.failure or None,
                "figures": {name: row[name] for name in COMPARED},
                "changes": {name: row[f"{name}_delta"] for name in COMPARED},
            }
        )
    return {
        "strategy": base.strategy,
        "params": dict(base.params),
        "data": base.data.source,
        "engine": base.engine,
        "figures": {name: base.metrics.get(name) for name in COMPARED},
        "scenarios": entries,
    }
