"""Tasks of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.5


async def end_tasks(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait until all are over, whatever they end in.

    They are asked again and again: `asyncio.wait_for` before Python 3.12, and libraries, may take the request for
    something else and go on.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        over, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
        for task in over:
            if not task.cancelled():
                task.exception()
