"""The control API of a simulator: HTTP and JSON on a port of its own, for tests and for people rehearsing."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from brokers.simulators.faults import read_fault
from brokers.simulators.simulation import Simulation
from core.errors import TradewrightError, UserError, VenueTransient
from core.jsontext import to_json
from core.types import Side

HOST = "127.0.0.1"
Handler = Callable[[dict[str, Any]], object]


class ControlServer:
    """Serves one simulation on loopback. extra: what the protocol server adds to /state."""

    def __init__(self, simulation: Simulation, extra: Callable[[], dict[str, Any]] = dict) -> None:
        self._simulation = simulation
        self._extra = extra
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self, port: int = 0) -> None:
        """Listen; port 0 takes any free one, and `port` says which."""
        app = web.Application()
        app.router.add_get("/state", self._answer(self._state))
        app.router.add_get("/faults", self._answer(self._faults))
        app.router.add_post("/faults", self._answer(self._add_fault))
        app.router.add_delete("/faults", self._answer(self._clear_faults))
        app.router.add_post("/price", self._answer(self._price))
        app.router.add_post("/trade", self._answer(self._trade))
        app.router.add_post("/clock", self._answer(self._clock))
        app.router.add_post("/restart", self._answer(self._restart))
        app.router.add_post("/reset", self._answer(self._reset))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _answer(self, act: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Read JSON, act, answer JSON; what was asked wrongly is answered with 400 and the reason."""

        async def handle(request: web.Request) -> web.Response:
            try:
                text = await request.text()
                given = json.loads(text) if text else {}
                body, status = act(given), 200
            except (TradewrightError, ValueError, KeyError, InvalidOperation) as error:
                body, status = {"error": str(error) or repr(error)}, 400
            return web.Response(text=to_json(body), status=status, content_type="application/json")

        return handle

    def _state(self, given: dict[str, Any]) -> object:
        return {**self._simulation.view(), **self._extra()}

    def _faults(self, given: dict[str, Any]) -> object:
        faults = self._simulation.faults
        return {"waiting": faults.waiting, "struck": faults.struck}

    def _add_fault(self, given: dict[str, Any]) -> object:
        self._simulation.faults.add(read_fault(given))
        return {"waiting": self._simulation.faults.waiting}

    def _clear_faults(self, given: dict[str, Any]) -> object:
        self._simulation.faults.clear()
        return {"waiting": []}

    def _price(self, given: dict[str, Any]) -> object:
        optional = {key: Decimal(str(given[key])) for key in ("bid", "ask", "volume") if key in given}
        self._simulation.price(str(given["symbol"]), Decimal(str(given["price"])), **optional)
        return {"time": self._simulation.clock.now().isoformat()}

    def _trade(self, given: dict[str, Any]) -> object:
        account, symbol, side = str(given["account"]), str(given["symbol"]), Side(given["side"])
        return {"order": self._simulation.trade(account, symbol, side, Decimal(str(given["size"])))}

    def _clock(self, given: dict[str, Any]) -> object:
        if "speed" in given:
            self._simulation.run_at(max(0.0, float(given["speed"])))
        self._simulation.advance(float(given.get("advance", 0)))
        return {"time": self._simulation.clock.now().isoformat()}

    def _restart(self, given: dict[str, Any]) -> object:
        self._simulation.faults.add(read_fault({"name": "restart", "seconds": given.get("seconds", 0)}))
        return {}

    def _reset(self, given: dict[str, Any]) -> object:
        self._simulation.reset()
        return {}


class Control:
    """A client of the control API; its calls wait for the answer, and raise UserError for what was refused."""

    def __init__(self, port: int, host: str = HOST) -> None:
        self._base = f"http://{host}:{port}"

    def state(self) -> dict[str, Any]:
        """Everything the simulator knows."""
        return self._call("GET", "/state")

    def fault(self, name: str, **fields: object) -> None:
        """Let a fault strike; see `brokers.simulators.faults` for names and fields."""
        self._call("POST", "/faults", name=name, **fields)

    def faults(self) -> dict[str, Any]:
        """Names of those that wait, and of those that have struck."""
        return self._call("GET", "/faults")

    def clear(self) -> None:
        """Forget the faults that wait, and which have struck."""
        self._call("DELETE", "/faults")

    def price(self, symbol: str, price: object, **fields: object) -> None:
        """Move the market by hand; fields: bid, ask, volume."""
        self._call(
            "POST", "/price", symbol=symbol, price=str(price), **{k: str(v) for k, v in fields.items()}
        )

    def trade(self, account: str, symbol: str, side: Side, size: object) -> int:
        """Trade on the account as its owner would by hand; returns the order's id."""
        return int(
            self._call("POST", "/trade", account=account, symbol=symbol, side=side, size=str(size))["order"]
        )

    def advance(self, seconds: float) -> None:
        """Move market time forward."""
        self._call("POST", "/clock", advance=seconds)

    def run_at(self, speed: float) -> None:
        """Let market time pass at another speed; 0 lets it stand."""
        self._call("POST", "/clock", speed=speed)

    def restart(self, seconds: float = 0.0) -> None:
        """Take the server away, and let it come back after `seconds`."""
        self._call("POST", "/restart", seconds=seconds)

    def reset(self) -> None:
        """Begin again: no orders, no trades, no faults, the money of the beginning."""
        self._call("POST", "/reset")

    def _call(self, method: str, path: str, **body: object) -> dict[str, Any]:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self._base + path, data=data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            raise UserError(json.load(error)["error"]) from error
        except OSError as error:
            raise VenueTransient(f"no simulator answers at {self._base}: {error}") from error
        return found
