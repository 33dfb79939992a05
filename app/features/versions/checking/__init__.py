"""Checks and runtime scans (spec §7.5, §7.7)."""
