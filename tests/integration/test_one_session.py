"""One bot, one account, one session: a second one is refused while the first lives, and taken once it is dead."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from live import locks
from live.profiles import connection
from tests.integration.conftest import ENVIRONMENT
from tests.integration.test_live_run import PATIENCE_SECONDS, Reader
from tests.integration.test_live_venues import ROUND_TRIPS, TRADED
from tests.simulator import simulator


@pytest.mark.parametrize("venue", ["binance", "ibkr"])
def test_a_second_session_of_a_bot_is_refused_until_the_first_is_dead(
    spawned: Any, forked: Any, listing: Any, tmp_path: Path, venue: str
) -> None:
    """L27: from whatever folder; kill -9 leaves nothing that has to be cleared away."""
    exchange = "tws" if venue == "ibkr" else venue
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    with simulator(exchange, "--market", "random:7", "--symbols", TRADED[venue][0], "--speed", "120") as sim:
        addresses = sim.variables(exchange)
        for folder in (here, elsewhere):
            folder.mkdir()
            (folder / "s.py").write_text(ROUND_TRIPS)
            (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in addresses.items()))
        begin = ("s.py:RoundTrips", "--broker", venue, "--symbols", TRADED[venue][0])
        first = spawned(here, "-m", "live.run", *begin, "--param", f"size={TRADED[venue][1]}")
        Reader(first).until("commission")
        before = listing(elsewhere)
        for folder, argv in ((elsewhere, begin), (here, ("s.py:RoundTrips", "--resume"))):
            refused = forked(folder, *argv)
            assert (refused.code, refused.stderr.count("\n")) == (2, 1), refused.stderr
            assert re.search(
                rf"bot default is trading at {venue} already, in process {first.pid}; "
                rf"end that first \(kill {first.pid}\), or name this one with --bot NAME",
                refused.stderr,
            )
        assert listing(elsewhere) == before
        if venue == "binance":
            another = forked(elsewhere, *begin, "--bot", "another", "--cash", "900", "--bars", "1", "--json")
            assert another.code == 0, another.stderr
        os.kill(first.pid, signal.SIGKILL)
        first.wait(PATIENCE_SECONDS)
        again = forked(here, "s.py:RoundTrips", "--resume", "--bars", "1", "--json")
        assert again.code == 0, again.stderr
        lock = Path(ENVIRONMENT["XDG_STATE_HOME"]) / locks.lock_of(
            connection(venue, None, addresses, None), "default"
        ).relative_to(locks.folder().parents[1])
        assert lock.parent.is_dir()
        assert not lock.exists()
