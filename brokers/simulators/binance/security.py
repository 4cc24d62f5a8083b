"""Who asks, and whether in time: API keys, HMAC signatures, timestamps."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from brokers.simulators.binance.errors import BinanceError, about
from brokers.simulators.binance.requests import Params, integer

DEFAULT_WINDOW = 5_000
LONGEST_WINDOW = 60_000
AHEAD = 1_000


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key pair, the account it opens, and what it may do there besides reading."""

    key: str
    secret: str
    account: str
    trades: bool = True
    withdraws: bool = False


def signed(secret: str, payload: str) -> str:
    """The HMAC-SHA-256 signature of a payload, in hex."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def check_signed(keys: Mapping[str, ApiKey], key: str, payload: str, params: Params, now: int) -> ApiKey:
    """The key a request was signed with; raises BinanceError for a wrong one, or a request out of time.

    payload: what the signature covers. now: the server's time in milliseconds.
    """
    known = check_key(keys, key)
    timestamp = integer(params, "timestamp")
    if timestamp is None:
        raise about(-1102, "timestamp")
    if not params.get("signature"):
        raise about(-1102, "signature")
    if not hmac.compare_digest(signed(known.secret, payload), params["signature"]):
        raise BinanceError(-1022)
    check_time(timestamp, integer(params, "recvWindow"), now)
    return known


def check_key(keys: Mapping[str, ApiKey], key: str) -> ApiKey:
    """The key of that name."""
    if not key:
        raise BinanceError(-2014, status=401)
    if key not in keys:
        raise BinanceError(-2015, status=401)
    return keys[key]


def check_time(timestamp: int, window: int | None, now: int) -> None:
    """Raise BinanceError for a request that is ahead of the server, or came too late."""
    window = DEFAULT_WINDOW if window is None else window
    if window > LONGEST_WINDOW:
        raise BinanceError(-1131)
    if timestamp > now + AHEAD:
        raise BinanceError(-1021, f"Timestamp for this request was {AHEAD}ms ahead of the server's time.")
    if now - timestamp > window:
        raise BinanceError(-1021)
