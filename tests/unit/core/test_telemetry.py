"""Logs: JSON lines, correlation id, rotation, no secrets (X13, L29)."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.config import LogSettings
from core.errors import ConfigError
from core.telemetry import (
    close_logging,
    configure_logging,
    correlation,
    current_correlation,
    get_logger,
    redact,
)

PLANTED = "plantedK3yQz8vT2mXw4LkP9"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_logging()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_record_has_the_five_fields_first_then_the_callers(tmp_path: Path) -> None:
    """X13"""
    configure_logging(LogSettings(), run_dir=tmp_path)
    with correlation("order-1"):
        get_logger("live.session").info("order sent", symbol="GOOG", size=Decimal("1.5"), bad=float("nan"))
    (record,) = lines(tmp_path)
    assert list(record) == ["time", "level", "logger", "event", "correlation_id", "symbol", "size", "bad"]
    moment = datetime.fromisoformat(record.pop("time"))
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    assert record == {
        "level": "info",
        "logger": "live.session",
        "event": "order sent",
        "correlation_id": "order-1",
        "symbol": "GOOG",
        "size": "1.5",
        "bad": None,
    }


def test_fields_named_like_ours_keep_both(tmp_path: Path) -> None:
    configure_logging(LogSettings(), run_dir=tmp_path)
    get_logger("x").info("bar", time="2004-08-19", level=7, logger="mine")
    (record,) = lines(tmp_path)
    assert (record["time_"], record["level_"], record["logger_"]) == ("2004-08-19", 7, "mine")
    assert (record["level"], record["logger"], record["correlation_id"]) == ("info", "x", None)


def test_correlation_nests_and_stays_in_its_task_and_thread(tmp_path: Path) -> None:
    """L29"""
    configure_logging(LogSettings(), run_dir=tmp_path)
    log = get_logger("x")

    async def order(name: str, others: asyncio.Barrier) -> None:
        with correlation(name):
            await others.wait()
            log.info("inside", name=name)

    async def both() -> None:
        barrier = asyncio.Barrier(2)
        await asyncio.gather(order("a", barrier), order("b", barrier))

    with correlation("outer"):
        with correlation("inner") as inner:
            assert current_correlation() == inner == "inner"
        assert current_correlation() == "outer"
        thread = threading.Thread(target=lambda: log.info("elsewhere"))
        thread.start()
        thread.join()
    assert current_correlation() is None
    asyncio.run(both())
    elsewhere, *inside = lines(tmp_path)
    assert elsewhere["correlation_id"] is None
    assert all(record["correlation_id"] == record["name"] for record in inside)
    assert {record["name"] for record in inside} == {"a", "b"}


class Talkative:
    def __str__(self) -> str:
        return f"login(password={PLANTED})"


def test_a_planted_key_is_in_no_output(tmp_path: Path) -> None:
    """X13, X16: planted by type, by name, by pattern, in exceptions, and through another library's logger."""
    console = io.StringIO()
    configure_logging(LogSettings(level="DEBUG", console_level="DEBUG"), run_dir=tmp_path, stream=console)
    log = get_logger("x")
    url = f"postgresql://me:{PLANTED}@host/db"
    log.info(f"connecting to {url}", url=url, key=SecretStr(PLANTED))
    log.warning("formatted %s", f"Bearer {PLANTED}")
    log.debug("nested", request={"headers": [{"X-MBX-APIKEY": PLANTED}], "query": f"a=1&signature={PLANTED}"})
    log.info("object", session=Talkative(), deep=[Talkative(), {"a": Talkative()}])
    log.bind(api_secret=PLANTED).error("bound")
    try:
        try:
            raise ValueError(f"GET https://host/path?apiKey={PLANTED}")
        except ValueError as error:
            raise RuntimeError(f"cannot reach {url}") from error
    except RuntimeError:
        log.exception("failed")
        logging.getLogger("some.library").exception("failed with token=%s", PLANTED)
    with correlation(f"https://me:{PLANTED}@host"):
        log.critical("correlated")
    close_logging()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(lines(tmp_path)) == 8
    assert PLANTED.encode() not in written
    assert PLANTED not in console.getvalue()
    for expected in (
        b"RuntimeError: cannot reach postgresql://me:***@host/db",
        b"some.library",
        b"correlated",
    ):
        assert expected in written


def test_the_public_redact_is_the_one_logs_use() -> None:
    assert redact({"password": PLANTED, "cash": 1}) == {"password": "***", "cash": 1}


def test_a_key_logged_before_configuration_is_hidden_too() -> None:
    code = f"from core.telemetry import get_logger; get_logger('x').warning('early', password='{PLANTED}')"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert "early" in done.stderr
    assert PLANTED not in done.stderr + done.stdout


def test_the_file_rotates_by_size_and_loses_no_line_that_is_kept(tmp_path: Path) -> None:
    """X13"""
    configure_logging(LogSettings(max_bytes=2_000, backups=2), run_dir=tmp_path)
    for number in range(60):
        get_logger("x").info("line", number=number)
    close_logging()
    names = ["log.jsonl.2", "log.jsonl.1", "log.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    text = "".join((tmp_path / name).read_text() for name in names)
    numbers = [json.loads(line)["number"] for line in text.splitlines()]
    assert numbers == list(range(numbers[0], 60))
    assert all((tmp_path / name).stat().st_size < 2_300 for name in names)


def test_configuring_again_replaces_and_appends(tmp_path: Path) -> None:
    before = list(logging.getLogger().handlers)
    for folder in ("a", "b", "b"):
        configure_logging(LogSettings(), run_dir=tmp_path / folder)
        get_logger("x").info("once", folder=folder)
    assert len(logging.getLogger().handlers) == len(before) + 2
    assert [record["folder"] for record in lines(tmp_path / "a")] == ["a"]
    assert [record["folder"] for record in lines(tmp_path / "b")] == ["b", "b"]
    close_logging()
    assert logging.getLogger().handlers == before


def test_a_logger_made_earlier_follows_a_new_level(tmp_path: Path) -> None:
    log = get_logger("x")
    configure_logging(LogSettings(level="ERROR"), run_dir=tmp_path)
    log.warning("hidden")
    configure_logging(LogSettings(level="DEBUG"), run_dir=tmp_path)
    log.debug("seen")
    assert [record["event"] for record in lines(tmp_path)] == ["seen"]


def test_a_filtered_out_call_does_no_work(tmp_path: Path) -> None:
    """The field would fail when it is turned into text; a call below the level never looks at it."""

    class Untouchable:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"asked for {name}")

    configure_logging(LogSettings(level="WARNING"), run_dir=tmp_path)
    get_logger("x").debug("hidden", value=Untouchable())
    get_logger("x").info("hidden", value=Untouchable())
    assert (tmp_path / "log.jsonl").read_bytes() == b""


@pytest.mark.parametrize(("console", "expected"), [("off", 0), ("plain", 1), ("auto", 1), ("json", 1)])
def test_console_shows_warnings_and_no_less(console: Any, expected: int, tmp_path: Path) -> None:
    """X13"""
    stream = io.StringIO()
    configure_logging(LogSettings(console=console, json_file=False), run_dir=tmp_path, stream=stream)
    get_logger("x").info("not shown")
    get_logger("x").warning("fake\n12:00:00 info line", note="two words")
    shown = stream.getvalue().splitlines()
    assert len(shown) == expected
    if console == "json":
        assert json.loads(shown[0])["event"] == "fake\n12:00:00 info line"
    elif expected:
        assert shown[0].endswith(r"warning x: fake\n12:00:00 info line note='two words'")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_gets_colours() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for console, coloured in (("auto", True), ("plain", False)):
        stream = Terminal()
        configure_logging(LogSettings(console=console), run_dir=None, stream=stream)
        get_logger("x").error("red")
        assert ("\x1b[31m" in stream.getvalue()) is coloured


def test_an_unwritable_folder_is_one_line_and_keeps_what_was(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    configure_logging(LogSettings(), run_dir=tmp_path / "good")
    with pytest.raises(ConfigError, match=r"cannot write .*log\.jsonl.*reports\.directory"):
        configure_logging(LogSettings(), run_dir=tmp_path / "file" / "run")
    get_logger("x").info("still here")
    assert len(lines(tmp_path / "good")) == 1
