"""The run's page in a real browser that has no network."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

import reports.html
from analyzers.diagnosis import diagnose
from analyzers.metrics import figures
from core.results import RunResult
from reports.quantstats_page import QuantStatsPart
from tests.unit.reports.conftest import make

WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
SERIES_COLOURS = {"price": ["rise", "fall"], "equity": ["accent"], "drawdown": ["loss"]}
# Pixels in the colours of the series: grid, axes and labels have others.
PAINTED = """([id, names]) => {
  const style = getComputedStyle(document.documentElement);
  const wanted = names.map(name => parseInt(style.getPropertyValue("--" + name).trim().slice(1), 16));
  let painted = 0;
  for (const canvas of document.querySelectorAll(`#${id} td:nth-child(2) canvas`)) {
    if (!canvas.width || !canvas.height) continue;
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < pixels.length; i += 4) {
      const near = (colour) => Math.abs((colour >> 16) - pixels[i]) + Math.abs((colour >> 8 & 255) - pixels[i + 1])
        + Math.abs((colour & 255) - pixels[i + 2]) < 40;
      if (pixels[i + 3] > 200 && wanted.some(near)) painted += 1;
    }
  }
  return painted;
}"""
DRAWN = 100
PICTURES = ("distribution", "fan", "rolling-sharpe", "rolling-volatility")
READABLE = 8
"""Pixels that the letters of a chart are high, at least."""
BACKGROUND, DARK = "getComputedStyle(document.body).backgroundColor", "rgb(20, 23, 26)"
OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, page_file: Path) -> Iterator[OpenPage]:
    """Opens the page; at the end, nothing may have been asked of a network or complained about."""
    asked: list[str] = []
    complaints: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error":
            complaints.append(message.text)

    with contextmanager(_contexts)(browser) as new_context:

        def open_at(width: str = "desk", scheme: str = "light", script: bool = True) -> Page:
            across, down = WIDTHS[width]
            context = new_context(
                viewport={"width": across, "height": down}, color_scheme=scheme, java_script_enabled=script
            )
            context.route("http://**", refuse)
            context.route("https://**", refuse)
            context.set_offline(True)
            page = context.new_page()
            page.on("console", listen)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(page_file.as_uri())
            return page

        yield open_at
    assert asked == []
    assert complaints == []


def _contexts(browser: Browser) -> Iterator[Callable[..., object]]:
    opened = []

    def new(**options: object) -> object:
        opened.append(browser.new_context(**options))
        return opened[-1]

    yield new
    for context in opened:
        context.close()


def drawn(page: Page, chart: str) -> int:
    """Waits until the chart shows its series; the number of pixels of it."""
    wanted = [chart, SERIES_COLOURS[chart]]
    page.wait_for_function(f"wanted => ({PAINTED})(wanted) > {DRAWN}", arg=wanted, timeout=20_000)
    return int(page.evaluate(PAINTED, wanted))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_without_a_network_at_both_widths(open_page: OpenPage, width: str, scheme: str):
    """R11"""
    page = open_page(width, scheme)
    for chart in ("price", "equity", "drawdown"):
        assert drawn(page, chart) > DRAWN
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
    assert (page.evaluate(BACKGROUND) == DARK) == (scheme == "dark")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_drawn_charts_are_coloured_pixels_at_both_widths(open_page: OpenPage, width: str, scheme: str):
    """R11"""
    page = open_page(width, scheme)
    for chart in PICTURES:
        shown = page.locator(f"#{chart} .picture")
        expect(shown.locator("svg:visible")).to_have_count(1)
        pixels = np.asarray(Image.open(io.BytesIO(shown.screenshot())).convert("RGB")).astype(int)
        assert int((np.ptp(pixels, axis=2) > 60).sum()) > DRAWN, chart
        inside = page.locator(f"#{chart} svg:visible text").first
        assert inside.evaluate("text => text.getBoundingClientRect().height") > READABLE


def test_the_diagnosis_stands_before_every_figure(open_page: OpenPage, run: RunResult):
    """B20"""
    page = open_page()
    found = diagnose(run, figures=figures(run, benchmark=run.prices["AAA"]["close"]))
    expect(page.locator("#diagnosis li")).to_have_count(len(found))
    assert page.locator("#diagnosis li strong").all_inner_texts() == [finding.title for finding in found]
    tops = [page.locator(name).bounding_box()["y"] for name in ("#diagnosis", "#figures", "#charts")]
    assert tops == sorted(tops)


def test_the_keyboard_reaches_the_charts_and_every_table_that_scrolls(open_page: OpenPage):
    page = open_page("phone")
    drawn(page, "price")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(() => { const e = document.activeElement; return e.id || e.getAttribute('aria-labelledby'); })()"
            )
        )
    wanted = {"symbol", "price", "equity", "drawdown", "months-title", "trades-title", "drawdowns-title"}
    assert wanted <= reached
    assert {"outcomes-title", "reasons-title", "regimes-title"} <= reached


def test_the_account_is_drawn_beside_what_was_held(open_page: OpenPage):
    """B18"""
    page = open_page()
    drawn(page, "equity")
    expect(page.locator("#charts")).to_contain_text("AAA held")
    assert page.evaluate("tearsheet.panes[1].held.data().length") == 260
    expect(page.locator("#readout")).to_contain_text("held")


def test_every_fill_has_one_marker_and_symbols_can_be_chosen(open_page: OpenPage, run: RunResult):
    """R11: markers = number of fills."""
    page = open_page()
    price = page.locator("#price")
    counts = run.fills["symbol"].value_counts()
    for symbol in run.prices:
        page.locator("#symbol").select_option(label=symbol)
        expect(price).to_have_attribute("data-markers", str(counts[symbol]))
        assert page.evaluate("tearsheet.panes[0].series.markers().length") == counts[symbol]
    assert sum(counts) == len(run.fills) > 10


def test_the_three_charts_show_the_same_period(open_page: OpenPage):
    page = open_page()
    drawn(page, "price")
    everything = page.evaluate("tearsheet.panes.map(p => p.chart.timeScale().getVisibleLogicalRange())")
    page.get_by_role("button", name="Show the last 3 months").click()
    agreed = """from => {
      const shown = tearsheet.panes.map(pane => pane.chart.timeScale().getVisibleLogicalRange());
      return shown.every(range => range.from > from + 50 && Math.abs(range.from - shown[0].from) < 0.02
        && Math.abs(range.to - shown[0].to) < 0.02);
    }"""
    page.wait_for_function(agreed, arg=everything[0]["from"], timeout=20_000)
    assert len(everything) == 3


def test_the_charts_obey_the_keyboard(open_page: OpenPage):
    page = open_page()
    drawn(page, "price")
    visible = "(() => { const r = tearsheet.panes[0].chart.timeScale().getVisibleLogicalRange(); return r.to - r.from; })()"
    before = page.evaluate(visible)
    page.locator("#equity").focus()
    page.keyboard.press("+")
    page.wait_for_function(f"before => {visible} < before * 0.9", arg=before)


def test_the_pointer_reads_out_the_bar_under_it(open_page: OpenPage):
    page = open_page()
    drawn(page, "price")
    box = page.locator("#price").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    expect(page.locator("#readout")).to_contain_text("equity")
    expect(page.locator("#readout")).to_contain_text("2022-")


def test_trades_are_sorted_by_a_click_or_a_key(open_page: OpenPage, run: RunResult):
    page = open_page()
    results = page.locator("#trades tbody tr td:nth-child(12)")
    expect(results).to_have_count(len(run.trades))
    head = page.get_by_role("button", name="Result", exact=True)
    head.focus()
    page.keyboard.press("Enter")
    keys = [float(key) for key in results.evaluate_all("cells => cells.map(c => c.dataset.key)")]
    assert keys == sorted(run.trades["pnl_net"])
    head.click()
    keys = [float(key) for key in results.evaluate_all("cells => cells.map(c => c.dataset.key)")]
    assert keys == sorted(run.trades["pnl_net"], reverse=True)
    expect(page.locator("#trades th[aria-sort]")).to_have_attribute("aria-sort", "descending")


def test_the_quantstats_part_is_there_and_fits(open_page: OpenPage):
    """R12"""
    page = open_page("phone")
    inside = page.locator(".quantstats")
    expect(inside.get_by_text("Key Performance Metrics")).to_be_visible()
    assert inside.locator("svg").count() >= 8
    assert page.evaluate("document.querySelector('.quantstats').scrollWidth") <= 390


def test_without_scripts_the_figures_are_still_there(open_page: OpenPage, run: RunResult):
    page = open_page(script=False)
    expect(page.get_by_text("Total return").first).to_be_visible()
    expect(page.locator("#trades tbody tr")).to_have_count(len(run.trades))


def test_paper_gets_pictures_of_the_charts_on_white(open_page: OpenPage):
    page = open_page(scheme="dark")
    drawn(page, "price")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    # The corner is paper or a grid line; both are dark on a dark screen.
    corner = "canvases => canvases.map(c => Math.min(...c.getContext('2d').getImageData(1, 1, 1, 1).data))"
    assert page.locator("canvas.printed").count() == 3
    assert min(page.locator("canvas.printed").evaluate_all(corner)) > 200
    page.emulate_media(media="print")
    expect(page.locator("#price canvas.printed")).to_be_visible()
    expect(page.locator("#ranges")).to_be_hidden()
    page.set_viewport_size({"width": 720, "height": 1000})
    cut = "boxes => boxes.filter(box => box.firstElementChild.offsetWidth > box.clientWidth + 1).length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    expect(page.locator("#fan svg:visible")).to_have_count(1)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("canvas.printed").count() == 0
    page.emulate_media(media="screen", color_scheme="dark")
    assert page.evaluate(BACKGROUND) == DARK


def test_a_page_of_half_a_million_bars_opens_and_draws(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """R11"""
    monkeypatch.setattr(
        reports.html, "quantstats_part", lambda *given, **options: QuantStatsPart(missing="not now")
    )
    bars = 500_000
    walk = list(1e5 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 1e-4, bars))))
    fills = [(bar, "AAA", 1.0 if bar % 500 else -1.0, 50.0, 0.0, bar + 1) for bar in range(0, bars, 250)]
    path = tmp_path / "long.html"
    path.write_text(reports.html.tearsheet(make(walk, freq="min", fills=fills)), encoding="utf-8")
    assert path.stat().st_size < 2_000_000
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    for chart in ("price", "equity", "drawdown"):
        assert drawn(page, chart) > DRAWN
    assert page.evaluate("tearsheet.panes[0].series.markers().length") == len(fills)
    expect(page.locator("main")).to_contain_text("stands for 125 bars")
    context.close()
