"""From facts to words, and from a document to what one channel shows: the sentences are in `templates/notifications`.

They are told in the language that the owner chose for messages, whoever set them off. Telegram and e-mail show
identifiers and errors in code blocks, web push is prose, the webhook gets the document.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from app.adapters.notify import Message
from app.core.jobs import JobRecord
from app.core.web.languages import pgettext, plural
from app.core.web.presentation import clean
from app.core.web.speaking import speaking
from app.features.notifications.payload import (
    MAX_ERROR,
    MAX_REPO_ERROR,
    MAX_TEST_SUMMARY,
    Human,
    RepoAnomaly,
    ServiceFacts,
    cut,
)

_LONG: Final = 20_000


class Renderer(Protocol):
    """What is needed of `Pages`."""

    def block(self, template: str, block: str, **context: Any) -> str:
        """One block of a template."""
        ...

    def render(self, template: str, **context: Any) -> str:
        """A whole template."""
        ...


@dataclass(frozen=True, slots=True)
class Line:
    """One service or repository of a message."""

    name: str
    note: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A document as templates read it, whatever kind it is."""

    title: str
    summary: str
    detail: str
    lines: Sequence[Line]
    omitted: int
    primary_url: str
    job_id: str
    version: str

    @property
    def relative(self) -> bool:
        """Whether links lead nowhere outside of Dockrev, because its public address is not known."""
        return self.primary_url.startswith("/")


def transition(current: str, candidate: str, tag: str) -> str:
    """`1.4.2 → 1.5.0`; empty when neither side is more readable than the tag both have (`latest → latest`)."""
    return f"{current or tag} → {candidate}" if candidate and candidate != (current or tag) else ""


def content_of(document: Mapping[str, Any]) -> Content:
    """Pure."""
    human, links, debug = document["human"], document.get("links", {}), document["debug"]
    services, repos = links.get("serviceUrls", []), links.get("repos", [])
    lines = [Line(f"{s['stackName']}/{s['serviceName']}", _change(s), s["url"]) for s in services]
    lines += [Line(repo["fullName"], repo["state"]) for repo in repos]
    told_in_detail = document["kind"] in ("new_version_discovered", "ghcr_webhook_anomaly") and bool(human["detail"])
    job = document.get("job") or document.get("check") or {}
    return Content(
        title=human["title"],
        summary=human["summary"],
        detail="" if told_in_detail else human["detail"],
        lines=lines if len(lines) > 1 or repos else [],
        omitted=sum(links.get("truncated", {}).values()),
        primary_url=links.get("primaryUrl") or document.get("url", "/"),
        job_id=str(job.get("id") or job.get("jobId") or ""),
        version=debug["appVersion"],
    )


def _change(service: Mapping[str, str]) -> str:
    if "candidateTag" not in service:
        return ""
    return transition(service["currentDisplayTag"], service["candidateDisplayTag"], service["currentTag"])


def _scope(scope: str) -> str:
    """What a job is about whose services are gone."""
    return {"all": pgettext("scope", "all"), "stack": pgettext("scope", "stack")}.get(scope, scope)


class Texts:
    """The templates, found when the first text is needed: their environment belongs to a room further up.

    `retell` tells what jobs kept in English in the language that is spoken; the room of jobs puts it there.
    """

    def __init__(self, renderer: Callable[[], Renderer], language: str = "en") -> None:
        self._renderer = renderer
        self._language = language
        self.retell: Callable[[str], str] = str

    def speaking(self) -> AbstractContextManager[None]:
        """What is told inside is told in the language of messages."""
        return speaking(self._language)

    def job(self, job: JobRecord, services: Sequence[ServiceFacts], error: str) -> Human:
        """Of a finished update or roll back."""
        one = services[0] if len(services) == 1 else None
        with self.speaking():
            context = {
                "type": job.type,
                "status": job.status.value,
                "name": one.name if one else plural(len(services), "service") if services else _scope(job.scope),
                "from": one.current_display_tag if one else "",
                "to": one.candidate_display_tag if one else "",
                "error": cut(clean(self.retell(error), _LONG), MAX_ERROR),
            }
            return self._human("job_finished", context)

    def new_versions(self, services: Sequence[ServiceFacts]) -> Human:
        """Of everything a check found."""
        told = [
            {"name": s.name, "change": transition(s.current_display_tag, s.candidate_display_tag, s.current_tag)}
            for s in services
        ]
        return self._human("new_versions", {"services": told, "count": len(told)})

    def ghcr_anomaly(self, repos: Sequence[RepoAnomaly]) -> Human:
        """Of an audit of webhooks."""
        counts = {state: sum(repo.state == state for repo in repos) for state in ("missing", "conflict", "error")}
        told = [
            {
                "name": f"{repo.owner}/{repo.repo}",
                "state": repo.state,
                "last_error": cut(clean(repo.last_error or "", _LONG), MAX_REPO_ERROR),
            }
            for repo in repos
        ]
        return self._human("ghcr_anomaly", {**counts, "repos": told})

    def test(self, message: str) -> Human:
        """Of a test."""
        return self._human("test", {"message": cut(clean(message, _LONG), MAX_TEST_SUMMARY)})

    def _human(self, template: str, context: Mapping[str, Any]) -> Human:
        file = f"notifications/text/{template}.txt"
        with self.speaking():
            title, summary, detail = (
                self._renderer().block(file, name, **context).strip() for name in ("title", "summary", "detail")
            )
        return Human(title, summary, detail)

    def message(self, delivery_id: str, channel: str, document: Mapping[str, Any]) -> Message:
        """The document in the words of its channel."""
        if channel in ("webhook", "webPush"):
            return Message(delivery_id, document["human"]["title"], "", document=document)
        content = content_of(document)
        with self.speaking():
            text = self._renderer().render("notifications/message/plain.txt", content=content).strip() + "\n"
            html = self._renderer().render(f"notifications/message/{channel}.html", content=content).strip()
        if channel == "telegram":
            text = f"{content.title}\n{text}"
        return Message(delivery_id, content.title, text, html, document)
