"""Alembic's entry: one connection given by the caller, batch mode because SQLite cannot alter tables in place."""

from alembic import context
from sqlmodel import SQLModel

from app.installed import INSTALLED  # every room's tables are known from here on

assert INSTALLED

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
