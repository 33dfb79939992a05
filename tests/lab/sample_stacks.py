"""The four sample stacks of the sandbox, as a homelab might have them, each with an update waiting.

| stack | what happens when it is updated |
| --- | --- |
| news | 1.4.2 becomes 1.4.3 behind the tag `1.4`, with its data in a volume |
| photos | 2.4.0 never gets healthy, so 2.3.1 comes back |
| pantry | `latest` moves; which versions those are has to be inferred from the other tags |
| gatehouse | pinned to 3.2.1, which was rebuilt; 3.3.0 and 4.0.0 exist beside it |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.lab.lab import Lab
from tests.lab.stacks import Stack

_NEWS = """\
name: {name}
services:
  paperboy:
    image: {paperboy}
    restart: unless-stopped
    depends_on: [inkwell]
    volumes:
      - issues:/data
  inkwell:
    image: {inkwell}
    restart: unless-stopped
volumes:
  issues:
"""

_ONE = """\
name: {name}
services:
  {service}:
    image: {image}
    restart: unless-stopped
"""


def bring_up_samples(lab: Lab, say: Callable[[str], None] = lambda text: None) -> list[Stack]:
    """Publish the old versions, start the four stacks on them, then let the registry move on."""
    say("Publishing the images the stacks start with …")
    _publish_old(lab)
    stacks = _stacks(lab)
    for stack in stacks:
        say(f"Starting the stack {stack.name} …")
        stack.up()
    say("Publishing the newer versions …")
    _publish_new(lab)
    return stacks


def _publish_old(lab: Lab) -> None:
    registry = lab.registry
    registry.publish("daily/paperboy", ["1.4.2", "1.4"], lab.samples("paperboy").good("1.4.2"))
    registry.publish("daily/inkwell", "v1.1.0", lab.samples("inkwell").no_healthcheck("v1.1.0"))
    registry.publish("darkroom/lightbox", ["2.3.1", "2"], lab.samples("lightbox").good("2.3.1"))
    larder = lab.samples("larder")
    for version in ("0.8.0", "0.9.0", "0.9.4"):
        specs = [larder.good(version), larder.for_arch(version, "arm64")]
        registry.publish_index("kitchen/larder", [version, "latest"], specs, attestations=True)
    registry.publish("lodge/porter", "3.2.1", lab.samples("porter").good("3.2.1"))


def _publish_new(lab: Lab) -> None:
    registry = lab.registry
    registry.publish("daily/paperboy", ["1.4.3", "1.4"], lab.samples("paperboy").big("1.4.3", layers=3, megabytes=4))
    registry.publish("darkroom/lightbox", ["2.4.0", "2"], lab.samples("lightbox").never_healthy("2.4.0"))
    larder = lab.samples("larder")
    for version in ("0.9.5", "0.10.0"):
        specs = [larder.good(version), larder.for_arch(version, "arm64")]
        registry.publish_index("kitchen/larder", [version, "latest"], specs, attestations=True)
    registry.publish("kitchen/larder", "nightly", larder.good("0.11.0-nightly.20260105"))
    porter = lab.samples("porter")
    registry.publish("lodge/porter", "3.2.1", replace(porter.good("3.2.1"), created="2026-01-19T09:00:00Z"))
    for version in ("3.3.0", "4.0.0"):
        registry.publish("lodge/porter", version, porter.good(version))


def _stacks(lab: Lab) -> list[Stack]:
    ref = lab.registry.ref
    news = lab.stack("news", "")
    news.write(
        _NEWS.format(name=news.name, paperboy=ref("daily/paperboy", "1.4"), inkwell=ref("daily/inkwell", "v1.1.0"))
    )
    stacks = [news]
    for name, service, image in (
        ("photos", "lightbox", ref("darkroom/lightbox", "2")),
        ("pantry", "larder", ref("kitchen/larder", "latest")),
        ("gatehouse", "porter", ref("lodge/porter", "3.2.1")),
    ):
        stack = lab.stack(name, "")
        stack.write(_ONE.format(name=stack.name, service=service, image=image))
        stacks.append(stack)
    return stacks
