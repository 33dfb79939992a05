"""Dockrev. `docs/architecture.md` is the house on one page."""
