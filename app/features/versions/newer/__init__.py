"""Newer versions under other tags: looked for in the background, kept, told; never offered as an update."""
