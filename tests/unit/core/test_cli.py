"""What all commands share, shown on real processes: exit codes, one-line errors, Ctrl-C, pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.cli import CommandParser, print_json, progress

ROOT = Path(__file__).parents[3]
HEAD = """
import argparse, os, signal, sys
from core.cli import CommandParser, print_json, run_command
from core.errors import ConfigError, ProviderError, UserError
parser = CommandParser(prog="tool", description="Does it.", example="tool --size 3")
parser.add_argument("--size", type=int, default=1)
"""


def run(main: str, *argv: str, prelude: str = "") -> subprocess.CompletedProcess[str]:
    code = f"{HEAD}\n{prelude}\ndef main(args):\n    {main}\n    return 0\nrun_command(parser, main)"
    command = [sys.executable, "-c", code, *argv]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_success_is_0_and_help_shows_the_example() -> None:
    done = run("print('fine')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")
    done = run("pass", "--help")
    assert done.returncode == 0
    assert "example:\n  tool --size 3" in done.stdout


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        ("UserError('no such thing', hint='try another')", 2, "tool: no such thing; try another"),
        ("ConfigError('two\\nlines\\n  here')", 2, "tool: two lines here"),
        ("ProviderError('no answer')", 1, "tool: no answer"),
        (
            "UserError('cannot open postgresql://me:hunter2@host/db')",
            2,
            "tool: cannot open postgresql://me:***@host/db",
        ),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(error: str, code: int, line: str) -> None:
    """P14"""
    done = run(f"raise {error}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "", line + "\n")


def test_an_error_as_json() -> None:
    done = run("raise UserError('token=abcdefgh refused', hint='log in')", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout) == {
        "error": {"code": "user", "message": "token=*** refused", "hint": "log in"}
    }


def test_a_wrong_option_is_one_line() -> None:
    done = run("pass", "--size", "many")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tool: argument --size: invalid int value: 'many'; see tool --help\n"
    done = run("pass", "--json", "--size", "many")
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_a_defect_of_ours_is_a_traceback_without_secrets_and_1() -> None:
    done = run("raise ValueError('password=hunter22')")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("ValueError: password=***\n")


def test_ctrl_c_is_130() -> None:
    done = run("signal.raise_signal(signal.SIGINT)")
    assert (done.returncode, done.stderr) == (130, "tool: interrupted\n")


def test_a_reader_that_leaves_is_no_error() -> None:
    """As in `tool | head -1`: the pipe is closed before anything is written."""
    prelude = "read, write = os.pipe(); os.close(read); os.dup2(write, 1)"
    done = run("print('x' * 100_000)", prelude=prelude)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_broken_connection_is_an_error() -> None:
    done = run("raise BrokenPipeError('venue hung up')")
    assert done.returncode == 1
    assert "venue hung up" in done.stderr


@pytest.mark.parametrize(
    ("argv", "expected"), [([], False), (["--json", "go"], True), (["go", "--json"], True), (["go"], False)]
)
def test_json_may_stand_before_or_after_a_subcommand(argv: list[str], expected: bool) -> None:
    parser = CommandParser(prog="tool", description="Does it.", example="tool go")
    parser.add_subparsers(dest="action").add_parser("go", description="Goes.", example="tool go")
    assert parser.parse_args(argv).json is expected


def test_print_json_writes_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"sharpe": float("nan"), "path": Path("a")})
    assert json.loads(capsys.readouterr().out) == {"sharpe": None, "path": "a"}


def test_progress_says_nothing_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("bars", 3) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_progress_leaves_quick_work_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    streams = sys.stdout, sys.stderr
    with progress("bars", 3) as advance:
        advance(2)
        print("a line")
    assert capsys.readouterr() == ("a line\n", "")
    assert (sys.stdout, sys.stderr) == streams
