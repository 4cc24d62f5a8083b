"""Weights and order counts: what 429 and 418 are made of."""

from __future__ import annotations

import math
import time as wall
from collections import deque
from collections.abc import Callable

from brokers.simulators.binance.errors import BinanceError, about

WEIGHT_A_MINUTE = 6_000
ORDERS_IN_TEN_SECONDS = 100
ORDERS_A_DAY = 200_000
DAY_SECONDS = 86_400
REQUESTS_UNTIL_BAN = 10
FIRST_BAN_SECONDS = 120


class Limits:
    """Counts what one address asks for. A window is a whole minute (ten seconds, day) of the clock.

    violations: requests made although Retry-After said to wait.
    """

    def __init__(self, clock: Callable[[], float] = wall.time) -> None:
        self._clock = clock
        self._used: dict[tuple[str, int], int] = {}
        self._blocked_until = 0.0
        self._status = 429
        self._offences: deque[float] = deque(maxlen=REQUESTS_UNTIL_BAN)
        self.violations = 0

    def block(self, seconds: float, *, ban: bool) -> BinanceError:
        """Refuse everything for so long."""
        self._blocked_until = self._clock() + seconds
        self._status = 418 if ban else 429
        return self._refusal()

    def charge(self, weight: int) -> None:
        """Count a request; raises BinanceError when there was one too many."""
        now = self._clock()
        if now < self._blocked_until:
            self._offend(now)
            raise self._refusal()
        if self._add("weight", 60, weight) > WEIGHT_A_MINUTE:
            self._offend(now)
            raise self.block(60 - now % 60, ban=self._status == 418)

    def charge_order(self, count: int = 1) -> None:
        """Count new orders; raises BinanceError when there was one too many."""
        for seconds, limit in ((10, ORDERS_IN_TEN_SECONDS), (DAY_SECONDS, ORDERS_A_DAY)):
            if self._add("orders", seconds, count) > limit:
                raise BinanceError(
                    -1015,
                    about(-1015, f"{limit} orders per {seconds} SECOND").text,
                    status=429,
                    retry_after=math.ceil(seconds - self._clock() % seconds),
                )

    def headers(self) -> dict[str, str]:
        """What every answer says about the limits."""
        return {
            "X-MBX-USED-WEIGHT": str(self._read("weight", 60)),
            "X-MBX-USED-WEIGHT-1M": str(self._read("weight", 60)),
            "X-MBX-ORDER-COUNT-10S": str(self._read("orders", 10)),
            "X-MBX-ORDER-COUNT-1D": str(self._read("orders", DAY_SECONDS)),
        }

    def shown(self) -> list[dict[str, object]]:
        """As exchangeInfo and the WebSocket API list them."""
        return [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_A_MINUTE),
            _limit("ORDERS", "SECOND", 10, ORDERS_IN_TEN_SECONDS),
            _limit("ORDERS", "DAY", 1, ORDERS_A_DAY),
        ]

    def counted(self) -> list[dict[str, object]]:
        """The limits with what has been used of them."""
        used = (self._read("weight", 60), self._read("orders", 10), self._read("orders", DAY_SECONDS))
        return [{**limit, "count": count} for limit, count in zip(self.shown(), used, strict=True)]

    def _offend(self, now: float) -> None:
        self.violations += 1
        self._offences.append(now)
        if self._status == 429 and len(self._offences) == REQUESTS_UNTIL_BAN and now - self._offences[0] < 60:
            self.block(FIRST_BAN_SECONDS, ban=True)

    def _refusal(self) -> BinanceError:
        wait = max(math.ceil(self._blocked_until - self._clock()), 1)
        if self._status == 418:
            until = int(self._blocked_until * 1000)
            text = f"Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for live updates to avoid bans."
        else:
            text = about(-1003, WEIGHT_A_MINUTE).text
        return BinanceError(-1003, text, status=self._status, retry_after=wait)

    def _add(self, name: str, seconds: int, count: int) -> int:
        window = int(self._clock() // seconds)
        key = (f"{name}{seconds}", window)
        self._used = {k: v for k, v in self._used.items() if k[0] != key[0] or k[1] == window}
        self._used[key] = self._used.get(key, 0) + count
        return self._used[key]

    def _read(self, name: str, seconds: int) -> int:
        return self._used.get((f"{name}{seconds}", int(self._clock() // seconds)), 0)


def _limit(kind: str, interval: str, number: int, limit: int) -> dict[str, object]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
