"""`python -m optimize.worker`, with a stand-in for the optimisation."""

from __future__ import annotations

from pathlib import Path

from core.cli import run_command
from optimize import worker

if __name__ == "__main__":
    worker.GRACE_SECONDS = 1.0
    command = (str(Path(__file__).with_name("queue_job.py")),)
    run_command(worker.parser(), lambda args: worker.main(args, command))
