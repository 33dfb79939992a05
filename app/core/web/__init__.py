"""What all handlers share: one response for JSON, page and fragment; identity; forms; streams; errors."""
