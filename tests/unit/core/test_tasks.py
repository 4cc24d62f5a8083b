from __future__ import annotations

import asyncio
from contextlib import suppress

from core.tasks import end_tasks


def test_tasks_that_take_no_for_an_answer_end_too() -> None:
    over: list[str] = []

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        try:
            await asyncio.sleep(60)
        finally:
            over.append("stubborn")

    async def failing() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            over.append("failing")
            raise ValueError

    async def whole() -> None:
        tasks = [asyncio.create_task(each()) for each in (stubborn, failing)]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await end_tasks(tasks)
        assert all(task.done() for task in tasks)

    asyncio.run(whole())
    assert sorted(over) == ["failing", "stubborn"]
