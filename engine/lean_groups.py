"""Brackets of a lean run: an order that is alone gets its queue of children when somebody looks at it."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

from backtrader.order import OrderBase

DONE: tuple[()] = ()
"""In place of the empty queue that an order without children leaves when it is done."""


class Families(collections.defaultdict[int, Any]):
    """What the broker's `_pchildren` is: by a parent's number the parent until it is done, and its children.

    An order that is transmitted alone may be put here as it is, and `DONE` afterwards.
    """

    def __init__(self, families: Mapping[int, Any]) -> None:
        super().__init__(collections.deque, families)

    def __getitem__(self, ref: int) -> collections.deque[Any]:
        family = super().__getitem__(ref)
        if type(family) is not collections.deque:
            family = self[ref] = collections.deque((family,) if isinstance(family, OrderBase) else family)
        return family
