"""Stand-ins for the outside world, made of the adapters' own records."""
