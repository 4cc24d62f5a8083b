"""Random strategies as source text, and random draws of parameters, markets and accounts to run them on.

A template is one class, written from a grammar over what ordinary strategies do: indicators, scalar state, order
handles, every order type, brackets, targets, notifications, helper methods, loops over datas, dates. One template
runs on many draws. Everything follows from seeds.
"""

from __future__ import annotations

import importlib.util
import linecache
import random
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import backtrader as bt

from tests.parity.engines import Case
from tests.parity.markets import frames

CLASS = "Generated"
DAILY_KINDS = ("trend", "chop", "gappy", "gappy", "coarse", "coarse", "flat")
SHORTEST, LONGEST = 60, 120
LATEST_START = 22


@dataclass(frozen=True)
class Template:
    """One generated class. params: the values each may be drawn from. aligned: the datas share their bars."""

    seed: int
    source: str
    params: Mapping[str, tuple[Any, ...]]
    datas: int = 1
    aligned: bool = False
    intraday: bool = False
    resample: tuple[str, ...] = ()
    at_open: bool = False

    def load(self, folder: Path) -> type[bt.Strategy]:
        """Write the source below `folder` and import the class from there."""
        return load_class(self.source, folder / f"generated_{self.seed}.py")


@dataclass(frozen=True)
class Draw:
    """One run of a template. settings: calls on the stock broker before the run. keep: bars left after shrinking."""

    seed: int
    params: Mapping[str, Any]
    kind: str
    bars: int
    starts: tuple[int, ...]
    holes: bool
    cash: float
    commission: float
    settings: tuple[tuple[str, Mapping[str, Any]], ...]
    resample: tuple[str, ...] = ()
    cheat_on_open: bool = False
    keep: int | None = None

    def case(self, strategy: type[bt.Strategy]) -> Case:
        """What the engines run."""
        market = frames(self.kind, self.seed, self.bars, self.starts, self.holes)
        if self.keep is not None:
            last = next(iter(market.values())).index[: self.keep][-1]
            market = {name: frame[frame.index <= last] for name, frame in market.items()}
        return Case(
            strategy,
            self.params,
            market,
            resample=self.resample,
            cheat_on_open=self.cheat_on_open,
            cash=self.cash,
            commission=self.commission,
            broker=self.configure,
        )

    def configure(self, broker: bt.brokers.BackBroker) -> None:
        for method, arguments in self.settings:
            getattr(broker, method)(**arguments)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Draw:
        settings = tuple((method, arguments) for method, arguments in values["settings"])
        lists = {name: tuple(values[name]) for name in ("starts", "resample")}
        return cls(**{**values, **lists, "settings": settings})

    def smaller(self) -> Iterable[Draw]:
        """Draws with fewer bars, and with one data less."""
        bars = self.keep or self.bars
        for kept in (bars // 2, bars * 3 // 4, bars * 9 // 10, bars - 1):
            if 0 < kept < bars:
                yield replace(self, keep=kept)
        if len(self.starts) > 1:
            yield replace(self, starts=self.starts[:-1])


def load_class(source: str, path: Path) -> type[bt.Strategy]:
    """The generated class, from a module file of its own, as engines read a class's source."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    linecache.checkcache(str(path))
    name = f"tests_parity_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, CLASS)  # type: ignore[no-any-return]


def template(seed: int) -> Template:
    """The template of this seed."""
    return _Author(random.Random(seed)).write(seed)


def draw(made: Template, seed: int) -> Draw:
    """One draw of params, market, account and broker settings for a template."""
    dice = random.Random(f"{made.seed}/{seed}")
    bars = dice.randint(SHORTEST, LONGEST)
    starts = [0] * made.datas
    if not made.aligned:
        starts[1:] = [dice.choice((0, dice.randint(1, LATEST_START))) for _ in starts[1:]]
    return Draw(
        seed=dice.randrange(2**31),
        params={name: dice.choice(values) for name, values in made.params.items()},
        kind="minute" if made.intraday else dice.choice(DAILY_KINDS),
        bars=bars,
        starts=tuple(starts),
        holes=not made.aligned and made.datas > 1 and dice.random() < 0.4,
        cash=dice.choice((3_000.0, 20_000.0, 100_000.0, 1_000_000.0)),
        commission=dice.choice((0.0, 0.001, 0.0025)),
        settings=tuple(_settings(dice)),
        resample=made.resample,
        cheat_on_open=made.at_open or dice.random() < 0.03,
    )


def _settings(dice: random.Random) -> Iterable[tuple[str, dict[str, Any]]]:
    def flags() -> dict[str, bool]:
        names = ("slip_open", "slip_limit", "slip_match", "slip_out")
        return {name: dice.random() < 0.6 for name in names}

    if dice.random() < 0.2:
        yield "set_slippage_perc", {"perc": dice.choice((0.001, 0.01)), **flags()}
    elif dice.random() < 0.2:
        yield "set_slippage_fixed", {"fixed": dice.choice((0.01, 0.25)), **flags()}
    if dice.random() < 0.15:
        yield "set_coc", {"coc": True}
    if dice.random() < 0.15:
        yield "set_checksubmit", {"checksubmit": False}
    if dice.random() < 0.1:
        yield "set_shortcash", {"shortcash": False}
    if dice.random() < 0.12:
        money = {"commission": dice.choice((0.5, 2.0)), "margin": dice.choice((200.0, 1500.0))}
        yield "setcommission", {**money, "mult": dice.choice((1.0, 5.0))}
    elif dice.random() < 0.1:
        yield "setcommission", {"commission": 0.02, "stocklike": True, "commtype": bt.CommInfoBase.COMM_FIXED}
    elif dice.random() < 0.06:
        yield "setcommission", {"commission": 0.001, "interest": 0.05, "interest_long": dice.random() < 0.5}


@dataclass(frozen=True)
class _Line:
    """An indicator's output. kind: what it is compared with: "price", "percent" (0 to 100) or "zero"."""

    name: str
    output: str
    kind: str


# text, kind, outputs; {d} a data, {line} one of its lines, {n} and {m} periods, {f} a factor
INDICATORS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("bt.ind.SMA({line}, period={n})", "price", ("",)),
    ("bt.ind.SMA({line}, period={n})", "price", ("",)),
    ("bt.indicators.ExponentialMovingAverage({line}, period={n})", "price", ("",)),
    ("bt.ind.EMA(bt.ind.SMA({line}, period={n}), period={m})", "price", ("",)),
    ("bt.ind.WMA({line}, period={n})", "price", ("",)),
    ("bt.ind.SmoothedMovingAverage({line}, period={n})", "price", ("",)),
    ("bt.ind.DEMA({line}, period={n})", "price", ("",)),
    ("bt.ind.HMA({line}, period={m})", "price", ("",)),
    ("bt.ind.Highest({d}.high(-1), period={n})", "price", ("",)),
    ("bt.ind.Lowest({d}.low, period={n})", "price", ("",)),
    (
        "bt.ind.BollingerBands({d}, period={n}, devfactor={f})",
        "price",
        (".mid", ".top", ".bot", ".lines.top"),
    ),
    ("bt.ind.SMA({line}, period={n}) + {f} * bt.ind.StdDev({line}, period={n})", "price", ("",)),
    ("bt.ind.ParabolicSAR({d})", "price", ("",)),
    ("bt.Max({d}.close(-1), {d}.open)", "price", ("",)),
    ("bt.If({d}.close > {d}.open, {d}.low, {d}.high)", "price", ("",)),
    ("({d}.high + {d}.low + {d}.close) / 3.0", "price", ("",)),
    ("bt.ind.RSI({line}, period={n}, safediv=True)", "percent", ("",)),
    ("bt.ind.RSI_SMA({d}.close, period={n}, safediv=True)", "percent", ("",)),
    ("bt.ind.Stochastic({d}, period={n}, period_dfast=3, safediv=True)", "percent", (".percK", ".percD", "")),
    ("bt.ind.AroonUp({d}, period={n})", "percent", ("",)),
    ("bt.ind.RSI_SMA({d}.close, period={n})", "percent", ("",)),
    ("bt.ind.RSI_EMA({d}.close, period={m})", "percent", ("",)),
    ("bt.ind.WilliamsR({d}, period={m}) + 100.0", "percent", ("",)),
    ("bt.ind.CCI({d}, period={m})", "zero", ("",)),
    ("bt.ind.DirectionalIndicator({d}, period={m})", "percent", (".plusDI", ".minusDI")),
    ("bt.ind.KAMA({line}, period={n})", "price", ("",)),
    ("bt.ind.ZeroLagExponentialMovingAverage({line}, period={n})", "price", ("",)),
    ("bt.ind.AccelerationDecelerationOscillator({d}, period={n})", "zero", ("",)),
    ("bt.ind.PercentChange({line}, period={n})", "zero", ("",)),
    ("bt.ind.MACD({d}, period_me1={n}, period_me2={m}, period_signal=4)", "zero", (".macd", ".signal", "")),
    ("bt.ind.MACDHisto({d}.close, period_me1=3, period_me2={m}, period_signal={n})", "zero", (".histo",)),
    ("bt.ind.CrossOver({d}.close, bt.ind.SMA({line}, period={n}))", "zero", ("",)),
    ("bt.ind.CrossOver(bt.ind.EMA({line}, period={n}), bt.ind.SMA({line}, period={m}))", "zero", ("",)),
    ("bt.ind.CrossUp({d}.close, bt.ind.EMA({line}, period={m}))", "zero", ("",)),
    ("bt.ind.Momentum({line}, period={n})", "zero", ("",)),
    ("bt.ind.RateOfChange({line}, period={n})", "zero", ("",)),
    ("{d}.close - {d}.close(-2)", "zero", ("",)),
    ("bt.And({d}.close > {d}.open, {d}.close(-1) >= {d}.open(-1))", "zero", ("",)),
    ("bt.Or({d}.close < {d}.open, {d}.low < {d}.low(-1))", "zero", ("",)),
    ("{d}.close > bt.ind.SMA({line}, period={n})", "zero", ("",)),
    ("bt.ind.ATR({d}, period={n}) - bt.ind.ATR({d}, period={m})", "zero", ("",)),
)

Lines = list[str]


def _indent(lines: Iterable[str], by: int = 1) -> Lines:
    return ["    " * by + line for line in lines]


def _name_of(head: str) -> str:
    return head.removeprefix("def ").partition("(")[0]


class _Author:
    """Writes one class. `d` is the text of the data spoken of, `key` what per-data state is kept under."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.params: dict[str, tuple[Any, ...]] = {}
        self.state: dict[str, str] = {}
        self.shared: dict[str, str] = {}
        self.made: list[tuple[str, str]] = []
        self.lines: list[_Line] = []
        self.helpers: dict[str, Lines] = {}
        self.updates: Lines = []
        self.tests: list[str] = []
        self.on_order: list[Callable[[], Lines]] = []
        self.imports: set[str] = set()
        self.lead: Lines = []
        self.taken = self.started = False
        self.datas = dice.choices((1, 2, 3), (0.66, 0.22, 0.12))[0]
        self.many = self.datas > 1
        self.aligned = self.many and dice.random() < 0.5
        self.intraday = not self.many and dice.random() < 0.15
        higher = ("1h", "2h") if self.intraday else ("1W", "1W", "2W")
        self.resample = (dice.choice(higher),) if not self.many and dice.random() < 0.08 else ()
        self.at_open = not self.many and dice.random() < 0.08
        self.signals = not self.many and dice.random() < 0.05
        self.p = dice.choice(("self.p", "self.params"))
        self.home = "d" if self.many else dice.choice(("self.data", "self.datas[0]", "self.data0"))
        self.d, self.key = self.home, "d"
        self.nested = dice.random() < 0.5

    # Small choices

    def pick(self, *choices: Any) -> Any:
        return self.dice.choice(choices)

    def maybe(self, chance: float) -> bool:
        return self.dice.random() < chance

    def param(self, stem: str, values: tuple[Any, ...]) -> str:
        """A new parameter, or one of its stem that is there already."""
        same = [name for name in self.params if name.startswith(stem)]
        if same and self.maybe(0.3):
            return f"{self.p}.{self.dice.choice(same)}"
        name = f"{stem}{len(same) + 1}" if same else stem
        self.params[name] = values
        return f"{self.p}.{name}"

    def period(self, low: int = 2, high: int = 9) -> str:
        if self.maybe(0.25):
            return str(self.dice.randint(low, high))
        values = sorted({self.dice.randint(low, high) for _ in range(3)})
        return self.param("period" if low < 5 else "slow", tuple(values))

    def place(self, name: str, first: str = "None") -> str:
        """State for each data."""
        self.state[name] = first
        return f"self.{name}[{self.key}]" if self.many else f"self.{name}"

    def scalar(self, name: str, first: str) -> str:
        """State of the whole strategy."""
        self.shared[name] = first
        return f"self.{name}"

    @property
    def skip(self) -> str:
        return "continue" if self.many else "return"

    @property
    def held(self) -> str:
        if self.many:
            return f"self.getposition({self.d}).size"
        return str(self.pick("self.position.size", "self.position.size", "self.getposition(self.data).size"))

    @property
    def flat(self) -> str:
        return (
            f"not {self.held}"
            if self.many
            else str(self.pick("not self.position", "self.position.size == 0"))
        )

    # Numbers and conditions

    def indicator(self) -> _Line:
        """An indicator for each data, made in __init__; one of those there are, or a new one."""
        if self.lines and (len(self.made) >= 5 or self.maybe(0.4)):
            return self.dice.choice(self.lines)
        text, kind, outputs = self.dice.choice(INDICATORS)
        line = self.pick("{d}.close", "{d}.close", "{d}", "{d}.high", "{d}.low")
        n, m = self.period(), self.period(5, 12)
        text = text.replace("{line}", line).format(
            d="{d}", n=n, m=m, f=self.pick("1.0", "2", "0.5", self.param("factor", (0.5, 1.0, 1.7, 2.0)))
        )
        name = f"i{len(self.made)}"
        self.made.append((name, text))
        fresh = [_Line(name, output, kind) for output in outputs]
        self.lines += fresh
        return self.dice.choice(fresh)

    def read(self, line: _Line, ago: int = 0) -> str:
        return f"{self.line(line)}[{-ago if ago else 0}]"

    def line(self, line: _Line) -> str:
        if not self.many:
            return f"self.{line.name}{line.output}"
        base = f"self.inds[{self.key}]['{line.name}']" if self.nested else f"self.{line.name}[{self.key}]"
        return base + line.output

    def price(self) -> str:
        """A number near the price."""
        d = self.d
        choice = self.dice.randrange(9)
        if choice == 0:
            return f"{d}.{self.pick('open', 'high', 'low')}[0]"
        if choice == 1:
            return f"{d}.{self.pick('close', 'high', 'low')}[-{self.pick(1, 1, 2, 3)}]"
        if choice == 2:
            return f"{self.pick('max', 'min')}({d}.close[0], {d}.{self.pick('open', 'high', 'low')}[-1])"
        if choice == 3:
            return f"({d}.high[0] + {d}.low[0]) / {self.pick('2', '2.0')}"
        if choice == 4:
            self.imports.add("math")
            return f"math.sqrt({d}.high[0] * {d}.low[0])"
        if choice == 5:
            size = self.pick(3, 4, 5)
            some = f"({d}.close[-i] for i in range({size}))"
            return str(self.pick(f"sum{some} / {size}", f"max{some}", f"min{some}"))
        if choice == 6:
            return f"({d}.close[0] if {d}.close[0] > {d}.open[0] else {d}.open[0])"
        return f"{d}.close[0]"

    def fraction(self) -> str:
        return str(self.pick("0.005", "0.01", "0.02", self.param("pct", (0.003, 0.01, 0.02, 0.04))))

    def test(self, depth: int = 2) -> str:
        """A condition that is true now and then."""
        if depth and self.maybe(0.35):
            left, right = self.test(depth - 1), self.test(depth - 1)
            return str(self.pick(f"{left} and {right}", f"({left} or {right})", f"not ({left}) and {right}"))
        if self.tests and self.maybe(0.25):
            return self.dice.choice(self.tests)
        if self.maybe(0.15):
            return self._about_time()
        if self.maybe(0.15):
            sign = self.pick("<", ">")
            return f"{self.price()} {sign} {self.price()} * {self.pick('1.0', '1.002', '0.998')}"
        return self._about(self.indicator())

    def _about(self, line: _Line) -> str:
        now, before = self.read(line), self.read(line, 1)
        sign = self.pick("<", ">", "<=", ">=")
        if line.kind == "price":
            close = f"{self.d}.close[0]"
            return str(
                self.pick(
                    f"{close} {sign} {now}",
                    f"{now} {sign} {before}",
                    f"{self.d}.low[0] < {now} {sign} {close}",
                )
            )
        if line.kind == "percent":
            level = self.pick("30", "50.0", "70", self.param("level", (30, 45, 60, 75)))
            return str(self.pick(f"{now} {sign} {level}", f"{before} < {level} <= {now}", f"20 < {now} < 80"))
        if self.maybe(0.3):
            return f"{self.line(line)} {self.pick('>', '<')} 0"
        return str(self.pick(f"{now} > 0", f"{now} < 0.0", f"{now} == 1", now, f"{now} != {before}"))

    def _about_time(self) -> str:
        d, choice = self.d, self.dice.randrange(6)
        if choice == 0:
            return f"len(self) % {self.pick(3, 5, 7)} == {self.pick(0, 1, 2)}"
        if choice == 1:
            return f"{d}.datetime.date(0).weekday() {self.pick('==', '<', '>=')} {self.pick(1, 2, 3)}"
        if choice == 2 and self.intraday:
            return f"{self.pick(10, 11)} <= {d}.datetime.time(0).hour < {self.pick(14, 15)}"
        if choice == 3 and not self.many:
            self.imports.add("datetime")
            return "self.data.datetime.date() >= datetime.date(2021, 2, 1)"
        if choice == 4:
            return f"{d}.datetime.date(0).day {self.pick('<', '>')} {self.pick(10, 15, 20)}"
        return f"len({d}) > {self.pick(5, 20, 30)}"

    def size(self, always: bool = False) -> str:
        """Text of a size; with `always` never 0 or missing."""
        d = self.d
        stake = self.param("stake", (1, 7, 20, 55))
        sure = [
            stake,
            str(self.dice.randint(1, 40)),
            f"max(1, int(self.broker.getvalue() * 0.1 / {d}.close[0]))",
        ]
        if "losses" in self.shared:
            sure.append(f"{stake} * (1 + self.losses)")
        if always:
            return self.dice.choice(sure)
        return self.dice.choice(
            [
                *sure,
                *sure,
                f"int(self.broker.getcash() * {self.pick('0.2', '0.95')} / {d}.close[0])",
                f"self.broker.get_value() * 0.3 / {d}.close[0]",
                self._helper_size(),
            ]
        )

    def _helper_size(self) -> str:
        sign = "self, data" if self.many else "self"
        data = "data" if self.many else self.home
        body = [
            f"cash = self.broker.{self.pick('getcash()', 'get_cash()', 'getvalue()')}",
            f"if cash < {self.pick('1000', '15000.0')}:",
            f"    return {self.pick(0, 1)}",
            f"return {self.pick('int', 'math.floor', 'round')}(cash * {self.fraction()} * 4 / {data}.close[0])",
        ]
        if "math" in body[-1]:
            self.imports.add("math")
        self.helpers.setdefault(f"def size_for({sign}):", body)
        return f"self.size_for({self.d})" if self.many else "self.size_for()"

    def send(self, side: str, *arguments: str, size: str | None = "") -> str:
        """An order's call. size: text, None for the sizer's, "" for a random one."""
        words = [f"data={self.d}"] if self.many else []
        size = self.size() if size == "" else size
        words += [f"size={size}"] if size is not None else []
        return f"self.{side}({', '.join([*words, *arguments])})"

    def close(self, *arguments: str) -> str:
        words = [f"data={self.d}"] if self.many else []
        return f"self.close({', '.join([*words, *arguments])})"

    def valid(self) -> str:
        self.imports.add("datetime")
        days = self.pick(1, 2, 4)
        return str(
            self.pick(
                f"datetime.timedelta(days={days})",
                f"datetime.timedelta({days})",
                f"self.data.datetime.datetime(0) + datetime.timedelta(days={days})",
                f"self.data.datetime[0] + {days}",
                "0",
                "None",
            )
        )

    def typed(self, side: str) -> list[str]:
        """Arguments of an order of a random type for this side."""
        up = "1 + " if side == "buy" else "1 - "
        down = "1 - " if side == "buy" else "1 + "
        near, far, base = self.fraction(), self.fraction(), self.price()
        kind = self.pick(
            "Market", "Close", "Limit", "Limit", "Stop", "StopLimit", "StopTrail", "StopTrailLimit"
        )
        words = [f"exectype=bt.Order.{kind}"]
        if kind == "Limit":
            words.append(
                f"price={self.pick(f'{base} * ({down}{near})', self.d + '.close[0]', self.d + '.low[0]')}"
            )
        elif kind == "Stop":
            words.append(f"price={self.d}.close[0] * ({up}{near})")
        elif kind == "StopLimit":
            words.append(f"price={self.d}.close[0] * ({up}{near})")
            words.append(f"plimit={self.d}.close[0] * ({up}{near}) * ({self.pick(up, down)}{far})")
        elif kind == "StopTrail":
            words.append(self.pick(f"trailpercent={near}", f"trailamount={self.pick('0.5', '1.5')}"))
        elif kind == "StopTrailLimit":
            words.append(f"price={self.d}.close[0]")
            words.append(f"plimit={self.d}.close[0] * ({down}{near})")
            words.append(self.pick(f"trailpercent={near}", f"trailamount={self.pick('0.5', '1.5')}"))
        if kind not in ("Market", "Close") and self.maybe(0.35):
            words.append(f"valid={self.valid()}")
        return words

    # Blocks of next(): each is a piece of strategy that trades

    def one_at_a_time(self) -> Lines:
        """The tutorial's handle; leaves by a condition, a stop by hand, or after some bars."""
        handle, price, bar = self.place("order"), self.place("buyprice"), self.scalar("bar_executed", "0")
        self.forget("order", price=True)
        leave = self.pick(
            self.test(1),
            f"len(self) >= {bar} + {self.param('hold', (2, 4, 8))}",
            f"{price} is not None and {self.d}.close[0] < {price} * (1 - {self.fraction()})",
            f"{price} and {self.d}.close[0] / {price} - 1 > {self.fraction()}",
        )
        lines = [f"if {self.flat}:", f"    if {self.test()}:", f"        {handle} = {self.send('buy')}"]
        if self.maybe(0.4):
            lines += [f"    elif {self.test(1)}:", f"        {handle} = {self.send('sell')}"]
        lines += ["else:", f"    if {leave}:", f"        {handle} = {self.close()}"]
        guard = [f"if {handle}:", f"    {self.skip}"]
        if self.maybe(0.5):
            return [*guard, *lines] if not self.taken else [f"if not {handle}:", *_indent(lines)]
        return [f"if {handle} is None:", *_indent(lines)]

    def forget(self, name: str, *, price: bool = False) -> None:
        """Have notify_order clear a handle, one way or another."""
        style = self.dice.randrange(4)

        def lines() -> Lines:
            handle = self.place(name)
            done = ["if order.status in [order.Completed]:", "    if order.isbuy():"]
            body = [f"        {self.place('buyprice')} = order.executed.price"] if price else ["        pass"]
            tail = [f"    {self.scalar('bar_executed', '0')} = len(self)"] if price else []
            head = [*done, *body, *tail] if price else []
            if style == 0:
                return [*head, f"{handle} = None"]
            if style == 1:
                return [*head, "if not order.alive():", f"    {handle} = None"]
            if style == 2:
                return [
                    *head,
                    f"if {handle} is not None and order.ref == {handle}.ref and not order.alive():",
                    f"    {handle} = None",
                ]
            statuses = "order.Completed, order.Canceled, order.Expired, order.Margin, order.Rejected"
            return [*head, f"if order.status in [{statuses}]:", f"    {handle} = None"]

        self.on_order.append(lines)

    def waiting_limit(self) -> Lines:
        """A limit order that is cancelled when it has waited long enough."""
        handle, waited = self.place("limit"), self.place("waited", "0")
        self.forget("limit")
        cancel = self.pick(f"self.cancel({handle})", f"self.broker.cancel({handle})")
        side = self.pick("buy", "sell")
        down = "1 - " if side == "buy" else "1 + "
        valid = [f"valid={self.valid()}"] if self.maybe(0.3) else []
        price = f"price={self.price()} * ({down}{self.fraction()})"
        return [
            f"if {handle}:",
            f"    {waited} += 1",
            f"    if {waited} > {self.param('patience', (1, 2, 4))}:",
            f"        {cancel}",
            f"elif {self.test()}:",
            f"    {handle} = {self.send(side, price, 'exectype=bt.Order.Limit', *valid)}",
            f"    {waited} = 0",
        ]

    def bracket(self) -> Lines:
        """buy_bracket or sell_bracket; no new one while any of its orders is alive."""
        refs, buy = self.place("orefs", "list()" if self.maybe(0.5) else "[]"), self.maybe(0.7)
        near, far = self.fraction(), self.fraction()
        close = f"{self.d}.close[0]"
        stop, target = (f"(1 - {near})", f"(1 + {far})") if buy else (f"(1 + {near})", f"(1 - {far})")
        words = [f"stopprice={close} * {stop}", f"limitprice={close} * {target}"]
        if self.maybe(0.5):
            words.append("exectype=bt.Order.Market")
        else:
            words.append(f"price={close} * {self.pick('0.997', '1.0', '1.003')}")
            if self.maybe(0.5):
                words.append(f"valid={self.valid()}")
        if self.maybe(0.2):
            words.append(f"limitargs=dict(valid={self.valid()})")
        call = self.send("buy_bracket" if buy else "sell_bracket", *words, size=self.size(always=True))
        self.drop_ref("orefs")
        pending = self.pick(f"not {refs}", f"len({refs}) == 0")
        return [
            f"if {pending} and {self.flat}:",
            f"    if {self.test()}:",
            f"        os = {call}",
            f"        {refs} = [o.ref for o in os]",
        ]

    def drop_ref(self, name: str) -> None:
        def lines() -> Lines:
            refs = self.place(name, "[]")
            return [f"if not order.alive() and order.ref in {refs}:", f"    {refs}.remove(order.ref)"]

        self.on_order.append(lines)

    def bracket_by_hand(self) -> Lines:
        """Three orders by parent and transmit."""
        refs, close = self.place("legs", "[]"), f"{self.d}.close[0]"
        size = f"size{self.dice.randint(1, 3)}"
        near, far = self.fraction(), self.fraction()
        self.drop_ref("legs")
        main = self.pick("exectype=bt.Order.Market", f"exectype=bt.Order.Limit, price={close} * 0.998")
        orders = [
            f"{size} = {self.size(always=True)}",
            f"o1 = {self.send('buy', main, 'transmit=False', size=size)}",
            f"o2 = {self.send('sell', f'exectype=bt.Order.Stop, price={close} * (1 - {near})', 'parent=o1', 'transmit=False', size=size)}",
            f"o3 = {self.send('sell', f'exectype=bt.Order.Limit, price={close} * (1 + {far})', 'parent=o1', 'transmit=True', size=size)}",
            f"{refs} = [o1.ref, o2.ref, o3.ref]",
        ]
        return [f"if not {refs} and {self.test()}:", *_indent(orders)]

    def one_cancels_other(self) -> Lines:
        """A limit and a stop, or two stops around the price."""
        handle, close = self.place("pair"), f"{self.d}.close[0]"
        size, near = self.size(always=True), self.fraction()
        first = self.send("buy", "exectype=bt.Order.Stop", f"price={close} * (1 + {near})", size=size)
        second = self.send(
            "sell", "exectype=bt.Order.Stop", f"price={close} * (1 - {near})", f"oco={handle}", size=size
        )
        if self.maybe(0.5):
            first = self.send("sell", "exectype=bt.Order.Limit", f"price={close} * (1 + {near})", size=size)
        orders = [f"{handle} = {first}", second]
        if self.maybe(0.3):
            orders.append(self.send("sell", "exectype=bt.Order.Close", f"oco={handle}", size=size))
        return [
            f"if {handle} is None or not {handle}.alive():",
            f"    if {self.test()}:",
            *_indent(orders, 2),
        ]

    def targets(self) -> Lines:
        """order_target_size, _value or _percent."""
        data = f"data={self.d}, " if self.many else ""

        def call() -> str:
            kind = self.dice.randrange(3)
            if kind == 0:
                return f"self.order_target_size({data}target={self.pick('-5', '0', '12', '40')})"
            if kind == 1:
                return f"self.order_target_value({data}target={self.pick('0.0', '-700', '2500.0', '9000')})"
            return f"self.order_target_percent({data}target={self.pick('0.0', '0.15', '-0.1', '0.3')})"

        lines = [f"if {self.test()}:", f"    {call()}", f"elif {self.test()}:", f"    {call()}"]
        return [*lines, f"elif {self._about_time()}:", f"    {call()}"] if self.maybe(0.3) else lines

    def stop_after_fill(self) -> Lines:
        """Buys; notify_order sends the exit when the purchase is done."""
        side = self.pick("Stop", "StopTrail", "Limit", "StopTrailLimit")
        amount = self.fraction()
        info = self.maybe(0.2)
        raised = self.place("protect")

        def lines() -> Lines:
            words = {
                "Stop": f"price=order.executed.price * (1 - {amount})",
                "Limit": f"price=order.executed.price * (1 + {amount})",
                "StopTrail": f"trailpercent={amount}",
                "StopTrailLimit": f"price=order.executed.price, plimit=order.executed.price * (1 - {amount}) - 0.1, trailamount=1.0",
            }[side]
            data = "data=order.data, " if self.many else ""
            call = f"self.sell({data}size=order.executed.size, exectype=bt.Order.{side}, {words})"
            body = [f"{self.place('protect')} = {call}"]
            if info:
                body.append(f"{self.place('protect')}.addinfo(name='protect')")
            return ["if order.status == order.Completed and order.isbuy():", *_indent(body)]

        self.on_order.append(lines)
        lines_ = [
            f"if {self.flat} and {self.test()}:",
            f"    {self.send('buy', size=self.size(always=True))}",
        ]
        if self.maybe(0.3):
            lines_ += [
                f"elif {raised} and {raised}.alive() and {self.test(1)}:",
                f"    self.cancel({raised})",
                f"    {self.close()}",
            ]
        return lines_

    def plain(self) -> Lines:
        """Orders of any type at some bars."""
        lines: Lines = []
        for _ in range(self.pick(1, 2, 2)):
            side = self.pick("buy", "sell")
            when = self.pick(f"len(self) % {self.pick(4, 6, 9)} == {self.pick(0, 1, 2)}", self.test(1))
            lines += [f"if {when}:", f"    {self.send(side, *self.typed(side))}"]
        if self.maybe(0.1):
            when, number = self.pick(5, 8), self.pick(1, 2)
            lines += [
                f"if len(self) % {when} == 1:",
                f"    {self.send('buy', f'tradeid={number}', size='6')}",
            ]
            lines += [
                f"elif len(self) % {when} == 4:",
                f"    {self.send('sell', f'tradeid={number}', size='6')}",
            ]
        if self.maybe(0.5):
            lines += [f"if len(self) % {self.pick(11, 13)} == 3:", f"    {self.close()}"]
        return lines

    def several(self) -> Lines:
        """A list of orders that is filled and emptied."""
        waiting = self.place("waiting", "[]")
        side = self.pick("buy", "sell")
        step = self.fraction()
        down = "1 - " if side == "buy" else "1 + "
        call = self.send(
            side,
            "exectype=bt.Order.Limit",
            f"price={self.d}.close[0] * ({down}{step} * (level + 1))",
            size=self.size(always=True),
        )
        drop = self.maybe(0.5)
        if drop:

            def lines() -> Lines:
                orders = self.place("waiting", "[]")
                return [f"if order in {orders} and not order.alive():", f"    {orders}.remove(order)"]

            self.on_order.append(lines)
        empty = self.pick(
            [f"while {waiting}:", f"    self.cancel({waiting}.pop())"],
            [f"for o in {waiting}:", "    if o.alive():", "        self.cancel(o)", f"{waiting} = []"],
        )
        return [
            f"if {self.test(1)} and len({waiting}) < 4:",
            f"    for level in range({self.pick(2, 3)}):",
            f"        {waiting}.append({call})",
            f"elif {self.test(1)}:",
            *_indent(empty),
            *([f"    {self.close()}"] if self.maybe(0.6) else []),
        ]

    def pyramid(self) -> Lines:
        """Adds while it goes well, leaves at once."""
        units, last = self.place("units", "0"), self.place("last_price", "0.0")
        limit = self.param("units", (1, 2, 4))
        return [
            f"if {units} < {limit} and {self.d}.close[0] > {last} and {self.test(1)}:",
            f"    {self.send('buy', size=self.size(always=True))}",
            f"    {units} += 1",
            f"    {last} = {self.d}.close[0]",
            f"elif {self.held} and {self.test(1)}:",
            f"    {self.close()}",
            f"    {units}, {last} = 0, 0.0",
        ]

    def hand_trail(self) -> Lines:
        """A stop price moved up by hand."""
        stop = self.place("stop_price")
        trail, close = self.fraction(), f"{self.d}.close[0]"
        return [
            f"if {self.flat}:",
            f"    {stop} = None",
            f"    if {self.test()}:",
            f"        {self.send('buy', size=self.size(always=True))}",
            f"        {stop} = {close} * (1 - {trail})",
            f"elif {stop} is not None:",
            f"    {stop} = max({stop}, {close} * (1 - {trail}))",
            f"    if {close} < {stop}:",
            f"        {self.close()}",
        ]

    BLOCKS = (
        one_at_a_time,
        one_at_a_time,
        waiting_limit,
        bracket,
        bracket_by_hand,
        one_cancels_other,
        targets,
        stop_after_fill,
        plain,
        plain,
        several,
        pyramid,
        hand_trail,
    )

    # State that conditions ask about

    def remember(self) -> None:
        """Some state, updated every bar, and a condition about it."""
        d = self.d
        choice = self.dice.randrange(10)
        if choice == 0:
            streak = self.place("streak", "0")
            self.updates.append(f"{streak} = {streak} + 1 if {d}.close[0] > {d}.close[-1] else 0")
            self.tests.append(f"{streak} >= {self.pick(2, 3)}")
        elif choice == 1:
            mean = self.place("mean")
            self.updates += [
                f"if {mean} is None:",
                f"    {mean} = {d}.close[0]",
                "else:",
                f"    {mean} += {self.fraction()} * 10 * ({d}.close[0] - {mean})",
            ]
            self.tests.append(f"{d}.close[0] {self.pick('>', '<')} {mean}")
        elif choice == 2:
            closes = self.place("closes", "[]")
            span = self.pick(3, 5)
            self.updates += [
                f"{closes}.append({d}.close[0])",
                f"if len({closes}) > {span}:",
                f"    {closes}.pop(0)",
            ]
            self.tests.append(f"len({closes}) == {span} and {d}.close[0] > sum({closes}) / len({closes})")
            self.tests.append(f"{d}.low[0] <= min({closes})")
        elif choice == 3:
            mode = self.place("mode", "'flat'")
            self.updates += [
                f"if {self.test(0)}:",
                f"    {mode} = 'up'",
                f"elif {self.test(0)}:",
                f"    {mode} = 'down'",
            ]
            self.tests.append(f"{mode} == '{self.pick('up', 'down')}'")
        elif choice == 4:
            month, count = self.scalar("month", "0"), self.scalar("day_of_month", "0")
            self.updates += [
                f"if {d}.datetime.date(0).month != {month}:",
                f"    {month} = {d}.datetime.date(0).month",
                f"    {count} = 0",
                f"{count} += 1",
            ]
            self.tests.append(f"{count} {self.pick('<', '>')} {self.pick(3, 8)}")
        elif choice == 5:
            peak = self.scalar("peak", "0.0")
            if self.maybe(0.6):
                self.updates.append(f"{peak} = max({peak}, self.broker.getvalue())")
            else:
                self.shared["cash_now"] = "0.0"
            self.tests.append(f"self.broker.getvalue() {self.pick('<', '>=')} {peak} * 0.995")
        elif choice == 6:
            self.scalar("losses", "0")
            self.scalar("pnl", "0.0")
            self.tests.append(self.pick("self.losses < 2", "self.pnl <= 0", "self.pnl > -500.0"))
        elif choice == 7:
            self.started = True
            self.tests.append(
                f"self.broker.getvalue() {self.pick('>', '<')} self.first_value * {self.pick('1.0', '1.01')}"
            )
        elif choice == 8:
            self.by_numpy()
        else:
            self.imports.add("deque")
            recent = self.place("recent", f"deque(maxlen={self.pick(4, 6)})")
            self.updates.append(f"{recent}.append({d}.high[0] - {d}.low[0])")
            self.tests.append(
                f"{d}.high[0] - {d}.low[0] {self.pick('>=', '<')} sum({recent}) / len({recent})"
            )

    def by_numpy(self) -> None:
        """A figure of the last closes, by numpy."""
        self.imports.add("numpy")
        shape, span = self.place("shape", "0.0"), self.pick(4, 9)
        figure = self.pick(
            "window.std()",
            "numpy.diff(window).mean()",
            "(window[-1] - window.mean()) / (window.std() + 0.01)",
            "numpy.log(window[-1] / window[0])",
            "numpy.std(numpy.diff(numpy.log(window)))",
            "(window > window.mean()).sum() - 2",
            "numpy.median(window[1:]) - window.min()",
        )
        self.updates += [
            f"window = numpy.array({self.d}.close.get(size={span}))",
            f"if window.size == {span}:",
            f"    {shape} = {figure}",
        ]
        self.tests.append(f"{shape} {self.pick('<', '>')} {self.pick('0.0', '0.01', '0.4')}")

    def spread(self) -> None:
        """A line of two datas, and its mean."""
        self.lead = [
            f"self.spread = self.data0.close - {self.pick('0.5', '1.0')} * self.data1.close",
            f"self.spread_mean = bt.ind.SMA(self.spread, period={self.period()})",
        ]
        self.tests.append(f"self.spread[0] {self.pick('<', '>')} self.spread_mean[0]")

    def higher(self) -> None:
        """The bars made of the data's, and a mean of them."""
        kind = self.pick("SMA", "EMA", "Highest")
        self.lead += [f"self.higher = bt.ind.{kind}(self.data1, period={self.period(2, 4)})"]
        self.tests += [
            f"self.data1.close[0] {self.pick('<', '>')} self.higher[0]",
            f"{self.d}.close[0] {self.pick('<', '>')} self.data1.{self.pick('high', 'low')}[0]",
            f"len(self.data1) % {self.pick(2, 3)} == {self.pick(0, 1)}",
        ]

    def add_signals(self) -> None:
        """Signals that order by themselves."""
        for kind in self.dice.sample(("LONGSHORT", "LONG", "SHORT", "LONGEXIT", "SHORTEXIT", "LONG_INV"), 2):
            line = self.pick(
                f"bt.ind.CrossOver(bt.ind.SMA(period={self.period(2, 4)}), bt.ind.SMA(period=7))",
                f"self.data.close - bt.ind.EMA(period={self.period(2, 6)})",
                "self.data.close - self.data.open",
            )
            self.lead.append(f"self.signal_add(bt.SIGNAL_{kind}, {line})")

    def wants(self) -> None:
        """A condition that moves into a helper method."""
        data, tests = self.d, self.tests
        if self.many:
            self.d, self.key, self.tests = "data", "data", []
        text = self.test()
        self.d, self.key, self.tests = data, "d", tests
        name = self.pick("wants_in", "is_setup")
        body = self.pick([f"return {text}"], [f"if {text}:", "    return True", "return False"])
        if self.helpers.setdefault(f"def {name}(self{', data' if self.many else ''}):", body) is body:
            self.tests.append(f"self.{name}({data if self.many else ''})")

    # The whole class

    def write(self, seed: int) -> Template:
        for _ in range(self.pick(0, 1, 1, 2)):
            self.remember()
        if self.aligned and self.maybe(0.3):
            self.spread()
        if self.resample:
            self.higher()
        if self.signals:
            self.add_signals()
        if self.maybe(0.35):
            self.wants()
        blocks: Lines = []
        for block in self.dice.sample(self.BLOCKS, self.pick(1, 1, 2, 2, 3)):
            blocks += block(self)
            self.taken = True
        following = [*self.updates, *blocks]
        methods = [*self._notifications(), *self._next(following), *self._next_open()]
        methods += self._helpers("\n".join(methods))
        if self.maybe(0.4):
            methods += ["", "def stop(self):", *_indent(self._report())]
        init = ["def __init__(self):", *_indent(self._init())]
        self._keep_what_is_used("\n".join([*init, *methods]))
        source = "\n".join(
            [
                *self._imports(),
                "",
                "",
                f"class {CLASS}(bt.{'SignalStrategy' if self.signals else 'Strategy'}):",
                *_indent(self._params()),
                "",
                *_indent(init),
                *(line.rstrip() for line in _indent(methods)),
                "",
            ]
        )
        return Template(
            seed, source, self.params, self.datas, self.aligned, self.intraday, self.resample, self.at_open
        )

    def _helpers(self, callers: str) -> Lines:
        """The helper methods that are called."""
        used = {head: body for head, body in self.helpers.items() if f"self.{_name_of(head)}(" in callers}
        inner = "\n".join(line for body in used.values() for line in body)
        for head, body in self.helpers.items():
            if head not in used and f"self.{_name_of(head)}(" in inner:
                used[head] = body
        return [line for head, body in used.items() for line in ["", head, *_indent(body)]]

    def _keep_what_is_used(self, text: str) -> None:
        words = {name: re.compile(rf"\b(?:p|params)\.{name}\b") for name in self.params}
        self.params = {name: self.params[name] for name, word in words.items() if word.search(text)}
        self.imports = {name for name in self.imports if re.search(rf"\b{name}[.(]", text)}

    def _imports(self) -> Lines:
        plain = sorted(name for name in self.imports if name != "deque")
        lines = [f"import {name}" for name in plain]
        if "deque" in self.imports:
            lines.append("from collections import deque")
        return [*lines, *([""] if lines else []), "import backtrader as bt"]

    def _params(self) -> Lines:
        if not self.params:
            return ["params = ()"]
        if self.maybe(0.5):
            words = ", ".join(f"{name}={values[0]!r}" for name, values in self.params.items())
            return [f"params = dict({words})"]
        words = ", ".join(f"('{name}', {values[0]!r})" for name, values in self.params.items())
        return [f"params = ({words},)"]

    def _init(self) -> Lines:
        lines: Lines = list(self.lead)
        if self.many and self.nested:
            lines += [
                f"self.inds = {self.pick('{}', 'dict()')}",
                "for d in self.datas:",
                "    self.inds[d] = {}",
            ]
            lines += [f"    self.inds[d]['{name}'] = {text.replace('{d}', 'd')}" for name, text in self.made]
        elif self.many:
            for name, text in self.made:
                lines.append(f"self.{name} = {{d: {text.replace('{d}', 'd')} for d in self.datas}}")
        else:
            home = self.pick("self.data", "self.datas[0]")
            lines += [f"self.{name} = {text.replace('{d}', home)}" for name, text in self.made]
        for name, first in self.state.items():
            lines.append(
                f"self.{name} = {{d: {first} for d in self.datas}}" if self.many else f"self.{name} = {first}"
            )
        lines += [f"self.{name} = {first}" for name, first in self.shared.items()]
        if self.maybe(0.12):
            lines.append(f"self.broker.set_slippage_perc({self.pick('0.001', '0.004')})")
        if self.maybe(0.08):
            lines.append("self.broker.setcommission(commission=0.002)")
        if self.maybe(0.06):
            lines.append("self.broker.set_coc(True)")
        if self.maybe(0.15):
            sizer = self.pick("FixedSize(stake=6)", "PercentSizer(percents=15)", "AllInSizerInt(percents=60)")
            lines.append(self.pick(f"self.setsizer(bt.sizers.{sizer})", f"self.sizer = bt.sizers.{sizer}"))
        return lines or ["pass"]

    def _notifications(self) -> Lines:
        lines: Lines = []
        if self.on_order:
            data, key = self.d, self.key
            self.d = self.key = "order.data"
            body = (
                ["if order.status in [order.Submitted, order.Accepted]:", "    return"]
                if self.maybe(0.7)
                else []
            )
            for piece in self.on_order:
                body += piece()
            self.d, self.key = data, key
            if self.maybe(0.3):
                self.scalar("margins", "0")
                body += ["if order.status in (order.Margin, order.Rejected):", "    self.margins += 1"]
            lines += ["", "def notify_order(self, order):", *_indent(body)]
        if "cash_now" in self.shared:
            lines += [
                "",
                "def notify_cashvalue(self, cash, value):",
                "    self.cash_now = cash",
                "    self.peak = max(self.peak, value)",
            ]
        if self.maybe(0.1):
            first = "self.data0" if self.many else self.home
            lines += [
                "",
                "def nextstart(self):",
                f"    self.buy(data={first}, size=2)",
                *self.pick([], ["    self.next()"]),
            ]
        if self.started:
            lines += ["", "def start(self):", "    self.first_value = self.broker.getvalue()"]
        if "losses" in self.shared:
            lines += [
                "",
                "def notify_trade(self, trade):",
                "    if not trade.isclosed:",
                "        return",
                "    self.pnl += trade.pnlcomm",
                "    if trade.pnl < 0:",
                "        self.losses += 1",
                "    else:",
                "        self.losses = 0",
            ]
        return lines

    def _next(self, body: Lines) -> Lines:
        if not self.many:
            return ["", "def next(self):", *_indent(body)]
        early = self.maybe(0.5)
        longest = 40
        head = [f"if len(d) < {longest if early else 1}:", "    continue"] if early else []
        loop = self.pick("for d in self.datas:", "for i, d in enumerate(self.datas):")
        lines = ["", "def next(self):", f"    {loop}", *_indent([*head, *body], 2)]
        if early and not self.aligned:
            lines += ["", "def prenext(self):", "    self.next()"]
        return lines

    def _next_open(self) -> Lines:
        """Orders at the open of the bar that is shown, some of them in the warm-up."""
        if not self.at_open:
            return []
        early = [f"    self.buy(size={self.pick(2, 3)}, exectype=bt.Order.Limit, price=self.data.open[0])"]
        return [
            "",
            "def next_open(self):",
            f"    if {self.flat} and self.data.open[0] {self.pick('<', '>')} self.data.close[-1] and {self.test(0)}:",
            f"        {self.send('buy')}",
            f"    elif {self.held} and {self.test(1)}:",
            f"        {self.close()}",
            *(
                ["", "def prenext_open(self):", "    if len(self) == 1:", *_indent(early)]
                if self.maybe(0.3)
                else []
            ),
            *(["", "def nextstart_open(self):", *early] if self.maybe(0.3) else []),
        ]

    def _report(self) -> Lines:
        known = [f"self.{name}" for name, first in self.shared.items() if first in ("0", "0.0")]
        return [f"print({', '.join(['self.broker.getvalue()', *known])})"]
