"""Frames and fields."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.simulators.tws.codec import MAX_FRAME, Fields, Malformed, encode, read_frame
from brokers.simulators.tws.desk import read_duration, read_time

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def frame_in(content: bytes) -> bytes:
    async def read() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(content)
        reader.feed_eof()
        return await read_frame(reader)

    return asyncio.run(read())


@given(st.lists(TEXT, min_size=1))
def test_what_was_written_is_read(values: list[str]) -> None:
    fields = Fields(frame_in(encode(*values)))
    assert [fields.text() for _ in values] == values
    assert len(fields) == 0


def test_values_are_written_as_the_protocol_wants_them() -> None:
    assert encode(True, None, Decimal("1.50"), 7)[4:] == b"1\x00\x001.50\x007\x00"
    with pytest.raises(Malformed):
        encode("a\0b")


@pytest.mark.parametrize("text", ["", "1.7976931348623157E308", "2147483647", "inf"])
def test_unset_numbers_read_as_none(text: str) -> None:
    assert Fields(f"{text}\0".encode()).number() is None


def test_what_does_not_read_says_so() -> None:
    with pytest.raises(Malformed):
        Fields(b"x\0").number()
    with pytest.raises(Malformed):
        Fields(b"").text()
    with pytest.raises(Malformed):
        frame_in((MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(asyncio.IncompleteReadError):
        frame_in(b"\0\0\0\x05ab")


@pytest.mark.parametrize("text", ["20240131 15:30:00 UTC", "20240131-15:30:00", "20240131 15:30:00"])
def test_times_read(text: str) -> None:
    assert read_time(text) == datetime(2024, 1, 31, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3600 S", timedelta(hours=1)), ("2 D", timedelta(days=2)), ("1 W", timedelta(days=7))],
)
def test_durations_read(text: str, expected: timedelta) -> None:
    assert read_duration(text) == expected


@pytest.mark.parametrize("text", ["", "D", "1", "1 X", "-1 D"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(Malformed):
        read_duration(text)
