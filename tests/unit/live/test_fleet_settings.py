"""The file that several bots are run from: what each is told, and what is refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigError, UserError
from live.fleet_settings import read_fleet

TWO = """
[supervisor]
crashes = 3

[bots.btc]
strategy = "momentum"
broker = "binance"
profile = "main"
symbols = ["BTC/USDT", "ETH/USDT"]
timeframe = "5m"
confirm = "main"
resample = ["1h"]
params = { fast = 7 }
settings = { risk.max_daily_loss = 0.03, live.on_stop = "flatten" }

[bots.goog]
strategy = "momentum"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("BINANCE_KEY__MAIN=k\nBINANCE_SECRET__MAIN=s\nIBKR_CLIENT_ID__TWO=2\n")
    return tmp_path


def write(text: str) -> Path:
    file = Path("bots.toml")
    file.write_text(text)
    return file


def test_each_bot_gets_its_own_and_nothing_of_the_other() -> None:
    """L27"""
    supervisor, bots = read_fleet(write(TWO), Path("state"))
    assert (supervisor.crashes, supervisor.policy().crashes) == (3, 3)
    btc, goog = bots["btc"], bots["goog"]
    environment = btc.environment()
    assert environment["APP_RISK__MAX_DAILY_LOSS"] == "0.03"
    assert environment["APP_LIVE__ON_STOP"] == "flatten"
    assert environment["APP_DATA__SYMBOLS"] == "BTC/USDT,ETH/USDT"
    assert environment["APP_LIVE__CONFIRM"] == environment["APP_BROKER__PROFILE"] == "main"
    for key in ("APP_STORE__URL", "APP_REPORTS__DIRECTORY", "APP_LIVE__BOT"):
        assert environment[key] != goog.environment()[key]
    assert btc.arguments(None)[:4] == ["momentum", "--json", "--attached", "state/btc/status.json"]
    assert btc.arguments(None)[4:] == ["--live", "--param", "fast=7", "--resample", "1h", "--continue"]
    assert btc.arguments(None, new=True)[-1] == "1h"
    assert btc.arguments("run-1")[4:] == ["--live", "--resume", "run-1"]
    assert "--live" not in goog.arguments(None)


def test_a_database_for_all_is_taken_and_its_password_is_no_argument() -> None:
    url = "postgresql://me:plantedSecret@host/bots"
    text = f'[bots.a]\nstrategy = "momentum"\nsettings = {{ store.url = "{url}" }}\n'
    _, bots = read_fleet(write(text), Path("state"))
    assert bots["a"].environment()["APP_STORE__URL"] == url
    assert "planted" not in " ".join(bots["a"].arguments(None))


REFUSED = {
    "no bots": ("", "names no bot"),
    "a misspelt table": ("[bot.a]\n", "there is no table bot"),
    "a misspelt setting": ('[bots.a]\nstratgy = "m"\n', "did you mean strategy?"),
    "no strategy": ("[bots.a]\n", "bots.a.strategy: field required"),
    "another venue": ('[bots.a]\nstrategy = "m"\nbroker = "kraken"\n', "bots.a.broker: input should be"),
    "a name with a slash": ('[bots."../a"]\nstrategy = "m"\n', "../a is no name for a bot"),
    "a limit that is none": (
        '[bots.a]\nstrategy = "m"\nsettings = { risk.max_dialy_loss = 1 }\n',
        "bots.a: unknown setting risk.max_dialy_loss",
    ),
    "no crash at all": ("[supervisor]\ncrashes = 0\n", "supervisor.crashes: input should be greater than"),
    "one client id for two": (
        '[bots.a]\nstrategy = "m"\nbroker = "ibkr"\nsymbols = "AAPL"\n'
        '[bots.b]\nstrategy = "m"\nbroker = "ibkr"\nsymbols = "AAPL"\n',
        "a and b would use the same client id at IBKR; give each a profile: IBKR_CLIENT_ID__B=2",
    ),
    "one symbol on one account": (
        '[bots.a]\nstrategy = "m"\nbroker = "ibkr"\nsymbols = "AAPL"\n'
        '[bots.b]\nstrategy = "m"\nbroker = "ibkr"\nprofile = "two"\nsymbols = "MSFT, AAPL"\n',
        "a and b would trade AAPL on one account of IBKR; give each an account of its own",
    ),
    "no key": ('[bots.a]\nstrategy = "m"\nbroker = "binance"\n', "BINANCE_KEY is not set"),
    "a bot that is no table": ("[bots]\na = 1\n", "bots.a is no table"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    text, said = REFUSED[case]
    with pytest.raises(UserError) as refused:
        read_fleet(write(text), Path("state"))
    assert said in str(refused.value)
    assert refused.value.hint


def test_a_file_that_is_not_there_is_said_with_what_to_write() -> None:
    with pytest.raises(ConfigError) as refused:
        read_fleet(Path("absent.toml"), Path("state"))
    assert "absent.toml" in str(refused.value)
    assert "[bots.btc]" in refused.value.hint
