"""The vocabulary every other package speaks; imports nothing of ours and no Backtrader."""
