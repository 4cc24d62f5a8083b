"""Numeric kernels of technical indicators, exact to the last bit of stock Backtrader."""
