"""Orders on the wire: what placeOrder carries, and the messages openOrder and completedOrder that tell it again.

Fields bear the names that the TWS API documents. A block that follows only when another field says so is read and kept
or refused; what the simulated exchange cannot carry out is refused by name, never dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from brokers.simulators.tws.codec import Fields, Malformed, Value, parse_number
from brokers.simulators.tws.contracts import Wanted, read_contract

_HEAD = """
secIdType secId action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin orderRef transmit
parentId blockOrder sweepToFill displaySize triggerMethod outsideRth hidden
"""
_MIDDLE = """
sharesAllocation discretionaryAmt goodAfterTime goodTillDate faGroup faMethod faPercentage faProfile modelCode
shortSaleSlot designatedLocation exemptCode ocaType rule80A settlingFirm allOrNone minQty percentOffset eTradeOnly
firmQuoteOnly nbboPriceCap auctionStrategy startingPrice stockRefPrice delta stockRangeLower stockRangeUpper
overridePercentageConstraints volatility volatilityType deltaNeutralOrderType deltaNeutralAuxPrice
"""
_DELTA_NEUTRAL_FIELDS = 8
_TRAIL = """
continuousUpdate referencePriceType trailStopPrice trailingPercent scaleInitLevelSize scaleSubsLevelSize
scalePriceIncrement
"""
_SCALE_FIELDS = 7
_TIMES = "scaleTable activeStartTime activeStopTime hedgeType"
_CLEARING = "optOutSmartRouting clearingAccount clearingIntent notHeld"
_OPTIONS = "algoId whatIf orderMiscOptions solicited randomizeSize randomizePrice"
_ADJUST = """
adjustedOrderType triggerPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice adjustedTrailingAmount
adjustableTrailingUnit extOperator softDollarName softDollarValue cashQty mifid2DecisionMaker mifid2DecisionAlgo
mifid2ExecutionTrader mifid2ExecutionAlgo dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice
usePriceMgmtAlgo duration postToAts autoCancelParent advancedErrorOverride manualOrderTime
"""

_SHARED_HEAD = (
    "action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin orderRef"
)
_SHARED_PRICES = """
settlingFirm shortSaleSlot designatedLocation exemptCode {auction} startingPrice stockRefPrice delta stockRangeLower
stockRangeUpper displaySize {block} sweepToFill allOrNone minQty ocaType {flags} triggerMethod volatility volatilityType
deltaNeutralOrderType deltaNeutralAuxPrice continuousUpdate referencePriceType trailStopPrice trailingPercent {basis}
comboLegsDescrip comboLegCount orderComboLegCount smartRoutingCount scaleInitLevelSize scaleSubsLevelSize
scalePriceIncrement hedgeType
"""
_OPEN_ORDER = f"""
{
    _SHARED_HEAD
} clientId permId outsideRth hidden discretionaryAmt goodAfterTime sharesAllocation faGroup faMethod
faPercentage faProfile modelCode goodTillDate rule80A percentOffset
{
    _SHARED_PRICES.format(
        auction="auctionStrategy",
        block="blockOrder",
        flags="eTradeOnly firmQuoteOnly nbboPriceCap parentId",
        basis="basisPoints basisPointsType",
    )
}
optOutSmartRouting clearingAccount clearingIntent notHeld deltaNeutralContract algoStrategy solicited whatIf status
initMarginBefore maintMarginBefore equityWithLoanBefore initMarginChange maintMarginChange equityWithLoanChange
initMarginAfter maintMarginAfter equityWithLoanAfter commission minCommission maxCommission commissionCurrency
warningText randomizeSize randomizePrice conditionCount adjustedOrderType triggerPrice trailStopPrice lmtPriceOffset
adjustedStopPrice adjustedStopLimitPrice adjustedTrailingAmount adjustableTrailingUnit softDollarName softDollarValue
softDollarDisplayName cashQty dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice usePriceMgmtAlgo
duration postToAts autoCancelParent minTradeQty minCompeteSize competeAgainstBestOffset midOffsetAtWhole midOffsetAtHalf
""".split()
_COMPLETED_ORDER = f"""
{_SHARED_HEAD} permId outsideRth hidden discretionaryAmt goodAfterTime faGroup faMethod faPercentage faProfile modelCode
goodTillDate rule80A percentOffset
{_SHARED_PRICES.format(auction="", block="", flags="", basis="")}
clearingAccount clearingIntent notHeld deltaNeutralContract algoStrategy solicited status randomizeSize randomizePrice
conditionCount trailStopPrice lmtPriceOffset cashQty dontUseAutoPriceForHedge isOmsContainer autoCancelDate
filledQuantity refFuturesConId autoCancelParent shareholder imbalanceOnly routeMarketableToBbo parentPermId
completedTime completedStatus minTradeQty minCompeteSize competeAgainstBestOffset midOffsetAtWhole midOffsetAtHalf
""".split()
# Counts and flags that are never empty; every other field a client left out is told as empty.
_NEVER_EMPTY = """
origin outsideRth hidden discretionaryAmt shortSaleSlot auctionStrategy displaySize blockOrder sweepToFill allOrNone
ocaType eTradeOnly firmQuoteOnly parentId triggerMethod continuousUpdate comboLegCount orderComboLegCount
smartRoutingCount optOutSmartRouting notHeld deltaNeutralContract solicited whatIf randomizeSize randomizePrice
conditionCount adjustableTrailingUnit dontUseAutoPriceForHedge isOmsContainer discretionaryUpToLimitPrice
usePriceMgmtAlgo autoCancelParent imbalanceOnly routeMarketableToBbo lmtPrice auxPrice refFuturesConId parentPermId
"""
_ZERO = dict.fromkeys(_NEVER_EMPTY.split(), "0")


class Unsupported(Exception):
    """An order the simulated exchange cannot carry out; the message names what it is."""


@dataclass(frozen=True, slots=True)
class WireOrder:
    """One order as its client described it."""

    order_id: int
    contract: Wanted
    fields: Mapping[str, str]

    def text(self, name: str) -> str:
        """A field as it came."""
        return self.fields[name]

    def number(self, name: str) -> Decimal | None:
        """A field as a number; None when it is unset."""
        return parse_number(self.fields[name])

    def whole(self, name: str) -> int:
        """A field as a whole number; 0 when it is unset."""
        return int(self.number(name) or 0)

    def flag(self, name: str) -> bool:
        """A field as a truth value."""
        return self.whole(name) != 0


def read_place_order(fields: Fields) -> WireOrder:
    """The message placeOrder, after its number. Raises Unsupported, or Malformed when it does not read."""
    order_id, contract = fields.integer(), read_contract(fields)
    if contract.sec_type == "BAG":
        raise Unsupported("combinations of contracts")
    read = fields.take(_HEAD)
    read |= fields.take(_MIDDLE)
    if read["deltaNeutralOrderType"]:
        fields.skip(_DELTA_NEUTRAL_FIELDS)
        raise Unsupported("delta neutral orders")
    read |= fields.take(_TRAIL)
    if (parse_number(read["scalePriceIncrement"]) or 0) > 0:
        fields.skip(_SCALE_FIELDS)
        raise Unsupported("scale orders")
    read |= fields.take(_TIMES)
    if read["hedgeType"]:
        raise Unsupported("hedge orders")
    read |= fields.take(_CLEARING)
    if fields.flag():
        raise Unsupported("delta neutral contracts")
    if fields.text():
        raise Unsupported("algorithmic orders")
    read |= fields.take(_OPTIONS)
    if read["orderType"].startswith("PEG"):
        raise Unsupported("pegged orders")
    if fields.integer():
        raise Unsupported("conditional orders")
    read |= fields.take(_ADJUST)
    if len(fields):
        raise Malformed(f"{len(fields)} fields more than an order has")
    return WireOrder(order_id, contract, read)


def open_order(values: Mapping[str, Value]) -> list[Value]:
    """The fields of openOrder behind the contract, from what the order said and what became of it."""
    return _told(_OPEN_ORDER, values)


def completed_order(values: Mapping[str, Value]) -> list[Value]:
    """The fields of completedOrder behind the contract."""
    return _told(_COMPLETED_ORDER, values)


def _told(names: list[str], values: Mapping[str, Value]) -> list[Value]:
    return [values.get(name) or _ZERO.get(name, "") for name in names]
