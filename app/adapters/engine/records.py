"""What the engine says, as frozen values of our own; no dictionary of the engine's leaves this adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Who answers; `os`/`arch` in Go's words (`linux`, `amd64`), `api_version` as negotiated, `root_dir` the folder
    with images and volumes on the engine's host."""

    version: str
    api_version: str
    os: str
    arch: str
    name: str
    root_dir: str = ""

    @property
    def platform(self) -> str:
        return f"{self.os}/{self.arch}"


@dataclass(frozen=True, slots=True)
class ContainerSummary:
    """One row of the container list. `health` is None when the container has no health check."""

    id: str
    name: str
    image: str
    image_id: str
    labels: Mapping[str, str]
    state: str
    status: str
    created: datetime | None
    health: str | None
    network_mode: str

    @property
    def project(self) -> str:
        return self.labels.get(PROJECT_LABEL, "")

    @property
    def service(self) -> str:
        return self.labels.get(SERVICE_LABEL, "")


@dataclass(frozen=True, slots=True)
class HealthProbe:
    start: datetime | None
    end: datetime | None
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Health:
    """`status` is `starting`, `healthy` or `unhealthy`; `log` holds the engine's last probes, oldest first."""

    status: str
    failing_streak: int
    log: tuple[HealthProbe, ...]


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """The container's own health check; durations in seconds, the engine's defaults filled in."""

    test: tuple[str, ...]
    interval: float
    timeout: float
    start_period: float
    retries: int


@dataclass(frozen=True, slots=True)
class Mount:
    """`type` is `volume`, `bind`, `tmpfs`, …; `name` only for volumes, `source` is the path on the host."""

    type: str
    name: str
    source: str
    destination: str
    rw: bool


@dataclass(frozen=True, slots=True)
class ContainerDetail:
    """One container as inspected. `image_ref` is what it was asked to run, `image_id` what it runs."""

    id: str
    name: str
    image_ref: str
    image_id: str
    labels: Mapping[str, str]
    state: str
    running: bool
    restarting: bool
    restart_count: int
    exit_code: int
    oom_killed: bool
    error: str
    created: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    health: Health | None
    health_policy: HealthPolicy | None
    network_mode: str
    mounts: tuple[Mount, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)
    """IP address by network name."""
    restart_policy: str = ""
    stop_timeout: int | None = None
    """Seconds the container asks for between the stop signal and the kill; None means the engine's 10."""
    tty: bool = False
    pid_mode: str = ""
    ipc_mode: str = ""

    @property
    def shared(self) -> tuple[str, ...]:
        """Whose network, processes and memory it uses, `container:ID` where another container's."""
        return tuple(mode for mode in (self.network_mode, self.pid_mode, self.ipc_mode) if mode)

    @property
    def project(self) -> str:
        return self.labels.get(PROJECT_LABEL, "")

    @property
    def service(self) -> str:
        return self.labels.get(SERVICE_LABEL, "")

    @property
    def ip(self) -> str:
        """The address in the project's default network, else in the first network that has one, else ''."""
        preferred = self.addresses.get(f"{self.project}_default", "")
        return preferred or next((ip for ip in self.addresses.values() if ip), "")


@dataclass(frozen=True, slots=True)
class ContainerEnvironment:
    """What was asked for of a container's variables, and the folder its program starts in."""

    variables: Mapping[str, str]
    working_dir: str


@dataclass(frozen=True, slots=True)
class ImageSummary:
    """`repo_digests` may name an index or a platform manifest, depending on how the image came (spec §7.4)."""

    id: str
    repo_tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    size: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ImageDetail:
    id: str
    repo_tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    labels: Mapping[str, str]
    os: str
    architecture: str
    variant: str
    size: int


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """One event. `action` has no suffix: `health_status: healthy` is action `health_status`, detail `healthy`."""

    type: str
    action: str
    id: str
    attributes: Mapping[str, str]
    time_ns: int
    detail: str = ""

    @property
    def health(self) -> str | None:
        return self.detail if self.action == "health_status" else None


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    """Credentials for one pull. Never logged: the secret fields are not part of the repr."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    server: str = ""


@dataclass(frozen=True, slots=True)
class PullResult:
    """`digest` is the one the registry answered with; `downloaded` is False when the image was already there."""

    ref: str
    digest: str | None
    downloaded: bool
