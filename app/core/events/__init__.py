"""The in-process event bus: rooms tell what happened, whoever cares listens; nobody calls upwards."""

from app.core.events.bus import EntitiesChanged, Event, EventBus, Subscription

__all__ = ["EntitiesChanged", "Event", "EventBus", "Subscription"]
