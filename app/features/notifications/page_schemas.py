"""What the page `/settings/notifications` shows; as JSON it is as free of secrets as the API."""

from __future__ import annotations

from datetime import datetime

from app.core.web.languages import LANGUAGES, TAGS, _, pgettext, spoken
from app.core.web.schema import ApiModel
from app.features.notifications.schemas import NotificationsOut
from app.features.preferences import SectionLink


class LastOut(ApiModel):
    """The last message of a channel. `state` is delivered, failed, queued (tried again at `next_try_at`) or sending."""

    at: datetime
    state: str
    title: str
    error: str = ""
    delivered: int = 0
    of: int = 1
    attempts: int = 1
    next_try_at: datetime | None = None


class ChannelOut(ApiModel):
    """One card. `stored` says that something is kept for it, `where` is the part of it that may be shown."""

    name: str
    label: str
    enabled: bool
    stored: bool
    where: str = ""
    missing: list[str] = []
    last: LastOut | None = None

    @property
    def failing(self) -> bool:
        """Whether it is on and does not get through; a message on its first way is not held against it."""
        stuck = self.last is not None and self.last.state != "delivered" and bool(self.last.error)
        return self.enabled and (bool(self.missing) or stuck)


class DeviceOut(ApiModel):
    """One device; `id` stands for its endpoint, which is not shown."""

    id: str
    name: str
    created_at: datetime
    last_delivery_at: datetime | None = None
    last_error: str = ""


class NotificationsPage(ApiModel):
    """The page; `language` is that of messages."""

    settings: NotificationsOut
    channels: list[ChannelOut]
    devices: list[DeviceOut]
    default_subject: str
    language: str = "en"
    public_base_url: str | None = None
    sections: list[SectionLink] = []

    @property
    def language_name(self) -> str:
        """`Deutsch`."""
        return LANGUAGES[self.language]

    @property
    def language_tag(self) -> str:
        """As an HTML `lang`."""
        return TAGS[self.language]

    @property
    def on(self) -> list[ChannelOut]:
        """Channels that are on."""
        return [channel for channel in self.channels if channel.enabled]

    @property
    def on_words(self) -> str:
        """`e-mail, webhook and Telegram`."""
        small = spoken() == "en"  # nouns keep their capitals elsewhere
        words = [each.label.lower() if small and each.name != "telegram" else each.label for each in self.on]
        if len(words) < 2:
            return "".join(words)
        return _("%(words)s and %(last)s", words=pgettext("list", ", ").join(words[:-1]), last=words[-1])

    @property
    def failing(self) -> list[ChannelOut]:
        """Those of them that do not get through."""
        return [channel for channel in self.channels if channel.failing]

    @property
    def failing_words(self) -> str:
        """`E-mail and Webhook`."""
        return pgettext("list", " and ").join(channel.label for channel in self.failing)
