"""Administration: health, version, metrics of Dockrev itself."""

from app.features.administration.room import FEATURE

__all__ = ["FEATURE"]
