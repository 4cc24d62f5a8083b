"""Scenarios out of a YAML file, every mistake in it named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, UnknownNameError
from engine.scenarios import BASE, Scenario

if TYPE_CHECKING:
    from engine.shocks import Shock


def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """Scenarios out of a YAML file. Raises ConfigError that names the scenario and what is wrong with it.

    scenarios:
      - name: flash crash
        shocks:
          - gap: {size: -0.2, at: 0.5}
          - volatility: {times: 3, begin: 0.5, end: 0.6}
      - name: dear and slow
        costs: {spread: 0.002, latency: 1}
        params: {fast: 20}
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror or error}", hint="give a YAML file with --file"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    listed = content.get("scenarios") if isinstance(content, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ConfigError(
            f"{path} lists no scenarios", hint="begin it with scenarios: and a list, see --help"
        )
    found = tuple(_scenario(entry, number) for number, entry in enumerate(listed, 1))
    names = [scenario.name for scenario in found]
    twice = sorted({name for name in names if names.count(name) > 1 or name == BASE})
    if twice:
        raise ConfigError(f"two scenarios are called {twice[0]!r}", hint="give each a name of its own")
    return found


def _scenario(entry: Any, number: int) -> Scenario:
    where = f"scenario {number}"
    if not isinstance(entry, dict) or not entry.get("name"):
        raise ConfigError(f"{where} has no name", hint="write it as - name: flash crash")
    where = f"scenario {entry['name']!r}"
    _known(entry, [each.name for each in fields(Scenario)], where, "key")
    shocks = entry.get("shocks") or []
    if not isinstance(shocks, list):
        raise ConfigError(f"{where}: shocks is not a list", hint="write it as - gap: {{size: -0.1}}")
    scenario = Scenario(
        str(entry["name"]),
        tuple(shock for each in shocks for shock in _shocks(each, where)),
        _mapping(entry, "costs", where),
        _mapping(entry, "params", where),
        _commission(entry, where),
    )
    _check_costs(scenario, where)
    return scenario


def _shocks(entry: Any, where: str) -> list[Shock]:
    from engine.shocks import SHOCKS

    if isinstance(entry, str):
        entry = {entry: None}
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: {entry!r} is no shock", hint="write it as - gap: {size: -0.1}")
    _known(entry, list(SHOCKS), where, "shock")
    found = []
    for name, settings in entry.items():
        kind: Any = SHOCKS[name]
        _known(settings or {}, [each.name for each in fields(kind)], f"{where}, {name}", "setting")
        try:
            found.append(kind(**(settings or {})))
        except TypeError as error:
            raise ConfigError(f"{where}, {name}: a setting is of the wrong kind: {settings}") from error
    return found


def _check_costs(scenario: Scenario, where: str) -> None:
    from brokers.costs import Costs

    _known(scenario.costs, [each.name for each in fields(Costs)], where, "cost")
    try:
        Costs(**scenario.costs)
    except TypeError as error:
        raise ConfigError(f"{where}: a cost is of the wrong kind: {dict(scenario.costs)}") from error


def _commission(entry: Mapping[str, Any], where: str) -> float | None:
    value = entry.get("commission")
    if value is None:
        return None
    if not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ConfigError(f"{where}: commission is {value!r}", hint="give a fraction, such as 0.001")
    return float(value)


def _mapping(entry: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = entry.get(key) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {key} is not a mapping", hint=f"write it as {key}: {{name: value}}")
    return value


def _known(given: Mapping[str, Any], names: Sequence[str], where: str, kind: str) -> None:
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{where}: {given!r} is not a mapping of settings", hint=f"known: {', '.join(names)}"
        )
    for name in given:
        if name not in names:
            raise UnknownNameError(kind, str(name), names)
