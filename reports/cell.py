"""A run as a notebook shows it: its key figures, what the diagnosis found, and the account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from reports import pictures
from reports.document import Report, make_report
from reports.svg import svg

if TYPE_CHECKING:
    from core.results import RunResult

SHOWN = (
    "total_return",
    "cagr",
    "sharpe",
    "max_drawdown",
    "volatility",
    "win_rate",
    "profit_factor",
    "trades",
)
SIZE = (640.0, 190.0)
MOST_FINDINGS = 6
# Colours that stand out on white and on black, since a notebook does not say which one it has.
STYLE = """.tradewright-run{font:14px/1.45 system-ui,sans-serif;max-width:700px}
.tradewright-run table{border-collapse:collapse;margin:6px 0}
.tradewright-run th,.tradewright-run td{text-align:right;padding:2px 10px 2px 0;border:0;background:none;font-variant-numeric:tabular-nums}
.tradewright-run th{text-align:left;font-weight:400}
.tradewright-run small{opacity:.7}
.tradewright-run svg{width:100%;height:auto;display:block}
.tradewright-run svg text{font:10.5px system-ui,sans-serif;fill:currentColor;opacity:.75}
.tradewright-run polyline{fill:none;stroke:currentColor}
.tradewright-run polyline.accent{stroke:#3b82d6}.tradewright-run polyline.muted{stroke:#8a949e}
.tradewright-run polyline.line{stroke:#8a949e;opacity:.3}
.tradewright-run ul{margin:4px 0;padding-left:18px}"""


def cell(result: RunResult) -> str:
    """HTML of the run without scripts or addresses; everything that came with it is escaped."""
    report = make_report(result)
    parts = (
        Markup(f"<style>{STYLE}</style>"),
        Markup("<p><b>{}</b><br><small>{}. {}</small></p>").format(
            report.title, report.kind, " · ".join(report.facts)
        ),
        _figures(report),
        svg(pictures.account(report, SIZE)),
        _findings(report),
    )
    return f'<div class="tradewright-run">{"".join(parts)}</div>'


def _figures(report: Report) -> Markup:
    line = Markup("<tr><th>{}</th><td><b>{}</b></td><td><small>{}</small></td></tr>")
    rows = (report.row(key) for key in SHOWN)
    body = Markup("").join(line.format(row.figure.label, row.text, row.between) for row in rows)
    said = f"<caption><small>with {escape(report.level)} intervals</small></caption>" if report.level else ""
    return Markup("<table>{}<tbody>{}</tbody></table>").format(Markup(said), body)


def _findings(report: Report) -> Markup:
    line = Markup("<li><b>{}</b>: {} <small>{}</small></li>")
    told = [line.format(each.severity, each.title, each.evidence) for each in report.findings[:MOST_FINDINGS]]
    told += [Markup("<li>{}</li>").format(remark) for remark in report.remarks]
    return Markup("<ul>{}</ul>").format(Markup("").join(told)) if told else Markup("")


__all__ = ["cell"]
