"""Configuration: schema, sources and their order, messages (P8, P9, S8)."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import (
    BrokerSettings,
    Settings,
    StoreSettings,
    entries,
    explain_settings,
    load_settings,
    parse_assignments,
)
from core.errors import ConfigError


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(**given: Any) -> Settings:
    """Load without the environment of whoever runs the tests."""
    return load_settings(**{"env": {}, **given})


def refusal(**given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**given)
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.exit_code == 2
    return text


def test_no_configuration_at_all_means_paper_sample_market_and_sqlite() -> None:
    """P8"""
    settings = load()
    assert settings == Settings()
    assert settings.broker.name == "paper"
    assert settings.data.source == "sample:goog"
    assert settings.store.url.startswith("sqlite:///")
    assert settings.strategy.name == "momentum"


def test_every_setting_has_words_and_a_default_that_passes_its_own_check() -> None:
    """P8"""
    for entry in entries().values():
        assert entry.description, entry.key
        assert entry.allowed, entry.key
    assert Settings.model_validate(Settings().model_dump()) == Settings()


SOURCES = ("default", "file", "overlay", "dotenv", "env", "cli")
PAIRS = list(itertools.combinations(SOURCES, 2))


def _give(source: str, cash: int, into: dict[str, Any]) -> None:
    if source == "file":
        Path("tradewright.toml").write_text(f"[broker]\ncash = {cash}\n")
    elif source == "overlay":
        Path("tradewright.paper.toml").write_text(f"[broker]\ncash = {cash}\n")
    elif source == "dotenv":
        Path(".env").write_text(f"APP_BROKER__CASH={cash}\n")
    elif source == "env":
        into["env"] = {"APP_BROKER__CASH": str(cash)}
    elif source == "cli":
        into["cli"] = {"broker.cash": cash}


@pytest.mark.parametrize(("lower", "higher"), PAIRS)
def test_higher_source_wins(lower: str, higher: str) -> None:
    """S8, P8: command line > environment > .env > overlay > file > default, each pair."""
    given: dict[str, Any] = {}
    _give(lower, 111, given)
    _give(higher, 222, given)
    assert load(**given).broker.cash == 222


@pytest.mark.parametrize(("lower", "higher"), PAIRS)
def test_higher_source_wins_for_a_strategy_parameter(lower: str, higher: str) -> None:
    """S8"""

    def give(source: str, fast: int, into: dict[str, Any]) -> None:
        if source in ("file", "overlay"):
            name = "tradewright.toml" if source == "file" else "tradewright.paper.toml"
            Path(name).write_text(f"[strategy.params]\nfast = {fast}\n")
        elif source == "dotenv":
            Path(".env").write_text(f"APP_STRATEGY__FAST={fast}\n")
        elif source == "env":
            into["env"] = {"APP_STRATEGY__FAST": str(fast)}
        elif source == "cli":
            into["cli"] = {"strategy.params": {"fast": fast}}

    given: dict[str, Any] = {}
    give(lower, 11, given)
    give(higher, 22, given)
    assert str(load(**given).strategy.params["fast"]) == "22"


def test_sources_of_one_section_are_merged_key_by_key() -> None:
    """P9"""
    Path("tradewright.toml").write_text('[broker]\ncash = 1\ncommission = 0.01\ncurrency = "EUR"\n')
    Path("tradewright.dev.toml").write_text("[broker]\ncommission = 0.02\n")
    settings, origins = explain_settings(environment="dev", env={"APP_BROKER__CASH": "2"})
    assert settings.broker == BrokerSettings(cash=2, commission=0.02, currency="EUR")
    assert origins["broker.cash"] == "environment"
    assert origins["broker.commission"] == "tradewright.dev.toml"
    assert origins["broker.currency"] == "tradewright.toml"
    assert origins["log.level"] == "default"


@pytest.mark.parametrize(
    "variable", ["APP_STRATEGY__FAST", "app_strategy__fast", "APP_STRATEGY__PARAMS__FAST"]
)
def test_variable_sets_a_strategy_parameter(variable: str) -> None:
    """S8"""
    assert load(env={variable: "7"}).strategy.params == {"fast": "7"}


def test_strategy_name_by_variable_is_not_a_parameter() -> None:
    """S8"""
    settings = load(env={"APP_STRATEGY__NAME": "range_bound"})
    assert (settings.strategy.name, settings.strategy.params) == ("range_bound", {})


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LIVE__BOT", "from-outside")
    assert load_settings().live.bot == "from-outside"


def test_parameters_of_a_file_stay_with_the_strategy_it_names() -> None:
    """S8"""
    Path("tradewright.toml").write_text(
        '[strategy]\nname = "momentum"\n[strategy.params]\nfast = 5\n[broker]\ncash = 7\n'
    )
    other = load(cli={"strategy.name": "range_bound"}, env={"APP_STRATEGY__LOOKBACK": "9"})
    assert other.strategy.params == {"lookback": "9"}
    assert other.broker.cash == 7
    assert load(cli={"strategy.name": "momentum"}).strategy.params == {"fast": 5}


def test_yaml_is_read_like_toml() -> None:
    Path("tradewright.yaml").write_text(
        "broker: {cash: 12}\nstrategy: {params: {fast: 3}}\ndata: {start: 2020-01-31}\n"
    )
    Path("tradewright.paper.yaml").write_text("broker: {commission: 0.02}\n")
    settings = load()
    assert (settings.broker.cash, settings.broker.commission) == (12, 0.02)
    assert settings.strategy.params == {"fast": 3}
    assert settings.data.start == date(2020, 1, 31)


def test_two_default_files_are_refused() -> None:
    Path("tradewright.toml").touch()
    Path("tradewright.yaml").touch()
    assert "tradewright.toml and tradewright.yaml" in refusal()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "[broker]\ncomission = 1",
            "unknown setting broker.comission in tradewright.toml; did you mean broker.commission?",
        ),
        ("[brokr]\ncash = 1", "unknown setting brokr.cash in tradewright.toml; did you mean broker.cash?"),
        ("[zzz]", "unknown setting zzz in tradewright.toml; python -m core.config list shows them all"),
        ("cash = 1", "unknown setting cash in tradewright.toml; did you mean broker.cash?"),
        ("[strategy]\nfast = 1", "did you mean strategy.params.fast?"),
        ('broker = "paper"', "broker in tradewright.toml is a section, not a value"),
        ("[strategy]\nparams = 3", "strategy.params in tradewright.toml is a section, not a value"),
        ("[broker", "tradewright.toml is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_with_the_fix(text: str, expected: str) -> None:
    """P8: unknown key is an error with suggestion."""
    Path("tradewright.toml").write_text(text)
    assert expected in refusal()


def test_a_mistake_in_the_overlay_names_the_overlay() -> None:
    """P9"""
    Path("tradewright.dev.toml").write_text("[log]\nlevle = 'INFO'\n")
    assert (
        refusal(environment="dev")
        == "unknown setting log.levle in tradewright.dev.toml; did you mean log.level?"
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"env": {"APP_BROKER__COMISSION": "1"}},
            "unknown setting APP_BROKER__COMISSION in the environment; did you mean APP_BROKER__COMMISSION?",
        ),
        (
            {"env": {"APP_BROKER_CASH": "1"}},
            "unknown setting APP_BROKER_CASH in the environment; did you mean APP_BROKER__CASH?",
        ),
        ({"env": {"APP_RISK": "1"}}, "APP_RISK in the environment is a section"),
        (
            {"cli": {"broker.chas": "1"}},
            "unknown setting broker.chas on the command line; did you mean broker.cash?",
        ),
        (
            {"env": {"APP_BROKER__COMMISSION": "5"}},
            "APP_BROKER__COMMISSION = 5 in the environment is not allowed; give a number at least 0, at most 0.1",
        ),
        (
            {"cli": {"broker.cash": "lots"}},
            "broker.cash = lots on the command line is not allowed; give a number above 0",
        ),
        ({"cli": {"broker.cash": "nan"}}, "broker.cash = nan on the command line is not allowed"),
        (
            {"cli": {"broker.name": "kraken"}},
            "broker.name = kraken on the command line is not allowed; give one of paper, binance, ibkr",
        ),
        ({"cli": {"data.start": "tomorrow"}}, "give a date like 2020-01-31, or none"),
        ({"cli": {"data.start": "2020-02-01", "data.end": "2020-01-01"}}, "is after data.end 2020-01-01"),
        (
            {"environment": "prod"},
            "environment = prod on the command line is not allowed; give one of dev, paper",
        ),
        ({"file": Path("absent.toml")}, "there is no configuration file absent.toml"),
        ({"file": Path()}, "cannot read ."),
    ],
)
def test_a_mistake_elsewhere_is_one_line_with_the_fix(given: Mapping[str, Any], expected: str) -> None:
    """P8"""
    assert expected in refusal(**given)


def test_other_variables_are_none_of_our_business_and_empty_ones_are_not_set() -> None:
    assert load(env={"PATH": "/bin", "APPLE": "1", "APP_BROKER__CASH": ""}) == Settings()


def test_none_switches_an_optional_setting_off_again() -> None:
    Path("tradewright.toml").write_text("[risk]\nmax_daily_loss = 0.1\n")
    assert load().risk.max_daily_loss == 0.1
    assert load(cli={"risk.max_daily_loss": "none"}).risk.max_daily_loss is None
    assert "broker.cash = none" in refusal(cli={"broker.cash": "none"})


def test_command_line_values_that_are_none_are_not_given() -> None:
    assert load(cli={"broker.cash": None}, env={"APP_BROKER__CASH": "5"}).broker.cash == 5


@pytest.mark.parametrize("change", [{"debug": True}, {"log.level": "debug"}])
def test_production_refuses_debugging(change: Mapping[str, Any]) -> None:
    """P9"""
    assert "production refuses it" in refusal(environment="production", cli=change)
    load(environment="dev", cli=change)
    load(environment="production")


@pytest.mark.parametrize(
    "choose",
    [
        lambda: {"environment": "production"},
        lambda: {"cli": {"environment": "production"}},
        lambda: {"env": {"APP_ENVIRONMENT": "production"}},
        lambda: Path(".env").write_text("APP_ENVIRONMENT=production\n") and {},
        lambda: Path("tradewright.toml").write_text("environment = 'production'\n") and {},
    ],
    ids=["argument", "cli", "variable", "dotenv", "file"],
)
def test_the_environment_chooses_the_overlay(choose: Callable[[], Any]) -> None:
    """P9, X6"""
    Path("tradewright.production.toml").write_text("[live]\nbot = 'in-production'\n")
    Path("tradewright.dev.toml").write_text("[live]\nbot = 'in-dev'\n")
    given = choose()
    settings = load(**(given if isinstance(given, dict) else {}))
    assert settings.environment == "production"
    assert settings.live.bot == "in-production"


def test_an_overlay_cannot_choose_the_environment() -> None:
    """P9"""
    Path("tradewright.dev.toml").write_text("environment = 'production'\n")
    assert "an overlay cannot choose the environment" in refusal(environment="dev")


def test_settings_are_frozen_and_refuse_unknown_names() -> None:
    """P8"""
    with pytest.raises(ValidationError):
        Settings().broker.cash = 1  # type: ignore[misc]
    with pytest.raises(ValidationError):
        BrokerSettings.model_validate({"chas": 1})


def test_the_store_password_is_never_shown() -> None:
    """X16: not in repr, not in the public form, not in a message."""
    url = "postgresql://me:hunter2@db/trades"
    settings = load(cli={"store.url": url})
    assert settings.store.url == url
    assert "hunter2" not in repr(settings) + str(settings) + str(settings.public())
    assert settings.public()["store"]["url"] == "postgresql://me:***@db/trades"
    assert "hunter2" not in refusal(cli={"store.url": url.replace("postgresql", "mysql")})
    with pytest.raises(ValidationError) as caught:
        StoreSettings(url="mysql://me:hunter2@db/trades")
    assert "hunter2" not in str(caught.value)


def test_assignments() -> None:
    assert parse_assignments(["broker.cash=1", "data.source=csv:a=b", "broker.cash=2"]) == {
        "broker.cash": "2",
        "data.source": "csv:a=b",
    }
    assert load(cli=parse_assignments(["strategy.fast=4"])).strategy.params == {"fast": "4"}
    for wrong in ("broker.cash", "=5"):
        with pytest.raises(ConfigError, match="is not an assignment"):
            parse_assignments([wrong])


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("bad.toml", b"\xff\xfe", "is not text in UTF-8"),
        ("bad.yaml", b"- 1\n- 2\n", "names and values are needed at the top"),
        ("bad.yaml", b"broker: {cash: 1\nstore: x", "is not valid YAML"),
        ("bad.yaml", b"a: \x07", "is not valid YAML"),
    ],
)
def test_malformed_files_are_one_line(name: str, content: bytes, expected: str) -> None:
    Path(name).write_bytes(content)
    assert expected in refusal(file=Path(name))


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Commands import core.config for --help; pydantic and pandas must wait."""
    code = (
        "import sys, core.config; print([m for m in ('pydantic', 'pandas', 'structlog') if m in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
    code = "import sys; from core.config import load_settings; print('pandas' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def test_a_check_of_our_own_says_what_is_known() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(cli={"reports.formats": "doc"}, env={}, dotenv=None)
    assert "unknown format 'doc'" in str(caught.value.hint)
    assert "xlsx" in str(caught.value.hint)
