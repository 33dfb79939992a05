"""What a bot needs to write to a chat."""

from __future__ import annotations

from dataclasses import dataclass

from app.adapters.notify.errors import NotConfigured


@dataclass(frozen=True, slots=True)
class TelegramSettings:
    """`api_url` is the Bot API, without a slash at its end; `token` is a secret, `chat_id` is not."""

    token: str
    chat_id: str
    api_url: str = "https://api.telegram.org"

    @classmethod
    def of(cls, token: str | None, chat_id: str | None, api_url: str) -> TelegramSettings:
        """Raises NotConfigured when one of the two is missing."""
        if not token:
            raise NotConfigured("no bot token is set", hint="Create a bot with @BotFather and store its token.")
        if not chat_id:
            raise NotConfigured("no chat id is set", hint="Write to the bot, then look up the chat's id.")
        return cls(token, chat_id, api_url.rstrip("/"))
