"""A plot as SVG for a page: colours come from the page's style, by class."""

from __future__ import annotations

from markupsafe import Markup, escape

from reports.plots import Area, Label, Line, Plot


def svg(plot: Plot) -> Markup:
    """The drawing as one element, as wide as its column."""
    shapes = "".join(_shape(shape) for shape in plot.shapes)
    return Markup(
        f'<svg viewBox="0 0 {plot.width:g} {plot.height:g}" role="img" aria-label="{escape(plot.said)}">'
        f"{shapes}</svg>"
    )


def _shape(shape: Line | Area | Label) -> str:
    if isinstance(shape, Line):
        return f'<polyline class="{shape.style}" stroke-width="{shape.width:g}" points="{_pairs(shape.points)}"/>'
    if isinstance(shape, Area):
        return f'<polygon class="{shape.style}" opacity="{shape.opacity:g}" points="{_pairs(shape.points)}"/>'
    return (
        f'<text class="{shape.style}" x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.anchor}">'
        f"{escape(shape.text)}</text>"
    )


def _pairs(points: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in points)


__all__ = ["svg"]
