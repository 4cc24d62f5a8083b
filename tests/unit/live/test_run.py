"""The words of `python -m live.run`: numbers, lines and commands to type."""

from __future__ import annotations

import argparse
import shlex
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.types import ExitReason, Fill, OrderIntent, OrderType, Side
from engine.command import prepare
from live import words
from live.arguments import parser, refuse_own_arguments
from store import RunRecord

NOON = datetime(2024, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        ("513", 0, "513"),
        ("10000", 0, "10,000"),
        ("0.00012", 0, "0.00012"),
        ("298", 2, "298.00"),
        ("186.3149", 2, "186.31"),
        ("1.5", 2, "1.50"),
        ("0.123456789", 2, "0.12345679"),
        ("65000.5", 2, "65,000.50"),
    ],
)
def test_numbers_for_people(value: str, decimals: int, text: str) -> None:
    assert words._plain(Decimal(value), decimals=decimals) == text


def test_fill_lines_stand_in_columns() -> None:
    fills = [
        ("GOOG", Side.BUY, "513", "186.31", None),
        ("A", Side.SELL, "0.5", "1186.3", ExitReason.STOP_LOSS),
    ]
    lines = []
    for symbol, side, size, price, reason in fills:
        intent = OrderIntent(
            "id", symbol, side, OrderType.MARKET, Decimal(size), Decimal(price), NOON, 1, exit_reason=reason
        )
        fill = Fill("1", "id", symbol, side, Decimal(size), Decimal(price), Decimal("9.5"), NOON)
        lines.append(words.fill_line(fill, intent, 4))
    assert lines == [
        "buy         513 GOOG at     186.31  commission     9.50",
        "sell        0.5 A    at   1,186.30  commission     9.50  stop_loss",
    ]


def arguments(*argv: str) -> argparse.Namespace:
    return parser().parse_args(list(argv))


def record(**given: Any) -> RunRecord:
    settings = {"settings": {"broker.cash": 5.0, "risk.max_daily_loss": 0.1}}
    return RunRecord("20240101T000000Z-x-abc", "default", "x", NOON, settings=settings, **given)


def test_the_command_that_goes_on() -> None:
    args = arguments(
        *("my file.py:X", "--speed", "3000000", "--config", "c.toml", "--cash", "5"),
        *(
            "--set",
            "broker.cash=5",
            "--set",
            "store.url=postgresql://u:hunter22secret@h/d",
            "--set",
            "log.level=INFO",
        ),
    )
    command = words.resume_command(args, record())
    assert command.startswith(
        "python -m live.run 'my file.py:X' --resume 20240101T000000Z-x-abc --speed 3000000 "
    )
    assert "--config c.toml" in command
    assert "--set log.level=INFO" in command
    assert "--set store.url=postgresql://u:***@h/d" in command
    assert "cash" not in command, "the run remembers it"


@pytest.mark.parametrize(
    "argv",
    [
        ["--param", "fast=3"],
        ["--data", "sample:goog"],
        ["--cash", "5"],
        ["--set", "broker.cash=5"],
        ["--set", "strategy.params.fast=3"],
        ["--set", "risk.max_daily_loss=0.5"],
    ],
)
def test_a_run_goes_on_as_it_began(argv: list[str]) -> None:
    with pytest.raises(UserError, match="was given with --resume, but a run goes on as it began"):
        refuse_own_arguments(arguments("x", "--resume", *argv), record().settings["settings"])
    refuse_own_arguments(arguments("x", "--resume", "--set", "log.level=INFO"), record().settings["settings"])


def test_the_next_command_names_what_was_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    args = arguments("momentum")
    assert words.parity_command(args, prepare(args)) == "python -m engine.parity momentum"
    given = ["--start", "2005-01-01", "--end", "2006-12-31", "--param", "fast=7", "--resample", "1W"]
    args = arguments("momentum", *given)
    typed = shlex.split(words.parity_command(args, prepare(args)))
    assert typed == ["python", "-m", "engine.parity", "momentum", *given]


def test_the_headline_hides_secrets_and_tells_of_repairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X13, D1"""
    monkeypatch.chdir(tmp_path)
    rows = [f"2024-01-{day:02},{'' if day == 5 else 10},11,9,10,1" for day in range(1, 29)]
    Path("m.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]))
    Path("s.py").write_text(
        'import backtrader as bt\n\n\nclass S(bt.Strategy):\n    params = (("api_key", "planted0key7"), ("n", 1))\n'
    )
    first, second, third = words.headline(prepare(arguments("s.py:S", "--data", "csv:m.csv"))).splitlines()
    assert first == "PAPER, replaying M 2024-01-01 to 2024-01-28, no orders leave this machine"
    assert second.endswith("s.py:S with api_key=***, n=1")
    assert third == "data: 28 bars; 1 bar filled from the bar before"
