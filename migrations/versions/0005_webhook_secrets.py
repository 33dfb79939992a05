"""Secrets of webhooks that were changed, and which one signed a delivery"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "webhook_secrets",
        sa.Column("which", sa.Text(), nullable=False),
        sa.Column("current_hash", sa.Text(), nullable=True),
        sa.Column("environment_hash", sa.Text(), nullable=True),
        sa.Column("rotated_at", sa.Text(), nullable=False),
        sa.Column("used_at", sa.Text(), nullable=True),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("previous_until", sa.Text(), nullable=True),
        sa.Column("previous_used_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("which"),
    )
    op.add_column("github_packages_deliveries", sa.Column("signed_with", sa.Text(), nullable=True))


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("github_packages_deliveries") as table:
        table.drop_column("signed_with")
    op.drop_table("webhook_secrets")
