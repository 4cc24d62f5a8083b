"""Secrets are found by type, by key name and by pattern (X13, X16)."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr

from core.redact import HIDDEN, is_secret_name, redact, redact_text

KEY = "qZ8vT2mXw4LkP9sRb6Yd"


@pytest.mark.parametrize(
    "name",
    ["api_key", "apiKey", "X-MBX-APIKEY", "API_SECRET", "db_password", "passwd", "token", "accessToken",
     "Authorization", "listenKey", "private_key", "signature", "Set-Cookie"],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert redact({name: KEY}) == {name: HIDDEN}


@pytest.mark.parametrize(
    "name", ["key", "symbol", "cash", "bot", "keyboard", "sign", "passed", "url", 7, None]
)
def test_names_of_other_things(name: object) -> None:
    assert not is_secret_name(name)
    assert redact({name: "GOOG"}) == {name: "GOOG"}


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://user:{KEY}@host/db",
        f"postgresql+psycopg://user:pa@ss/{KEY}@host:5432/db",
        f"redis://:{KEY}@host",
        f"https://{KEY}@github.example/x",
        f"Authorization: Bearer {KEY}",
        f"sent with bearer {KEY}.",
        f"Authorization: Basic {KEY}==",
        f"https://api.example/v3/order?symbol=X&signature={KEY}&t=1",
        f"https://api.example/?apiKey={KEY}",
        f"{{'apiKey': '{KEY}', 'symbol': 'X'}}",
        f'{{"secret": "with \\" quote {KEY}"}}',
        f"X-MBX-APIKEY: {KEY}",
        f"password = '{KEY} and more'",
        f"API_SECRET={KEY}",
        f"https://api.telegram.example/bot1234567890:AA{KEY}-{KEY}/sendMessage",
        f"jwt eyJhbGciOiJI.eyJzdWIiOiIx.{KEY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{KEY}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{KEY}",
    ],
)
def test_patterns_in_text(text: str) -> None:
    hidden = redact_text(f"before {text} after")
    assert KEY not in hidden
    assert HIDDEN in hidden
    assert hidden.startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "sold 3 GOOG at 10.5: stop",
        "http://localhost:8080/path?mail=a@b",
        "sqlite:///runs/tradewright.db",
        "postgresql://alice@localhost/db",
        "2004-08-19T00:00:00+00:00",
        "binance:BTC/USDT:1h",
        "Basic materials sector",
        "",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert redact_text(text) == text


@dataclass
class Login:
    user: str
    password: str


class Model(BaseModel):
    user: str
    pin: SecretStr


def test_types_and_containers() -> None:
    pair = namedtuple("pair", "symbol token")
    value = {
        "pydantic": [SecretStr(KEY), SecretBytes(KEY.encode())],
        "nested": {"list": [{"api_key": KEY}], "tuple": (f"token={KEY}",), "set": {f"token={KEY}"}},
        "bytes": f"password={KEY}".encode(),
        "dataclass": Login("me", KEY),
        "model": Model(user="me", pin=SecretStr(KEY)),
        "error": ValueError(f"postgresql://u:{KEY}@h/d"),
        "named": pair("X", KEY),
        "credentials": {"deep": {"deeper": KEY}},
        f"token={KEY}": 1,
        "pin_token": 123456,
    }
    hidden = redact(value)
    assert KEY not in repr(hidden)
    assert hidden["dataclass"] == {"user": "me", "password": HIDDEN}
    assert hidden["model"] == {"user": "me", "pin": HIDDEN}
    assert hidden["error"] == "ValueError: postgresql://u:***@h/d"
    assert hidden["named"] == ("X", HIDDEN)
    assert hidden["pin_token"] == HIDDEN
    assert KEY in repr(value)


def test_plain_values_pass_unchanged() -> None:
    value = {
        "a": 1,
        "b": 2.5,
        "c": None,
        "d": Decimal("1.50"),
        "e": Path("x"),
        "token": None,
        "secret": "",
        "f": (1,),
    }
    assert redact(value) == value


def test_a_value_that_contains_itself_ends() -> None:
    value: dict[str, Any] = {}
    value["self"] = value
    assert HIDDEN in repr(redact(value))


@pytest.mark.timeout(30)
def test_a_long_text_takes_no_longer_than_its_length() -> None:
    """Patterns are linear: 200,000 characters finish at once, where a quadratic one would take minutes."""
    for text in (
        "a" * 200_000 + " token: x",
        "token" * 40_000 + ":",
        "-" * 200_000 + "token=",
        "://" * 60_000,
    ):
        redact_text(text)


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_redacting_twice_changes_nothing_more(value: Any) -> None:
    once = redact(value)
    assert redact(once) == once
