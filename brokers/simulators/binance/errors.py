"""Binance's refusals, with the codes and texts of its error list."""

from __future__ import annotations

from collections.abc import Mapping

TEXTS: Mapping[int, str] = {
    -1000: "An unknown error occurred while processing the request.",
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests; current limit is %s requests per minute.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1013: "Filter failure: %s",
    -1015: "Too many new orders; current limit is %s.",
    -1016: "This service is no longer available.",
    -1020: "This operation is not supported.",
    -1021: "Timestamp for this request is outside of the recvWindow.",
    -1022: "Signature for this request is not valid.",
    -1100: "Illegal characters found in parameter '%s'.",
    -1102: "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
    -1106: "Parameter '%s' sent when not required.",
    -1114: "TimeInForce parameter sent when not required.",
    -1115: "Invalid timeInForce.",
    -1116: "Invalid orderType.",
    -1117: "Invalid side.",
    -1120: "Invalid interval.",
    -1121: "Invalid symbol.",
    -1128: "Combination of optional parameters invalid.",
    -1131: "recvWindow must be less than 60000.",
    -1145: "Invalid cancelRestrictions.",
    -2010: "%s",
    -2011: "Unknown order sent.",
    -2013: "Order does not exist.",
    -2014: "API-key format invalid.",
    -2015: "Invalid API-key, IP, or permissions for action.",
    -2021: "Order cancel-replace partially failed.",
    -2022: "Order cancel-replace failed.",
    -2038: "Order amend (quantity increase) is not supported.",
}
UNKNOWN_OUTCOME = frozenset({-1006, -1007})
INSUFFICIENT = "Account has insufficient balance for requested action."
WOULD_TAKE = "Order would immediately match and take."
WOULD_TRIGGER = "Stop price would trigger immediately."
DUPLICATE = "Duplicate order sent."
WRONG_RELATION = "The relationship of the prices for the orders is not correct."
REFUSALS: Mapping[str, tuple[int, str]] = {
    "funds": (-2010, INSUFFICIENT),
    "would-take": (-2010, WOULD_TAKE),
    "would-trigger": (-2010, WOULD_TRIGGER),
    "duplicate": (-2010, DUPLICATE),
    "market": (-1013, "Market is closed."),
    "size": (-1013, "Invalid quantity."),
    "price": (-1013, "Invalid price."),
    "trigger": (-1013, "Invalid stopPrice."),
    "symbol": (-1121, "Invalid symbol."),
    "unknown-order": (-2011, "Unknown order sent."),
}
"""What the exchange beneath refuses, in Binance's words; by its rule."""


class BinanceError(Exception):
    """An answer that is a refusal: HTTP status, code and text, and what else the answer carries."""

    def __init__(
        self,
        code: int,
        text: str = "",
        *,
        status: int = 400,
        retry_after: int | None = None,
        data: object = None,
    ) -> None:
        self.code = code
        self.text = text or TEXTS.get(code, "An unknown error occurred while processing the request.")
        self.status = status
        self.retry_after = retry_after
        self.data = data
        super().__init__(f"{code}: {self.text}")

    def body(self) -> dict[str, object]:
        """The answer's JSON."""
        extra = {} if self.data is None else {"data": self.data}
        return {"code": self.code, "msg": self.text, **extra}


def about(code: int, what: object) -> BinanceError:
    """A refusal whose text names something."""
    return BinanceError(code, TEXTS[code] % what)


def told_fault(code: int, text: str, *, known: bool) -> BinanceError:
    """The refusal a fault asks for. A positive code is a bare HTTP status; known: the exchange did not act."""
    if code > 0:
        message = "" if known else "Unknown error, please check your request or try again later."
        return BinanceError(-1000, text or message, status=code)
    status = 504 if code == -1007 else 503 if code == -1006 else 400
    return BinanceError(code, text or TEXTS.get(code, "").replace("%s", "a fault"), status=status)
