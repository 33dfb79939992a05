"""the whole reference: a function per room"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    _versions()


def downgrade() -> None:
    """Back."""
    for table in (
        "service_newer_versions",
        "repository_versions",
        "repository_tags",
        "registry_hosts",
    ):
        op.drop_table(table)


def _versions() -> None:
    op.create_table(
        "registry_hosts",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("cooling_until", sa.Text(), nullable=True),
        sa.Column("remaining", sa.Integer(), nullable=True),
        sa.Column("quota_limit", sa.Integer(), nullable=True),
        sa.Column("quota_window", sa.Integer(), nullable=True),
        sa.Column("quota_source", sa.Text(), nullable=True),
        sa.Column("quota_at", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("host"),
    )
    op.create_table(
        "repository_tags",
        sa.Column("image_repo", sa.Text(), nullable=False),
        sa.Column("tags_json", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("tried_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("image_repo"),
    )
    op.create_table(
        "repository_versions",
        sa.Column("image_repo", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("platforms_json", sa.Text(), nullable=True),
        sa.Column("published_at", sa.Text(), nullable=True),
        sa.Column("detailed", sa.Boolean(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("image_repo", "reference"),
    )
    op.create_table(
        "service_newer_versions",
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("image_ref", sa.Text(), nullable=False),
        sa.Column("current", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("entries_json", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=True),
        sa.Column("computed_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("service_id"),
    )
