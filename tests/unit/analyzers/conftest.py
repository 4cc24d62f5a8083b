"""Finished runs for the tests of the analyzers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.analyzers.runs import finished


@pytest.fixture
def make_run() -> Any:
    """Builds a run from its equity, fills and trades."""
    return finished
