"""The compiled engine: a strategy's own methods, translated to one numba kernel that carries Backtrader's broker."""
