"""Messages of a bot, over Telegram's Bot API."""
