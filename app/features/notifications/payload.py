"""Payload v2: the document every channel carries (spec §8.2). Pure: facts in, document out.

A document is made once per event, without its channel; `for_channel` completes it. All caps are here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.core.clock import rfc3339
from app.core.jobs import JobRecord
from app.core.web.languages import _, pgettext

CHANNELS: Final = ("email", "webhook", "telegram", "webPush")
MAX_LINKED: Final = 10
MAX_ERROR: Final = 1024
MAX_REPO_ERROR: Final = 256
MAX_TEST_SUMMARY: Final = 512
MAX_RAW: Final = 1024
CUT: Final = "... [truncated]"
PUSH_BYTES: Final = 3800  # what fits into one encrypted push message of 4096 bytes, with some air


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sends, when, and where links lead; without `base_url` they stay relative."""

    version: str
    at: datetime
    base_url: str | None = None

    def url(self, path: str) -> str:
        """An address of ours, absolute when it can be."""
        return f"{self.base_url.rstrip('/')}{path}" if self.base_url else path


@dataclass(frozen=True, slots=True)
class Human:
    """What a person reads: one line, one sentence, and the rest."""

    title: str
    summary: str
    detail: str = ""

    def document(self) -> dict[str, str]:
        """As it is in a payload."""
        return {"title": self.title, "summary": self.summary, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A service a message is about; the tags are only told of new versions."""

    stack_id: str
    stack_name: str
    service_id: str
    service_name: str
    current_tag: str = ""
    current_display_tag: str = ""
    candidate_tag: str = ""
    candidate_display_tag: str = ""

    @property
    def name(self) -> str:
        """`stack/service`."""
        return f"{self.stack_name}/{self.service_name}"

    @property
    def path(self) -> str:
        """Its page."""
        return f"/services/{self.stack_id}/{self.service_id}"


@dataclass(frozen=True, slots=True)
class RepoAnomaly:
    """A repository whose webhook is not as it should be; `state` is missing, conflict or error."""

    owner: str
    repo: str
    state: str
    last_error: str | None = None


def cut(text: str, limit: int) -> str:
    """`text`, or its beginning with `... [truncated]`; never longer than `limit`."""
    return text if len(text) <= limit else text[: limit - len(CUT)] + CUT


def job_path(job_id: str) -> str:
    """The page of a job."""
    return f"/queue/{job_id}"


def job_finished(job: JobRecord, human: Human, services: Sequence[ServiceFacts], origin: Origin) -> dict[str, Any]:
    """`dockrev.notification.job.v2`."""
    return {
        **_base("dockrev.notification.job.v2", "job_finished", human, origin),
        "job": {
            "id": job.id,
            "type": job.type,
            "scope": job.scope,
            "status": job.status.value,
            "reason": job.reason,
            "createdBy": job.created_by,
            "createdAt": rfc3339(job.created_at),
            "startedAt": _moment(job.started_at),
            "finishedAt": _moment(job.finished_at),
            "stackId": job.stack_id,
            "serviceId": job.service_id,
        },
        "links": _service_links(job.id, services, origin, with_tags=False),
        "debug": _debug(origin),
    }


def new_versions(
    job: JobRecord, human: Human, services: Sequence[ServiceFacts], services_checked: int, origin: Origin
) -> dict[str, Any]:
    """`dockrev.notification.new_version_discovered.v2`, one for all that a check found."""
    return {
        **_base("dockrev.notification.new_version_discovered.v2", "new_version_discovered", human, origin),
        "check": {
            "jobId": job.id,
            "status": job.status.value,
            "scope": job.scope,
            "servicesChecked": services_checked,
            "newVersions": len(services),
        },
        "links": _service_links(job.id, services, origin, with_tags=True),
        "debug": _debug(origin),
    }


def ghcr_anomaly(job: JobRecord, human: Human, repos: Sequence[RepoAnomaly], origin: Origin) -> dict[str, Any]:
    """`dockrev.notification.ghcr_webhook_anomaly.v2`."""
    counts = {state: sum(repo.state == state for repo in repos) for state in ("missing", "conflict", "error")}
    url = origin.url(job_path(job.id))
    return {
        **_base("dockrev.notification.ghcr_webhook_anomaly.v2", "ghcr_webhook_anomaly", human, origin),
        "job": {"id": job.id, "status": job.status.value, **counts, "totalAnomalies": sum(counts.values())},
        "links": {
            "primaryUrl": url,
            "jobUrl": url,
            "settingsUrl": origin.url("/settings"),
            "repos": [_repo(repo) for repo in repos[:MAX_LINKED]],
            "truncated": {"reposOmitted": max(0, len(repos) - MAX_LINKED)},
        },
        "debug": _debug(origin),
    }


def test_message(message: str, requested: str | None, human: Human, origin: Origin) -> dict[str, Any]:
    """`dockrev.notification.test.v2`; `requested` is the channel asked for, None for all that are on."""
    return {
        **_base("dockrev.notification.test.v2", "notification_test", human, origin),
        "url": origin.url("/settings"),
        "debug": {
            "requestedChannel": requested,
            "appVersion": origin.version,
            "source": "dockrev-api",
            "rawMessage": cut(message, MAX_RAW),
        },
    }


def _base(schema: str, kind: str, human: Human, origin: Origin) -> dict[str, Any]:
    return {"schema": schema, "kind": kind, "sentAt": rfc3339(origin.at), "human": human.document()}


def _debug(origin: Origin) -> dict[str, str]:
    return {"appVersion": origin.version, "source": "dockrev-api"}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _service_links(job_id: str, services: Sequence[ServiceFacts], origin: Origin, *, with_tags: bool) -> dict[str, Any]:
    job_url = origin.url(job_path(job_id))
    return {
        "primaryUrl": origin.url(services[0].path) if len(services) == 1 else job_url,
        "jobUrl": job_url,
        "serviceUrls": [_service(service, origin, with_tags) for service in services[:MAX_LINKED]],
        "truncated": {"serviceUrlsOmitted": max(0, len(services) - MAX_LINKED)},
    }


def _service(service: ServiceFacts, origin: Origin, with_tags: bool) -> dict[str, str]:
    found = {
        "stackId": service.stack_id,
        "stackName": service.stack_name,
        "serviceId": service.service_id,
        "serviceName": service.service_name,
        "url": origin.url(service.path),
    }
    if with_tags:
        found |= {
            "currentTag": service.current_tag,
            "currentDisplayTag": service.current_display_tag,
            "candidateTag": service.candidate_tag,
            "candidateDisplayTag": service.candidate_display_tag,
        }
    return found


def _repo(repo: RepoAnomaly) -> dict[str, str]:
    found = {"owner": repo.owner, "repo": repo.repo, "fullName": f"{repo.owner}/{repo.repo}", "state": repo.state}
    return found | ({"lastError": cut(repo.last_error, MAX_REPO_ERROR)} if repo.last_error else {})


# ---- channels


def for_channel(payload: Mapping[str, Any], channel: str, notification_id: str = "") -> dict[str, Any]:
    """The document as one channel carries it; web push gets what its service worker shows, and has to be small."""
    head = {key: payload[key] for key in ("schema", "kind", "sentAt")}
    document = {**head, "channel": channel, **{key: value for key, value in payload.items() if key not in head}}
    if channel != "webPush":
        return document
    human = payload["human"]
    document |= {
        "title": human["title"],
        "body": push_body(payload),
        "url": payload["links"]["primaryUrl"] if "links" in payload else payload["url"],
    }
    if notification_id:
        document["notificationId"] = notification_id
    return fit_push(document)


def push_body(payload: Mapping[str, Any]) -> str:
    """Prose: summary and detail; of a test also what was asked for and the version."""
    human, debug = payload["human"], payload["debug"]
    lines = [human["summary"], human["detail"]]
    if payload["kind"] == "notification_test":
        channel = debug["requestedChannel"] or pgettext("channel", "all")
        lines += [_("Requested channel: %(name)s", name=channel), f"Dockrev {debug['appVersion']}"]
    return "\n".join(line for line in lines if line)


def size(document: Mapping[str, Any]) -> int:
    """Bytes as they are sent."""
    return len(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode())


def fit_push(document: dict[str, Any], limit: int = PUSH_BYTES) -> dict[str, Any]:
    """The document within what a push may hold: first the lists of links get shorter, then the long texts."""
    found = dict(document)
    links = dict(found.get("links", {}))
    for name, omitted in (("serviceUrls", "serviceUrlsOmitted"), ("repos", "reposOmitted")):
        while size(found) > limit and links.get(name):
            links[name] = links[name][:-1]
            links["truncated"] = {omitted: links["truncated"][omitted] + 1}
            found["links"] = links
    for allowed in (600, 300, 150, 60, 20):
        if size(found) <= limit:
            break
        human = {key: cut(text, allowed) for key, text in found["human"].items()}
        found |= {"human": human, "title": cut(found["title"], allowed), "body": cut(found["body"], allowed)}
        if "rawMessage" in found["debug"]:
            found["debug"] = {**found["debug"], "rawMessage": cut(found["debug"]["rawMessage"], allowed)}
    return found
