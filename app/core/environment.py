"""Settings from environment variables: a pydantic model that fills what it is not given.

pydantic-settings does that too, with sources for files, secrets and command lines that cost 2 MB and 100 ms.
"""

from __future__ import annotations

import os
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class EnvSettings(BaseModel):
    """A field is read from `env_prefix` and its name in capitals, or from its validation alias. Blank counts as unset.

    Raises pydantic's ValidationError, with the field's name or alias as the place.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, defer_build=True)
    env_prefix: ClassVar[str] = ""

    def __init__(self, **given: Any) -> None:
        found = {name: text for name, variable in self.variables().items() if (text := os.environ.get(variable))}
        aliases = {field.validation_alias: name for name, field in type(self).model_fields.items()}
        super().__init__(**found | {aliases.get(name, name): value for name, value in given.items()})

    @classmethod
    def variables(cls) -> dict[str, str]:
        """The variable of each field."""
        return {
            name: str(field.validation_alias or f"{cls.env_prefix}{name.upper()}")
            for name, field in cls.model_fields.items()
        }
