"""What is done about an error, chosen by its class, in one place; configuration may choose otherwise.

| Recovery | Means |
|---|---|
| retry | ask again, or connect anew: for what only reads |
| fallback | take the next source, or what is kept |
| degrade | no new entries until it is well again; exits go on |
| restart | the session ends, and whoever supervises it starts it again: the start is the recovery |
| halt | the session ends and stays ended, with what protects its positions resting at the venue; a person decides |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache

from core import errors
from core.errors import ConfigError, TradewrightError, UnknownNameError


class Recovery(StrEnum):
    """What is done about an error."""

    RETRY = "retry"
    FALLBACK = "fallback"
    DEGRADE = "degrade"
    RESTART = "restart"
    HALT = "halt"


DEFAULTS: Mapping[type[BaseException], Recovery] = {
    errors.ProviderUnavailable: Recovery.RETRY,
    errors.ProviderError: Recovery.FALLBACK,
    errors.VenueTransient: Recovery.DEGRADE,
    errors.StaleData: Recovery.DEGRADE,
    errors.OutcomeUnknown: Recovery.RESTART,
    errors.StoreError: Recovery.RESTART,
    errors.VenueFatal: Recovery.HALT,
    errors.InconsistentState: Recovery.HALT,
    errors.IllegalTransition: Recovery.HALT,
    errors.UserError: Recovery.HALT,
    errors.TradewrightError: Recovery.HALT,
    OSError: Recovery.RETRY,
}
"""Connections that break and answers that do not come are OSErrors. The nearest class of an error's ancestry counts."""
ONLY_HALT = (errors.InconsistentState, errors.IllegalTransition, errors.UserError)
"""What no setting can make the program go on after."""
HALTED = 2
"""Exit code of a session that is not to be started again; of others that failed: 1."""


class Policy:
    """Which recovery an error gets. overrides: by the code of an error class, for it and those below it.

    Raises ConfigError for what may not be overridden so, UnknownNameError for a code or a recovery there is not.
    """

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        known = {cls.code: cls for cls in _tree(TradewrightError)}
        self._table: dict[type[BaseException], Recovery] = dict(DEFAULTS)
        for code, wanted in (overrides or {}).items():
            if code not in known:
                raise UnknownNameError("error", code, known)
            if wanted not in [*Recovery]:
                raise UnknownNameError("recovery", wanted, [*Recovery])
            self._table[known[code]] = _allowed(known[code], Recovery(wanted))

    def of(self, error: BaseException) -> Recovery:
        """The recovery of the nearest class; HALT for what no class of the table covers."""
        return next((self._table[cls] for cls in type(error).__mro__ if cls in self._table), Recovery.HALT)

    def exit_code(self, error: TradewrightError) -> int:
        """How a session leaves that this error has ended: with `HALTED`, or so that it may be started again."""
        return HALTED if self.of(error) is Recovery.HALT else 1


def recovery_of(error: BaseException) -> Recovery:
    """What is done about it where nothing else is configured."""
    return _unchanged().of(error)


@cache
def _unchanged() -> Policy:
    return Policy()


def parse_overrides(text: str) -> dict[str, str]:
    """`store=halt, venue-transient=restart` as a mapping. Raises ConfigError."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    for code, equals, wanted in pairs:
        if not (code.strip() and equals and wanted.strip()):
            raise ConfigError(
                f"{code.strip() + equals!r} names no error and recovery", hint="write store=halt"
            )
    return {code.strip(): wanted.strip() for code, _, wanted in pairs}


def _allowed(cls: type[TradewrightError], wanted: Recovery) -> Recovery:
    reads = DEFAULTS.get(cls) in (Recovery.RETRY, Recovery.FALLBACK)
    if issubclass(cls, ONLY_HALT) and wanted is not Recovery.HALT:
        raise ConfigError(f"after {cls.code} the program halts, whatever is configured", hint="leave it out")
    if wanted in (Recovery.RETRY, Recovery.FALLBACK) and not reads:
        raise ConfigError(
            f"{cls.code} may have left an effect: it is never answered by {wanted}",
            hint="choose degrade, restart or halt",
        )
    return wanted


def _tree(cls: type[TradewrightError]) -> Iterator[type[TradewrightError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _tree(child)
