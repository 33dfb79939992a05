"""What the stacks room tells the house."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.events.bus import Event


@dataclass(frozen=True, slots=True)
class StackDiscovered(Event):
    """A Compose project was registered as a new stack."""

    stack_id: str


@dataclass(frozen=True, slots=True)
class ServiceAdded(Event):
    """A service is new in a stack, or in a new stack."""

    service_id: str
    stack_id: str


@dataclass(frozen=True, slots=True)
class ServiceImageChanged(Event):
    """The image a service declares is another one: what was known of the old one no longer counts (spec §7.1.6)."""

    service_id: str


@dataclass(frozen=True, slots=True)
class ServiceRemoved(Event):
    """The service is no longer in the Compose model; its rows are gone."""

    service_id: str


@dataclass(frozen=True, slots=True)
class RuntimeChanged(Event):
    """Containers of these services are others than before, or in another state or health."""

    project: str
    services: frozenset[str]


@dataclass(frozen=True, slots=True)
class ProjectsRelabelled(Event):
    """Running containers of these projects appeared, went or carry another configuration: discovery should look."""

    projects: frozenset[str]


@dataclass(frozen=True, slots=True)
class EngineConnected(Event):
    """The engine answers (again)."""

    version: str


@dataclass(frozen=True, slots=True)
class EngineLost(Event):
    """The engine does not answer any more."""

    error: str
