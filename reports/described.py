"""A run's report as plain data: what result.json holds, by the schema in reports/schema/run.schema.json."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

from core.redact import redact

if TYPE_CHECKING:
    from analyzers.montecarlo import MonteCarlo
    from reports.document import Report
    from reports.series import Distribution

SCHEMA = 2
PACKAGES = ("tradewright", "backtrader", "numpy", "pandas", "quantstats")
APART = ("config", "entries")
"""What of `meta` has a place of its own."""


def describe(report: Report) -> dict[str, Any]:
    """Everything of the run but its long tables, which lie beside it; secrets are hidden.

    Times are UTC, figures fractions as `analyzers` gives them, NaN where not defined.
    """
    result, data = report.result, report.result.data
    found: dict[str, Any] = redact(
        {
            "schema": SCHEMA,
            "kind": result.kind,
            "strategy": result.strategy,
            "title": report.title,
            "params": dict(result.params),
            "data": asdict(data),
            "metrics": dict(result.metrics),
            "figures": dict(report.figures),
            "intervals": {key: _interval(each) for key, each in report.intervals.items()},
            "benchmark": None if report.benchmark is None else str(report.benchmark.name or "benchmark"),
            "diagnosis": [asdict(finding) for finding in report.findings],
            "monthly": report.months.records(),
            "drawdowns": report.drawdowns.records(),
            "exit_reasons": report.exit_reasons.records(),
            "regimes": report.regimes.records(),
            "distribution": _distribution(report.distribution),
            "monte_carlo": _monte_carlo(report.monte_carlo),
            "engine": result.engine,
            "engine_reason": result.engine_reason,
            "costs": dict(result.costs),
            "notes": list(result.notes),
            "remarks": list(report.remarks),
            "counts": {
                "bars": len(result.equity),
                **{name: len(getattr(result, name)) for name in ("orders", "fills", "trades")},
            },
            "versions": versions(),
            "meta": {key: value for key, value in result.meta.items() if key not in APART},
        }
    )
    return found | ({"entries": redact(dict(result.meta["entries"]))} if "entries" in result.meta else {})


def versions() -> dict[str, str]:
    """Version of Python and of the packages a result depends on; what is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of result.json."""
    text = (resources.files("reports") / "schema" / "run.schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _interval(interval: Any) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high, "level": interval.level}


def _distribution(found: Distribution | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {**asdict(found), "edges": found.edges.tolist(), "counts": found.counts.tolist()}


def _monte_carlo(found: MonteCarlo | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "method": found.method,
        "paths": found.paths,
        "seed": found.seed,
        "block": found.block,
        "ruin_probability": found.ruin_probability,
        "percentiles": found.percentiles(),
        "fan": {
            "steps": found.fan.times.tolist(),
            "levels": found.fan.levels.tolist(),
            "values": found.fan.values.tolist(),
        },
    }


__all__ = ["describe", "schema", "versions"]
