"""What every section of the configuration is."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from core.redact import redact


class Section(BaseModel):
    """What all sections share: unknown keys refused, values fixed once made, secrets hidden in `repr`."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        values = [(name, getattr(self, name)) for name in type(self).model_fields]
        return [
            (name, item if isinstance(item, Section) else redact({name: item})[name]) for name, item in values
        ]

    def public(self) -> dict[str, Any]:
        """All values, secrets hidden, ready for JSON: for artefacts, logs and the screen."""
        shown: dict[str, Any] = redact(self.model_dump(mode="json"))
        return shown
