"""What the page `/settings/home-assistant` shows."""

from __future__ import annotations

from datetime import datetime

from app.core.web.schema import ApiModel, Maybe
from app.features.preferences import SectionLink


class FormerPlace(ApiModel):
    """What earlier settings left at a broker, and `why` it is still there: `elsewhere`, `in_use` or `denied`."""

    broker: str
    prefix: str
    discovery_prefix: str
    why: str


class HomeAssistantPage(ApiModel):
    """The connection to the broker, without any secret. `error` is of the last failure, which may be over."""

    broker: str
    connected: bool
    since: Maybe[datetime] = None
    error: str = ""
    remedy: str = ""
    failed_at: Maybe[datetime] = None
    entities: int = 0
    told_at: Maybe[datetime] = None
    denied: list[str] = []
    former: list[FormerPlace] = []
    prefix: str
    discovery_prefix: str
    install: bool
    sections: list[SectionLink]
