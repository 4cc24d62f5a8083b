"""What all commands share: one-line errors, exit codes, Ctrl-C, progress, and output for people or machines.

Exit codes: 0 success, 1 a failure of ours, 2 a mistake the user can mend, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from core.errors import TradewrightError

INTERRUPTED = 130


class CommandParser(argparse.ArgumentParser):
    """An argument parser that answers a mistake in one line and shows an example in `--help`."""

    def __init__(self, *, prog: str, description: str, example: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=f"example:\n  {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--json", action="store_true", help="print the result as JSON, nothing else")

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and how to see the usage, on one line; exit code 2."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def run_command(
    parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], int], argv: list[str] | None = None
) -> NoReturn:
    """Parse, run `main`, and leave with the exit code its outcome calls for."""
    args = parser.parse_args(argv)
    try:
        code = main(args)
        sys.stdout.flush()
    except TradewrightError as error:
        _report(parser.prog, error, as_json=getattr(args, "json", False))
        code = error.exit_code
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    raise SystemExit(code)


def _report(prog: str, error: TradewrightError, *, as_json: bool) -> None:
    line = " ".join(str(error).split())
    if as_json:
        print(json.dumps({"error": {"code": error.code, "message": error.message, "hint": error.hint}}))
    print(f"{prog}: {line}", file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON document on standard output; dates and decimals as text."""
    print(json.dumps(value, default=str, allow_nan=False))


@contextmanager
def progress(description: str, total: int | None, *, enabled: bool = True) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; elsewhere nothing. Yields a function that takes how much is done."""
    if not enabled or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda done: bar.update(task, completed=done)
