"""View models for tests of the pages."""
