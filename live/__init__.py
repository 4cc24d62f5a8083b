"""Real time, recovery and safety around the live path: `python -m live.run STRATEGY`."""
