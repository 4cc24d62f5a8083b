"""Hide secrets by type, by key name and by pattern, before anything is printed, logged or written.

By type: whatever has `get_secret_value` (pydantic's SecretStr and SecretBytes). By key name: api_key, password,
token and their like. By pattern: passwords in URLs, bearer tokens, signed query strings, private keys.
When in doubt it hides too much: a garbled log line costs less than a published key.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

HIDDEN = "***"
DEEPEST = 20

_NAMES = (
    r"api_?key|access_?key|private_?key|secret|passw(?:or)?d|passphrase|pwd|token|authorization|credential"
    r"|signature|cookie|session_?id|listen_?key"
)
_SECRET_NAME = re.compile(_NAMES.replace("_?", "[_-]?"), re.IGNORECASE)

# All patterns take time linear in the text: runs are possessive, or anchored at their start, or bounded.
_NAME = re.compile(r"(?<![\w-])([\w-]++)[\"']?\s*+[=:]\s*+")
_VALUE = re.compile(
    r"(?:(?:Bearer|Basic|Token|Digest)\s+)?(?:\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?|[^\s&\"']++)",
    re.IGNORECASE | re.DOTALL,
)
# A pattern is tried only where its mark stands in the lower-case text: most text bears none.
_PATTERNS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    (
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        HIDDEN,
    ),
    # scheme://user:password@host; a port followed by a path is not a password.
    ("://", re.compile(r"(://[^\s:/@]*):(?!\d{1,5}[/?#])\S{0,512}@"), rf"\1:{HIDDEN}@"),
    ("://", re.compile(r"(://)[A-Za-z0-9_\-]{20,}@"), rf"\1{HIDDEN}@"),
    ("bearer", re.compile(r"\b(bearer)\s+[^\s\"',;]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (
        "basic ",
        re.compile(r"\b(Basic)\s+(?=\S*\d|\S*=|\S*[a-z][A-Z])[A-Za-z0-9+/]{8,}={0,2}"),
        rf"\1 {HIDDEN}",
    ),
    ("eyj", re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), HIDDEN),
    # Telegram's bot tokens: number, colon, 35 characters.
    (":", re.compile(r"(?<!\d)\d{6,12}:[\w-]{30,}"), HIDDEN),
)
_SHORTEST_SECRET = 8


def is_secret_name(name: object) -> bool:
    """Whether a key of this name holds a secret: `api_key`, `apiKey`, `X-MBX-APIKEY`, `db_password`."""
    return isinstance(name, str) and _is_secret_name(name)


@lru_cache(maxsize=4096)
def _is_secret_name(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str) -> str:
    """The text with every secret that a pattern knows replaced by `***`."""
    if len(text) < _SHORTEST_SECRET:
        return text
    lower = text.lower()
    for mark, pattern, replacement in _PATTERNS:
        if mark in lower:
            text = pattern.sub(replacement, text)
    if ("=" in lower or ":" in lower) and _SECRET_NAME.search(lower):
        return _redact_assignments(text)
    return text


def _redact_assignments(text: str) -> str:
    """Hide the values in `password=...`, `"apiKey": "..."`, `Authorization: Bearer ...`."""
    parts, start, position = [], 0, 0
    while name := _NAME.search(text, position):
        position = name.end()
        value = _VALUE.match(text, position) if _SECRET_NAME.search(name[1]) else None
        if value is not None:
            parts += [text[start:position], HIDDEN]
            start = position = value.end()
    return "".join([*parts, text[start:]])


def redact(value: Any) -> Any:
    """A copy of `value` without secrets: mappings, lists, tuples, sets, dataclasses and pydantic models.

    Models, dataclasses and mappings come back as dicts, exceptions as text; anything else unknown is returned
    as it is. Below a depth of 20 everything is hidden. Numbers, booleans and None are kept, except
    numbers under a secret's name.
    """
    return _redact(value, DEEPEST)


def _redact(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if hasattr(value, "get_secret_value") or depth == 0:
        return HIDDEN
    if isinstance(value, Mapping):
        return {_redact_key(key): _redact_entry(key, item, depth - 1) for key, item in value.items()}
    if isinstance(value, (bytes, bytearray)):
        return redact_text(bytes(value).decode("utf-8", "backslashreplace"))
    if isinstance(value, BaseException):
        return redact_text(f"{type(value).__name__}: {value}")
    fields = _fields(value)
    if fields is not None:
        return {name: _redact_entry(name, item, depth - 1) for name, item in fields.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(
            *(_redact_entry(name, item, depth - 1) for name, item in zip(value._fields, value, strict=True))
        )
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_redact(item, depth - 1) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def _redact_key(key: Any) -> Any:
    return redact_text(key) if isinstance(key, str) else key


def _redact_entry(key: object, item: Any, depth: int) -> Any:
    keep = item is None or isinstance(item, bool) or item == ""
    return HIDDEN if is_secret_name(key) and not keep else _redact(item, depth)


def _fields(value: Any) -> Mapping[str, Any] | None:
    """The fields of a dataclass or a pydantic model, unconverted; None for anything else."""
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    names = getattr(type(value), "model_fields", None)
    if isinstance(names, Mapping) and hasattr(value, "model_dump"):
        return {name: getattr(value, name) for name in names}
    return None
