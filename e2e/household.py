"""Stacks made for one journey each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2e.server import Server
from tests.lab.builder import Spec
from tests.lab.lab import Lab
from tests.lab.stacks import Stack

_YAML = """\
name: {name}
services:
  {service}:
    image: {image}
    restart: unless-stopped
{more}"""


@dataclass(frozen=True)
class House:
    """A stack with one service that Dockrev knows and has checked."""

    lab: Lab
    server: Server
    stack: Stack
    service: str
    stack_id: str
    service_id: str

    @property
    def address(self) -> str:
        """Of the service's page."""
        return f"/services/{self.stack_id}/{self.service_id}"

    def container(self) -> str:
        """Id of the service's container."""
        return self.stack.container_ids(self.service)[0]

    def version(self) -> str:
        """What the running container's own image says it is: asked of the engine, not of Dockrev."""
        label = '{{index .Config.Labels "org.opencontainers.image.version"}}'
        return self.lab.docker("inspect", "--format", label, self.container()).strip()

    def running(self) -> bool:
        """Whether the engine says that the container runs."""
        return self.lab.docker("inspect", "--format", "{{.State.Running}}", self.container()).strip() == "true"

    def update(self, **more: Any) -> str:
        """Start an update to the candidate over the API; the job's id."""
        detail = self.server.call("GET", f"/api/stacks/{self.stack_id}")["stack"]
        candidate = next(service["candidate"] for service in detail["services"] if service["id"] == self.service_id)
        target = {"targetTag": candidate["tag"], "targetDigest": candidate["digest"], "pullTags": []}
        body = {"scope": "service", "serviceId": self.service_id, "mode": "apply", "reason": "ui", **target, **more}
        job_id: str = self.server.call("POST", "/api/updates", body)["jobId"]
        return job_id


def open_house(
    lab: Lab,
    server: Server,
    name: str,
    old: Spec,
    new: Spec,
    *,
    tags: Sequence[str] = ("1.4.0", "1.4.1"),
    more: str = "",
) -> House:
    """Start a stack on `old` behind the tag `1.4`, publish `new` there, and have Dockrev check it."""
    repository = f"homelab/{name}"
    lab.registry.publish(repository, [tags[0], "1.4"], old)
    stack = lab.stack(name, "")
    stack.write(_YAML.format(name=stack.name, service=name, image=lab.registry.ref(repository, "1.4"), more=more))
    stack.up()
    lab.registry.publish(repository, [tags[1], "1.4"], new)
    service = server.services(stack.name)[name]
    house = House(lab, server, stack, name, service["stackId"], service["id"])
    check(house)
    return house


def check(house: House, seconds: float = 60) -> None:
    """Check the service; a check that runs already (discovery starts one) is waited for."""
    body = {"scope": "service", "serviceId": house.service_id, "reason": "ui"}
    end = time.monotonic() + seconds
    while True:
        house.server.finished(house.server.call("POST", "/api/checks", body)["checkId"])
        detail = house.server.call("GET", f"/api/stacks/{house.stack_id}")["stack"]
        if any(service.get("candidate") for service in detail["services"]):
            return
        assert time.monotonic() < end, f"no candidate for {house.service}: {detail}"
