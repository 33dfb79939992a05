"""The decisions of an update. Pure: no clock, no engine, no database."""
