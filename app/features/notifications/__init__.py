"""Notifications: who is told what, over which channel, and whether it arrived (spec §5.5, §5.7, §8)."""

from __future__ import annotations

from app.core.feature import Container, Feature
from app.features.notifications import models

__all__ = ["FEATURE", "models"]


def _setup(container: Container) -> None:
    return None


FEATURE = Feature(name="notifications", setup=_setup)
