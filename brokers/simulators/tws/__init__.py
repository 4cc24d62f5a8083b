"""A TWS or IB Gateway of our own: its socket protocol at server version 176, over the simulated exchange."""
