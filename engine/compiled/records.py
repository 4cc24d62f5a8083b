"""The records compiled kernels keep: orders, positions, fills, notifications, trades and the account.

All are numpy structured types, one array each, so that Python and a kernel read the same memory. Day numbers are
Backtrader's floats (`date2num`); NaN stands for "none". A handle is the index of an order in its array; -1 is none.
Steps count the bars of the run (calls of the strategy), from 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

INTEGER, FLOAT = "i8", "f8"

OPEN, HIGH, LOW, CLOSE, VOLUME, TIME = range(6)
"""Rows of `Book.bars`: prices, volume and the day number of each bar."""

MARKET, CLOSE_ORDER, LIMIT, STOP, STOP_LIMIT, STOP_TRAIL, STOP_TRAIL_LIMIT = range(7)
"""Order kinds, numbered as `backtrader.Order.ExecTypes`."""
CREATED, SUBMITTED, ACCEPTED, PARTIAL, COMPLETED, CANCELED, EXPIRED, MARGIN, REJECTED = range(9)
"""Order states, numbered as `backtrader.Order.Status`; alive is anything up to PARTIAL."""

HAS_PRICE, HAS_LIMIT, HAS_TRAIL_AMOUNT, HAS_TRAIL_PERCENT, NO_COC = 1, 2, 4, 8, 16
"""Bits of `submit`'s `given`: which of its optional numbers the strategy gave (not None); NO_COC says `coc=False`."""

BRACKET_LOST, NOT_EXACT = -1, -2
"""`account.error`: a bracket was sent twice and lost an order in between; the stock broker raises IndexError there.
A size is beyond MOST_UNITS."""
MOST_UNITS = 2.0**53
"""Sizes that Python counts in whole numbers are exact as floats up to here."""

ORDER = np.dtype(
    [
        ("data", INTEGER),  # number of the data
        ("kind", INTEGER),
        ("status", INTEGER),
        ("buy", INTEGER),  # 1 or 0
        ("info", INTEGER),  # code of what the strategy attached (an exit reason), 0 for nothing
        ("parent", INTEGER),  # handle or -1
        ("oco", INTEGER),  # handle of the group's leader (its own when it leads)
        ("transmit", INTEGER),
        ("active", INTEGER),
        ("triggered", INTEGER),
        ("created_step", INTEGER),
        ("size", FLOAT),  # signed, as created
        ("price", FLOAT),  # created.price: the trigger of a trailing order moves it
        ("limit", FLOAT),  # created.pricelimit
        ("limit_offset", FLOAT),
        ("trail_amount", FLOAT),
        ("trail_percent", FLOAT),
        ("close", FLOAT),  # created.pclose
        ("created", FLOAT),  # created.dt
        ("valid", FLOAT),  # NaN: no end
        ("session_end", FLOAT),  # dteos
        ("noted_close", FLOAT),  # pannotated; NaN: none
        ("remaining", FLOAT),  # executed.remsize, signed
        ("filled", FLOAT),  # executed.size, signed
        ("average", FLOAT),  # executed.price
        ("value", FLOAT),  # executed.value
        ("commission", FLOAT),  # executed.comm
        ("pnl", FLOAT),  # executed.pnl
        ("executed", FLOAT),  # executed.dt; NaN: none
        ("first_price", FLOAT),  # price as the order was made (of a trailing order: its first trigger)
        ("first_limit", FLOAT),  # limit as the order was made; NaN: none
        ("noted", INTEGER),  # 1: noted_close was taken
        ("coc", INTEGER),  # 0: the order wants no cheat-on-close
        ("sibling", INTEGER),  # next order of its bracket, -1: none
        (
            "first",
            INTEGER,
        ),  # of the bracket it leads: first order, last order, whether the broker still knows it
        ("last", INTEGER),
        ("family", INTEGER),
        ("joined", INTEGER),  # the round of its OCO group it joined in
        ("round", INTEGER),  # of the OCO group it leads: the round under way, and how many joined in it
        ("members", INTEGER),
    ]
)

NOTE = np.dtype(
    [
        ("order", INTEGER),
        ("status", INTEGER),
        ("step", INTEGER),  # the step it is delivered on
        ("fill_from", INTEGER),  # fills this notification brings: fills[fill_from:fill_to]
        ("fill_to", INTEGER),
        ("price", FLOAT),
        ("limit", FLOAT),
        ("remaining", FLOAT),
        ("filled", FLOAT),
        ("average", FLOAT),
        ("value", FLOAT),
        ("commission", FLOAT),
        ("pnl", FLOAT),
        ("executed", FLOAT),
    ]
)
"""What the clone that `notify_order` gets knows; everything else of an order never changes."""

FILL = np.dtype(
    [
        ("order", INTEGER),
        ("data", INTEGER),
        ("step", INTEGER),
        ("time", FLOAT),
        ("size", FLOAT),  # signed
        ("price", FLOAT),
        ("closed", FLOAT),
        ("closed_value", FLOAT),
        ("closed_commission", FLOAT),
        ("opened", FLOAT),
        ("opened_value", FLOAT),
        ("opened_commission", FLOAT),
        ("pnl", FLOAT),
        ("position_size", FLOAT),
        ("position_price", FLOAT),
    ]
)

TRADE = np.dtype(
    [
        ("data", INTEGER),
        ("ref", INTEGER),  # counts from 1 within the run
        ("status", INTEGER),  # 0 created, 1 open, 2 closed
        ("just_opened", INTEGER),
        ("long", INTEGER),
        ("open_bar", INTEGER),  # len(data) when it opened, as Backtrader notes it on delivery
        ("close_bar", INTEGER),
        ("bars", INTEGER),  # barlen
        ("step", INTEGER),  # the step the notification is delivered on
        ("opened", FLOAT),  # dtopen
        ("closed", FLOAT),  # dtclose
        ("size", FLOAT),
        ("price", FLOAT),
        ("value", FLOAT),
        ("commission", FLOAT),
        ("pnl", FLOAT),
        ("pnl_net", FLOAT),  # pnlcomm
    ]
)
"""One record a notification of `notify_trade`: the state of the trade's clone."""

POSITION = np.dtype(
    [
        ("size", FLOAT),
        ("price", FLOAT),
        ("adjust_base", FLOAT),  # adjbase; NaN: none
        ("credit", FLOAT),  # interest not yet assigned to a profit (d_credit)
        ("credit_time", FLOAT),  # day number interest was last charged on
        ("touched", INTEGER),  # 1: the broker keeps a position for this data
        ("checked", INTEGER),  # 1: the cash check under way has a trial position, which is
        ("check_size", FLOAT),
        ("check_price", FLOAT),
        ("nth", INTEGER),  # of the whole array: the datas in the order they were touched
    ]
)

ACCOUNT = np.dtype(
    [
        ("cash", FLOAT),
        ("value", FLOAT),  # as of the last broker step
        ("orders", INTEGER),  # how many of each were made
        ("fills", INTEGER),
        ("notes", INTEGER),
        ("trades", INTEGER),
        ("refs", INTEGER),  # trade refs handed out
        ("pending", INTEGER),  # orders the broker has in hand (submitted, pending, waiting to be activated)
        ("touched", INTEGER),  # datas the broker keeps a position for
        ("overflow", INTEGER),  # 1: an array is full; run again with larger ones
        ("error", INTEGER),  # an error code of the kernel; 0: none
        ("held", INTEGER),  # the data of the only position, if its value follows from the close alone; or:
    ]
)
NONE_HELD, SEVERAL_HELD = -1, -2
"""`account.held`: no position; several, or one that costs or pays from bar to bar."""

RULES = np.dtype(
    [
        ("slip_perc", FLOAT),
        ("slip_fixed", FLOAT),
        ("slip_open", INTEGER),
        ("slip_match", INTEGER),
        ("slip_limit", INTEGER),
        ("slip_out", INTEGER),
        ("coc", INTEGER),
        ("coo", INTEGER),
        ("checksubmit", INTEGER),
        ("shortcash", INTEGER),
        ("int2pnl", INTEGER),
    ]
)
"""`BackBroker.params`, one for one."""

SCHEME = np.dtype(
    [
        ("commission", FLOAT),
        ("mult", FLOAT),
        ("margin", FLOAT),  # NaN: None
        ("automargin", FLOAT),
        ("stocklike", INTEGER),
        ("percent", INTEGER),  # 1: a fraction of the value, 0: a fixed amount a unit
        ("leverage", FLOAT),
        ("interest", FLOAT),
        ("interest_long", INTEGER),
    ]
)
"""One `CommInfoBase` a data, after its own normalisation (percabs, margin, stocklike)."""


QUEUE = np.dtype([("pending", INTEGER), ("sent", INTEGER), ("waiting", INTEGER)])
"""One place in each of the broker's queues of handles: accepted; sent; children to be activated at the next step."""

DESK = np.dtype(
    [
        *(
            (name, INTEGER)
            for name in ("here", "account", "rules", "schemes", "positions", "orders", "notes", "fills")
        ),
        *(
            (name, INTEGER)
            for name in ("trades", "bars", "lengths", "at", "queues", "open_trades", "sessions")
        ),
        ("orders_room", INTEGER),
        ("notes_room", INTEGER),
        ("fills_room", INTEGER),
        ("trades_room", INTEGER),
        ("queues_room", INTEGER),
        ("datas", INTEGER),
        ("bars_room", INTEGER),  # the padded length of the bars
        ("pending_from", INTEGER),  # the queue of accepted orders is pending[pending_from:pending_to]
        ("pending_to", INTEGER),
        ("sent_to", INTEGER),
        ("waiting_to", INTEGER),
        ("delivered", INTEGER),  # notifications handed out
        ("interest", INTEGER),  # 1: a scheme charges interest
        ("code", INTEGER),  # where the addresses of the broker's entries are
    ]
)
"""Where the arrays of a `Book` are in memory (first two lines), how long they are, and the broker's counters."""


class Book(NamedTuple):
    """Everything the broker of one run keeps. `bars[d, ROW, i]` is padded beyond `lengths[d]`.

    at[d]: index of the current bar of data d, -1 before its first. The last arrays are the broker's own queues.
    """

    account: NDArray[np.void]  # 1
    rules: NDArray[np.void]  # 1
    schemes: NDArray[np.void]  # datas
    positions: NDArray[np.void]  # datas
    orders: NDArray[np.void]
    notes: NDArray[np.void]
    fills: NDArray[np.void]
    trades: NDArray[np.void]
    bars: NDArray[np.float64]  # datas, 6, bars
    lengths: NDArray[np.int64]  # datas
    at: NDArray[np.int64]  # datas
    queues: NDArray[np.void]  # the broker's own
    open_trades: NDArray[np.void]  # datas: the trade under way or last closed; ref 0: none yet
    sessions: NDArray[np.float64]  # datas, 3: when sessions end, see `broker.session`
    desk: NDArray[np.void]  # 1: addresses of all these: never copy, pickle or `_replace` a book, make another
