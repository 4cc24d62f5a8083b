"""What all commands share: one-line errors, exit codes, Ctrl-C, progress, and output for people or machines.

Exit codes: 0 success, 1 a failure of ours, 2 a mistake the user can mend, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

from core.errors import TradewrightError
from core.jsontext import to_json
from core.progress import ProgressLine
from core.redact import redact_text

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
        # No default here: a subcommand's would overwrite the --json given before its name.
        self.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the result as JSON, nothing else",
        )

    def parse_args(  # type: ignore[override]  # argparse's overloads for namespaces of other types
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As argparse, with `json` always there."""
        parsed = super().parse_args(args, namespace)
        parsed.json = getattr(parsed, "json", False)
        return parsed

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and how to see the usage, on one line; exit code 2."""
        hint = f"see {self.prog} --help"
        if "--json" in sys.argv[1:]:
            print(to_json({"error": {"code": "usage", "message": message, "hint": hint}}))
        print(f"{self.prog}: {_one_line(message)}; {hint}", file=sys.stderr)
        raise SystemExit(2)


def run_command(
    parser: argparse.ArgumentParser, main: Callable[[argparse.Namespace], int], argv: list[str] | None = None
) -> NoReturn:
    """Parse, run `main`, and leave with the exit code its outcome calls for.

    What is no TradewrightError is a defect of ours: Python prints its traceback, with secrets hidden; code 1.
    """
    sys.excepthook = _print_traceback
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
        if not _reader_has_left():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    raise SystemExit(code)


def _report(prog: str, error: TradewrightError, *, as_json: bool) -> None:
    if as_json:
        facts = {"code": error.code, "message": redact_text(error.message), "hint": redact_text(error.hint)}
        print(to_json({"error": facts}))
    print(f"{prog}: {_one_line(str(error))}", file=sys.stderr)


def _one_line(text: str) -> str:
    return redact_text(" ".join(text.split()))


def _reader_has_left() -> bool:
    """Whether it is standard output that broke (`| head`), and not some connection of ours."""
    poller = select.poll()
    poller.register(sys.stdout, select.POLLERR)
    return bool(poller.poll(0))


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    print(redact_text("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def print_json(value: Any) -> None:
    """One JSON document on standard output; dates and decimals as text, NaN and infinity as null."""
    print(to_json(value))


@contextmanager
def progress(description: str, total: int | None, *, enabled: bool = True) -> Iterator[Callable[..., None]]:
    """A progress line on a terminal, once the work has taken two seconds; elsewhere nothing.

    Yields a function that takes how much is done, and may take a note to show beside it. Whatever is printed meanwhile keeps its stream, and stands
    above the line.
    """
    if not enabled or not sys.stderr.isatty():
        yield lambda done, note="": None
        return
    line = ProgressLine(sys.stderr, description, total)
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (line.above(stream) if stream.isatty() else stream for stream in streams)
    try:
        with line:
            yield line.advance
    finally:
        sys.stdout, sys.stderr = streams
