"""What each address is about: the one table of scopes that tokens need and of names under which acts are recorded.

A test walks over all routes of the application: one that changes something and is not here fails it. What is missing
all the same needs `admin` and is recorded as `unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.features.access.models import Scope

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CHECK, _UPDATE, _ADMIN = Scope.CHECK, Scope.UPDATE, Scope.ADMIN

# Method and address → scope and action. `*` stands for the last part of the address, when it is one of _ENDINGS.
API: Final[Mapping[str, tuple[Scope, str]]] = {
    "POST /api/backups/{backup_id}/restore": (_ADMIN, "backup.restore"),
    "POST /api/checks": (_CHECK, "check.start"),
    "PUT /api/deploy-welcome": (_ADMIN, "welcome.change"),
    "POST /api/discovery/projects/{project}/archive": (_UPDATE, "project.archive"),
    "POST /api/discovery/projects/{project}/restore": (_UPDATE, "project.restore"),
    "POST /api/discovery/scan": (_CHECK, "discovery.start"),
    "POST /api/github-packages/repos/bulk-selected": (_ADMIN, "github.select"),
    "POST /api/github-packages/repos/delete": (_ADMIN, "github.delete"),
    "POST /api/github-packages/repos/selected": (_ADMIN, "github.select"),
    "POST /api/github-packages/resolve": (_ADMIN, "github.resolve"),
    "PUT /api/github-packages/settings": (_ADMIN, "github.settings"),
    "POST /api/github-packages/sync": (_ADMIN, "github.sync"),
    "POST /api/github-packages/targets/add": (_ADMIN, "github.add"),
    "POST /api/github-packages/targets/remove": (_ADMIN, "github.remove"),
    "POST /api/github-packages/webhook/sync-all": (_ADMIN, "github.sync"),
    "POST /api/github-packages/webhook/sync-repo": (_ADMIN, "github.sync"),
    "POST /api/ignores": (_UPDATE, "rule.create"),
    "DELETE /api/ignores": (_UPDATE, "rule.delete"),
    "POST /api/jobs/{job_id}/stop": (_UPDATE, "job.stop"),
    "PUT /api/notifications": (_ADMIN, "notifications.change"),
    "POST /api/notifications/test": (_ADMIN, "notifications.test"),
    "POST /api/runtime-scans": (_CHECK, "runtime_scan.start"),
    "POST /api/services/{service_id}/archive": (_UPDATE, "service.archive"),
    "POST /api/services/{service_id}/restore": (_UPDATE, "service.restore"),
    "POST /api/services/{service_id}/rollback": (_UPDATE, "rollback.start"),
    "PUT /api/services/{service_id}/settings": (_ADMIN, "service.settings"),
    "POST /api/services/{service_id}/version-inference/refresh": (_CHECK, "inference.refresh"),
    "PUT /api/settings": (_ADMIN, "settings.change"),
    "POST /api/stacks": (_ADMIN, "stack.create"),
    "POST /api/stacks/{stack_id}/archive": (_UPDATE, "stack.archive"),
    "POST /api/stacks/{stack_id}/restore": (_UPDATE, "stack.restore"),
    "POST /api/tokens": (_ADMIN, "token.create"),
    "DELETE /api/tokens/{token_id}": (_ADMIN, "token.revoke"),
    "POST /api/updates": (_UPDATE, "update.start"),
    "POST /api/webhook-secrets/{which}/rotate": (_ADMIN, "webhook_secret.change"),
    "DELETE /api/webhook-secrets/{which}/previous": (_ADMIN, "webhook_secret.end_old"),
    "POST /api/web-push/subscriptions": (_ADMIN, "device.add"),
    "DELETE /api/web-push/subscriptions": (_ADMIN, "device.remove"),
}
READS: Final[Mapping[str, Scope]] = {  # the other reads need `read`
    "GET /api/audit": _ADMIN,
    "GET /api/audit/export": _ADMIN,
    "GET /api/tokens": _ADMIN,
}
PUBLIC: Final[Mapping[str, tuple[str, str]]] = {  # action, and the means of those who come this way
    "POST /api/webhooks/github-packages": ("webhook.github", "github"),
    "POST /api/webhooks/trigger": ("webhook.trigger", "webhook"),
    "POST /language": ("language.choose", "none"),
    "POST /login": ("login.passkey", "passkey"),
    "POST /login/enrol": ("passkey.enrol", "passkey"),
    "POST /login/enrol/options": ("passkey.code", "passkey"),
}
FORMS: Final[Mapping[str, str]] = {
    "POST /checks": "check.start",
    "POST /deploy-welcome": "welcome.change",
    "POST /discovery/projects/{project}/{action}": "project.*",
    "POST /discovery/scan": "discovery.start",
    "POST /ignores/{rule_id}/delete": "rule.delete",
    "POST /queue/{job_id}/stop": "job.stop",
    "POST /login/touch": "passkey.touch",
    "POST /logout": "logout",
    "POST /runtime-scans": "runtime_scan.start",
    "POST /services/{stack_id}/{service_id}/ignores": "rule.create",
    "POST /services/{stack_id}/{service_id}/settings": "service.settings",
    "POST /services/{stack_id}/{service_id}/version-inference/refresh": "inference.refresh",
    "POST /services/{stack_id}/{service_id}/{action}": "service.*",
    "POST /settings/ghcr-webhooks": "github.settings",
    "POST /settings/ghcr-webhooks/audit": "github.sync",
    "POST /settings/ghcr-webhooks/conflict/{owner}/{repo}": "github.conflict",
    "POST /settings/ghcr-webhooks/repos/bulk": "github.select",
    "POST /settings/ghcr-webhooks/repos/delete": "github.delete",
    "POST /settings/ghcr-webhooks/repos/select": "github.select",
    "POST /settings/ghcr-webhooks/repos/sync": "github.sync",
    "POST /settings/ghcr-webhooks/sync-all": "github.sync",
    "POST /settings/ghcr-webhooks/targets/add": "github.add",
    "POST /settings/ghcr-webhooks/targets/remove": "github.remove",
    "POST /settings/notifications/devices/{identifier}/remove": "device.remove",
    "POST /settings/notifications/webPush/keys": "notifications.keys",
    "POST /settings/notifications/{card}": "notifications.change",
    "POST /settings/notifications/{channel}/forget": "notifications.forget",
    "POST /settings/notifications/{channel}/test": "notifications.test",
    "POST /settings/passkeys": "passkey.add",
    "POST /settings/passkeys/sessions/end-others": "session.end",
    "POST /settings/passkeys/sessions/{session_id}/end": "session.end",
    "POST /settings/passkeys/{passkey_id}/remove": "passkey.remove",
    "POST /settings/passkeys/{passkey_id}/rename": "passkey.rename",
    "POST /settings/tokens": "token.create",
    "POST /settings/tokens/{token_id}/revoke": "token.revoke",
    "POST /settings/webhook-secrets/{which}/end": "webhook_secret.end_old",
    "POST /settings/webhook-secrets/{which}/rotate": "webhook_secret.change",
    "POST /settings/{card}": "settings.change",
    "POST /stacks/{stack_id}/{action}": "stack.*",
    "POST /updates": "update.start",
}
JOBS: Final[Mapping[str, str]] = {  # kinds of jobs that start without a request
    "check": "check.start",
    "discovery": "discovery.start",
    "restore": "backup.restore",
    "rollback": "rollback.start",
    "runtime_scan": "runtime_scan.start",
    "update": "update.start",
}
REFUSED: Final = ("login.refused", "token.refused", "rate.limited")
_ENDINGS: Final = frozenset({"archive", "restore"})
# Names in addresses → kinds of objects; the first one found is what the act was about.
_KINDS: Final[Mapping[str, str]] = {
    "service_id": "service", "stack_id": "stack", "project": "project", "job_id": "job", "rule_id": "rule",
    "backup_id": "backup", "token_id": "token", "passkey_id": "passkey",
    "session_id": "session", "identifier": "device", "card": "settings", "channel": "channel",
    "repo": "repository", "which": "webhook",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Act:
    """What a request is about; `means` is set where a route's own secret says who comes."""

    action: str
    object_kind: str | None = None
    object_id: str | None = None
    means: str = ""


def takes_tokens(template: str) -> bool:
    """Whether API tokens count at this address: `/api/…`, and `/metrics` for who scrapes it."""
    return template.startswith("/api/") or template in ("/api", "/metrics")


def needed(method: str, template: str) -> Scope:
    """The scope that a token needs."""
    key = f"{method} {template}"
    if method in SAFE:
        return READS.get(f"GET {template}", Scope.READ)
    return API[key][0] if key in API else Scope.ADMIN


def act(method: str, template: str, params: Mapping[str, object]) -> Act:
    """Name and object of a request that may change something."""
    key = f"{method} {template}"
    action, means = PUBLIC.get(key, ("", ""))
    action = action or (API[key][1] if key in API else FORMS.get(key, "unknown"))
    if action.endswith("*"):
        ending = str(params.get("action", ""))
        action = action[:-1] + (ending if ending in _ENDINGS else "change")
    kind = next((name for name in _KINDS if name in params), None)
    if kind is None:
        return Act(action, means=means)
    text = f"{params['owner']}/{params['repo']}" if kind == "repo" and "owner" in params else str(params[kind])
    return Act(action, _KINDS[kind], text[:200], means)


def actions() -> list[str]:
    """All names that can be recorded, for filters."""
    plain = {name for _, name in API.values()} | {name for name, _ in PUBLIC.values()} | set(REFUSED)
    forms = {name for name in FORMS.values() if not name.endswith("*")}
    return sorted(plain | forms | set(JOBS.values()))
