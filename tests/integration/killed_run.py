"""`python -m live.run ...`, in a process that kills itself at a given durable step.

    python killed_run.py STEP RECORD [arguments of live.run]

STEP 0 never kills. RECORD receives, at the end, the names of all steps and what the run came to.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import reports
from core.cli import run_command
from core.results import RunResult
from live import run, session

kill_at, record = int(sys.argv[1]), Path(sys.argv[2])
steps: list[str] = []
trade = session.trade


def on_step(name: str) -> None:
    steps.append(name)
    if len(steps) == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)


def watched(plan: Any, store: Any, entry: Any, hooks: Any, **options: Any) -> Any:
    outcome = trade(plan, store, entry, replace(hooks, on_step=on_step), **options)
    journal = store.journal(entry.run_id)
    stops = {key: [str(stop.trigger), stop.changes] for key, stop in sorted(journal.stops().items())}
    result = outcome.result
    record.write_text(
        json.dumps(
            {
                "steps": steps,
                "orders": result.orders.to_json(date_format="iso", double_precision=15),
                "fills": result.fills.to_json(date_format="iso", double_precision=15),
                "equity": result.equity.to_json(date_format="iso", double_precision=15),
                "stops": stops,
                "client_ids": [order.intent.client_id for order in journal.orders()],
                "fill_ids": [fill.fill_id for fill in journal.fills()],
            }
        )
    )
    return outcome


def no_pages(result: RunResult, out: Path, **options: object) -> Path:
    """The report is not what is tested here, and takes longer than the run."""
    return out / "tearsheet.html"


session.trade = watched  # type: ignore[assignment]
reports.write_run = no_pages  # type: ignore[attr-defined]
run_command(run.parser(), run.main, sys.argv[3:])
