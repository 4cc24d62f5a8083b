"""Where settings come from, and which source wins.

Precedence, highest first: command line, environment variables, `.env`, the overlay of the environment
(`tradewright.production.toml`), the file (`tradewright.toml`), the defaults. Each source is flattened to dotted
keys and checked on its own, so that a mistake is reported with the place it was made in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, get_args

from pydantic import ValidationError

from core.config.catalogue import ENV_PREFIX, PARAMS, entries, env_name, sections
from core.config.files import DEFAULT_FILES, read_file
from core.config.schema import Environment, Settings, safe_text
from core.errors import ConfigError, nearest
from core.redact import HIDDEN, is_secret_name

LIST_HINT = "python -m core.config list shows them all"
COMMAND_LINE = "command line"
ENVIRONMENT = "environment"
DEFAULT = "default"
OWN_CHECK = "Value error, "
_NOTHING = frozenset({"", "none", "null"})


@dataclass(frozen=True, slots=True)
class Given:
    """One value as a source gave it. spelled: the key in that source's own spelling."""

    value: Any
    source: str
    spelled: str


Layer = dict[str, Given]


def load_settings(
    *,
    environment: str | None = None,
    file: Path | None = None,
    cli: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """The settings in force.

    environment: as if given on the command line. file: a TOML file, or YAML if its name ends in .yaml or .yml;
    None takes `tradewright.toml` or `tradewright.yaml` from the working folder if there is one. cli: dotted keys
    (`broker.cash`); entries that are None count as not given. env: None reads the process's environment; an
    empty variable counts as not set. dotenv: read if it exists; None skips it.

    `[strategy.params]` of a file belong to the strategy that file names: they are left out when a higher
    source names another. Raises ConfigError for an unknown key, a value out of range, a file that cannot be
    read, or a combination that the environment forbids; the message never shows a secret.
    """
    return explain_settings(environment=environment, file=file, cli=cli, env=env, dotenv=dotenv)[0]


def explain_settings(
    *,
    environment: str | None = None,
    file: Path | None = None,
    cli: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> tuple[Settings, dict[str, str]]:
    """As `load_settings`, and beside it where each dotted key's value comes from."""
    upper = [
        _variables(read_dotenv(dotenv), str(dotenv)),
        _variables(os.environ if env is None else env, ENVIRONMENT),
    ]
    command_line = {**(cli or {})}
    if environment is not None:
        command_line["environment"] = environment
    upper.append(_command_line(command_line))
    merged = _merge([*_file_layers(file, upper), *upper])
    settings = _validate(merged)
    origins: dict[str, str] = {}
    for key in entries():
        if key == PARAMS:
            origins |= {name: given.source for name, given in merged.items() if name.startswith(f"{PARAMS}.")}
        else:
            origins[key] = merged[key].source if key in merged else DEFAULT
    return settings, origins


def parse_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """`["broker.cash=5000"]` as `{"broker.cash": "5000"}`, for `load_settings(cli=...)`; the last of a key wins.

    Raises ConfigError for text without `=` or without a key.
    """
    found = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(
                f"--set {safe_text(text)} is not an assignment",
                hint="write it as KEY=VALUE, such as broker.cash=5000",
            )
        found[key.strip()] = value
    return found


def _file_layers(file: Path | None, upper: list[Layer]) -> list[Layer]:
    """The file and the overlay of the environment that all other sources settle on."""
    path = file if file is not None else _discover()
    base = _tables(read_file(path), path.name) if path.exists() or file is not None else {}
    chosen = _merge([base, *upper]).get("environment")
    environment = chosen.value if chosen else Settings.model_fields["environment"].default
    if environment not in get_args(Environment):
        _validate({"environment": chosen} if chosen else {})
    overlay_path = path.with_name(f"{path.stem}.{environment}{path.suffix}")
    if not overlay_path.exists():
        return [base]
    overlay = _tables(read_file(overlay_path), overlay_path.name)
    other = overlay.get("environment")
    if other is not None and other.value != environment:
        raise ConfigError(
            f"{overlay_path.name} sets environment to {safe_text(other.value)}",
            hint=f"an overlay cannot choose the environment: set it in {path.name}",
        )
    return [base, overlay]


def _discover() -> Path:
    present = [path for path in map(Path, DEFAULT_FILES) if path.exists()]
    if len(present) > 1:
        raise ConfigError(
            f"both {present[0]} and {present[1]} are here", hint="keep one, or name the file you mean"
        )
    return present[0] if present else Path(DEFAULT_FILES[0])


def read_dotenv(path: Path | None) -> dict[str, str]:
    """What an .env file sets; nothing where there is none. Raises ConfigError for one that cannot be read."""
    if path is None or not path.exists():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path, interpolate=False, encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read {path}: {type(error).__name__}", hint="it must be readable UTF-8"
        ) from None
    return {key: value for key, value in values.items() if value is not None}


def _tables(content: Mapping[str, Any], source: str) -> Layer:
    """A file's tables as dotted keys."""
    layer: Layer = {}
    _add_tables(layer, content, source, "")
    return layer


def _add_tables(layer: Layer, content: Mapping[str, Any], source: str, prefix: str) -> None:
    for name, value in content.items():
        key = prefix + name
        if key in sections() and isinstance(value, Mapping):
            _add_tables(layer, value, source, f"{key}.")
        elif not prefix and isinstance(value, Mapping) and value:
            _unknown(Given(None, source, f"{key}.{next(iter(value))}"))
        else:
            _add(layer, key, Given(value, source, key))


def _variables(values: Mapping[str, str], source: str) -> Layer:
    """Variables that begin with APP_: sections end at the first `__`, what is no strategy setting is a parameter."""
    layer: Layer = {}
    for variable, value in values.items():
        if variable.upper().startswith(ENV_PREFIX) and value != "":
            name = variable[len(ENV_PREFIX) :].lower()
            key = name.replace("__", ".")
            key = key if key in entries() else name.replace("__", ".", 1)
            if key.startswith("strategy.params__"):
                key = key.replace("__", ".", 1)
            _add(layer, _as_parameter(key), Given(value, source, variable))
    return layer


def _command_line(values: Mapping[str, Any]) -> Layer:
    layer: Layer = {}
    for key, value in values.items():
        if value is not None:
            _add(layer, _as_parameter(key), Given(value, COMMAND_LINE, key))
    return layer


def _as_parameter(key: str) -> str:
    """`strategy.fast` means the parameter `fast`, where there is no room for a table of parameters."""
    section, _, name = key.partition(".")
    if section != "strategy" or not name or key in entries() or key.startswith(f"{PARAMS}."):
        return key
    return f"{PARAMS}.{name}"


def _add(layer: Layer, key: str, given: Given) -> None:
    """Put one value where its key belongs, or refuse a key nobody knows."""
    if key == PARAMS:
        if not isinstance(given.value, Mapping):
            _refuse_table(given, f"set a parameter with {env_name('strategy.fast')} or strategy.params.fast")
        for name, value in given.value.items():
            layer[f"{PARAMS}.{name}"] = Given(value, given.source, f"{given.spelled}.{name}")
    elif key in sections():
        _refuse_table(
            given, f"set one of {', '.join(name for name in entries() if name.startswith(f'{key}.'))}"
        )
    elif key in entries() or (key.startswith(f"{PARAMS}.") and len(key) > len(PARAMS) + 1):
        layer[key] = given
    else:
        _unknown(given)


def _refuse_table(given: Given, hint: str) -> NoReturn:
    raise ConfigError(
        f"{given.spelled} {_place(given)} is a section, not a value", hint=hint, key=given.spelled
    )


def _unknown(given: Given) -> NoReturn:
    from_variable = given.spelled.upper().startswith(ENV_PREFIX)
    if from_variable:
        near = nearest(given.spelled.upper(), map(env_name, entries()))
    elif given.spelled.startswith("strategy."):
        name = given.spelled.removeprefix("strategy.")
        near = "strategy.name" if nearest(name, ["name"]) else f"{PARAMS}.{name}"
    else:
        near = nearest(given.spelled, [*entries(), *sections()]) or _same_name(given.spelled)
    raise ConfigError(
        f"unknown setting {safe_text(given.spelled)} {_place(given)}",
        hint=f"did you mean {near}?" if near else LIST_HINT,
        key=given.spelled,
        source=given.source,
        nearest=near,
    )


def _place(given: Given) -> str:
    return {COMMAND_LINE: "on the command line", ENVIRONMENT: "in the environment"}.get(
        given.source, f"in {given.source}"
    )


def _same_name(spelled: str) -> str | None:
    """A setting of that last name in another section: `cash` for `broker.cash`."""
    last = spelled.rpartition(".")[2]
    found = [key for key in entries() if key.rpartition(".")[2] == last]
    return found[0] if len(found) == 1 else None


def _merge(layers: Iterable[Layer]) -> Layer:
    """Later layers over earlier ones; a file's parameters go when a later layer names another strategy."""
    merged: Layer = {}
    strategy = (
        Settings.model_fields["strategy"].get_default(call_default_factory=True, validated_data={}).name
    )
    for layer in layers:
        named = layer.get("strategy.name")
        if named is not None and named.value != strategy:
            strategy = named.value
            merged = {
                key: given
                for key, given in merged.items()
                if not key.startswith(f"{PARAMS}.") or given.spelled.upper().startswith(ENV_PREFIX)
            }
        merged.update(layer)
    return merged


def _validate(merged: Layer) -> Settings:
    tree: dict[str, Any] = {}
    for key, given in merged.items():
        section, _, name = (
            key.rpartition(".") if not key.startswith(f"{PARAMS}.") else (PARAMS, "", key[len(PARAMS) + 1 :])
        )
        table = tree
        for part in filter(None, section.split(".")):
            table = table.setdefault(part, {})
        table[name] = _none_if_said(key, given.value)
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=True, include_input=False)[0]
    place = [str(part) for part in problem["loc"]]
    key = ".".join(place[:3] if ".".join(place[:2]) in sections() else place[:2])
    # Raised out here, so that pydantic's own report, which may quote the input, is not chained to it.
    raise _invalid(key, merged.get(key), problem["msg"])


def _none_if_said(key: str, value: Any) -> Any:
    entry = entries().get(key)
    says_none = isinstance(value, str) and value.strip().lower() in _NOTHING
    return None if entry is not None and entry.optional and says_none else value


def _invalid(key: str, given: Given | None, message: str) -> ConfigError:
    entry = entries().get(key)
    if entry is None or given is None:
        return ConfigError(message.removeprefix(OWN_CHECK), hint="change one of the two", key=key)
    secret = is_secret_name(key)
    shown = HIDDEN if secret else safe_text(given.value)
    # Checks of our own say what is wrong and what is known; pydantic's say less than the entry does.
    own = message.startswith(OWN_CHECK) and not secret
    return ConfigError(
        f"{given.spelled} = {shown or repr('')} {_place(given)} is not allowed",
        hint=message.removeprefix(OWN_CHECK) if own else f"give {entry.allowed}",
        key=key,
        value=shown,
        source=given.source,
    )
