"""Every setting there is: type, range, default and meaning. Fractions are fractions, never percent."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from core.config.account import AccountSettings
from core.config.costs import CostSettings
from core.config.merge import MergeSettings
from core.config.risk import RiskSettings
from core.config.section import Section
from core.errors import UserError
from core.formats import parse_formats
from core.recovery import Policy, parse_overrides
from core.redact import redact_text

Environment = Literal["dev", "paper", "production"]
Level = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
Folder = Annotated[Path, AfterValidator(lambda path: path.expanduser())]


def _known_recoveries(text: str) -> str:
    try:
        Policy(parse_overrides(text))
    except UserError as error:
        raise ValueError(str(error)) from error
    return text


def _known_formats(text: str) -> str:
    try:
        parse_formats(text)
    except UserError as error:
        raise ValueError(str(error)) from error
    return text


class StrategySettings(Section):
    """What trades."""

    name: str = Field(
        default="momentum", min_length=1, description="name, package.module:Class, or path/to/file.py:Class"
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="parameters that differ from the strategy's own defaults; APP_STRATEGY__FAST=7 sets fast",
    )


class DataSettings(Section):
    """Which market, and how it is cleaned."""

    source: str = Field(
        default="sample:goog",
        min_length=1,
        description="feed reference: sample:goog, csv:PATH, parquet:PATH, yahoo:AAPL, binance:BTC/USDT:1h, ibkr:AAPL:1d, "
        "or a path",
    )
    start: date | None = Field(default=None, description="first day used, UTC; none: from the beginning")
    end: date | None = Field(default=None, description="last day used, UTC; none: to the end")
    timeframe: str | None = Field(
        default=None,
        min_length=1,
        description="bar length asked of sources that offer several, such as 1h or 1d",
    )
    symbols: str | None = Field(
        default=None,
        min_length=1,
        examples=["BTC/USDT,ETH/USDT", "AAPL,MSFT"],
        description="what a live session trades, as its venue writes it, joined by commas",
    )
    fallback: str | None = Field(
        default=None,
        min_length=1,
        examples=["kraken,coinbase"],
        description="who is asked for the same symbol when the source does not answer, in this order, joined by commas",
    )
    max_gap_bars: int = Field(
        default=5,
        ge=0,
        le=10_000,
        description="longest gap, in bars, that is filled from the bar before; a longer one is refused",
    )
    cache_dir: Folder = Field(default=Path(".tradewright/cache"), description="folder of downloaded bars")
    ibkr: str = Field(
        default="127.0.0.1:7497",
        pattern=r"^[^:\s]+:\d{1,5}$",
        description="where TWS or IB Gateway listens, for ibkr: sources",
    )
    ibkr_client_id: int = Field(
        default=72, ge=0, lt=2**31, description="client id for ibkr: sources; no other program may use it"
    )
    regular_hours: bool = Field(
        default=True, description="of ibkr: sources only bars of the regular trading hours"
    )
    offline: bool = Field(
        default=False, description="never ask the network; use the cache and the sample markets"
    )

    @model_validator(mode="after")
    def _in_order(self) -> DataSettings:
        if self.start is not None and self.end is not None and self.start > self.end:
            raise ValueError(f"data.start {self.start} is after data.end {self.end}")
        return self


class BrokerSettings(Section):
    """Where orders go, and what they cost."""

    name: Literal["paper", "binance", "ibkr"] = Field(
        default="paper", description="the venue; paper keeps every order on this machine"
    )
    profile: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9]+(_[A-Za-z0-9]+)*$",
        examples=["main", "testnet"],
        description="which key and address of the venue: main reads BINANCE_KEY__MAIN and its kin from environment or .env",
    )
    cash: float = Field(default=100_000.0, gt=0, description="cash at the start, in currency")
    commission: float = Field(
        default=0.001, ge=0, le=0.1, description="fraction of the traded value, per fill"
    )
    currency: str = Field(
        default="USD",
        pattern=r"^[A-Z][A-Z0-9]{1,9}$",
        examples=["USD", "USDT"],
        description="currency of cash and results",
    )
    costs: CostSettings = Field(default_factory=CostSettings)


class StoreSettings(Section):
    """The database of runs, orders and fills."""

    url: str = Field(
        default="sqlite:///runs/tradewright.db",
        pattern=r"^(sqlite|postgresql)(\+\w+)?://",
        examples=["sqlite:///runs/tradewright.db", "postgresql://HOST/NAME"],
        description="sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME; the password is never shown",
    )
    pool_size: int = Field(default=5, ge=1, le=100, description="connections kept open; PostgreSQL only")


class ReportSettings(Section):
    """Where results are written, and how they look."""

    directory: Folder = Field(default=Path("runs"), description="folder that gets one folder a run")
    title: str | None = Field(
        default=None, min_length=1, description="title of the tearsheet; none: strategy and market"
    )
    trades_shown: int = Field(
        default=200, ge=0, le=100_000, description="rows of the trades table, newest first"
    )
    formats: Annotated[str, AfterValidator(_known_formats)] = Field(
        default="html,json",
        description="what a run writes beside its tables: html, pdf, xlsx, or all; result.json always",
    )


class LogSettings(Section):
    """What is written down while a run goes on."""

    level: Level = Field(default="INFO", description="lowest level that is recorded at all")
    json_file: bool = Field(
        default=True, description="write log.jsonl into the run's folder, one JSON object a line"
    )
    max_bytes: int = Field(
        default=10_000_000, ge=0, description="size at which log.jsonl is rotated, in bytes; 0: never"
    )
    backups: int = Field(
        default=5, ge=1, le=1000, description="rotated files kept: log.jsonl.1 is the newest"
    )
    console: Literal["auto", "plain", "json", "off"] = Field(
        default="auto",
        description="form on standard error; auto: colours on a terminal, plain text elsewhere",
    )
    console_level: Level = Field(default="WARNING", description="lowest level shown on standard error")


class LiveSettings(Section):
    """How a session runs."""

    bot: str = Field(
        default="default",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        examples=["default", "goog-1"],
        description="name of this trader; orders, limits and state are kept apart by it",
    )
    speed: float | None = Field(
        default=None,
        gt=0,
        description="market seconds per second in a replay (60: a minute a second); none: flat out",
    )
    backfill: int | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="bars of the past a live session shows its strategy first; none: as many as its warm-up",
    )
    bars: int | None = Field(
        default=None, ge=1, description="a live session ends after so many bars; none: when it is told to"
    )
    on_stop: Literal["leave", "flatten"] = Field(
        default="leave",
        description="at the end of a live session: leave positions with what protects them at the venue, or sell all",
    )
    confirm: str | None = Field(
        default=None,
        min_length=1,
        description="the profile, or else the venue, that --live may trade without asking on the terminal",
    )
    fallback: Literal["none", "paper"] = Field(
        default="none",
        description="when the venue cannot be reached at the start: end, or replay data.source on paper instead",
    )
    stale_seconds: float = Field(
        default=30.0,
        gt=0,
        description="a live bar that is so much later than its length blocks new entries until one comes",
    )
    alert_errors: int = Field(
        default=10, ge=1, description="so many warnings and errors within live.alert_seconds raise one alert"
    )
    alert_seconds: float = Field(default=60.0, gt=0, description="the window of live.alert_errors")
    recovery: Annotated[str, AfterValidator(_known_recoveries)] = Field(
        default="",
        examples=["store=halt, venue-transient=restart"],
        description="what a session does about errors, by their code, where not as usual: degrade, restart or halt",
    )
    entries: Literal["market", "touch", "post-only"] = Field(
        default="market",
        description="market entries at a venue: as they are, as limits at the best price of the other side, or of "
        "their own side where they may never take; paper, which has no quotes, leaves them as they are",
    )
    reprice_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="how often such a limit follows the quote"
    )
    reprice_times: int = Field(
        default=5, ge=0, le=1000, description="how often at most; the entry ends one time later"
    )
    reprice_bound: float = Field(
        default=0.002,
        gt=0,
        lt=1,
        description="how far from the middle of the quote at the decision it goes, as a fraction",
    )
    reprice_then: Literal["cancel", "market"] = Field(
        default="cancel", description="what becomes of what has not filled by then"
    )
    consensus: str | None = Field(
        default=None,
        min_length=1,
        examples=["kraken,coinbase", "second=http://127.0.0.1:8080/api/v3"],
        description="exchanges whose prices must agree with the traded venue's before an entry; NAME, or NAME=URL of "
        "one that speaks as Binance does",
    )
    consensus_quorum: int = Field(
        default=2, ge=2, description="how many must agree, the traded venue among them"
    )
    consensus_tolerance: float = Field(
        default=0.005, gt=0, lt=1, description="how far from the median one may be, as a fraction"
    )
    consensus_max_age: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="seconds after which a price is too old; asked four times as often",
    )
    reconcile_seconds: float | None = Field(
        default=60.0,
        ge=0.1,
        le=86_400,
        description="how often a live session compares journal and venue; none: at its start and end alone",
    )
    account: AccountSettings = Field(default_factory=AccountSettings)
    merge: MergeSettings = Field(default_factory=MergeSettings)


class OptimizeSettings(Section):
    """Where optimisations wait their turn."""

    queue: str = Field(
        default="sqlite:///runs/jobs/queue.db",
        pattern=r"^(sqlite:///.|rediss?://|unix://)",
        examples=["sqlite:///runs/jobs/queue.db", "redis://localhost:6379/0"],
        description="the queue of jobs: sqlite:///PATH or redis://HOST:PORT/NUMBER; its password is never shown",
    )


class Settings(Section):
    """Everything, by section. `load_settings` fills it; `Settings()` is the defaults alone."""

    environment: Environment = Field(
        default="paper",
        description="chooses the overlay file tradewright.ENVIRONMENT.toml; production refuses debugging",
    )
    debug: bool = Field(default=False, description="more checks and more words; refused in production")
    strategy: StrategySettings = Field(default_factory=StrategySettings)
    data: DataSettings = Field(default_factory=DataSettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    risk: RiskSettings = Field(default_factory=RiskSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    reports: ReportSettings = Field(default_factory=ReportSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    live: LiveSettings = Field(default_factory=LiveSettings)
    optimize: OptimizeSettings = Field(default_factory=OptimizeSettings)

    @model_validator(mode="after")
    def _production_is_quiet(self) -> Settings:
        if self.environment == "production":
            if self.debug:
                raise ValueError("debug is on, and environment production refuses it")
            if self.log.level == "DEBUG":
                raise ValueError("log.level is DEBUG, and environment production refuses it")
        return self


def safe_text(value: object) -> str:
    """A value as it may be shown in a message: on one line, without secrets, cut at 80 characters."""
    text = redact_text(str(value))
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 80 else f"{text[:77]}..."
