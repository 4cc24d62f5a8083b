"""The corpus: strategies as people write them for plain Backtrader, and the markets each is run on."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import backtrader as bt

FOLDER = Path(__file__).parent
DAILY = ("trend", "chop", "gappy", "coarse")
STANDING = ("flat", "chop", "coarse", "gappy")
INTRADAY = ("minute", "minute", "minute")


@dataclass(frozen=True)
class Entry:
    """One strategy of the corpus.

    kinds: a market each, of `tests.parity.markets`. starts: first bar of each data. covers: what it is here for.
    """

    file: str
    cls: str
    covers: str
    params: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = DAILY
    bars: int = 150
    starts: tuple[int, ...] = (0,)
    holes: bool = False
    resample: tuple[str, ...] = ()
    cash: float = 100_000.0
    commission: float = 0.001
    cheat_on_open: bool = False
    orders: int = 6
    """The least number of orders, all its markets together."""

    @property
    def name(self) -> str:
        return self.file.removesuffix(".py")

    def load(self) -> type[bt.Strategy]:
        """The class, from a module that Backtrader finds."""
        name = f"tests.parity.corpus.{self.name}"
        module = sys.modules.get(name)
        if module is None:
            spec = importlib.util.spec_from_file_location(name, FOLDER / self.file)
            if spec is None or spec.loader is None:
                raise FileNotFoundError(FOLDER / self.file)
            module = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        return getattr(module, self.cls)  # type: ignore[no-any-return]


CORPUS: tuple[Entry, ...] = (
    Entry(
        "tutorial_sma.py",
        "TestStrategy",
        "tutorial log, order handle, buyprice, buycomm, dataclose, stop",
        kinds=STANDING,
    ),
    Entry(
        "trade_records.py",
        "TradeRecords",
        "a dataclass a trade, with a list of parts that hold their stop and target orders",
    ),
    Entry(
        "signal_records.py",
        "SignalRecords",
        "frozen signals from helpers, a constant one, replace, StrEnum, exit reasons chosen in the run",
    ),
    Entry(
        "plain_records.py",
        "PlainRecords",
        "classes with __init__ and super(), a list filtered by a comprehension, remove, min with default",
    ),
    Entry("three_falling_closes.py", "ThreeFalling", "f-string log, bar_executed, len(self)"),
    Entry("golden_cross.py", "GoldenCross", "math.floor, broker.cash, str.format, attribute set in next"),
    Entry("rsi_reversion.py", "RsiReversion", "params dict, RSI, executed.price, and/or on numbers"),
    Entry("bollinger_touch.py", "BollingerTouch", "get_orders_open, broker.cancel, Stop and Limit orders"),
    Entry(
        "bollinger_z.py", "BollingerZ", "line arithmetic and comparisons in __init__, helper without effect"
    ),
    Entry("macd_atr.py", "MacdAtr", "start, CrossOver, a line delayed, stop by hand with max"),
    Entry("turtle_units.py", "Turtle", "pyramiding, helper with return value, broker.getvalue"),
    Entry(
        "trailing_by_hand.py",
        "TrailingByHand",
        "stop_price None or number, early return, counters",
        kinds=STANDING,
    ),
    Entry(
        "stop_trail_percent.py", "StopTrailer", "class-valued and order-type params, StopTrail, order.alive"
    ),
    Entry("stop_trail_limit.py", "TrailLimit", "StopTrailLimit, cancel, exectype in notify_order"),
    Entry("bracket_ema.py", "BracketEma", "buy_bracket, sell_bracket, valid timedelta, list of refs"),
    Entry("manual_bracket.py", "ManualBracket", "parent and transmit"),
    Entry("oco_breakout.py", "OcoBreakout", "oco, position.price"),
    Entry(
        "limits_that_expire.py",
        "ExpiringLimits",
        "valid as timedelta, datetime, 0 and day number",
        kinds=STANDING,
    ),
    Entry("stop_limit_breakout.py", "StopLimitBreakout", "StopLimit, status in a tuple"),
    Entry("cancel_stale.py", "CancelStale", "counter of bars waiting, cancel, close at the session's end"),
    Entry("monthly_rebalance.py", "MonthlyRebalance", "target percent of several datas", starts=(0, 30)),
    Entry("target_value_bands.py", "TargetValueBands", "order_target_value, chained comparisons"),
    Entry("target_size_ladder.py", "TargetSizeLadder", "order_target_size, date parts"),
    Entry("sizer_fixed.py", "FixedSizeCross", "setsizer in __init__"),
    Entry("sizer_percent.py", "PercentSized", "PercentSizer set in __init__, reversals"),
    Entry("sizer_all_in.py", "AllIn", "AllInSizerInt, margin", commission=0.0),
    Entry("sizer_own.py", "OwnSizer", "own sizer class"),
    Entry("slippage_in_init.py", "SlippageInInit", "set_slippage_perc, setcommission in __init__"),
    Entry("cheat_on_close.py", "CheatOnClose", "set_coc, set_slippage_fixed, Stochastic"),
    Entry("futures_margin.py", "FuturesTrend", "futures: margin and mult"),
    Entry("pairs_zscore.py", "PairsZ", "two datas, a line of two datas", starts=(0, 0)),
    Entry("rotation_three.py", "Rotation", "three datas, sorted with a lambda, slices", starts=(0, 0, 0)),
    Entry(
        "multi_data_inds.py", "MultiDataCross", "dict of dicts by data, enumerate", starts=(0, 12), holes=True
    ),
    Entry("per_data_orders.py", "PerDataOrders", "lists of orders by data, index, all()", starts=(0, 5, 9)),
    Entry("weekday_swing.py", "WeekdaySwing", "weekday, difference of dates"),
    Entry("turn_of_month.py", "TurnOfMonth", "num2date, month changes"),
    Entry("opening_range.py", "OpeningRange", "session times, times as params", kinds=INTRADAY, bars=216),
    Entry("intraday_vwap.py", "IntradayVwap", "datetime.hour, accumulators", kinds=INTRADAY, bars=216),
    Entry("martingale.py", "Martingale", "size doubled after losses, notify_trade", kinds=STANDING),
    Entry("loss_streak.py", "LossStreak", "pause after losses in a row, pnlcomm, justopened"),
    Entry("time_exit.py", "TimeExit", "get(size=n), min of a slice, exit after bars"),
    Entry(
        "prenext_trades.py", "PrenextTrades", "prenext that trades, zip, helper with a data", starts=(0, 40)
    ),
    Entry("nextstart_first.py", "FirstPosition", "nextstart, start, stop"),
    Entry("every_status.py", "EveryStatus", "every status, dict of counters, margin", cash=50_000.0),
    Entry(
        "base_classes.py",
        "AboveAverage",
        "two levels of bases, a mixin, class attributes, module constants",
        kinds=STANDING,
    ),
    Entry("old_style_super.py", "Bigger", "super(Class, self), methods overridden that return orders"),
    Entry("mode_strings.py", "ModeStrategy", "string-valued params and state, getattr with a default"),
    Entry(
        "mode_strings.py",
        "ModeStrategy",
        "other modes by params",
        params={"mode": "long", "ma_type": "sma", "exit_on": "move"},
    ),
    Entry("line_logic.py", "LineLogic", "bt.And, Or, If, Max, Min, delayed lines"),
    Entry("candle_patterns.py", "CandlePatterns", "helpers with booleans, body and span lines"),
    Entry("signal_cross.py", "SmaCross", "SignalStrategy, one signal"),
    Entry("signal_exits.py", "SignalExits", "SignalStrategy, own indicator, long exit, sizer"),
    Entry("signal_class.py", "SignalClass", "bt.Signal, short exit, bt.Cmp"),
    Entry("supertrend.py", "SuperTrendStrategy", "own indicator with two lines that read themselves"),
    Entry("talib_sma.py", "TalibCross", "bt.talib indicators"),
    Entry("indicator_next.py", "OwnIndicatorNext", "own indicator with nextstart and next", kinds=STANDING),
    Entry("indicator_once.py", "OwnIndicatorOnce", "own indicator with once"),
    Entry("indicator_composed.py", "KeltnerStyle", "own indicator by lines alone"),
    Entry("weekly_filter.py", "WeeklyFilter", "weekly bars beside daily", resample=("1W",)),
    Entry("weekly_breakout.py", "WeeklyBreakout", "len(data1), list of orders", resample=("1W",)),
    Entry(
        "months_and_weeks.py",
        "MonthsAndWeeks",
        "two higher timeframes, prenext, getdatabyname, dict by data",
        bars=330,
        resample=("1W", "1M"),
    ),
    Entry(
        "hourly_trend.py",
        "HourlyTrend",
        "quarters of an hour in the direction of the hour, bracket",
        kinds=INTRADAY,
        bars=243,
        resample=("1h",),
    ),
    Entry(
        "timeframes_crossed.py",
        "TimeframesCrossed",
        "lines of several timeframes in one expression, coupled",
        kinds=INTRADAY,
        bars=243,
        resample=("1D", "1W"),
    ),
    Entry(
        "opening_gaps.py",
        "OpeningGaps",
        "next_open, nextstart_open, prenext_open over two datas, dict by data",
        kinds=("trend", "gappy", "coarse", "chop"),
        starts=(0, 9),
        holes=True,
        cheat_on_open=True,
    ),
    Entry(
        "signal_accumulate.py",
        "SignalAccumulate",
        "SignalStrategy with next, _accumulate, _data, several signals",
        starts=(0, 6),
    ),
    Entry("slices_of_lines.py", "SlicesOfLines", "get with ago, sum of a generator, list comprehension"),
    Entry("numpy_slope.py", "NumpySlope", "numpy arrays in next"),
    Entry(
        "numpy_windows.py",
        "NumpyWindows",
        "numpy over get(), lists and slices: std, diff, log, masks, median, argmax",
        kinds=("trend", "chop", "gappy", "coarse"),
    ),
    Entry("numpy_scalars.py", "NumpyScalars", "numpy functions on numbers, drawdown"),
    Entry("deque_of_closes.py", "DequeOfCloses", "deque with maxlen, list with pop"),
    Entry("grid_orders.py", "GridOrders", "list of orders with append, remove, in; while", kinds=STANDING),
    Entry(
        "crowded_book.py",
        "CrowdedBook",
        "many waiting orders of every kind, brackets, trails, ends, cancels over two datas",
        starts=(0, 11),
        holes=True,
    ),
    Entry(
        "moved_by_hand.py",
        "MovedByHand",
        "prices and ends of waiting orders changed on the orders, by a function of the module too",
        starts=(0, 7),
    ),
    Entry("refs_bookkeeping.py", "RefsBookkeeping", "dict and set of refs, defaultdict, pop, discard"),
    Entry("order_info.py", "OrderInfo", "order.info, addinfo, keyword info, oco"),
    Entry("order_parts.py", "OrderParts", "all that orders and their copies hold, what they share, copy"),
    Entry(
        "open_orders_ladder.py",
        "OpenOrdersLadder",
        "get_orders_open, addinfo again and again, dicts by a text of the run",
        kinds=STANDING,
    ),
    Entry("trade_ids.py", "TradeIds", "tradeid from itertools.cycle"),
    Entry("two_legs.py", "TwoLegs", "tradeid constants, trade.tradeid"),
    Entry("reopened_legs.py", "ReopenedLegs", "a trade id that sells what others hold"),
    Entry("weekly_timer.py", "WeeklyTimer", "add_timer, notify_timer"),
    Entry("environment.py", "UsesEnvironment", "self.env, names of datas, data0_close", starts=(0, 0)),
    Entry("cash_and_value.py", "CashAndValue", "notify_cashvalue"),
    Entry("kelly_size.py", "KellySize", "bounded list of results, list comprehensions in a helper"),
    Entry(
        "try_except.py", "TryExcept", "try and except ZeroDivisionError", kinds=("gappy", "coarse", "flat")
    ),
    Entry("scale_out.py", "ScaleOut", "partial exits, tuple param, tuple assignment, or-default"),
    Entry("stochastic_state.py", "StochasticState", "state machine with class constants"),
    Entry("adx_dmi.py", "AdxDmi", "DMI and ParabolicSAR, reversals", kinds=("trend", "chop", "gappy")),
    Entry("ichimoku_cloud.py", "IchimokuCloud", "Ichimoku"),
    Entry("many_averages.py", "ManyAverages", "list of indicators, eight averages"),
    Entry("oscillators.py", "Oscillators", "CCI, Williams, Aroon, Trix", kinds=("trend", "chop", "gappy")),
    Entry(
        "inverse_volatility.py", "InverseVolatility", "dict comprehensions, getvalue([d])", starts=(0, 0, 10)
    ),
    Entry("buy_and_hold_dca.py", "DollarCostAveraging", "date.month and day, integer division"),
    Entry("gap_fade.py", "GapFade", "three handles compared by ref, bound methods"),
    Entry("ratchet_stop.py", "RatchetStop", "stop order cancelled and sent again"),
    Entry("donchian_params_obj.py", "Donchian", "own channel indicator, close and reverse", kinds=STANDING),
    Entry("heikin_ashi.py", "HeikinByHand", "tuple unpacking, None or number"),
    Entry(
        "session_end_close.py", "CloseOrders", "Close orders, day number arithmetic", kinds=INTRADAY, bars=216
    ),
    Entry(
        "minute_scalper.py",
        "MinuteScalper",
        "brackets within the day, helper with a datetime",
        kinds=INTRADAY,
        bars=216,
    ),
    Entry("state_objects.py", "StateObjects", "hard: list of own objects"),
    Entry("pandas_in_next.py", "PandasInNext", "hard: pandas", bars=90, kinds=("trend", "chop", "coarse")),
    Entry("nested_closures.py", "NestedClosures", "hard: closures, lambdas in a dict"),
    Entry("recursion.py", "Recursion", "hard: a helper that calls itself"),
    Entry("random_entry.py", "RandomEntry", "hard: random with a seed"),
    Entry("type_checks.py", "TypeChecks", "isinstance, hasattr, assert"),
    Entry("equity_curve_filter.py", "EquityCurveFilter", "growing list, slice from the end"),
    Entry("short_only.py", "ShortOnly", "short positions, cover by a stop"),
    Entry("commission_scheme.py", "CommissionScheme", "own commission class"),
    Entry("vast_positions.py", "VastPositions", "positions beyond what floats count", cash=1e21),
    Entry("cheat_on_open.py", "CheatOnOpen", "next_open", cheat_on_open=True),
)
