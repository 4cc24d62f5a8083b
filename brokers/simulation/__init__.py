"""Deterministic simulation: the order path, an exchange and seeded faults in one thread, on a clock that jumps."""
