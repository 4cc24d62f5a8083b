"""The corpus of plain strategies on every engine against stock Backtrader, to the last bit."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.parity import compare
from tests.parity.corpus.manifest import CORPUS, FOLDER, Entry
from tests.parity.engines import Answer, Case, difference, on_fast, on_stock, traces_differ
from tests.parity.markets import frames

COMPILES: frozenset[str] = frozenset(
    {
        "adx_dmi",
        "base_classes",
        "bollinger_touch",
        "bollinger_z",
        "bracket_ema",
        "buy_and_hold_dca",
        "cancel_stale",
        "candle_patterns",
        "cash_and_value",
        "cheat_on_close",
        "cheat_on_open",
        "deque_of_closes",
        "donchian_params_obj",
        "environment",
        "equity_curve_filter",
        "every_status",
        "futures_margin",
        "gap_fade",
        "golden_cross",
        "grid_orders",
        "heikin_ashi",
        "hourly_trend",
        "ichimoku_cloud",
        "indicator_composed",
        "indicator_next",
        "indicator_once",
        "intraday_vwap",
        "inverse_volatility",
        "kelly_size",
        "limits_that_expire",
        "line_logic",
        "loss_streak",
        "macd_atr",
        "manual_bracket",
        "many_averages",
        "martingale",
        "minute_scalper",
        "mode_strings",
        "monthly_rebalance",
        "months_and_weeks",
        "multi_data_inds",
        "nextstart_first",
        "numpy_scalars",
        "numpy_slope",
        "numpy_windows",
        "oco_breakout",
        "old_style_super",
        "open_orders_ladder",
        "opening_gaps",
        "opening_range",
        "order_info",
        "oscillators",
        "pairs_zscore",
        "plain_records",
        "prenext_trades",
        "ratchet_stop",
        "rotation_three",
        "rsi_reversion",
        "scale_out",
        "session_end_close",
        "short_only",
        "sizer_all_in",
        "sizer_fixed",
        "sizer_own",
        "sizer_percent",
        "signal_accumulate",
        "signal_class",
        "signal_cross",
        "signal_exits",
        "signal_records",
        "slices_of_lines",
        "slippage_in_init",
        "state_objects",
        "stochastic_state",
        "stop_limit_breakout",
        "stop_trail_limit",
        "stop_trail_percent",
        "supertrend",
        "talib_sma",
        "target_size_ladder",
        "target_value_bands",
        "three_falling_closes",
        "time_exit",
        "trade_records",
        "trailing_by_hand",
        "turn_of_month",
        "turtle_units",
        "tutorial_sma",
        "type_checks",
        "weekday_swing",
        "weekly_breakout",
        "weekly_filter",
    }
)
"""Files of strategies that must run compiled, and not merely on the lean engine."""


def cases(entry: Entry) -> list[Case]:
    return [
        Case(
            entry.load(),
            entry.params,
            frames(kind, seed, entry.bars, entry.starts, entry.holes),
            resample=entry.resample,
            cash=entry.cash,
            commission=entry.commission,
            cheat_on_open=entry.cheat_on_open,
        )
        for seed, kind in enumerate(entry.kinds, 1)
    ]


def names() -> list[str]:
    seen: Counter[str] = Counter()
    labels = []
    for entry in CORPUS:
        seen[entry.name] += 1
        labels.append(entry.name if seen[entry.name] == 1 else f"{entry.name}-{seen[entry.name]}")
    return labels


@pytest.mark.parametrize("number", range(len(CORPUS)), ids=names())
def test_engines_give_stocks_answer(number: int) -> None:
    """Each strategy runs on a fast engine, and every engine that takes it keeps stock's answer."""
    entry = CORPUS[number]
    refusals: dict[str, Answer] = {}
    orders = 0
    for case in cases(entry):
        stock = on_stock(case)
        assert stock.recording is not None, stock.error
        orders += len(stock.recording.orders)
        for engine in ("lean", "compiled"):
            fast = on_fast(engine, case)
            if fast.refusal is not None:
                refusals[engine] = fast
                continue
            assert difference(stock, fast) is None, engine
            assert fast.recording is not None
            assert compare(stock.recording, fast.recording).identical
            if engine == "lean":
                assert traces_differ(stock, fast) is None
    assert orders >= entry.orders
    assert len(refusals) < 2, {engine: str(answer.error) for engine, answer in refusals.items()}
    if entry.name in COMPILES:
        assert "compiled" not in refusals, str(refusals["compiled"].error)


def test_the_corpus_is_what_it_says() -> None:
    """Every file is in the manifest, each on at least three markets; the names that must compile exist."""
    files = {path.name for path in FOLDER.glob("*.py")} - {"manifest.py"}
    assert {entry.file for entry in CORPUS} == files
    assert len(files) >= 66
    assert all(len(entry.kinds) >= 3 for entry in CORPUS)
    assert frozenset(entry.name for entry in CORPUS) >= COMPILES
