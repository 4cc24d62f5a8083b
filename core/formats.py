"""Which files a report may be written as, by the names that configuration and commands take."""

from __future__ import annotations

from core.errors import UnknownNameError

FORMATS = ("html", "pdf", "xlsx", "json")


def parse_formats(text: str) -> tuple[str, ...]:
    """`"html, pdf"` or `"all"` as names in the order of `FORMATS`. Raises UnknownNameError."""
    asked = [name.strip().lower() for name in text.split(",") if name.strip()]
    for name in asked:
        if name not in (*FORMATS, "all"):
            raise UnknownNameError("format", name, (*FORMATS, "all"))
    return tuple(name for name in FORMATS if name in asked or "all" in asked)
