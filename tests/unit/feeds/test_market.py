from __future__ import annotations

import feeds


def test_sample_market_is_whole_and_needs_no_repair() -> None:
    market = feeds.load("sample:goog")
    frame = market.frames["GOOG"]
    assert len(frame) == 1047
    assert market.report.untouched
    assert market.info.timeframe == "1d"
    assert market.info.source == "sample:goog (matplotlib goog.npz, GOOG daily)"
