from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from core.errors import DataError, OrderRejected, StrategyError, UserError
from engine.cerebro import assemble, history_feed, parse_timeframe, run, stock_broker, timeframe_of

CASH, COMMISSION = 100_000.0, 0.001


def go(
    strategy: type[bt.Strategy], frame: pd.DataFrame, resample: tuple[str, ...] = (), **params: Any
) -> Any:
    feeds = {"A": history_feed("A", frame)}
    return run(assemble(strategy, params, feeds, stock_broker(CASH, COMMISSION), resample=resample))


def lines_of(data: Any, *, preload: bool, runonce: bool = False) -> dict[str, bytes]:
    cerebro = bt.Cerebro(stdstats=False, preload=preload, runonce=runonce)
    cerebro.adddata(data)
    cerebro.addstrategy(bt.Strategy)
    cerebro.run()
    return {name: getattr(data.lines, name).array.tobytes() for name in data.getlinealiases()}


@pytest.mark.parametrize(("preload", "runonce"), [(True, True), (True, False), (False, False)])
@pytest.mark.parametrize("spacing", ["1D", "1h", "7min", "13s"])
def test_lines_are_bit_equal_to_pandasdata(
    make_bars: Any, spacing: str, preload: bool, runonce: bool
) -> None:
    """Some indicators of Backtrader turn runonce off by themselves, so preloaded bars are walked one by one."""
    frame = make_bars(200, spacing=spacing, start="2021-03-01 09:31:07.123456")
    plain = bt.feeds.PandasData(dataname=frame.tz_localize(None))
    ours, stock = (
        lines_of(data, preload=preload, runonce=runonce) for data in (history_feed("A", frame), plain)
    )
    assert ours == stock


def test_a_frame_without_a_column_leaves_the_line_as_pandasdata_does(make_bars: Any) -> None:
    frame = make_bars(20).drop(columns="volume").assign(openinterest=3.0)
    plain = bt.feeds.PandasData(dataname=frame.tz_localize(None))
    assert lines_of(history_feed("A", frame), preload=True) == lines_of(plain, preload=True)


def drop_fridays(data: Any) -> bool:
    if data.datetime.date().isoweekday() != 5:
        return False
    data.backwards()
    return True


def test_a_filter_sees_every_bar(make_bars: Any) -> None:
    frame = make_bars(20)
    ours, plain = history_feed("A", frame), bt.feeds.PandasData(dataname=frame.tz_localize(None))
    for data in (ours, plain):
        data.addfilter(drop_fridays)
    assert lines_of(ours, preload=True, runonce=True) == lines_of(plain, preload=True, runonce=True)
    assert len(ours.lines.close.array) == 17


def test_other_time_zones_become_naive_utc(make_bars: Any) -> None:
    frame = make_bars(5, spacing="1h")
    abroad = frame.tz_convert("America/New_York")
    assert lines_of(history_feed("A", abroad), preload=True) == lines_of(
        history_feed("A", frame), preload=True
    )


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ("13s", (bt.TimeFrame.Seconds, 13)),
        ("1min", (bt.TimeFrame.Minutes, 1)),
        ("15min", (bt.TimeFrame.Minutes, 15)),
        ("1h", (bt.TimeFrame.Minutes, 60)),
        ("4h", (bt.TimeFrame.Minutes, 240)),
        ("1D", (bt.TimeFrame.Days, 1)),
        ("B", (bt.TimeFrame.Days, 1)),
        ("W-FRI", (bt.TimeFrame.Weeks, 1)),
        ("MS", (bt.TimeFrame.Months, 1)),
        ("YS", (bt.TimeFrame.Years, 1)),
    ],
)
def test_timeframe_of_spacing(spacing: str, expected: tuple[int, int]) -> None:
    assert timeframe_of(pd.date_range("2020-01-01", periods=40, freq=spacing, tz="UTC")) == expected


def test_a_single_bar_counts_as_daily() -> None:
    assert timeframe_of(pd.DatetimeIndex(["2020-01-01"], tz="UTC")) == (bt.TimeFrame.Days, 1)


def test_summer_time_does_not_change_the_timeframe() -> None:
    closes = pd.date_range("2020-01-01 16:00", periods=200, freq="B", tz="America/New_York").tz_convert("UTC")
    assert timeframe_of(closes) == (bt.TimeFrame.Days, 1)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("15m", (bt.TimeFrame.Minutes, 15)),
        ("4h", (bt.TimeFrame.Minutes, 240)),
        ("1D", (bt.TimeFrame.Days, 1)),
        ("2d", (bt.TimeFrame.Days, 2)),
        ("W", (bt.TimeFrame.Weeks, 1)),
        ("1M", (bt.TimeFrame.Months, 1)),
        ("1m", (bt.TimeFrame.Minutes, 1)),
    ],
)
def test_parse_timeframe(spec: str, expected: tuple[int, int]) -> None:
    assert parse_timeframe(spec) == expected


@pytest.mark.parametrize("spec", ["", "week", "0D", "1Y", "-1W", "1.5h"])
def test_a_timeframe_that_cannot_be_read(spec: str) -> None:
    with pytest.raises(UserError, match="cannot read the timeframe"):
        parse_timeframe(spec)


@pytest.mark.parametrize(("spacing", "spec"), [("1D", "1D"), ("1D", "4h"), ("1h", "60m"), ("W-FRI", "1W")])
def test_resampling_downwards_is_refused(make_bars: Any, spacing: str, spec: str) -> None:
    with pytest.raises(UserError, match="cannot resample A"):
        go(bt.Strategy, make_bars(30, spacing=spacing), (spec,))


class SeesWeeks(bt.Strategy):
    def __init__(self) -> None:
        self.seen: list[tuple[Any, Any, float]] = []

    def next(self) -> None:
        self.seen.append((self.data.datetime.date(), self.data1.datetime.date(), self.data1.close[0]))


def test_a_weekly_bar_is_seen_only_when_its_week_is_over(make_bars: Any) -> None:
    """S6: higher timeframes are closed bars, and equal to what the frame says."""
    frame = make_bars(100, spacing="B")
    recording = go(SeesWeeks, frame, ("1W",))
    weekly = frame["close"].resample("W-SUN").last()
    for day, week_end, close in recording.strategy.seen:
        assert week_end <= day
        assert weekly[pd.Timestamp(week_end, tz="UTC") :].iloc[0] == close
    assert [data._name for data in recording.strategy.datas] == ["A", "A 1W"]
    assert recording.equity.index.equals(frame.index)


class Warm(bt.Strategy):
    params = (("period", 51),)

    def __init__(self) -> None:
        self.mean = bt.indicators.SMA(period=self.p.period)


def test_fewer_bars_than_the_warm_up(make_bars: Any) -> None:
    with pytest.raises(DataError) as caught:
        go(Warm, make_bars(30))
    assert str(caught.value) == (
        "Warm needs 51 bars before its first decision, the data has 30; load more history or shorten its periods"
    )


def test_exactly_the_warm_up_is_enough(make_bars: Any) -> None:
    assert len(go(Warm, make_bars(51)).equity) == 51


class WarmWeekly(bt.Strategy):
    def __init__(self) -> None:
        self.mean = bt.indicators.SMA(self.data1, period=30)


def test_fewer_resampled_bars_than_the_warm_up(make_bars: Any) -> None:
    with pytest.raises(DataError, match=r"WarmWeekly needs 30 bars .*, A 1W has \d+"):
        go(WarmWeekly, make_bars(100), ("1W",))


class ActsInWarmUp(Warm):
    def prenext(self) -> None:
        if len(self) == 1:
            self.buy()


def test_a_strategy_may_act_during_its_warm_up(make_bars: Any) -> None:
    """As stock has it: bar by bar it runs; all at once its indicators cannot be computed."""
    assert len(go(ActsInWarmUp, make_bars(30), ("1W",)).fills) == 1
    with pytest.raises(DataError, match="ActsInWarmUp needs 51 bars"):
        go(ActsInWarmUp, make_bars(30))


def test_one_that_does_not_is_refused_bar_by_bar_too(make_bars: Any) -> None:
    with pytest.raises(DataError, match="Warm needs 51 bars before its first decision, A has 30"):
        go(Warm, make_bars(30), ("1W",))


class FailsInInit(bt.Strategy):
    def __init__(self) -> None:
        raise KeyError("no such thing")


class FailsInNext(bt.Strategy):
    def next(self) -> None:
        if len(self) == 4:
            self.broken()

    def broken(self) -> None:
        raise ZeroDivisionError("by hand")


class FailsInNotify(bt.Strategy):
    def next(self) -> None:
        if len(self) == 2:
            self.buy()

    def notify_order(self, order: bt.Order) -> None:
        raise RuntimeError(f"order\n{order.status}")


def line_of(text: str) -> int:
    with open(__file__, encoding="utf-8") as source:
        return next(number for number, line in enumerate(source, 1) if text in line)


@pytest.mark.parametrize(
    ("strategy", "text", "moment", "cause"),
    [
        (FailsInInit, 'raise KeyError("no such', "while it was being set up", KeyError),
        (
            FailsInNext,
            'raise ZeroDivisionError("by',
            "on the bar of 2020-01-04T00:00:00+00:00",
            ZeroDivisionError,
        ),
        (
            FailsInNotify,
            'raise RuntimeError(f"order',
            "on the bar of 2020-01-03T00:00:00+00:00",
            RuntimeError,
        ),
    ],
)
def test_a_failing_strategy_is_named_with_its_line(
    make_bars: Any, strategy: type[bt.Strategy], text: str, moment: str, cause: type[Exception]
) -> None:
    with pytest.raises(StrategyError) as caught:
        go(strategy, make_bars(10))
    message = str(caught.value)
    assert f"{strategy.__name__} failed at {__file__}:{line_of(text)} {moment}: {cause.__name__}" in message
    assert "\n" not in message
    assert isinstance(caught.value.__cause__, cause)


class FlatRsi(bt.Strategy):
    def __init__(self) -> None:
        self.rsi = bt.indicators.RSI(period=5, safediv=False)


def test_an_indicator_that_cannot_take_the_bars(make_bars: Any) -> None:
    frame = make_bars(30)
    for column in ("open", "high", "low", "close"):
        frame[column] = 100.0
    with pytest.raises(
        StrategyError, match=r"FlatRsi failed at .*ZeroDivisionError.*no line of the strategy"
    ):
        go(FlatRsi, frame)


class Refused(bt.Strategy):
    def next(self) -> None:
        raise OrderRejected("too big", rule="size")


class Interrupted(bt.Strategy):
    def next(self) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize(("strategy", "kind"), [(Refused, OrderRejected), (Interrupted, KeyboardInterrupt)])
def test_our_errors_and_ctrl_c_pass_unchanged(
    make_bars: Any, strategy: type[bt.Strategy], kind: type[BaseException]
) -> None:
    with pytest.raises(kind):
        go(strategy, make_bars(5))


class Skips(bt.Strategy):
    def __init__(self) -> None:
        raise bt.errors.StrategySkipError


def test_a_strategy_that_skips_itself(make_bars: Any) -> None:
    with pytest.raises(StrategyError, match="asked to be skipped"):
        go(Skips, make_bars(5))


class FaultyFeed(bt.feed.DataBase):
    """Fails in a file of ours, as a bridge with a defect would."""

    def _load(self) -> bool:
        from core.clock import as_utc

        as_utc(None)  # type: ignore[arg-type]
        return True


def test_a_failure_of_ours_is_not_blamed_on_the_strategy() -> None:
    cerebro = assemble(bt.Strategy, {}, {"A": FaultyFeed()}, stock_broker(CASH, COMMISSION))
    with pytest.raises(AttributeError):
        run(cerebro)


def test_no_data_at_all() -> None:
    with pytest.raises(DataError, match="no data"):
        run(assemble(bt.Strategy, {}, {}, stock_broker(CASH, COMMISSION)))


class LiveBars(bt.feed.DataBase):
    """Two bars, a pause, one more bar, the end."""

    script = (1.0, 2.0, None, 3.0)

    def start(self) -> None:
        super().start()
        self.steps = iter(self.script)
        self.day = 737_425.0

    def islive(self) -> bool:
        return True

    def _load(self) -> bool | None:
        price = next(self.steps, False)
        if not price:
            return None if price is None else False
        self.day += 1.0
        self.lines.datetime[0] = self.day
        for name in ("open", "high", "low", "close"):
            getattr(self.lines, name)[0] = price
        return True


def test_a_live_feed_runs_bar_by_bar_and_is_recorded_the_same_way() -> None:
    counts: list[int] = []
    feeds = {"A": LiveBars()}
    cerebro = assemble(
        Warm, {}, feeds, stock_broker(CASH, COMMISSION), quicknotify=True, on_bar=counts.append
    )
    recording = run(cerebro)
    assert counts == [1, 2, 3]
    assert recording.equity.tolist() == [CASH] * 3
    assert str(recording.equity.index.tz) == "UTC"
    assert cerebro.p.quicknotify
