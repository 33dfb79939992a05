"""Numbers for Prometheus; one registry per application, so that two in one process do not collide."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """All of Dockrev's metrics, named `dockrev_…`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.registry_requests = Counter(
            "dockrev_registry_requests",
            "Requests to image registries",
            ["host", "kind", "outcome"],
            registry=self.registry,
        )
        self.registry_seconds = Histogram(
            "dockrev_registry_request_seconds",
            "Time of a request to an image registry",
            ["host"],
            registry=self.registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 8),
        )
        self.jobs = Gauge("dockrev_jobs", "Jobs in the database", ["type", "status"], registry=self.registry)
        self.jobs_running = Gauge("dockrev_jobs_running", "Jobs running now", registry=self.registry)
        self.updates = Gauge("dockrev_updates", "Updates by result", ["result"], registry=self.registry)
        self.event_clients = Gauge("dockrev_event_clients", "Open event streams", ["stream"], registry=self.registry)
        self.queue_depth = Gauge("dockrev_queue_depth", "Work waiting", ["queue"], registry=self.registry)
        self.identity_headers_ignored = Counter(
            "dockrev_identity_headers_ignored",
            "Requests whose identity headers did not come from a trusted proxy",
            registry=self.registry,
        )
        self.engine_up = Gauge("dockrev_engine_up", "Whether the engine answers", registry=self.registry)
        self.services = Gauge("dockrev_services", "Services by state", ["state"], registry=self.registry)
        self.last_check = Gauge(
            "dockrev_last_check_timestamp_seconds",
            "When services were last checked; NaN if never",
            registry=self.registry,
        )
        self.mqtt_connected = Gauge(
            "dockrev_mqtt_connected",
            "Whether the MQTT broker is connected; absent without one",
            ["broker"],
            registry=self.registry,
        )
        self.measures: list[Callable[[], Awaitable[None]]] = []
        """What rooms have asked before their numbers are read."""

    def observe_registry(self, host: str, method: str, kind: str, outcome: str, seconds: float) -> None:
        """Hook for the registry client: one request ended."""
        self.registry_requests.labels(host, kind, outcome).inc()
        self.registry_seconds.labels(host).observe(seconds)

    def render(self) -> bytes:
        """The text exposition format."""
        return generate_latest(self.registry)
