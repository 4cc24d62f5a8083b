"""Keys, signatures, time, weights and bans."""

from __future__ import annotations

import pytest

from brokers.simulators.binance.errors import BinanceError
from brokers.simulators.binance.limits import ORDERS_IN_TEN_SECONDS, WEIGHT_A_MINUTE, Limits
from brokers.simulators.binance.security import signed
from brokers.simulators.faults import Fault
from tests.unit.brokers.simulators.binance.desk import KEY, Desk

DOCUMENTED_SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
DOCUMENTED_PAYLOAD = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
DOCUMENTED_SIGNATURE = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_a_signature_equals_the_documented_example() -> None:
    assert signed(DOCUMENTED_SECRET, DOCUMENTED_PAYLOAD) == DOCUMENTED_SIGNATURE


def test_a_request_must_be_signed_by_a_known_key() -> None:
    desk = Desk()
    account = desk.operations.by_path[("GET", "/api/v3/account")]
    now = str(int(desk.seconds * 1000))
    for key, params, payload, code in (
        ("", {}, "", -2014),
        ("other", {}, "", -2015),
        (KEY.key, {}, "", -1102),
        (KEY.key, {"timestamp": now}, f"timestamp={now}", -1102),
        (KEY.key, {"timestamp": now, "signature": "0" * 64}, f"timestamp={now}", -1022),
    ):
        with pytest.raises(BinanceError) as refused:
            desk.operations.carry_out(account, params, key, payload)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("offset", "window", "code"),
    [(0, None, 0), (-5000, None, 0), (-5001, None, -1021), (1000, None, 0), (1001, None, -1021), (-9000, 10_000, 0), (0, 60_001, -1131)],
)  # fmt: skip
def test_a_request_must_come_in_its_window(offset: int, window: int | None, code: int) -> None:
    desk = Desk()
    params = {"timestamp": int(desk.seconds * 1000) + offset, **({"recvWindow": window} if window else {})}
    if code:
        assert desk.refused("GET", "account", **params)[0] == code
    else:
        assert desk.call("GET", "account", **params)["canTrade"] is True


def test_a_skewed_server_refuses_the_time_it_would_have_taken() -> None:
    desk = Desk()
    desk.simulation.faults.add(Fault("clock-skew", seconds=30))
    assert desk.refused("GET", "account")[0] == -1021
    shown = desk.call("GET", "time")["serverTime"]
    assert desk.call("GET", "account", timestamp=shown)["canTrade"] is True


def test_weights_add_up_to_a_limit_and_disregard_to_a_ban() -> None:
    seconds = [1200.0]
    limits = Limits(lambda: seconds[0])
    for _ in range(WEIGHT_A_MINUTE // 20):
        limits.charge(20)
    assert limits.headers()["X-MBX-USED-WEIGHT-1M"] == str(WEIGHT_A_MINUTE)
    seconds[0] += 20
    statuses = []
    for _ in range(12):
        with pytest.raises(BinanceError) as refused:
            limits.charge(1)
        statuses.append((refused.value.status, refused.value.code))
    assert statuses == [(429, -1003)] * 9 + [(418, -1003)] * 3
    assert refused.value.retry_after == 120
    assert limits.violations == 12
    seconds[0] += 120
    limits.charge(1)
    assert limits.headers()["X-MBX-USED-WEIGHT-1M"] == "1"


def test_a_blocked_address_is_told_how_long_to_wait() -> None:
    seconds = [1200.0]
    limits = Limits(lambda: seconds[0])
    limits.block(7.5, ban=False)
    with pytest.raises(BinanceError) as refused:
        limits.charge(1)
    assert (refused.value.status, refused.value.retry_after) == (429, 8)
    seconds[0] += 7.5
    limits.charge(1)


def test_new_orders_are_counted() -> None:
    desk = Desk()
    for _ in range(ORDERS_IN_TEN_SECONDS):
        desk.order("MARKET", quantity="0.05")
    assert desk.order_refused("MARKET", quantity="0.05")[0] == -1015
    desk.seconds += 10
    assert desk.order("MARKET", quantity="0.05")["status"] == "FILLED"
