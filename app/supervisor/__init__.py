"""The supervisor: a process of its own that must live on when Dockrev or its database is broken (spec §10).

It imports no room, no database, no job engine.
"""
