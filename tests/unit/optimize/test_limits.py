"""Limits of a worker: as they are written, measured on real processes, and what is said when one is hit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from core.errors import ConfigError, StrategyError
from optimize import limits
from optimize.limits import Limits, MemoryLimitError, least_taken, limit_error, memory_of, parse_size

FAMILY = """
import subprocess, sys, time
taken = b"x" * 60_000_000
if len(sys.argv) > 1:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
    child.stdout.readline()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2e9), ("2 gb", 2e9), ("1.5G", 1.5e9), ("800MB", 8e8), ("4", 4e9), ("1GiB", 1e9), ("2T", 2e12)],
)
def test_sizes_as_people_write_them(text: str, size: float) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("cpus", "memory", "words"),
    [
        (0, None, "--cpus is 0; give 1 or more"),
        (None, "lots", "--memory is 'lots'; write it as 2GB"),
        (None, "-2GB", "--memory is '-2GB'"),
        (None, "100MB", "--memory is 100MB; give 600 MB or more"),
    ],
)
def test_what_nothing_can_be_run_with_is_refused(cpus: int | None, memory: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Limits.checked(cpus=cpus, memory=memory)


def test_what_a_process_and_its_children_take_together_is_measured() -> None:
    process = subprocess.Popen([sys.executable, "-c", FAMILY, FAMILY], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        assert 120_000_000 < memory_of(process.pid) < 400_000_000
        Limits(memory=400_000_000).check(process.pid)
        with pytest.raises(MemoryLimitError, match=r"limit of 100 MB is used up: its processes take \d+"):
            Limits(memory=100_000_000).check(process.pid)
    finally:
        process.kill()
        process.communicate()
    assert memory_of(process.pid) == 0


def test_cores_to_which_others_are_bound_come_last() -> None:
    free = os.sched_getaffinity(0)
    if len(free) < 2:
        pytest.skip("one core")
    first = least_taken(1)
    bound = [subprocess.Popen(["sleep", "600"]) for _ in range(4)]
    try:
        for process in bound:
            os.sched_setaffinity(process.pid, first)
        assert least_taken(1) != first
        assert least_taken(len(free) + 1) == free
    finally:
        for process in bound:
            process.kill()
            process.wait()


def test_an_error_is_the_limit_s_only_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    error = StrategyError("Cross failed at bar 3: MemoryError")
    error.__cause__ = MemoryError()
    assert limit_error(error) is None
    monkeypatch.setattr(limits, "limit", lambda: 2_000_000_000)
    assert str(limit_error(error, "the trial fast=3")).startswith(
        "the memory limit of 2 GB is used up: the trial fast=3; no trial is lost"
    )
    assert limit_error(StrategyError("Cross failed")) is None
