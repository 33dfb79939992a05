"""What the outbox kept of failures, told in the reader's language. The messages themselves stay as they were sent."""

from __future__ import annotations

from typing import Final

from app.core.web.languages import N_
from app.core.web.retelling import Retelling

SENTENCES: Final = (
    N_("no SMTP address is set"),
    N_("no recipient is set"),
    N_("no bot token is set"),
    N_("no chat id is set"),
    N_("the VAPID keys are missing"),
    N_("the VAPID subject cannot be used"),
    N_("the two VAPID keys do not belong together"),
    N_("the keys of this device cannot be used"),
    N_("the bot token cannot be used"),
    N_("the webhook's URL cannot be used"),
    N_("the webhook must be an absolute http or https URL"),
    N_("the webhook has characters that no URL has, or too many of them"),
    N_("the channel was switched off"),
    N_("must be one word as Telegram shows it"),
    N_("must be base64url text"),
    N_("must be mailto:you@example.org or an https URL"),
    N_("Store one in the notification settings."),
    N_("Create a bot with @BotFather and store its token."),
    N_("Write to the bot, then look up the chat's id."),
    N_("Make a pair of keys in the notification settings."),
    N_("Make a new pair and subscribe the devices again."),
    N_("Remove it and subscribe again."),
    N_("Store the token as @BotFather shows it."),
    N_("Check the way from Dockrev to Telegram."),
    N_("Check host and port of the address."),
    N_("Check host and port of the SMTP address."),
    N_("Check user and password in the SMTP address; some providers want an app password."),
    N_("Check the chat id; a group's begins with -100."),
    N_("The bot token is not valid (any more)."),
    N_("The bot may not write there: open the chat and start the bot, or add it to the group."),
    N_("The VAPID keys are not those the device subscribed with: subscribe it again."),
    N_("Use smtps://, or add tls=off to the address if the network between is trusted."),
    N_("Use smtps:// or drop tls=required from the address."),
    N_("Add its authority to the system's trust store, or add verify=no to the SMTP address."),
)
FORMS: Final = (
    N_("%(host)s did not answer within %(span)s s"),
    N_("%(host)s did not answer in time"),
    N_("%(host)s cannot be reached"),
    N_("%(host)s cannot be looked up"),
    N_("%(host)s leads into a private network, nothing was sent there"),
    N_("%(host)s does not know the device any more (%(status)s)"),
    N_("%(host)s refused every recipient: %(answers)s"),
    N_("%(host)s refused the login: %(answer)s"),
    N_("%(host)s offers no encryption, so the password was not sent"),
    N_("%(host)s offers no STARTTLS"),
    N_("no trusted TLS connection with %(host)s"),
    N_("Telegram answered %(answer)s"),
    N_("%(host)s answered %(answer)s"),
    N_("Add to=… to the SMTP address, like %(example)s"),
    N_("%(count)s of %(total)s devices did not get it: %(why)s"),
    N_("%(address)s was refused: %(answer)s"),
    N_("unexpected %(kind)s"),
)
told: Final = Retelling(SENTENCES, FORMS)
