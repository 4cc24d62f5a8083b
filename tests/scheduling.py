"""Which tests a worker of the suite gets, and when: what takes long comes first, so that none is left alone with it.

A file's tests stay with one worker, for what they share. The tests of a long file are handed out by their
parameters, so that several workers run them.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdist.scheduler import LoadFileScheduling

LONG_FILES = (
    "tests/integration/test_supervisor.py",
    "tests/integration/test_join.py",
    "tests/parity/test_random_strategies.py",
    "tests/parity/test_random_strategies_more.py",
    "tests/integration/test_walkforward_command.py",
    "tests/parity/test_live_path.py",
    "tests/integration/test_outage.py",
    "tests/unit/brokers/test_executor.py",
    "tests/integration/test_kill_and_resume.py",
    "tests/unit/optimize/test_walkforward.py",
    "tests/unit/brokers/test_simulation.py",
    "tests/parity/test_paper_stock.py",
)
"""By what they take, the longest first."""
WHOLE_FILES = (
    "tests/integration/test_plain_scripts.py",
    "tests/unit/brokers/test_gateway.py",
    "tests/integration/test_live_run.py",
    "tests/integration/test_live_venues.py",
    "tests/integration/test_venue_brokers.py",
    "tests/integration/test_offline.py",
    "tests/integration/test_consensus_session.py",
    "tests/integration/test_paper_crash.py",
    "tests/integration/test_job_queue.py",
    "tests/integration/test_cluster.py",
    "tests/contract/test_store_contract.py",
    "tests/unit/strategies/test_new.py",
    "tests/parity/test_once_stock.py",
    "tests/parity/test_main_strategies.py",
    "tests/property/test_compiled_broker.py",
    "tests/browser/test_tearsheet.py",
)
"""The next ones; their tests share too much to be run apart."""


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def unit_of(nodeid: str) -> str:
    """What is handed out together with this test."""
    file = file_of(nodeid)
    return f"{file}[{nodeid.partition('[')[2]}" if file in LONG_FILES else file


def longest_first(nodeids: Sequence[str]) -> list[int]:
    """The places of these tests, in the order in which they are handed out."""
    ranks = {file: rank for rank, file in enumerate((*LONG_FILES, *WHOLE_FILES))}
    return sorted(range(len(nodeids)), key=lambda place: ranks.get(file_of(nodeids[place]), len(ranks)))


class LongestFirst(LoadFileScheduling):
    """`--dist loadfile` in this order."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
