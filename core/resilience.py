"""Reads that are asked again, and a breaker that spares who does not answer: stamina and purgatory, on our terms.

    @resilient(on=(ProviderUnavailable,))
    def fetch(...): ...

Only what reads may be repeated: an order that is sent again may fill twice. `resilient` therefore takes nothing
whose name is not a reading verb.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar, cast

from core.errors import ProviderUnavailable, TradewrightError, VenueTransient
from core.instruments import PROVIDER
from core.telemetry import get_logger

READING = frozenset({"ask", "download", "fetch", "find", "list", "load", "look", "ping", "query", "read"})
"""What the name of a function that may be repeated begins with."""
TRANSIENT: tuple[type[Exception], ...] = (VenueTransient, ProviderUnavailable, ConnectionError, TimeoutError)
"""Errors after which the same question may well be answered."""

F = TypeVar("F", bound=Callable[..., Any])
Retryable = tuple[type[Exception], ...] | Callable[[Exception], bool]

log = get_logger("core.resilience")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to ask again; times in seconds.

    attempts: in all. first: the pause before the second, doubled each time, at most `longest`; up to `jitter` comes on
    top, by chance. seconds: once they have passed, no further attempt begins.
    """

    attempts: int = 3
    first: float = 0.25
    longest: float = 5.0
    jitter: float = 0.25
    seconds: float = 30.0


ONCE_MORE = Schedule()


class Breaker:
    """Stops asking for `seconds` after `failures` in a row; then one call finds out, and closes it or opens it again.

    on: what counts as a failure; other errors are answers, and count as neither. error: what is raised meanwhile.
    Usable from several threads.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 3,
        seconds: float = 30.0,
        on: tuple[type[Exception], ...] = TRANSIENT,
        error: type[TradewrightError] = ProviderUnavailable,
    ) -> None:
        from purgatory.domain.model import Context

        self.name = name
        self._on = on
        self._error = error
        self._context = Context(name, failures, seconds)
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """closed, opened or half-opened."""
        return str(self._context.state)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """One call. Raises `error` while it is open."""
        self._let_in()
        try:
            yield
        except self._on as error:
            with self._lock:
                self._context.handle_exception(error)
                self._say()
            raise
        with self._lock:
            self._context.handle_end_request()
            self._say()

    def _let_in(self) -> None:
        from purgatory.domain.model import OpenedState

        with self._lock:
            try:
                self._context.handle_new_request()
                return
            except OpenedState:
                context = self._context
        raise self._error(
            f"{self.name} failed {context.threshold} times in a row: not asked for {context.ttl:g} s"
        )

    def _say(self) -> None:
        """Log how the state changed; purgatory keeps messages of it."""
        states = [message.state for message in self._context.messages if hasattr(message, "state")]
        self._context.messages.clear()
        for state in states:
            (log.info if state == "closed" else log.warning)("breaker", name=self.name, state=state)
            resting = PROVIDER.gauge("provider_resting", "1 while it is not asked, for it failed", "name")
            resting.labels(self.name).set(state == "opened")


def resilient(
    *, on: Retryable = TRANSIENT, schedule: Schedule = ONCE_MORE, breaker: Breaker | None = None
) -> Callable[[F], F]:
    """Repeat a function that reads, synchronous or not, while it fails with what `on` names; its last error comes out.

    on: classes, or what says of an error whether to ask again. breaker: all attempts together are one call of it.
    Raises ValueError, as the module is imported, for a function whose name does not say that it reads.
    """

    def decorate(function: F) -> F:
        _refuse_what_acts(function.__name__)

        @wraps(function)
        def again(*args: Any, **kwargs: Any) -> Any:
            with _guard(breaker):
                for attempt in _attempts(on, schedule):
                    with attempt:
                        return function(*args, **kwargs)

        @wraps(function)
        async def again_later(*args: Any, **kwargs: Any) -> Any:
            with _guard(breaker):
                async for attempt in _attempts(on, schedule):
                    with attempt:
                        return await function(*args, **kwargs)

        return cast(F, again_later if iscoroutinefunction(function) else again)

    return decorate


def _refuse_what_acts(name: str) -> None:
    if name.strip("_").split("_")[0] not in READING:
        raise ValueError(
            f"{name} may have an effect and is never repeated; what only reads begins with {', '.join(sorted(READING))}"
        )


def _guard(breaker: Breaker | None) -> AbstractContextManager[None]:
    return nullcontext() if breaker is None else breaker()


def _attempts(on: Retryable, schedule: Schedule) -> Any:
    return _stamina().retry_context(
        on=on,
        attempts=schedule.attempts,
        timeout=schedule.seconds,
        wait_initial=schedule.first,
        wait_max=schedule.longest,
        wait_jitter=schedule.jitter,
    )


@cache
def _stamina() -> Any:
    """The library, told to log as we do."""
    import stamina
    from stamina.instrumentation import set_on_retry_hooks

    set_on_retry_hooks([_note])
    return stamina


def _note(details: Any) -> None:
    repeated = PROVIDER.counter("provider_reads_repeated", "reads asked again, by what failed", "error")
    repeated.labels(type(details.caused_by).__name__).inc()
    log.info(
        "read.again",
        attempt=details.retry_num,
        seconds=details.wait_for,
        reason=repr(details.caused_by)[:200],
    )
