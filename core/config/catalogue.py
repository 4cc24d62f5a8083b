"""What settings and templates exist, in words: for `python -m core.config list` and for error messages."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.config.schema import Settings
from core.errors import UnknownNameError

ENV_PREFIX = "APP_"
PARAMS = "strategy.params"

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    date: "a date like 2020-01-31",
    Path: "a path",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting. key: dotted, as in `--set KEY=VALUE`. allowed: what may be given, in words."""

    key: str
    allowed: str
    default: Any
    optional: bool
    description: str

    @property
    def section(self) -> str:
        """The table it stands in; empty for a key at the top."""
        return self.key.rpartition(".")[0]

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        if self.key == PARAMS:
            return f"{ENV_PREFIX}STRATEGY__<PARAMETER>"
        return env_name(self.key)


@dataclass(frozen=True, slots=True)
class Template:
    """One ready-made configuration."""

    name: str
    description: str
    text: str


def env_name(key: str) -> str:
    """The environment variable for a dotted key."""
    return ENV_PREFIX + key.replace(".", "__").upper()


@cache
def entries() -> dict[str, Entry]:
    """Every setting by its dotted key, in the order of the schema."""
    found: dict[str, Entry] = {}
    for name, field in Settings.model_fields.items():
        section = _section_of(field)
        found |= _entries_of(name, section) if section else {name: _entry(name, field)}
    return found


@cache
def sections() -> dict[str, str]:
    """What each section is about, by name."""
    return {
        name: (section.__doc__ or "").strip().split("\n")[0] for name, section in _sections_of("", Settings)
    }


@cache
def templates() -> dict[str, Template]:
    """The templates by name; the first comment of each file is its description."""
    folder = resources.files("core.config").joinpath("templates")
    found = {}
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.name.endswith(".toml"):
            text = item.read_text(encoding="utf-8")
            name = item.name.removesuffix(".toml")
            found[name] = Template(name, text.split("\n", 1)[0].lstrip("# "), text)
    return found


def read_template(name: str) -> Template:
    """The template of that name. Raises UnknownNameError with the nearest."""
    if name not in templates():
        raise UnknownNameError("template", name, templates())
    return templates()[name]


def dotted(values: Mapping[str, Any], section: str = "") -> dict[str, Any]:
    """The values of a section by dotted key, those of the sections in it included."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{section}.{name}" if section else name
        flat |= dotted(value, key) if key in sections() or key == PARAMS else {key: value}
    return flat


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _sections_of(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        section = _section_of(field)
        if section is not None:
            yield prefix + name, section
            yield from _sections_of(f"{prefix}{name}.", section)


def _entries_of(name: str, section: type[BaseModel]) -> dict[str, Entry]:
    """Its own settings first, then those of the sections in it."""
    inner = {f"{name}.{key}": field for key, field in section.model_fields.items()}
    found = {key: _entry(key, field) for key, field in inner.items() if not _section_of(field)}
    for key, field in inner.items():
        within = _section_of(field)
        if within is not None:
            found |= _entries_of(key, within)
    return found


def _entry(key: str, field: FieldInfo) -> Entry:
    words, optional = _in_words(field.annotation, field.metadata)
    if field.examples:
        words += " such as " + " or ".join(map(str, field.examples))
    default = field.get_default(call_default_factory=True, validated_data={})
    return Entry(key, words + (", or none" if optional else ""), default, optional, field.description or "")


def _in_words(annotation: Any, metadata: list[Any]) -> tuple[str, bool]:
    """The type and its limits, and whether None is allowed."""
    optional = False
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        optional = len(members) < len(get_args(annotation))
        annotation = members[0]
    if get_origin(annotation) is Literal:
        options = list(map(str, get_args(annotation)))
        return ("one of " if len(options) > 1 else "") + ", ".join(options), optional
    if get_origin(annotation) is dict:
        return "a table of names and values", optional
    words = _WORDS.get(annotation, "a value")
    return words + _limits(metadata), optional


def _limits(metadata: list[Any]) -> str:
    """`above 0, at most 0.1`, from the constraints pydantic keeps beside a type."""
    named = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    parts = [
        f"{word} {getattr(item, mark):g}"
        for mark, word in named.items()
        for item in metadata
        if hasattr(item, mark)
    ]
    parts += ["that is not empty" for item in metadata if getattr(item, "min_length", 0)]
    return (" " + ", ".join(parts)) if parts else ""
