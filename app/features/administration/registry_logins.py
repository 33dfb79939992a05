"""Which registries need a login, and which have one (spec §5.7 `feature.registry_auth`). Pure but for `read_logins`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any, Final, Literal

from app.adapters.registry import DOCKER_HUB, ImageRef, normalise_key
from app.core.web.languages import _

Need = Literal["required", "not_needed", "potential"]

MAX_FILE: Final = 1024 * 1024
LOCAL_SUFFIXES: Final = (".local", ".internal", ".lan")
PRIVATE_NETWORKS: Final = tuple(
    ip_network(text) for text in ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
)
PRIVATE_NAMESPACES: Final = frozenset({"local", "private", "internal"})
PUBLIC_HOSTS: Final = frozenset({"public.ecr.aws", "mcr.microsoft.com"})


@dataclass(frozen=True, slots=True)
class Logins:
    """What a Docker config says: `everywhere` when a credential store answers for all hosts."""

    everywhere: bool = False
    hosts: frozenset[str] = frozenset()
    problem: str = ""

    def has(self, host: str) -> bool:
        """Whether there is a login for this registry."""
        return self.everywhere or host in self.hosts


@dataclass(frozen=True, slots=True)
class Verdict:
    """The hosts of each kind, sorted, and which of them lack a login."""

    required: tuple[str, ...]
    potential: tuple[str, ...]
    missing_required: tuple[str, ...]
    missing_potential: tuple[str, ...]


def need_of(ref: ImageRef) -> Need:
    """Whether the registry of this image wants a login."""
    host = ref.registry.rpartition(":")[0] if _has_port(ref.registry) else ref.registry
    if host == DOCKER_HUB:
        namespace = ref.name.partition("/")[0]
        return (
            "required" if namespace in PRIVATE_NAMESPACES else "not_needed" if namespace == "library" else "potential"
        )
    if host == "localhost" or host.endswith(LOCAL_SUFFIXES) or _is_private(host) or _is_private_ecr(host):
        return "required"
    return "not_needed" if host in PUBLIC_HOSTS else "potential"


def _has_port(registry: str) -> bool:
    return registry.rpartition(":")[2].isdigit() and not registry.endswith("]")


def _is_private(host: str) -> bool:
    try:
        address = IPv4Address(host)
    except ValueError:
        return False
    return any(address in network for network in PRIVATE_NETWORKS)


def _is_private_ecr(host: str) -> bool:
    return ".dkr.ecr." in host and host.endswith(".amazonaws.com")


def judge(refs: Iterable[ImageRef], logins: Logins) -> Verdict:
    """A registry that one image needs a login for is a required one, whatever else comes from it."""
    needs: dict[str, set[Need]] = {}
    for ref in refs:
        needs.setdefault(ref.registry, set()).add(need_of(ref))
    required = tuple(sorted(host for host, kinds in needs.items() if "required" in kinds))
    potential = tuple(sorted(host for host, kinds in needs.items() if "potential" in kinds and "required" not in kinds))
    return Verdict(
        required=required,
        potential=potential,
        missing_required=tuple(host for host in required if not logins.has(host)),
        missing_potential=tuple(host for host in potential if not logins.has(host)),
    )


def parse_logins(config: object) -> Logins:
    """A Docker `config.json`; only whether there are logins, never which."""
    if not isinstance(config, dict):
        return Logins(problem=_("it is not a Docker config"))
    store = config.get("credsStore")
    hosts = {normalise_key(key) for key, entry in _items(config.get("auths")) if _has_secret(entry)}
    hosts |= {normalise_key(key) for key, helper in _items(config.get("credHelpers")) if _filled(helper)}
    return Logins(everywhere=_filled(store), hosts=frozenset(hosts))


def read_logins(path: Path) -> Logins:
    """Read the file; blocking. A folder stands for the `config.json` in it, as Docker has it."""
    try:
        file = path / "config.json" if path.is_dir() else path
        if file.stat().st_size > MAX_FILE:
            return Logins(problem=_("it is too large"))
        return parse_logins(json.loads(file.read_bytes()))
    except OSError as error:
        return Logins(problem=(error.strerror or _("it cannot be read")).lower())
    except (ValueError, RecursionError):
        return Logins(problem=_("it is not valid JSON"))


def _has_secret(entry: object) -> bool:
    return isinstance(entry, dict) and (_filled(entry.get("auth")) or _filled(entry.get("identitytoken")))


def _filled(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _items(value: object) -> list[tuple[str, Any]]:
    return [(str(key), item) for key, item in value.items()] if isinstance(value, Mapping) else []
