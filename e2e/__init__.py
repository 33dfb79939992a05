"""Journeys through the real product: a real engine, a real registry, `dockrev serve`, Chromium."""
