"""From names to ids, and what can be updated: reads the API's stacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import click

from app.cli.client import Client
from app.cli.exits import Exit, Failure
from app.cli.text import one_line, short_digest

Scope = Literal["service", "stack", "all"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Service:
    """One service as the API tells it; `raw` is its document."""

    stack_id: str
    stack: str
    raw: dict[str, Any]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.raw.get("id", ""))

    @property
    def name(self) -> str:
        """`stack/service`."""
        return one_line(f"{self.stack}/{self.raw.get('name', '')}", 200)

    @property
    def tag(self) -> str:
        """The configured tag."""
        return str(self.raw.get("image", {}).get("tag", ""))

    @property
    def runs(self) -> str:
        """The version that runs: the resolved one where it is known."""
        return one_line(self.raw.get("image", {}).get("resolvedTag") or self.tag, 80)

    @property
    def candidate(self) -> dict[str, Any] | None:
        """The candidate, if there is one."""
        found = self.raw.get("candidate")
        return found if isinstance(found, dict) else None

    @property
    def offers(self) -> str:
        """The candidate's version; its digest where the version is not known."""
        if self.candidate is None:
            return ""
        return one_line(self.candidate.get("resolvedTag") or short_digest(self.candidate.get("digest")), 80)

    @property
    def state(self) -> str:
        """One or two words."""
        if self.candidate is None:
            return "up to date" if self.raw.get("image", {}).get("digest") else "unknown"
        if (self.raw.get("ignore") or {}).get("matched"):
            return "ignored"
        if self.candidate.get("archMatch") == "mismatch":
            return "other platform"
        return "update"

    def actionable(self, allow_arch_mismatch: bool = False) -> bool:
        """Whether a batch update would take it (spec §5.3), as far as its document tells."""
        return self.state == "update" or (allow_arch_mismatch and self.state == "other platform")

    def target(self) -> dict[str, Any]:
        """What an update request says of it."""
        candidate = self.candidate or {}
        resolved = candidate.get("resolvedTag")
        return {
            "serviceId": self.id,
            "targetTag": self.tag,
            "targetDigest": candidate.get("digest", ""),
            "pullTags": [resolved] if resolved and resolved != self.tag else [],
        }

    def summary(self) -> dict[str, Any]:
        """For --json."""
        return {
            "stackId": self.stack_id,
            "stack": self.stack,
            "serviceId": self.id,
            "service": self.raw.get("name"),
            "image": self.raw.get("image"),
            "candidate": self.candidate,
            "state": self.state.replace(" ", "_"),
        }


@dataclass(frozen=True, slots=True)
class Selection:
    """What a command is about."""

    scope: Scope
    services: tuple[Service, ...]
    stack_id: str | None = None
    service_id: str | None = None

    def body(self) -> dict[str, Any]:
        """The scope as requests say it."""
        ids = {"stackId": self.stack_id, "serviceId": self.service_id}
        return {"scope": self.scope, **{key: value for key, value in ids.items() if value}}

    def again(self, client: Client) -> Selection:
        """The same selection as it stands now."""
        stacks = {service.stack_id for service in self.services}
        fresh = [found for stack_id in sorted(stacks) for found in read_stack(client, stack_id)]
        chosen = {service.id for service in self.services}
        kept = tuple(service for service in fresh if self.scope != "service" or service.id in chosen)
        return Selection(self.scope, kept, self.stack_id, self.service_id)


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--scope`, `--stack`, `--service`."""
    for option in (
        click.option("--service", metavar="NAME|ID", help="One service: its name, stack/name or id."),
        click.option("--stack", metavar="NAME|ID", help="All services of one stack, or the stack of --service."),
        click.option("--scope", type=click.Choice(["all", "stack", "service"]), help="Follows from the two below."),
    ):
        function = option(function)
    return function


def read_stack(client: Client, stack_id: str) -> list[Service]:
    """The services of a stack that are not archived."""
    stack = client.get(f"/api/stacks/{stack_id}").get("stack") or {}
    return [
        Service(stack_id, str(stack.get("name", "")), raw)
        for raw in stack.get("services", [])
        if isinstance(raw, dict) and not raw.get("archived")
    ]


def select(client: Client, scope: str | None, stack: str | None, service: str | None) -> Selection:
    """Find what the options mean. Raises Failure (2) when they contradict, or name nothing or several things."""
    wanted = scope or ("service" if service else "stack" if stack else "all")
    if (wanted == "service") != bool(service) or (wanted == "stack" and not stack) or (wanted == "all" and stack):
        raise Failure(
            f"--scope {wanted} does not go with these options",
            exit_code=Exit.USAGE,
            hint="all: neither --stack nor --service; stack: --stack; service: --service.",
        )
    stacks = [row for row in client.get("/api/stacks").get("stacks", []) if isinstance(row, dict)]
    if stack:
        stacks = [_one(stacks, stack, "stack", lambda row: (row.get("name"),), lambda row: row.get("id"))]
    services = tuple(found for row in stacks for found in read_stack(client, str(row["id"])))
    if wanted == "service":
        assert service is not None
        found = _one(services, service, "service", lambda one: (one.raw.get("name"), one.name), lambda one: one.id)
        return Selection("service", (found,), service_id=found.id)
    if wanted == "stack":
        return Selection("stack", services, stack_id=str(stacks[0]["id"]))
    return Selection("all", services)


def _one(
    rows: Sequence[T], wanted: str, kind: str, names: Callable[[T], Iterable[Any]], id_of: Callable[[T], Any]
) -> T:
    found = [row for row in rows if id_of(row) == wanted] or [row for row in rows if wanted in names(row)]
    if len(found) == 1:
        return found[0]
    known = sorted({str(list(names(row))[-1]) for row in (found or rows)})
    listed = ", ".join(one_line(name, 80) for name in known[:20])
    if found:
        raise Failure(
            f"{kind} {wanted!r} is not one but {len(found)}", exit_code=Exit.USAGE, hint=f"Say which: {listed}"
        )
    raise Failure(
        f"there is no {kind} {wanted!r}",
        exit_code=Exit.USAGE,
        hint=f"Known: {listed}" if listed else "No stacks are known yet; `dockrev check` looks for them.",
        code="not_found",
    )


def service_table(services: Iterable[Service]) -> list[list[str]]:
    """Rows of stack/service, what runs, the candidate, the state."""
    return [[service.name, service.runs, service.offers or "–", service.state] for service in services]
