"""P4: `python -m store.migrate`, and the list of revisions it goes by."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from core.cli import run_command
from store import open_store
from store.migrate import main, parser
from store.revisions import HEAD, REVISIONS, SCRIPTS

ROOT = Path(__file__).parents[3]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        run_command(parser(), main, list(arguments))
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_known_revisions_are_the_scripts_in_order() -> None:
    scripts = [script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()]
    assert tuple(reversed(scripts)) == REVISIONS


def test_up_and_down(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--url", url) == 0
    assert f"base -> {HEAD}" in capsys.readouterr().out
    assert _run("--url", url, "--to", HEAD) == 0
    assert "already" in capsys.readouterr().out
    with open_store(url) as store:
        store.journal("r")
    assert _run("--url", url, "--to", "base") == 2
    assert "make a copy first" in capsys.readouterr().err
    with open_store(url) as store:
        assert len(store.runs.list()) == 1
    assert _run("--url", url, "--to", "base", "--yes", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["before"], said["after"]) == (HEAD, None)
    with open_store(url) as store:
        assert store.runs.list() == []


def test_mistakes(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--url", url, "--to", "hed") == 2
    assert "did you mean head" in capsys.readouterr().err
    assert _run("--url", url, "--to", "base") == 2
    assert "there is no database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_loads_no_library_of_databases() -> None:
    """It would take a second."""
    script = (
        "import runpy, sys\n"
        "sys.argv = ['store.migrate', '--help']\n"
        "try:\n"
        "    runpy.run_module('store.migrate', run_name='__main__')\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "assert not {'alembic', 'sqlalchemy', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30
    )
    assert "example:" in done.stdout
