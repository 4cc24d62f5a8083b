"""Locks of sessions: whose account a file stands for, and who holds it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import UserError
from live.locks import holder, lock_of, locked
from live.profiles import connection

HOLD = """
import sys
from pathlib import Path
from core.errors import UserError
from live.locks import locked
with locked(Path(sys.argv[1]), UserError):
    print("held", flush=True)
    sys.stdin.read()
"""


def binance(key: str) -> dict[str, str]:
    return {"BINANCE_KEY": key, "BINANCE_SECRET": "s"}


def test_an_account_has_its_own_lock_whatever_the_profile_is_called() -> None:
    one = connection("binance", None, binance("k"), None)
    profile = {f"{name}__MAIN": value for name, value in binance("k").items()}
    same = connection("binance", "main", profile, None)
    other = connection("binance", None, binance("k2"), None)
    gateway = connection("ibkr", None, {}, None)
    assert lock_of(one, "a") == lock_of(same, "a")
    files = {lock_of(one, "a"), lock_of(one, "b"), lock_of(other, "a"), lock_of(gateway, "a")}
    assert len(files) == 4
    assert all("k2" not in str(file) for file in files)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_its_process(tmp_path: Path, how: signal.Signals) -> None:
    file = tmp_path / "locks" / "a.lock"
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert holder(file) == process.pid
        with pytest.raises(UserError, match=f"^{process.pid}$"), locked(file, UserError):
            pass
        os.kill(process.pid, how)
        process.wait(20)
        assert holder(file) is None
        with locked(file, UserError, tidy=True):
            assert file.read_text() == str(os.getpid())
        assert not file.exists()
