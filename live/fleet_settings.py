"""The configuration of several bots: a TOML file with a table for each, and one for what looks after them.

[supervisor]
crashes = 5

[bots.btc]
strategy = "momentum"
broker = "binance"
symbols = "BTC/USDT"
timeframe = "5m"
params = { fast = 10 }
settings = { risk.max_daily_loss = 0.03 }
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from brokers.ibkr_link import IBKRSettings
from core.config.catalogue import env_name
from core.config.files import read_file
from core.config.schema import LiveSettings, safe_text
from core.config.section import Section
from core.config.sources import load_settings
from core.errors import ConfigError, UnknownNameError, nearest
from live.profiles import connection
from live.restarts import RestartPolicy

SUPERVISOR, BOTS = "supervisor", "bots"
EXAMPLE = 'a bot needs a table, such as [bots.btc] with strategy = "momentum"'


class SupervisorSettings(Section):
    """How bots are looked after; all times in seconds."""

    crashes: int = Field(
        default=5, ge=1, description="so many crashes within window_seconds end the restarts"
    )
    window_seconds: float = Field(default=600.0, gt=0)
    first_pause_seconds: float = Field(default=1.0, gt=0)
    longest_pause_seconds: float = Field(default=300.0, gt=0)
    jitter: float = Field(default=0.2, ge=0, lt=1)
    stop_seconds: float = Field(default=90.0, gt=0, description="for a bot that was told to end")
    silence_seconds: float = Field(default=120.0, gt=0, description="without a sign of life: reported")
    restart_silent: bool = Field(
        default=False, description="a bot that is silent is killed and started again"
    )

    def policy(self) -> RestartPolicy:
        """As the pure part wants it."""
        return RestartPolicy(
            self.first_pause_seconds,
            self.longest_pause_seconds,
            self.jitter,
            self.crashes,
            self.window_seconds,
            self.window_seconds,
        )


class BotSettings(Section):
    """One bot: what `python -m live.run` is told. confirm: the profile, or else the venue, that it may trade for real."""

    strategy: str = Field(min_length=1)
    broker: Literal["paper", "binance", "ibkr"] = "paper"
    symbols: str | list[str] | None = None
    timeframe: str | None = None
    profile: str | None = None
    data: str | None = None
    speed: float | None = None
    cash: float | None = None
    resample: list[str] = Field(default_factory=list)
    confirm: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bot:
    """One bot and how its process is started. folder: everything it writes is there."""

    name: str
    settings: BotSettings
    folder: Path

    def symbols(self) -> list[str]:
        """What it trades, where that is said."""
        given = self.settings.symbols or []
        return [name.strip() for name in given.split(",")] if isinstance(given, str) else given

    def configuration(self) -> dict[str, str]:
        """Its settings as dotted keys, in text; its database is its own unless `settings` names one."""
        bot = self.settings
        given: dict[str, Any] = {
            "store.url": f"sqlite:///{self.folder / 'tradewright.db'}",
            "reports.directory": self.folder / "runs",
            **dict(_flat(bot.settings)),
            "live.bot": self.name,
            "broker.name": bot.broker,
            "broker.profile": bot.profile,
            "broker.cash": bot.cash,
            "data.symbols": ",".join(self.symbols()) or None,
            "data.timeframe": bot.timeframe,
            "data.source": bot.data,
            "live.speed": bot.speed,
            "live.confirm": bot.confirm,
        }
        return {key: _text(value) for key, value in given.items() if value is not None}

    def environment(self) -> dict[str, str]:
        """Its settings as variables: unlike arguments, other users of the machine do not see them."""
        return {env_name(key): value for key, value in self.configuration().items()}

    def arguments(self, resume: str | None, *, new: bool = False) -> list[str]:
        """What `python -m live.run` is given. resume: go on with that run, whatever the file says by now."""
        words = [self.settings.strategy, "--json", "--attached", str(self.folder / "status.json")]
        words += ["--live"] if self.settings.confirm is not None else []
        if resume is not None:
            return [*words, "--resume", resume]
        for name, value in self.settings.params.items():
            words += ["--param", f"{name}={_text(value)}"]
        for timeframe in self.settings.resample:
            words += ["--resample", timeframe]
        return words if new else [*words, "--continue"]


def read_fleet(path: Path, state: Path) -> tuple[SupervisorSettings, dict[str, Bot]]:
    """The supervisor's settings and the bots of a file. Raises ConfigError for what none of them may be."""
    content = read_file(path, hint=EXAMPLE)
    for name in content.keys() - {SUPERVISOR, BOTS}:
        raise ConfigError(
            f"{path}: there is no table {safe_text(name)}", hint="write [supervisor] and [bots.NAME]"
        )
    supervisor = _checked(SupervisorSettings, content.get(SUPERVISOR, {}), f"{path}: {SUPERVISOR}")
    tables = content.get(BOTS, {})
    if not isinstance(tables, Mapping) or not tables:
        raise ConfigError(f"{path} names no bot", hint=EXAMPLE)
    bots = {}
    for name, table in tables.items():
        _check_name(path, name)
        settings = _checked(BotSettings, table, f"{path}: {BOTS}.{name}")
        bots[name] = Bot(name, settings, state / name)
        try:
            load_settings(cli=bots[name].configuration())
        except ConfigError as error:
            raise ConfigError(f"{path}: {BOTS}.{name}: {error.message}", hint=error.hint) from error
    _check_shared(path, (bot for bot in bots.values() if bot.settings.broker != "paper"))
    return supervisor, bots


def _check_name(path: Path, name: str) -> None:
    pattern = next(
        each.pattern for each in LiveSettings.model_fields["bot"].metadata if hasattr(each, "pattern")
    )
    if re.fullmatch(pattern, name) is None:
        raise ConfigError(
            f"{path}: {safe_text(name)} is no name for a bot",
            hint="take letters, digits, and . _ - between them",
        )


def _check_shared(path: Path, bots: Iterable[Bot]) -> None:
    """What two bots at one gateway may not share: a client id, which TWS serves once, and a symbol of one account.

    IBKR tells what an account holds, not who bought it: neither bot could say whether its own position is right.
    """
    clients: dict[tuple[str, int], str] = {}
    traded: dict[tuple[str, str, str], str] = {}
    for bot in bots:
        found = connection(bot.settings.broker, bot.settings.profile)
        if not isinstance(found.broker, IBKRSettings):
            continue
        client = clients.setdefault((found.where, found.broker.client_id), bot.name)
        if client != bot.name:
            raise ConfigError(
                f"{path}: {client} and {bot.name} would use the same client id at IBKR",
                hint=f"give each a profile: IBKR_CLIENT_ID__{bot.name.upper().replace('-', '_')}=2 in .env, "
                "and profile = in its table",
            )
        for symbol in bot.symbols():
            other = traded.setdefault((found.where, found.broker.account, symbol), bot.name)
            if other != bot.name:
                raise ConfigError(
                    f"{path}: {other} and {bot.name} would trade {symbol} on one account of IBKR",
                    hint="give each an account of its own (IBKR_ACCOUNT__NAME), or another symbol",
                )


def _checked(kind: type[Any], table: Any, where: str) -> Any:
    """The model, or a ConfigError that names the first thing wrong in a line."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where} is no table", hint=EXAMPLE)
    known = list(kind.model_fields)
    for key in table:
        if key not in known:
            near = nearest(key, known)
            raise UnknownNameError(
                f"setting in {where}", key, known, hint=f"did you mean {near}?" if near else ""
            )
    try:
        return kind.model_validate(dict(table))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    key = ".".join(str(part) for part in problem["loc"][:1])
    raise ConfigError(
        f"{where}.{key}: {problem['msg'].lower()}", hint="mend it, or leave it out for the default"
    )


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
