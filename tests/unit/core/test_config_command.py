"""`python -m core.config`: discovery, templates, what is in force (P10, P11)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.config import entries, load_settings, read_template, templates
from core.errors import UnknownNameError

ROOT = Path(__file__).parents[3]
TEMPLATES = sorted(path.stem for path in (ROOT / "core/config/templates").glob("*.toml"))


def run(*argv: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.upper().startswith("APP_")}
    return subprocess.run(
        [sys.executable, "-m", "core.config", *argv],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_list_shows_every_setting_and_template_with_its_words(tmp_path: Path) -> None:
    """P11"""
    text = run("list", cwd=tmp_path).stdout
    for entry in entries().values():
        assert f"  {entry.key} = " in text
        assert entry.description in text
        assert entry.variable in text
    for template in templates().values():
        assert template.name in text
        assert template.description in text


def test_list_as_json_and_by_section(tmp_path: Path) -> None:
    """P11"""
    listed = json.loads(run("--json", "list", cwd=tmp_path).stdout)
    assert [item["key"] for item in listed["settings"]] == list(entries())
    assert [item["name"] for item in listed["templates"]] == TEMPLATES
    listed = json.loads(run("list", "broker", "--json", cwd=tmp_path).stdout)
    sections = {item["section"] for item in listed["settings"]}
    assert sections == {"broker", "broker.costs", "broker.costs.margin"}
    wrong = run("list", "brokr", cwd=tmp_path)
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "python -m core.config: unknown section 'brokr'; did you mean broker?\n",
    )


def test_there_are_templates() -> None:
    assert {"stock-momentum", "range-bound-daily", "intraday-levels", "crypto-momentum"} <= set(TEMPLATES)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_valid_and_needs_neither_account_nor_network(name: str, tmp_path: Path) -> None:
    """P10"""
    made = json.loads(run("new", "--template", name, "--json", cwd=tmp_path).stdout)
    assert (tmp_path / made["file"]).read_text() == read_template(name).text
    settings = load_settings(file=tmp_path / made["file"], env={}, dotenv=None)
    assert settings.broker.name == "paper"
    assert settings.data.source.startswith("sample:")
    assert made["next"] == f"python -m live.run {settings.strategy.name}"
    checked = run("check", "tradewright.toml", cwd=tmp_path)
    assert (checked.returncode, checked.stdout) == (0, "tradewright.toml: valid, environment paper\n")


def test_new_does_not_overwrite_unless_told(tmp_path: Path) -> None:
    """P10"""
    mine = tmp_path / "tradewright.toml"
    mine.write_text("# mine\n")
    refused = run("new", "--template", "stock-momentum", cwd=tmp_path)
    assert (refused.returncode, mine.read_text()) == (2, "# mine\n")
    assert "exists already; add --force" in refused.stderr
    assert run("new", "--template", "stock-momentum", "--force", cwd=tmp_path).returncode == 0
    assert mine.read_text() == read_template("stock-momentum").text


def test_an_unknown_template_names_the_nearest_and_writes_nothing(tmp_path: Path) -> None:
    """P10"""
    with pytest.raises(UnknownNameError, match="did you mean crypto-momentum"):
        read_template("crypto-momentm")
    assert run("new", "--template", "crypto-momentm", cwd=tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_show_tells_each_value_and_its_source_and_no_secret(tmp_path: Path) -> None:
    """P11, S8, X16"""
    (tmp_path / "tradewright.toml").write_text("[broker]\ncash = 7\n[strategy.params]\nslow = 50\n")
    (tmp_path / ".env").write_text("APP_STORE__URL=postgresql://me:hunter2@db/trades\n")
    given = {"APP_STRATEGY__FAST": "7"}
    shown = run("show", "--set", "live.bot=b", "--json", cwd=tmp_path, **given)
    values = json.loads(shown.stdout)
    assert values["broker.cash"] == {"value": 7.0, "source": "tradewright.toml"}
    assert values["strategy.params.slow"] == {"value": 50, "source": "tradewright.toml"}
    assert values["strategy.params.fast"] == {"value": "7", "source": "environment"}
    assert values["live.bot"] == {"value": "b", "source": "command line"}
    assert values["store.url"] == {"value": "postgresql://me:***@db/trades", "source": ".env"}
    assert values["log.level"] == {"value": "INFO", "source": "default"}
    text = run("show", cwd=tmp_path, **given).stdout
    assert "hunter2" not in text + shown.stdout
    assert "store.url = postgresql://me:***@db/trades" in text


def test_check_names_the_mistake(tmp_path: Path) -> None:
    """P8, P9"""
    (tmp_path / "mine.toml").write_text("debug = true\n")
    assert run("check", "mine.toml", cwd=tmp_path, APP_BROKER__CASH="-1").returncode == 0
    refused = run("check", "mine.toml", "--environment", "production", "--json", cwd=tmp_path)
    assert refused.returncode == 2
    assert "production refuses it" in json.loads(refused.stdout)["error"]["message"]


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """It is instant for that reason."""
    script = (
        "import runpy, sys\n"
        "sys.argv = ['core.config', '--help']\n"
        "try:\n"
        "    runpy.run_module('core.config', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'backtrader', 'numpy', 'pandas', 'sqlalchemy', 'ccxt'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    )
    assert "example:" in done.stdout
