"""Every configuration template runs as it is written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from core.config import read_template, templates


@pytest.mark.parametrize("name", templates())
def test_every_template_runs(forked: Any, tmp_path: Path, name: str) -> None:
    """P10"""
    template = read_template(name).text
    (tmp_path / "own.toml").write_text(template)
    strategy = tomllib.loads(template)["strategy"]["name"]
    done = forked(tmp_path, strategy, "--config", "own.toml", "--end", "2006-06-30")
    assert done.code == 0, done.stderr
    assert done.lines[0].startswith("PAPER, replaying GOOG")
    assert any("commission" in line for line in done.lines)
