"""The page that compares runs, in a real browser that has no network."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from core.results import RunResult
from reports.comparison import compare, comparison_page

WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
DRAWN = 100
BACKGROUND, DARK = "getComputedStyle(document.body).backgroundColor", "rgb(20, 23, 26)"


@pytest.fixture(scope="module")
def compared(run: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page about a run and the same with less on the account."""
    path = tmp_path_factory.mktemp("comparison") / "comparison.html"
    other = replace(run, equity=run.equity * np.linspace(1.0, 0.8, len(run.equity)))
    path.write_text(comparison_page(compare({"one": run, "other": other})), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_overlay_is_drawn_without_a_network(browser: Browser, compared: Path, width: str, scheme: str):
    """R7"""
    across, down = WIDTHS[width]
    context = browser.new_context(viewport={"width": across, "height": down}, color_scheme=scheme)
    context.set_offline(True)
    page = context.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(compared.as_uri())
    pixels = np.asarray(Image.open(io.BytesIO(page.locator("#overlay").screenshot())).convert("RGB")).astype(
        int
    )
    assert int((np.ptp(pixels, axis=2) > 60).sum()) > DRAWN
    assert page.evaluate("document.documentElement.scrollWidth") <= across
    assert (page.evaluate(BACKGROUND) == DARK) == (scheme == "dark")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    context.close()
    assert {url for url in asked if not url.startswith("data:")} == {compared.as_uri()}
    assert complaints == []
