"""Compose without the CLI: `config` answers what a test put in, or says that it is missing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from app.adapters.compose import (
    CommandResult,
    Compose,
    ComposeCommandFailed,
    ComposeError,
    ComposeMissing,
    ComposeVersion,
    Project,
)


class FakeCompose(Compose):
    """`models` holds the answer of `config` by project name; a project without one fails like a missing CLI, unless
    `error` says how. `asked` are the projects given to `config`, `at_once` the most that ran together."""

    def __init__(self, models: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        super().__init__("docker-compose")
        self.models: dict[str, Mapping[str, Any]] = dict(models or {})
        self.error: ComposeError | None = None
        self.asked: list[Project] = []
        self.calls: Counter[str] = Counter()
        self.delay = 0.0
        self.at_once = 0
        self._now = 0

    async def version(self) -> ComposeVersion:
        self.calls["version"] += 1
        return ComposeVersion("2.40.3", 2, 40, 3)

    async def config(self, project: Project, *, timeout: float = 30.0) -> dict[str, Any]:
        self.calls["config"] += 1
        self.asked.append(project)
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            await asyncio.sleep(self.delay)
        finally:
            self._now -= 1
        if self.error is not None:
            raise self.error
        if project.name not in self.models:
            raise ComposeMissing(self.binary, "no such file or directory")
        return dict(self.models[project.name])


def config_failed(said: str = "services.web additional property foo is not allowed") -> ComposeCommandFailed:
    """What `docker compose config` raises for a model it does not accept."""
    result = CommandResult(("docker-compose", "config"), 15, "", said, 0.1)
    return ComposeCommandFailed(result, "config", said)
