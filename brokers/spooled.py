"""A journal that goes on while its database does not: what protects is spooled, and taken over when it is back.

While the database takes nothing, each group of writes goes to a `store.spool.Spool`, durable before anybody acts on it;
no entry leaves (see `Executor.submit`), what only reduces a position does. The database is asked again with the next
write, a second later at the earliest. Then everything is repeated there in its order, in one transaction; a session
that starts does that before anything else. Repeating what the database has after all changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from brokers.journal import Journal, JournalledEvent, JournalledOrder
from core.errors import StoreError, StoreUnavailable
from core.plain import decode_field, encode
from core.telemetry import get_logger
from core.types import Attempt, Fill, OrderEvent, OrderIntent, OrderStatus
from store.spool import Spool

RETRY_SECONDS = 1.0
STOP = {"client_id": str, "symbol": str, "trigger": Decimal, "limit": Decimal, "high_water": Decimal}
OPERATIONS: Mapping[str, Mapping[str, type]] = {
    "record_intent": {"intent": OrderIntent, "step": int},
    "record_rejection": {"client_id": str, "reason": str, "bar": datetime, "step": int},
    "record_cancel": {"client_id": str, "step": int},
    "record_attempt": {"attempt": Attempt},
    "append_event": {"event": OrderEvent, "bar": datetime, "step": int, "between_bars": bool},
    "save_stop": {**STOP, "step": int},
    "record_quiet": {"step": int},
    "save_state": {"step": int, "state": dict},
    "save_risk": {"name": str, "value": dict},
    "book": {"fill": Fill, "intent": OrderIntent},
}
"""Every write, with the types of its arguments."""
OF_AN_EVENT = ("save_stop", "book")
"""What follows from the event before it, and is not done again where the database has that."""

log = get_logger("brokers.spooled")


class KeptJournal(Journal, Protocol):
    """What is needed of `store.Journal`."""

    def save_state(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep the strategy's state."""
        ...

    def state(self) -> tuple[int, dict[str, Any]] | None:
        """The state last kept."""
        ...

    def save_risk(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep what a limit has used up."""
        ...

    def record_attempt(self, attempt: Attempt) -> None:
        """Write down the next price of an entry that is worked."""
        ...

    def attempts(self) -> list[Attempt]:
        """Every such price."""
        ...


class Books(Protocol):
    """What is needed of `brokers.bookkeeping.Bookkeeper`."""

    def reload(self) -> None:
        """Read the open trades again."""
        ...

    def book(self, fill: Fill, intent: OrderIntent) -> None:
        """Take one fill in."""
        ...


class SpooledJournal:
    """`journal`, and `spool` where that takes nothing. `open` it first. down: whether writes go to the spool now."""

    def __init__(
        self,
        journal: KeptJournal,
        spool: Spool,
        books: Books,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.down = False
        self._journal, self._spool, self._books, self._monotonic = journal, spool, books, monotonic
        self._lock = threading.RLock()
        self._group: list[tuple[str, dict[str, Any]]] | None = None
        self._failure: StoreError | None = None
        self._ask_again_at = 0.0
        self._own_sequence = 0
        self._writes: Mapping[str, Callable[..., Any]] = {
            **{name: getattr(journal, name) for name in OPERATIONS if name != "book"},
            "book": books.book,
        }

    def open(self) -> None:
        """Take over what an earlier session had to spool. Raises StoreError."""
        self._spool.open()
        if self._spool.entries:
            self._take_over()
        self._own_sequence = min((each.event.sequence for each in self._journal.events()), default=0)

    @property
    def file(self) -> Path:
        """Where the spool is."""
        return self._spool.path

    def close(self) -> int:
        """Ask the database once more; how many groups of writes are left to the next session."""
        with self._lock:
            if self.down and self._spool.is_open:
                self._ask_again_at = 0.0
                self._is_back()
            self._spool.close()
            return len(self._spool.entries)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group several writes into one durable whole, in the database or in the spool; see `store.Journal`."""
        with self._lock:
            if self._group is not None:
                yield
                return
            group = self._group = []
            self._failure = None
            inner = self._begin()
            try:
                yield
            except BaseException as error:
                if inner is not None:
                    with suppress(StoreError):
                        inner.__exit__(type(error), error, error.__traceback__)
                raise
            finally:
                self._group = None
            if not self._commit(inner) and group:
                self._spool.append([[name, _encode(given)] for name, given in group])

    # -- writes

    def record_intent(self, intent: OrderIntent, *, step: int) -> bool:
        """See `store.Journal`."""
        return bool(self._write("record_intent", True, intent=intent, step=step))

    def record_rejection(self, client_id: str, reason: str, *, bar: datetime, step: int) -> OrderEvent:
        """See `store.Journal`."""
        expected = OrderEvent(self._own_sequence - 1, client_id, OrderStatus.REJECTED, bar, reason=reason)
        given = {"client_id": client_id, "reason": reason, "bar": bar, "step": step}
        event: OrderEvent = self._write("record_rejection", expected, **given)
        self._own_sequence = min(self._own_sequence, event.sequence)
        return event

    def record_cancel(self, client_id: str, *, step: int) -> None:
        """See `store.Journal`."""
        self._write("record_cancel", None, client_id=client_id, step=step)

    def record_attempt(self, attempt: Attempt) -> None:
        """See `store.Journal`."""
        self._write("record_attempt", None, attempt=attempt)

    def append_event(
        self, event: OrderEvent, *, bar: datetime, step: int, between_bars: bool = False
    ) -> bool:
        """See `store.Journal`; while the database is away, nobody checks that the order may take this step."""
        given = {"event": event, "bar": bar, "step": step, "between_bars": between_bars}
        return bool(self._write("append_event", True, **given))

    def save_stop(
        self,
        client_id: str,
        symbol: str,
        trigger: Decimal | None,
        limit: Decimal | None,
        high_water: Decimal | None,
        step: int,
    ) -> None:
        """See `store.Journal`."""
        level = {"trigger": trigger, "limit": limit, "high_water": high_water}
        self._write("save_stop", None, client_id=client_id, symbol=symbol, **level, step=step)

    def record_quiet(self, step: int) -> None:
        """See `store.Journal`."""
        self._write("record_quiet", None, step=step)

    def save_state(self, step: int, state: Mapping[str, Any]) -> None:
        """See `store.Journal`."""
        self._write("save_state", None, step=step, state=dict(state))

    def save_risk(self, name: str, value: Mapping[str, Any]) -> None:
        """See `store.Journal`."""
        self._write("save_risk", None, name=name, value=dict(value))

    def book(self, fill: Fill, intent: OrderIntent) -> None:
        """See `Bookkeeper.book`."""
        self._write("book", None, fill=fill, intent=intent)

    # -- what is on record; asked before anything can be in the spool

    def orders(self) -> Sequence[JournalledOrder]:
        """See `store.Journal`."""
        return self._journal.orders()

    def cancels(self) -> Set[tuple[str, int]]:
        """See `store.Journal`."""
        return self._journal.cancels()

    def events(self) -> Sequence[JournalledEvent]:
        """See `store.Journal`."""
        return self._journal.events()

    def last_sequence(self) -> int:
        """See `store.Journal`."""
        return self._journal.last_sequence()

    def quiet_step(self) -> int:
        """See `store.Journal`."""
        return self._journal.quiet_step()

    def last_step(self) -> int:
        """See `store.Journal`."""
        return self._journal.last_step()

    def attempts(self) -> list[Attempt]:
        """See `store.Journal`."""
        return self._journal.attempts()

    def state(self) -> tuple[int, dict[str, Any]] | None:
        """See `store.Journal`."""
        return self._journal.state()

    # -- the database, while it is there

    def _write(self, operation: str, assumed: Any, /, **given: Any) -> Any:
        with self.transaction():
            if self._group is not None:
                self._group.append((operation, given))
            if not self.down:
                try:
                    return self._writes[operation](**given)
                except StoreUnavailable as error:
                    self._lose(error)
            return assumed

    def _begin(self) -> AbstractContextManager[object] | None:
        if self.down and not self._is_back():
            return None
        try:
            inner = self._journal.transaction()
            inner.__enter__()
        except StoreUnavailable as error:
            self._lose(error)
            return None
        return inner

    def _commit(self, inner: AbstractContextManager[object] | None) -> bool:
        if inner is None:
            return False
        failure = self._failure
        if failure is not None:
            with suppress(StoreError):
                inner.__exit__(type(failure), failure, failure.__traceback__)
            return False
        try:
            inner.__exit__(None, None, None)
        except StoreUnavailable as error:
            self._lose(error)
            return False
        return True

    def _lose(self, error: StoreUnavailable) -> None:
        self.down, self._failure = True, error
        self._ask_again_at = self._monotonic() + RETRY_SECONDS
        log.critical("journal.lost", reason=error.message, spool=str(self._spool.path), entries_refused=True)

    def _is_back(self) -> bool:
        if self._monotonic() < self._ask_again_at:
            return False
        try:
            self._take_over()
        except StoreUnavailable:
            self._ask_again_at = self._monotonic() + RETRY_SECONDS
            return False
        self.down = False
        return True

    def _take_over(self) -> None:
        """Repeat in the database what the spool has, whole or not at all."""
        self._books.reload()
        groups = self._spool.entries
        with self._journal.transaction():
            for group in groups:
                self._repeat(group)
        self._spool.clear()
        log.warning("journal.taken_over", groups=len(groups))

    def _repeat(self, group: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        new = True
        for name, spooled in group:
            given = {key: decode_field(kind, spooled[key]) for key, kind in OPERATIONS[name].items()}
            if name in OF_AN_EVENT and not new:
                continue
            if name == "record_attempt" and given["attempt"] in self._journal.attempts():
                continue
            done = self._writes[name](**given)
            if name == "append_event":
                new = bool(done)


def _encode(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: encode(value) for name, value in given.items()}
