"""The sections of the settings, in one order for all rooms; a room says which of them it has a page for."""

from __future__ import annotations

from typing import Final

from app.core.web.languages import N_
from app.core.web.schema import ApiModel

ORDER: Final = {
    "access": (N_("Access"), "/settings#access"),
    "backups": (N_("Backups"), "/settings#backups"),
    "monitoring": (N_("Monitoring"), "/settings#monitoring"),
    "schedules": (N_("Schedules"), "/settings#schedules"),
    "instance": (N_("Instance"), "/settings#instance"),
    "notifications": (N_("Notifications"), "/settings/notifications"),
    "github-packages": (N_("GitHub packages"), "/settings/ghcr-webhooks"),
    "webhook-secrets": (N_("Webhook secrets"), "/settings/webhook-secrets"),
    "home-assistant": (N_("Home Assistant"), "/settings/home-assistant"),
    "passkeys": (N_("Passkeys"), "/settings/passkeys"),
    "tokens": (N_("API tokens"), "/settings/tokens"),
    "audit": (N_("Audit"), "/settings/audit"),
    "deploy-check": (N_("Deploy check"), "/deploy-check"),
}


class SectionLink(ApiModel):
    """An entry of the line of sections on top of every page of the settings."""

    key: str
    label: str
    href: str


class Sections:
    """Which sections there are. A room adds its own in `setup`; only those are linked to."""

    def __init__(self) -> None:
        self._there: set[str] = set()

    def add(self, *keys: str) -> None:
        """Say that the pages of these keys of `ORDER` exist."""
        for key in keys:
            if key not in ORDER:
                raise ValueError(f"{key} has no place in the order of sections")
            self._there.add(key)

    def links(self) -> list[SectionLink]:
        """The sections that exist, in their order."""
        return [
            SectionLink(key=key, label=str(label), href=href)
            for key, (label, href) in ORDER.items()
            if key in self._there
        ]
