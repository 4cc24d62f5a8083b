"""The error tree (P14, P20)."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from decimal import Decimal

import pytest

from core import errors
from core.errors import (
    DataGapError,
    DataQualityError,
    OrderRejected,
    TradewrightError,
    UnknownNameError,
    UserError,
    nearest,
)


def tree(cls: type[TradewrightError] = TradewrightError) -> Iterator[type[TradewrightError]]:
    yield cls
    for child in cls.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_every_class_has_its_own_code_and_says_who_handles_it() -> None:
    """P14"""
    classes = list(tree())
    codes = [cls.code for cls in classes]
    assert len(set(codes)) == len(codes) > 10
    for cls in classes:
        assert "Handler:" in (cls.__doc__ or "") or cls.__subclasses__(), cls
        assert cls.exit_code == (2 if issubclass(cls, UserError) else 1)


def test_an_error_carries_message_hint_context_and_cause() -> None:
    """P14"""

    def write() -> None:
        try:
            raise OSError("disk")
        except OSError as cause:
            raise TradewrightError("cannot write", hint="free some space", path="x") from cause

    with pytest.raises(TradewrightError) as caught:
        write()
    error = caught.value
    assert (error.message, error.hint, error.context) == ("cannot write", "free some space", {"path": "x"})
    assert str(error) == "cannot write; free some space"
    assert isinstance(error.__cause__, OSError)
    assert str(TradewrightError("alone")) == "alone"


@pytest.mark.parametrize(
    "error",
    [
        TradewrightError("m", hint="h", a=1),
        UnknownNameError("strategy", "momentm", ["momentum"]),
        DataQualityError("ohlc", "m", hint="h", row=3),
        DataGapError("m", bars=7),
        OrderRejected("m", rule="size", limit=Decimal(1), value=Decimal(2)),
    ],
)
def test_an_error_comes_whole_out_of_another_process(error: TradewrightError) -> None:
    """P14"""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert copy.__dict__ == error.__dict__
    assert (str(copy), copy.args) == (str(error), error.args)


def test_an_unknown_name_offers_the_nearest_or_all() -> None:
    known = ["range_bound", "momentum"]
    assert str(UnknownNameError("strategy", "momentm", known)) == (
        "unknown strategy 'momentm'; did you mean momentum?"
    )
    assert str(UnknownNameError("strategy", "zzz", known)) == (
        "unknown strategy 'zzz'; known: momentum, range_bound"
    )
    assert str(UnknownNameError("strategy", "zzz", [])) == "unknown strategy 'zzz'; known: none"
    assert UnknownNameError("strategy", "x", known, hint="look").hint == "look"


def test_nearest() -> None:
    assert nearest("comission", ["cash", "commission"]) == "commission"
    assert nearest("zzz", ["cash"]) is None
