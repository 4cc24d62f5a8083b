"""One file a revision, oldest first; `store.revisions.REVISIONS` lists them."""
