"""Measurements on the lab: `make bench`."""
