"""Which exchanges a session merges or compares, as configured: refused in one line where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from brokers.consensus_guard import ConsensusGuard
from brokers.risk import Account
from core.config import load_settings
from core.errors import OrderRejected, UserError
from feeds.consensus import Agreed
from live.consensus import MergedPrices, merging_of, sources_of
from tests.integration.binance_desk import D, intent

NEAR = "second=http://127.0.0.1:8080/api/v3"


def settings(venue: str = "binance", **given: Any) -> Any:
    cli = {key.replace("__", "."): value for key, value in given.items()}
    return load_settings(env={}, cli={"broker.name": venue, **cli})


def test_others_are_named_and_one_on_this_machine_is_asked_often() -> None:
    """D16"""
    merging = merging_of(settings(live__merge__exchanges=f"kraken, binance, {NEAR}"), "1m")
    assert merging is not None
    assert [other.name for other in merging.others] == ["kraken", "second"]
    far, near = (other.settings for other in merging.others)
    assert (far.exchange, near.exchange) == ("kraken", "binance")
    assert near.pause_seconds < far.poll_seconds < far.pause_seconds
    assert merging_of(settings(), "1m") is None


REFUSED = {
    "nobody else": ({"live__merge__exchanges": "binance"}, "1 exchange cannot be the 2"),
    "too few": (
        {"live__merge__exchanges": "kraken", "live__merge__quorum": 3},
        "2 exchanges cannot be the 3",
    ),
    "misspelt": ({"live__merge__exchanges": "kraken,coinbas"}, "did you mean coinbase?"),
    "no address": ({"live__merge__exchanges": "second=example.com"}, "is no name and address"),
    "no name": ({"live__merge__exchanges": "=http://127.0.0.1/"}, "is no name and address"),
    "too patient": ({"live__merge__exchanges": NEAR, "live__merge__grace": 60}, "below the length of a bar"),
    "stale": ({"live__merge__exchanges": NEAR, "live__merge__grace": 30}, "below live.stale_seconds"),
    "stocks": ({"venue": "ibkr", "live__merge__exchanges": NEAR}, "no second source of prices here"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_merged_is_refused(case: str) -> None:
    given, said = REFUSED[case]
    with pytest.raises(UserError, match=said) as refused:
        merging_of(settings(**given), "1m")
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_guard_at_ibkr_is_refused_with_the_reason() -> None:
    """D17"""
    with pytest.raises(UserError, match=r"Yahoo's may be 15 minutes old; leave live.consensus out"):
        sources_of(settings("ibkr", live__consensus="kraken"))


def test_no_entry_before_anything_is_agreed_on_nor_while_the_traded_venue_is_out() -> None:
    """D17"""
    merging = merging_of(settings(live__merge__exchanges=NEAR), "1m")
    assert merging is not None
    guard, order = ConsensusGuard(MergedPrices(merging), "binance"), intent("a")
    with pytest.raises(OrderRejected, match="only 0 exchanges agree"):
        guard.check(order, Account(D(1000)))
    merging.agreed[order.symbol] = lambda: Agreed(100.0, ("second", "third"), {"binance": "late"})
    with pytest.raises(OrderRejected, match="binance is out of the consensus: late"):
        guard.check(order, Account(D(1000)))
    merging.agreed[order.symbol] = lambda: Agreed(100.0, ("binance", "second"))
    assert guard.check(order, Account(D(1000))) is order
