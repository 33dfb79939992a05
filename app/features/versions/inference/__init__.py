"""Which version a floating tag is (spec §7.6)."""
