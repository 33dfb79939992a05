"""Registries: image references, credentials, and a client that asks as little as possible (spec §7.2, §7.3).

Importing this package loads neither httpx nor ssl; the first request does.
"""

from __future__ import annotations

from app.adapters.registry.client import RegistryClient, Resolved, TagState
from app.adapters.registry.credentials import Credential, Credentials, normalise_key
from app.adapters.registry.errors import (
    BadManifest,
    InvalidReference,
    ManifestUnknown,
    RateLimited,
    RegistryAuthError,
    RegistryCoolingDown,
    RegistryError,
    RegistryRefused,
    RegistryTimeout,
    RegistryUnreachable,
)
from app.adapters.registry.limits import HostState, RetryPolicy
from app.adapters.registry.manifests import ImageLabels, Manifest
from app.adapters.registry.references import DOCKER_HUB, ImageRef, canonical_registry, is_digest
from app.adapters.registry.store import ManifestStore, MemoryStore, StoredHost, StoredManifest, Validator
from app.adapters.registry.transport import Observer

__all__ = [
    "DOCKER_HUB",
    "BadManifest",
    "Credential",
    "Credentials",
    "HostState",
    "ImageLabels",
    "ImageRef",
    "InvalidReference",
    "Manifest",
    "ManifestStore",
    "ManifestUnknown",
    "MemoryStore",
    "Observer",
    "RateLimited",
    "RegistryAuthError",
    "RegistryClient",
    "RegistryCoolingDown",
    "RegistryError",
    "RegistryRefused",
    "RegistryTimeout",
    "RegistryUnreachable",
    "Resolved",
    "RetryPolicy",
    "StoredHost",
    "StoredManifest",
    "TagState",
    "Validator",
    "canonical_registry",
    "is_digest",
    "normalise_key",
]
