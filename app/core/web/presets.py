"""What the usual identity providers send (spec §3.2 takes any header; these are the names that people need)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Preset:
    """Header names of one provider; '' is a header that it does not send. `logout` is a path on Dockrev's own host,
    None where the address depends on the installation."""

    user: str
    groups: str = ""
    email: str = ""
    name: str = ""
    separator: str = ","
    logout: str | None = None


DEFAULT: Final = Preset("X-Forwarded-User", "Remote-Groups")
PRESETS: Final = MappingProxyType(
    {
        "authelia": Preset("Remote-User", "Remote-Groups", "Remote-Email", "Remote-Name"),
        "authentik": Preset(
            "X-authentik-username",
            "X-authentik-groups",
            "X-authentik-email",
            "X-authentik-name",
            separator="|",
            logout="/outpost.goauthentik.io/sign_out",
        ),
        "oauth2-proxy": Preset(
            "X-Auth-Request-User",
            "X-Auth-Request-Groups",
            "X-Auth-Request-Email",
            "X-Auth-Request-Preferred-Username",
            logout="/oauth2/sign_out",
        ),
        "tailscale": Preset("Tailscale-User-Login", name="Tailscale-User-Name"),
        "traefik": Preset("X-Forwarded-User"),
    }
)
