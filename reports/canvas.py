"""A matplotlib backend that draws a figure when it is saved, and only then: `module://reports.canvas`.

pyplot draws again after every save, for a window to show; a report has none, and that is a sixth of its time.
"""

from __future__ import annotations

from typing import Any

from matplotlib.backend_bases import FigureManagerBase
from matplotlib.backends.backend_agg import FigureCanvasAgg

FigureManager = FigureManagerBase


class FigureCanvas(FigureCanvasAgg):
    """Draws nothing on its own account."""

    def draw_idle(self, *args: Any, **kwargs: Any) -> None:
        """There is no window to refresh."""
