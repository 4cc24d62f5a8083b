"""IBKR's messages in any order, told twice or lost: the same orders, fills and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.ibkr_book import IBKRBook
from brokers.ibkr_orders import IBOrder, Listed, Stage, new_order, order_fields
from brokers.ibkr_words import Completed
from brokers.venue_log import VenueLog
from core.errors import InconsistentState, OrderRejected
from core.plain import encode
from core.types import EventKind, Instrument, OrderEvent, OrderIntent, OrderStatus, OrderType, Side

NOW = datetime(2024, 1, 2, 15, tzinfo=UTC)
D = Decimal
S = OrderStatus
ABC = Listed(None, Instrument("ABC", lot_size=D(1)), ((D(0), D("0.01")), (D(100), D("0.05"))))
API_CLIENT, ORDER_ID, PERM_ID = 7, 12, 900
Message = Callable[[IBKRBook], None]


def intent(client_id: str = "a", **changes: Any) -> OrderIntent:
    given = {"type": OrderType.LIMIT, "size": D(10), "price": D(90), "reference_price": D(95), **changes}
    return OrderIntent(client_id, "ABC", given.pop("side", Side.BUY), bar_time=NOW, leg=0, **given)


class Written(VenueLog[IBOrder]):
    """A log that knows how each order reads on disk, and how often it was written."""

    def __init__(self) -> None:
        super().__init__(None, IBOrder)
        self.texts: dict[str, object] = {}
        self.writes = 0

    def commit(self, events: Sequence[OrderEvent], orders: Iterable[tuple[str, IBOrder]]) -> None:
        changed = list(orders)
        self.writes += len(changed)
        self.texts.update((client_id, encode(order)) for client_id, order in changed)
        super().commit(events, changed)

    @property
    def whole(self) -> bool:
        return self.texts == {client_id: encode(order) for client_id, order in self.orders.items()}


def book_with(*intents: OrderIntent) -> IBKRBook:
    book = IBKRBook(Written(), lambda: NOW, API_CLIENT)
    for number, each in enumerate(intents):
        order = new_order(each, ABC, book.orders)
        book.note(order)
        book.place({order.client_id: ORDER_ID + number}, [order])
    return book


def written(book: IBKRBook) -> Written:
    assert isinstance(book._log, Written)
    return book._log


def statuses(book: IBKRBook, client_id: str = "a") -> list[OrderStatus]:
    book.flush()
    events = book._log.events
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    return [e.status for e in events if e.client_id == client_id and e.kind is EventKind.STATUS]


def opened(ref: str = "a", **fields: Any) -> Message:
    told = {
        "orderRef": ref,
        "permId": PERM_ID,
        "orderId": ORDER_ID,
        "clientId": API_CLIENT,
        "whatIf": False,
        "totalQuantity": 10.0,
        "lmtPrice": 90.0,
        "auxPrice": 0.0,
        "trailStopPrice": 1.7976931348623157e308,
        **fields,
    }
    return lambda book: book.open_order(
        told["orderId"], None, SimpleNamespace(**told), SimpleNamespace(status="Submitted")
    )


def status(word: str, filled: float, perm_id: int = PERM_ID) -> Message:
    return lambda book: book.order_status(
        ORDER_ID, word, filled, 10 - filled, 90.0, perm_id, 0, 90.0, API_CLIENT, ""
    )


def executed(number: int, shares: float, so_far: float, **fields: Any) -> Message:
    told = {
        "execId": f"0001.{number:04}.01.01",
        "orderRef": "a",
        "permId": PERM_ID,
        "clientId": API_CLIENT,
        "orderId": ORDER_ID,
        "cumQty": so_far,
        "side": "BOT",
        "shares": shares,
        "price": 90.0,
        "time": NOW,
        **fields,
    }
    contract = SimpleNamespace(symbol="ABC")
    return lambda book: book.execution(-1, contract, SimpleNamespace(**told))


def charged(number: int, fee: float) -> Message:
    report = SimpleNamespace(execId=f"0001.{number:04}.01.01", commission=fee, currency="USD")
    return lambda book: book.commission(report)


def completed(word: str, filled: float) -> Message:
    order = SimpleNamespace(orderRef="a", permId=PERM_ID, filledQuantity=filled)
    state = SimpleNamespace(status=word, warningText="", completedStatus="")
    return lambda book: book.completed_order(Completed.of(None, order, state))


WHOLE = (
    opened(),
    status("Submitted", 0),
    executed(1, 4, 4),
    charged(1, 1.0),
    status("Submitted", 4),
    executed(2, 6, 10),
    charged(2, 0.5),
    status("Filled", 10),
    completed("Filled", 10),
)


@given(st.permutations(range(len(WHOLE))), st.lists(st.sampled_from(range(len(WHOLE))), max_size=12))
def test_any_order_and_any_repetition_ends_alike(order: list[int], again: list[int]) -> None:
    book = book_with(intent())
    for place in (*order, *again):
        WHOLE[place](book)
        book.flush()
        assert written(book).whole
    told = statuses(book)
    assert told[:2] == [S.SUBMITTED, S.ACCEPTED]
    assert told[2:] == [S.PARTIAL, S.FILLED]
    fills = [event.fill for event in book._log.events if event.fill is not None]
    assert sorted((fill.size, fill.commission) for fill in fills) == [(D(4), D(1)), (D(6), D("0.5"))]
    assert book.incomplete == []


def test_a_review_writes_nothing_of_an_order_that_it_has_no_news_of() -> None:
    book = book_with(intent(), intent("waits"))
    waits = opened(ref="waits", permId=PERM_ID + 1, orderId=ORDER_ID + 1)
    for message in (*WHOLE, waits):
        message(book)
    book.flush()
    before = written(book).writes
    for _ in range(3):
        book.begin_review()
        for message in (waits, *WHOLE[2:]):
            message(book)
        book.end_review()
        book.flush()
    assert written(book).writes == before
    waits = opened(ref="waits", permId=PERM_ID + 1, orderId=ORDER_ID + 1, lmtPrice=89.0)
    waits(book)
    book.flush()
    assert (written(book).writes, written(book).whole) == (before + 1, True)


@pytest.mark.parametrize("message", [opened(totalQuantity=9.0), completed("Cancelled", 0)])
@pytest.mark.parametrize("error", [(202, "cancelled"), (104, "not changed"), (10999, "unheard of")])
def test_all_that_is_learned_is_written(message: Message, error: tuple[int, str]) -> None:
    book = book_with(intent())
    book.error(ORDER_ID, *error)
    book.flush()
    assert written(book).whole
    message(book)
    book.begin_review()
    book.end_review()
    book.flush()
    assert written(book).whole


def test_order_ids_of_a_former_connection_are_forgotten() -> None:
    book = book_with(intent())
    opened()(book)
    assert book.orders["a"].order_id == ORDER_ID
    again = IBKRBook(book._log, lambda: NOW, API_CLIENT)
    assert again.orders["a"].order_id == 0
    opened(orderId=ORDER_ID + 5)(again)
    again.flush()
    assert again.orders["a"].order_id == ORDER_ID + 5
    assert written(book).whole


@given(st.permutations([status("Cancelled", 4), executed(1, 4, 4), charged(1, 1.0), opened()]))
def test_an_end_is_told_after_the_last_execution(messages: list[Message]) -> None:
    book = book_with(intent())
    for message in messages:
        message(book)
    assert statuses(book) == [S.SUBMITTED, S.ACCEPTED, S.PARTIAL, S.CANCELLED]


def test_what_is_missing_is_known_to_be_missing() -> None:
    book = book_with(intent())
    status("Filled", 10)(book)
    assert (statuses(book), book.incomplete) == ([S.SUBMITTED, S.ACCEPTED], ["a"])
    executed(1, 10, 10)(book)
    assert book.incomplete == ["a"]
    charged(1, 1.0)(book)
    assert (statuses(book)[-1], book.incomplete) == (S.FILLED, [])


def test_an_order_id_that_was_handed_out_again_finds_nobody() -> None:
    book = book_with(intent())
    opened()(book)
    book.disconnected()
    status("Cancelled", 0, perm_id=555)(book)
    book.error(ORDER_ID, 201, "somebody else's")
    executed(9, 10, 10, orderRef="other", permId=555)(book)
    opened(ref="other", permId=555)(book)
    assert statuses(book) == [S.SUBMITTED, S.ACCEPTED]
    assert [other.order_ref for other in book.external] == ["other"]
    assert book.orders["a"].order_id == 0


def test_the_id_of_another_client_is_not_ours() -> None:
    book = book_with(intent())
    book.disconnected()
    opened(clientId=API_CLIENT + 1, orderId=77)(book)
    assert book.orders["a"].order_id == 0
    assert statuses(book) == [S.SUBMITTED, S.ACCEPTED]


def test_two_orders_under_one_reference_stop_everything() -> None:
    book = book_with(intent())
    opened()(book)
    with pytest.raises(InconsistentState, match="two orders"):
        opened(permId=PERM_ID + 1)(book)


def test_a_correction_is_not_a_second_fill() -> None:
    book = book_with(intent())
    executed(1, 10, 10)(book)
    charged(1, 1.0)(book)
    book.flush()
    executed(1, 9, 9, execId="0001.0001.01.02")(book)
    assert statuses(book) == [S.SUBMITTED, S.ACCEPTED, S.FILLED]


@pytest.mark.parametrize(
    ("code", "text", "end"),
    [
        (201, "Order rejected - reason:MUST EXCEED THE INITIAL MARGIN", S.MARGIN),
        (201, "Order rejected - reason:contract is not tradable", S.REJECTED),
        (110, "The price does not conform", S.REJECTED),
    ],
)
def test_a_refused_order_ends_with_its_reason(code: int, text: str, end: OrderStatus) -> None:
    book = book_with(intent())
    book.error(ORDER_ID, code, text)
    assert statuses(book) == [S.SUBMITTED, end]
    assert book._log.events[-1].reason == f"{code}: {text}"


@pytest.mark.parametrize("code", [399, 404, 2109, 2137])
def test_a_notice_ends_nothing(code: int) -> None:
    book = book_with(intent())
    book.error(ORDER_ID, code, "a notice")
    assert statuses(book) == []
    opened()(book)
    assert statuses(book) == [S.SUBMITTED, S.ACCEPTED]


def test_a_review_tells_absent_from_gone() -> None:
    book = book_with(intent("sent"), intent("known"), intent("refused"))
    opened(ref="known")(book)
    book.error(ORDER_ID + 2, 10999, "unheard of")
    book.begin_review()
    book.end_review()
    stages = {name: order.stage for name, order in book.orders.items()}
    assert stages == {"sent": Stage.ABSENT, "known": Stage.GONE, "refused": Stage.KNOWN}
    assert statuses(book, "refused") == [S.SUBMITTED, S.REJECTED]
    assert statuses(book, "sent") == []


def test_of_an_order_given_up_only_fills_are_told() -> None:
    book = book_with(intent())
    book.begin_review()
    book.end_review()
    opened()(book)
    assert (statuses(book), book.revived) == ([], ["a"])
    executed(1, 10, 10)(book)
    charged(1, 1.0)(book)
    assert statuses(book) == [S.FILLED]


def test_exits_larger_than_their_entry_are_known() -> None:
    book = book_with(intent(), intent("stop", side=Side.SELL, type=OrderType.STOP, parent="a"))
    opened()(book)
    opened(ref="stop", permId=PERM_ID + 1, orderId=ORDER_ID + 1)(book)
    executed(1, 4, 4)(book)
    charged(1, 1.0)(book)
    assert book.oversized() == []
    status("Cancelled", 4)(book)
    assert book.oversized() == [("stop", D(4))]
    opened(ref="stop", permId=PERM_ID + 1, orderId=ORDER_ID + 1, totalQuantity=4.0)(book)
    assert book.oversized() == []


def test_an_order_placed_during_a_review_is_not_absent() -> None:
    book = book_with()
    book.begin_review()
    order = new_order(intent(), ABC, book.orders)
    book.note(order)
    book.place({order.client_id: ORDER_ID}, [order])
    book.end_review()
    assert order.stage is Stage.SENT


def test_prices_stand_on_the_step_of_their_range() -> None:
    assert ABC.limit(D("99.999"), Side.BUY) == D("99.99")
    assert ABC.limit(D("100.01"), Side.SELL) == D("100.05")
    assert ABC.trigger(D("100.02")) == D("100.00")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"orderType": "LMT", "lmtPrice": 90.0, "tif": "GTC", "ocaGroup": "a-group", "ocaType": 2}),
        ({"type": OrderType.MARKET}, {"orderType": "MKT", "tif": "DAY"}),
        ({"type": OrderType.STOP}, {"orderType": "STP", "auxPrice": 90.0}),
        (
            {"type": OrderType.STOP_LIMIT, "limit": D(91)},
            {"orderType": "STP LMT", "auxPrice": 90.0, "lmtPrice": 91.0},
        ),
        (
            {"type": OrderType.STOP_TRAIL, "side": Side.SELL, "trail_percent": D("0.1")},
            {"orderType": "TRAIL", "trailingPercent": 10.0, "trailStopPrice": 81.0},
        ),
        (
            {"type": OrderType.STOP_TRAIL_LIMIT, "side": Side.SELL, "trail_amount": D(2), "limit": D(89)},
            {"orderType": "TRAIL LIMIT", "auxPrice": 2.0, "trailStopPrice": 88.0, "lmtPriceOffset": 1.0},
        ),
        ({"expires_at": NOW}, {"tif": "GTD", "goodTillDate": "20240102-15:00:00"}),
        ({"type": OrderType.CLOSE, "session_end": NOW}, {"orderType": "MOC", "tif": "DAY"}),
    ],
)
def test_an_order_in_ibkr_s_words(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    order = new_order(intent(**changes), ABC, {})
    fields = order_fields(order, ABC, account="DU1", parent=0, transmit=True)
    assert fields | expected == fields
    assert (fields["orderRef"], fields["totalQuantity"], fields["account"]) == ("a", 10.0, "DU1")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"size": D(0)}, "size"),
        ({"size": D("NaN")}, "size"),
        ({"size": D("1.5")}, "lot"),
        ({"price": D(-1)}, "price"),
        ({"type": OrderType.STOP_TRAIL}, "trail"),
        ({"oco": "nobody"}, "link"),
        ({"parent": "nobody"}, "link"),
    ],
)
def test_an_order_without_sense_is_refused_by_its_rule(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(OrderRejected) as refused:
        new_order(intent(**changes), ABC, {})
    assert refused.value.rule == rule
