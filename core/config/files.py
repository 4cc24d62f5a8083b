"""Reading configuration files: TOML, or YAML by its name. Nothing of a file's content is put into a message."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import ConfigError

DEFAULT_FILES = ("tradewright.toml", "tradewright.yaml")
_NEW = "python -m core.config new --template stock-momentum writes one that works"


def read_file(path: Path, *, hint: str = _NEW) -> Mapping[str, Any]:
    """The tables of a configuration file. Raises ConfigError when it is missing, unreadable or malformed.

    hint: how to come by such a file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"there is no configuration file {path}", hint=hint, path=str(path)) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not text in UTF-8", hint=hint, path=str(path)) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}", hint="check the path", path=str(path)
        ) from error
    return _parse_yaml(text, path) if path.suffix in (".yaml", ".yml") else _parse_toml(text, path)


def _parse_toml(text: str, path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _malformed(path, "TOML", str(error)) from None


def _parse_yaml(text: str, path: Path) -> Mapping[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        where = f" (at line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise _malformed(path, "YAML", f"{error.problem or 'cannot be parsed'}{where}") from None
    except yaml.YAMLError:
        raise _malformed(path, "YAML", "it holds a character that is not allowed") from None
    if content is None:
        return {}
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise _malformed(path, "YAML", "names and values are needed at the top")
    return content


def _malformed(path: Path, language: str, problem: str) -> ConfigError:
    return ConfigError(
        f"{path} is not valid {language}: {problem}", hint=f"mend it, or {_NEW}", path=str(path)
    )
