"""Frames and fields of the TWS socket protocol.

A frame is four bytes of length, big-endian, and that many bytes: text fields, each closed by a NUL. The first field is
the number of the message. Unset numbers are empty, or the largest float or integer.
"""

from __future__ import annotations

import asyncio
import struct
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

Value: TypeAlias = str | int | float | Decimal | bool | None

MAX_FRAME = 16 * 1024 * 1024
UNSET_INTEGER = 2**31 - 1
UNSET_DOUBLE = Decimal("1.7976931348623157E+308")


class Malformed(ValueError):
    """A message that does not read as its number says."""


def text_of(value: Value) -> str:
    """A value as the protocol writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def encode(*values: Value) -> bytes:
    """One frame holding these fields."""
    fields = [text_of(value) for value in values]
    if any("\0" in field for field in fields):
        raise Malformed("a field holds a NUL")
    return framed("".join(f"{field}\0" for field in fields).encode())


def framed(content: bytes) -> bytes:
    """`content` behind its length."""
    return struct.pack(">I", len(content)) + content


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The content of the next frame. Raises IncompleteReadError at the end of the stream."""
    (length,) = struct.unpack(">I", await reader.readexactly(4))
    if length > MAX_FRAME:
        raise Malformed(f"a frame of {length} bytes")
    return await reader.readexactly(length)


def stamp(time: datetime, zone: str = "UTC") -> str:
    """A time as executions and orders carry it: `20240131 15:30:00 UTC`; the time is taken to be in that zone."""
    return f"{time:%Y%m%d %H:%M:%S} {zone}"


class Fields:
    """The fields of one message, read from front to back."""

    def __init__(self, content: bytes) -> None:
        parts = content.decode(errors="backslashreplace").split("\0")
        self._values = parts[:-1] if parts and not parts[-1] else parts
        self._at = 0

    def __len__(self) -> int:
        return len(self._values) - self._at

    @classmethod
    def of(cls, other: Fields) -> Fields:
        """The fields another has not read yet, to read them twice."""
        copy = cls(b"")
        copy._values = other.peek()
        return copy

    def peek(self) -> list[str]:
        """The fields not read yet."""
        return self._values[self._at :]

    def text(self) -> str:
        """The next field as it stands."""
        if self._at >= len(self._values):
            raise Malformed(f"the message ends after {len(self._values)} fields")
        self._at += 1
        return self._values[self._at - 1]

    def integer(self) -> int:
        """The next field as a whole number; 0 when it is unset."""
        value = self.number()
        return 0 if value is None else int(value)

    def number(self) -> Decimal | None:
        """The next field as a number; None when it is unset."""
        return parse_number(self.text())

    def flag(self) -> bool:
        """The next field as a truth value."""
        return self.integer() != 0

    def skip(self, count: int) -> None:
        """Pass over `count` fields."""
        for _ in range(count):
            self.text()

    def take(self, names: str) -> dict[str, str]:
        """The next fields under these names, which are separated by blanks."""
        return {name: self.text() for name in names.split()}


def parse_number(text: str) -> Decimal | None:
    """A number as the protocol writes it; None when it is unset."""
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise Malformed(f"{text!r} is not a number") from error
    if not value.is_finite() or value >= UNSET_DOUBLE or value == UNSET_INTEGER:
        return None
    return value
