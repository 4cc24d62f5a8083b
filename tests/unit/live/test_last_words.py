"""What a bot said last."""

from __future__ import annotations

from pathlib import Path

from live.last_words import LastWords, last_words, read_last_words

ERROR = '{"error": {"code": "config", "message": "no key", "hint": "set it"}}'
LEFT = '{"run": "r", "left": {"held": {"AAPL": 1.0}, "resting": 2}}'


def test_the_error_it_reported_counts_and_not_the_line_after_it() -> None:
    assert last_words([ERROR, "python -m live.run: no key"], 2) == LastWords("config", "no key; set it")


def test_a_death_without_an_error_is_named_with_the_last_line() -> None:
    assert last_words(["Traceback", "ZeroDivisionError"], 1).text == "exit code 1: ZeroDivisionError"
    assert last_words([], -9) == LastWords(None, "ended by SIGKILL")
    assert last_words([LEFT], -9).left is None


def test_what_it_left_is_in_its_result() -> None:
    left = last_words([LEFT, "2 [not json", "[]"], 0)
    assert left == LastWords(left={"held": {"AAPL": 1.0}, "resting": 2})
    assert last_words([], 0) == LastWords()


def test_secrets_are_hidden() -> None:
    assert "planted" not in last_words(["postgresql://me:plantedSecret@host/x refused"], 1).text


def test_only_this_life_counts(tmp_path: Path) -> None:
    output = tmp_path / "output.log"
    output.write_text(f"{ERROR}\nkilled\n")
    assert read_last_words(output, len(ERROR) + 1, 1).code is None
    assert read_last_words(output, 0, 1).code == "config"
    assert read_last_words(tmp_path / "gone", 0, 1).text == "exit code 1"
