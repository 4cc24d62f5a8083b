"""Binance Spot as its documentation describes it: REST /api/v3, market streams, the WebSocket API and its user stream."""
