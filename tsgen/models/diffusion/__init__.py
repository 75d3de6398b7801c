"""Models that turn noise into an event step by step."""
