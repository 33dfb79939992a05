"""Steps 1 to 3 of the validation of an update: ids, shape, normal form (spec §5.3)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.core.errors import InvalidArgument
from app.features.updates.schemas import Scope, TargetInput, UpdateInput

_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
DIRECT: Final = ("targetTag", "targetDigest", "pullTags")


@dataclass(frozen=True, slots=True)
class Target:
    """One service and what it shall run; in normal form."""

    service_id: str
    target_tag: str
    target_digest: str
    pull_tags: tuple[str, ...] = ()


def read_targets(body: UpdateInput) -> list[Target]:
    """The targets of a request in normal form; raises InvalidArgument with the messages of the contract."""
    require_ids(body.scope, body.stack_id, body.service_id)
    _require_shape(body)
    if body.scope is Scope.SERVICE:
        only = TargetInput(
            service_id=body.service_id or "",
            target_tag=body.target_tag or "",
            target_digest=body.target_digest or "",
            pull_tags=body.pull_tags or [],
        )
        return [_normal(only, "")]
    targets = [_normal(target, f"targets[{n}].") for n, target in enumerate(body.targets or ())]
    if len({target.service_id for target in targets}) != len(targets):
        raise InvalidArgument("targets contains duplicate serviceId", details={"field": "targets"})
    return targets


def require_ids(scope: Scope, stack_id: str | None, service_id: str | None) -> None:
    """Step 1: the id that the scope needs."""
    if scope is Scope.STACK and not (stack_id or "").strip():
        raise InvalidArgument("stackId is required for scope=stack", details={"field": "stackId"})
    if scope is Scope.SERVICE and not (service_id or "").strip():
        raise InvalidArgument("serviceId is required for scope=service", details={"field": "serviceId"})


def _require_shape(body: UpdateInput) -> None:
    direct = dict(zip(DIRECT, (body.target_tag, body.target_digest, body.pull_tags), strict=True))
    if body.scope is Scope.SERVICE:
        if body.targets is not None:
            message = "targets is not supported for scope=service; use targetTag/targetDigest/pullTags"
            raise InvalidArgument(message, details={"field": "targets"})
        missing = next((name for name, value in direct.items() if value is None), None)
        if missing:
            raise InvalidArgument(f"{missing} is required for scope=service", details={"field": missing})
        return
    given = next((name for name, value in direct.items() if value is not None), None)
    if given:
        message = "targetTag/targetDigest/pullTags is only supported for scope=service"
        raise InvalidArgument(message, details={"field": given})
    if body.targets is None:
        raise InvalidArgument("targets is required for scope=stack/all", details={"field": "targets"})


def _normal(target: TargetInput, prefix: str) -> Target:
    tag = _filled(target.target_tag, f"{prefix}targetTag")
    return Target(
        service_id=_filled(target.service_id, f"{prefix}serviceId"),
        target_tag=tag,
        target_digest=normal_digest(_filled(target.target_digest, f"{prefix}targetDigest")),
        pull_tags=_pull_tags(target.pull_tags, tag, f"{prefix}pullTags"),
    )


def normal_digest(digest: str) -> str:
    """A digest with its algorithm; `sha256:` is what was meant when none is named."""
    return digest if ":" in digest else f"sha256:{digest}"


def _pull_tags(tags: Sequence[str], target_tag: str, field: str) -> tuple[str, ...]:
    kept: list[str] = []
    for n, raw in enumerate(tags):
        tag = _filled(raw, f"{field}[{n}]")
        if not _TAG.fullmatch(tag):
            raise InvalidArgument(f"{field}[{n}] is not a valid tag", details={"field": f"{field}[{n}]"})
        if tag != target_tag and tag not in kept:
            kept.append(tag)
    return tuple(kept)


def _filled(value: str, field: str) -> str:
    text = value.strip()
    if not text:
        raise InvalidArgument(f"{field} must not be empty", details={"field": field})
    return text
