"""What a person can see and do on each page."""

from e2e.pages.base import Screen
from e2e.pages.job import JobScreen
from e2e.pages.overview import OverviewScreen
from e2e.pages.service import ServiceScreen
from e2e.pages.services import ServicesScreen

__all__ = ["JobScreen", "OverviewScreen", "Screen", "ServiceScreen", "ServicesScreen"]
