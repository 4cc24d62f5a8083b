"""One tree of errors; each class says who handles it.

Every error carries a stable `code`, the facts (`context`), and a `hint`: what the reader can do.
Commands print `message` and `hint` on one line and leave with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, ClassVar


class TradewrightError(Exception):
    """Base of every error this project raises. Handler: the command line, which prints it and exits."""

    code: ClassVar[str] = "tradewright"
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "", **context: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context = context

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Subclasses take other arguments; errors must come whole out of a worker process all the same.
        return _rebuild, (type(self), self.message, self.__dict__)


class UserError(TradewrightError):
    """What was asked for cannot be done as asked. Handler: the command line, exit code 2, nothing written."""

    code = "user"
    exit_code = 2


class ConfigError(UserError):
    """Configuration is wrong or incomplete. Handler: refuse to start."""

    code = "config"


class UnknownNameError(UserError):
    """A name is not known; the message offers the nearest. Handler: the command line."""

    code = "unknown-name"

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        choices = sorted(known)
        near = nearest(name, choices)
        advice = hint or (f"did you mean {near}?" if near else f"known: {', '.join(choices) or 'none'}")
        super().__init__(f"unknown {kind} {name!r}", hint=advice, kind=kind, name=name, nearest=near)
        self.nearest = near


class StrategyError(UserError):
    """A strategy or its parameters cannot be used. Handler: the command line."""

    code = "strategy"


class DataError(UserError):
    """Market data cannot be used as it is. Handler: fail fast, before anything runs."""

    code = "data"


class DataQualityError(DataError):
    """A named validation check refused the bars. Handler: fail fast, before anything runs."""

    code = "data-quality"

    def __init__(self, check: str, message: str, *, hint: str = "", **context: Any) -> None:
        super().__init__(message, hint=hint, check=check, **context)
        self.check = check


class DataGapError(DataQualityError):
    """Bars are missing for longer than the limit. Handler: fail fast, before anything runs."""

    code = "data-gap"

    def __init__(self, message: str, *, hint: str = "", **context: Any) -> None:
        super().__init__("gap", message, hint=hint, **context)


class ProviderError(TradewrightError):
    """A data provider did not give what was asked for. Handler: the next provider, or the cache, and say so."""

    code = "provider"


class ProviderUnavailable(ProviderError):
    """A data provider does not answer just now. Handler: retry the read; then as any ProviderError."""

    code = "provider-unavailable"


class StoreError(TradewrightError):
    """The database cannot be used. Handler: no new orders; the command line explains."""

    code = "store"


class StoreUnavailable(StoreError):
    """The database takes nothing just now: gone, locked, its disk full. Handler: the journal, which spools what protects."""

    code = "store-unavailable"


class StoreVersionError(UserError):
    """The database was written by a newer version. Handler: refuse to start."""

    code = "store-version"


class TradingError(TradewrightError):
    """Base of everything that can go wrong between a decision and a fill."""

    code = "trading"


class OrderRejected(TradingError):
    """A pre-trade check or the venue refused. Handler: the executor journals it and goes on."""

    code = "order-rejected"

    def __init__(
        self, reason: str, *, rule: str = "venue", limit: Decimal | None = None, value: Decimal | None = None
    ) -> None:
        super().__init__(reason, rule=rule, limit=limit, value=value)
        self.rule = rule
        self.limit = limit
        self.value = value


class OutcomeUnknown(TradingError):
    """Nobody can say whether the venue took the order. Handler: query by client id, never resend."""

    code = "outcome-unknown"


class VenueTransient(TradingError):
    """The venue could not answer just now. Handler: retry reads only."""

    code = "venue-transient"


class StaleData(TradingError):
    """Nothing was heard for too long of what decisions rest on. Handler: the session blocks new entries meanwhile."""

    code = "stale-data"


class VenueFatal(TradingError):
    """The venue will not serve this account. Handler: halt new orders, alert."""

    code = "venue-fatal"


class IllegalTransition(TradingError):
    """A stored order or trade would take a step that does not exist. Handler: halt."""

    code = "illegal-transition"


class InconsistentState(TradingError):
    """Journal, venue and strategy disagree. Handler: halt; a person decides."""

    code = "inconsistent-state"


def _rebuild(cls: type[TradewrightError], message: str, state: dict[str, Any]) -> TradewrightError:
    error = cls.__new__(cls, message)
    error.args = (message,)
    error.__dict__.update(state)
    return error


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None when nothing is close."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return found[0] if found else None
