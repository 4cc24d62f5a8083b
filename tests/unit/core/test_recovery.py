"""What is done about an error follows from its class (P17)."""

from __future__ import annotations

import pytest

from core import errors
from core.config import LiveSettings
from core.errors import ConfigError, TradewrightError, UnknownNameError
from core.recovery import HALTED, Policy, Recovery, parse_overrides, recovery_of


class GatewayAway(errors.VenueTransient):
    """A class of later, not in the table. Handler: as its parent."""

    code = "gateway-away"


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (errors.ProviderUnavailable("503"), Recovery.RETRY),
        (ConnectionResetError(), Recovery.RETRY),
        (TimeoutError(), Recovery.RETRY),
        (errors.ProviderError("no such symbol"), Recovery.FALLBACK),
        (errors.VenueTransient("busy"), Recovery.DEGRADE),
        (GatewayAway("logged out"), Recovery.DEGRADE),
        (errors.StaleData("silent"), Recovery.DEGRADE),
        (errors.OutcomeUnknown("lost"), Recovery.RESTART),
        (errors.StoreError("locked"), Recovery.RESTART),
        (errors.VenueFatal("key"), Recovery.HALT),
        (errors.InconsistentState("drift"), Recovery.HALT),
        (errors.DataGapError("hole"), Recovery.HALT),
        (ZeroDivisionError(), Recovery.HALT),
    ],
    ids=lambda value: getattr(value, "code", str(value)),
)
def test_the_nearest_class_decides(error: BaseException, wanted: Recovery) -> None:
    """P17"""
    assert recovery_of(error) is wanted


def test_configuration_may_choose_otherwise_for_a_class_and_those_below_it() -> None:
    """P17"""
    policy = Policy(parse_overrides("store=halt, venue-transient = restart"))
    assert policy.of(errors.StoreError("full")) is Recovery.HALT
    assert policy.of(GatewayAway("logged out")) is Recovery.RESTART
    assert policy.of(errors.VenueFatal("key")) is Recovery.HALT


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inconsistent-state=restart", "the program halts, whatever is configured"),
        ("config=restart", "the program halts, whatever is configured"),
        ("outcome-unknown=retry", "may have left an effect: it is never answered by retry"),
        ("venue-transient=retry", "may have left an effect"),
        ("stroe=halt", "did you mean store"),
        ("store=hatl", "did you mean halt"),
        ("store", "names no error and recovery"),
    ],
)
def test_what_may_not_be_configured_is_said(text: str, said: str) -> None:
    """P17: nothing that may have an effect is ever repeated, and nothing goes on after a contradiction."""
    with pytest.raises(ConfigError if "did you" not in said else UnknownNameError, match=said):
        Policy(parse_overrides(text))
    with pytest.raises(ValueError, match=said):
        LiveSettings(recovery=text)


def test_a_session_that_halts_is_not_started_again() -> None:
    """P17: exit code 2 tells whoever supervises it."""
    policy = Policy({"store": "halt"})
    codes = {
        error.code: policy.exit_code(error)
        for error in (errors.StoreError("x"), errors.OutcomeUnknown("x"), errors.VenueFatal("x"))
    }
    assert codes == {"store": HALTED, "outcome-unknown": 1, "venue-fatal": HALTED}


def test_every_class_is_covered() -> None:
    """P17"""

    def tree(cls: type[TradewrightError]) -> list[type[TradewrightError]]:
        return [cls, *(below for child in cls.__subclasses__() for below in tree(child))]

    policy = Policy()
    for cls in tree(TradewrightError):
        assert policy.of(cls.__new__(cls, "x")) in Recovery
