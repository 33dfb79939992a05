"""A POST of the payload to an address of the owner."""
