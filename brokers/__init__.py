"""Order path: venues, pre-trade risk, the write-ahead journal, and the Backtrader broker over them."""
