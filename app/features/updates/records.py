"""Values that the steps of an update hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.adapters.compose import Project
from app.features.stacks import StackRecord
from app.features.updates.rules.recovery import Step

Ending = Literal["settled", "skipped", "failed", "rolled_back"]


def project_of(stack: StackRecord) -> Project:
    """What Compose needs to know of a stack."""
    return Project(
        name=stack.project,
        files=tuple(Path(file) for file in stack.compose_files),
        env_files=tuple(Path(file) for file in stack.env_files),
        working_dir=Path(stack.working_dir) if stack.working_dir else None,
    )


def project_document(project: Project) -> dict[str, Any]:
    """As it is kept in the journal."""
    return {
        "name": project.name,
        "files": [str(file) for file in project.files],
        "envFiles": [str(file) for file in project.env_files],
        "workingDir": str(project.working_dir) if project.working_dir else None,
    }


def project_from(document: Mapping[str, Any]) -> Project:
    """The inverse of `project_document`."""
    working_dir = document.get("workingDir")
    env_files = document.get("envFiles") or filter(None, [document.get("envFile")])  # one, until version 0.1
    return Project(
        name=document["name"],
        files=tuple(Path(file) for file in document["files"]),
        env_files=tuple(Path(file) for file in env_files),
        working_dir=Path(working_dir) if working_dir else None,
    )


@dataclass(frozen=True, slots=True)
class Housemate:
    """A service whose containers use the network, processes or memory (ipc) of the one that is updated, the image it
    runs, and how many."""

    project: Project
    service: str
    image_id: str
    image_ref: str
    containers: int = 1

    def document(self) -> dict[str, Any]:
        """As it is kept in the journal."""
        return {
            "project": project_document(self.project),
            "service": self.service,
            "imageId": self.image_id,
            "imageRef": self.image_ref,
            "containers": self.containers,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Housemate:
        """The inverse of `document`."""
        project = project_from(document["project"])
        number = document.get("containers", 1)
        return cls(project, document["service"], document["imageId"], document["imageRef"], number)


@dataclass(frozen=True, slots=True)
class Dependent:
    """A service of the same project that depends on the updated one with `restart: true`, and those of its containers
    that ran before."""

    service: str
    containers: tuple[str, ...]
    was_unhealthy: bool = False

    def document(self) -> dict[str, Any]:
        """As it is kept in the journal."""
        return {"restart": self.service, "containers": list(self.containers), "wasUnhealthy": self.was_unhealthy}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Dependent:
        """The inverse of `document`."""
        return cls(document["restart"], tuple(document["containers"]), document["wasUnhealthy"])


@dataclass(frozen=True, slots=True)
class Change:
    """One service on its way from one image to another: all that is needed to finish it or to take it back.

    `configured_ref` is what the Compose file says, `target_ref` is `<repo>@<digest>`; image ids are local ones.
    `containers` is how many ran.
    """

    job_id: str
    stack_id: str
    service_id: str
    service: str
    project: Project
    configured_ref: str
    target_ref: str
    target_tag: str
    old_image_id: str
    was_unhealthy: bool = False
    containers: int = 1
    housemates: tuple[Housemate, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    new_image_id: str | None = None
    step: Step = Step.PREPARE
    override_path: str | None = None
    config_folder: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether the Compose file names a digest: then no tag decides what runs."""
        return "@" in self.configured_ref


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a step did not work: `step` is the stable name of spec §7.8, `error` the words."""

    step: str
    error: str
    hint: str = ""
    retry: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How one service ended; image ids are local ones. `warnings` are sentences for the owner, `restarted` the
    services of the stack that run anew now, `owed` those whose restart was left to their own update."""

    ending: Ending
    old_image: str = ""
    new_image: str = ""
    failure: Failure | None = None
    evidence: dict[str, Any] | None = None
    tags_pulled: tuple[str, ...] = ()
    tag_warnings: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()
    why_skipped: str = ""
    restarted: tuple[str, ...] = ()
    owed: tuple[Dependent, ...] = ()


class StepFailed(Exception):
    """Carries a Failure out of a step."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure
