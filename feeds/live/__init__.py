"""Bars as they happen: a source for each venue, each importing its library only when used.

A source joins history and stream without a gap or a bar twice, stamps bars at their close, and says when it is not
to be trusted. `feeds.bridge.LiveData` makes a Backtrader data of it.
"""
