"""One example for each request and answer of the API, by operation id; a test holds them against the models."""

from __future__ import annotations

from typing import Any, Final

_AT: Final = "2026-05-01T10:00:00Z"
_STACK: Final = "stk_01JT5N3V0QZ8R6W2M4K7C9D1EA"
_SERVICE: Final = "svc_01JT5N3V0QZ8R6W2M4K7C9D1EB"
_RULE: Final = "ign_01JT5N3V0QZ8R6W2M4K7C9D1EC"
_JOB: Final = "job_01JT5N3V0QZ8R6W2M4K7C9D1ED"
_RUNS: Final = "sha256:" + "4f" * 32
_NEW: Final = "sha256:" + "9a" * 32
_OK: Final[dict[str, Any]] = {"ok": True}
_SCAN: Final = {
    "repoTagsTotal": 212, "repoTagsConsidered": 40, "manifestsOk": 40, "manifestsTimeout": 0, "manifestsError": 0,
}  # fmt: skip
_DEVICE: Final[dict[str, Any]] = {
    "endpoint": "https://push.example/send/f1b2",
    "keys": {
        "p256dh": "BIPUL12DLfytvTajnryr2PRdAgXS3HGKiLqndGcJGabyhHheJYlNGCeXl1dn18gSJ1WAkAPIxr4gK0_dQds4yiI",
        "auth": "FPssNDTKnInHVndSTdbKFw",
    },
}
_CHOICES: Final = {
    "autoRollback": True,
    "backupTargets": {"bindPaths": {"/srv/demo/data": "inherit"}, "volumeNames": {"demo_db": "force"}},
    "repoUrl": "https://git.example/acme/web",
}
_HOOK_SECRET: Final[dict[str, Any]] = {
    "which": "trigger", "secretMasked": "******", "fromEnvironment": False, "rotatedAt": _AT, "previousCounts": True,
    "previousUntil": "2026-05-02T10:00:00Z",
}  # fmt: skip
_REPO: Final[dict[str, Any]] = {"fullName": "acme/web"}
_CALLBACK: Final = "https://dockrev.example/api/webhooks/github-packages"
_CHECKS: Final = ["chk_01JT5N3V0QZ8R6W2M4K7C9D1EF", "chk_01JT5N3V0QZ8R6W2M4K7C9D1EG"]
_ENQUEUED: Final[dict[str, Any]] = {"ok": True, "jobId": _JOB, "reused": False}
_JOB_OUT: Final = {
    "id": _JOB, "type": "update", "scope": "service", "stackId": _STACK, "serviceId": _SERVICE, "status": "success",
    "createdBy": "alice", "reason": "ui", "createdAt": _AT, "startedAt": _AT, "finishedAt": "2026-05-01T10:00:09Z",
    "allowArchMismatch": False, "backupMode": "inherit", "summary": {"mode": "apply", "stacks": []},
}  # fmt: skip

_SETTINGS: Final[dict[str, Any]] = {
    "backup": {
        "enabled": True, "requireSuccess": True, "baseDir": "/data/backups", "skipTargetsOverBytes": 104857600,
    },
    "schedules": {
        "updateCheck": {"enabled": True, "cron": "0 3 * * *"},
        "ghcrWebhookAudit": {"enabled": True, "cron": "0 4 * * *"},
    },
    "instance": {"publicBaseUrl": "https://dockrev.example/"},
}  # fmt: skip

_TOKEN: Final[dict[str, Any]] = {
    "id": "tok_01JT5N3V0QZ8R6W2M4K7C9D1EH", "name": "night shift", "scope": "update", "hint": "dkr_…C9D1EH_…",
    "state": "active", "createdAt": _AT, "createdBy": "alice", "expiresAt": "2026-07-30T10:00:00Z",
    "lastUsedAt": _AT, "lastUsedFrom": "192.168.1.20",
}  # fmt: skip

REQUESTS: Final[dict[str, Any]] = {
    "createToken": {"name": "night shift", "scope": "update", "expiresInDays": 90},
    "putSettings": {**_SETTINGS, "resourceMonitor": {"enabled": True, "sampleIntervalSeconds": 30}},
    "putDeployWelcome": {"neverAutoOpen": True},
    "putServiceSettings": _CHOICES,
    "putNotifications": {
        "email": {"enabled": True, "smtpUrl": "smtp://dockrev:secret@mail.example:587?to=ops@example.org"},
        "webhook": {"enabled": False, "url": "******"},
        "telegram": {"enabled": False, "botToken": "******", "chatId": "-100123"},
        "webPush": {"enabled": True, "vapidSubject": "mailto:ops@example.org"},
        "events": {"update": True, "newVersion": True, "ghcrWebhookAnomaly": True},
    },
    "testNotifications": {"channel": "telegram", "message": "hello"},
    "subscribeWebPush": _DEVICE,
    "unsubscribeWebPush": {"endpoint": _DEVICE["endpoint"]},
    "startCheck": {"scope": "all"},
    "startRuntimeScan": {"scope": "stack", "stackId": _STACK},
    "createIgnoreRule": {
        "scope": {"type": "service", "serviceId": _SERVICE},
        "match": {"kind": "semver", "value": ">=2.0.0, <3"},
        "note": "wait for the migration guide",
    },
    "deleteIgnoreRule": {"ruleId": _RULE},
    "refreshVersionInference": {"digest": _RUNS},
    "putGithubPackages": {
        "enabled": True, "callbackUrl": _CALLBACK, "pat": "******", "targets": [{"input": "acme"}],
        "repos": [{"fullName": "acme/web", "selected": True}],
    },
    "selectGithubRepo": {"fullName": "acme/web", "selected": True},
    "deleteGithubRepo": _REPO,
    "selectGithubRepos": {"q": "acme/", "selectedFilter": "unselected", "selected": True},
    "addGithubTarget": {"input": "https://github.com/acme"},
    "removeGithubTarget": {"input": "acme"},
    "resolveGithubTarget": {"input": "acme"},
    "syncGithubRepos": {
        "dryRun": False, "repos": ["acme/web"],
        "resolveConflicts": [{"repo": "acme/web", "keepHookId": 4711, "deleteHookIds": [4712]}],
    },
    "syncGithubRepo": _REPO,
    "rotateWebhookSecret": {"overlapHours": 24},
    "triggerWebhook": {
        "action": "update", "scope": "service", "serviceId": _SERVICE, "allowArchMismatch": False,
        "backupMode": "inherit",
        "targets": [{"serviceId": _SERVICE, "targetTag": "latest", "targetDigest": _NEW, "pullTags": []}],
    },
    "startUpdate": {
        "scope": "service", "serviceId": _SERVICE, "targetTag": "latest", "targetDigest": _NEW, "pullTags": ["1.5.0"],
        "mode": "apply", "allowArchMismatch": False, "backupMode": "inherit", "reason": "ui",
    },
}  # fmt: skip

ANSWERS: Final[dict[str, Any]] = {
    "listTokens": {"tokens": [_TOKEN]},
    "createToken": {
        "token": {**_TOKEN, "lastUsedAt": None, "lastUsedFrom": None},
        "value": "dkr_01JT5N3V0QZ8R6W2M4K7C9D1EH_0000000000000000000000000000000000000000000000000",
    },
    "revokeToken": _OK,
    "listAuditEvents": {
        "events": [
            {
                "id": 813, "at": _AT, "principal": "token:night shift", "means": "token", "address": "192.168.1.20",
                "action": "update.start", "outcome": "ok", "objectKind": "service", "objectId": _SERVICE,
                "objectLabel": "demo/web", "jobId": _JOB, "details": {"job": "update", "mode": "apply"},
            }
        ],
        "nextCursor": "813",
    },
    "version": {"version": "0.1.0"},
    "widget": {
        "services": 42, "stacks": 9, "updates": 3, "held": 1, "upToDate": 35, "unknown": 2, "failedChecks": 0,
        "runningJobs": 0, "lastCheckAt": _AT, "lastCheckMinutes": 12, "engineReachable": True, "version": "0.1.0",
        "asOf": "2026-05-01T10:12:30Z",
    },
    "getSettings": {
        **_SETTINGS,
        "resourceMonitor": {"enabled": True, "sampleIntervalSeconds": 30, "retentionDays": 7},
        "auth": {
            "forwardHeaderName": "X-Forwarded-User", "groupHeaderName": "Remote-Groups", "allowAnonymousInDev": False,
            "authorizationMode": "user_or_group", "allowedUserMasked": "al***ce", "currentUser": "alice",
            "currentGroups": ["ad***ns"], "matchedBy": "user",
        },
    },
    "putSettings": _OK,
    "getDeployWelcome": {"neverAutoOpen": False},
    "getDeployCheckReport": {
        "overall": {
            "result": "fail", "blockingCheckIds": ["core.update_executor_ready"],
            "summary": "At least one required capability is unavailable",
        },
        "generatedAt": _AT,
        "checks": [
            {
                "id": "core.update_executor_ready", "title": "Compose program", "group": "core", "required": True,
                "status": "fail", "summary": "docker-compose cannot be used: no such file or directory",
                "impact": "Updates and rollbacks cannot be carried out.", "evidence": "docker-compose",
                "recommendation": "Install Compose 2, or name it in DOCKREV_COMPOSE_BIN.",
            }
        ],
    },
    "putDeployWelcome": {"ok": True, "neverAutoOpen": True, "updatedAt": _AT},
    "getNotifications": {
        "email": {"enabled": True, "smtpUrl": "******"},
        "webhook": {"enabled": False},
        "telegram": {"enabled": False, "botTokenConfigured": False},
        "webPush": {
            "enabled": True, "vapidPublicKey": "BNcR…", "vapidPrivateKey": "******",
            "vapidSubject": "mailto:ops@example.org",
        },
        "events": {"update": True, "newVersion": True, "ghcrWebhookAnomaly": True},
    },
    "putNotifications": _OK,
    "testNotifications": {
        "ok": True, "results": {"telegram": {"ok": True}, "email": {"ok": False, "error": "no recipient is set"}},
    },
    "subscribeWebPush": _OK,
    "unsubscribeWebPush": _OK,
    "startDiscovery": {"jobId": "dsc_01JT5N3V0QZ8R6W2M4K7C9D1EE"},
    "listDiscoveryProjects": {
        "projects": [
            {
                "project": "demo", "status": "active", "stackId": _STACK, "configFiles": ["/srv/demo/compose.yml"],
                "lastSeenAt": _AT, "lastScanAt": _AT, "archived": False,
            }
        ]
    },
    "archiveDiscoveryProject": _OK,
    "restoreDiscoveryProject": _OK,
    "archiveStack": _OK,
    "restoreStack": _OK,
    "archiveService": _OK,
    "restoreService": _OK,
    "putServiceSettings": _OK,
    "getServiceSettings": _CHOICES,
    "listStacks": {
        "stacks": [
            {
                "id": _STACK, "name": "demo", "status": "unknown", "services": 3, "updates": 1, "lastCheckAt": _AT,
                "archived": False, "archivedServices": 0,
            }
        ]
    },
    "getStack": {
        "stack": {
            "id": _STACK,
            "name": "demo",
            "archived": False,
            "compose": {"type": "path", "composeFiles": ["/srv/demo/compose.yml"], "envFile": "/srv/demo/.env"},
            "services": [
                {
                    "id": _SERVICE,
                    "name": "web",
                    "image": {"ref": "acme/web:latest", "tag": "latest", "digest": _RUNS, "resolvedTag": "1.4.2"},
                    "candidate": {
                        "tag": "latest", "resolvedTag": "1.5.0", "digest": _NEW, "archMatch": "match",
                        "arch": ["linux/amd64", "linux/arm64"],
                    },
                    "settings": _CHOICES,
                    "archived": False,
                }
            ],
        }
    },
    "startCheck": {"checkId": "chk_01JT5N3V0QZ8R6W2M4K7C9D1EF"},
    "startRuntimeScan": {"jobId": _JOB},
    "startUpdate": {"jobId": _JOB},
    "startRollback": {"jobId": _JOB},
    "rollbackTarget": {
        "available": True, "currentDigest": _NEW, "currentDisplayTag": "1.5.0", "targetDigest": _RUNS,
        "targetDisplayTag": "1.4.2", "sourceUpdateJobId": _JOB, "sourceFinishedAt": _AT,
    },
    "getGithubPackages": {
        "enabled": True, "callbackUrl": _CALLBACK, "reposTotal": 12, "reposSelectedTotal": 3, "patMasked": "******",
        "secretMasked": "******", "targets": [{"input": "acme", "kind": "owner", "owner": "acme", "warnings": []}],
    },
    "putGithubPackages": _OK,
    "listGithubRepos": {
        "page": 1, "perPage": 50, "total": 12, "filteredTotal": 1, "selectedTotal": 3,
        "repos": [
            {
                "fullName": "acme/web", "selected": True, "webhookState": "ok", "webhookJobId": _JOB, "hookId": 4711,
                "lastSyncAt": _AT, "lastAuditAt": _AT, "lastOp": "audit",
            }
        ],
    },
    "selectGithubRepo": {"ok": True, "jobId": _JOB},
    "deleteGithubRepo": {"ok": True, "jobId": _JOB},
    "selectGithubRepos": {"ok": True, "affected": 9},
    "addGithubTarget": {"ok": True, "kind": "owner", "owner": "acme", "reposAdded": 11},
    "removeGithubTarget": _OK,
    "resolveGithubTarget": {
        "kind": "owner", "owner": "acme", "warnings": [],
        "repos": [
            {
                "fullName": "acme/web", "selected": False, "visibility": "public", "lastActivityAt": _AT,
                "deployed": True,
            }
        ],
    },
    "syncGithubRepos": {
        "ok": True,
        "results": [{"repo": "acme/web", "action": "queued", "hookId": 4711, "message": f"enqueued job {_JOB}"}],
    },
    "getGithubWebhooks": {
        "summary": {
            "tracked": 3, "ok": 2, "missing": 0, "error": 0, "conflict": 1, "queued": 0, "running": 0, "unknown": 0,
        },
        "jobsQueued": 0, "jobsRunning": 0, "lastAuditAt": _AT,
    },
    "syncAllGithubRepos": _ENQUEUED,
    "syncGithubRepo": _ENQUEUED,
    "listWebhookSecrets": {"secrets": [{**_HOOK_SECRET, "previousUsedAt": "2026-05-01T10:07:00Z"}]},
    "rotateWebhookSecret": {
        "ok": True, "secret": _HOOK_SECRET, "value": "Zm9yIGV4YW1wbGUgb25seSwgbm90IGEgc2VjcmV0IQ",
    },
    "endWebhookSecret": _OK,
    "listGithubDeliveries": {
        "page": 1, "perPage": 50, "total": 1, "filteredTotal": 1,
        "summary": {"processed": 1, "ignored": 0, "rejected": 0},
        "deliveries": [
            {
                "deliveryId": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "receivedAt": _AT, "firstReceivedAt": _AT,
                "owner": "acme", "repo": "web", "fullName": "acme/web", "event": "package", "action": "published",
                "decision": "processed", "responseStatus": 200, "jobId": _CHECKS[0], "jobIds": _CHECKS,
                "attemptCount": 1,
            }
        ],
    },
    "takeGithubDelivery": {
        "ok": True, "attemptCount": 1, "jobIds": _CHECKS, "matchedServiceIds": [_SERVICE], "reusedJobIds": [],
        "fallbackUsed": False, "jobId": _CHECKS[0],
    },
    "triggerWebhook": {"jobId": _JOB},
    "listIgnoreRules": {
        "rules": [
            {
                "id": _RULE, "enabled": True, "scope": {"type": "service", "serviceId": _SERVICE},
                "match": {"kind": "prefix", "value": "2."}, "note": None,
            }
        ]
    },
    "createIgnoreRule": {"ruleId": _RULE},
    "deleteIgnoreRule": {"deleted": True},
    "getDigestTags": {"digest": _RUNS, "tags": ["1.4.2", "1.4"], "repoTags": ["1.4.2", "1.4", "1.3.0"], "scan": _SCAN},
    "getDigestTagsSnapshot": {"digest": _RUNS, "tags": ["1.4.2", "1.4"], "checkedAt": _AT, "scan": _SCAN},
    "getServiceVersions": {
        "serviceId": _SERVICE, "imageRef": "ghcr.io/acme/web:1.4", "imageRepo": "ghcr.io/acme/web",
        "followedTag": "1.4", "reach": "patch", "status": "ready", "refreshing": False, "checkedAt": _AT,
        "versions": [
            {
                "state": "current", "distance": "now", "version": "1.4.2", "tag": "1.4.2", "inferred": True,
                "inReach": True, "digest": _RUNS, "platforms": ["linux/amd64", "linux/arm64"], "reachedBy": ["1.4.2"],
                "more": 0,
            },
            {
                "state": "candidate", "distance": "patch", "version": "1.4.3", "tag": "1.4.3", "inferred": True,
                "inReach": True, "digest": _NEW, "platforms": ["linux/amd64", "linux/arm64"],
                "reachedBy": ["1.4.3", "1.4"], "follow": "1.4", "more": 0,
            },
            {
                "state": "other_series", "distance": "minor", "version": "1.5.0", "tag": "1.5.0", "inferred": False,
                "inReach": False, "digest": "sha256:" + "c1" * 32, "platforms": ["linux/amd64", "linux/arm64"],
                "publishedAt": "2026-04-28T07:12:00Z", "reachedBy": ["1.5.0", "1.5", "1", "latest"],
                "follow": "1.5", "more": 2,
            },
        ],
    },
    "refreshVersionInference": {
        "status": "pending", "serviceId": _SERVICE, "imageRepo": "ghcr.io/acme/web", "digest": _RUNS, "reason": "force",
    },
    "listJobs": {"jobs": [_JOB_OUT]},
    "stopJob": {"jobId": _JOB, "outcome": "requested"},
    "getJob": {
        "job": {**_JOB_OUT, "logs": [{"ts": _AT, "level": "info", "msg": "update started by alice"}], "logsLastId": 812}
    },
}  # fmt: skip
