"""The page of an optimisation in a real browser that has no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from core.jsontext import jsonable
from reports.optimization import optimization_page
from tests.unit.reports.optimizations import document, with_second_objective

WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
CHARTS = ("equity", "heat", "lines", "history", "front", "drift-0", "drift-2", "logits", "splits")
BACKGROUND, DARK = "getComputedStyle(document.body).backgroundColor", "rgb(20, 23, 26)"
# Shapes of a chart that are really painted: of some size, and not in the colour of the ground.
PAINTED = """id => [...document.querySelectorAll(`#${id} svg :is(path, rect, circle)`)].filter(shape => {
  const box = shape.getBBox(), style = getComputedStyle(shape);
  return box.width + box.height > 0 && (style.fill !== "none" || style.stroke !== "none");
}).length"""
OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything on it."""
    path = tmp_path_factory.mktemp("optimization") / "optimization.html"
    path.write_text(optimization_page(jsonable(with_second_objective(document()))), encoding="utf-8")
    return path


@pytest.fixture
def open_page(browser: Browser, page_file: Path) -> Iterator[OpenPage]:
    """Opens the page; at the end, nothing may have been asked of a network or complained about."""
    asked: list[str] = []
    complaints: list[str] = []
    contexts = []

    def open_at(width: str = "desk", scheme: str = "light", script: bool = True) -> Page:
        across, down = WIDTHS[width]
        context = browser.new_context(
            viewport={"width": across, "height": down},
            color_scheme=scheme,  # type: ignore[arg-type]  # a literal
            java_script_enabled=script,
        )
        contexts.append(context)
        context.set_offline(True)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(page_file.as_uri())
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert {url for url in asked if not url.startswith("data:")} == {page_file.as_uri()}
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_charts_are_drawn_without_a_network_at_both_widths(open_page: OpenPage, width: str, scheme: str):
    """O13"""
    page = open_page(width, scheme)
    for chart in CHARTS:
        assert page.evaluate(PAINTED, chart) >= 5, chart
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS[width][0]
    assert (page.evaluate(BACKGROUND) == DARK) == (scheme == "dark")


def test_the_verdict_and_the_tables_are_there_without_scripts(open_page: OpenPage):
    """O13"""
    page = open_page(script=False)
    expect(page.locator("#verdict")).to_contain_text("Some evidence")
    expect(page.locator("#windows tbody tr")).to_have_count(4)
    expect(page.locator("#importance tr")).to_have_count(3)
    expect(page.locator("#front-table tbody tr")).to_have_count(2)
    expect(page.locator(".card")).to_have_count(9)


def test_the_keyboard_reaches_the_selectors_and_the_charts(open_page: OpenPage):
    """O13"""
    page = open_page()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    wanted = ["skip", "equity", "across", "down", "metric", "shown", "heat", "highlight"]
    assert [name for name in reached if name in wanted][: len(wanted)] == wanted


def test_a_pair_is_chosen_by_keys_and_equal_choices_swap(open_page: OpenPage):
    page = open_page()
    heat = page.locator("#heat")
    cells = heat.get_attribute("data-cells")
    page.locator("#down").focus()
    page.keyboard.press("m")
    expect(page.locator("#down")).to_have_value("2")
    expect(heat).not_to_have_attribute("data-cells", str(cells))
    expect(page.locator("#heat-readout")).to_contain_text("mode")
    page.locator("#across").select_option(label="mode")
    expect(page.locator("#down")).to_have_value("0")
    heat.focus()
    before = page.locator("#heat-readout").inner_text()
    for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
        assert page.evaluate("document.querySelector('#heat .here').getBBox().width") > 0
        if page.locator("#heat-readout").inner_text() != before:
            break
    assert page.locator("#heat-readout").inner_text() != before


def test_the_heat_map_shows_any_pair_by_any_metric(open_page: OpenPage):
    page = open_page()
    shown = """() => [...document.querySelectorAll("#heat rect.cell")].map(cell => cell.style.getPropertyValue("--heat")).join()"""
    axes, metrics = page.locator("#across option").count(), page.locator("#metric option").count()
    assert axes == 3
    assert metrics >= 2
    seen = set()
    for across, down in ((0, 1), (0, 2), (1, 2)):
        page.locator("#across").select_option(str(across))
        page.locator("#down").select_option(str(down))
        for metric in range(2):
            page.locator("#metric").select_option(str(metric))
            seen.add(page.evaluate(shown))
    assert len(seen) == 6, "each pair and each metric is another picture"


def test_more_lines_are_highlighted_on_demand(open_page: OpenPage):
    page = open_page()
    high = page.locator("#lines .high")
    few = high.count()
    page.locator("#highlight").select_option("1")
    assert high.count() == int(page.locator("#lines").get_attribute("data-lines") or 0) - 1 > few > 0


def test_equity_is_read_by_pointer_and_keys(open_page: OpenPage):
    page = open_page()
    readout = page.locator("#equity-readout")
    expect(readout).to_contain_text("2021-02-03")
    page.locator("#equity").focus()
    page.keyboard.press("Home")
    expect(readout).to_contain_text("2020-07-18 out of sample 1.00 in sample 1.00")
    page.locator("#equity").hover(position={"x": 900, "y": 100})
    expect(readout).not_to_contain_text("2020-07-18")


def test_paper_is_white_and_has_no_controls(open_page: OpenPage):
    page = open_page(scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    expect(page.locator("#across")).to_be_hidden()
    expect(page.locator("#equity svg")).to_be_visible()
    page.set_viewport_size({"width": 720, "height": 1000})
    cut = "boxes => boxes.filter(box => box.firstElementChild.offsetWidth > box.clientWidth + 1).length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTHS["desk"][0]
