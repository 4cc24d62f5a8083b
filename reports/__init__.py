"""What a run leaves behind: figures and tables for machines, one page for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.results import RunResult

if TYPE_CHECKING:
    from reports.artefacts import write_run
    from reports.saved import read_run

__all__ = ["read_run", "write_run"]


def __getattr__(name: str) -> object:
    # pandas, Jinja2 and matplotlib are loaded by whoever writes a report, not by `import reports`.
    if name == "write_run":
        from reports.artefacts import write_run

        return write_run
    if name == "read_run":
        from reports.saved import read_run

        return read_run
    raise AttributeError(f"module 'reports' has no attribute {name!r}")


def _notebook_cell(result: RunResult) -> str:
    from reports.cell import cell

    return cell(result)


RunResult.renderer = staticmethod(_notebook_cell)
