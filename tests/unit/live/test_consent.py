"""No order reaches a real venue unless `--live` is given and its name is typed or configured."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from core.errors import UserError
from live.consent import NotConfirmed, require
from live.profiles import Connection, connection

REAL = connection("binance", "main", {"BINANCE_KEY__MAIN": "k", "BINANCE_SECRET__MAIN": "s"}, None)


class Terminal(io.StringIO):
    """Somebody sits there."""

    def isatty(self) -> bool:
        return True


def asked(monkeypatch: pytest.MonkeyPatch, typed: str, found: Connection = REAL) -> str:
    """What a person at a terminal is asked, who then types this."""
    told = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", told)
    require(found, live=True, confirm=None, ask=True)
    return told.getvalue()


def test_the_name_must_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Type main to trade there" in asked(monkeypatch, "main\n")
    for typed in ("\n", "y\n", "binance\n", ""):
        with pytest.raises(NotConfirmed, match="you typed"):
            asked(monkeypatch, typed)


def test_or_be_configured() -> None:
    require(REAL, live=True, confirm="main", ask=False)
    with pytest.raises(NotConfirmed, match=r"live.confirm is 'binance', not 'main'"):
        require(REAL, live=True, confirm="binance", ask=False)


def test_neither_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotConfirmed, match="add --live"):
        require(REAL, live=False, confirm="main", ask=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO("main\n"))
    for ask in (True, False):
        with pytest.raises(NotConfirmed, match="nobody is at a terminal"):
            require(REAL, live=True, confirm=None, ask=ask)


def test_a_simulator_needs_no_consent_and_takes_none() -> None:
    simulated = replace(REAL, simulated=True)
    require(simulated, live=False, confirm=None, ask=False)
    with pytest.raises(UserError, match="is a simulator; leave --live out"):
        require(simulated, live=True, confirm="main", ask=False)
