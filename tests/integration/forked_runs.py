"""Runs commands in real processes that are forked from this one, where the heavy libraries are loaded already.

Reads one JSON object a line: {"module": ..., "script": "", "argv": [...], "cwd": ..., "env": {...}, "pages": true};
answers each with {"code": ..., "stdout": ..., "stderr": ...}. Starting an interpreter a hundred times would take most
of the time; so would the report, which is left out where "pages" is false. A script takes the module's place.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

PRELOADED = (
    "live.run",
    "live.session",
    "live.words",
    "alembic.command",
    "engine.plan",
    "engine.command",
    "store.session",
    "reports.artefacts",
    "reports.quantstats_page",
)


def no_pages(result: object, out: Path, **options: object) -> Path:
    return out / "tearsheet.html"


def become(order: dict[str, Any], out: int, err: int) -> None:
    """The child: become the command, and never come back."""
    code: object = 70
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(order["cwd"])
        os.environ.update(order["env"])
        sys.argv = [order["script"] or order["module"], *order["argv"]]
        if not order["pages"]:
            importlib.import_module("reports").write_run = no_pages  # type: ignore[attr-defined]
        if order["script"]:
            runpy.run_path(order["script"], run_name="__main__")
            raise SystemExit(0)
        module = importlib.import_module(order["module"])
        importlib.import_module("core.cli").run_command(module.parser(), module.main, order["argv"])
    except SystemExit as leaving:
        code = leaving.code
    finally:
        error = sys.exc_info()
        if error[0] is not None:
            sys.excepthook(*error)  # type: ignore[arg-type]
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def answer(order: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            become(order, out.fileno(), err.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return {"code": code, "stdout": texts[0], "stderr": texts[1]}


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
