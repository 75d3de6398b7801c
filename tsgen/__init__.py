"""tsgen."""
