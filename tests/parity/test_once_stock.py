"""`engine.once.evaluate` against stock `Strategy._once`: every line of every node, to the last bit."""

import math
import operator
import re

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from backtrader import functions
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.once import PRIMITIVES, evaluate, primitive_of

# --- markets ---------------------------------------------------------------------------------------------


def _frame(close, rng):
    open_ = close * (1 + 0.002 * rng.standard_normal(len(close)))
    high = np.fmax(open_, close) * (1 + 0.002 * rng.random(len(close)))
    low = np.fmin(open_, close) * (1 - 0.002 * rng.random(len(close)))
    volume = np.floor(rng.random(len(close)) * 1000)
    index = pd.date_range("2024-01-01", periods=len(close), freq="h")
    return pd.DataFrame(
        {"open": open_, "high": high, "low": low, "close": close, "volume": volume}, index=index
    )


def _walk(rng, bars=230, scale=1.0):
    return scale * (100 + rng.standard_normal(bars).cumsum())


def _cents(rng):
    return _frame(_walk(rng), rng).round(2)


def _flat(rng):
    frame = _frame(_walk(rng), rng).round(1)
    frame.iloc[60:140] = frame.iloc[60].to_numpy()
    for column in ("open", "high", "low"):
        frame.loc[frame.index[60:140], column] = frame["close"].iloc[60]
    frame.iloc[200:, :4] = 50.0
    return frame


def _holes(rng):
    frame = _frame(_walk(rng), rng)
    frame.iloc[rng.choice(len(frame), 12, replace=False), 3] = np.nan
    frame.iloc[[5, 150], :] = np.nan
    frame.iloc[200, 1] = np.inf
    return frame


def _zeros(rng):
    frame = _frame(_walk(rng), rng).round(0) - 100
    frame.iloc[::17, 3] = -0.0
    return frame


MARKETS = {
    "cents": _cents,
    "unrounded": lambda rng: _frame(_walk(rng), rng),
    "flat": _flat,
    "holes": _holes,
    "zeros and signs": _zeros,
    "tiny": lambda rng: _frame(_walk(rng, scale=1e-310), rng),
    "huge": lambda rng: _frame(_walk(rng, scale=1e160), rng),
    "overflowing": lambda rng: _frame(_walk(rng, scale=1.5e306), rng),
    "mixed scales": lambda rng: _frame(np.abs(_walk(rng)) * 10.0 ** rng.integers(-30, 30, 230), rng),
    "short": lambda rng: _frame(_walk(rng, bars=9), rng),
}

# --- both evaluations ------------------------------------------------------------------------------------


def _name(o):
    """Stock numbers the coupling classes it makes."""
    return type(o).__name__.rstrip("0123456789")


def _nodes(o):
    """(class name, minimum period, index, length, array) of every line below o, children first."""
    for child in o._lineiterators[bt.LineIterator.IndType]:
        if hasattr(child, "_lineiterators"):
            yield from _nodes(child)
            lines = list(child.lines)
        else:
            lines = [child]
        for line in lines:
            yield _name(child), child._minperiod, line._idx, line.lencount, np.array(line.array)


def _evaluated(build, frames, how):
    """(nodes, exception type and text, minimum period, what `how` returned) without running any bar."""
    found = {}

    class Built(bt.Strategy):
        def __init__(self):
            self.built = build(self)

    class Once(bt.Cerebro):
        def _runonce(self, runstrats):
            (strategy,) = runstrats
            found["minimum"] = strategy._minperiod
            try:
                found["report"] = how(strategy)
            except Exception as error:  # noqa: BLE001 - whatever stock raises is the answer
                found["error"] = (type(error), str(error))
            found["datas"] = [(line._idx, line.lencount) for data in strategy.datas for line in data.lines]
            found["nodes"] = list(_nodes(strategy))

    cerebro = Once(stdstats=False)
    for frame in frames:
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Built)
    cerebro.run()
    return found


def _same_bits(a, b):
    nan = np.isnan(a)
    return len(a) == len(b) and np.array_equal(nan, np.isnan(b)) and a[~nan].tobytes() == b[~nan].tobytes()


def _assert_same(build, *frames):
    """Both evaluations end in the same lines, pointers and minimum period, or in the same exception."""
    stock = _evaluated(build, frames, lambda strategy: strategy._once())
    fast = _evaluated(build, frames, evaluate)
    assert fast.get("error") == stock.get("error")
    if "error" in stock:
        return fast
    assert fast["minimum"] == stock["minimum"]
    assert fast["datas"] == stock["datas"]
    assert [node[:4] for node in fast["nodes"]] == [node[:4] for node in stock["nodes"]]
    for mine, theirs in zip(fast["nodes"], stock["nodes"], strict=True):
        assert _same_bits(mine[4], theirs[4]), f"{mine[0]} differs"
    return fast


# --- every stock class -----------------------------------------------------------------------------------

OMITTED = {
    "PeriodN": "a base without lines",
    "OperationN": "a base without a function",
    "BaseApplyN": "a base without lines",
    "EnvelopeMixIn": "a mix-in",
    "OscillatorMixIn": "a mix-in",
    "MovingAverageBase": "a base without lines",
    "HeikinAshi": "forces Backtrader's bar by bar mode, where nothing is evaluated at once",
    "haDelta": "contains HeikinAshi",
    "OLS_Slope_InterceptN": "needs statsmodels, which is not installed",
    "OLS_TransformationN": "needs statsmodels, which is not installed",
    "CointN": "needs statsmodels, which is not installed",
    "OLS_BetaN": "calls pandas.ols, which pandas no longer has",
    "FindFirstIndex": "a base without a function; its four subclasses are here",
    "FindLastIndex": "a base without a function; its four subclasses are here",
    "Indicator": "the base of all",
    "PivotPoint": "needs a second, slower data",
    "FibonacciPivotPoint": "needs a second, slower data",
    "DemarkPivotPoint": "needs a second, slower data",
}


def _classes():
    found = {}
    for _, value in sorted(vars(bt.indicators).items()):
        if isinstance(value, type) and issubclass(value, bt.Indicator) and not value.aliased:
            found[value.__name__] = value
    return {name: cls for name, cls in found.items() if name not in OMITTED and not name.startswith("_")}


CLASSES = _classes()
SLOW = re.compile("Hurst|ZeroLagIndicator|Dickson|KnowSure|Envelope|AverageOscillator")
SPECIAL = {
    "ReduceN": lambda s: bt.ind.ReduceN(s.data, operator.add, period=5),
    "Oscillator": lambda s: bt.ind.Oscillator(bt.ind.SMA(s.data, period=4)),
    "ApplyN": lambda s: bt.ind.ApplyN(s.data, period=4, func=math.fsum),
    "WeightedAverage": lambda s: bt.ind.WeightedAverage(s.data, period=4, coef=0.5, weights=(1, 2.0, 3, 4)),
    "ExponentialSmoothingDynamic": lambda s: bt.ind.ExponentialSmoothingDynamic(
        s.data, period=5, alpha=bt.ind.PercentRank(s.data, period=7)
    ),
}


def _builder(name):
    cls = CLASSES[name]

    def build(strategy):
        if name in SPECIAL:
            return SPECIAL[name](strategy)
        if cls._mindatas == 2:
            return cls(strategy.data.close, strategy.data.open)
        return cls(strategy.data)

    return build


def test_every_class_is_run_or_named():
    assert len(CLASSES) >= 100
    assert all(hasattr(bt.indicators, name) for name in OMITTED)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_stock_class(name):
    """On every market; classes that stock takes long over on five of them."""
    rng = np.random.default_rng(sum(map(ord, name)))
    for market in ("cents", "flat", "holes", "tiny", "short") if SLOW.search(name) else MARKETS:
        _assert_same(_builder(name), MARKETS[market](rng))


def _with_period():
    return [
        name
        for name, cls in sorted(CLASSES.items())
        if "period" in dir(cls.params) and name not in SPECIAL and not SLOW.search(name)
    ]


@pytest.mark.parametrize("name", _with_period())
def test_stock_class_with_another_period(name):
    period = 3
    rng = np.random.default_rng(period)
    cls = CLASSES[name]

    def build(strategy):
        datas = (strategy.data.close, strategy.data.open) if cls._mindatas == 2 else (strategy.data,)
        return cls(*datas, period=period)

    for market in ("cents", "flat"):
        _assert_same(build, MARKETS[market](rng))


def test_moving_averages_inside_one_another():
    rng = np.random.default_rng(5)
    names = ["SMA", "EMA", "SMMA", "WMA", "DEMA", "TEMA", "KAMA", "ZLEMA", "HMA", "ZLInd", "DMA"]
    for outer, inner in zip(names, reversed(names), strict=True):

        def build(s, outer=outer, inner=inner):
            return getattr(bt.ind, outer)(getattr(bt.ind, inner)(s.data, period=6), period=5)

        for market in ("cents", "holes"):
            _assert_same(build, MARKETS[market](rng))


@pytest.mark.parametrize("name", ["ZLInd", "LRSI", "LAGF"])
def test_bar_by_bar_classes_over_indicators_and_lines(name):
    """Over an indicator Backtrader reads its last value throughout, since an indicator without bars stays put."""
    cls = getattr(bt.ind, name)
    rng = np.random.default_rng(6)
    for market in ("cents", "holes"):
        _assert_same(lambda s: cls(bt.ind.SMA(s.data, period=4)), MARKETS[market](rng))
        _assert_same(lambda s: cls(bt.ind.SMA(s.data, period=4) * 2.0), MARKETS[market](rng))
        _assert_same(lambda s: cls(s.data, s.data), MARKETS[market](rng))
        fast = _assert_same(lambda s: cls(s.data.high), MARKETS[market](rng))
        assert name in fast["report"].fast


# --- what must be left to stock --------------------------------------------------------------------------


class _MyHighest(bt.ind.Highest):
    def once(self, start, end):
        for i in range(start, end):
            self.line.array[i] = 7.0


class _MyFunc(bt.ind.Highest):
    func = staticmethod(lambda window: sum(window))


class _Plain(bt.ind.Highest):
    pass


class _ByNext(bt.Indicator):
    lines = ("x",)

    def __init__(self):
        self.average = bt.ind.SMA(self.data, period=3)

    def next(self):
        self.lines.x[0] = self.average[0] * 2 + self.data[-1]


@pytest.mark.parametrize(
    ("cls", "stock"),
    [(_MyHighest, True), (_MyFunc, True), (_Plain, False), (_ByNext, True), (bt.ind.MaxN, False)],
)
def test_user_subclasses(cls, stock):
    fast = _assert_same(lambda s: cls(s.data), _cents(np.random.default_rng(1)))
    assert (cls.__name__ in fast["report"].stock) is stock
    assert (cls.__name__ in fast["report"].fast) is not stock


class _Looks(bt.Indicator):
    """Looks at all it can see in every phase; over one data, two datas, a line or an indicator."""

    lines = ("x", "seen")
    seen = ()

    def __init__(self):
        self.average = bt.ind.EMA(self.data, period=4)
        self.above = self.average > self.data
        self.again = bt.ind.Highest(self.average, period=3)

    def look(self, phase):
        ages = [phase, len(self), *(len(part) for part in (self.data, self.average, self.above, self.again))]
        ages += [*self.data.get(size=2), *self.average.get(ago=-1, size=2)]
        ages += [self.average - self.data[0], self.data > self.again, self.lines.x[-1]]
        self.lines.seen[0] = hash(repr([float(age) for age in ages])) % 10**6

    def prenext(self):
        self.look(1)

    def nextstart(self):
        self.look(2)
        self.lines.x[0] = self.data[0]

    def next(self):
        self.look(3)
        self.lines.x[0] = 0.5 * self.lines.x[-1] + self.again[0] - self.datas[-1][0]


class _Looked(_Looks):
    """Another indicator over one that is called bar by bar."""

    lines = ("z",)

    def __init__(self):
        super().__init__()
        self.inner = _Looks(self.data)

    def next(self):
        super().next()
        self.lines.z[0] = self.inner.x[0] - self.inner.seen[-1]


class _Ticks(bt.Indicator):
    lines = ("x",)

    def next(self):
        self.lines.x[0] = self.data.tick_close - self.data.close[-1]


class _Fails(_Looks):
    def next(self):
        super().next()
        if len(self) == 40:
            raise KeyError(self.data[0])


@pytest.mark.parametrize("cls", [_Looks, _Looked, _Ticks, _Fails])
@pytest.mark.parametrize(
    "given",
    [
        lambda s: (s.data0,),
        lambda s: (s.data0, s.data1),
        lambda s: (s.data1, s.data0),
        lambda s: (s.data0, s.data0),
        lambda s: (s.data1.high,),
        lambda s: (bt.ind.SMA(s.data0, period=3),),
        lambda s: (s.data0, bt.ind.SMA(s.data0, period=3)),
        lambda s: (bt.ind.SMA(s.data0, period=3), s.data0),
    ],
    ids=["data", "two datas", "two datas, swapped", "twice", "line", "indicator", "both", "both, swapped"],
)
def test_indicators_with_a_next_of_their_own(cls, given):
    rng = np.random.default_rng(12)
    _assert_same(lambda s: cls(*given(s)), _cents(rng), _cents(rng).iloc[:180])


@pytest.mark.parametrize(
    "number", [np.float64(0.0), np.int64(3), 2**70, True, 0, 0.0, -0.0, math.inf, math.nan]
)
@pytest.mark.parametrize("symbol", ["truediv", "floordiv", "pow", "mul", "lt", "eq"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_of_every_kind(number, symbol):
    rng = np.random.default_rng(9)
    op = getattr(operator, symbol)
    for market in ("zeros and signs", "holes"):
        _assert_same(lambda s: op(s.data.close, number), MARKETS[market](rng))
        if isinstance(number, (int, float)) and not isinstance(number, np.generic):
            _assert_same(lambda s: op(number, s.data.close), MARKETS[market](rng))


def test_two_datas_of_different_length():
    rng = np.random.default_rng(2)
    long, short = _cents(rng), _cents(rng).iloc[40:200:2]

    def build(s):
        return [
            bt.ind.SMA(s.data1, period=5) + 1.0,
            bt.ind.CrossOver(s.data0.close, bt.ind.EMA(s.data0, period=4)),
            bt.ind.ATR(s.data1),
            s.data0.close - s.data1.close,
        ]

    _assert_same(build, long, short)
    _assert_same(lambda s: build(s)[:3], long, short)


def test_coupled_lines_run_as_stock():
    rng = np.random.default_rng(3)
    long, short = _cents(rng), _cents(rng).iloc[::4]
    _assert_same(lambda s: s.data0.close > bt.ind.SMA(s.data1, period=3)(), long, short)
    _assert_same(lambda s: bt.ind.PivotPoint(s.data1), long, short)


def test_a_strategy_that_evaluates_itself():
    class Own(bt.Strategy):
        def _once(self):
            self.seen = True

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=_cents(np.random.default_rng(1))))
    cerebro.addstrategy(Own)
    (strategy,) = cerebro.run()
    del strategy.seen
    report = evaluate(strategy)
    assert strategy.seen
    assert report.stock == ["Own"]


def test_talib_runs_as_stock():
    pytest.importorskip("talib")
    rng = np.random.default_rng(4)

    def build(s):
        d = s.data
        return [
            bt.talib.SMA(d.close, timeperiod=5),
            bt.talib.MACD(d.close),
            bt.talib.CDLDOJI(d.open, d.high, d.low, d.close),
            bt.talib.SAR(d.high, d.low),
            bt.talib.RSI(d.close) - bt.talib.ATR(d.high, d.low, d.close),
        ]

    for market in ("cents", "flat", "holes", "short"):
        fast = _assert_same(build, MARKETS[market](rng))
        assert market == "short" or not fast["report"].stock


def test_primitives_are_found_by_class():
    assert bt.ind.Average in PRIMITIVES
    seen = []

    def look(strategy):
        strategy._once()
        average, *_ = strategy.built._lineiterators[bt.LineIterator.IndType]
        primitive = primitive_of(average)
        seen.append(
            (primitive is PRIMITIVES[bt.ind.Average], primitive.scalars(average), primitive.sources(average))
        )
        assert primitive.outputs(average)[0] is average.lines[0]
        assert primitive.sources(average)[0] is strategy.data.close

    found = _evaluated(lambda s: bt.ind.SMA(s.data, period=9), [_cents(np.random.default_rng(1))], look)
    assert "error" not in found
    assert seen[0][:2] == (True, (9,))


# --- random expressions ----------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 0.0, -0.0, 0.5, 100.0, 1e-9]),
    st.floats(-1e6, 1e6),
    st.integers(-1000, 1000),
)
BINARY = ["add", "sub", "mul", "truediv", "floordiv", "lt", "gt", "le", "ge", "eq", "ne"]
PERIODS = st.integers(1, 12)


def _leaf():
    return st.sampled_from(["open", "high", "low", "close", "volume"]).map(
        lambda name: lambda s: getattr(s.data, name)
    )


def _grow(inner):
    def binary(a, b, symbol):
        return lambda s: getattr(operator, symbol)(a(s), b(s))

    def with_number(a, number, symbol, left):
        return lambda s: getattr(operator, symbol)(*((number, a(s)) if left else (a(s), number)))

    def chosen(parts, name, number):
        arguments = [*parts, lambda s: number]
        return lambda s: getattr(functions, name)(*(part(s) for part in arguments))

    def rolling(a, name, period):
        return lambda s: getattr(bt.ind, name)(a(s), period=period)

    two = st.tuples(inner, inner)
    return st.one_of(
        st.builds(binary, inner, inner, st.sampled_from(BINARY)),
        st.builds(with_number, inner, NUMBERS, st.sampled_from([*BINARY, "pow"]), st.booleans()),
        inner.map(lambda a: lambda s: -a(s)),
        inner.map(lambda a: lambda s: abs(a(s))),
        st.builds(lambda a, ago: lambda s: a(s)(ago), inner, st.integers(-9, 3)),
        st.builds(
            chosen, st.lists(inner, min_size=1, max_size=3), _names("And Or Max Min Sum Any All"), NUMBERS
        ),
        st.builds(chosen, two, st.just("If"), NUMBERS),
        st.builds(chosen, inner.map(lambda a: [a]), st.just("Cmp"), NUMBERS),
        st.builds(chosen, st.lists(inner, min_size=4, max_size=4), st.just("CmpEx"), NUMBERS),
        st.builds(chosen, two, st.sampled_from(["DivByZero", "DivZeroByZero"]), NUMBERS),
        st.builds(
            rolling, inner, _names("SMA EMA SMMA WMA Highest Lowest SumN AnyN AllN StdDev Accum"), PERIODS
        ),
        st.builds(rolling, inner, _names("RSI_Safe Momentum PercentRank FindFirstIndexHighest DPO"), PERIODS),
        st.builds(lambda a, b: lambda s: bt.ind.CrossOver(a(s), b(s)), inner, inner),
    )


def _names(text):
    return st.sampled_from(text.split())


EXPRESSIONS = st.recursive(_leaf(), _grow, max_leaves=8)


def _buildable(build):
    """Builds the expression, with Accum's missing period and stock's refusals out of the way."""

    def safe(strategy):
        try:
            return build(strategy)
        except TypeError as error:
            return str(error)

    return safe


@settings(max_examples=100, deadline=None)
@given(EXPRESSIONS, st.sampled_from(sorted(MARKETS)), st.integers(0, 5))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_random_expressions(build, market, seed):
    _assert_same(_buildable(build), MARKETS[market](np.random.default_rng(seed)))
