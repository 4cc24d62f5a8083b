"""The progress line: what it says, and that it keeps out of the way of what is printed."""

from __future__ import annotations

import io
import threading

import pytest

from core.progress import ERASE, ProgressLine

SECONDS = 30


class Screen(io.StringIO):
    """A stream that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._written = threading.Condition()

    def write(self, text: str) -> int:
        with self._written:
            count = super().write(text)
            self._written.notify_all()
        return count

    def wait_for(self, text: str, times: int = 1) -> None:
        with self._written:
            assert self._written.wait_for(lambda: self.getvalue().count(text) >= times, SECONDS), (
                self.getvalue()
            )


def shown(text: str) -> str:
    """What a terminal would show."""
    return "\n".join(line.rpartition(ERASE)[2] for line in text.split("\n"))


@pytest.mark.parametrize(
    ("done", "total", "seconds", "expected"),
    [
        (0, 1047, 3, f"replaying {'─' * 30}      0 of 1,047"),
        (524, 1048, 60, f"replaying {'━' * 15}{'─' * 15}    524 of 1,048  about 1 min 00 s left"),
        (1, 200, 60, f"replaying {'─' * 30}    1 of 200  about 3 h 19 min left"),
        (7, 7, 5, f"replaying {'━' * 30}  7 of 7  finishing"),
        (0, None, 5, "replaying ... 5 s"),
    ],
)
def test_text(done: int, total: int | None, seconds: float, expected: str) -> None:
    line = ProgressLine(Screen(), "replaying", total)
    line.advance(done)
    assert line.text(seconds, 200) == expected
    assert line.text(seconds, 20) == expected[:19], "never wider than the terminal, which would wrap it"


def test_what_is_printed_stands_above_it() -> None:
    screen = Screen()
    with ProgressLine(screen, "replaying", 10, patience=0) as line:
        out = line.above(screen)
        screen.wait_for("0 of 10")
        print("a fill", file=out)
        line.advance(4)
        screen.wait_for(" 4 of 10")
        print("another", file=out)
    assert shown(screen.getvalue()) == "a fill\nanother\n"


def test_it_waits_for_the_end_of_a_line() -> None:
    screen = io.StringIO()
    line = ProgressLine(screen, "replaying", 10)
    out = line.above(screen)
    line.draw()
    out.write("half a ")
    line.draw()
    assert screen.getvalue().count("replaying") == 1
    out.write("line\n")
    line.draw()
    assert shown(screen.getvalue()).startswith("half a line\nreplaying")


def test_another_stream_stays_that_stream() -> None:
    screen, out = Screen(), io.StringIO()
    with ProgressLine(screen, "replaying", 10, patience=0) as line:
        screen.wait_for("replaying")
        print("a fill", file=line.above(out))
    assert out.getvalue() == "a fill\n"
    assert "a fill" not in screen.getvalue()
    assert line.above(out).getvalue() == "a fill\n", "everything else is the stream's own"  # type: ignore[attr-defined]
