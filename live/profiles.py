"""Keys and addresses of venues, by the name of a profile, out of the environment and `.env`; never shown.

    BINANCE_KEY, BINANCE_SECRET                  the profile that is taken when none is named
    BINANCE_KEY__ALT, BINANCE_SECRET__ALT        --profile alt
    IBKR_HOST, IBKR_PORT, IBKR_ACCOUNT, ...      and with __NAME for profile NAME

A profile stands by itself: what it does not set is not taken from another.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from brokers.binance_link import BinanceSettings
from brokers.ibkr_link import IBKRSettings
from core.config.sources import read_dotenv
from core.errors import ConfigError, TradewrightError, UnknownNameError, UserError
from feeds.live.binance import StreamSettings
from feeds.live.ibkr import IBKRStreamSettings

FIELDS: Mapping[str, tuple[str, ...]] = {
    "binance": ("KEY", "SECRET", "REST", "STREAMS", "WEBSOCKET_API"),
    "ibkr": ("HOST", "PORT", "CLIENT_ID", "DATA_CLIENT_ID", "ACCOUNT", "SIMULATOR"),
}
"""What a profile of each venue may set; IBKR_SIMULATOR is the control port of the simulator that is spoken to."""
PAPER_PORT = 4002
REACH_SECONDS = 5.0
BINANCE_ADDRESS = ("api.binance.com", 443)


class VenueUnreachable(UserError):
    """There is nothing to connect to. Handler: the command line; nothing was sent."""

    code = "venue-unreachable"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one venue. simulated: no order sent there can reach a real venue. addresses: who must answer."""

    venue: str
    broker: BinanceSettings | IBKRSettings
    feed: StreamSettings | IBKRStreamSettings
    addresses: tuple[tuple[str, int], ...]
    profile: str = ""
    simulated: bool = field(default=False)

    @property
    def name(self) -> str:
        """The profile, or else the venue: what a person types to let it trade."""
        return self.profile or self.venue

    @property
    def where(self) -> str:
        """For people."""
        return ", ".join(f"{host}:{port}" for host, port in self.addresses)


def connection(
    venue: str, profile: str | None, env: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> Connection:
    """The connection a profile describes. Raises ConfigError and UnknownNameError; no value is in the message."""
    given = _given(env, dotenv)
    found = _fields(venue, profile, given)
    known = _profiles(venue, given)
    if profile is not None and not found:
        raise UnknownNameError(
            f"profile of {venue}",
            profile,
            known,
            hint="" if known else f"set {_variable(venue, 'KEY', profile)}",
        )
    return _binance(found, profile, known) if venue == "binance" else _ibkr(found, profile)


def profiles(
    venue: str, env: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
) -> list[str]:
    """Names of the profiles of a venue of which anything is set."""
    return _profiles(venue, _given(env, dotenv))


def _given(env: Mapping[str, str] | None, dotenv: Path | None) -> dict[str, str]:
    variables = os.environ if env is None else env
    return {**read_dotenv(dotenv), **{name: value for name, value in variables.items() if value}}


def reach(found: Connection) -> None:
    """See that somebody listens. Raises VenueUnreachable, with what to do."""
    for host, port in found.addresses:
        try:
            socket.create_connection((host, port), REACH_SECONDS).close()
        except OSError as error:
            raise VenueUnreachable(
                f"{found.venue} does not answer at {host}:{port} ({error.strerror or type(error).__name__})",
                hint=_advice(found),
            ) from error


def _advice(found: Connection) -> str:
    if found.venue == "ibkr":
        return "start TWS or IB Gateway, log in, and enable its API on that port, or set IBKR_PORT"
    if found.simulated:
        return "start it: python -m brokers.simulators binance"
    return "see whether this machine has a network, and whether Binance serves your country"


def _variable(venue: str, name: str, profile: str | None) -> str:
    return f"{venue}_{name}".upper() + (f"__{profile.upper()}" if profile else "")


def _fields(venue: str, profile: str | None, given: Mapping[str, str]) -> dict[str, str]:
    named = {name: given.get(_variable(venue, name, profile)) for name in FIELDS[venue]}
    return {name: value for name, value in named.items() if value}


def _profiles(venue: str, given: Mapping[str, str]) -> list[str]:
    """Names of the profiles of which anything is set."""
    starts = tuple(_variable(venue, name, None) + "__" for name in FIELDS[venue])
    return sorted({key.split("__", 1)[1].lower() for key in given if key.startswith(starts)})


def _binance(found: Mapping[str, str], profile: str | None, known: Iterable[str]) -> Connection:
    for name in ("KEY", "SECRET"):
        if name not in found:
            others = "" if profile else "".join(f", or --profile {other}" for other in known)
            raise ConfigError(
                f"{_variable('binance', name, profile)} is not set",
                hint=f"put it into .env or the environment{others}",
            )
    addresses = [found.get(name, "") for name in ("REST", "STREAMS", "WEBSOCKET_API")]
    parts = [urlsplit(address) for address in addresses if address]
    simulated = len(parts) == len(addresses) and all(is_loopback(part.hostname or "") for part in parts)
    rest = urlsplit(addresses[0])
    ports = {"http": 80, "https": 443}
    reached = (
        (rest.hostname or "", rest.port or ports.get(rest.scheme, 443)) if addresses[0] else BINANCE_ADDRESS
    )
    settings = BinanceSettings(found["KEY"], found["SECRET"], addresses[0], addresses[1], addresses[2])
    feed = StreamSettings(addresses[0], addresses[1])
    return Connection("binance", settings, feed, (reached,), profile or "", simulated)


def _ibkr(found: Mapping[str, str], profile: str | None) -> Connection:
    numbers = {
        name: _whole(found, name, profile) for name in ("PORT", "CLIENT_ID", "DATA_CLIENT_ID", "SIMULATOR")
    }
    host, port = found.get("HOST", "127.0.0.1"), numbers["PORT"] or PAPER_PORT
    client = numbers["CLIENT_ID"] or 1
    settings = IBKRSettings(host=host, port=port, client_id=client, account=found.get("ACCOUNT", ""))
    feed = IBKRStreamSettings(host=host, port=port, client_id=numbers["DATA_CLIENT_ID"] or 70 + client)
    control = numbers["SIMULATOR"]
    simulated = control is not None and is_loopback(host) and _is_simulator(control, port)
    return Connection("ibkr", settings, feed, ((host, port),), profile or "", simulated)


def _whole(found: Mapping[str, str], name: str, profile: str | None) -> int | None:
    text = found.get(name)
    if text is None:
        return None
    if not text.isdigit():
        raise ConfigError(f"{_variable('ibkr', name, profile)} is no whole number", hint="for example 4002")
    return int(text)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_simulator(control: int, port: int) -> bool:
    """Whether a simulator of ours says that the port is its own: a real gateway is on loopback, too."""
    from brokers.simulators.control import Control

    try:
        return bool(Control(control).state()["port"] == port)
    except (TradewrightError, LookupError, ValueError):
        return False
