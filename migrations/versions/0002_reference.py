"""the whole reference: a function per room"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    _notifications()
    _versions()
    _hooks()


def downgrade() -> None:
    """Back."""
    for table in (
        "github_packages_deliveries",
        "github_packages_repos",
        "github_packages_targets",
        "github_packages_settings",
        "service_newer_versions",
        "repository_versions",
        "repository_tags",
        "registry_hosts",
        "notification_deliveries",
        "new_version_notifications",
        "web_push_subscriptions",
        "notification_settings",
    ):
        op.drop_table(table)


def _notifications() -> None:
    op.create_table(
        "notification_settings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email_enabled", sa.Boolean(), nullable=False),
        sa.Column("email_smtp_url", sa.Text(), nullable=True),
        sa.Column("webhook_enabled", sa.Boolean(), nullable=False),
        sa.Column("webhook_url", sa.Text(), nullable=True),
        sa.Column("telegram_enabled", sa.Boolean(), nullable=False),
        sa.Column("telegram_bot_token", sa.Text(), nullable=True),
        sa.Column("telegram_chat_id", sa.Text(), nullable=True),
        sa.Column("webpush_enabled", sa.Boolean(), nullable=False),
        sa.Column("webpush_vapid_public_key", sa.Text(), nullable=True),
        sa.Column("webpush_vapid_private_key", sa.Text(), nullable=True),
        sa.Column("webpush_vapid_subject", sa.Text(), nullable=True),
        sa.Column("event_update_enabled", sa.Boolean(), nullable=False),
        sa.Column("event_new_version_enabled", sa.Boolean(), nullable=False),
        sa.Column("event_ghcr_webhook_anomaly_enabled", sa.Boolean(), nullable=False),
        sa.Column("seen_row_id", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 'default'", name="ck_notification_settings_singleton"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "web_push_subscriptions",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("p256dh", sa.Text(), nullable=False),
        sa.Column("auth", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("last_delivery_at", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("endpoint"),
    )
    op.create_table(
        "new_version_notifications",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("image_ref", sa.Text(), nullable=False),
        sa.Column("image_tag", sa.Text(), nullable=False),
        sa.Column("current_tag", sa.Text(), nullable=False),
        sa.Column("current_display_tag", sa.Text(), nullable=False),
        sa.Column("candidate_tag", sa.Text(), nullable=False),
        sa.Column("candidate_display_tag", sa.Text(), nullable=False),
        sa.Column("candidate_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("sent_channels_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Text(), nullable=True),
        sa.Column("superseded_at", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_new_version_notifications_job_id", "new_version_notifications", ["job_id"])
    op.create_index(
        "uq_new_version_notifications_open",
        "new_version_notifications",
        ["service_id", "candidate_digest"],
        unique=True,
        sqlite_where=sa.text("status IN ('pending', 'sent')"),
    )
    op.create_table(
        "notification_deliveries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("payload_json", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Text(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("tried_at", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event", "channel", "target", name="uq_notification_deliveries_event"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notification_deliveries_due", "notification_deliveries", ["state", "next_try_at"])
    op.create_index("ix_notification_deliveries_channel", "notification_deliveries", ["channel", "id"])


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
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=True),
        sa.Column("computed_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("service_id"),
    )


def _hooks() -> None:
    name = sa.Text(collation="NOCASE")
    op.create_table(
        "github_packages_settings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=False),
        sa.Column("pat", sa.Text(), nullable=True),
        sa.Column("webhook_secret", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 'default'", name="ck_github_packages_settings_singleton"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "github_packages_targets",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("owner", name, nullable=False),
        sa.Column("warnings_json", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "github_packages_repos",
        sa.Column("owner", name, nullable=False),
        sa.Column("repo", name, nullable=False),
        sa.Column("selected", sa.Boolean(), nullable=False),
        sa.Column("webhook_state", sa.Text(), nullable=False),
        sa.Column("webhook_job_id", sa.Text(), nullable=True),
        sa.Column("hook_id", sa.BigInteger(), nullable=True),
        sa.Column("last_sync_at", sa.Text(), nullable=True),
        sa.Column("last_audit_at", sa.Text(), nullable=True),
        sa.Column("last_op", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("owner", "repo"),
    )
    op.create_table(
        "github_packages_deliveries",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("received_at", sa.Text(), nullable=False),
        sa.Column("first_received_at", sa.Text(), nullable=False),
        sa.Column("owner", name, nullable=True),
        sa.Column("repo", name, nullable=True),
        sa.Column("event", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("job_ids_json", sa.Text(), nullable=False),
        sa.Column("attempt_count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id"),
    )
    op.create_index("ix_github_packages_deliveries_received_at", "github_packages_deliveries", ["received_at"])
