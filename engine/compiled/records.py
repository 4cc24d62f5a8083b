"""The records compiled kernels keep: orders, positions, fills, notifications, trades and the account.

All are numpy structured types, one array each, so that Python and a kernel read the same memory. Day numbers are
Backtrader's floats (`date2num`); NaN stands for "none". A handle is the index of an order in its array; -1 is none.
Steps count the bars of the run (calls of the strategy), from 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

I, F = "i8", "f8"

OPEN, HIGH, LOW, CLOSE, VOLUME, TIME = range(6)
"""Rows of `Book.bars`: prices, volume and the day number of each bar."""

MARKET, CLOSE_ORDER, LIMIT, STOP, STOP_LIMIT, STOP_TRAIL, STOP_TRAIL_LIMIT = range(7)
"""Order kinds, numbered as `backtrader.Order.ExecTypes`."""
CREATED, SUBMITTED, ACCEPTED, PARTIAL, COMPLETED, CANCELED, EXPIRED, MARGIN, REJECTED = range(9)
"""Order states, numbered as `backtrader.Order.Status`; alive is anything up to PARTIAL."""

HAS_PRICE, HAS_LIMIT, HAS_TRAIL_AMOUNT, HAS_TRAIL_PERCENT, NO_COC = 1, 2, 4, 8, 16
"""Bits of `submit`'s `given`: which of its optional numbers the strategy gave (not None); NO_COC says `coc=False`."""

BRACKET_LOST = -1
"""`account.error`: a bracket was sent twice and lost an order in between; the stock broker raises IndexError there."""

ORDER = np.dtype(
    [
        ("data", I),  # number of the data
        ("kind", I),
        ("status", I),
        ("buy", I),  # 1 or 0
        ("info", I),  # code of what the strategy attached (an exit reason), 0 for nothing
        ("parent", I),  # handle or -1
        ("oco", I),  # handle of the group's leader (its own when it leads)
        ("transmit", I),
        ("active", I),
        ("triggered", I),
        ("created_step", I),
        ("size", F),  # signed, as created
        ("price", F),  # created.price: the trigger of a trailing order moves it
        ("limit", F),  # created.pricelimit
        ("limit_offset", F),
        ("trail_amount", F),
        ("trail_percent", F),
        ("close", F),  # created.pclose
        ("created", F),  # created.dt
        ("valid", F),  # NaN: no end
        ("session_end", F),  # dteos
        ("noted_close", F),  # pannotated; NaN: none
        ("remaining", F),  # executed.remsize, signed
        ("filled", F),  # executed.size, signed
        ("average", F),  # executed.price
        ("value", F),  # executed.value
        ("commission", F),  # executed.comm
        ("pnl", F),  # executed.pnl
        ("executed", F),  # executed.dt; NaN: none
        ("first_price", F),  # price as the order was made (of a trailing order: its first trigger)
        ("first_limit", F),  # limit as the order was made; NaN: none
        ("noted", I),  # 1: noted_close was taken
        ("coc", I),  # 0: the order wants no cheat-on-close
        ("sibling", I),  # next order of its bracket, -1: none
        ("first", I),  # of the bracket it leads: first order, last order, whether the broker still knows it
        ("last", I),
        ("family", I),
        ("joined", I),  # the round of its OCO group it joined in
        ("round", I),  # of the OCO group it leads: the round under way, and how many joined in it
        ("members", I),
    ]
)

NOTE = np.dtype(
    [
        ("order", I),
        ("status", I),
        ("step", I),  # the step it is delivered on
        ("fill_from", I),  # fills this notification brings: fills[fill_from:fill_to]
        ("fill_to", I),
        ("price", F),
        ("limit", F),
        ("remaining", F),
        ("filled", F),
        ("average", F),
        ("value", F),
        ("commission", F),
        ("pnl", F),
        ("executed", F),
    ]
)
"""What the clone that `notify_order` gets knows; everything else of an order never changes."""

FILL = np.dtype(
    [
        ("order", I),
        ("data", I),
        ("step", I),
        ("time", F),
        ("size", F),  # signed
        ("price", F),
        ("closed", F),
        ("closed_value", F),
        ("closed_commission", F),
        ("opened", F),
        ("opened_value", F),
        ("opened_commission", F),
        ("pnl", F),
        ("position_size", F),
        ("position_price", F),
    ]
)

TRADE = np.dtype(
    [
        ("data", I),
        ("ref", I),  # counts from 1 within the run
        ("status", I),  # 0 created, 1 open, 2 closed
        ("just_opened", I),
        ("long", I),
        ("open_bar", I),  # len(data) when it opened, as Backtrader notes it on delivery
        ("close_bar", I),
        ("bars", I),  # barlen
        ("step", I),  # the step the notification is delivered on
        ("opened", F),  # dtopen
        ("closed", F),  # dtclose
        ("size", F),
        ("price", F),
        ("value", F),
        ("commission", F),
        ("pnl", F),
        ("pnl_net", F),  # pnlcomm
    ]
)
"""One record a notification of `notify_trade`: the state of the trade's clone."""

POSITION = np.dtype(
    [
        ("size", F),
        ("price", F),
        ("adjust_base", F),  # adjbase; NaN: none
        ("credit", F),  # interest not yet assigned to a profit (d_credit)
        ("credit_time", F),  # day number interest was last charged on
        ("touched", I),  # 1: the broker keeps a position for this data
        ("checked", I),  # 1: the cash check under way has a trial position, which is
        ("check_size", F),
        ("check_price", F),
        ("nth", I),  # of the whole array: the datas in the order they were touched
    ]
)

ACCOUNT = np.dtype(
    [
        ("cash", F),
        ("value", F),  # as of the last broker step
        ("orders", I),  # how many of each were made
        ("fills", I),
        ("notes", I),
        ("trades", I),
        ("refs", I),  # trade refs handed out
        ("pending", I),  # orders the broker has in hand (submitted, pending, waiting to be activated)
        ("touched", I),  # datas the broker keeps a position for
        ("overflow", I),  # 1: an array is full; run again with larger ones
        ("error", I),  # an error code of the kernel; 0: none
    ]
)

RULES = np.dtype(
    [
        ("slip_perc", F),
        ("slip_fixed", F),
        ("slip_open", I),
        ("slip_match", I),
        ("slip_limit", I),
        ("slip_out", I),
        ("coc", I),
        ("coo", I),
        ("checksubmit", I),
        ("shortcash", I),
        ("int2pnl", I),
    ]
)
"""`BackBroker.params`, one for one."""

SCHEME = np.dtype(
    [
        ("commission", F),
        ("mult", F),
        ("margin", F),  # NaN: None
        ("automargin", F),
        ("stocklike", I),
        ("percent", I),  # 1: a fraction of the value, 0: a fixed amount a unit
        ("leverage", F),
        ("interest", F),
        ("interest_long", I),
    ]
)
"""One `CommInfoBase` a data, after its own normalisation (percabs, margin, stocklike)."""


QUEUE = np.dtype([("pending", I), ("sent", I), ("waiting", I)])
"""One place in each of the broker's queues of handles: accepted; sent; children to be activated at the next step."""

DESK = np.dtype(
    [
        *(
            (name, I)
            for name in ("here", "account", "rules", "schemes", "positions", "orders", "notes", "fills")
        ),
        *((name, I) for name in ("trades", "bars", "lengths", "at", "queues", "open_trades", "sessions")),
        ("orders_room", I),
        ("notes_room", I),
        ("fills_room", I),
        ("trades_room", I),
        ("queues_room", I),
        ("datas", I),
        ("bars_room", I),  # the padded length of the bars
        ("pending_from", I),  # the queue of accepted orders is pending[pending_from:pending_to]
        ("pending_to", I),
        ("sent_to", I),
        ("waiting_to", I),
        ("delivered", I),  # notifications handed out
        ("interest", I),  # 1: a scheme charges interest
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
    desk: NDArray[np.void]  # 1: addresses of all these; make another book rather than exchange an array
