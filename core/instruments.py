"""Every figure that Prometheus is told, by name: asked for again, the same object, whoever asks.

    PROVIDER.counter("reads_repeated", "reads asked again", "reason").labels("timeout").inc()

    @PROVIDER.timed("download_seconds", "seconds of a download")
    def download(...): ...

A name is made once; a second definition that differs is refused. Names get "tradewright_" in front. The library is
loaded with the first metric. Figures that judge a run are another matter: see `analyzers.metrics`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from core.errors import ConfigError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX = "tradewright_"
Kind = Literal["counter", "gauge", "histogram"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Instrument:
    """One metric as it was defined, and the object of the library. name: without the prefix."""

    name: str
    group: str
    kind: Kind
    labels: tuple[str, ...]
    metric: Any


class Registry:
    """Metrics by name. Usable from several threads.

    prometheus: where they are registered; None takes the library's own registry, which its server shows.
    """

    def __init__(self, prometheus: CollectorRegistry | None = None) -> None:
        self._prometheus = prometheus
        self._known: dict[str, Instrument] = {}
        self._lock = threading.Lock()

    def get_or_create(self, group: str, kind: Kind, name: str, text: str, labels: tuple[str, ...]) -> Any:
        """The metric of that name, made at the first call; `text` says what it counts, in a few words.

        Raises ConfigError when it was defined otherwise: in another group, of another kind, with other labels.
        """
        known = self._known.get(name)
        if known is None:
            with self._lock:
                known = self._known.get(name) or self._make(group, kind, name, text, labels)
        if (known.group, known.kind, known.labels) != (group, kind, labels):
            raise ConfigError(
                f"the metric {name} is a {known.kind} of {known.group} with the labels {known.labels}",
                hint="choose another name, or define it alike",
                name=name,
            )
        return known.metric

    def instruments(self, group: str | None = None) -> tuple[Instrument, ...]:
        """What was made so far, by name; of one group, or of all."""
        found = sorted(self._known.values(), key=lambda each: each.name)
        return tuple(each for each in found if group in (None, each.group))

    def _make(self, group: str, kind: Kind, name: str, text: str, labels: tuple[str, ...]) -> Instrument:
        import prometheus_client

        makers: dict[Kind, Any] = {
            "counter": prometheus_client.Counter,
            "gauge": prometheus_client.Gauge,
            "histogram": prometheus_client.Histogram,
        }
        registry = self._prometheus or prometheus_client.REGISTRY
        made = makers[kind](PREFIX + name, text, labels, registry=registry)
        self._known[name] = Instrument(name, group, kind, labels, made)
        return self._known[name]


class Collector:
    """The metrics of one part of the work, and decorators that feed them."""

    def __init__(self, group: str, registry: Registry) -> None:
        self.group = group
        self.registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """What only grows; Prometheus shows it with "_total" behind the name."""
        return cast("Counter", self.registry.get_or_create(self.group, "counter", name, text, labels))

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        """What rises and falls."""
        return cast("Gauge", self.registry.get_or_create(self.group, "gauge", name, text, labels))

    def histogram(self, name: str, text: str, *labels: str) -> Histogram:
        """How values are distributed."""
        return cast("Histogram", self.registry.get_or_create(self.group, "histogram", name, text, labels))

    def counted(self, name: str, text: str) -> Callable[[F], F]:
        """Count the calls of a function, synchronous or not, by how they end: the label `outcome`, ok or failed."""

        def told(ok: bool, seconds: float) -> None:
            self.counter(name, text, "outcome").labels("ok" if ok else "failed").inc()

        return _watched(told)

    def timed(self, name: str, text: str) -> Callable[[F], F]:
        """Note how many seconds each call of a function takes, synchronous or not, also of those that fail."""

        def told(ok: bool, seconds: float) -> None:
            self.histogram(name, text).observe(seconds)

        return _watched(told)


def _watched(told: Callable[[bool, float], None]) -> Callable[[F], F]:
    @contextmanager
    def watch() -> Iterator[None]:
        began, ok = perf_counter(), False
        try:
            yield
            ok = True
        finally:
            told(ok, perf_counter() - began)

    def decorate(function: F) -> F:
        @wraps(function)
        def now(*args: Any, **kwargs: Any) -> Any:
            with watch():
                return function(*args, **kwargs)

        @wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            with watch():
                return await function(*args, **kwargs)

        return cast(F, later if iscoroutinefunction(function) else now)

    return decorate


METRICS = Registry()
TRADING = Collector("trading", METRICS)
"""Accounts, orders, fills."""
SYSTEM = Collector("system", METRICS)
"""The process and what it writes; processor, memory and open files are the library's own."""
PROVIDER = Collector("provider", METRICS)
"""Whoever is asked for prices."""
BUSINESS = Collector("business", METRICS)
"""What sessions came to."""

__all__ = ["BUSINESS", "METRICS", "PROVIDER", "SYSTEM", "TRADING", "Collector", "Instrument", "Registry"]
