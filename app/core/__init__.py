"""What every room stands on: jobs, events, database, web. Knows no Docker and no room."""
