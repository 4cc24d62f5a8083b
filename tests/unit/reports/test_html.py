"""The run's page as text: what it says, what it escapes, and that it points nowhere."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from core.config import ReportSettings
from core.results import RunResult
from core.types import DataInfo
from reports.html import chart_library, tearsheet

ADDRESS = re.compile(r"^(https?:)?//|^(ftp|ws|wss|file):", re.IGNORECASE)
LOADING = (
    "src",
    "href",
    "xlink:href",
    "srcset",
    "action",
    "formaction",
    "data",
    "poster",
    "background",
    "srcdoc",
)
DEGENERATE = {
    "no bars": [],
    "one bar": [1000.0],
    "two bars": [1000.0, 1010.0],
    "never changed": [1000.0] * 40,
    "gaps": [1000.0, np.nan, 1010.0, np.inf, 990.0] * 4,
    "nothing known": [np.nan] * 20,
    "lost": [1000.0, 500.0, -10.0, 20.0] * 5,
}


class Page(HTMLParser):
    """Collects what a browser would load or run, the element names, and the text outside scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.handlers: list[str] = []
        self.tags: list[str] = []
        self.styles: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.targets += [value or "" for name, value in attrs if name in LOADING]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.styles.append(given.get("style") or "")
        if tag in ("script", "style"):
            self._inside = tag
            if tag == "script":
                self.scripts.append((given, ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.styles.append(data)
        elif self._inside == "script":
            self.scripts[-1] = self.scripts[-1][0], self.scripts[-1][1] + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def assert_points_nowhere(page: Page) -> None:
    assert [target for target in page.targets if target != "data:," and not target.startswith("#")] == []
    for style in page.styles:
        assert "@import" not in style
        assert [to for to in re.findall(r"url\(\s*['\"]?([^)'\"]*)", style) if not to.startswith("#")] == []
    assert page.handlers == []
    assert not {"iframe", "object", "embed", "form", "base", "img"} & set(page.tags)


@pytest.mark.usefixtures("without_quantstats")
class TestOurPart:
    def test_points_nowhere_and_says_so_to_the_browser(self, run: RunResult):
        """R11"""
        text = tearsheet(run)
        assert_points_nowhere(Page(text))
        assert "default-src 'none'" in text

    def test_says_what_it_is(self, run: RunResult):
        words = Page(tearsheet(run)).text
        for part in (
            "Backtest",
            "No orders left this machine",
            "momentum on AAA",
            "2024-01-01 to 2024-02-09",
            "30 bars of 1d",
            "csv:prices.csv",
            "cerebro (the only one)",
            "one bar was filled",
            "1 trade was still open at the end",
            "profit target",
            "Commission 0.1% of the value traded",
        ):
            assert part in words

    def test_escapes_whatever_came_with_the_run(self, make_run):
        evil = "<script>alert(1)</script>"
        run = make_run(
            [1000.0 + bar for bar in range(20)],
            symbols=(evil,),
            fills=[(2, evil, 1.0, 50.0, 0.0, 1), (4, evil, -1.0, 51.0, 0.0, 2)],
            trades=[(evil, 2, 4, 1.0, 50.0, 51.0, 1.0, 1.0, 0.0, evil, 2)],
            strategy=evil,
            params={evil: evil},
            costs={evil: 1.0},
            notes=(evil,),
            engine_reason=evil,
        )
        text = tearsheet(run, settings=ReportSettings(title=evil))
        assert evil not in text
        page = Page(text)
        assert page.tags.count("script") == 3
        assert page.text.count(evil) >= 8
        assert json.loads(page.scripts[0][1])["symbols"][0]["name"] == evil

    @pytest.mark.parametrize("equity", DEGENERATE.values(), ids=DEGENERATE)
    def test_comes_for_any_run(self, make_run, equity: list[float]):
        page = Page(tearsheet(make_run(equity)))
        assert "No trade was closed" in page.text
        assert "nan" not in page.text.lower().split()
        json.loads(page.scripts[0][1], parse_constant=lambda name: pytest.fail(name))

    def test_comes_without_prices(self, make_run):
        assert "no price chart" in Page(tearsheet(make_run([1.0, 2.0, 3.0], prices={}))).text

    def test_shows_the_newest_trades_and_says_how_many_more(self, make_run):
        trades = [
            ("AAA", bar, bar + 1, 1.0, 50.0 + bar, 51.0, 1.0, 1.0, 0.0, "signal", 1) for bar in range(20)
        ]
        run = make_run([1000.0 + bar for bar in range(30)], trades=trades)
        text = tearsheet(run, settings=ReportSettings(trades_shown=5))
        assert "Shown: 5 of 20; all are in trades.csv" in Page(text).text
        assert text.count('<td class="words">AAA</td>') == 5
        assert ">69.00<" in text
        assert ">64.00<" not in text

    def test_heats_months_by_sign_and_compounds_the_year(self, make_run):
        run = make_run([100.0] * 20 + [110.0] * 23 + [99.0] * 20)
        text = tearsheet(run)
        assert '<td class="gain" style="--heat:1.0">10.00%</td>' in text
        assert '<td class="loss" style="--heat:1.0">\u221210.00%</td>' in text
        assert '<td class="whole loss">\u22121.00%</td>' in text

    def test_says_when_a_point_of_a_chart_is_many_bars(self, make_run):
        words = Page(tearsheet(make_run([1000.0 + bar % 7 for bar in range(9000)], freq="min"))).text
        assert "each of their points stands for 3 bars" in words

    def test_a_short_trade_that_fell_is_a_move_up(self, make_run):
        short = [("AAA", 2, 4, -2.0, 50.0, 45.0, 10.0, 9.5, 0.5, "stop_loss", 2)]
        words = Page(tearsheet(make_run([1000.0 + bar for bar in range(20)], trades=short))).text
        assert "short" in words
        assert " 10.00% " in words
        assert "stop loss" in words


def test_with_quantstats_the_page_still_points_nowhere_and_is_small(make_run):
    """R12"""
    walk = 1000 * np.cumprod(1 + np.random.default_rng(5).normal(0.001, 0.01, 300))
    text = tearsheet(make_run(list(walk)))
    page = Page(text)
    assert_points_nowhere(page)
    assert "Key Performance Metrics" in page.text
    assert "AAA (held)" in page.text
    library = chart_library()
    assert "http" not in text.replace(library, "").replace("http-equiv", "")
    assert len(text.encode()) < 2_500_000


def test_ten_years_of_days_with_quantstats_make_a_page_below_two_megabytes(make_run):
    """R11"""
    walk = 1000 * np.cumprod(1 + np.random.default_rng(5).normal(0.0004, 0.011, 2520))
    bars = range(0, 2500, 10)
    trades = [("AAA", bar, bar + 4, 1.0, 50.0, 50.5, 0.5, 0.4, 0.1, "signal", 4) for bar in bars]
    fills = [(bar + step, "AAA", 1.0 - step / 2, 50.0, 0.05, bar + 1) for bar in bars for step in (0, 4)]
    page = tearsheet(make_run(list(walk), trades=trades, fills=fills))
    assert "Key Performance Metrics" in page
    assert len(page.encode()) < 2_000_000


def test_the_chart_library_is_the_installed_one_and_cannot_end_its_element():
    assert "TradingView Lightweight Charts" in chart_library()
    assert "</script" not in chart_library()


def test_a_user_reads_the_class_name_and_finds_the_reference(make_run, without_quantstats: None):
    words = Page(tearsheet(make_run([1.0, 2.0], strategy="mine/turtle.py:Turtle"))).text
    assert "Turtle on AAA" in words
    assert "mine/turtle.py:Turtle" in words


def test_data_notes_and_run_notes_are_told_once(make_run, without_quantstats: None):
    run = make_run([1.0, 2.0], notes=("twice told",))
    info = DataInfo("x", ("AAA",), run.data.start, run.data.end, 2, notes=("twice told",))
    words = Page(tearsheet(make_run([1.0, 2.0], notes=("twice told",), data=info))).text
    assert words.count("twice told") == 1
