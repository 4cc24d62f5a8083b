"""Exchanges to rehearse against: Binance's and TWS's own protocols over real sockets, with faults on demand."""
