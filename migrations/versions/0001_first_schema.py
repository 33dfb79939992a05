"""first schema"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "ignore_rules",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("scope_type", sa.Text(), nullable=False),
        sa.Column("scope_service_id", sa.Text(), nullable=False),
        sa.Column("match_kind", sa.Text(), nullable=False),
        sa.Column("match_value", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("ignore_rules", schema=None) as batch_op:
        batch_op.create_index("ix_ignore_rules_scope_service_id", ["scope_service_id"], unique=False)

    op.create_table(
        "image_digest_tags_snapshots",
        sa.Column("image_repo", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("host_platform", sa.Text(), nullable=False),
        sa.Column("snapshot_json", sa.Text(), nullable=False),
        sa.Column("all_failed", sa.Boolean(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("image_repo", "digest", "host_platform"),
    )
    with op.batch_alter_table("image_digest_tags_snapshots", schema=None) as batch_op:
        batch_op.create_index("ix_image_digest_tags_snapshots_checked_at", ["checked_at"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("stack_id", sa.Text(), nullable=True),
        sa.Column("service_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("allow_arch_mismatch", sa.Boolean(), nullable=False),
        sa.Column("backup_mode", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("started_at", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.Text(), nullable=True),
        sa.Column("summary_json", sa.Text(), nullable=False),
        sa.Column("payload_json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_created_at", ["created_at"], unique=False)
        batch_op.create_index("ix_jobs_stack_id", ["stack_id"], unique=False)
        batch_op.create_index("ix_jobs_type_status", ["type", "status", "created_at", "id"], unique=False)

    op.create_table(
        "registry_manifests",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("facts_json", sa.Text(), nullable=False),
        sa.Column("stored_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "registry_validators",
        sa.Column("repo", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("repo", "reference"),
    )
    op.create_table(
        "settings",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("backup_enabled", sa.Boolean(), nullable=False),
        sa.Column("backup_require_success", sa.Boolean(), nullable=False),
        sa.Column("backup_base_dir", sa.Text(), nullable=False),
        sa.Column("backup_skip_targets_over_bytes", sa.Integer(), nullable=False),
        sa.Column("resource_monitor_enabled", sa.Boolean(), nullable=False),
        sa.Column("resource_sample_interval_seconds", sa.Integer(), nullable=False),
        sa.Column("schedule_update_check_enabled", sa.Boolean(), nullable=False),
        sa.Column("schedule_update_check_cron", sa.Text(), nullable=False),
        sa.Column("schedule_ghcr_webhook_audit_enabled", sa.Boolean(), nullable=False),
        sa.Column("schedule_ghcr_webhook_audit_cron", sa.Text(), nullable=False),
        sa.Column("public_base_url", sa.Text(), nullable=True),
        sa.Column("deploy_welcome_never_auto_open", sa.Boolean(), nullable=False),
        sa.Column("deploy_welcome_updated_at", sa.Text(), nullable=True),
        sa.Column("updated_at", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 'default'", name="ck_settings_singleton"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "stacks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("compose_type", sa.Text(), nullable=False),
        sa.Column("compose_files_json", sa.Text(), nullable=False),
        sa.Column("env_file", sa.Text(), nullable=True),
        sa.Column("working_dir", sa.Text(), nullable=True),
        sa.Column("backup_retention_keep_last", sa.Integer(), nullable=False),
        sa.Column("backup_retention_delete_after_stable_seconds", sa.Integer(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.Text(), nullable=True),
        sa.Column("archived_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_stacks_name"),
    )
    op.create_table(
        "update_journal",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("stack_id", sa.Text(), nullable=False),
        sa.Column("service_name", sa.Text(), nullable=False),
        sa.Column("project_json", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("configured_ref", sa.Text(), nullable=False),
        sa.Column("target_ref", sa.Text(), nullable=False),
        sa.Column("target_tag", sa.Text(), nullable=False),
        sa.Column("old_image_id", sa.Text(), nullable=False),
        sa.Column("was_unhealthy", sa.Boolean(), nullable=False),
        sa.Column("containers", sa.Integer(), nullable=False),
        sa.Column("new_image_id", sa.Text(), nullable=True),
        sa.Column("override_path", sa.Text(), nullable=True),
        sa.Column("config_folder", sa.Text(), nullable=True),
        sa.Column("lodgers_json", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "service_id"),
    )
    op.create_table(
        "backups",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("stack_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.Text(), nullable=True),
        sa.Column("artifact_path", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("cleanup_after", sa.Text(), nullable=True),
        sa.Column("deleted_at", sa.Text(), nullable=True),
        sa.Column("targets_json", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("backups", schema=None) as batch_op:
        batch_op.create_index("ix_backups_stack_id", ["stack_id", "created_at"], unique=False)

    op.create_table(
        "discovered_compose_projects",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("stack_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("last_seen_at", sa.Text(), nullable=True),
        sa.Column("last_scan_at", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_hint", sa.Text(), nullable=True),
        sa.Column("last_config_files_json", sa.Text(), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.Text(), nullable=True),
        sa.Column("archived_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("project"),
    )
    with op.batch_alter_table("discovered_compose_projects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_discovered_compose_projects_stack_id"), ["stack_id"], unique=False)

    op.create_table(
        "job_logs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("ts", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("msg", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("job_logs", schema=None) as batch_op:
        batch_op.create_index("ix_job_logs_job_id", ["job_id", "id"], unique=False)

    op.create_table(
        "job_targets",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("stack_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "service_id"),
    )
    with op.batch_alter_table("job_targets", schema=None) as batch_op:
        batch_op.create_index("ix_job_targets_service_id", ["service_id"], unique=False)

    op.create_table(
        "services",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("stack_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image_ref", sa.Text(), nullable=False),
        sa.Column("image_tag", sa.Text(), nullable=False),
        sa.Column("network_mode", sa.Text(), nullable=True),
        sa.Column("depends_on_json", sa.Text(), nullable=False),
        sa.Column("auto_rollback", sa.Boolean(), nullable=False),
        sa.Column("backup_targets_bind_paths_json", sa.Text(), nullable=False),
        sa.Column("backup_targets_volume_names_json", sa.Text(), nullable=False),
        sa.Column("repo_url", sa.Text(), nullable=True),
        sa.Column("repo_url_auto_disabled", sa.Boolean(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("archived_at", sa.Text(), nullable=True),
        sa.Column("archived_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("stack_id", "name", name="uq_services_stack_id_name"),
    )
    with op.batch_alter_table("services", schema=None) as batch_op:
        batch_op.create_index("ix_services_stack_id", ["stack_id"], unique=False)

    op.create_table(
        "stack_checks",
        sa.Column("stack_id", sa.Text(), nullable=False),
        sa.Column("last_check_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["stack_id"], ["stacks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("stack_id"),
    )
    op.create_table(
        "new_version_discoveries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("image_ref", sa.Text(), nullable=False),
        sa.Column("current_digest", sa.Text(), nullable=False),
        sa.Column("candidate_tag", sa.Text(), nullable=False),
        sa.Column("candidate_digest", sa.Text(), nullable=False),
        sa.Column("source_job_id", sa.Text(), nullable=True),
        sa.Column("discovered_at", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("service_id", "image_ref", "current_digest", "candidate_digest", name="uq_new_version"),
    )
    op.create_table(
        "service_versions",
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("image_ref", sa.Text(), nullable=False),
        sa.Column("image_repo", sa.Text(), nullable=False),
        sa.Column("image_tag", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("current_digest", sa.Text(), nullable=True),
        sa.Column("current_resolved_tag", sa.Text(), nullable=True),
        sa.Column("current_resolved_tags_json", sa.Text(), nullable=True),
        sa.Column("candidate_tag", sa.Text(), nullable=True),
        sa.Column("candidate_resolved_tag", sa.Text(), nullable=True),
        sa.Column("candidate_digest", sa.Text(), nullable=True),
        sa.Column("candidate_arch_match", sa.Text(), nullable=True),
        sa.Column("candidate_arch_json", sa.Text(), nullable=True),
        sa.Column("ignore_rule_id", sa.Text(), nullable=True),
        sa.Column("ignore_reason", sa.Text(), nullable=True),
        sa.Column("checked_at", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("last_error_at", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("service_id"),
    )
    with op.batch_alter_table("service_versions", schema=None) as batch_op:
        batch_op.create_index("ix_service_versions_image_repo", ["image_repo"], unique=False)


def downgrade() -> None:
    """Back."""
    with op.batch_alter_table("service_versions", schema=None) as batch_op:
        batch_op.drop_index("ix_service_versions_image_repo")

    op.drop_table("service_versions")
    op.drop_table("new_version_discoveries")
    op.drop_table("stack_checks")
    with op.batch_alter_table("services", schema=None) as batch_op:
        batch_op.drop_index("ix_services_stack_id")

    op.drop_table("services")
    with op.batch_alter_table("job_targets", schema=None) as batch_op:
        batch_op.drop_index("ix_job_targets_service_id")

    op.drop_table("job_targets")
    with op.batch_alter_table("job_logs", schema=None) as batch_op:
        batch_op.drop_index("ix_job_logs_job_id")

    op.drop_table("job_logs")
    with op.batch_alter_table("discovered_compose_projects", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_discovered_compose_projects_stack_id"))

    op.drop_table("discovered_compose_projects")
    with op.batch_alter_table("backups", schema=None) as batch_op:
        batch_op.drop_index("ix_backups_stack_id")

    op.drop_table("backups")
    op.drop_table("update_journal")
    op.drop_table("stacks")
    op.drop_table("settings")
    op.drop_table("registry_validators")
    op.drop_table("registry_manifests")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index("ix_jobs_type_status")
        batch_op.drop_index("ix_jobs_stack_id")
        batch_op.drop_index("ix_jobs_created_at")

    op.drop_table("jobs")
    with op.batch_alter_table("image_digest_tags_snapshots", schema=None) as batch_op:
        batch_op.drop_index("ix_image_digest_tags_snapshots_checked_at")

    op.drop_table("image_digest_tags_snapshots")
    with op.batch_alter_table("ignore_rules", schema=None) as batch_op:
        batch_op.drop_index("ix_ignore_rules_scope_service_id")

    op.drop_table("ignore_rules")
