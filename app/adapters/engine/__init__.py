"""The Docker engine: what Dockrev reads from it and has done by it (spec §7.1, §7.4, §7.8, §7.10)."""

from __future__ import annotations

from app.adapters.engine.client import Engine
from app.adapters.engine.errors import (
    EngineError,
    EngineRefused,
    EngineUnreachable,
    NoSuchContainer,
    NoSuchImage,
    PullFailed,
)
from app.adapters.engine.progress import LayerProgress, PullProgress
from app.adapters.engine.records import (
    PROJECT_LABEL,
    SERVICE_LABEL,
    ContainerDetail,
    ContainerEnvironment,
    ContainerSummary,
    EngineEvent,
    EngineInfo,
    Health,
    HealthPolicy,
    HealthProbe,
    ImageDetail,
    ImageSummary,
    Mount,
    PullResult,
    RegistryAuth,
)

__all__ = [
    "PROJECT_LABEL",
    "SERVICE_LABEL",
    "ContainerDetail",
    "ContainerEnvironment",
    "ContainerSummary",
    "Engine",
    "EngineError",
    "EngineEvent",
    "EngineInfo",
    "EngineRefused",
    "EngineUnreachable",
    "Health",
    "HealthPolicy",
    "HealthProbe",
    "ImageDetail",
    "ImageSummary",
    "LayerProgress",
    "Mount",
    "NoSuchContainer",
    "NoSuchImage",
    "PullFailed",
    "PullProgress",
    "PullResult",
    "RegistryAuth",
]
