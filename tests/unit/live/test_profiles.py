"""Keys and addresses by profile: which are taken, what is missing, what is no real venue, and that no key is shown."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from brokers.binance_link import BinanceSettings
from brokers.ibkr_link import IBKRSettings
from core.errors import ConfigError, UnknownNameError
from feeds.live.ibkr import IBKRStreamSettings
from live.profiles import VenueUnreachable, connection, reach

KEYS = {
    "BINANCE_KEY__MAIN": "plantedMainKey",
    "BINANCE_SECRET__MAIN": "plantedMainSecret",
    "BINANCE_KEY__ALT": "plantedAltKey",
    "BINANCE_SECRET__ALT": "plantedAltSecret",
}
ADDRESSES = {
    "BINANCE_REST__ALT": "http://127.0.0.1:9080/api/v3",
    "BINANCE_STREAMS__ALT": "ws://127.0.0.1:9080/ws",
    "BINANCE_WEBSOCKET_API__ALT": "ws://127.0.0.1:9080/ws-api/v3",
}


def binance(profile: str | None, env: dict[str, str]) -> Any:
    return connection("binance", profile, env, None)


def test_several_keys_a_venue_by_name() -> None:
    """L3"""
    for profile, key in (("main", "plantedMainKey"), ("alt", "plantedAltKey")):
        found = binance(profile, KEYS)
        assert isinstance(found.broker, BinanceSettings)
        assert (found.broker.key, found.name) == (key, profile)
        assert "planted" not in repr(found)


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BINANCE_KEY=file\nBINANCE_SECRET=file\n")
    found = connection("binance", None, {"BINANCE_KEY": "environment"}, tmp_path / ".env")
    assert isinstance(found.broker, BinanceSettings)
    assert (found.broker.key, found.broker.secret, found.name) == ("environment", "file", "binance")


@pytest.mark.parametrize(
    ("profile", "env", "said"),
    [
        (None, {}, "BINANCE_KEY is not set; put it into .env or the environment"),
        (None, KEYS, "BINANCE_KEY is not set; put it into .env or the environment, or --profile alt"),
        ("main", {"BINANCE_KEY__MAIN": "planted"}, "BINANCE_SECRET__MAIN is not set"),
        ("min", KEYS, "unknown profile of binance 'min'; did you mean main?"),
        ("other", {}, "unknown profile of binance 'other'; set BINANCE_KEY__OTHER"),
    ],
)
def test_what_is_missing_is_named_and_no_value_is(
    profile: str | None, env: dict[str, str], said: str
) -> None:
    """L3"""
    with pytest.raises((ConfigError, UnknownNameError)) as caught:
        binance(profile, env)
    assert said in str(caught.value)
    assert "planted" not in str(caught.value)


def test_only_loopback_is_no_real_venue() -> None:
    assert not binance("main", KEYS).simulated
    assert binance("alt", KEYS | ADDRESSES).simulated
    for name in ADDRESSES:
        elsewhere = {**KEYS, **ADDRESSES, name: "https://api.binance.com/api/v3"}
        assert not binance("alt", elsewhere).simulated, f"{name} is elsewhere"
        assert not binance("alt", {**KEYS, **ADDRESSES, name: ""}).simulated, (
            f"without {name} it is Binance's own"
        )
    disguised = {**KEYS, **ADDRESSES, "BINANCE_REST__ALT": "http://127.0.0.1.example.com/api/v3"}
    assert not binance("alt", disguised).simulated


def test_a_gateway_on_this_machine_is_real_unless_a_simulator_says_it_is_its_own() -> None:
    """A real TWS listens on loopback, too."""
    found = connection("ibkr", None, {}, None)
    assert isinstance(found.broker, IBKRSettings)
    assert isinstance(found.feed, IBKRStreamSettings)
    assert (found.broker.port, found.simulated) == (4002, False)
    assert found.broker.client_id != found.feed.client_id
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        control = str(nobody.getsockname()[1])
        assert not connection("ibkr", None, {"IBKR_SIMULATOR": control}, None).simulated


def test_a_port_that_is_none() -> None:
    with pytest.raises(ConfigError, match="IBKR_PORT__PAPER is no whole number"):
        connection("ibkr", "paper", {"IBKR_PORT__PAPER": "many"}, None)


def test_nobody_listens() -> None:
    """L2: one line, with what to do."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(VenueUnreachable, match=f"ibkr does not answer at 127.0.0.1:{port} .*start TWS"):
            reach(connection("ibkr", None, {"IBKR_PORT": str(port)}, None))
