"""The write-ahead journal of one run: intents before the venue hears of them, events before anyone acts on them.

Every writing method is one durable commit when it returns, or part of the `transaction()` it is called in.
`step` numbers the turns of a run: the calls of the order path in their order (see `brokers.executor`).
Methods may be called from any thread; a transaction belongs to the thread that opened it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Executable, bindparam, func, select, union_all, update

from core.errors import IllegalTransition, InconsistentState, UnknownNameError
from core.types import TERMINAL, Attempt, Fill, OrderEvent, OrderIntent, OrderStatus
from store import rows
from store.columns import restorable
from store.database import Database
from store.models import (
    FillRow,
    Order,
    OrderAttempt,
    OrderCancel,
    OrderEventRow,
    QuietTurn,
    RiskState,
    Run,
    Stop,
    StrategyState,
)
from store.orders import JournalledEvent, OrderRecord, StopRecord, advance
from store.prepared import Prepared, Row, insert_new, upsert

_ORDERS, _EVENTS, _FILLS = (rows.table(model) for model in (Order, OrderEventRow, FillRow))
_CANCELS, _STOPS, _ATTEMPTS = rows.table(OrderCancel), rows.table(Stop), rows.table(OrderAttempt)
_STATES, _RISK, _RUNS = rows.table(StrategyState), rows.table(RiskState), rows.table(Run)
_QUIET = rows.table(QuietTurn)
_QUIET_OF_RUN = select(_QUIET.c.step).where(_QUIET.c.run_id == bindparam("run_id"))

_KEY = (_ORDERS.c.run_id == bindparam("run_id"), _ORDERS.c.client_id == bindparam("client_id"))
_ORDER = Prepared(select(_ORDERS).where(*_KEY))
_ADD_ORDER = Prepared(lambda dialect: insert_new(_ORDERS, dialect))
_ADD_EVENT, _ADD_FILL = Prepared(_EVENTS.insert()), Prepared(_FILLS.insert())
_ADD_CANCEL = Prepared(lambda dialect: insert_new(_CANCELS, dialect))
_ADD_ATTEMPT = Prepared(_ATTEMPTS.insert())
_ORDERS_OF_RUN = select(_ORDERS).where(_ORDERS.c.run_id == bindparam("run_id")).order_by(_ORDERS.c.id)
_OPEN_ORDERS = _ORDERS_OF_RUN.where(_ORDERS.c.status.not_in(sorted(TERMINAL)))
# One look before an event is written: where its order stands, and whether it or its fill is already there.
_BEFORE = Prepared(
    select(
        *(_ORDERS.c[name] for name in ("id", "sent", *rows.STANDING)),
        select(func.count())
        .where(_EVENTS.c.run_id == bindparam("run_id"), _EVENTS.c.sequence == bindparam("sequence"))
        .scalar_subquery()
        .label("events"),
        select(func.count())
        .where(_FILLS.c.run_id == bindparam("run_id"), _FILLS.c.fill_id == bindparam("fill_id"))
        .scalar_subquery()
        .label("fills"),
    ).where(*_KEY)
)
_MOVE = Prepared(update(_ORDERS).where(_ORDERS.c.id == bindparam("key")))
_EVENTS_OF_RUN = (
    select(
        _EVENTS,
        _ORDERS.c.client_id,
        *(_FILLS.c[name].label(label) for name, label in rows.FILL.items()),
    )
    .join(_ORDERS, _ORDERS.c.id == _EVENTS.c.order_id)
    .outerjoin(_FILLS, _FILLS.c.event_id == _EVENTS.c.id)
    .where(_EVENTS.c.run_id == bindparam("run_id"))
    .order_by(_EVENTS.c.id)
)
_EVENT = _EVENTS_OF_RUN.where(_EVENTS.c.sequence == bindparam("sequence"))
_EVENT_OF_FILL = _EVENTS_OF_RUN.where(_FILLS.c.fill_id == bindparam("fill_id"))
_SEQUENCES = select(
    func.max(_EVENTS.c.sequence).label("last"), func.min(_EVENTS.c.sequence).label("first")
).where(_EVENTS.c.run_id == bindparam("run_id"))
_STEPS = union_all(
    select(func.max(_ORDERS.c.step).label("step")).where(_ORDERS.c.run_id == bindparam("run_id")),
    select(func.max(_EVENTS.c.step)).where(_EVENTS.c.run_id == bindparam("run_id")),
    select(func.max(_CANCELS.c.step))
    .join(_ORDERS, _ORDERS.c.id == _CANCELS.c.order_id)
    .where(_ORDERS.c.run_id == bindparam("run_id")),
    _QUIET_OF_RUN,
)
_CANCELS_OF_RUN = (
    select(_ORDERS.c.client_id, _CANCELS.c.step)
    .join(_ORDERS, _ORDERS.c.id == _CANCELS.c.order_id)
    .where(_ORDERS.c.run_id == bindparam("run_id"))
)
_ATTEMPTS_OF_RUN = (
    select(_ORDERS.c.client_id, _ATTEMPTS)
    .join(_ORDERS, _ORDERS.c.id == _ATTEMPTS.c.order_id)
    .where(_ORDERS.c.run_id == bindparam("run_id"))
    .order_by(_ATTEMPTS.c.id)
)
_LEVEL = ("symbol", "trigger_price", "limit_price", "high_water", "step")
_KEEP_STOP = Prepared(lambda dialect: upsert(_STOPS, _LEVEL, dialect, also={"changes": _STOPS.c.changes + 1}))
_KEEP_STATE = Prepared(lambda dialect: upsert(_STATES, ("step", "state"), dialect))
_KEEP_RISK = Prepared(lambda dialect: upsert(_RISK, ("value",), dialect))
_KEEP_QUIET = Prepared(lambda dialect: upsert(_QUIET, ("step",), dialect))


class Journal:
    """Orders, events, fills, stops and states of one run; see `Store.journal`.

    down: never: what cannot be committed raises. `brokers.spooled` goes on.
    """

    down = False

    def __init__(self, database: Database, run_id: str) -> None:
        self._database = database
        self.run_id = run_id
        run = database.row(select(_RUNS.c.bot).where(_RUNS.c.run_id == bindparam("run_id")), self._run)
        if run is None:
            raise UnknownNameError("run", run_id, (), hint="create it first with store.runs.create")
        self.bot = str(run["bot"])

    @property
    def _run(self) -> dict[str, Any]:
        return {"run_id": self.run_id}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Group several writes into one durable commit; an exception undoes all of them.

        Inner calls join. Await nothing inside: another task of the same thread would join as well.
        """
        with self._database.transaction():
            yield

    # Orders

    def record_intent(self, intent: OrderIntent, *, step: int) -> bool:
        """Write an order down before the venue is asked.

        False when it is already there with the same content; InconsistentState when the content differs.
        """
        values = rows.new_order_values(intent) | {"run_id": self.run_id, "step": step}
        with self._database.transaction():
            if self._database.write(_ADD_ORDER, values):
                return True
            known = rows.intent(self._order_row(intent.client_id))
        if known != intent:
            raise InconsistentState(
                f"order {intent.client_id} is already in the journal with other content",
                hint="the strategy, its data or its parameters changed since; start a new run",
                client_id=intent.client_id,
            )
        return False

    def order(self, client_id: str) -> OrderRecord | None:
        """One order, or None when the journal does not have it."""
        row = self._database.row(_ORDER, self._run | {"client_id": client_id})
        return None if row is None else rows.order_record(row)

    def _order_row(self, client_id: str) -> Row:
        row = self._database.row(_ORDER, self._run | {"client_id": client_id})
        if row is None:
            raise self._unknown_order(client_id)
        return row

    def orders(self) -> list[OrderRecord]:
        """All orders, in order of recording."""
        return [rows.order_record(row) for row in self._database.rows(_ORDERS_OF_RUN, self._run)]

    def open_orders(self) -> list[OrderRecord]:
        """Orders to which something can still happen, in order of recording; those never sent are among them."""
        return [rows.order_record(row) for row in self._database.rows(_OPEN_ORDERS, self._run)]

    def intents(self) -> list[OrderIntent]:
        """All intents exactly as they were made, in order of recording."""
        return [order.intent for order in self.orders()]

    def record_cancel(self, client_id: str, *, step: int) -> None:
        """Write down that a cancel was asked for, before the venue is; repeating it changes nothing."""
        with self._database.transaction():
            values = {"order_id": self._order_row(client_id)["id"], "step": step}
            self._database.write(_ADD_CANCEL, values)

    def cancels(self) -> set[tuple[str, int]]:
        """(client id, step) of every cancel asked for."""
        found = self._database.rows(_CANCELS_OF_RUN, self._run)
        return {(str(row["client_id"]), int(row["step"])) for row in found}

    def record_attempt(self, attempt: Attempt) -> None:
        """Write down the next price of an entry that is worked, before the venue hears of it."""
        with self._database.transaction():
            order = self._order_row(attempt.client_id)["id"]
            self._database.insert(_ADD_ATTEMPT, rows.attempt_values(attempt) | {"order_id": order})

    def attempts(self) -> list[Attempt]:
        """Every price at which entries were worked, in order of recording."""
        return [rows.attempt(row) for row in self._database.rows(_ATTEMPTS_OF_RUN, self._run)]

    # Events

    def append_event(
        self, event: OrderEvent, *, bar: datetime, step: int, between_bars: bool = False
    ) -> bool:
        """Write down what the venue said, with its fill, and move the order.

        bar, step: time of the bar and number of the turn at which the strategy is told; between_bars: it is told
        after that bar and before the next. False when the sequence number or the fill is
        already there. Raises IllegalTransition for a step that does not exist, InconsistentState when the
        event contradicts what is stored.
        """
        fill_id = event.fill.fill_id if event.fill else ""
        key = self._run | {"client_id": event.client_id, "sequence": event.sequence, "fill_id": fill_id}
        with self._database.transaction():
            before = self._database.row(_BEFORE, key)
            if before is None:
                raise self._unknown_order(event.client_id)
            if before["events"] or before["fills"]:
                self._check_repeat(event, repeated=_EVENT if before["events"] else _EVENT_OF_FILL, key=key)
                return False
            moved = advance(rows.standing(before), event)
            self._append(event, order=int(before["id"]), bar=bar, step=step, between_bars=between_bars)
            self._database.write(_MOVE, {"key": before["id"], "sent": True} | rows.standing_values(moved))
            return True

    def _append(
        self, event: OrderEvent, *, order: int, bar: datetime, step: int, between_bars: bool = False
    ) -> None:
        place = self._run | {"order_id": order}
        told = {"bar": bar, "step": step, "between_bars": between_bars}
        event_id = self._database.insert(_ADD_EVENT, rows.event_values(event) | place | told)
        if event.fill is not None:
            self._database.insert(_ADD_FILL, rows.fill_values(event.fill) | place | {"event_id": event_id})

    def _check_repeat(self, event: OrderEvent, *, repeated: Executable, key: Mapping[str, Any]) -> None:
        known = rows.journalled_event(self._database.rows(repeated, key)[0]).event
        said, say = ((one.client_id, one.status, one.kind) for one in (known, event))
        if known.fill != event.fill or (known.sequence == event.sequence and said != say):
            raise InconsistentState(
                f"event {event.sequence} of order {event.client_id} differs from the one in the journal",
                hint="compare the journal with the venue before going on",
                client_id=event.client_id,
                sequence=event.sequence,
            )

    def record_rejection(self, client_id: str, reason: str, *, bar: datetime, step: int) -> OrderEvent:
        """Write down that our own risk checks refused an intent, before the venue heard of it.

        Returns the event, which has a negative sequence and the bar's time. Refusing it again returns the
        first refusal.
        """
        with self._database.transaction():
            row = self._order_row(client_id)
            standing = rows.standing(row)
            if standing.status is OrderStatus.REJECTED:
                return next(item.event for item in self.events() if item.event.client_id == client_id)
            if standing.status is not OrderStatus.INTENT:
                raise IllegalTransition(
                    f"order {client_id} is {standing.status} and cannot be refused any more",
                    client_id=client_id,
                )
            event = OrderEvent(self._own_sequence(), client_id, OrderStatus.REJECTED, bar, reason=reason)
            self._append(event, order=row["id"], bar=bar, step=step)
            self._database.write(_MOVE, {"key": row["id"], "status": OrderStatus.REJECTED})
            return event

    def _own_sequence(self) -> int:
        numbers = self._database.row(_SEQUENCES, self._run)
        return min(0, (numbers and numbers["first"]) or 0) - 1

    def events(self) -> list[JournalledEvent]:
        """Everything appended, refusals of our own among them, in order of appending."""
        return [rows.journalled_event(row) for row in self._database.rows(_EVENTS_OF_RUN, self._run)]

    def fills(self) -> list[Fill]:
        """All fills, in order of appending."""
        return [item.event.fill for item in self.events() if item.event.fill is not None]

    def last_sequence(self) -> int:
        """Number of the last event of the venue, 0 before the first."""
        numbers = self._database.row(_SEQUENCES, self._run)
        return max(0, (numbers and numbers["last"]) or 0)

    def last_step(self) -> int:
        """The largest turn of any intent, event, cancel or silence, 0 before the first."""
        return max((row["step"] or 0 for row in self._database.rows(_STEPS, self._run)), default=0)

    def record_quiet(self, step: int) -> None:
        """Write down that the strategy was told of nothing in this turn, in place of the one before."""
        self._database.write(_KEEP_QUIET, self._run | {"step": step})

    def quiet_step(self) -> int:
        """The last turn that was written down as quiet, 0 before the first."""
        row = self._database.row(_QUIET_OF_RUN, self._run)
        return 0 if row is None else int(row["step"])

    # States

    def save_state(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep the strategy's state as of `step`, in place of the one before.

        StrategyError when a value would not read back the same (a set, a key that is no text).
        """
        self._database.write(_KEEP_STATE, self._run | {"step": step, "state": restorable(state)})

    def state(self) -> tuple[int, dict[str, Any]] | None:
        """The last state kept and its step, or None."""
        row = self._database.row(select(_STATES).where(_STATES.c.run_id == bindparam("run_id")), self._run)
        return None if row is None else (int(row["step"]), dict(row["state"]))

    def save_stop(
        self,
        client_id: str,
        symbol: str,
        trigger: Decimal | None,
        limit: Decimal | None,
        high_water: Decimal | None,
        step: int,
    ) -> None:
        """Keep the level a protective order stands at now; `high_water` is the best price it has trailed."""
        level = {"trigger_price": trigger, "limit_price": limit, "high_water": high_water}
        key = self._run | {"client_id": client_id}
        self._database.write(_KEEP_STOP, key | level | {"symbol": symbol, "step": step, "changes": 0})

    def stops(self) -> dict[str, StopRecord]:
        """The last level of every protective order, by client id; orders long closed are among them."""
        found = self._database.rows(
            select(_STOPS).where(_STOPS.c.run_id == bindparam("run_id")).order_by(_STOPS.c.client_id),
            self._run,
        )
        return {row["client_id"]: rows.stop_record(row) for row in found}

    def save_risk(self, name: str, value: Mapping[str, Any]) -> None:
        """Keep what a limit of this run's bot has used up; a later run of the bot finds it again."""
        self._database.write(
            _KEEP_RISK, {"bot": self.bot, "name": name, "value": restorable(value, where=name)}
        )

    def risk(self, bot: str | None = None) -> dict[str, dict[str, Any]]:
        """What each limit of a bot (this run's, unless another is named) has used up, by name."""
        query = select(_RISK).where(_RISK.c.bot == bindparam("bot")).order_by(_RISK.c.name)
        return {
            row["name"]: dict(row["value"]) for row in self._database.rows(query, {"bot": bot or self.bot})
        }

    def _unknown_order(self, client_id: str) -> InconsistentState:
        return InconsistentState(
            f"order {client_id} is not in the journal of run {self.run_id}",
            hint="compare the journal with the venue before going on",
            client_id=client_id,
        )
