"""One connection to an MQTT broker (3.1.1). Knows topics and bytes, and nothing of what they mean.

The library is an extra (`dockrev[mqtt]`) and is loaded with the first connection: without a broker it costs nothing.
"""

from app.adapters.mqtt.broker import Broker
from app.adapters.mqtt.errors import MqttError, MqttMissing, MqttRefused, MqttUnreachable
from app.adapters.mqtt.link import Link, Message, Received, connect
from app.adapters.mqtt.published import Place, Published

__all__ = [
    "Broker",
    "Link",
    "Message",
    "MqttError",
    "MqttMissing",
    "MqttRefused",
    "MqttUnreachable",
    "Place",
    "Published",
    "Received",
    "connect",
]
