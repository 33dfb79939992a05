BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0005');
CREATE TABLE api_tokens (
	id TEXT NOT NULL, 
	name TEXT COLLATE "NOCASE" NOT NULL, 
	scope TEXT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	expires_at TEXT, 
	last_used_at TEXT, 
	last_used_from TEXT, 
	revoked_at TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "api_tokens" VALUES('api_token_1','api_tokens name','read','api_tokens secret_hash','2026-03-04T05:06:07.000000Z','api_tokens created_by','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','api_tokens last_used_from','2026-03-04T05:06:07.000000Z');
CREATE TABLE audit_events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	at TEXT NOT NULL, 
	principal TEXT NOT NULL, 
	means TEXT NOT NULL, 
	address TEXT NOT NULL, 
	action TEXT NOT NULL, 
	object_kind TEXT, 
	object_id TEXT, 
	object_label TEXT, 
	outcome TEXT NOT NULL, 
	code TEXT, 
	job_id TEXT, 
	details_json TEXT NOT NULL
);
INSERT INTO "audit_events" VALUES(1,'2026-03-04T05:06:07.000000Z','audit_events principal','audit_events means','audit_events address','audit_events action','audit_events object_kind','object_1','audit_events object_label','ok','audit_events code','job_1','{}');
CREATE TABLE backups (
	id TEXT NOT NULL, 
	stack_id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	finished_at TEXT, 
	artifact_path TEXT, 
	size_bytes BIGINT, 
	sha256 TEXT, 
	error TEXT, 
	cleanup_after TEXT, 
	deleted_at TEXT, 
	targets_json TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(stack_id) REFERENCES stacks (id) ON DELETE CASCADE
);
INSERT INTO "backups" VALUES('backup_1','stack_1','job_1','running','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','backups artifact_path',1,'backups sha256','backups error','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','{}');
CREATE TABLE discovered_compose_projects (
	project TEXT NOT NULL, 
	stack_id TEXT, 
	status TEXT NOT NULL, 
	last_seen_at TEXT, 
	last_scan_at TEXT, 
	last_error TEXT, 
	last_error_hint TEXT, 
	last_config_files_json TEXT, 
	archived BOOLEAN NOT NULL, 
	archived_at TEXT, 
	archived_reason TEXT, 
	PRIMARY KEY (project), 
	FOREIGN KEY(stack_id) REFERENCES stacks (id) ON DELETE SET NULL
);
INSERT INTO "discovered_compose_projects" VALUES('discovered_compose_projects project','stack_1','active','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','discovered_compose_projects last_error','discovered_compose_projects last_error_hint','{}',1,'2026-03-04T05:06:07.000000Z','discovered_compose_projects archived_reason');
CREATE TABLE enrolment_codes (
	id TEXT NOT NULL, 
	code_hash TEXT NOT NULL, 
	expires_at TEXT NOT NULL, 
	attempts_left INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "enrolment_codes" VALUES('enrolment_code_1','enrolment_codes code_hash','2026-03-04T05:06:07.000000Z',1);
CREATE TABLE github_packages_deliveries (
	delivery_id TEXT NOT NULL, 
	received_at TEXT NOT NULL, 
	first_received_at TEXT NOT NULL, 
	owner TEXT COLLATE "NOCASE", 
	repo TEXT COLLATE "NOCASE", 
	event TEXT, 
	action TEXT, 
	decision TEXT NOT NULL, 
	reason TEXT, 
	response_status INTEGER, 
	job_id TEXT, 
	job_ids_json TEXT NOT NULL, 
	attempt_count INTEGER NOT NULL, signed_with TEXT, 
	PRIMARY KEY (delivery_id)
);
INSERT INTO "github_packages_deliveries" VALUES('delivery_1','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','github_packages_deliveries owner','github_packages_deliveries repo','github_packages_deliveries event','github_packages_deliveries action','processed','github_packages_deliveries reason',1,'job_1','{}',1,'current');
CREATE TABLE github_packages_repos (
	owner TEXT COLLATE "NOCASE" NOT NULL, 
	repo TEXT COLLATE "NOCASE" NOT NULL, 
	selected BOOLEAN NOT NULL, 
	webhook_state TEXT NOT NULL, 
	webhook_job_id TEXT, 
	hook_id BIGINT, 
	last_sync_at TEXT, 
	last_audit_at TEXT, 
	last_op TEXT, 
	last_error TEXT, 
	updated_at TEXT, 
	PRIMARY KEY (owner, repo)
);
INSERT INTO "github_packages_repos" VALUES('github_packages_repos owner','github_packages_repos repo',1,'unknown','webhook_job_1',1,'2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','register','github_packages_repos last_error','2026-03-04T05:06:07.000000Z');
CREATE TABLE github_packages_settings (
	id TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	callback_url TEXT NOT NULL, 
	pat TEXT, 
	webhook_secret TEXT, 
	updated_at TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_github_packages_settings_singleton CHECK (id = 'default')
);
INSERT INTO "github_packages_settings" VALUES('default',1,'github_packages_settings callback_url','github_packages_settings pat','github_packages_settings webhook_secret','2026-03-04T05:06:07.000000Z');
CREATE TABLE github_packages_targets (
	id INTEGER NOT NULL, 
	input TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	owner TEXT COLLATE "NOCASE" NOT NULL, 
	warnings_json TEXT NOT NULL, 
	updated_at TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "github_packages_targets" VALUES(1,'github_packages_targets input','github_packages_targets kind','github_packages_targets owner','{}','2026-03-04T05:06:07.000000Z');
CREATE TABLE ignore_rules (
	id TEXT NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	scope_type TEXT NOT NULL, 
	scope_service_id TEXT NOT NULL, 
	match_kind TEXT NOT NULL, 
	match_value TEXT NOT NULL, 
	note TEXT, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ignore_rules" VALUES('ignore_rule_1',1,'ignore_rules scope_type','scope_service_1','ignore_rules match_kind','ignore_rules match_value','ignore_rules note','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE image_digest_tags_snapshots (
	image_repo TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	host_platform TEXT NOT NULL, 
	snapshot_json TEXT NOT NULL, 
	all_failed BOOLEAN NOT NULL, 
	checked_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (image_repo, digest, host_platform)
);
INSERT INTO "image_digest_tags_snapshots" VALUES('image_digest_tags_snapshots image_repo','image_digest_tags_snapshots digest','image_digest_tags_snapshots host_platform','{}',1,'2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE job_logs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id TEXT NOT NULL, 
	ts TEXT NOT NULL, 
	level TEXT NOT NULL, 
	msg TEXT NOT NULL, 
	FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "job_logs" VALUES(1,'job_1','2026-03-04T05:06:07.000000Z','job_logs level','job_logs msg');
CREATE TABLE job_targets (
	job_id TEXT NOT NULL, 
	service_id TEXT NOT NULL, 
	stack_id TEXT NOT NULL, 
	PRIMARY KEY (job_id, service_id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "job_targets" VALUES('job_1','service_1','stack_1');
CREATE TABLE jobs (
	id TEXT NOT NULL, 
	type TEXT NOT NULL, 
	scope TEXT NOT NULL, 
	stack_id TEXT, 
	service_id TEXT, 
	status TEXT NOT NULL, 
	allow_arch_mismatch BOOLEAN NOT NULL, 
	backup_mode TEXT NOT NULL, 
	created_by TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	started_at TEXT, 
	finished_at TEXT, 
	summary_json TEXT NOT NULL, 
	payload_json TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('job_1','jobs type','jobs scope','stack_1','service_1','queued',1,'jobs backup_mode','jobs created_by','jobs reason','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','{}','{}');
CREATE TABLE new_version_discoveries (
	id INTEGER NOT NULL, 
	service_id TEXT NOT NULL, 
	image_ref TEXT NOT NULL, 
	current_digest TEXT NOT NULL, 
	candidate_tag TEXT NOT NULL, 
	candidate_digest TEXT NOT NULL, 
	source_job_id TEXT, 
	discovered_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE, 
	CONSTRAINT uq_new_version UNIQUE (service_id, image_ref, current_digest, candidate_digest)
);
INSERT INTO "new_version_discoveries" VALUES(1,'service_1','new_version_discoveries image_ref','new_version_discoveries current_digest','new_version_discoveries candidate_tag','new_version_discoveries candidate_digest','source_job_1','2026-03-04T05:06:07.000000Z');
CREATE TABLE new_version_notifications (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	service_id TEXT NOT NULL, 
	job_id TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	image_ref TEXT NOT NULL, 
	image_tag TEXT NOT NULL, 
	current_tag TEXT NOT NULL, 
	current_display_tag TEXT NOT NULL, 
	candidate_tag TEXT NOT NULL, 
	candidate_display_tag TEXT NOT NULL, 
	candidate_digest TEXT NOT NULL, 
	status TEXT NOT NULL, 
	sent_channels_json TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	sent_at TEXT, 
	superseded_at TEXT, 
	last_error TEXT
);
INSERT INTO "new_version_notifications" VALUES(1,'service_1','job_1','new_version_notifications reason','new_version_notifications image_ref','new_version_notifications image_tag','new_version_notifications current_tag','new_version_notifications current_display_tag','new_version_notifications candidate_tag','new_version_notifications candidate_display_tag','new_version_notifications candidate_digest','pending','{}','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','new_version_notifications last_error');
CREATE TABLE notification_deliveries (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	event TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	target TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	job_id TEXT, 
	payload_json TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_try_at TEXT NOT NULL, 
	last_error TEXT, 
	created_at TEXT NOT NULL, 
	tried_at TEXT, 
	delivered_at TEXT, 
	CONSTRAINT uq_notification_deliveries_event UNIQUE (event, channel, target)
);
INSERT INTO "notification_deliveries" VALUES(1,'notification_deliveries event','notification_deliveries channel','notification_deliveries target','notification_deliveries kind','job_1','{}','queued',1,'2026-03-04T05:06:07.000000Z','notification_deliveries last_error','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE notification_settings (
	id TEXT NOT NULL, 
	email_enabled BOOLEAN NOT NULL, 
	email_smtp_url TEXT, 
	webhook_enabled BOOLEAN NOT NULL, 
	webhook_url TEXT, 
	telegram_enabled BOOLEAN NOT NULL, 
	telegram_bot_token TEXT, 
	telegram_chat_id TEXT, 
	webpush_enabled BOOLEAN NOT NULL, 
	webpush_vapid_public_key TEXT, 
	webpush_vapid_private_key TEXT, 
	webpush_vapid_subject TEXT, 
	event_update_enabled BOOLEAN NOT NULL, 
	event_new_version_enabled BOOLEAN NOT NULL, 
	event_ghcr_webhook_anomaly_enabled BOOLEAN NOT NULL, 
	seen_row_id INTEGER NOT NULL, 
	updated_at TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_notification_settings_singleton CHECK (id = 'default')
);
INSERT INTO "notification_settings" VALUES('default',1,'notification_settings email_smtp_url',1,'notification_settings webhook_url',1,'notification_settings telegram_bot_token','telegram_chat_1',1,'notification_settings webpush_vapid_public_key','notification_settings webpush_vapid_private_key','notification_settings webpush_vapid_subject',1,1,1,1,'2026-03-04T05:06:07.000000Z');
CREATE TABLE passkey_sessions (
	id TEXT NOT NULL, 
	passkey_id TEXT NOT NULL, 
	token_hash TEXT NOT NULL, 
	previous_hash TEXT, 
	previous_until TEXT, 
	created_at TEXT NOT NULL, 
	rotated_at TEXT NOT NULL, 
	last_seen_at TEXT NOT NULL, 
	address TEXT NOT NULL, 
	device TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(passkey_id) REFERENCES passkeys (id) ON DELETE CASCADE
);
INSERT INTO "passkey_sessions" VALUES('passkey_session_1','passkey_1','passkey_sessions token_hash','passkey_sessions previous_hash','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','passkey_sessions address','passkey_sessions device');
CREATE TABLE passkeys (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	credential_id TEXT NOT NULL, 
	user_handle TEXT NOT NULL, 
	public_key TEXT NOT NULL, 
	sign_count INTEGER NOT NULL, 
	rp_id TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	last_used_at TEXT, 
	last_used_from TEXT, 
	alarm_at TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "passkeys" VALUES('passkey_1','passkeys name','credential_1','passkeys user_handle','passkeys public_key',1,'rp_1','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','passkeys last_used_from','2026-03-04T05:06:07.000000Z');
CREATE TABLE registry_hosts (
	host TEXT NOT NULL, 
	cooling_until TEXT, 
	remaining INTEGER, 
	quota_limit INTEGER, 
	quota_window INTEGER, 
	quota_source TEXT, 
	quota_at TEXT, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (host)
);
INSERT INTO "registry_hosts" VALUES('registry_hosts host','2026-03-04T05:06:07.000000Z',1,1,1,'registry_hosts quota_source','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE registry_manifests (
	digest TEXT NOT NULL, 
	facts_json TEXT NOT NULL, 
	stored_at TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "registry_manifests" VALUES('registry_manifests digest','{}','2026-03-04T05:06:07.000000Z');
CREATE TABLE registry_validators (
	repo TEXT NOT NULL, 
	reference TEXT NOT NULL, 
	etag TEXT, 
	digest TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	checked_at TEXT NOT NULL, 
	PRIMARY KEY (repo, reference)
);
INSERT INTO "registry_validators" VALUES('registry_validators repo','registry_validators reference','registry_validators etag','registry_validators digest','registry_validators media_type','2026-03-04T05:06:07.000000Z');
CREATE TABLE repository_tags (
	image_repo TEXT NOT NULL, 
	tags_json TEXT NOT NULL, 
	checked_at TEXT, 
	error TEXT, 
	tried_at TEXT NOT NULL, 
	PRIMARY KEY (image_repo)
);
INSERT INTO "repository_tags" VALUES('repository_tags image_repo','{}','2026-03-04T05:06:07.000000Z','repository_tags error','2026-03-04T05:06:07.000000Z');
CREATE TABLE repository_versions (
	image_repo TEXT NOT NULL, 
	reference TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	platforms_json TEXT, 
	published_at TEXT, 
	detailed BOOLEAN NOT NULL, 
	checked_at TEXT NOT NULL, 
	PRIMARY KEY (image_repo, reference)
);
INSERT INTO "repository_versions" VALUES('repository_versions image_repo','repository_versions reference','repository_versions digest','{}','2026-03-04T05:06:07.000000Z',1,'2026-03-04T05:06:07.000000Z');
CREATE TABLE service_newer_versions (
	service_id TEXT NOT NULL, 
	image_ref TEXT NOT NULL, 
	current TEXT NOT NULL, 
	summary TEXT NOT NULL, 
	entries_json TEXT NOT NULL, 
	basis TEXT NOT NULL, 
	skipped INTEGER NOT NULL, 
	checked_at TEXT, 
	computed_at TEXT NOT NULL, 
	PRIMARY KEY (service_id), 
	FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE
);
INSERT INTO "service_newer_versions" VALUES('service_1','service_newer_versions image_ref','service_newer_versions current','service_newer_versions summary','{}','service_newer_versions basis',1,'2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE service_versions (
	service_id TEXT NOT NULL, 
	image_ref TEXT NOT NULL, 
	image_repo TEXT NOT NULL, 
	image_tag TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	current_digest TEXT, 
	current_resolved_tag TEXT, 
	current_resolved_tags_json TEXT, 
	candidate_tag TEXT, 
	candidate_resolved_tag TEXT, 
	candidate_digest TEXT, 
	candidate_arch_match TEXT, 
	candidate_arch_json TEXT, 
	ignore_rule_id TEXT, 
	ignore_reason TEXT, 
	checked_at TEXT, 
	last_error TEXT, 
	last_error_at TEXT, 
	PRIMARY KEY (service_id), 
	FOREIGN KEY(service_id) REFERENCES services (id) ON DELETE CASCADE
);
INSERT INTO "service_versions" VALUES('service_1','service_versions image_ref','service_versions image_repo','service_versions image_tag',1,'service_versions current_digest','service_versions current_resolved_tag','{}','service_versions candidate_tag','service_versions candidate_resolved_tag','service_versions candidate_digest','service_versions candidate_arch_match','{}','ignore_rule_1','service_versions ignore_reason','2026-03-04T05:06:07.000000Z','service_versions last_error','2026-03-04T05:06:07.000000Z');
CREATE TABLE services (
	id TEXT NOT NULL, 
	stack_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	image_ref TEXT NOT NULL, 
	image_tag TEXT NOT NULL, 
	network_mode TEXT, 
	depends_on_json TEXT NOT NULL, 
	auto_rollback BOOLEAN NOT NULL, 
	backup_targets_bind_paths_json TEXT NOT NULL, 
	backup_targets_volume_names_json TEXT NOT NULL, 
	repo_url TEXT, 
	repo_url_auto_disabled BOOLEAN NOT NULL, 
	archived BOOLEAN NOT NULL, 
	archived_at TEXT, 
	archived_reason TEXT, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(stack_id) REFERENCES stacks (id) ON DELETE CASCADE, 
	CONSTRAINT uq_services_stack_id_name UNIQUE (stack_id, name)
);
INSERT INTO "services" VALUES('service_1','stack_1','services name','services image_ref','services image_tag','services network_mode','{}',1,'{}','{}','services repo_url',1,1,'2026-03-04T05:06:07.000000Z','services archived_reason','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE settings (
	id TEXT NOT NULL, 
	backup_enabled BOOLEAN NOT NULL, 
	backup_require_success BOOLEAN NOT NULL, 
	backup_base_dir TEXT NOT NULL, 
	backup_skip_targets_over_bytes INTEGER NOT NULL, 
	resource_monitor_enabled BOOLEAN NOT NULL, 
	resource_sample_interval_seconds INTEGER NOT NULL, 
	schedule_update_check_enabled BOOLEAN NOT NULL, 
	schedule_update_check_cron TEXT NOT NULL, 
	schedule_ghcr_webhook_audit_enabled BOOLEAN NOT NULL, 
	schedule_ghcr_webhook_audit_cron TEXT NOT NULL, 
	public_base_url TEXT, 
	deploy_welcome_never_auto_open BOOLEAN NOT NULL, 
	deploy_welcome_updated_at TEXT, 
	updated_at TEXT, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_settings_singleton CHECK (id = 'default')
);
INSERT INTO "settings" VALUES('default',1,1,'settings backup_base_dir',1,1,1,1,'settings schedule_update_check_cron',1,'settings schedule_ghcr_webhook_audit_cron','settings public_base_url',1,'2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE stack_checks (
	stack_id TEXT NOT NULL, 
	last_check_at TEXT NOT NULL, 
	PRIMARY KEY (stack_id), 
	FOREIGN KEY(stack_id) REFERENCES stacks (id) ON DELETE CASCADE
);
INSERT INTO "stack_checks" VALUES('stack_1','2026-03-04T05:06:07.000000Z');
CREATE TABLE stacks (
	id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	compose_type TEXT NOT NULL, 
	compose_files_json TEXT NOT NULL, 
	env_file TEXT, 
	working_dir TEXT, 
	backup_retention_keep_last INTEGER NOT NULL, 
	backup_retention_delete_after_stable_seconds INTEGER NOT NULL, 
	archived BOOLEAN NOT NULL, 
	archived_at TEXT, 
	archived_reason TEXT, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_stacks_name UNIQUE (name)
);
INSERT INTO "stacks" VALUES('stack_1','stacks name','stacks compose_type','{}','stacks env_file','stacks working_dir',1,1,1,'2026-03-04T05:06:07.000000Z','stacks archived_reason','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE update_journal (
	job_id TEXT NOT NULL, 
	service_id TEXT NOT NULL, 
	stack_id TEXT NOT NULL, 
	service_name TEXT NOT NULL, 
	project_json TEXT NOT NULL, 
	step TEXT NOT NULL, 
	configured_ref TEXT NOT NULL, 
	target_ref TEXT NOT NULL, 
	target_tag TEXT NOT NULL, 
	old_image_id TEXT NOT NULL, 
	was_unhealthy BOOLEAN NOT NULL, 
	containers INTEGER NOT NULL, 
	new_image_id TEXT, 
	override_path TEXT, 
	config_folder TEXT, 
	lodgers_json TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (job_id, service_id)
);
INSERT INTO "update_journal" VALUES('job_1','service_1','stack_1','update_journal service_name','{}','prepare','update_journal configured_ref','update_journal target_ref','update_journal target_tag','old_image_1',1,1,'new_image_1','update_journal override_path','update_journal config_folder','{}','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE TABLE web_push_subscriptions (
	endpoint TEXT NOT NULL, 
	p256dh TEXT NOT NULL, 
	auth TEXT NOT NULL, 
	name TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	last_delivery_at TEXT, 
	last_error TEXT, 
	PRIMARY KEY (endpoint)
);
INSERT INTO "web_push_subscriptions" VALUES('web_push_subscriptions endpoint','web_push_subscriptions p256dh','web_push_subscriptions auth','web_push_subscriptions name','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','web_push_subscriptions last_error');
CREATE TABLE webhook_secrets (
	which TEXT NOT NULL, 
	current_hash TEXT, 
	environment_hash TEXT, 
	rotated_at TEXT NOT NULL, 
	used_at TEXT, 
	previous TEXT, 
	previous_until TEXT, 
	previous_used_at TEXT, 
	PRIMARY KEY (which)
);
INSERT INTO "webhook_secrets" VALUES('webhook_secrets which','webhook_secrets current_hash','webhook_secrets environment_hash','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z','webhook_secrets previous','2026-03-04T05:06:07.000000Z','2026-03-04T05:06:07.000000Z');
CREATE INDEX ix_ignore_rules_scope_service_id ON ignore_rules (scope_service_id);
CREATE INDEX ix_image_digest_tags_snapshots_checked_at ON image_digest_tags_snapshots (checked_at);
CREATE INDEX ix_jobs_created_at ON jobs (created_at);
CREATE INDEX ix_jobs_stack_id ON jobs (stack_id);
CREATE INDEX ix_jobs_type_status ON jobs (type, status, created_at, id);
CREATE INDEX ix_backups_stack_id ON backups (stack_id, created_at);
CREATE INDEX ix_discovered_compose_projects_stack_id ON discovered_compose_projects (stack_id);
CREATE INDEX ix_job_logs_job_id ON job_logs (job_id, id);
CREATE INDEX ix_job_targets_service_id ON job_targets (service_id);
CREATE INDEX ix_services_stack_id ON services (stack_id);
CREATE INDEX ix_service_versions_image_repo ON service_versions (image_repo);
CREATE INDEX ix_new_version_notifications_job_id ON new_version_notifications (job_id);
CREATE UNIQUE INDEX uq_new_version_notifications_open ON new_version_notifications (service_id, candidate_digest) WHERE status IN ('pending', 'sent');
CREATE INDEX ix_notification_deliveries_due ON notification_deliveries (state, next_try_at);
CREATE INDEX ix_notification_deliveries_channel ON notification_deliveries (channel, id);
CREATE INDEX ix_github_packages_deliveries_received_at ON github_packages_deliveries (received_at);
CREATE UNIQUE INDEX uq_api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL;
CREATE INDEX ix_audit_events_at ON audit_events (at);
CREATE UNIQUE INDEX uq_passkeys_credential_id ON passkeys (credential_id);
CREATE UNIQUE INDEX uq_passkey_sessions_token_hash ON passkey_sessions (token_hash);
CREATE INDEX ix_passkey_sessions_previous_hash ON passkey_sessions (previous_hash);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit_events',1);
INSERT INTO "sqlite_sequence" VALUES('job_logs',1);
INSERT INTO "sqlite_sequence" VALUES('new_version_notifications',1);
INSERT INTO "sqlite_sequence" VALUES('notification_deliveries',1);
COMMIT;
