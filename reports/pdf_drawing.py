"""A plot as a vector drawing for paper, the heat-map of months, and the fonts both are set in."""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reportlab.graphics.shapes import Drawing, Polygon, PolyLine, String
from reportlab.lib.colors import Color, HexColor
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from core.errors import ConfigError
from reports.grid import Grid
from reports.plots import Area, Label, Line, Plot

SANS, BOLD = "DejaVuSans", "DejaVuSans-Bold"
COLOURS = {
    "accent": "#1a5fb4", "closes": "#b35900", "gain": "#0b7a4b", "loss": "#b3261e", "ink": "#1b1f24",
    "muted": "#59636e", "line": "#dfe3e8", "panel": "#f6f7f8", "warn": "#9a6700",
}  # fmt: skip
SMALL = 7.0


@cache
def register_fonts() -> None:
    """Make DejaVu known to reportlab: its own fonts lack a true minus. matplotlib brings the files.

    Raises ConfigError when they are not there.
    """
    found = find_spec("matplotlib")
    home = Path(found.origin).parent if found is not None and found.origin else Path()
    for name in (SANS, BOLD):
        try:
            pdfmetrics.registerFont(TTFont(name, str(home / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf")))
        except TTFError as error:
            raise ConfigError(
                f"the font {name} is not among matplotlib's files",
                hint="install the matplotlib that constraints.txt names",
            ) from error
    pdfmetrics.registerFontFamily(SANS, normal=SANS, bold=BOLD, italic=SANS, boldItalic=BOLD)


def colour(style: str) -> Color:
    """The colour of a style on paper."""
    return HexColor(COLOURS[style])


def drawing(plot: Plot) -> Drawing:
    """The plot with paper's y, which runs up."""
    made = Drawing(plot.width, plot.height)
    for shape in plot.shapes:
        made.add(_shape(shape, plot.height))
    return made


def _shape(shape: Line | Area | Label, height: float) -> Any:
    if isinstance(shape, Label):
        return String(
            shape.x,
            height - shape.y,
            shape.text,
            textAnchor=shape.anchor,
            fontName=SANS,
            fontSize=SMALL,
            fillColor=colour(shape.style),
        )
    points = [value if place % 2 == 0 else height - value for place, value in enumerate(shape.points)]
    if isinstance(shape, Line):
        return PolyLine(points, strokeColor=colour(shape.style), strokeWidth=shape.width * 0.75)
    return Polygon(points, fillColor=colour(shape.style), fillOpacity=shape.opacity, strokeColor=None)


def heat(months: Grid) -> list[tuple[str, tuple[int, int], tuple[int, int], Color]]:
    """Backgrounds of the table of months: green for gains, red for losses, the stronger the further from zero."""
    known = [abs(value) for row in months.rows for value in row[1:-1] if math.isfinite(value)]
    strongest = max(known, default=0.0)
    found = []
    for down, row in enumerate(months.rows, 1):
        for across, value in enumerate(row[1:-1], 1):
            if math.isfinite(value) and strongest > 0 and value:
                base = colour("gain" if value > 0 else "loss")
                part = 0.55 * abs(value) / strongest
                mixed = Color(*(1 - part * (1 - each) for each in (base.red, base.green, base.blue)))
                found.append(("BACKGROUND", (across, down), (across, down), mixed))
    return found


__all__ = ["BOLD", "SANS", "SMALL", "colour", "drawing", "heat", "register_fonts"]
