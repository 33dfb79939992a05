"""What all tables are made of."""

from __future__ import annotations

from sqlmodel import SQLModel
from sqlmodel._compat import SQLModelConfig


class Table(SQLModel):
    """The base of a table. Rows are not validated (SQLModel never does), so no validators are built: 0.6 MB."""

    model_config = SQLModelConfig(defer_build=True)
