"""Decisions of the room, without any I/O."""
