"""What can go wrong with a broker. No text carries user, password or the address as it was set."""

from __future__ import annotations

from app.core.errors import AdapterError


class MqttError(AdapterError):
    """Base of what this adapter raises."""


class MqttMissing(MqttError):
    """The library of the extra is not installed."""


class MqttUnreachable(MqttError):
    """Nobody answers at the address, its certificate is not believed, or the connection broke."""


class MqttRefused(MqttError):
    """The broker answers and does not let Dockrev in."""
