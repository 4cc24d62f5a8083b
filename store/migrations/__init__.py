"""Alembic scripts, shipped with the package; `store.revisions` runs them."""
