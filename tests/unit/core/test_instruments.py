"""Metrics for Prometheus: one object a name, decorators, groups, and no second definition anywhere."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from core.errors import ConfigError, ProviderUnavailable
from core.instruments import BUSINESS, METRICS, PROVIDER, SYSTEM, TRADING, Collector, Registry
from core.resilience import Breaker, Schedule, resilient

ROOT = Path(__file__).parents[3]
PACKAGES = [
    "core",
    "store",
    "indicators",
    "feeds",
    "brokers",
    "analyzers",
    "strategies",
    "reports",
    "engine",
    "live",
    "optimize",
]
MAKERS = {"counter", "gauge", "histogram", "counted", "timed"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def work(registry: CollectorRegistry) -> Collector:
    return Collector("work", Registry(registry))


def test_a_name_asked_for_again_is_the_same_object(work: Collector, registry: CollectorRegistry) -> None:
    """R14"""
    first = work.counter("orders", "orders sent", "side")
    assert work.counter("orders", "the text does not matter", "side") is first
    first.labels("buy").inc(2)
    work.counter("orders", "", "side").labels("buy").inc()
    assert registry.get_sample_value("tradewright_orders_total", {"side": "buy"}) == 3
    assert work.gauge("level", "a level") is work.gauge("level", "a level")
    assert work.histogram("spread", "a spread") is work.histogram("spread", "a spread")
    assert [each.name for each in work.registry.instruments()] == ["level", "orders", "spread"]


def test_another_definition_of_a_name_is_refused(work: Collector) -> None:
    """R14"""
    work.counter("orders", "orders sent", "side")
    other = Collector("other", work.registry)
    for define in (
        lambda: work.gauge("orders", "orders sent", "side"),
        lambda: work.counter("orders", "orders sent"),
        lambda: other.counter("orders", "orders sent", "side"),
    ):
        with pytest.raises(ConfigError, match="the metric orders is a counter of work"):
            define()
    assert other.registry.instruments("other") == ()
    assert len(other.registry.instruments("work")) == 1


def test_threads_that_ask_at_once_get_one_object(work: Collector) -> None:
    """R14: prometheus-client itself refuses a second registration."""
    found: list[object] = []
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait(10)
        found.append(work.gauge("level", "a level"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_calls_are_counted_by_how_they_end_and_timed(work: Collector, registry: CollectorRegistry) -> None:
    """R14: decorators, of functions and of coroutines."""

    @work.counted("calls", "calls made")
    @work.timed("call_seconds", "seconds of a call")
    def halve(value: int) -> int:
        """Half."""
        if value % 2:
            raise ValueError("odd")
        return value // 2

    @work.counted("calls", "calls made")
    async def later(value: int) -> int:
        return halve(value)

    assert halve(4) == 2
    assert asyncio.run(later(6)) == 3
    with pytest.raises(ValueError, match="odd"):
        asyncio.run(later(3))
    assert halve.__doc__ == "Half."
    assert registry.get_sample_value("tradewright_calls_total", {"outcome": "ok"}) == 3
    assert registry.get_sample_value("tradewright_calls_total", {"outcome": "failed"}) == 2
    assert registry.get_sample_value("tradewright_call_seconds_count") == 3
    assert b"tradewright_call_seconds_bucket" in generate_latest(registry)


def test_the_collectors_share_one_registry() -> None:
    """R14"""
    assert [each.group for each in (TRADING, SYSTEM, PROVIDER, BUSINESS)] == [
        "trading",
        "system",
        "provider",
        "business",
    ]
    assert {id(each.registry) for each in (TRADING, SYSTEM, PROVIDER, BUSINESS)} == {id(METRICS)}


def test_a_provider_that_rests_and_reads_that_are_repeated_are_seen() -> None:
    """R14"""
    breaker = Breaker("slow exchange", failures=2, seconds=60)
    resting = PROVIDER.gauge("provider_resting", "", "name").labels("slow exchange")
    repeated = PROVIDER.counter("provider_reads_repeated", "", "error").labels("ProviderUnavailable")
    before = repeated._value.get()

    @resilient(schedule=Schedule(attempts=3, first=0, jitter=0), breaker=breaker)
    def fetch() -> None:
        raise ProviderUnavailable("no answer")

    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            fetch()
    assert resting._value.get() == 1
    assert repeated._value.get() == before + 4


def sources() -> list[tuple[Path, ast.Module]]:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return [(path.relative_to(ROOT), ast.parse(path.read_text())) for path in paths]


def test_no_metric_is_defined_twice_in_the_tree_or_past_the_registry() -> None:
    """R14: the library's own classes are named in one module, and each name is given once."""
    names: Counter[str] = Counter()
    past = []
    for path, module in sources():
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client"):
                made = {each.name for each in node.names} & {
                    "Counter",
                    "Gauge",
                    "Histogram",
                    "Summary",
                    "Enum",
                }
                past += [(str(path), name) for name in made]
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            if (
                node.func.attr in MAKERS
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id.isupper()
            ):
                names[ast.unparse(node.args[0])] += 1
    assert {path for path, _ in past} == {"core/instruments.py"}
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) >= 5


def test_importing_it_does_not_load_the_library() -> None:
    code = "import sys, core.instruments, core.resilience; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0
